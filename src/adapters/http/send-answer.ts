import { API_VERSION, type Exchange } from "@/server/gateway";
import type { RestAnswer } from "./route";

type Sending = { exchange: Exchange; requestId: string; headers?: readonly string[] };

/** Writes an answer whole, or as a stream at the pace the caller reads it. HEAD gets the head of what GET would get. */
export async function sendAnswer(answer: RestAnswer, { exchange, requestId, headers = [] }: Sending): Promise<void> {
  if (exchange.aborted) return;
  const common = [
    "x-request-id",
    requestId,
    "cache-control",
    "private, no-store",
    "x-content-type-options",
    "nosniff",
    "nullspend-version",
    API_VERSION,
    ...headers,
  ];
  const isHead = exchange.method === "HEAD";
  if (answer.kind === "stream") {
    const disposition = `attachment; filename="${answer.fileName}"`;
    exchange.writeHead(answer.status, ["content-type", answer.contentType, "content-disposition", disposition, ...common]);
    if (!isHead) await sendChunks(answer.chunks, exchange);
    exchange.end();
    return;
  }
  const [contentType, text] =
    answer.kind === "json" ? ["application/json; charset=utf-8", JSON.stringify(answer.body)] : [answer.contentType, answer.text];
  const bytes = Buffer.from(text);
  exchange.writeHead(answer.status, ["content-type", contentType, "content-length", String(bytes.length), ...common]);
  exchange.end(isHead ? undefined : bytes);
}

/** Stops reading the source when the caller leaves: leaving the loop ends the iterator, and with it the query behind it. */
async function sendChunks(chunks: AsyncIterable<string | Uint8Array>, exchange: Exchange): Promise<void> {
  // One listener for the whole stream, which may wait a hundred thousand times.
  let wake = (): void => {};
  exchange.onAbort(() => wake());
  for await (const chunk of chunks) {
    if (exchange.aborted) return;
    const flowing = exchange.write(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
    if (flowing || exchange.aborted) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
      exchange.onDrain(resolve);
    });
  }
}
