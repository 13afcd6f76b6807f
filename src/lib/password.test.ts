import { expect, test } from "vitest";
import { hashPassword, verifyPassword } from "./password";

test("a password opens its own hash and no other does", async () => {
  const stored = await hashPassword("correct horse battery staple");
  expect(stored).toMatch(/^scrypt\$32768\$8\$3\$[\w-]{22}\$[\w-]{43}$/);
  expect(await verifyPassword("correct horse battery staple", stored)).toBe(true);
  expect(await verifyPassword("correct horse battery stapl", stored)).toBe(false);
  expect(await verifyPassword("", stored)).toBe(false);
});

test("two hashes of one password differ", async () => {
  expect(await hashPassword("same password")).not.toBe(await hashPassword("same password"));
});

test("composed and decomposed letters are the same password", async () => {
  expect(await verifyPassword("cafe\u0301 noisette", await hashPassword("caf\u00e9 noisette"))).toBe(true);
});

test.each([
  "",
  "scrypt",
  "scrypt$32768$8$3$short$short",
  `scrypt$3000000$8$3$${"a".repeat(22)}$${"a".repeat(43)}`,
  `scrypt$32767$8$3$${"a".repeat(22)}$${"a".repeat(43)}`,
  `scrypt$32768$0$3$${"a".repeat(22)}$${"a".repeat(43)}`,
  `bcrypt$32768$8$3$${"a".repeat(22)}$${"a".repeat(43)}`,
])("what we did not write (%j) opens for nobody and costs nothing", async (stored) => {
  expect(await verifyPassword("anything at all", stored)).toBe(false);
});
