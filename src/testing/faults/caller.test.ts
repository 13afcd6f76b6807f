import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { storedEvents } from "@/testing/events";
import { scenarioHeader, type Scenario } from "@/testing/fake-provider";
import { RawConnection, requestBytes } from "@/testing/raw-http";
import { databaseByAnotherPath } from "./database-path";
import { eventually, startGatewayServer, type GatewayServer } from "./gateway-server";

// What would break in production: callers are programs that crash, lines that drop and people with a grudge. Each row of the fault
// matrix F is one promise about what they cannot do to the others, or to the books.

const chat = (extra: object = {}): string =>
  JSON.stringify({ model: "gpt-4o-mini", messages: [{ role: "user", content: "hi" }], ...extra });
const LIMITS = { bodyBytesMax: 100_000, fileBytesMax: 300_000, stallMs: 400, upload: { idleMs: 400, bodyMs: 1_500 } };
const EXCHANGE_LIMITS = { lingerMs: 500, unreadMs: 400 };

/** The long form needs `ulimit -n 20000`. */
const IDLERS = process.env.NULLSPEND_LONG === "1" ? 10_000 : 2_000;
/** A few at a time, as the backlog of a listening socket is short. */
const OPEN_IDLERS = `
  const [port, count] = process.argv.slice(1).map(Number);
  let opened = 0;
  const open = () => { if (opened++ < count) require("node:net").connect(port, "127.0.0.1", open).on("error", () => {}); };
  for (let i = 0; i < 100; i++) open();
`;

