import { z } from "zod";
import type { Prisma } from "@/generated/prisma/client";
import { ID_PREFIX, publicId } from "@/lib/ids";
import { FROZEN_ENTITY_TYPES, type FrozenEntityType } from "./input";

const timestamp = z.string().meta({ format: "date-time", description: "ISO 8601, UTC." });

export const PublicFreeze = z
  .object({
    id: z.string().meta({ examples: [`${ID_PREFIX.freeze}0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071`] }),
    entityType: z.enum(FROZEN_ENTITY_TYPES),
    entityId: z.string().meta({ description: "`org`, `ns_key_…` or the customer's id." }),
    reason: z.string(),
    createdAt: timestamp,
    liftedAt: timestamp.nullable().meta({ description: "Null: calls of this entity are refused now." }),
  })
  .meta({ id: "Freeze" });
export type PublicFreeze = z.infer<typeof PublicFreeze>;

export const FREEZE_SELECT = {
  id: true,
  entityType: true,
  entityId: true,
  reason: true,
  createdAt: true,
  liftedAt: true,
} as const satisfies Prisma.FreezeSelect;

export type FreezeRow = Prisma.FreezeGetPayload<{ select: typeof FREEZE_SELECT }>;

export function toPublicFreeze(row: FreezeRow): PublicFreeze {
  // The verbs of this folder are the only writers of the column.
  const entityType = row.entityType as FrozenEntityType;
  return {
    id: publicId("freeze", row.id),
    entityType,
    entityId: entityType === "api_key" ? publicId("key", row.entityId) : row.entityId,
    reason: row.reason,
    createdAt: row.createdAt.toISOString(),
    liftedAt: row.liftedAt?.toISOString() ?? null,
  };
}
