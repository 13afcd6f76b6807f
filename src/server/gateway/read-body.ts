import type { Exchange } from "./exchange";

export type ReadBody = { outcome: "read"; body: Buffer } | { outcome: "too-large" } | { outcome: "gone" };

/** Reads the whole request body, counting while reading: a body past the limit is refused before it is held in memory. */
export function readBody(exchange: Exchange, bytesMax: number): Promise<ReadBody> {
  const declared = exchange.header("content-length");
  if (declared !== undefined && Number(declared) > bytesMax) return Promise.resolve({ outcome: "too-large" });
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (result: ReadBody): void => {
      exchange.body.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone);
      // A stream without an error listener would take the process down when the connection breaks later.
      exchange.body.on("error", () => {});
      resolve(result);
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > bytesMax) {
        exchange.body.pause();
        finish({ outcome: "too-large" });
        return;
      }
      chunks.push(chunk);
    };
    const onEnd = (): void => finish({ outcome: "read", body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length) });
    const onGone = (): void => finish({ outcome: "gone" });
    exchange.body.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
  });
}
