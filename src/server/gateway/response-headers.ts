/** Which of the provider's headers reach the caller, and how ours are merged in (CONTRACT §5). */

/** Belong to one connection, would set state in a browser on our origin, or would pass for ours. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "set-cookie",
  "set-cookie2",
  "strict-transport-security",
  "alt-svc",
  "clear-site-data",
]);
const OWN_PREFIXES = ["x-nullspend-", "nullspend-"];

export type UpstreamHead = {
  /** Name, value, name, value …, as received and ready to be passed. `Server-Timing` is taken out. */
  passed: string[];
  serverTiming: string | undefined;
  contentType: string | undefined;
  contentEncoding: string | undefined;
  contentLength: number | undefined;
  /** `x-request-id` or `request-id`. */
  requestId: string | undefined;
};

/** @param rawHeaders as undici hands them out: name, value, name, value … in bytes. */
export function readUpstreamHead(rawHeaders: readonly Buffer[]): UpstreamHead {
  const head: UpstreamHead = {
    passed: [],
    serverTiming: undefined,
    contentType: undefined,
    contentEncoding: undefined,
    contentLength: undefined,
    requestId: undefined,
  };
  let connectionNames: Set<string> | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.length !== 10 || rawHeaders[i]!.toString("latin1").toLowerCase() !== "connection") continue;
    connectionNames ??= new Set();
    for (const part of rawHeaders[i + 1]!.toString("latin1").toLowerCase().split(",")) connectionNames.add(part.trim());
  }
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toString("latin1");
    const lower = name.toLowerCase();
    if (NOT_PASSED.has(lower) || OWN_PREFIXES.some((prefix) => lower.startsWith(prefix)) || connectionNames?.has(lower)) continue;
    const value = rawHeaders[i + 1]!.toString("latin1");
    switch (lower) {
      case "server-timing":
        head.serverTiming = head.serverTiming === undefined ? value : `${head.serverTiming}, ${value}`;
        continue;
      case "content-type":
        head.contentType ??= value;
        break;
      case "content-encoding":
        head.contentEncoding ??= value.trim().toLowerCase();
        break;
      case "content-length":
        head.contentLength ??= Number(value);
        break;
      case "x-request-id":
      case "request-id":
        head.requestId ??= value;
        break;
    }
    head.passed.push(name, value);
  }
  return head;
}

/** The same headers without one, by lower-case name. */
export function withoutHeader(rawHeaders: readonly string[], lowerName: string): string[] {
  const kept: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== lowerName) kept.push(rawHeaders[i]!, rawHeaders[i + 1]!);
  }
  return kept;
}

/** JSON in ASCII, so that it can stand in a header whatever the tags hold. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
