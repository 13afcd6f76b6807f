import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { findProvider } from "@pydantic/genai-prices";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { runCli } from "./run-cli";

let database: TestDatabase;
let base: string;
let list: string;
const server = createServer((_request, response) => response.end(list));

beforeAll(async () => {
  database = await createTestDatabase();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/data.json`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await database.drop();
});

async function run(args: string, env: Record<string, string> = {}) {
  let out = "";
  let err = "";
  const code = await runCli({
    args: args.split(" "),
    env: { DATABASE_URL: database.connectionString, PORT: "1", ...env },
    root: join(import.meta.dirname, "../../.."),
    out: (text) => (out += text),
    err: (text) => (err += text),
  });
  return { code, out, err };
}

function published(prices: Record<string, Record<string, unknown>>): string {
  const providers = ["openai", "anthropic"].map((id) => JSON.parse(JSON.stringify(findProvider({ providerId: id }))) as { models: { id: string; prices: object }[] }); // prettier-ignore
  for (const { models } of providers) for (const model of models) Object.assign(model.prices, prices[model.id]);
  return JSON.stringify(providers);
}

test("the internet is left alone unless somebody says otherwise", async () => {
  for (const command of ["price refresh", "price check"]) {
    const { code, err } = await run(command);
    expect(code).toBe(2);
    expect(err).toMatch(/is off: set PRICE_(?:REFRESH|CHECK)=1/);
  }
  expect((await run("price refresh --url file:///etc/passwd")).code).toBe(2);
});

test("a refresh tells what is new and what is held, and an operator decides", async () => {
  list = published({ "gpt-5": { input_mtok: 1 }, "gpt-4o": { output_mtok: 0 } });
  const refreshed = await run(`price refresh --url ${base}`);
  expect(refreshed.out).toContain("new   openai/gpt-5: input: $1.25 → $1.00");
  expect(refreshed.out).toContain("held  openai/gpt-4o: output: $10.00 → $0.00");
  expect(refreshed.out).toMatch(/1 new, 1 held, \d+ as before\.\n$/);

  expect((await run("price report")).out).toContain("Prices that wait for a decision: 1");
  const proposals = JSON.parse((await run("price proposals --json")).out) as { id: string; model: string }[];
  expect(proposals.map(({ model }) => model)).toEqual(["gpt-4o"]);
  expect((await run(`price reject ${proposals[0]!.id}`)).out).toBe("The price of openai/gpt-4o is rejected.\n");
  expect((await run(`price accept ${proposals[0]!.id}`)).code).toBe(1);
  expect((await run("price accept nonsense")).code).toBe(2);
  expect((await run("price proposals")).out).toBe("None.\n");
});

test("a check that finds differences ends with 1", async () => {
  list = JSON.stringify({ "gpt-4.1": { litellm_provider: "openai", input_cost_per_token: 3e-6, output_cost_per_token: 8e-6 } });
  const { code, out } = await run(`price check --url ${base}`);
  expect(code).toBe(1);
  expect(out).toContain("1 figures agree.");
  expect(out).toMatch(/gpt-4\.1 +standard +input +0 +2\.00 +3\.00/);
});

test("a list that cannot be read is told in words, and changes nothing", async () => {
  list = "<html>";
  const { code, err } = await run(`price refresh --url ${base}`);
  expect(code).toBe(1);
  expect(err).not.toMatch(/\n {4}at /);
});
