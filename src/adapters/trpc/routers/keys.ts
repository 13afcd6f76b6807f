import { z } from "zod";
import { presentApiKey } from "@/adapters/http/routes/keys";
import { idParam } from "@/adapters/http/schemas";
import { publicId } from "@/lib/ids";
import {
  createApiKey,
  CreateApiKeyInput,
  getApiKey,
  listApiKeys,
  ListApiKeysInput,
  revokeApiKey,
  rotateApiKey,
  RotateApiKeyInput,
  updateApiKey,
  UpdateApiKeyInput,
} from "@/server/api-key";
import { orgProcedure, paged, router } from "../init";

const KeyId = z.strictObject({ id: idParam("key") });

export const keysRouter = router({
  list: orgProcedure.input(paged(ListApiKeysInput)).query(async ({ ctx, input }) => {
    const { data, cursor } = await listApiKeys({ ctx: ctx.verb, input });
    return { data: data.map(presentApiKey), cursor };
  }),
  get: orgProcedure.input(KeyId).query(async ({ ctx, input }) => presentApiKey(await getApiKey({ ctx: ctx.verb, keyId: input.id }))),
  /** `rawKey` is in this answer and nowhere else. */
  create: orgProcedure.input(CreateApiKeyInput).mutation(async ({ ctx, input }) => {
    const key = await createApiKey({ ctx: ctx.verb, input });
    return { ...presentApiKey(key), rawKey: key.rawKey };
  }),
  update: orgProcedure
    .input(KeyId.extend({ changes: UpdateApiKeyInput }))
    .mutation(async ({ ctx, input }) => presentApiKey(await updateApiKey({ ctx: ctx.verb, keyId: input.id, input: input.changes }))),
  /** The old secret works on for `overlapSeconds`. */
  rotate: orgProcedure.input(RotateApiKeyInput.extend(KeyId.shape)).mutation(async ({ ctx, input: { id, ...input } }) => {
    const key = await rotateApiKey({ ctx: ctx.verb, keyId: id, input });
    return { ...presentApiKey(key), rawKey: key.rawKey, previousSecretExpiresAt: key.previousSecretExpiresAt.toISOString() };
  }),
  revoke: orgProcedure.input(KeyId).mutation(async ({ ctx, input }) => {
    const { id, revokedAt } = await revokeApiKey({ ctx: ctx.verb, keyId: input.id });
    return { id: publicId("key", id), revokedAt: revokedAt.toISOString() };
  }),
});
