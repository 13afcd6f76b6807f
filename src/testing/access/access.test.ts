import { afterAll, beforeAll, expect, test } from "vitest";
import { routes } from "@/adapters/http/routes";
import type { PrincipalRoute } from "@/adapters/http/route";
import { appRouter } from "@/adapters/trpc/root-router";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { headersOf, startTrpcServer, type Caller, type TrpcServer } from "@/testing/trpc-server";
import { PROCEDURE_INPUTS, ROUTE_INPUTS, type RouteInput } from "./inputs";
import { createWorld, fingerprintOf, ROLES, type World } from "./world";

/*
 * Walks every tRPC procedure and every REST route as each role, as somebody of another organisation and as nobody, and compares what they
 * are answered with access.md. Whoever adds a procedure or changes who may call one sees it there, in the review:
 *
 *   npx vitest run src/testing/access -u     writes the table anew
 *
 * What would break in production: a verb that forgot to ask for a role, or an id that reaches into another organisation.
 */

let database: TestDatabase;
let server: TrpcServer;
beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTrpcServer(database);
}, 60_000);
afterAll(async () => {
  await server.close();
  await database.drop();
});

/** One thing that can be asked, however it is asked. */
type Operation = {
  name: string;
  /** The input of a world's own things, comparable: equal for two worlds means that it names none of them. */
  inputOf: (world: World) => unknown;
  /** Answers the code of the error, or `ok`. */
  call: (input: unknown, as: Caller) => Promise<string>;
  /** The same input with fields that nobody may set; undefined where there is no input. */
  stuffed: (input: unknown) => unknown;
};

const FORBIDDEN_FIELDS = { orgId: "5eed0000-0000-4000-8000-000000000009", role: "owner", spentNano: "0", isAdmin: "true" };

/** What tRPC keeps of a procedure, as far as a walk needs it. */
type Procedure = { _def: { type: string; inputs: unknown[] } };

const procedures: Operation[] = Object.entries(appRouter._def.procedures as unknown as Record<string, Procedure>)
  .map(([path, { _def }]) => ({ path, kind: _def.type as "query" | "mutation", hasInput: _def.inputs.length > 0 }))
  .toSorted((a, b) => (a.path < b.path ? -1 : 1))
  .map(({ path, kind, hasInput }) => ({
    name: path,
    inputOf: (world) => PROCEDURE_INPUTS[path]?.(world) ?? (hasInput ? {} : undefined),
    async call(input, as) {
      const { error } = await server.call(kind, path, input, as);
      return error ? error.data.code : "ok";
    },
    stuffed: (input) => (hasInput ? { ...(input as object), ...FORBIDDEN_FIELDS } : undefined),
  }));

const restRoutes: Operation[] = routes
  .filter((route): route is PrincipalRoute => route.access !== "public")
  .map((route) => ({
    name: `${route.method} ${route.path}`,
    inputOf: (world) => ROUTE_INPUTS[route.operationId]?.(world) ?? {},
    call: (input, as) => callRoute(route, input as RouteInput, as),
    stuffed(input) {
      const { params, query, body } = input as RouteInput;
      return route.body
        ? { params, query, body: { ...(body as object), ...FORBIDDEN_FIELDS } }
        : { params, body, query: { ...query, ...FORBIDDEN_FIELDS } };
    },
  }));

