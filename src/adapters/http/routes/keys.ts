import { z } from "zod";
import { publicId } from "@/lib/ids";
import {
  createApiKey,
  CreateApiKeyInput,
  getApiKey,
  introspect,
  listApiKeys,
  revokeApiKey,
  rotateApiKey,
  RotateApiKeyInput,
  SCOPES,
  updateApiKey,
  UpdateApiKeyInput,
  type ApiKeyRecord,
} from "@/server/api-key";
import { queryBoolean, queryInteger } from "../parse-input";
import { created, ok, route } from "../route";
import { cursorParam, dataOf, idOf, idParam, pageOf, timestamp } from "../schemas";

const tags = z.record(z.string(), z.string()).nullable();
const list = z.array(z.string()).nullable();

const ApiKey = z
  .object({
    id: idOf("key"),
    userId: idOf("user").meta({ description: "The owner." }),
    name: z.string(),
    keyPrefix: z.string().meta({ description: "The first 19 characters of the current secret." }),
    scopes: z.array(z.enum(SCOPES)).meta({ description: "As granted; the owner's current role may cut them down." }),
    allowedModels: list.meta({ description: "Null: unrestricted. Empty: nothing is allowed." }),
    allowedProviders: list,
    defaultTags: tags,
    lockedTags: tags,
    lockedCustomer: z.string().nullable(),
    require: list,
    maxConcurrent: z.int(),
    denialStatus: z.union([z.literal(429), z.literal(402)]),
    expiresAt: timestamp.nullable(),
    revokedAt: timestamp.nullable(),
    lastUsedAt: timestamp.nullable(),
    createdAt: timestamp,
  })
  .meta({ id: "ApiKey" });

const NewApiKey = ApiKey.extend({ rawKey: z.string().meta({ description: "The secret. Shown this once." }) }).meta({ id: "NewApiKey" });
const RotatedApiKey = NewApiKey.extend({
  previousSecretExpiresAt: timestamp.meta({ description: "Until when the secret before this one works." }),
}).meta({ id: "RotatedApiKey" });

const keyParams = z.strictObject({ id: idParam("key") });
const tag = "Keys";

