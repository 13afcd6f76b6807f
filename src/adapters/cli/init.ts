import { systemClock } from "@/lib/clock";
import { publicId } from "@/lib/ids";
import { createApiKey } from "@/server/api-key";
import { initFromEnv } from "@/server/org";
import { systemCtx, withDatabase } from "./organisation";
import { assertKnown } from "./read-options";
import type { CommandInput, CommandResult } from "./run-cli";

/** Makes what a first call needs. Where an organisation has a live key already, no further one is made. */
export async function init({ env, root, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, ["email", "org-name"]);
  const given = (text: string | undefined) => text?.trim() || undefined;
  const wanted = {
    userEmail: given(options.email) ?? given(env.NULLSPEND_INIT_USER_EMAIL),
    userPassword: given(env.NULLSPEND_INIT_USER_PASSWORD),
    orgName: given(options["org-name"]) ?? given(env.NULLSPEND_INIT_ORG_NAME) ?? "My organisation",
    apiKey: given(env.NULLSPEND_INIT_API_KEY),
    adminKey: given(env.NULLSPEND_INIT_ADMIN_KEY),
  };
  return withDatabase({ env, root }, async (prisma) => {
    const outcome = await initFromEnv({ prisma, env: { init: wanted }, clock: systemClock });
    if (!outcome) throw new Error("nothing was initialised although an organisation was named");
    const { orgId, userId, email, created } = outcome;
    const hasKey = (await prisma.apiKey.count({ where: { orgId, revokedAt: null } })) > 0;
    const made = hasKey
      ? undefined
      : await createApiKey({ ctx: systemCtx(prisma, orgId), input: { name: "First key" }, ownerUserId: userId });
    const origin = given(env.NEXTAUTH_URL) ?? `http://localhost:${given(env.PORT) ?? "3000"}`;
    const data = {
      orgId: publicId("org", orgId),
      userId: publicId("user", userId),
      email,
      created: { ...created, firstKey: made !== undefined },
      rawKey: made?.rawKey ?? null,
      origin,
    };
    return { data, text: inWords(data) };
  });
}

function inWords({ orgId, email, rawKey, origin }: { orgId: string; email: string; rawKey: string | null; origin: string }): string {
  if (rawKey === null) return `Nothing to do: ${orgId} of ${email} has a key. Make another with \`key create --name …\`.`;
  return `${orgId} belongs to ${email}. Its key, which is not shown again:

  ${rawKey}

Two changes to a client, and its calls are recorded:

  OpenAI     OPENAI_BASE_URL=${origin}/v1
             header X-NullSpend-Key: ${rawKey}

  Anthropic  ANTHROPIC_BASE_URL=${origin}
  and Claude ANTHROPIC_CUSTOM_HEADERS='X-NullSpend-Key: ${rawKey}'
  Code`;
}
