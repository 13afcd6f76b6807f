import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { headerList, rawRequest, type RawResponse } from "@/testing/raw-http";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";

// docs/gateway.md tells what the route adapter cannot do. Who reads there must be able to rely on it, and when Next mends one of
// these, the page has to follow.

describe.each(ADAPTERS)("limits told in docs/gateway.md, %s adapter", (adapter) => {
  let product: Product;
  beforeAll(async () => {
    product = await startProduct({ adapter });
  });
  afterAll(() => product.stop());

  const get = (target: string, ...headers: string[]): Promise<RawResponse> =>
    rawRequest({
      port: product.port,
      method: "GET",
      target,
      headers: ["X-NullSpend-Key", product.apiKey, "Authorization", "Bearer sk-test", ...headers],
    });

  it("an encoded slash in a path is refused, and sends nothing", async () => {
    const calls = product.fake.log.length;
    const answer = await get("/v1/models/a%2Fb");
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ error: { code: "not_found" } });
    expect(product.fake.log).toHaveLength(calls);
  });

  it("queries, names of headers and lengths of answers", async () => {
    product.fake.next({ body: '{"data":[]}', headers: ["X-Odd-Name", "1"], framing: "content-length" });
    const answer = await get("/v1/models?b=%2F%20+&y[]=1", ...headerList("X-Sent-Name: 1"));
    const { request } = product.fake.log.at(-1)!;
    const isNode = adapter === "node";
    expect(request.target).toBe(isNode ? "/v1/models?b=%2F%20+&y[]=1" : "/v1/models?b=%2F++&y%5B%5D=1");
    expect(request.rawHeaders).toContain(isNode ? "X-Sent-Name" : "x-sent-name");
    expect(answer.rawHeaders).toContain(isNode ? "X-Odd-Name" : "x-odd-name");
    expect(answer.header("content-length")).toBe(isNode ? "11" : undefined);
    expect(answer.body.toString()).toBe('{"data":[]}');
  });

  it("an answer's compression", async () => {
    product.fake.next({ body: '{"data":[]}', encoding: "gzip" });
    const answer = await get("/v1/models", "Accept-Encoding", "gzip");
    expect(product.fake.log.at(-1)!.request.header("accept-encoding")).toBe(adapter === "node" ? "gzip" : "identity");
    expect(answer.header("content-encoding")).toBe(adapter === "node" ? "gzip" : undefined);
  });

  it("the end on SIGTERM", async () => {
    const ending = await startProduct({ adapter });
    const exit = await ending.stop();
    expect(exit).toEqual(adapter === "node" ? { code: 0, signal: null } : { code: 143, signal: null });
  });
});
