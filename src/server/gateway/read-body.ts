import type { Exchange } from "./exchange";

export type ReadBody =
  | { outcome: "read"; body: Buffer }
  | { outcome: "too-large" }
  | { outcome: "too-slow" }
  | { outcome: "no-room" }
  | { outcome: "gone" };

/**
 * Reads the whole request body, counting while reading: a body past the limit is refused before it is held in memory. One that
 * trickles in is given up, or callers that never finish would fill the memory with what they have sent so far.
 *
 * @param arriving what all bodies that are not complete yet hold together; past its limit this one is refused.
 */
export function readBody(
  exchange: Exchange,
  limits: { bytesMax: number; idleMs: number; totalMs: number },
  arriving: { bytes: number; readonly bytesMax: number } = { bytes: 0, bytesMax: Infinity },
): Promise<ReadBody> {
  const { bytesMax, idleMs, totalMs } = limits;
  const { body } = exchange;
  const declared = exchange.header("content-length");
  if (declared !== undefined && Number(declared) > bytesMax) return Promise.resolve({ outcome: "too-large" });
  // A stream that broke while the key was looked up says so no more.
  if (body.destroyed && !body.readableEnded) return Promise.resolve({ outcome: "gone" });
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const startedAt = performance.now();
    let lastAt = startedAt;
    const stopWatching = watched(Math.min(idleMs, totalMs) / 4, () => {
      const now = performance.now();
      if (now - lastAt >= idleMs || now - startedAt >= totalMs) finish({ outcome: "too-slow" });
    });
    const finish = (result: ReadBody): void => {
      stopWatching();
      arriving.bytes -= length;
      body.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone);
      // A stream without an error listener would take the process down when the connection breaks later.
      body.on("error", () => {});
      if (result.outcome !== "read") body.pause();
      resolve(result);
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      arriving.bytes += chunk.length;
      lastAt = performance.now();
      if (length > bytesMax) finish({ outcome: "too-large" });
      else if (arriving.bytes > arriving.bytesMax) finish({ outcome: "no-room" });
      else chunks.push(chunk);
    };
    const onEnd = (): void => finish({ outcome: "read", body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length) });
    const onGone = (): void => finish({ outcome: "gone" });
    body.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
  });
}

type Watch = { readonly checks: Set<() => void>; readonly timer: NodeJS.Timeout };
const watches = new Map<number, Watch>();

/**
 * Has something looked at now and then, until the returned function is called. One timer serves all that is looked at equally often:
 * most bodies are there at once, and a timer for each would cost more than reading it.
 */
function watched(everyMs: number, check: () => void): () => void {
  let watch = watches.get(everyMs);
  if (watch === undefined) {
    const checks = new Set<() => void>();
    const look = (): void => {
      for (const each of checks) each();
      if (checks.size > 0) return;
      clearInterval(timer);
      watches.delete(everyMs);
    };
    const timer = setInterval(look, everyMs).unref();
    watch = { checks, timer };
    watches.set(everyMs, watch);
  }
  const { checks } = watch;
  checks.add(check);
  return () => checks.delete(check);
}
