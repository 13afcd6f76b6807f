import { createHash } from "node:crypto";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Scenario } from "@/testing/fake-provider";
import { headerList, rawRequest, type RawResponse } from "@/testing/raw-http";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";

// What stands and falls with this: whoever puts us in front of a provider must get, and send, what they did before. A byte that
// differs is a broken signature, a failed parse or a lost answer, and nobody would look for it here.

/** One exchange: what a caller sends, and what the provider answers. */
type Case = {
  method: string;
  target: string;
  headers: string[];
  body: Buffer | undefined;
  chunkBytes: number | undefined;
  scenario: Scenario;
};

/** Per adapter; the long form is what the promise of this file was first held to. */
const CASES = process.env.NULLSPEND_LONG === "1" ? 1_000 : 200;

/** A header value of printable ASCII, without blanks at its ends, which HTTP does not keep. */
const headerValue = fc.stringMatching(/^[!-~]([ -~]{0,60}[!-~])?$/);
const oddCase = (name: string): fc.Arbitrary<string> =>
  fc
    .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
    .map((upper) => Array.from(name, (letter, index) => (upper[index] ? letter.toUpperCase() : letter.toLowerCase())).join(""));
const customName = fc
  .stringMatching(/^[Xx]-[A-Za-z][A-Za-z0-9-]{0,20}$/)
  .filter((name) => !/^x-(nullspend|forwarded|real-ip|fake|api-key)/i.test(name));
const knownName = fc
  .constantFrom(
    "openai-beta",
    "openai-organization",
    "anthropic-beta",
    "user-agent",
    "idempotency-key",
    "x-stainless-lang",
    "accept",
    "accept-language",
  )
  .chain(oddCase);
const headerPairs = fc
  .array(fc.tuple(fc.oneof(customName, knownName), headerValue), { maxLength: 12 })
  // A name sent twice is kept twice; what a server would join or drop by itself is not our matter.
  .map((pairs) =>
    pairs.filter(
      ([name], index) =>
        name.toLowerCase().startsWith("x-") || pairs.findIndex(([other]) => other.toLowerCase() === name.toLowerCase()) === index,
    ),
  );

const answerHeaders = fc
  .array(
    fc.tuple(
      fc.stringMatching(/^[Xx]-[A-Za-z][A-Za-z0-9-]{0,20}$/).filter((name) => !/^x-nullspend/i.test(name)),
      headerValue,
    ),
    { maxLength: 8 },
  )
  .map((pairs) => pairs.flat());
const answerBody = fc.oneof(
  fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 10_000, max: 300_000 }).map((length) => pseudoRandom(length)),
);
const scenario: fc.Arbitrary<Scenario> = fc
  .record({
    status: fc.constantFrom(200, 200, 200, 201, 400, 404, 409, 422, 429, 500, 503, 529),
    statusMessage: fc.constantFrom("OK", "Fine by me", "Nope"),
    headers: answerHeaders,
    body: answerBody,
    contentType: fc.constantFrom(
      "application/json",
      "text/event-stream; charset=utf-8",
      "application/octet-stream",
      "text/plain",
      "audio/mpeg",
    ),
    encoding: fc.constantFrom(undefined, undefined, "gzip" as const, "br" as const, "deflate" as const),
    framing: fc.constantFrom("content-length" as const, "chunked" as const),
    cut: fc.constantFrom(undefined, [1, 2, 3, 100], [5, 1000, 1001]),
  })
  .map(({ body, ...rest }) => ({
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    bodyBase64: body.toString("base64"),
    bareHeaders: true,
  }));

