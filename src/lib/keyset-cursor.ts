import { z } from "zod";

/** Where a page ended, for lists ordered by time and id, newest first. */
export type KeysetPosition = { createdAt: Date; id: string };

// Nothing of ours was made before 1970, and Postgres does not know the year 0.
const Position = z.tuple([z.iso.datetime().refine((time) => Date.parse(time) >= 0), z.uuid()]);

/** An opaque, URL-safe cursor. It names a place, not a right: every query still names its organisation. */
export function encodeKeysetCursor({ createdAt, id }: KeysetPosition): string {
  return Buffer.from(JSON.stringify([createdAt.toISOString(), id])).toString("base64url");
}

/** Undefined for anything that {@link encodeKeysetCursor} did not write. */
export function decodeKeysetCursor(cursor: string): KeysetPosition | undefined {
  if (cursor.length > 200) return undefined;
  try {
    const parsed = Position.safeParse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
    return parsed.success ? { createdAt: new Date(parsed.data[0]), id: parsed.data[1] } : undefined;
  } catch {
    return undefined;
  }
}

/** Prisma's condition for the rows after a position. */
export function afterPosition({ createdAt, id }: KeysetPosition): {
  OR: [{ createdAt: { lt: Date } }, { createdAt: Date; id: { lt: string } }];
} {
  return { OR: [{ createdAt: { lt: createdAt } }, { createdAt, id: { lt: id } }] };
}
