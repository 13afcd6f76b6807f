import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";

/** Whose secret it is. Not stored with it: who reads must know it, so a text that was moved to another row says nothing there. */
export type EncryptionContext = {
  orgId: string;
  /** What it is for, `webhook-secret`: two columns of one row do not open each other's. */
  purpose: string;
  rowId: string;
};

export type EncryptionFailure =
  /** Not a text of ours, or cut short. */
  | "malformed"
  /** Encrypted with a key that this process was not given. */
  | "unknown_key"
  /** Changed, or read for another organisation, purpose or row. Which of them cannot be told. */
  | "not_authentic";

/** The only error of `decrypt`. Says what to do about it and never repeats what was read. */
export class EncryptionError extends Error {
  override readonly name = "EncryptionError";
  readonly reason: EncryptionFailure;

  constructor(reason: EncryptionFailure, message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * Secrets that must be read back: AES-256-GCM, as `v1.<keyId>.<nonce>.<ciphertext and tag>` in base64url. Nonces are random, which
 * is safe for 2^32 texts per key (NIST SP 800-38D §8.3).
 */
export interface Encryption {
  /** Of what is encrypted from now on. Texts that do not begin with `v1.<currentKeyId>.` wait to be encrypted anew. */
  readonly currentKeyId: string;
  encrypt(plaintext: string, context: EncryptionContext): string;
  /** Throws `EncryptionError`. */
  decrypt(text: string, context: EncryptionContext): string;
}

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FORM = /^v1\.([0-9a-f]{16})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{22,})$/;

/** @param keys 32 bytes each: what is written uses `current`, what is read may be of any, so that a change of keys needs no pause. */
export function createEncryption({ current, previous = [] }: { current: Buffer; previous?: readonly Buffer[] }): Encryption {
  const ring = new Map([current, ...previous].map((key) => [keyIdOf(key), key]));
  const currentKeyId = keyIdOf(current);

  return {
    currentKeyId,
    encrypt(plaintext, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, current, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(boundTo(context, currentKeyId));
      const sealed = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final(), cipher.getAuthTag()]);
      return `v1.${currentKeyId}.${nonce.toString("base64url")}.${sealed.toString("base64url")}`;
    },
    decrypt(text, context) {
      const { keyId, nonce, sealed } = parse(text);
      const key = ring.get(keyId);
      if (!key) {
        throw new EncryptionError("unknown_key", `It was encrypted with the key ${keyId}, which is not among the keys of this process.`);
      }
      const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(boundTo(context, keyId));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      // Nothing of this leaves before `final` has compared the tag.
      const plaintext = decipher.update(sealed.subarray(0, -TAG_BYTES));
      try {
        decipher.final();
      } catch {
        throw new EncryptionError("not_authentic", "It was changed, or belongs to another organisation, purpose or row.");
      }
      return plaintext.toString("utf8");
    },
  };
}

function parse(text: string): { keyId: string; nonce: Buffer; sealed: Buffer } {
  const [, keyId, nonceText, sealedText] = FORM.exec(text) ?? [];
  const sealed = Buffer.from(sealedText ?? "", "base64url");
  // A last character may carry bits that no byte uses: of all texts that decode to the same bytes, only ours is one.
  if (keyId === undefined || nonceText === undefined || sealed.length < TAG_BYTES || sealed.toString("base64url") !== sealedText) {
    throw new EncryptionError("malformed", "It is not an encrypted text of ours, or it is cut short.");
  }
  return { keyId, nonce: Buffer.from(nonceText, "base64url"), sealed };
}

/** Of the key itself, so that nobody has to name keys, and one cannot be given under another's name. */
function keyIdOf(key: Buffer): string {
  if (key.length !== KEY_BYTES) throw new Error(`an encryption key has ${KEY_BYTES} bytes, not ${key.length}`);
  return createHmac("sha256", key).update("nullspend encryption key id").digest("hex").slice(0, 16);
}

/** As a list in JSON: no two contexts have the same bytes, whatever their parts contain. */
const boundTo = ({ orgId, purpose, rowId }: EncryptionContext, keyId: string): Buffer =>
  Buffer.from(JSON.stringify(["v1", keyId, orgId, purpose, rowId]));
