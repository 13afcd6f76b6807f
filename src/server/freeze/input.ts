import { z } from "zod";
import { parsePublicId } from "@/lib/ids";
import { CUSTOMER_ID } from "@/server/events/attribution";

export const FROZEN_ENTITY_TYPES = ["org", "api_key", "customer"] as const;
export type FrozenEntityType = (typeof FROZEN_ENTITY_TYPES)[number];

export const CreateFreezeInput = z
  .strictObject({
    entityType: z.enum(FROZEN_ENTITY_TYPES),
    entityId: z.string().min(1).max(300).optional().meta({ description: "`org` or left out; `ns_key_…`; a customer's id." }),
    reason: z
      .string()
      .trim()
      .min(1)
      .max(500)
      .refine((text) => !text.includes("\0") && !/\p{Surrogate}/u.test(text), "must not contain NUL")
      .meta({ description: "Callers read it in their denial." }),
  })
  .superRefine(({ entityType, entityId }, context) => {
    if (bareFrozenEntityId(entityType, entityId) !== undefined) return;
    const message = { org: "must be `org` or left out", api_key: "must be ns_key_ and a UUID", customer: "must be a customer's id" }[
      entityType
    ];
    context.addIssue({ code: "custom", path: ["entityId"], message });
  });
export type CreateFreezeInput = z.input<typeof CreateFreezeInput>;

export const ListFreezesInput = z.strictObject({
  limit: z.int().min(1).max(100).default(50),
  cursor: z.string().max(1_000).optional(),
  includeLifted: z.boolean().default(false),
});
export type ListFreezesInput = z.input<typeof ListFreezesInput>;

/** A public entity id → as freezes store it. Undefined when it names no entity of this type. */
export function bareFrozenEntityId(entityType: FrozenEntityType, id: string | undefined): string | undefined {
  switch (entityType) {
    case "org":
      return id === undefined || id === "org" ? "org" : undefined;
    case "api_key":
      return id === undefined ? undefined : parsePublicId("key", id);
    case "customer":
      return id !== undefined && CUSTOMER_ID.test(id) ? id : undefined;
  }
}
