import { randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What the process signs and encrypts with. */
export type Secrets = {
  /** Signs sessions and links. */
  nextAuthSecret: string;
  /** 32 bytes for AES-256-GCM. */
  encryptionKey: Buffer;
};

export type SecretName = "NEXTAUTH_SECRET" | "ENCRYPTION_KEY";

const nextAuthSecretLengthMin = 32;
const encryptionKeyBytes = 32;
const fileName = "secrets.json";

/** Anywhere in a value they say that it is not one. */
const placeholderPattern =
  /change[-_ ]?me|replace[-_ ]?(me|this|with)|placeholder|example|your[-_ ](own|secret|key|random)|insert[-_ ]|<[^>]*>/i;

/** Words that a made-up secret consists of. A random one may contain some by chance, so only what is left beside them counts. */
const wordPattern =
  /nextauth|encryption|nullspend|password|passphrase|production|secret|default|random|string|please|enough|testing|super|token|value|please|local|long|auth|test|pass|that|this|prod|dev|key|the|not|for|my|is/gi;

const leftOverLengthMin = 16;
const distinctCharactersMin = 8;

/** In words, why a value cannot be used as this secret; undefined where it can. Never repeats the value. */
export function secretProblem(name: SecretName, value: string): string | undefined {
  const expected =
    name === "NEXTAUTH_SECRET"
      ? `at least ${nextAuthSecretLengthMin} random characters (openssl rand -base64 32)`
      : `${encryptionKeyBytes} random bytes as 64 hex characters or as base64 (openssl rand -hex 32)`;
  if (isPlaceholder(value)) return `is a placeholder, expected ${expected}`;
  if (name === "NEXTAUTH_SECRET") return value.length < nextAuthSecretLengthMin ? `is too short, expected ${expected}` : undefined;

  const key = parseEncryptionKey(value);
  if (!key) return `is not usable, expected ${expected}`;
  const bytes = key.toString("latin1");
  // Bytes that are all printable are a text in disguise; random ones never are.
  const isDisguised = isMonotonous(bytes) || isRepeated(bytes) || (/^[ -~]+$/.test(bytes) && isPlaceholder(bytes));
  return isDisguised ? `is a placeholder in base64 or hex, expected ${expected}` : undefined;
}

/** The key's 32 bytes from hex or base64 (also its URL-safe form); undefined for anything else. */
export function parseEncryptionKey(value: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(value)) return Buffer.from(value, "hex");
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(value)) return undefined;
  const key = Buffer.from(value, "base64");
  return key.length === encryptionKeyBytes ? key : undefined;
}

function isPlaceholder(value: string): boolean {
  if (isMonotonous(value) || isRepeated(value) || placeholderPattern.test(value)) return true;
  const leftOver = value.replace(wordPattern, "").replace(/[-_. ]/g, "");
  return leftOver.length < value.length && (leftOver.length < leftOverLengthMin || isMonotonous(leftOver));
}

/** The same few characters, or mostly neighbours in the alphabet like `abcdefghij…` or `1234567…`. */
function isMonotonous(value: string): boolean {
  if (new Set(value).size < distinctCharactersMin) return true;
  let neighbours = 0;
  for (let i = 1; i < value.length; i++) {
    if (Math.abs(value.charCodeAt(i) - value.charCodeAt(i - 1)) === 1) neighbours += 1;
  }
  return neighbours > value.length / 2;
}

/** One piece written several times, like `0123456789abcdef` four times. */
function isRepeated(value: string): boolean {
  return (value + value).indexOf(value, 1) < value.length;
}

/**
 * The secrets of this process: as given, and on the embedded database made once where they are not. Those are kept beside the data,
 * because with another encryption key what is stored could not be read back.
 */
export function loadSecrets(env: {
  database: { kind: "embedded"; dataDir: string } | { kind: "external" };
  secrets: { nextAuthSecret?: string; encryptionKey?: Buffer };
}): Secrets {
  const { nextAuthSecret, encryptionKey } = env.secrets;
  if (nextAuthSecret !== undefined && encryptionKey !== undefined) return { nextAuthSecret, encryptionKey };
  if (env.database.kind === "external") throw new Error("NEXTAUTH_SECRET and ENCRYPTION_KEY must be given with DATABASE_URL");

  const kept = readOrMakeSecrets(env.database.dataDir);
  return { nextAuthSecret: nextAuthSecret ?? kept.nextAuthSecret, encryptionKey: encryptionKey ?? kept.encryptionKey };
}

function readOrMakeSecrets(dataDir: string): Secrets {
  const file = join(dataDir, fileName);
  const found = readSecrets(file);
  if (found) return found;

  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const text = JSON.stringify({
    NEXTAUTH_SECRET: randomBytes(32).toString("base64url"),
    ENCRYPTION_KEY: randomBytes(encryptionKeyBytes).toString("hex"),
  });
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, `${text}\n`, { mode: 0o600, flush: true });
  try {
    // A link appears whole or not at all and never replaces: of two processes that start at once, both use the first one's file.
    linkSync(temporary, file);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  const made = readSecrets(file);
  if (!made) throw new Error(`${file} cannot be read back`);
  return made;
}

/** Undefined where there is no file. One that cannot be used is an error: making new secrets would orphan what the old ones encrypted. */
function readSecrets(file: string): Secrets | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  chmodSync(file, 0o600);
  const { NEXTAUTH_SECRET: nextAuthSecret, ENCRYPTION_KEY: key } = parseObject(text);
  const encryptionKey = typeof key === "string" ? parseEncryptionKey(key) : undefined;
  if (typeof nextAuthSecret !== "string" || nextAuthSecret.length < nextAuthSecretLengthMin || !encryptionKey) {
    throw new Error(`${file} is damaged: restore it from a backup, or delete it to begin anew (what it encrypted is then lost)`);
  }
  return { nextAuthSecret, encryptionKey };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
