import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hashRawKey } from "@/server/api-key";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createOrganisation } from "@/testing/factories";
import { runCli } from "./run-cli";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

type Run = { code: number; out: string; err: string };

async function run(args: string, env: Record<string, string> = {}): Promise<Run> {
  let out = "";
  let err = "";
  const code = await runCli({
    args: args.split(" ").filter(Boolean),
    env: { DATABASE_URL: database.connectionString, PORT: "1", ...env },
    root: join(import.meta.dirname, "../../.."),
    out: (text) => (out += text),
    err: (text) => (err += text),
  });
  return { code, out, err };
}

const json = async (args: string, env?: Record<string, string>): Promise<Record<string, unknown>> => {
  const { code, out, err } = await run(`${args} --json`, env);
  expect(err).toBe("");
  expect(code).toBe(0);
  return JSON.parse(out) as Record<string, unknown>;
};

test("a first run makes everything a first call needs, once", async () => {
  const first = await json("init --email Ada@Example.com", {
    NULLSPEND_INIT_USER_PASSWORD: "correct horse",
    NULLSPEND_INIT_ORG_NAME: "Ada and sons",
  });
  expect(first).toMatchObject({ email: "ada@example.com", created: { user: true, organisation: true, firstKey: true } });
  const secret = await database.prisma.apiKeySecret.findUnique({
    where: { hash: hashRawKey(first.rawKey as string) },
    select: { apiKey: { select: { scopes: true } } },
  });
  expect(secret?.apiKey.scopes).toEqual(["proxy", "ingest", "self"]);

  const again = await json("init --email ada@example.com", { NULLSPEND_INIT_USER_PASSWORD: "another password" });
  expect(again).toMatchObject({ orgId: first.orgId, rawKey: null, created: { user: false, organisation: false, firstKey: false } });
  expect((await run("init --email ada@example.com")).out).toContain("Nothing to do");
  expect(await database.prisma.organisation.count()).toBe(1);
});

test("the words of a first run name the two changes to a client", async () => {
  const { out } = await run("init --email grace@example.com", { NEXTAUTH_URL: "https://spend.example.com" });
  expect(out).toContain("OPENAI_BASE_URL=https://spend.example.com/v1");
  expect(out).toMatch(/X-NullSpend-Key: ns_live_sk_[0-9a-f]{32}/);
});

test("a key lives: made, listed, rotated, revoked", async () => {
  const org = await createOrganisation({ prisma: database.prisma });
  const { slug } = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
  const made = await json(`key create --name ci --scopes proxy,read --expires 30d --org ${slug}`);
  expect(made).toMatchObject({ name: "ci", scopes: ["proxy", "read"], userId: `ns_usr_${org.userId}` });
  expect((await run(`key list --org ${slug}`)).out).toContain(made.id as string);

  const rotated = await json(`key rotate ${made.id as string} --overlap 0s`);
  expect(rotated.rawKey).not.toBe(made.rawKey);
  expect(Date.parse(rotated.previousSecretExpiresAt as string)).toBeLessThanOrEqual(Date.now() + 1000);

  expect(await json(`key revoke ${made.id as string}`)).toMatchObject({ id: made.id });
  expect((await run(`key list --org ${slug}`)).out).toBe("None.\n");
  expect((await run(`key list --all --org ${slug}`)).out).toContain(made.id as string);
  const actions = await database.prisma.auditLog.findMany({
    where: { orgId: org.orgId },
    orderBy: { createdAt: "asc" },
    select: { action: true, actorType: true },
  });
  expect(actions).toEqual(["created", "rotated", "revoked"].map((verb) => ({ action: `api_key.${verb}`, actorType: "system" })));
});

test("a price lives: set, listed, deleted", async () => {
  const org = await createOrganisation({ prisma: database.prisma });
  const at = `--org ns_org_${org.orgId}`;
  expect(await json(`price set openai acme/m:1 --input 2.5 --output 10 ${at}`)).toMatchObject({
    provider: "openai",
    model: "acme/m:1",
    input: "2.50",
  });
  expect((await run(`price list ${at}`)).out).toContain("acme/m:1");
  expect(await json(`price delete openai acme/m:1 ${at}`)).toMatchObject({ deleted: true });
  expect((await run(`price list ${at}`)).out).toBe("None.\n");
});

test.each([
  ["", 2],
  ["--help", 0],
  ["nonsense", 2],
  ["constructor", 2],
  ["key", 2],
  ["key create", 2],
  ["key create --name x --scopes root", 2],
  ["key create --name x --overlap 1h", 2],
  ["key rotate", 2],
  ["key rotate ns_key_1", 2],
  ["key list --nonsense", 2],
  ["key revoke ns_key_00000000-0000-4000-8000-000000000000", 1],
  ["price set openai gpt-4o --input 1", 2],
  ["price set openai gpt-4o --input abc --output 1", 2],
  ["key list --org nobody", 1],
])("`%s` ends with %i and a sentence", async (args, expected) => {
  const { code, out, err } = await run(args);
  expect(code).toBe(expected);
  expect(out + err).not.toBe("");
  expect(err).not.toMatch(/\n {4}at /);
});

test("with two organisations a command asks which", async () => {
  await createOrganisation({ prisma: database.prisma });
  await createOrganisation({ prisma: database.prisma });
  const { code, err } = await run("key list --json");
  expect(code).toBe(1);
  expect(JSON.parse(err)).toMatchObject({ error: { code: "bad_request" } });
});

test("a database that does not answer is told in words", async () => {
  const { code, err } = await run("org list", { DATABASE_URL: "postgres://postgres@127.0.0.1:1/none" });
  expect(code).toBe(1);
  expect(err).toMatch(/database cannot be reached/);
});

test("doctor finds what keeps calls from passing", async () => {
  const org = await createOrganisation({ prisma: database.prisma });
  const { id } = await database.prisma.apiKey.create({
    data: { orgId: org.orgId, userId: org.userId, name: "broken", restrictions: { allowedModels: "gpt" } },
  });
  const { code, out } = await run("doctor --json");
  const { checks } = JSON.parse(out) as { checks: { name: string; status: string; message: string }[] };
  const statusOf = Object.fromEntries(checks.map((check) => [check.name, check.status]));
  // The test's environment names a database and no secrets, and no server runs at port 1.
  expect(statusOf).toEqual({
    environment: "failed",
    database: "ok",
    migrations: "ok",
    organisations: "ok",
    keys: "failed",
    server: "warning",
  });
  expect(checks.find(({ name }) => name === "keys")?.message).toContain(id);
  expect(code).toBe(1);
});
