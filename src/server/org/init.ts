import { z } from "zod";
import type { Prisma, PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import type { Env } from "@/lib/env";
import { ServiceError } from "@/lib/errors";
import { hashPassword, PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN } from "@/lib/password";
import { hashRawKey, insertApiKey, isRawKey, SCOPES, type Scope } from "@/server/api-key";
import type { Ctx } from "@/server/context";
import { createOrganisationWithOwner } from "./create-organisation";

/** Owner of a first run that names nobody. Without a password nobody signs in as this user; setting one later is enough. */
const DEFAULT_EMAIL = "owner@nullspend.local";
const DEFAULT_ORG_NAME = "My organisation";
/** Processes that boot at once make one user, one organisation and one key. */
const INIT_LOCK = 7_405_201;

export type InitOutcome = {
  orgId: string;
  userId: string;
  email: string;
  created: { user: boolean; organisation: boolean; apiKey: boolean; adminKey: boolean };
};

/**
 * The headless first run (CONTRACT §14): makes the user, the organisation and the keys that `NULLSPEND_INIT_…` names, where they
 * are not there yet. It never changes what is: a password that was changed since, a key that was revoked and an organisation that
 * was renamed stay so. Undefined when nothing was asked for.
 */
export async function initFromEnv({
  prisma,
  env,
  clock,
}: {
  prisma: PrismaClient;
  env: Pick<Env, "init">;
  clock: Clock;
}): Promise<InitOutcome | undefined> {
  const { init } = env;
  if (Object.values(init).every((value) => value === undefined)) return undefined;
  assertUsable(init);
  const email = (init.userEmail ?? DEFAULT_EMAIL).trim().toLowerCase();
  const user = await prisma.user.findUnique({ where: { email }, select: { passwordHash: true } });
  // Hashed before the transaction, which should be short; not needed where a password is set already.
  const passwordHash = init.userPassword !== undefined && !user?.passwordHash ? await hashPassword(init.userPassword) : undefined;
  return prisma.$transaction(
    async (tx) => {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(${INIT_LOCK})`;
      const { userId, created: userCreated } = await ensureUser(tx, { email, passwordHash, clock });
      const { orgId, created: orgCreated } = await ensureOrganisation(tx, { userId, name: init.orgName?.trim() || DEFAULT_ORG_NAME });
      const ensure = (rawKey: string | undefined, name: string, scopes: readonly Scope[] | undefined) =>
        ensureKey(tx, { ctx: { clock, principal: { type: "system", orgId }, ip: null }, userId, rawKey, name, scopes });
      const apiKey = await ensure(init.apiKey, "Initial key", undefined);
      const adminKey = await ensure(init.adminKey, "Initial admin key", SCOPES);
      return { orgId, userId, email, created: { user: userCreated, organisation: orgCreated, apiKey, adminKey } };
    },
    { timeout: 15_000, maxWait: 15_000 },
  );
}

/** The server's own reading of the environment has said all this by variable; the command line comes here with options. */
function assertUsable({ userEmail, userPassword, apiKey, adminKey }: Env["init"]): void {
  if (userEmail !== undefined && !z.email().safeParse(userEmail.trim()).success) {
    throw new ServiceError("bad_request", "The owner needs an e-mail address.");
  }
  if (userPassword !== undefined && (userPassword.length < PASSWORD_LENGTH_MIN || userPassword.length > PASSWORD_LENGTH_MAX)) {
    throw new ServiceError("bad_request", `A password has ${PASSWORD_LENGTH_MIN} to ${PASSWORD_LENGTH_MAX} characters.`);
  }
  for (const [name, rawKey] of [
    ["NULLSPEND_INIT_API_KEY", apiKey],
    ["NULLSPEND_INIT_ADMIN_KEY", adminKey],
  ] as const) {
    if (rawKey !== undefined && !isRawKey(rawKey)) {
      throw new ServiceError("bad_request", `${name} must be ns_live_sk_ and 32 lowercase hexadecimal digits.`);
    }
  }
  if (apiKey !== undefined && apiKey === adminKey) {
    throw new ServiceError("bad_request", "NULLSPEND_INIT_API_KEY and NULLSPEND_INIT_ADMIN_KEY must be different keys.");
  }
}

async function ensureUser(
  tx: Prisma.TransactionClient,
  { email, passwordHash, clock }: { email: string; passwordHash: string | undefined; clock: Clock },
): Promise<{ userId: string; created: boolean }> {
  const existing = await tx.user.findUnique({ where: { email }, select: { id: true, passwordHash: true } });
  if (!existing) {
    // The operator's word stands in for a confirmation mail.
    const data = { email, emailVerified: new Date(clock.now()), passwordHash };
    const { id } = await tx.user.create({ data, select: { id: true } });
    return { userId: id, created: true };
  }
  if (passwordHash !== undefined && existing.passwordHash === null) {
    await tx.user.update({ where: { id: existing.id }, data: { passwordHash }, select: { id: true } });
  }
  return { userId: existing.id, created: false };
}

/** The oldest organisation the user owns; the name counts only when one is made. */
async function ensureOrganisation(
  tx: Prisma.TransactionClient,
  { userId, name }: { userId: string; name: string },
): Promise<{ orgId: string; created: boolean }> {
  const owned = await tx.membership.findFirst({
    where: { userId, role: "owner" },
    orderBy: [{ createdAt: "asc" }, { orgId: "asc" }],
    select: { orgId: true },
  });
  if (owned) return { orgId: owned.orgId, created: false };
  return { orgId: await createOrganisationWithOwner(tx, { name, userId, isPersonal: false, ip: null }), created: true };
}

/** A key that is there stays as it is: revoked, restricted, renamed. */
async function ensureKey(
  tx: Prisma.TransactionClient,
  key: { ctx: Omit<Ctx, "prisma">; userId: string; rawKey: string | undefined; name: string; scopes: readonly Scope[] | undefined },
): Promise<boolean> {
  if (key.rawKey === undefined) return false;
  const existing = await tx.apiKeySecret.findUnique({ where: { hash: hashRawKey(key.rawKey) }, select: { hash: true } });
  if (existing) return false;
  await insertApiKey(tx, {
    ctx: key.ctx,
    input: { name: key.name, scopes: key.scopes && [...key.scopes] },
    userId: key.userId,
    rawKey: key.rawKey,
  });
  return true;
}
