import { isRawKey } from "@/server/api-key";

/** Which of the caller's headers go upstream, and which credential is whose (CONTRACT §2, §3). */

const RAW_KEY_LENGTH = 43;
const RAW_KEY_MARK = "ns_live_sk_";

/** Whether an address has one of our keys in it, spelled out or escaped. */
export function namesRawKey(target: string): boolean {
  if (target.includes(RAW_KEY_MARK)) return true;
  return (
    target.includes("%") &&
    target.replace(/%([2-7][0-9A-Fa-f])/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))).includes(RAW_KEY_MARK)
  );
}

/** Content codings whose bytes we can read on the side; asking for others would blind the meter. */
export type DecodableEncodings = ReadonlySet<string>;

/** Never forwarded: what belongs to one connection, to the browser, or to a proxy in front of us. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "host",
  "content-length",
  "cookie",
  "origin",
  "referer",
  "forwarded",
  "x-real-ip",
]);

const NOT_FORWARDED_PREFIXES = ["x-nullspend-", "nullspend-", "helicone-", "x-forwarded-"];

export type Credentials =
  | {
      ok: true;
      rawKey: string;
      /** Header (lower case) whose value is replaced by `providerValue`. */ composite: { header: string; providerValue: string } | null;
    }
  | { ok: false };

/**
 * Finds the NullSpend key: in `X-NullSpend-Key`, or before the provider's key in the bearer or `x-api-key`
 * (`<43 characters>:<provider key>`). An empty part, or two different keys, is no credential at all.
 */
export function readCredentials(header: (name: string) => string | undefined): Credentials {
  const own = header("x-nullspend-key")?.trim();
  let composite: { header: string; providerValue: string } | null = null;
  let compositeKey: string | undefined;
  for (const name of ["authorization", "x-api-key"]) {
    const value = header(name);
    if (value === undefined || !value.includes(RAW_KEY_MARK)) continue;
    const scheme = name === "authorization" ? /^(Bearer\s+)/i.exec(value)?.[1] : "";
    if (scheme === undefined) return { ok: false };
    const credential = value.slice(scheme.length);
    const rawKey = credential.slice(0, RAW_KEY_LENGTH);
    const providerKey = credential.slice(RAW_KEY_LENGTH + 1);
    if (!isRawKey(rawKey) || credential[RAW_KEY_LENGTH] !== ":" || providerKey.trim() === "" || providerKey.includes(RAW_KEY_MARK))
      return { ok: false };
    if (compositeKey !== undefined) return { ok: false };
    compositeKey = rawKey;
    composite = { header: name, providerValue: scheme + providerKey };
  }
  const rawKey = own ?? compositeKey;
  if (rawKey === undefined || !isRawKey(rawKey)) return { ok: false };
  if (compositeKey !== undefined && compositeKey !== rawKey) return { ok: false };
  return { ok: true, rawKey, composite };
}

/**
 * The headers that go upstream, in the order and case received. `Accept-Encoding` keeps only what the meter can decode, or is
 * `identity` where bytes must be edited.
 */
export function headersToForward(input: {
  rawHeaders: readonly string[];
  composite: { header: string; providerValue: string } | null;
  decodable: DecodableEncodings;
  identityOnly: boolean;
}): string[] {
  const { rawHeaders, composite, decodable, identityOnly } = input;
  const connectionNames = namedByConnection(rawHeaders);
  const forwarded: string[] = [];
  let sawAcceptEncoding = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const lower = name.toLowerCase();
    if (NOT_FORWARDED.has(lower) || NOT_FORWARDED_PREFIXES.some((prefix) => lower.startsWith(prefix)) || connectionNames?.has(lower))
      continue;
    let value = rawHeaders[i + 1]!;
    if (lower === "accept-encoding") {
      if (sawAcceptEncoding && identityOnly) continue;
      sawAcceptEncoding = true;
      value = identityOnly ? "identity" : reduceAcceptEncoding(value, decodable);
    } else if (composite !== null && lower === composite.header) {
      value = composite.providerValue;
    }
    // A caller that puts our key anywhere else must not have it handed to a provider.
    if (value.includes(RAW_KEY_MARK)) continue;
    forwarded.push(name, value);
  }
  if (identityOnly && !sawAcceptEncoding) forwarded.push("accept-encoding", "identity");
  return forwarded;
}

function namedByConnection(rawHeaders: readonly string[]): Set<string> | undefined {
  let names: Set<string> | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.length !== 10 || rawHeaders[i]!.toLowerCase() !== "connection") continue;
    const value = rawHeaders[i + 1]!.toLowerCase();
    if (value === "keep-alive" || value === "close") continue;
    names ??= new Set();
    for (const part of value.split(",")) names.add(part.trim());
  }
  return names;
}

/** Keeps the codings the meter can read, with their weights; `identity` when none is left. */
export function reduceAcceptEncoding(value: string, decodable: DecodableEncodings): string {
  const kept = value.split(",").filter((part) => {
    const coding = part.split(";", 1)[0]!.trim().toLowerCase();
    return coding === "identity" || decodable.has(coding);
  });
  const reduced = kept.join(",").trim();
  return reduced === "" ? "identity" : reduced;
}
