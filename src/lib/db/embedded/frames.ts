// The part of Postgres' wire protocol (version 3, https://www.postgresql.org/docs/current/protocol-message-formats.html) that a
// server needs which hands messages on without looking into most of them.

/** First bytes of the messages of a client that mean something here. */
export const CLIENT = {
  parse: 0x50,
  bind: 0x42,
  describe: 0x44,
  close: 0x43,
  sync: 0x53,
  flush: 0x48,
  query: 0x51,
  password: 0x70,
  copyData: 0x64,
  copyDone: 0x63,
  copyFail: 0x66,
  terminate: 0x58,
} as const;

export type Frame =
  /** Asks for encryption; answered with a refusal, after which the client goes on in the clear. */
  | { kind: "encryption-request" }
  | { kind: "cancel-request" }
  | { kind: "startup"; bytes: Buffer }
  /** `bytes` is the whole message, type and length included. */
  | { kind: "message"; type: number; bytes: Buffer };

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;
const CANCEL_REQUEST = 80_877_102;
/** A quarter of what Postgres allows: the embedded one has the memory of a 32-bit process. */
const FRAME_BYTES_MAX = 256 * 1024 * 1024;

/** Cuts what a client sends into messages, however the network cut it. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;
  #isStarted = false;

  /**
   * @returns the messages that are complete now.
   * @throws when the bytes cannot be the protocol: nothing after them can be told apart any more.
   */
  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const frames: Frame[] = [];
    for (let bytes = this.#takeFrame(); bytes !== undefined; bytes = this.#takeFrame()) frames.push(this.#read(bytes));
    return frames;
  }

  #takeFrame(): Buffer | undefined {
    // The first messages of a connection have no type byte, only a length and a code.
    const headerLength = this.#isStarted ? 5 : 8;
    if (this.#length < headerLength) return undefined;
    if (this.#chunks[0]!.length < headerLength) this.#join();
    const head = this.#chunks[0]!;
    const size = this.#isStarted ? 1 + head.readInt32BE(1) : head.readInt32BE(0);
    if (size < headerLength || size > FRAME_BYTES_MAX) throw new Error(`a message of ${size} bytes cannot be`);
    if (this.#length < size) return undefined;

    // Joined once per message, when it is complete: joining at every chunk would copy a large one again and again.
    if (head.length < size) this.#join();
    const all = this.#chunks[0]!;
    if (all.length > size) this.#chunks[0] = all.subarray(size);
    else this.#chunks.shift();
    this.#length -= size;
    return all.subarray(0, size);
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }

  #read(bytes: Buffer): Frame {
    if (this.#isStarted) return { kind: "message", type: bytes[0]!, bytes };
    switch (bytes.readInt32BE(4)) {
      case SSL_REQUEST:
      case GSS_REQUEST:
        return { kind: "encryption-request" };
      case CANCEL_REQUEST:
        return { kind: "cancel-request" };
      default:
        this.#isStarted = true;
        return { kind: "startup", bytes };
    }
  }
}

/** A message: type, length, body. */
export function frame(type: number, body: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(5 + body.length);
  bytes[0] = type;
  bytes.writeInt32BE(4 + body.length, 1);
  body.copy(bytes, 5);
  return bytes;
}

export const queryFrame = (sql: string): Buffer => frame(CLIENT.query, Buffer.from(`${sql}\0`));
export const syncFrame = (): Buffer => frame(CLIENT.sync, Buffer.alloc(0));
export const closeStatementFrame = (name: string): Buffer => frame(CLIENT.close, Buffer.from(`S${name}\0`));

/** An ErrorResponse after which the server closes the connection. */
export const fatalFrame = (sqlState: string, message: string): Buffer =>
  frame(0x45, Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0M${message}\0\0`));

/** AuthenticationCleartextPassword. */
export const passwordRequestFrame = (): Buffer => frame(0x52, Buffer.from([0, 0, 0, 3]));

/** The text that a message holds at `start`, up to its zero byte. */
export const textAt = (bytes: Buffer, start: number): string => bytes.toString("utf8", start, bytes.indexOf(0, start));

/** Where a message names a prepared statement; undefined when it names none or the unnamed one. */
function statementNameStart(type: number, bytes: Buffer): number | undefined {
  const start = (): number | undefined => {
    switch (type) {
      case CLIENT.parse:
        return 5;
      case CLIENT.bind:
        return bytes.indexOf(0, 5) + 1; // After the portal's name.
      case CLIENT.describe:
      case CLIENT.close:
        return bytes[5] === 0x53 ? 6 : undefined; // 'S' statement, 'P' portal.
      default:
        return undefined;
    }
  };
  const at = start();
  return at === undefined || bytes[at] === 0 ? undefined : at;
}

/** The same message with `prefix` before the name of the prepared statement, and the new name; unchanged where it names none. */
export function prefixStatement(type: number, bytes: Buffer, prefix: string): { bytes: Buffer; name: string | undefined } {
  const at = statementNameStart(type, bytes);
  if (at === undefined) return { bytes, name: undefined };
  const name = prefix + textAt(bytes, at);
  const renamed = Buffer.concat([bytes.subarray(0, at), Buffer.from(prefix), bytes.subarray(at)]);
  renamed.writeInt32BE(renamed.length - 1, 1);
  return { bytes: renamed, name };
}

const COPY_REFUSAL = `do $$ begin raise exception 'COPY FROM STDIN is not available on the embedded database' using errcode = '0A000'; end $$`;

/**
 * PGlite never comes back from COPY FROM STDIN. In its place runs a statement that fails, so that the database itself answers
 * the error and knows that the transaction has failed.
 */
export function withoutCopyFromStdin(type: number, bytes: Buffer): Buffer {
  if (type !== CLIENT.query && type !== CLIENT.parse) return bytes;
  const sqlStart = type === CLIENT.query ? 5 : bytes.indexOf(0, 5) + 1;
  const sql = textAt(bytes, sqlStart);
  // Words in this order, wherever they stand: better to refuse a text that only speaks of it than to lose the database.
  if (!/\bstdin\b/i.test(sql) || !/\bcopy\b.*\bfrom\b.*\bstdin\b/is.test(sql)) return bytes;
  if (type === CLIENT.query) return queryFrame(COPY_REFUSAL);
  return frame(type, Buffer.concat([bytes.subarray(5, sqlStart), Buffer.from(`${COPY_REFUSAL}\0`), Buffer.from([0, 0])]));
}

/** Transaction status of a ReadyForQuery that ends an answer: idle, in a transaction, in a failed one; undefined: there is none. */
export function readyStatus(tail: Buffer): "idle" | "transaction" | "failed" | undefined {
  if (tail.length < 6) return undefined;
  const last = tail.subarray(-6);
  if (last[0] !== 0x5a || last.readInt32BE(1) !== 5) return undefined;
  switch (String.fromCharCode(last[5]!)) {
    case "I":
      return "idle";
    case "T":
      return "transaction";
    case "E":
      return "failed";
    default:
      return undefined;
  }
}
