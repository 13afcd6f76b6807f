import { z } from "zod";
import { SCOPES } from "./identity";
import { RestrictionsInput } from "./restrictions";

/** Longest overlap of two secrets after a rotation. */
const OVERLAP_SECONDS_MAX = 30 * 24 * 3600;
const OVERLAP_SECONDS_DEFAULT = 24 * 3600;

const name = z.string().trim().min(1).max(50);
const scopes = z
  .array(z.enum(SCOPES))
  .min(1)
  .max(SCOPES.length)
  .refine((list) => new Set(list).size === list.length, "each scope once");
const expiresAt = z.iso
  .datetime({ offset: true })
  .nullable()
  .meta({ description: "From this instant on the key is unknown; null: never." });

export const CreateApiKeyInput = RestrictionsInput.extend({ name, scopes: scopes.optional(), expiresAt: expiresAt.optional() });
export type CreateApiKeyInput = z.infer<typeof CreateApiKeyInput>;

const restriction = RestrictionsInput.shape;

/** Changes only what is sent; null lifts a restriction. */
export const UpdateApiKeyInput = z
  .strictObject({
    name: name.optional(),
    scopes: scopes.optional(),
    expiresAt: expiresAt.optional(),
    allowedModels: restriction.allowedModels.nullable(),
    allowedProviders: restriction.allowedProviders.nullable(),
    defaultTags: restriction.defaultTags.nullable(),
    lockedTags: restriction.lockedTags.nullable(),
    lockedCustomer: restriction.lockedCustomer.nullable(),
    require: restriction.require.nullable(),
    maxConcurrent: restriction.maxConcurrent.nullable(),
    denialStatus: restriction.denialStatus.nullable(),
  })
  .refine((input) => Object.values(input).some((value) => value !== undefined), "nothing to change");
export type UpdateApiKeyInput = z.infer<typeof UpdateApiKeyInput>;

export const RotateApiKeyInput = z.strictObject({
  overlapSeconds: z
    .int()
    .min(0)
    .max(OVERLAP_SECONDS_MAX)
    .default(OVERLAP_SECONDS_DEFAULT)
    .meta({ description: "How long the old secret still works." }),
});
export type RotateApiKeyInput = z.infer<typeof RotateApiKeyInput>;

export const ListApiKeysInput = z.strictObject({
  limit: z.int().min(1).max(100).default(50),
  cursor: z.string().optional(),
  includeRevoked: z.boolean().default(false),
});
export type ListApiKeysInput = z.infer<typeof ListApiKeysInput>;