describe("the caller's side", () => {
  let gateway: GatewayServer;
  beforeAll(async () => {
    gateway = await startGatewayServer({ limits: LIMITS, exchangeLimits: EXCHANGE_LIMITS });
  });
  afterAll(() => gateway.close());
  beforeEach(() => gateway.fake.clear());

  const openCalls = (): number => [...gateway.runtime.gateway.openCalls.values()].reduce((sum, count) => sum + count, 0);
  const idle = async (): Promise<void> => {
    await eventually(
      () => gateway.runtime.gateway.unfinished.size,
      (size) => size === 0,
    );
    expect(openCalls()).toBe(0);
  };
  const scenario = (value: Scenario): string[] => Object.entries(scenarioHeader(value)).flat();
  const call = (body: string, more: string[] = [], target = "/v1/chat/completions"): Buffer =>
    requestBytes({ port: gateway.port, target, headers: gateway.headers(...more), body });
  const open = (): Promise<RawConnection> => RawConnection.connect({ port: gateway.port });
  const closed = (connection: RawConnection): Promise<boolean> => connection.until(() => false);

  it("F1: a caller who leaves while sending has reached nobody, also while its key is still being looked up", async () => {
    const slow = await databaseByAnotherPath(gateway.database.connectionString);
    const other = await startGatewayServer({ fake: gateway.fake, database: gateway.database, databaseUrl: slow.url });
    try {
      slow.chaos.latencyMs = 150;
      const connection = await RawConnection.connect({ port: other.port });
      const bytes = requestBytes({ port: other.port, target: "/v1/chat/completions", headers: other.headers(), body: chat() });
      await connection.send(bytes.subarray(0, bytes.length - 5));
      await sleep(50);
      connection.reset();
      await eventually(
        () => other.runtime.gateway.unfinished.size,
        (size) => size === 0,
      );
      expect(gateway.fake.log).toHaveLength(0);
    } finally {
      slow.chaos.latencyMs = 0;
      await other.close();
      await slow.close();
    }
  });

  it("F3: a caller who leaves before the answer's headers takes the provider's connection with it", async () => {
    const connection = await open();
    const body = chat({ stream: true });
    void connection.send(call(body, ["X-NullSpend-Usage", "passthrough", ...scenario({ holds: [{ at: "headers", gate: "f3" }] })]));
    await gateway.fake.gates.reached("f3");
    connection.reset();
    await gateway.fake.log[0]!.ended;
    expect(gateway.fake.log[0]!.outcome).toBe("aborted");
    await idle();
  });

  it("F7: a thousand callers who open, read and leave: no slot, no socket and no call is left", async () => {
    const before = { events: (await storedEvents(gateway, 0)).length, connections: gateway.fake.connections };
    const body = chat({ stream: true, stream_options: { include_usage: true } });
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const connection = await open();
          void connection.send(call(body, scenario({ holds: [{ at: 2, gate: `f7 ${round}` }], keepsGenerating: true })));
          await connection.until((received) => received.includes("data:"));
          if (i % 2 === 0) connection.reset();
          else connection.hangUp();
        }),
      );
      gateway.fake.gates.release(`f7 ${round}`);
    }
    await idle();
    expect(await storedEvents(gateway, before.events + 1_000)).toHaveLength(before.events + 1_000);
    await eventually(
      () => gateway.connections(),
      (count) => count === 0,
    );
    expect(gateway.fake.connections).toBeLessThan(120);
  }, 90_000);

  it("F8: a reader that stalls holds the provider back, and is cut off after a while, also when the provider has long ended", async () => {
    const body = chat({ stream: true });
    gateway.fake.setDefault({ text: "word ".repeat(4_000_000), chunks: 1_000 });
    const stalled = await Promise.all(Array.from({ length: 2 }, open));
    for (const connection of stalled) {
      connection.stall();
      // Without usage to come there is no reason to read on once it has been cut off.
      void connection.send(call(body, ["X-NullSpend-Usage", "passthrough"]));
    }
    await eventually(
      () => gateway.fake.log.length,
      (count) => count === stalled.length,
      // The fake provider makes each answer's 20 MB before it is in its log.
      40_000,
    );
    await idle();
    await Promise.all(gateway.fake.log.map((exchange) => exchange.ended));
    // Of a thousand pieces of 20 kB, the kernel's and our own buffers hold some.
    for (const exchange of gateway.fake.log) expect(exchange.sent.eventsSent).toBeLessThan(900);
    expect(gateway.fake.log.map(({ outcome }) => outcome)).toEqual(stalled.map(() => "aborted"));
    for (const connection of stalled) connection.socket.destroy();
    await eventually(
      () => gateway.connections(),
      (count) => count === 0,
    );
  });

  it("F8: an answer that waits in our buffer for a reader that never reads is dropped with its connection", async () => {
    const connection = connect({ port: gateway.port, host: "127.0.0.1" });
    connection.pause();
    // More than the kernel's buffers take, less than makes the provider wait: pieces of 60 kB, each below our own mark.
    const body = chat();
    gateway.fake.setDefault({ body: "y".repeat(60_000), framing: "content-length" });
    for (let i = 0; i < 200; i++) connection.write(call(body));
    await eventually(
      () => gateway.fake.log.length,
      (count) => count > 30,
    );
    await eventually(
      () => gateway.connections(),
      (count) => count === 0,
    );
    await idle();
    connection.destroy();
  });

  it("F9: a body that trickles ends with 408, and so does one that never goes on", async () => {
    const stopped = await open();
    await stopped.send(call(chat()).subarray(0, -3));
    const answer = await stopped.response({ method: "POST" });
    expect(answer.status).toBe(408);
    expect(await closed(stopped)).toBe(false);

    const trickling = await open();
    const bytes = call(chat({ padding: "p".repeat(2_000) }));
    const start = performance.now();
    let at = bytes.length - 1_000;
    await trickling.send(bytes.subarray(0, at));
    while (!trickling.ended && performance.now() - start < 5_000) {
      await trickling.send(bytes.subarray(at, ++at));
      await sleep(50);
    }
    expect(trickling.received.toString()).toContain(" 408 ");
    expect(performance.now() - start).toBeLessThan(4_000);
    await idle();
    expect(gateway.fake.log).toHaveLength(0);
  });

  it("F9: an upload that never goes on does not hold the provider's connection", async () => {
    const upload = await open();
    await upload.send(
      requestBytes({ port: gateway.port, target: "/v1/files", headers: gateway.headers("Content-Length", "200000"), body: "begin" }),
    );
    await closed(upload);
    await idle();
    expect(upload.received.toString()).toContain(" 408 ");
    expect(gateway.fake.truncatedRequests).toBeGreaterThan(0);
  });

  it("F9: a refused caller that goes on sending for ever is cut off", async () => {
    const endless = await open();
    await endless.send(`POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-NullSpend-Key: nothing\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const start = performance.now();
    while (!endless.ended && performance.now() - start < 5_000) {
      await endless.send("5\r\nabcde\r\n");
      await sleep(20);
    }
    expect(endless.ended).toBe(true);
    expect(endless.received.toString()).toContain(" 401 ");
  });

  it(`F10: ${IDLERS} idle connections disturb nobody`, async () => {
    // In a process of its own: both ends are files, of which a process may open so many.
    const idlers = spawn(process.execPath, ["-e", OPEN_IDLERS, String(gateway.port), String(IDLERS)], { stdio: "ignore" });
    try {
      await eventually(
        () => gateway.connections(),
        (count) => count === IDLERS,
        30_000,
      );
      const answer = await gateway.send({ target: "/v1/chat/completions", body: chat() });
      expect(answer.status).toBe(200);
    } finally {
      idlers.kill("SIGKILL");
    }
    await eventually(
      () => gateway.connections(),
      (count) => count === 0,
    );
  });

  describe("F11: a body that is too large is 413", () => {
    it.each(["/v1/chat/completions", "/v1/files"])("%s: at the limit it passes, one byte more is refused", async (target) => {
      const limit = target === "/v1/files" ? LIMITS.fileBytesMax : LIMITS.bodyBytesMax;
      const empty = chat({ padding: "" });
      const body = (length: number): string => chat({ padding: "p".repeat(length - empty.length) });
      expect((await gateway.send({ target, body: body(limit) })).status).toBe(200);
      for (const chunkBytes of [undefined, 10_000]) {
        const before = gateway.fake.log.length;
        const answer = await gateway.send({ target, body: body(limit + 1), ...(chunkBytes && { chunkBytes }) });
        expect(answer.status).toBe(413);
        expect(JSON.parse(answer.body.toString())).toMatchObject({ error: { code: "payload_too_large" } });
        expect(gateway.fake.log).toHaveLength(before);
      }
      await idle();
    });

    it("by its announcement alone, before a byte of it is read", async () => {
      for (const target of ["/v1/chat/completions", "/v1/files"]) {
        const connection = await open();
        await connection.send(
          requestBytes({ port: gateway.port, target, headers: gateway.headers("Content-Length", "99999999999"), body: "x" }),
        );
        expect((await connection.response({ method: "POST" })).status).toBe(413);
        connection.socket.destroy();
      }
      expect(gateway.fake.log).toHaveLength(0);
    });
  });

  it("F11: files stream through without being held", async () => {
    const large = await startGatewayServer({ fake: gateway.fake, database: gateway.database });
    try {
      const piece = Buffer.alloc(1024 * 1024, 7);
      const pieces = 64;
      const connection = await RawConnection.connect({ port: large.port });
      const before = process.memoryUsage();
      await connection.send(
        requestBytes({
          port: large.port,
          target: "/v1/files",
          headers: large.headers("Content-Length", String(pieces * piece.length)),
          method: "POST",
        }),
      );
      let peak = 0;
      for (let i = 0; i < pieces; i++) {
        await connection.send(piece);
        peak = Math.max(peak, process.memoryUsage().arrayBuffers - before.arrayBuffers);
      }
      expect((await connection.response({ method: "POST" })).status).toBe(200);
      expect(gateway.fake.log.at(-1)!.request.bodyBytes).toBe(pieces * piece.length);
      // Sockets' own buffers on four ends; not the sixty-four megabytes.
      expect(peak).toBeLessThan(40 * 1024 * 1024);
      connection.socket.destroy();
    } finally {
      await large.close();
    }
  });

  it("F11: callers who together send more than there is room for are 503, and the room is free again when they have gone", async () => {
    const small = await startGatewayServer({ fake: gateway.fake, database: gateway.database, limits: { arrivingBytesMax: 150_000 } });
    try {
      const bytes = requestBytes({
        port: small.port,
        target: "/v1/chat/completions",
        headers: small.headers(),
        body: chat({ padding: "p".repeat(90_000) }),
      });
      const first = await RawConnection.connect({ port: small.port });
      await first.send(bytes.subarray(0, -10));
      await eventually(
        () => small.runtime.gateway.arrivingBodies.bytes,
        (count) => count > 80_000,
      );
      const second = await RawConnection.connect({ port: small.port });
      await second.send(bytes.subarray(0, -10));
      const answer = await second.response({ method: "POST" });
      expect(answer.status).toBe(503);
      expect(answer.header("retry-after")).toBe("1");
      await first.send(bytes.subarray(-10));
      expect((await first.response({ method: "POST" })).status).toBe(200);
      expect(small.runtime.gateway.arrivingBodies.bytes).toBe(0);
      first.socket.destroy();
      second.socket.destroy();
    } finally {
      await small.close();
    }
  });

  it("F11: a body shorter than announced reaches nobody", async () => {
    const connection = await open();
    await connection.send(
      requestBytes({
        port: gateway.port,
        target: "/v1/chat/completions",
        headers: gateway.headers("Content-Length", "5000"),
        body: chat(),
      }),
    );
    connection.hangUp();
    await idle();
    expect(gateway.fake.log).toHaveLength(0);
  });

  it("F12: an encoded request body is 415 where it must be read", async () => {
    const answer = await gateway.send({
      target: "/v1/chat/completions",
      headers: gateway.headers("Content-Encoding", "gzip"),
      body: "xxx",
    });
    expect(answer.status).toBe(415);
    expect(gateway.fake.log).toHaveLength(0);
  });

  describe("F14: odd HTTP", () => {
    it("pipelined requests are answered in order, one at a time", async () => {
      const connection = await open();
      const bodies = ["one", "two", "three"].map((word) => call(chat(), scenario({ body: `{"word":"${word}"}` })));
      await connection.send(Buffer.concat(bodies));
      const answers = [];
      for (let i = 0; i < 3; i++) answers.push((await connection.response({ method: "POST" })).body.toString());
      expect(answers).toEqual(['{"word":"one"}', '{"word":"two"}', '{"word":"three"}']);
      connection.socket.destroy();
      await idle();
    });

    it("a caller who leaves with requests waiting in line: nothing is sent for those, and nothing stays open", async () => {
      const connection = await open();
      const first = call(chat({ stream: true }), ["X-NullSpend-Usage", "passthrough", ...scenario({ holds: [{ at: 1, gate: "f14" }] })]);
      const second = call(chat({ stream: true }));
      await connection.send(Buffer.concat([first, second, second]));
      await gateway.fake.gates.reached("f14");
      connection.reset();
      await gateway.fake.log[0]!.ended;
      await idle();
      expect(gateway.fake.log).toHaveLength(1);
    });

    it("HTTP/1.0 is answered and closed", async () => {
      const connection = await open();
      const text = call(chat({ stream: true }), scenario({ text: "hello" }))
        .toString("latin1")
        .replace("HTTP/1.1", "HTTP/1.0");
      await connection.send(text);
      await closed(connection);
      expect(connection.received.toString()).toMatch(/^HTTP\/1\.1 200/);
      expect(connection.received.toString()).not.toMatch(/transfer-encoding/i);
      expect(connection.received.toString()).toContain("[DONE]");
    });

    it("Expect: 100-continue is answered; other expectations are 417", async () => {
      const connection = await open();
      const bytes = call(chat(), ["Expect", "100-continue"]);
      const head = bytes.subarray(0, bytes.indexOf("\r\n\r\n") + 4);
      await connection.send(head);
      expect(await connection.until((received) => received.includes("100 Continue"))).toBe(true);
      await connection.send(bytes.subarray(head.length));
      expect((await connection.response({ method: "POST" })).status).toBe(200);
      expect(gateway.fake.log[0]!.request.header("expect")).toBeUndefined();
      connection.socket.destroy();
      expect(
        (await gateway.send({ target: "/v1/chat/completions", headers: gateway.headers("Expect", "miracles"), body: chat() })).status,
      ).toBe(417);
    });

    it("trailers are read away, and the connection can be used again", async () => {
      const connection = await open();
      const body = chat();
      const head = requestBytes({
        port: gateway.port,
        method: "POST",
        target: "/v1/chat/completions",
        headers: gateway.headers("Transfer-Encoding", "chunked", "Trailer", "x-sum"),
      });
      await connection.send(Buffer.concat([head, Buffer.from(`${body.length.toString(16)}\r\n${body}\r\n0\r\nx-sum: 1\r\n\r\n`)]));
      expect((await connection.response({ method: "POST" })).status).toBe(200);
      expect(gateway.fake.log[0]!.request.header("trailer")).toBeUndefined();
      await connection.send(call(chat()));
      expect((await connection.response({ method: "POST" })).status).toBe(200);
      connection.socket.destroy();
    });

    it("an offer of HTTP/2 is passed over: the request is answered, body and all", async () => {
      const answer = await gateway.send({
        target: "/v1/chat/completions",
        headers: gateway.headers("Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQAAP__"),
        body: chat(),
      });
      expect(answer.status).toBe(200);
      expect(gateway.fake.log[0]!.request.body.toString()).toBe(chat());
      expect(gateway.fake.log[0]!.request.header("upgrade")).toBeUndefined();
    });

    it("rubbish after a request does not end up in the middle of its answer", async () => {
      const connection = await open();
      await connection.send(call(chat({ stream: true }), scenario({ holds: [{ at: 1, gate: "rubbish" }] })));
      await connection.until((received) => received.includes("data:"));
      await connection.send("\x00\x01rubbish\r\n\r\n");
      gateway.fake.gates.release("rubbish");
      await closed(connection);
      expect(connection.received.toString().match(/HTTP\/1\.1/g)).toHaveLength(1);
      await idle();
    });
  });

  it("F15: slots beyond a key's limit are 429, and every way out gives its slot back", async () => {
    const { orgId } = (await gateway.runtime.prisma.organisation.findFirst({ select: { id: true } }).then((org) => ({ orgId: org!.id })))!;
    await gateway.runtime.prisma.apiKey.updateMany({ where: { orgId }, data: { restrictions: { maxConcurrent: 3 } } });
    await gateway.runtime.prisma.organisation.update({ where: { id: orgId }, data: { configVersion: { increment: 1 } } });
    await sleep(1_000);
    const held = await Promise.all(
      Array.from({ length: 3 }, async (_, i) => {
        const connection = await open();
        void connection.send(call(chat({ stream: true }), scenario({ holds: [{ at: 1, gate: `f15 ${i}` }] })));
        await connection.until((received) => received.includes("data:"));
        return connection;
      }),
    );
    const refused = await gateway.send({ target: "/v1/chat/completions", body: chat() });
    expect(refused.status).toBe(429);
    expect(refused.header("retry-after")).toBe("1");
    expect(JSON.parse(refused.body.toString())).toMatchObject({ error: { code: "concurrency_exceeded" } });
    held[0]!.reset();
    await eventually(openCalls, (count) => count < 3);
    expect((await gateway.send({ target: "/v1/chat/completions", body: chat() })).status).toBe(200);
    for (let i = 0; i < 3; i++) gateway.fake.gates.release(`f15 ${i}`);
    for (const connection of held) connection.socket.destroy();
    for (const fault of [
      { status: 500 },
      { status: 307, headers: ["Location", "https://x.example/"] },
      { fault: { kind: "reset" as const, at: "headers" as const } },
      { fault: { kind: "fin" as const, at: { bytes: 5 } } },
      { statusMessage: "odd" },
    ]) {
      await gateway.send({ target: "/v1/chat/completions", headers: gateway.headers(...scenario(fault)), body: chat() }).catch(() => {});
    }
    await gateway.send({ target: "/v1/chat/completions", body: "not json" });
    await idle();
  });
});
