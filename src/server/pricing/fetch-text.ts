import { request } from "undici";

/** Reads a text from an address. Injected, so that tests and air-gapped installations decide what that means. */
export type FetchText = (url: string) => Promise<string>;

const TIMEOUT_MS = 30_000;
/** The lists are some megabytes long. */
const BYTES_MAX = 32 * 1024 * 1024;

/**
 * Reads a list over HTTPS. Fails closed: the caller keeps the prices it has.
 *
 * @throws when the answer is not 200, is a redirect, takes longer than half a minute, or is longer than 32 MiB.
 */
export async function fetchText(
  url: string,
  { timeoutMs = TIMEOUT_MS, bytesMax = BYTES_MAX }: { timeoutMs?: number; bytesMax?: number } = {},
): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  const { statusCode, body } = await request(url, { signal, headers: { accept: "application/json" } });
  if (statusCode !== 200) {
    await body.dump();
    throw new Error(`${new URL(url).host} answered ${statusCode}`);
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bytesMax) {
      body.destroy();
      throw new Error(`${new URL(url).host} sent more than ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
