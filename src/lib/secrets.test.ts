import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadSecrets, parseEncryptionKey, secretProblem } from "./secrets";

// A process that starts with a guessable secret lets anybody sign sessions: refused at boot, by name, is the only safe answer.
describe("secretProblem", () => {
  it.each([
    "changeme",
    "secret",
    "change-me-change-me-change-me-change-me",
    "your-secret-here-your-secret-here-1234",
    "replace-with-openssl-rand-base64-32-xx",
    "<generate one with openssl rand -base64 32>",
    "test-secret-test-secret-test-secret-32",
    "my-super-secret-key-that-is-long-enough",
    "mysecretpassword1234567890123456",
    "a".repeat(40),
    "ab".repeat(20),
    "0123456789abcdef".repeat(4),
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "12345678901234567890123456789012",
    "example-example-3f8a9d2c-example-example",
  ])("refuses %s as either secret", (value) => {
    expect(secretProblem("NEXTAUTH_SECRET", value)).toBeDefined();
    expect(secretProblem("ENCRYPTION_KEY", value)).toBeDefined();
  });

  it("refuses a placeholder that was written in base64 or hex", () => {
    const text = "changeme-changeme-changeme-12345";
    expect(secretProblem("ENCRYPTION_KEY", Buffer.from(text).toString("base64"))).toMatch(/placeholder/);
    expect(secretProblem("ENCRYPTION_KEY", Buffer.from(text).toString("hex"))).toMatch(/placeholder/);
    expect(secretProblem("ENCRYPTION_KEY", Buffer.alloc(32).toString("base64"))).toMatch(/placeholder/);
  });

  it("refuses a secret one character short, and a key one byte short or long", () => {
    const random = "tQ8vZr1LxWc5Jm0HsYb7Ek3Nf9Gd2Pu6";
    expect(secretProblem("NEXTAUTH_SECRET", random)).toBeUndefined();
    expect(secretProblem("NEXTAUTH_SECRET", random.slice(1))).toMatch(/too short/);
    for (const bytes of [31, 33]) {
      const key = Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 97 + 13) % 256));
      expect(secretProblem("ENCRYPTION_KEY", key.toString("hex"))).toBeDefined();
      expect(secretProblem("ENCRYPTION_KEY", key.toString("base64"))).toBeDefined();
    }
  });

  it("never repeats the value it refuses", () => {
    for (const value of ["changeme-s3cr3t-canary", "tooShort-c4n4ry"]) {
      expect(secretProblem("NEXTAUTH_SECRET", value)).not.toContain(value);
      expect(secretProblem("ENCRYPTION_KEY", value)).not.toContain(value);
    }
  });

  it("accepts what random bytes give, in every form that is documented", () => {
    fc.assert(
      // Uniform bytes, as a generator makes them: fast-check's own arrays lean towards repetition.
      fc.property(fc.infiniteStream(fc.noBias(fc.integer({ min: 0, max: 255 }))), (stream) => {
        const key = Buffer.from([...stream.take(32)]);
        fc.pre(new Set(key).size > 16);
        for (const form of ["hex", "base64", "base64url"] as const) {
          expect(secretProblem("ENCRYPTION_KEY", key.toString(form))).toBeUndefined();
          expect(secretProblem("NEXTAUTH_SECRET", key.toString(form))).toBeUndefined();
          expect(parseEncryptionKey(key.toString(form))).toEqual(key);
        }
      }),
    );
  });
});

describe("loadSecrets", () => {
  let dataDir: string;
  beforeEach(() => {
    dataDir = join(mkdtempSync(join(tmpdir(), "nullspend-secrets-")), "data");
  });
  afterEach(() => rmSync(join(dataDir, ".."), { recursive: true, force: true }));

  const embedded = () => ({ database: { kind: "embedded" as const, dataDir }, secrets: {} });

  it("makes missing secrets once on the embedded database and finds them again", () => {
    const first = loadSecrets(embedded());
    expect(loadSecrets(embedded())).toEqual(first);
    expect(first.encryptionKey).toHaveLength(32);
    expect(first.nextAuthSecret.length).toBeGreaterThanOrEqual(32);
  });

  it("keeps them readable for the owner only, and leaves no other file behind", () => {
    loadSecrets(embedded());
    expect(statSync(join(dataDir, "secrets.json")).mode & 0o777).toBe(0o600);
    expect(readdirSync(dataDir)).toEqual(["secrets.json"]);
  });

  it("prefers what is given and keeps the rest", () => {
    const made = loadSecrets(embedded());
    const mixed = loadSecrets({ ...embedded(), secrets: { nextAuthSecret: "tQ8vZr1LxWc5Jm0HsYb7Ek3Nf9Gd2Pu6" } });
    expect(mixed).toEqual({ nextAuthSecret: "tQ8vZr1LxWc5Jm0HsYb7Ek3Nf9Gd2Pu6", encryptionKey: made.encryptionKey });
  });

  it("writes nothing when both are given", () => {
    const secrets = { nextAuthSecret: "tQ8vZr1LxWc5Jm0HsYb7Ek3Nf9Gd2Pu6", encryptionKey: Buffer.alloc(32, 7) };
    expect(loadSecrets({ ...embedded(), secrets })).toEqual(secrets);
    expect(() => statSync(dataDir)).toThrow(/ENOENT/);
  });

  // New secrets in place of damaged ones would make everything encrypted before unreadable, silently.
  it("refuses to start over a damaged file instead of making new secrets", () => {
    loadSecrets(embedded());
    const file = join(dataDir, "secrets.json");
    for (const damage of ["", "{", "null", "[]", '{"NEXTAUTH_SECRET":1}', readFileSync(file, "utf8").slice(0, -20)]) {
      writeFileSync(file, damage);
      expect(() => loadSecrets(embedded())).toThrow(/secrets\.json is damaged/);
    }
  });

  it("makes nothing up for an external database", () => {
    expect(() => loadSecrets({ database: { kind: "external" }, secrets: {} })).toThrow(/NEXTAUTH_SECRET/);
  });
});
