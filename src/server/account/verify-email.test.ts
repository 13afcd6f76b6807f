import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "@/lib/clock";
import { createLogger } from "@/lib/logger";
import { createBus } from "@/server/bus";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createAccounts, type Accounts } from ".";

let database: TestDatabase;
let accounts: Accounts;

beforeAll(async () => {
  database = await createTestDatabase();
  accounts = createAccounts({
    prisma: database.prisma,
    clock: systemClock,
    publicUrl: "http://localhost:3000",
    signup: "open",
    bus: createBus({ log: createLogger({ level: "silent" }) }),
  });
});
afterAll(() => database.drop());

async function signUp(email: string): Promise<{ userId: string; token: string }> {
  const { userId } = await accounts.signUp({ ip: null }, { email, name: "Ada", password: "a long enough password" });
  const { text } = await database.prisma.mail.findFirstOrThrow({ where: { recipient: email } });
  return { userId, token: /verify-email\?token=([\w-]+)/.exec(text)![1]! };
}
const provenAt = async (id: string) => (await database.prisma.user.findUniqueOrThrow({ where: { id } })).emailVerified;

test("an address is proven by its mailed link in a session of its account, once", async () => {
  const { userId, token } = await signUp("ada@example.com");
  expect(await accounts.verifyEmail(userId, token)).toBe(true);
  expect(await provenAt(userId)).toBeInstanceOf(Date);
  expect(await accounts.verifyEmail(userId, token)).toBe(false);
});

// Whoever owns the address may press the button of a mail that a stranger's sign-up caused: the stranger's password must not become
// good for a proven account by it. Nor may anybody use up another person's link.
test("a link opened in a session of somebody else proves nothing, and stays good for its own account", async () => {
  const stranger = await signUp("victim@example.com");
  const reader = await signUp("reader@example.com");
  expect(await accounts.verifyEmail(reader.userId, stranger.token)).toBe(false);
  expect([await provenAt(stranger.userId), await provenAt(reader.userId)]).toEqual([null, null]);
  expect(await accounts.verifyEmail(stranger.userId, stranger.token)).toBe(true);
});
