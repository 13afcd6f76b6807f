import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEncryption, EncryptionError, type EncryptionContext, type EncryptionFailure } from "./encryption";

// What would break in production: whoever can write rows moves another company's secret into their own and has it read to them; or a
// change of keys makes every webhook secret unreadable at once.

const LONG = process.env.NULLSPEND_LONG === "1";
const SAMPLES = LONG ? 1_000_000 : 20_000;
const SECRET = "whsec_canary-of-the-plaintext";
const context: EncryptionContext = { orgId: "org-1", purpose: "webhook-secret", rowId: "row-1" };
const newKey = (): Buffer => randomBytes(32);

/** Why it could not be read. Whatever the error says, it is neither the text nor what was in it. */
function failure(read: () => string, ...secrets: string[]): EncryptionFailure {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(EncryptionError);
    const said = `${String(error)} ${(error as Error).stack} ${JSON.stringify(error)}`;
    for (const secret of [SECRET, ...secrets]) expect(said).not.toContain(secret);
    expect((error as Error).cause).toBeUndefined();
    return (error as EncryptionError).reason;
  }
  throw new Error("it was read");
}

it("what was encrypted is read back, whatever it is", () => {
  const encryption = createEncryption({ current: newKey() });
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 500 }), fc.string(), fc.string(), (text, orgId, rowId) => {
      const own = { orgId, purpose: "p", rowId };
      const encrypted = encryption.encrypt(text, own);
      expect(encrypted).toMatch(/^v1\.[0-9a-f]{16}\.[\w-]{16}\.[\w-]{22,}$/);
      expect(encryption.decrypt(encrypted, own)).toBe(text);
    }),
  );
});

it("a key of another length is refused when the process starts", () => {
  for (const length of [0, 16, 31, 33]) expect(() => createEncryption({ current: randomBytes(length) })).toThrow(/has 32 bytes/);
  expect(() => createEncryption({ current: newKey(), previous: [Buffer.alloc(0)] })).toThrow(/has 32 bytes/);
});

describe("N5: what cannot be trusted is not read", () => {
  const encryption = createEncryption({ current: newKey() });
  const encrypted = encryption.encrypt(SECRET, context);

  it.each([
    ["another organisation", { ...context, orgId: "org-2" }],
    ["another purpose", { ...context, purpose: "slack-token" }],
    ["another row", { ...context, rowId: "row-2" }],
    ["parts that move over their border", { orgId: 'org-1","webhook-secret', purpose: "row-1", rowId: "" }],
    ["nothing", { orgId: "", purpose: "", rowId: "" }],
  ])("N5: moved to %s", (_name, other) => {
    expect(failure(() => encryption.decrypt(encrypted, other))).toBe("not_authentic");
  });

  it("N5: with any bit of it turned", () => {
    const [version, keyId, nonce, sealed] = encrypted.split(".") as [string, string, string, string];
    for (const [index, part] of [nonce, sealed].entries()) {
      const bytes = Buffer.from(part, "base64url");
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const turned = Buffer.from(bytes);
        turned[bit >> 3]! ^= 1 << (bit & 7);
        const text = turned.toString("base64url");
        const changed = index === 0 ? [version, keyId, text, sealed] : [version, keyId, nonce, text];
        expect(failure(() => encryption.decrypt(changed.join("."), context))).toBe("not_authentic");
      }
    }
  });

  it("N5: with any character of it replaced, added or taken away", () => {
    for (let at = 0; at < encrypted.length; at++) {
      for (const other of ["A", "_", "=", ".", " ", "\n", ""]) {
        const changed = encrypted.slice(0, at) + other + encrypted.slice(at + 1);
        if (changed !== encrypted) failure(() => encryption.decrypt(changed, context));
      }
      failure(() => encryption.decrypt(`${encrypted.slice(0, at)}A${encrypted.slice(at)}`, context));
    }
    failure(() => encryption.decrypt(`${encrypted}\n`, context));
  });

  it("N5: cut short at any place", () => {
    for (let length = 0; length < encrypted.length; length++) failure(() => encryption.decrypt(encrypted.slice(0, length), context));
    expect(failure(() => encryption.decrypt("", context))).toBe("malformed");
    expect(failure(() => encryption.decrypt(SECRET, context))).toBe("malformed");
    expect(failure(() => encryption.decrypt(encrypted.replace("v1.", "v2."), context))).toBe("malformed");
  });

  it("N5: with the id of a key that there never was, or of another key of ours", () => {
    const keys = [newKey(), newKey()] as const;
    const both = createEncryption({ current: keys[0], previous: [keys[1]] });
    const text = both.encrypt(SECRET, context);
    const named = (keyId: string): string => text.replace(both.currentKeyId, keyId);
    expect(failure(() => both.decrypt(named("0".repeat(16)), context))).toBe("unknown_key");
    const other = createEncryption({ current: keys[1] }).currentKeyId;
    expect(failure(() => both.decrypt(named(other), context))).toBe("not_authentic");
  });

  it("N5: without the key it was encrypted with", () => {
    const key = newKey();
    const said = failure(() => createEncryption({ current: key }).decrypt(encrypted, context), key.toString("hex"), encrypted);
    expect(said).toBe("unknown_key");
  });
});

it(`N6: ${SAMPLES} texts with one key have as many nonces, and no two are the same`, () => {
  const encryption = createEncryption({ current: newKey() });
  const nonces = new Set<string>();
  const texts = new Set<string>();
  for (let i = 0; i < SAMPLES; i++) {
    const text = encryption.encrypt(SECRET, context);
    nonces.add(text.split(".")[2]!);
    texts.add(text.split(".")[3]!);
  }
  expect(nonces.size).toBe(SAMPLES);
  expect(texts.size).toBe(SAMPLES);
}, 120_000);

describe("N7: keys change", () => {
  it("N7: while both are known, old and new texts are read, whoever writes with which", () => {
    const [old, next] = [newKey(), newKey()];
    // Two processes in the middle of a change: one has not been started anew yet, but knows the key to come.
    const before = createEncryption({ current: old, previous: [next] });
    const after = createEncryption({ current: next, previous: [old] });
    const texts = [before.encrypt(SECRET, context), after.encrypt(SECRET, context)];
    expect(texts[0]).toContain(`v1.${before.currentKeyId}.`);
    expect(texts[1]).toContain(`v1.${after.currentKeyId}.`);
    expect(before.currentKeyId).not.toBe(after.currentKeyId);
    for (const encryption of [before, after]) for (const text of texts) expect(encryption.decrypt(text, context)).toBe(SECRET);
  });

  it("N7: a text encrypted anew needs the old key no more, and one that was not fails cleanly, beside texts that are read", () => {
    const [old, next] = [newKey(), newKey()];
    const forgotten = createEncryption({ current: old }).encrypt(SECRET, context);
    const both = createEncryption({ current: next, previous: [old] });
    const anew = both.encrypt(both.decrypt(forgotten, context), context);
    const alone = createEncryption({ current: next });
    expect(alone.decrypt(anew, context)).toBe(SECRET);
    expect(failure(() => alone.decrypt(forgotten, context), old.toString("hex"), next.toString("hex"))).toBe("unknown_key");
    expect(alone.decrypt(anew, context)).toBe(SECRET);
  });

  it("N7: a key lost and given again reads its texts again", () => {
    const key = newKey();
    const text = createEncryption({ current: key }).encrypt(SECRET, context);
    expect(createEncryption({ current: newKey(), previous: [newKey(), Buffer.from(key)] }).decrypt(text, context)).toBe(SECRET);
  });
});