async function callRoute(route: PrincipalRoute, { params = {}, query, body }: RouteInput, as: Caller): Promise<string> {
  const path = route.path.replace(/\{(\w+)\+?\}/g, (_whole, name: string) => encodeURIComponent(params[name] ?? "missing"));
  const target = query === undefined ? path : `${path}?${new URLSearchParams(query).toString()}`;
  const answer = await server.fetch(target, {
    method: route.method,
    headers: { ...headersOf(as), ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (answer.ok) return "ok";
  return (JSON.parse(text) as { error: { code: string } }).error.code;
}

type Row = { name: string; roles: string[]; stranger: string; nobody: string; foreign: string; stuffed: string };

async function walk(operation: Operation): Promise<Row> {
  const { inputOf, call, stuffed } = operation;
  const roles: string[] = [];
  for (const role of ROLES) {
    // Calls delete, leave and revoke: each has a world of its own.
    const world = await createWorld(server.runtime);
    roles.push(await call(inputOf(world), { userId: world.users[role], orgId: world.orgId }));
  }
  const [own, other] = await Promise.all([createWorld(server.runtime), createWorld(server.runtime)]);
  const owner = { userId: own.users.owner, orgId: own.orgId };
  const before = await fingerprintOf(server.runtime, other.orgId);
  const nobody = await call(inputOf(other), { orgId: other.orgId });
  const stranger = await call(inputOf(other), { userId: own.users.owner, orgId: other.orgId });
  const namesThings = JSON.stringify(fixed(inputOf(own))) !== JSON.stringify(fixed(inputOf(other)));
  const foreign = namesThings ? await call(inputOf(other), owner) : "–";
  const after = await fingerprintOf(server.runtime, other.orgId);
  if (foreign !== "ok") expect(after, `${operation.name} must not touch another organisation`).toEqual(before);
  const input = stuffed(inputOf(own));
  return { name: operation.name, roles, stranger, nobody, foreign, stuffed: input === undefined ? "–" : await call(input, owner) };
}

/** Without the random names that inputs make up each time. */
const fixed = (input: unknown): unknown =>
  JSON.parse(
    JSON.stringify(input ?? null)
      .replaceAll(/(customer-)?[0-9a-f]{8}(@example\.com)?(?=")/g, "")
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, ""),
  );

async function walkAll(operations: readonly Operation[]): Promise<Row[]> {
  const rows: Row[] = [];
  const left = [...operations.entries()];
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) rows[next[0]] = await walk(next[1]);
  };
  await Promise.all(Array.from({ length: 3 }, worker));
  return rows;
}

const HEAD = [...ROLES, "another organisation's owner", "nobody", "own caller, foreign ids", "fields nobody may set"];

const tableOf = (title: string, rows: readonly Row[]): string =>
  [
    `## ${title}`,
    "",
    `| Call | ${HEAD.join(" | ")} |`,
    `|---|${"---|".repeat(HEAD.length)}`,
    ...rows.map((row) => `| \`${row.name}\` | ${[...row.roles, row.stranger, row.nobody, row.foreign, row.stuffed].join(" | ")} |`),
    "",
  ].join("\n");

/** Of anybody: what they are about is not an organisation's, or is for the holder of a link. */
const OF_ANYBODY = new Set([
  "invitations.view",
  "invitations.accept",
  "POST /api/invite/accept",
  "orgs.create",
  "POST /api/orgs",
  "GET /api/orgs",
]);
/** A person's own account, and what stands before signing in. */
const isPersonal = (name: string): boolean => /^(auth|me)\./.test(name) || name === "shell.home";
/** Where the name that is typed to confirm is another's, the input is wrong. */
const CONFIRMED = new Set(["orgs.delete"]);

/** What must hold whatever the table says, and does not. */
function problemsOf({ name, roles, stranger, nobody, foreign, stuffed }: Row): string[] {
  const problems: string[] = [];
  // For keys alone: a person is refused before anything of the input is read.
  const isForKeys = roles.every((code) => code === "forbidden");
  if (roles.at(-1) === "bad_request") problems.push("the owner's input must be valid: see inputs.ts");
  if (nobody !== "unauthorized" && name !== "invitations.view" && !name.startsWith("auth.")) problems.push(`nobody is answered ${nobody}`);
  if (!OF_ANYBODY.has(name) && !isPersonal(name)) {
    if (stranger !== "not_found" && stranger !== "unauthorized") problems.push(`another organisation's owner is answered ${stranger}`);
    if (!isForKeys && !["–", "not_found", CONFIRMED.has(name) ? "bad_request" : "–"].includes(foreign))
      problems.push(`foreign ids are answered ${foreign}`);
  }
  if (!isForKeys && !["–", "bad_request"].includes(stuffed)) problems.push(`fields nobody may set are answered ${stuffed}`);
  const first = roles.indexOf("ok");
  const onlyOthersMay = name.includes("leave") || OF_ANYBODY.has(name) || isPersonal(name);
  if (first !== -1 && !onlyOthersMay && roles.slice(first).some((code) => code !== "ok")) problems.push("a higher role may less");
  return problems.map((problem) => `${name}: ${problem}`);
}

test("who may call what is what the table says", async () => {
  const trpc = await walkAll(procedures);
  const rest = await walkAll(restRoutes);
  expect([...trpc, ...rest].flatMap(problemsOf)).toEqual([]);
  const text = [
    "# Who may call what",
    "",
    "Written by `npx vitest run src/testing/access -u`, and compared in every run. Sessions only; keys have scopes, tested beside their routes.",
    "",
    tableOf("tRPC", trpc),
    tableOf("REST", rest),
  ].join("\n");
  await expect(text).toMatchFileSnapshot("./access.md");
}, 400_000);
