import { type Readable, Transform } from "node:stream";
import type { Exchange } from "./exchange";

/** Told apart by name where the failure of a forwarded call is read. */
export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
}

/** The request body as it streams in, broken off once it passes the limit. */
export function limitedBody(exchange: Exchange, bytesMax: number): Readable {
  let length = 0;
  const limited = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      length += chunk.length;
      done(length > bytesMax ? new BodyTooLarge(`more than ${bytesMax} bytes`) : null, chunk);
    },
  });
  exchange.body.on("error", (error) => limited.destroy(error));
  exchange.body.on("close", () => {
    if (!exchange.body.readableEnded) limited.destroy(new Error("the caller left while sending"));
  });
  return exchange.body.pipe(limited);
}
