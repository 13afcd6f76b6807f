import { randomFillSync } from "node:crypto";

/** Prefixes of public ids. Inside (database, memory) an id is a bare UUID; prefixes exist only at the edges. */
export const ID_PREFIX = {
  event: "ns_evt_",
  key: "ns_key_",
  user: "ns_usr_",
  org: "ns_org_",
  budget: "ns_bgt_",
  action: "ns_act_",
  price: "ns_prc_",
  audit: "ns_aud_",
  decision: "ns_dec_",
  freeze: "ns_frz_",
  reservation: "ns_rsv_",
  toolCost: "ns_tlc_",
  webhook: "ns_wh_",
  delivery: "ns_del_",
  invitation: "ns_inv_",
} as const;
export type IdKind = keyof typeof ID_PREFIX;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A bare id: lower case, as the database writes it. */
export const isUuid = (text: string): boolean => UUID.test(text);

/** uuid → public id. */
export const publicId = (kind: IdKind, uuid: string): string => ID_PREFIX[kind] + uuid;

/** Public id → uuid; undefined when the prefix or the UUID is not right. */
export function parsePublicId(kind: IdKind, id: string): string | undefined {
  const prefix = ID_PREFIX[kind];
  if (!id.startsWith(prefix)) return undefined;
  const uuid = id.slice(prefix.length);
  return UUID.test(uuid) ? uuid : undefined;
}

// Random bytes are drawn 4 kB at a time: one call into the system per id would cost more than the id.
const pool = Buffer.allocUnsafe(4096);
let used = pool.length;
function randomBytes(count: number): Buffer {
  if (used + count > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += count;
  return pool.subarray(used - count, used);
}

let lastMs = 0;
let sequence = 0;

/**
 * UUIDv7 (RFC 9562 §5.7) with a 12-bit counter in rand_a, so that ids made by one process sort in the order they were made.
 * @param nowMs Unix milliseconds.
 */
export function uuidv7(nowMs: number): string {
  if (nowMs > lastMs) {
    lastMs = nowMs;
    sequence = randomBytes(2).readUInt16BE() & 0x3ff;
  } else if (++sequence > 0xfff) {
    lastMs += 1;
    sequence = 0;
  }
  const random = randomBytes(8);
  const time = lastMs.toString(16).padStart(12, "0");
  const a = (0x7000 | sequence).toString(16);
  const hex = random.toString("hex");
  const variant = ((random[0]! & 0x3f) | 0x80).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-${a}-${variant}${hex.slice(2, 4)}-${hex.slice(4)}`;
}

/** 32 lowercase hex, not all zero (W3C trace id). */
export function newTraceId(): string {
  const hex = randomBytes(16).toString("hex");
  return hex === "00000000000000000000000000000000" ? newTraceId() : hex;
}

/** 16 lowercase hex, not all zero (W3C span id). */
export function newSpanId(): string {
  const hex = randomBytes(8).toString("hex");
  return hex === "0000000000000000" ? newSpanId() : hex;
}
