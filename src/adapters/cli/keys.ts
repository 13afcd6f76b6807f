import type { PrismaClient } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { parsePublicId, publicId } from "@/lib/ids";
import {
  createApiKey,
  CreateApiKeyInput,
  listApiKeys,
  revokeApiKey,
  rotateApiKey,
  RotateApiKeyInput,
  type ApiKeyRecord,
} from "@/server/api-key";
import { findOrgId, systemCtx, withDatabase } from "./organisation";
import { assertKnown, durationSeconds, parseCliInput, required, type Options } from "./read-options";
import type { CommandInput, CommandResult } from "./run-cli";
import { table } from "./table";
import { UsageError } from "./usage-error";

export async function createKey({ env, root, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, ["name", "scopes", "expires", "owner", "org"]);
  const input = parseCliInput(CreateApiKeyInput, {
    name: required(options, "name"),
    scopes: options.scopes?.split(",").map((scope) => scope.trim()),
    expiresAt: expiresAtOf(options),
  });
  return withDatabase({ env, root }, async (prisma) => {
    const orgId = await findOrgId(prisma, options.org);
    const ownerUserId = await findOwner(prisma, { orgId, email: options.owner });
    const key = await createApiKey({ ctx: systemCtx(prisma, orgId), input, ownerUserId });
    const data = { ...present(key), rawKey: key.rawKey };
    return { data, text: `${data.rawKey}\n\nThis is the secret of ${data.id} (${data.scopes.join(", ")}). It is not shown again.` };
  });
}

export async function listKeys({ env, root, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, ["all", "org"]);
  return withDatabase({ env, root }, async (prisma) => {
    const ctx = systemCtx(prisma, await findOrgId(prisma, options.org));
    const keys: ApiKeyRecord[] = [];
    let cursor: string | null | undefined;
    // Ends with the organisation's last key.
    do {
      const page = await listApiKeys({ ctx, input: { limit: 100, includeRevoked: options.all, ...(cursor != null && { cursor }) } });
      keys.push(...page.data);
      cursor = page.cursor;
    } while (cursor !== null);
    const data = keys.map(present);
    return {
      data,
      text: table(["id", "keyPrefix", "name", "scopes", "expiresAt", "lastUsedAt", ...(options.all ? (["revokedAt"] as const) : [])], data),
    };
  });
}

export async function revokeKey({ env, root, words, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, []);
  const keyId = keyIdOf(words);
  return withDatabase({ env, root }, async (prisma) => {
    const { id, name, revokedAt } = await revokeApiKey({ ctx: systemCtx(prisma, await orgOfKey(prisma, keyId)), keyId });
    const data = { id: publicId("key", id), revokedAt: revokedAt.toISOString() };
    return { data, text: `${data.id} (${name}) is revoked.` };
  });
}

export async function rotateKey({ env, root, words, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, ["overlap"]);
  const keyId = keyIdOf(words);
  const overlapSeconds = options.overlap === undefined ? undefined : durationSeconds(options.overlap);
  if (options.overlap !== undefined && overlapSeconds === undefined) throw new UsageError("--overlap is a duration: 0s, 30m, 24h, 7d.");
  const input = parseCliInput(RotateApiKeyInput, { overlapSeconds });
  return withDatabase({ env, root }, async (prisma) => {
    const key = await rotateApiKey({ ctx: systemCtx(prisma, await orgOfKey(prisma, keyId)), keyId, input });
    const data = { ...present(key), rawKey: key.rawKey, previousSecretExpiresAt: key.previousSecretExpiresAt.toISOString() };
    const text = `${data.rawKey}\n\nThis is the new secret of ${data.id}. It is not shown again. The old one works until ${data.previousSecretExpiresAt}.`;
    return { data, text };
  });
}

function keyIdOf(words: readonly string[]): string {
  const [id, ...more] = words;
  const keyId = id === undefined || more.length > 0 ? undefined : parsePublicId("key", id);
  if (keyId === undefined) throw new UsageError("Name one key by its id (ns_key_…). See `key list`.");
  return keyId;
}

async function orgOfKey(prisma: PrismaClient, keyId: string): Promise<string> {
  const key = await prisma.apiKey.findUnique({ where: { id: keyId }, select: { orgId: true } });
  if (!key) throw new ServiceError("not_found", "There is no such key. See `key list`.");
  return key.orgId;
}

async function findOwner(prisma: PrismaClient, { orgId, email }: { orgId: string; email: string | undefined }): Promise<string> {
  const membership = await prisma.membership.findFirst({
    where: email === undefined ? { orgId, role: "owner" } : { orgId, user: { email: email.trim().toLowerCase() } },
    orderBy: [{ createdAt: "asc" }, { userId: "asc" }],
    select: { userId: true },
  });
  if (!membership)
    throw new ServiceError("not_found", email === undefined ? "This organisation has no owner." : `${email} is not a member.`);
  return membership.userId;
}

function expiresAtOf({ expires }: Options): string | undefined {
  if (expires === undefined) return undefined;
  const seconds = durationSeconds(expires);
  return seconds === undefined ? expires : new Date(Date.now() + seconds * 1000).toISOString();
}

function present({ id, userId, name, keyPrefix, scopes, expiresAt, lastUsedAt, revokedAt, createdAt }: ApiKeyRecord) {
  return {
    id: publicId("key", id),
    userId: publicId("user", userId),
    name,
    keyPrefix,
    scopes,
    expiresAt: expiresAt?.toISOString() ?? null,
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
    revokedAt: revokedAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
  };
}
