import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { storedEvents } from "@/testing/events";
import { scenarioHeader } from "@/testing/fake-provider";
import { headerList, RawConnection, rawRequest, requestBytes } from "@/testing/raw-http";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";
import { eventually } from "./gateway-server";

// The faults whose measure is the whole process: memory, open files, and what remains when it stops. Through both adapters.

const STORM = 1_000;
const FILE_MIB = process.env.NULLSPEND_LONG === "1" ? 512 : 128;

const status = (product: Product, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${product.pid}/status`, "utf8"))?.[1] ?? 0);
const rssMb = (product: Product): number => status(product, "VmRSS") / 1024;

describe.skipIf(process.platform !== "linux").each(ADAPTERS)("the whole process, through the %s adapter", (adapter) => {
  let product: Product;
  beforeAll(async () => {
    product = await startProduct({ adapter });
  });
  afterAll(async () => {
    await product.stop();
  });

  const call = (gate: string): Buffer =>
    requestBytes({
      port: product.port,
      target: "/v1/chat/completions",
      headers: [
        ...headerList(`X-NullSpend-Key: ${product.apiKey}`, "Authorization: Bearer sk-test", "Content-Type: application/json"),
        ...Object.entries(scenarioHeader({ holds: [{ at: 2, gate }] })).flat(),
      ],
      body: JSON.stringify({ model: "gpt-4o-mini", stream: true, messages: [{ role: "user", content: "hi" }] }),
    });

  async function storm(round: string): Promise<void> {
    const callers = await Promise.all(Array.from({ length: STORM / 2 }, () => RawConnection.connect({ port: product.port })));
    await Promise.all(
      callers.map(async (caller, i) => {
        await caller.send(call(round));
        await caller.until((received) => received.includes("data:"));
        if (i % 2 === 0) caller.reset();
        else caller.hangUp();
      }),
    );
    product.fake.gates.release(round);
  }

  it(`F7: ${STORM} callers who open, read and leave: as many events, and memory and connections as after the first half`, async () => {
    const before = (await storedEvents(product, 0)).length;
    await storm("first");
    await storedEvents(product, before + STORM / 2);
    const [afterFirst, connections] = [rssMb(product), product.fake.connections];
    await storm("second");
    expect(await storedEvents(product, before + STORM)).toHaveLength(before + STORM);
    await eventually(
      () => product.fake.connections,
      (count) => count <= connections,
    );
    console.log(`${adapter}: ${afterFirst.toFixed(0)} MB after ${STORM / 2}, ${rssMb(product).toFixed(0)} MB after ${STORM}`);
    expect(rssMb(product) - afterFirst).toBeLessThan(100);
    expect((await rawRequest({ port: product.port, target: "/api/health" })).status).toBe(200);
  }, 60_000);

  it(`F11: a file of ${FILE_MIB} MiB streams through without being held`, async () => {
    const before = rssMb(product);
    const piece = Buffer.alloc(1024 * 1024, 7);
    const caller = await RawConnection.connect({ port: product.port });
    await caller.send(
      requestBytes({
        port: product.port,
        method: "POST",
        target: "/v1/files",
        headers: headerList(
          `X-NullSpend-Key: ${product.apiKey}`,
          "Authorization: Bearer sk-test",
          "Content-Type: multipart/form-data; boundary=b",
          `Content-Length: ${FILE_MIB * piece.length}`,
        ),
      }),
    );
    let peak = 0;
    for (let i = 0; i < FILE_MIB; i++) {
      await caller.send(piece);
      peak = Math.max(peak, rssMb(product) - before);
    }
    expect((await caller.response({ method: "POST" })).status).toBe(200);
    expect(product.fake.log.at(-1)!.request.bodyBytes).toBe(FILE_MIB * piece.length);
    console.log(`${adapter}: ${FILE_MIB} MiB with ${peak.toFixed(0)} MB more at most`);
    expect(peak).toBeLessThan(FILE_MIB * 0.8);
    caller.socket.destroy();
  }, 120_000);
});
