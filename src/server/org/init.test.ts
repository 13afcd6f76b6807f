import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "@/lib/clock";
import { verifyPassword } from "@/lib/password";
import { hashRawKey } from "@/server/api-key";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { initFromEnv } from "./init";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.pool.query("TRUNCATE organisation, app_user CASCADE");
});

const API_KEY = `ns_live_sk_${"a".repeat(32)}`;
const ADMIN_KEY = `ns_live_sk_${"b".repeat(32)}`;
const init = (wanted: Parameters<typeof initFromEnv>[0]["env"]["init"]) =>
  initFromEnv({ prisma: database.prisma, env: { init: wanted }, clock: systemClock });
const keyOf = (rawKey: string) =>
  database.prisma.apiKeySecret.findUnique({
    where: { hash: hashRawKey(rawKey) },
    select: { apiKey: { select: { id: true, scopes: true, revokedAt: true } } },
  });

test("nothing asked, nothing made", async () => {
  expect(await init({})).toBeUndefined();
  expect(await database.prisma.user.count()).toBe(0);
});

test("a key alone is enough: an owner and an organisation come with it", async () => {
  expect(await init({ apiKey: API_KEY })).toMatchObject({ created: { user: true, organisation: true, apiKey: true, adminKey: false } });
  expect((await keyOf(API_KEY))?.apiKey.scopes).toEqual(["proxy", "ingest", "self"]);
});

test("user, password, organisation and both keys, and a second run changes nothing", async () => {
  const wanted = {
    userEmail: "Ada@example.com",
    userPassword: "correct horse",
    orgName: "Ada and sons",
    apiKey: API_KEY,
    adminKey: ADMIN_KEY,
  };
  await init(wanted);
  const user = await database.prisma.user.findUniqueOrThrow({ where: { email: "ada@example.com" } });
  expect(await verifyPassword("correct horse", user.passwordHash ?? "")).toBe(true);
  expect(user.emailVerified).not.toBeNull();
  expect((await keyOf(ADMIN_KEY))?.apiKey.scopes).toEqual(["proxy", "ingest", "self", "read", "manage"]);

  const again = await init({ ...wanted, userPassword: "another password", orgName: "Other" });
  expect(again?.created).toEqual({ user: false, organisation: false, apiKey: false, adminKey: false });
  expect((await database.prisma.user.findUniqueOrThrow({ where: { id: user.id } })).passwordHash).toBe(user.passwordHash);
  expect(await database.prisma.organisation.findMany({ select: { name: true } })).toEqual([{ name: "Ada and sons" }]);
});

test("a key that was revoked stays revoked at the next start", async () => {
  await init({ apiKey: API_KEY });
  const key = await keyOf(API_KEY);
  await database.prisma.apiKey.update({ where: { id: key!.apiKey.id }, data: { revokedAt: new Date() } });
  await init({ apiKey: API_KEY });
  expect((await keyOf(API_KEY))?.apiKey.revokedAt).not.toBeNull();
  expect(await database.prisma.apiKey.count()).toBe(1);
});

test("eight processes that start at once make one of everything", async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 8 }, () => init({ userEmail: "ada@example.com", apiKey: API_KEY, adminKey: ADMIN_KEY })),
  );
  expect(outcomes.filter((outcome) => outcome?.created.user)).toHaveLength(1);
  expect(await database.prisma.user.count()).toBe(1);
  expect(await database.prisma.organisation.count()).toBe(1);
  expect(await database.prisma.apiKey.count()).toBe(2);
});

test.each([
  [{ apiKey: "ns_live_sk_short" }],
  [{ apiKey: API_KEY, adminKey: API_KEY }],
  [{ userEmail: "nobody" }],
  [{ userEmail: "a@example.com", userPassword: "short" }],
])("%j is refused before anything is made", async (wanted) => {
  await expect(init(wanted)).rejects.toMatchObject({ code: "bad_request" });
  expect(await database.prisma.user.count()).toBe(0);
});
