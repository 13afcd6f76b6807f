/**
 * The load: keep-alive connections that each send the next request when the last answer is complete, over bare sockets so that little
 * of the machine goes to the one who measures. Its own process: `node load.mjs '<json>'`, answers with one line of JSON.
 */
import net from "node:net";
import { percentile, type LoadOrder, type LoadResult } from "./figures";

// Written by run.ts, which shares the type.
const order = JSON.parse(process.argv[2] ?? "{}") as LoadOrder;
const head =
  `POST ${order.path} HTTP/1.1\r\nHost: 127.0.0.1:${order.port}\r\n` +
  Object.entries({ "content-type": "application/json", ...order.headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
const request = Buffer.from(`${head}Content-Length: ${Buffer.byteLength(order.body)}\r\n\r\n${order.body}`);

const latenciesMs: number[] = [];
let errors = 0;
let firstError: string | undefined;
let over = false;

function fail(reason: string): void {
  errors++;
  firstError ??= reason;
}

function connect(): void {
  const socket = net.connect({ port: order.port, host: "127.0.0.1", noDelay: true });
  let pending: Buffer = Buffer.alloc(0);
  let sentAt = 0;
  const send = (): void => {
    sentAt = performance.now();
    socket.write(request);
  };
  socket.on("connect", send);
  socket.on("data", (bytes: Buffer) => {
    pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
    const end = answerEnd(pending);
    if (end === undefined) return;
    const status = pending.toString("latin1", 9, 12);
    if (!over) {
      if (status === "200") latenciesMs.push(performance.now() - sentAt);
      else fail(pending.toString("latin1", 0, 600));
    }
    pending = pending.subarray(end);
    if (over) socket.destroy();
    else send();
  });
  socket.on("error", (error) => {
    if (!over) fail(error.message);
  });
  socket.on("close", () => {
    if (!over) setTimeout(connect, 10);
  });
}

/** Where the first answer in the bytes ends; undefined when it is not all there. */
function answerEnd(bytes: Buffer): number | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = bytes.toString("latin1", 0, headEnd);
  const length = /\r\ncontent-length: ?(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const end = headEnd + 4 + Number(length);
    return bytes.length >= end ? end : undefined;
  }
  // Chunked: the last chunk ends the answer, and nothing follows it, because requests are not pipelined.
  return bytes.subarray(-5).equals(LAST_CHUNK) ? bytes.length : undefined;
}
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

for (let i = 0; i < order.connections; i++) connect();
const startedAt = performance.now();
setTimeout(() => {
  over = true;
  const seconds = (performance.now() - startedAt) / 1000;
  const sorted = Float64Array.from(latenciesMs).sort();
  const result: LoadResult = {
    requests: latenciesMs.length,
    errors,
    ...(firstError !== undefined && { firstError }),
    perSecond: latenciesMs.length / seconds,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
  };
  console.log(JSON.stringify(result));
  // Answers still on their way are let in, so that every request that was sent is also counted by the server as whole.
  setTimeout(() => process.exit(0), 300);
}, order.seconds * 1000);
