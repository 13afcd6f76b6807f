/**
 * A provider with no cost of its own: answers every request with the same bytes, straight from the socket. Its own process.
 * Prints its port as one line of JSON.
 */
import net, { type AddressInfo } from "node:net";

const body = JSON.stringify({
  id: "chatcmpl-bench",
  object: "chat.completion",
  created: 1_790_000_000,
  model: "gpt-4o-mini-2024-07-18",
  choices: [{ index: 0, message: { role: "assistant", content: "Hello!", refusal: null }, logprobs: null, finish_reason: "stop" }],
  usage: {
    prompt_tokens: 9,
    completion_tokens: 2,
    total_tokens: 11,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
  },
  service_tier: "default",
  system_fingerprint: "fp_bench",
});
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nopenai-version: 2020-10-01\r\nx-request-id: req_bench\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
);

const server = net.createServer({ noDelay: true }, (socket) => {
  let pending = "";
  socket.on("error", () => socket.destroy());
  socket.on("data", (bytes) => {
    pending += bytes.toString("latin1");
    for (;;) {
      const headEnd = pending.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(pending.slice(0, headEnd))?.[1] ?? "0";
      const end = headEnd + 4 + Number(length);
      if (pending.length < end) return;
      pending = pending.slice(end);
      socket.write(answer);
    }
  });
});
server.listen(0, "127.0.0.1", () => {
  // Listening on TCP, so the address is an object.
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
