import { z } from "zod";
import { ID_PREFIX, parsePublicId, type IdKind } from "@/lib/ids";

/** Words shared by the routes' inputs and outputs. */

export const timestamp = z.string().meta({ format: "date-time", description: "ISO 8601, UTC." });

/** A public id in an answer. */
export const idOf = (kind: IdKind) => z.string().meta({ examples: [`${ID_PREFIX[kind]}0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071`] });

/** A public id in a path or query, read into the bare one. What cannot be an id names nothing. */
export function idParam(kind: IdKind) {
  return z
    .string()
    .transform((text, context): string => {
      const id = parsePublicId(kind, text);
      if (id !== undefined) return id;
      context.issues.push({ code: "custom", message: `must be ${ID_PREFIX[kind]} and a UUID`, input: undefined });
      return z.NEVER;
    })
    .meta({ override: { type: "string", pattern: `^${ID_PREFIX[kind]}[0-9a-f-]{36}$` } });
}

export const dataOf = <T extends z.ZodType>(schema: T) => z.object({ data: schema });
export const pageOf = <T extends z.ZodType>(schema: T) =>
  z.object({ data: z.array(schema), cursor: z.string().nullable().meta({ description: "For the next page; null on the last." }) });

export const cursorParam = z.string().max(1000).optional().meta({ description: "`cursor` of the page before." });
