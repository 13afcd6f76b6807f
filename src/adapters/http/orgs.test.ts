import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { publicId } from "@/lib/ids";
import type { Principal } from "@/server/context";
import { mailedToken } from "@/server/org/testing";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createApiKey, createMember, createOrganisation, type TestOrganisation } from "@/testing/factories";
import { startRestServer, type RestTestServer } from "@/testing/rest-server";

let database: TestDatabase;
let server: RestTestServer;
let org: TestOrganisation;
/** Who is signed in. */
let principal: Principal | undefined;
let orgPath: string;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startRestServer(database, { sessionOf: async () => principal });
});
afterAll(async () => {
  await server.close();
  await database.drop();
});
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
  principal = { type: "user", orgId: org.orgId, userId: org.userId, role: "owner" };
  orgPath = `/api/orgs/${publicId("org", org.orgId)}`;
});

const ours = { "sec-fetch-site": "same-origin" };
const send = (what: string, body?: unknown) => server.send(what, { headers: ours, ...(body !== undefined && { body }) });
const dataOf = <T>(answer: { json: unknown }): T => (answer.json as { data: T }).data;
const codeOf = (answer: { json: unknown }): string => (answer.json as { error: { code: string } }).error.code;

test("a team is made, renamed and deleted by its owner", async () => {
  const made = await send("POST /api/orgs", { name: "Acme", slug: `Acme-${org.orgId.slice(0, 8)}`, timezone: "Europe/Berlin" });
  expect(made.status).toBe(201);
  const { id, slug } = dataOf<{ id: string; slug: string }>(made);
  expect(slug).toBe(`acme-${org.orgId.slice(0, 8)}`);
  expect(codeOf(await send("POST /api/orgs", { name: "Other", slug }))).toBe("conflict");
  const listed = dataOf<{ id: string; role: string }[]>(await send("GET /api/orgs"));
  expect(listed.map((each) => [each.id, each.role])).toContainEqual([id, "owner"]);
  // The session is in another organisation all the while.
  expect(dataOf(await send(`PATCH /api/orgs/${id}`, { name: "Acme Ltd" }))).toMatchObject({ name: "Acme Ltd", timezone: "Europe/Berlin" });
  expect((await send(`DELETE /api/orgs/${id}?name=Acme`)).status).toBe(400);
  expect((await send(`DELETE /api/orgs/${id}?name=Acme%20Ltd`)).status).toBe(200);
  expect((await send(`GET /api/orgs/${id}`)).status).toBe(404);
  expect(dataOf<{ id: string }[]>(await send("GET /api/orgs")).map((each) => each.id)).not.toContain(id);
});

test("the role held in the organisation of the path decides, not the one of the session", async () => {
  const other = await createOrganisation({ prisma: database.prisma });
  await database.prisma.membership.create({ data: { orgId: other.orgId, userId: org.userId, role: "viewer" } });
  const path = `/api/orgs/${publicId("org", other.orgId)}`;
  expect((await send(`GET ${path}/members`)).status).toBe(200);
  expect((await send(`PATCH ${path}`, { name: "Mine" })).status).toBe(403);
  expect((await send(`POST ${path}/invitations`, { emails: "a@example.com" })).status).toBe(403);
  expect((await send(`DELETE ${path}?name=x`)).status).toBe(403);
});

test("an organisation of others is as absent as none, for people and for keys", async () => {
  const other = await createOrganisation({ prisma: database.prisma });
  const { rawKey: key } = await createApiKey({ prisma: database.prisma, org, scopes: ["read", "manage"] });
  for (const orgId of [other.orgId, crypto.randomUUID()]) {
    const path = `/api/orgs/${publicId("org", orgId)}`;
    const answers = [
      await send(`GET ${path}`),
      await send(`GET ${path}/members`),
      await send(`GET ${path}/invitations`),
      await send(`PATCH ${path}`, { name: "Mine" }),
      await send(`POST ${path}/leave`),
      await send(`POST ${path}/transfer`, { userId: publicId("user", other.userId) }),
      await server.send(`GET ${path}`, { key }),
      await server.send(`POST ${path}/invitations`, { key, body: { emails: "a@example.com" } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 404));
    expect(new Set(answers.map(({ json }) => JSON.stringify(json))).size).toBe(1);
  }
});

test("a key with manage invites members and viewers, and changes nothing else about people", async () => {
  const { rawKey: key } = await createApiKey({ prisma: database.prisma, org, scopes: ["read", "manage"] });
  const target = publicId("user", await createMember({ prisma: database.prisma, orgId: org.orgId, role: "viewer" }));
  const by = (what: string, body?: unknown) => server.send(what, { key, ...(body !== undefined && { body }) });
  expect((await by(`POST ${orgPath}/invitations`, { emails: "a@example.com" })).status).toBe(200);
  expect((await by(`POST ${orgPath}/invitations`, { emails: "b@example.com", role: "admin" })).status).toBe(403);
  expect((await by(`GET ${orgPath}/members`)).status).toBe(200);
  const refused = [
    await by("POST /api/orgs", { name: "Acme" }),
    await by(`PATCH ${orgPath}`, { name: "Mine" }),
    await by(`DELETE ${orgPath}?name=x`),
    await by(`PATCH ${orgPath}/members/${target}`, { role: "admin" }),
    await by(`DELETE ${orgPath}/members/${target}`),
    await by(`POST ${orgPath}/transfer`, { userId: target }),
    await by(`POST ${orgPath}/leave`),
    await by(`PATCH ${orgPath}/upgrade-url`, { upgradeUrl: null }),
    await by("POST /api/invite/accept", { token: "x".repeat(43) }),
  ];
  expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 403));
});

