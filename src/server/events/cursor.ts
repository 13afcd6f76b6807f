import { z } from "zod";
import { invalid } from "./parse-input";

const sessionId = z
  .string()
  .min(1)
  .max(512)
  .refine((id) => !id.includes("\0"));

/** Where a page ended, by list. A cursor names a place, not a right: every query still names its organisation. */
const POSITIONS = {
  "cost-events": z.guid(),
  "session-timeline": z.guid(),
  traces: z.guid(),
  sessions: z.tuple([z.iso.datetime(), sessionId]),
  "sessions-by-cost": z.tuple([z.string().regex(/^\d{1,18}$/), sessionId]),
};
type List = keyof typeof POSITIONS;
type Position<L extends List> = z.infer<(typeof POSITIONS)[L]>;

/** Opaque and URL-safe. */
export function encodeCursor<L extends List>(list: L, position: Position<L>): string {
  return Buffer.from(JSON.stringify([list, position])).toString("base64url");
}

/** @throws ServiceError `bad_request` for what {@link encodeCursor} did not write for this list. */
export function decodeCursor<L extends List>(list: L, cursor: string): Position<L> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
  } catch {
    throw invalid({ path: "cursor", message: "is not one of ours" });
  }
  const result = z.tuple([z.literal(list), POSITIONS[list]]).safeParse(value);
  if (!result.success) throw invalid({ path: "cursor", message: "is not one of this list's" });
  return result.data[1] as Position<L>;
}
