import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from "node:crypto";
import { promisify } from "node:util";

const deriveKey = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/** OWASP's scrypt setting for 32 MiB: N = 2^15, r = 8, p = 3. About 0.3 s on one core. */
const COST = { N: 2 ** 15, r: 8, p: 3 };
const HASH_BYTES = 32;
/** Stored costs above these are not ours; computing them would let one row hold up the process. */
const COST_MAX = { N: 2 ** 18, r: 16, p: 8 };

export const PASSWORD_LENGTH_MIN = 8;
/** Longer ones are refused rather than cut: scrypt hashes any length, but nobody types this much. */
export const PASSWORD_LENGTH_MAX = 256;

/** @returns `scrypt$N$r$p$salt$hash`, salt and hash in base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, COST);
  return ["scrypt", COST.N, COST.r, COST.p, salt.toString("base64url"), hash.toString("base64url")].join("$");
}

/** False also for what {@link hashPassword} did not write. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const match = /^scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([\w-]{16,64})\$([\w-]{43})$/.exec(stored);
  if (!match || password.length > PASSWORD_LENGTH_MAX) return false;
  const cost = { N: Number(match[1]), r: Number(match[2]), p: Number(match[3]) };
  const isPowerOfTwo = cost.N > 1 && (cost.N & (cost.N - 1)) === 0;
  if (!isPowerOfTwo || cost.r < 1 || cost.p < 1 || cost.N > COST_MAX.N || cost.r > COST_MAX.r || cost.p > COST_MAX.p) return false;
  const expected = Buffer.from(match[5]!, "base64url");
  const actual = await derive(password, Buffer.from(match[4]!, "base64url"), cost);
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

/** NFKC: the same password typed on two keyboards may arrive in two forms. */
function derive(password: string, salt: Buffer, cost: typeof COST): Promise<Buffer> {
  return deriveKey(password.normalize("NFKC"), salt, HASH_BYTES, { ...cost, maxmem: 256 * cost.N * cost.r });
}
