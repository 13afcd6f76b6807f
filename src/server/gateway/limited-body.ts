import { type Readable, Transform } from "node:stream";
import type { Exchange } from "./exchange";

/** Told apart by name where the failure of a forwarded call is read. */
export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
}
export class BodyTooSlow extends Error {
  override readonly name = "BodyTooSlow";
}

/**
 * The request body as it streams in, broken off once it passes the limit, or when the caller sends nothing for too long. Time in
 * which the provider does not take what is there is not held against the caller.
 */
export function limitedBody(exchange: Exchange, limits: { bytesMax: number; idleMs: number }): Readable {
  const { bytesMax, idleMs } = limits;
  let length = 0;
  const limited = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      length += chunk.length;
      idle.refresh();
      done(length > bytesMax ? new BodyTooLarge(`more than ${bytesMax} bytes`) : null, chunk);
    },
  });
  const idle = setInterval(() => {
    if (!limited.writableNeedDrain) limited.destroy(new BodyTooSlow(`no byte in ${idleMs} ms`));
  }, idleMs);
  limited.once("close", () => clearInterval(idle));
  const { body } = exchange;
  const leave = (): void => void limited.destroy(new Error("the caller left while sending"));
  // A stream that broke while its key was looked up says so no more.
  if (body.destroyed && !body.readableEnded) leave();
  body.on("error", (error) => limited.destroy(error));
  body.on("close", () => {
    if (!body.readableEnded) leave();
  });
  body.on("end", () => clearInterval(idle));
  return body.pipe(limited);
}