test("fields that are nobody's to set are refused (I3)", async () => {
  for (const extra of [{ orgId: org.orgId }, { isPersonal: false }, { configVersion: 1 }, { deletedAt: null }, { stripeCustomerId: "x" }]) {
    expect((await send(`PATCH ${orgPath}`, { name: "Acme", ...extra })).status).toBe(400);
    expect((await send("POST /api/orgs", { name: "Acme", ...extra })).status).toBe(400);
    expect((await send(`POST ${orgPath}/invitations`, { emails: "a@example.com", ...extra })).status).toBe(400);
  }
});

describe("from the invitation to the end", () => {
  const email = () => `guest-${org.orgId}@example.com`;

  test("invited, in, promoted, made an owner, and gone", async () => {
    expect(dataOf(await send(`POST ${orgPath}/invitations`, { emails: `Guest <${email()}>, nonsense` }))).toMatchObject([
      { outcome: "invited" },
      { email: "nonsense", outcome: "invalid", invitationId: null },
    ]);
    expect(dataOf(await send(`GET ${orgPath}/invitations`))).toMatchObject([{ email: email(), state: "pending", role: "member" }]);
    const { id: guest } = await database.prisma.user.create({ data: { email: email(), emailVerified: new Date() } });
    const home = await createOrganisation({ prisma: database.prisma });
    const owner = principal;
    principal = { type: "user", orgId: home.orgId, userId: guest, role: "member" };
    const token = await mailedToken(database.prisma, email());
    // A page of somebody else's cannot make a signed-in person join.
    expect((await server.send("POST /api/invite/accept", { body: { token }, headers: { "sec-fetch-site": "cross-site" } })).status).toBe(
      403,
    );
    expect(dataOf(await send("POST /api/invite/accept", { token }))).toMatchObject({ orgId: publicId("org", org.orgId), role: "member" });
    expect((await send("POST /api/invite/accept", { token })).status).toBe(200);
    expect((await send("POST /api/invite/accept", { token: "x".repeat(43) })).status).toBe(404);

    principal = owner;
    const path = `${orgPath}/members/${publicId("user", guest)}`;
    expect((await send(`PATCH ${path}`, { role: "admin", isApprover: true })).status).toBe(400);
    expect(dataOf(await send(`PATCH ${path}`, { isApprover: true }))).toMatchObject({ role: "member", isApprover: true });
    expect(dataOf(await send(`PATCH ${path}`, { role: "admin" }))).toMatchObject({ role: "admin" });
    expect((await send(`POST ${orgPath}/leave`)).status).toBe(409);
    expect(dataOf(await send(`POST ${orgPath}/transfer`, { userId: publicId("user", guest) }))).toMatchObject({ role: "owner" });
    // The session still believes to be an owner's.
    expect((await send(`DELETE ${path}`)).status).toBe(403);
    expect((await send(`POST ${orgPath}/leave`)).status).toBe(200);
    expect((await send(`GET ${orgPath}/audit`)).status).toBe(404);
  });

  test("taken back and sent again", async () => {
    const [{ invitationId }] = dataOf<[{ invitationId: string }]>(
      await send(`POST ${orgPath}/invitations`, { emails: email(), role: "viewer" }),
    );
    const path = `${orgPath}/invitations/${invitationId}`;
    expect((await send(`POST ${path}/resend`)).status).toBe(409);
    expect((await send(`DELETE ${path}`)).status).toBe(200);
    expect((await send(`DELETE ${path}`)).status).toBe(200);
    expect((await send(`POST ${path}/resend`)).status).toBe(409);
    expect(dataOf(await send(`GET ${orgPath}/invitations`))).toEqual([]);
  });
});

test("the upgrade URL is the owner's to set and everybody's to see", async () => {
  const upgradeUrl = "https://shop.example/buy?customer={customer_id}";
  expect(dataOf(await send(`PATCH ${orgPath}/upgrade-url`, { upgradeUrl }))).toEqual({ upgradeUrl });
  expect((await send(`PATCH ${orgPath}/upgrade-url`, { upgradeUrl: "javascript:alert(1)" })).status).toBe(400);
  const userId = await createMember({ prisma: database.prisma, orgId: org.orgId, role: "admin" });
  principal = { type: "user", orgId: org.orgId, userId, role: "admin" };
  expect(dataOf(await send(`GET ${orgPath}/upgrade-url`))).toEqual({ upgradeUrl });
  expect((await send(`PATCH ${orgPath}/upgrade-url`, { upgradeUrl: null })).status).toBe(403);
});
