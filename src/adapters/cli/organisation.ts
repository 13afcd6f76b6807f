import type { PrismaClient } from "@/generated/prisma/client";
import { systemClock } from "@/lib/clock";
import { ServiceError } from "@/lib/errors";
import { parsePublicId } from "@/lib/ids";
import type { Ctx } from "@/server/context";
import type { CommandInput } from "./run-cli";
import { openDatabase } from "./open-database";

/** How a command acts: as the system, in one organisation. */
export const systemCtx = (prisma: PrismaClient, orgId: string): Ctx => ({
  prisma,
  clock: systemClock,
  principal: { type: "system", orgId },
  ip: null,
});

/** Opens the database for a command and closes it whatever happens. */
export async function withDatabase<T>(where: Pick<CommandInput, "env" | "root">, run: (prisma: PrismaClient) => Promise<T>): Promise<T> {
  const { prisma, close } = await openDatabase(where);
  try {
    return await run(prisma);
  } finally {
    await close();
  }
}

/** The organisation a command is about: the one that is named, or the only one there is. */
export async function findOrgId(prisma: PrismaClient, named: string | undefined): Promise<string> {
  if (named !== undefined) {
    const id = parsePublicId("org", named);
    const organisation = await prisma.organisation.findUnique({ where: id === undefined ? { slug: named } : { id }, select: { id: true } });
    if (!organisation) throw new ServiceError("not_found", `There is no organisation ${named}. See \`org list\`.`);
    return organisation.id;
  }
  const [first, second] = await prisma.organisation.findMany({ take: 2, select: { id: true } });
  if (!first) throw new ServiceError("not_found", "There is no organisation yet. Begin with `init`.");
  if (second) throw new ServiceError("bad_request", "There is more than one organisation: name one with --org. See `org list`.");
  return first.id;
}
