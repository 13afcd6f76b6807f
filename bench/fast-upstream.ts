/**
 * A provider with no cost of its own: answers with bytes made beforehand, straight from the socket. Its own process; prints its port
 * as one line of JSON. The header `X-Bench` of a request asks for another answer than the usual short one: `stream=<events>,<gap in
 * ms>` for a stream of events, `bytes=<n>` for a document of about n bytes.
 */
import net, { type AddressInfo, type Socket } from "node:net";

const usage = {
  prompt_tokens: 9,
  completion_tokens: 2,
  total_tokens: 11,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
};
const named = { created: 1_790_000_000, model: "gpt-4o-mini-2024-07-18", service_tier: "default", system_fingerprint: "fp_bench" };
const HEAD = "HTTP/1.1 200 OK\r\nopenai-version: 2020-10-01\r\nx-request-id: req_bench\r\n";

function documentOf(content: string): Buffer {
  const message = { role: "assistant", content, refusal: null };
  const choices = [{ index: 0, message, logprobs: null, finish_reason: "stop" }];
  const body = JSON.stringify({ id: "chatcmpl-bench", object: "chat.completion", ...named, choices, usage });
  return Buffer.from(`${HEAD}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

function eventOf(rest: object): string {
  return `data: ${JSON.stringify({ id: "chatcmpl-bench", object: "chat.completion.chunk", ...named, ...rest })}\n\n`;
}

/** One piece of a chunked body. */
const chunkOf = (text: string): Buffer => Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);

const answer = documentOf("Hello!");
const documents = new Map<number, Buffer>();
const streamHead = Buffer.from(`${HEAD}Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n`);
const event = chunkOf(eventOf({ choices: [{ index: 0, delta: { content: " word" }, logprobs: null, finish_reason: null }], usage: null }));
const streamEnd = Buffer.concat([
  chunkOf(eventOf({ choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: "stop" }], usage: null })),
  chunkOf(eventOf({ choices: [], usage })),
  chunkOf("data: [DONE]\n\n"),
  Buffer.from("0\r\n\r\n"),
]);

function reply(socket: Socket, order: string | undefined): void {
  const bytes = /^bytes=(\d+)$/.exec(order ?? "")?.[1];
  const stream = /^stream=(\d+),(\d+)$/.exec(order ?? "");
  if (stream) sendStream(socket, Number(stream[1]), Number(stream[2]));
  else if (bytes === undefined) socket.write(answer);
  else {
    const length = Number(bytes);
    let document = documents.get(length);
    if (document === undefined) documents.set(length, (document = documentOf("word ".repeat(length / 5))));
    socket.write(document);
  }
}

function sendStream(socket: Socket, events: number, gapMs: number): void {
  socket.write(streamHead);
  let left = events;
  const next = (): void => {
    if (socket.destroyed) return;
    if (left === 0) {
      socket.write(streamEnd);
      return;
    }
    left -= 1;
    const goesOn = socket.write(event);
    if (gapMs > 0 && left > 0) setTimeout(next, gapMs);
    else if (goesOn) setImmediate(next);
    else socket.once("drain", next);
  };
  next();
}

const server = net.createServer({ noDelay: true }, (socket) => {
  let head = "";
  /** What of the current request's body is still to come. */
  let bodyLeft = 0;
  let order: string | undefined;
  socket.on("error", () => socket.destroy());
  socket.on("data", (bytes) => {
    let rest: Buffer = bytes;
    for (;;) {
      if (bodyLeft > 0) {
        const taken = Math.min(bodyLeft, rest.length);
        bodyLeft -= taken;
        rest = rest.subarray(taken);
        if (bodyLeft > 0) return;
        reply(socket, order);
      }
      if (rest.length === 0) return;
      head += rest.toString("latin1");
      const headEnd = head.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      rest = Buffer.from(head.slice(headEnd + 4), "latin1");
      const fields = head.slice(0, headEnd);
      head = "";
      order = /\r\nx-bench: ([^\r]*)/i.exec(fields)?.[1];
      bodyLeft = Number(/\r\ncontent-length: (\d+)/i.exec(fields)?.[1] ?? "0");
      if (bodyLeft === 0) reply(socket, order);
    }
  });
});
// A thousand connections may come at once.
server.listen({ port: 0, host: "127.0.0.1", backlog: 2048 }, () => {
  // Listening on TCP, so the address is an object.
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
