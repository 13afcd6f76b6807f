import { publicId } from "@/lib/ids";
import { withDatabase } from "./organisation";
import { assertKnown } from "./read-options";
import type { CommandInput, CommandResult } from "./run-cli";
import { table } from "./table";

export async function listOrgs({ env, root, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, []);
  return withDatabase({ env, root }, async (prisma) => {
    const organisations = await prisma.organisation.findMany({
      orderBy: [{ createdAt: "asc" }, { id: "asc" }],
      select: {
        id: true,
        name: true,
        slug: true,
        createdAt: true,
        _count: { select: { memberships: true, apiKeys: { where: { revokedAt: null } } } },
      },
    });
    const data = organisations.map(({ id, name, slug, createdAt, _count }) => ({
      id: publicId("org", id),
      name,
      slug,
      members: _count.memberships,
      keys: _count.apiKeys,
      createdAt: createdAt.toISOString(),
    }));
    return { data, text: table(["id", "slug", "name", "members", "keys"], data) };
  });
}
