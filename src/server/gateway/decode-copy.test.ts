import { randomBytes } from "node:crypto";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { DECODABLE_ENCODINGS, createBodyDecoder } from "./decode-copy";

const TEXT = Buffer.from("data: é😀 and more and more\n\n".repeat(500));

async function decode(
  encoding: string,
  bytes: Buffer,
  options: Parameters<typeof createBodyDecoder>[2] = {},
  step = bytes.length,
): Promise<{ text: Buffer; problem: string | undefined }> {
  const pieces: Buffer[] = [];
  const decoder = createBodyDecoder(encoding, (chunk) => pieces.push(Buffer.from(chunk)), options);
  for (let i = 0; i < bytes.length; i += step) decoder.push(bytes.subarray(i, i + step));
  await decoder.finish();
  return { text: Buffer.concat(pieces), problem: decoder.problem };
}

describe("decoding a copy", () => {
  it.each([
    ["gzip", gzipSync(TEXT)],
    [" GZIP ", gzipSync(TEXT)],
    ["x-gzip", gzipSync(TEXT)],
    ["deflate", deflateSync(TEXT)],
    ["deflate", deflateRawSync(TEXT)],
    ["br", brotliCompressSync(TEXT)],
    ["identity", TEXT],
  ])("gives the bytes of %s, in order, whatever the pieces", async (encoding, bytes) => {
    for (const step of [1, 7, 1000, bytes.length])
      expect(await decode(encoding, bytes, {}, step)).toEqual({ text: TEXT, problem: undefined });
  });

  it("gives what there is of an answer that was cut short", async () => {
    for (const [encoding, bytes] of [
      ["gzip", gzipSync(TEXT)],
      ["br", brotliCompressSync(TEXT)],
    ] as const) {
      const { text, problem } = await decode(encoding, bytes.subarray(0, bytes.length - 6));
      expect(problem).toBeUndefined();
      expect(TEXT.subarray(0, text.length).equals(text)).toBe(true);
    }
  });

  it("gives up on bytes that are not what the header says, and keeps what came before", async () => {
    expect(await decode("gzip", TEXT)).toEqual({ text: Buffer.alloc(0), problem: "broken" });
    const long = randomBytes(200_000);
    const wrongSum = gzipSync(long);
    wrongSum.writeUInt32LE(1, wrongSum.length - 8);
    const { text, problem } = await decode("gzip", wrongSum, {}, 10_000);
    expect(problem).toBe("broken");
    expect(text.length).toBeGreaterThan(100_000);
    expect(long.subarray(0, text.length).equals(text)).toBe(true);
  });

  it.each(["gzip, gzip", "compress", "nonsense"])("does not decode %s", async (encoding) => {
    expect(await decode(encoding, gzipSync(gzipSync(TEXT)))).toEqual({ text: Buffer.alloc(0), problem: "unsupported" });
  });

  // A few kilobytes that unfold to gigabytes would take the process down with every stream in it.
  it("stops a bomb at the cap", async () => {
    const { text, problem } = await decode("gzip", gzipSync(Buffer.alloc(50 * 1024 * 1024)), { decodedBytesMax: 1024 * 1024 });
    expect(problem).toBe("too-large");
    expect(text.length).toBeLessThanOrEqual(1024 * 1024);
  });

  it("asks only for codings that it can decode", async () => {
    expect([...DECODABLE_ENCODINGS].filter((encoding) => encoding !== "zstd")).toEqual(["gzip", "deflate", "br"]);
    if (!DECODABLE_ENCODINGS.has("zstd")) expect((await decode("zstd", Buffer.from([1, 2, 3]))).problem).toBe("unsupported");
  });

  it("finishes at once when nothing came, and twice as once", async () => {
    const decoder = createBodyDecoder("gzip", () => {});
    await decoder.finish();
    await decoder.finish();
    expect(decoder.problem).toBeUndefined();
  });
});