/** Bodies that are read must be JSON; what else is in them is the caller's. */
const jsonBody = fc
  .record({
    padding: fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.integer({ min: 1_000, max: 1_000_000 }).map((length) => "a".repeat(length)),
    ),
    extra: fc.jsonValue(),
    blanks: fc.constantFrom("", " ", "\n  ", "\t"),
  })
  .map(({ padding, extra, blanks }) =>
    Buffer.from(
      `{${blanks}"model":${blanks}"gpt-4o-mini",${blanks}"max_tokens": 1e1, "messages": [{"role":"user","content":${JSON.stringify(padding)}}],` +
        `"metadata_of_ours":${JSON.stringify(extra)}, "temperature":1.0e0${blanks}}`,
    ),
  );
const query = fc.constantFrom("", "?beta=true", "?a=1&a=2&b=%2F%20+", "?x=%C3%A4&y[]=1", "?");

const exchanges: fc.Arbitrary<Case> = fc
  .oneof(
    {
      weight: 6,
      arbitrary: fc
        .constantFrom("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions")
        .map((path) => ["POST", path] as const),
    },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom("/v1/models", "/v1/models/ft%3Agpt-4o", "/v1/files/file-1/content", "/v1/unknown/path")
        .map((path) => ["GET", path] as const),
    },
    { weight: 1, arbitrary: fc.constantFrom("/v1/files/file-1", "/v1/responses/resp_1").map((path) => ["DELETE", path] as const) },
    { weight: 1, arbitrary: fc.constant(["POST", "/v1/files"] as const) },
  )
  .chain(([method, path]) =>
    fc.record({
      method: fc.constant(method),
      target: query.map((text) => path + text),
      headers: headerPairs.map((pairs) => pairs.flat()),
      body:
        method !== "POST"
          ? fc.constant(undefined)
          : path === "/v1/files"
            ? fc.uint8Array({ maxLength: 5_000 }).map((bytes) => Buffer.from(bytes))
            : jsonBody,
      chunkBytes: fc.constantFrom(undefined, undefined, 1_000, 65_536),
      scenario,
    }),
  );

/** Names that a gateway must not hand on in either direction, or that belong to one connection (CONTRACT §3 and §5). */
const PER_CONNECTION = new Set(["connection", "keep-alive", "transfer-encoding", "content-length", "host", "date"]);
const isOurs = (name: string): boolean => name.startsWith("x-nullspend-") || name === "nullspend-version" || name === "server-timing";

type Pair = [name: string, value: string];
function pairs(rawHeaders: readonly string[]): Pair[] {
  const list: Pair[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) list.push([rawHeaders[i]!, rawHeaders[i + 1]!]);
  return list;
}
const endToEnd = (rawHeaders: readonly string[]): Pair[] =>
  pairs(rawHeaders).filter(([name]) => !PER_CONNECTION.has(name.toLowerCase()) && !isOurs(name.toLowerCase()));
/** As Next shows headers to a route: names in lower case, sorted, equal names joined. */
function asNextShows(list: Pair[]): Pair[] {
  const joined = new Map<string, string>();
  for (const [name, value] of list) {
    const lower = name.toLowerCase();
    joined.set(lower, joined.has(lower) ? `${joined.get(lower)}, ${value}` : value);
  }
  return [...joined].sort(([a], [b]) => (a < b ? -1 : 1));
}