export const keyRoutes = [
  route({
    method: "GET",
    path: "/api/keys",
    operationId: "listApiKeys",
    tag,
    summary: "List the organisation's keys, newest first",
    description: "A key that has `self` but not `read` sees itself alone.",
    access: { key: ["read", "self"], user: "viewer" },
    query: z.strictObject({
      limit: queryInteger({ min: 1, max: 100 }).default(50),
      cursor: cursorParam,
      includeRevoked: queryBoolean().default(false),
    }),
    answers: [{ status: 200, description: "A page of keys.", schema: pageOf(ApiKey) }],
    async handle({ ctx, query }) {
      const { data, cursor } = await listApiKeys({ ctx, input: query });
      return ok({ data: data.map(presentApiKey), cursor });
    },
  }),
  route({
    method: "POST",
    path: "/api/keys",
    operationId: "createApiKey",
    tag,
    summary: "Make a key",
    description: "The secret is in this answer and nowhere else. `read` and `manage` are granted by admins and owners in a session.",
    access: { key: ["manage"], user: "member" },
    body: CreateApiKeyInput,
    answers: [{ status: 201, description: "The key and its secret.", schema: dataOf(NewApiKey) }],
    withoutSecrets,
    async handle({ ctx, body }) {
      const key = await createApiKey({ ctx, input: body });
      return created({ data: { ...presentApiKey(key), rawKey: key.rawKey } });
    },
  }),
  route({
    method: "GET",
    path: "/api/keys/{id}",
    operationId: "getApiKey",
    tag,
    summary: "Get a key",
    access: { key: ["read", "self"], user: "viewer" },
    params: keyParams,
    answers: [{ status: 200, description: "The key.", schema: dataOf(ApiKey) }],
    handle: async ({ ctx, params }) => ok({ data: presentApiKey(await getApiKey({ ctx, keyId: params.id })) }),
  }),
  route({
    method: "PATCH",
    path: "/api/keys/{id}",
    operationId: "updateApiKey",
    tag,
    summary: "Change a key's name, scopes, expiry or restrictions",
    description: "Only what is sent changes; null lifts a restriction. In force on every process within a second. No key changes itself.",
    access: { key: ["manage"], user: "member" },
    params: keyParams,
    body: UpdateApiKeyInput,
    answers: [{ status: 200, description: "The key.", schema: dataOf(ApiKey) }],
    handle: async ({ ctx, params, body }) => ok({ data: presentApiKey(await updateApiKey({ ctx, keyId: params.id, input: body })) }),
  }),
  route({
    method: "DELETE",
    path: "/api/keys/{id}",
    operationId: "revokeApiKey",
    tag,
    summary: "Revoke a key",
    description: "Unknown on every process within a second. Revoking it again changes nothing.",
    access: { key: ["manage"], user: "member" },
    params: keyParams,
    answers: [{ status: 200, description: "When it was revoked.", schema: dataOf(z.object({ id: idOf("key"), revokedAt: timestamp })) }],
    async handle({ ctx, params }) {
      const { id, revokedAt } = await revokeApiKey({ ctx, keyId: params.id });
      return ok({ data: { id: publicId("key", id), revokedAt: revokedAt.toISOString() } });
    },
  }),
  route({
    method: "POST",
    path: "/api/keys/{id}/rotate",
    operationId: "rotateApiKey",
    tag,
    summary: "Give a key a new secret",
    description: "Its id, history and restrictions stay. The old secret works on for `overlapSeconds`.",
    access: { key: ["manage"], user: "member" },
    params: keyParams,
    body: RotateApiKeyInput,
    bodyOptional: true,
    answers: [{ status: 200, description: "The key and its new secret.", schema: dataOf(RotatedApiKey) }],
    withoutSecrets,
    async handle({ ctx, params, body }) {
      const key = await rotateApiKey({ ctx, keyId: params.id, input: body });
      return ok({
        data: { ...presentApiKey(key), rawKey: key.rawKey, previousSecretExpiresAt: key.previousSecretExpiresAt.toISOString() },
      });
    },
  }),
  route({
    method: "GET",
    path: "/api/auth/introspect",
    operationId: "introspect",
    tag,
    summary: "Who this key is and what it may do now",
    access: { key: SCOPES, user: "key_only" },
    answers: [
      {
        status: 200,
        description: "The key's identity.",
        schema: z.object({ orgId: idOf("org"), userId: idOf("user"), keyId: idOf("key"), scopes: z.array(z.enum(SCOPES)) }),
      },
    ],
    async handle({ ctx }) {
      const { orgId, userId, keyId, scopes } = introspect(ctx);
      return ok({ orgId: publicId("org", orgId), userId: publicId("user", userId), keyId: publicId("key", keyId), scopes });
    },
  }),
];

/** Restrictions that cannot be read deny everything, which is what empty lists say. */
export function presentApiKey(key: ApiKeyRecord): z.input<typeof ApiKey> {
  const restrictions = key.restrictions ?? { allowedModels: [], allowedProviders: [], maxConcurrent: 2000, denialStatus: 429 as const };
  return {
    id: publicId("key", key.id),
    userId: publicId("user", key.userId),
    name: key.name,
    keyPrefix: key.keyPrefix,
    scopes: key.scopes,
    allowedModels: restrictions.allowedModels ?? null,
    allowedProviders: restrictions.allowedProviders ?? null,
    defaultTags: restrictions.defaultTags ?? null,
    lockedTags: restrictions.lockedTags ?? null,
    lockedCustomer: restrictions.lockedCustomer ?? null,
    require: restrictions.require ?? null,
    maxConcurrent: restrictions.maxConcurrent,
    denialStatus: restrictions.denialStatus,
    expiresAt: key.expiresAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
    createdAt: key.createdAt.toISOString(),
  };
}

/** A replay has everything but the secret, which only the first answer showed. */
function withoutSecrets(body: Parameters<typeof ok>[0]): Parameters<typeof ok>[0] {
  const { rawKey: _secret, ...data } = body.data as Record<string, string>;
  return { ...body, data };
}