describe.each(ADAPTERS)("what passes the %s adapter", (adapter) => {
  let product: Product;
  beforeAll(async () => {
    product = await startProduct({ adapter });
  });
  afterAll(() => product.stop());
  beforeEach(() => product.fake.clear());

  const shown = (list: Pair[]): Pair[] => (adapter === "node" ? list : asNextShows(list));
  // Next writes the query anew: the same names and values, escaped its own way.
  const asShown = (target: string): unknown => {
    if (adapter === "node") return target;
    const url = new URL(target, "http://host");
    return [url.pathname, ...url.searchParams];
  };
  // Next strikes Content-Encoding off, so that our route adapter has to undo the encoding.
  const isDelivered = ([name]: Pair): boolean => adapter === "node" || name.toLowerCase() !== "content-encoding";
  const asDelivered = (body: Buffer[], encoding: Scenario["encoding"]): Buffer =>
    adapter === "node" ? Buffer.concat(body) : decoded(Buffer.concat(body), encoding);
  const credentials = (): string[] => ["X-NullSpend-Key", product.apiKey, "Authorization", "Bearer sk-test"];
  const send = (request: {
    method?: string;
    target: string;
    headers?: string[];
    body?: Buffer | string;
    chunkBytes?: number;
  }): Promise<RawResponse> => rawRequest({ port: product.port, ...request, headers: [...credentials(), ...(request.headers ?? [])] });

  it(`is the same on both sides, in ${CASES} generated exchanges`, async () => {
    await fc.assert(
      fc.asyncProperty(exchanges, async ({ method, target, headers, body, chunkBytes, scenario: answer }) => {
        product.fake.clear();
        product.fake.next(answer);
        const received = await send({
          method,
          target,
          headers: [
            ...headers,
            ...(body ? ["Content-Type", target.startsWith("/v1/files") ? "multipart/form-data; boundary=b" : "application/json"] : []),
          ],
          ...(body && { body }),
          ...(body && chunkBytes !== undefined && { chunkBytes }),
        });
        const { request, sent } = product.fake.log[0]!;

        expect(request.method).toBe(method);
        expect(asShown(request.target)).toEqual(asShown(target));
        expect(request.bodySha256).toBe(
          createHash("sha256")
            .update(body ?? "")
            .digest("hex"),
        );
        const contentType: Pair[] = body
          ? [["Content-Type", target.startsWith("/v1/files") ? "multipart/form-data; boundary=b" : "application/json"]]
          : [];
        expect(shown(endToEnd(request.rawHeaders))).toEqual(
          shown([["Authorization", "Bearer sk-test"], ...endToEnd(headers), ...contentType]),
        );

        expect(received.status).toBe(answer.status);
        if (adapter === "node") expect(received.statusMessage).toBe(answer.statusMessage);
        expect(received.complete).toBe(true);
        expect(received.body.equals(asDelivered(sent.body, answer.encoding))).toBe(true);
        // Next adds a `vary` of its own to every answer.
        const ofProvider = endToEnd(received.rawHeaders).filter(([name]) => adapter === "node" || name.toLowerCase() !== "vary");
        expect(shown(ofProvider)).toEqual(shown(endToEnd(sent.rawHeaders).filter(isDelivered)));
      }),
      { numRuns: CASES, seed: 20_261_124, endOnFailure: true, includeErrorInReport: true },
    );
  }, 900_000);

  it("keeps nothing back and hands nothing on that belongs to the way: requests", async () => {
    await send({
      target: "/v1/models",
      headers: headerList(
        "Cookie: a=b",
        "Origin: https://evil.example",
        "Referer: https://evil.example/x",
        "Forwarded: for=1.2.3.4",
        "X-Forwarded-For: 1.2.3.4",
        "X-Real-IP: 1.2.3.4",
        "X-NullSpend-Session: s",
        "NullSpend-Version: 2026-04-01",
        "Helicone-Property-A: b",
        "Connection: close, x-hop",
        "X-Hop: 1",
        "TE: trailers",
        "X-Kept: yes",
      ),
    });
    const names = pairs(product.fake.log[0]!.request.rawHeaders).map(([name]) => name.toLowerCase());
    expect(names).toContain("x-kept");
    for (const name of [
      "cookie",
      "origin",
      "referer",
      "forwarded",
      "x-forwarded-for",
      "x-real-ip",
      "x-hop",
      "te",
      "helicone-property-a",
      "nullspend-version",
    ]) {
      expect(names).not.toContain(name);
    }
    expect(names.filter((name) => name.startsWith("x-nullspend") || name.startsWith("x-forwarded"))).toEqual([]);
    expect(product.fake.log[0]!.request.header("host")).toBe(`127.0.0.1:${product.fake.port}`);
  });

  it("keeps nothing back and hands nothing on that belongs to the way: answers", async () => {
    product.fake.next({
      headers: ["X-NullSpend-Denied", "1", "Server-Timing", "provider;dur=7", "Clear-Site-Data", '"*"', "X-Kept", "yes"],
    });
    const answer = await send({ target: "/v1/models" });
    const names = pairs(answer.rawHeaders).map(([name]) => name.toLowerCase());
    for (const name of ["set-cookie", "strict-transport-security", "alt-svc", "clear-site-data", "x-nullspend-denied"])
      expect(names).not.toContain(name);
    expect(answer.header("x-kept")).toBe("yes");
    expect(answer.header("x-request-id")).toBe(
      product.fake.log[0]!.sent.rawHeaders[product.fake.log[0]!.sent.rawHeaders.indexOf("x-request-id") + 1],
    );
    expect(answer.header("server-timing")).toMatch(/^auth;dur=.*provider;dur=7$/);
    expect(answer.header("x-nullspend-request-id")).toMatch(/^ns_evt_/);
  });

  it("may be a file larger than any body that is read into memory", async () => {
    const body = Buffer.alloc(80 * 1024 * 1024, pseudoRandom(1_000_003));
    const answer = await send({ target: "/v1/files", headers: ["Content-Type", "multipart/form-data; boundary=b"], body });
    expect(answer.status).toBe(200);
    expect(product.fake.log[0]!.request).toMatchObject({
      bodyBytes: body.length,
      bodySha256: createHash("sha256").update(body).digest("hex"),
    });
  });

  it("asks for those encodings only that can be read on the side", async () => {
    await send({ target: "/v1/models", headers: ["Accept-Encoding", "gzip, deflate, br, made-up"] });
    const [first] = product.fake.log;
    const asked = first!.request.header("accept-encoding");
    if (adapter === "route") expect(asked).toBe("identity");
    else expect(asked).toMatch(/^gzip, deflate, br/);
    expect(asked).not.toMatch(/made-up/);
  });

  describe("a chat stream whose caller did not ask for usage", () => {
    const body = '{"model":"gpt-4o-mini",\n "stream":true, "messages":[{"role":"user","content":"hi ä"}]}';
    const chat = (scenario: Scenario, extra: string[] = [], text = body): Promise<RawResponse> => {
      product.fake.next(scenario);
      return send({
        target: "/v1/chat/completions",
        headers: ["Content-Type", "application/json", "Accept-Encoding", "gzip, br", ...extra],
        body: text,
      });
    };
    const directly = async (scenario: Scenario): Promise<RawResponse> => {
      product.fake.next(scenario);
      return rawRequest({ port: product.fake.port, target: "/v1/chat/completions", headers: ["Authorization", "Bearer sk-test"], body });
    };

    // Every way in which the provider's bytes may be cut, since the removal must work across packets.
    it.each([
      ["as events", {}],
      ["byte by byte", { cut: "byte" as const, text: "Short, with ä and 😀." }],
      ["several events per packet", { cut: { coalesce: 4 } }],
      ["with CRLF", { newline: "\r\n" as const }],
      ["with comments", { comments: true }],
      ["with a tool call", { tools: [{ name: "weather", arguments: '{"usage":null}' }] }],
      ["with text that looks like what is removed", { text: 'He wrote ,"usage":null and "choices":[] twice.' }],
      ["with usage told twice", { usage: "twice" as const }],
      ["with two answers", { chunks: 3 }],
      ["cut off by an error event", { inBandError: { afterEvents: 4, type: "server_error", message: "boom" } }],
    ] satisfies [string, Scenario][])("sees the bytes it would have seen: %s", async (_, scenario) => {
      const seeded = { ...scenario, seed: "same" };
      const without = await directly(seeded);
      const through = await chat(seeded);
      expect(through.body.toString()).toBe(without.body.toString());
      expect(through.complete).toBe(true);
      const { request } = product.fake.log[1]!;
      expect(JSON.parse(request.body.toString())).toEqual({ ...(JSON.parse(body) as object), stream_options: { include_usage: true } });
      expect(request.header("accept-encoding")).toBe("identity");
    });

    it("is left alone with X-NullSpend-Usage: passthrough", async () => {
      const through = await chat({ seed: "same" }, ["X-NullSpend-Usage", "passthrough"]);
      expect(product.fake.log[0]!.request.body.toString()).toBe(body);
      expect(through.body.equals(Buffer.concat(product.fake.log[0]!.sent.body))).toBe(true);
    });

    it("that does ask gets every byte of it", async () => {
      const asking = body.replace('"stream":true', '"stream":true,"stream_options":{"include_usage":true}');
      const through = await chat({ seed: "same" }, [], asking);
      expect(product.fake.log[0]!.request.body.toString()).toBe(asking);
      expect(through.body.equals(Buffer.concat(product.fake.log[0]!.sent.body))).toBe(true);
      expect(through.body.toString()).toContain('"completion_tokens"');
    });

    it("comes as it is if the provider compresses although asked not to, usage and all", async () => {
      const through = await chat({ seed: "same", encoding: "gzip" });
      expect(through.header("content-encoding")).toBe(adapter === "node" ? "gzip" : undefined);
      expect(through.body.equals(asDelivered(product.fake.log[0]!.sent.body, "gzip"))).toBe(true);
    });
  });

  describe("an answer that ends badly", () => {
    const body =
      '{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"hi"}],"stream_options":{"include_usage":true}}';
    const chat = (scenario: Scenario): Promise<RawResponse> => {
      product.fake.next(scenario);
      return send({ target: "/v1/chat/completions", headers: ["Content-Type", "application/json"], body });
    };

    it.each(["reset", "fin"] as const)("is not made to look whole: %s after four events", async (kind) => {
      const answer = await chat({ fault: { kind, at: { events: 4 } } });
      expect(answer.complete).toBe(false);
      expect(answer.body.toString()).not.toContain("[DONE]");
      expect(answer.body.toString()).toBe(Buffer.concat(product.fake.log[0]!.sent.body).toString());
    });

    it("is not made to look whole: fewer bytes than announced", async () => {
      const answer = await chat({ framing: "content-length", fault: { kind: "fin", at: { bytes: 300 } } });
      expect(answer.complete).toBe(false);
      expect(answer.body).toHaveLength(300);
    });

    it("does not let bytes after it reach the next call", async () => {
      product.fake.next({ surplus: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison" });
      await send({ target: "/v1/models" });
      const next = await send({ target: "/v1/models" });
      expect(next.body.toString()).not.toContain("poison");
      expect(JSON.parse(next.body.toString())).toMatchObject({ object: "list" });
    });

    it("that never starts because the provider is gone is 502 in the provider's dialect", async () => {
      const answer = await chat({ fault: { kind: "reset", at: "headers" } });
      expect(answer.status).toBe(502);
      expect(JSON.parse(answer.body.toString())).toMatchObject({ error: { code: "upstream_unreachable", type: "server_error" } });
    });

    it("and is a redirect, is not followed and not handed on", async () => {
      const answer = await chat({ status: 307, headers: ["Location", "https://elsewhere.example/"] });
      expect(answer.status).toBe(502);
      expect(answer.header("location")).toBeUndefined();
      expect(product.fake.log).toHaveLength(1);
    });
  });
});

function decoded(bytes: Buffer, encoding: Scenario["encoding"]): Buffer {
  switch (encoding) {
    case "gzip":
      return gunzipSync(bytes);
    case "br":
      return brotliDecompressSync(bytes);
    case "deflate":
      return inflateSync(bytes);
    default:
      return bytes;
  }
}

/** Bytes that do not compress, the same in every run. */
function pseudoRandom(length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) blocks.push(createHash("sha256").update(`${length} ${i}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}
