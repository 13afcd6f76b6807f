import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { storedEvents } from "@/testing/events";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";
import { installPythonClients } from "../../../scripts/python-clients.mjs";

// What a newcomer copies from docs/clients.md must work as it stands; only the address is replaced, as the page says.

const root = join(import.meta.dirname, "../../..");
const execute = promisify(execFile);
const { program: python, reason } = await installPythonClients();
if (!python && process.env.CI) throw new Error(`The snippets in Python must be tried here, and cannot: ${reason}`);
if (!python) console.log(`The snippets in Python are not tried: ${reason}. \`node scripts/python-clients.mjs\` installs them.`);
const hasCurl = await execute("curl", ["--version"]).then(
  () => true,
  () => false,
);

type Language = "js" | "python" | "sh";
type Snippet = { title: string; language: Language; code: string };

/** The blocks whose opening line says `runs`, each under the heading it stands below. */
function snippetsOf(page: string): Snippet[] {
  const snippets: Snippet[] = [];
  let heading = "";
  for (const [, title, language, code] of page.matchAll(/^## (.+)$|^```(js|python|sh) runs\n([^]*?)^```$/gm)) {
    if (title !== undefined) heading = title;
    // The pattern allows no other language.
    else snippets.push({ title: `${heading} (${snippets.length + 1})`, language: language as Language, code: code! });
  }
  return snippets;
}

const snippets = snippetsOf(await readFile(join(root, "docs/clients.md"), "utf8"));
const canRun = (language: Language): boolean => (language === "python" ? python !== undefined : language === "js" || hasCurl);

/** 100 × 150 + 10 × 600 for gpt-4o-mini, 100 × 1,000 + 10 × 5,000 for claude-haiku-4-5. */
const COST_NANO = { openai: 21_000n, anthropic: 150_000n };

it("finds the snippets of the page", () => {
  expect(snippets.map(({ language }) => language).sort()).toEqual([...Array<string>(7).fill("js"), "python", "python", "sh"]);
});

describe.each(ADAPTERS)("docs/clients.md through the %s adapter", (adapter) => {
  let product: Product;
  let folder: string;
  beforeAll(async () => {
    product = await startProduct({ adapter });
    product.fake.setDefault({ text: "Hello there!", tokens: { input: 100, output: 10 } });
    // Inside the project, where Node finds the packages.
    await mkdir(join(root, ".data"), { recursive: true });
    folder = await mkdtemp(join(root, ".data/snippets-"));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await product.stop();
  });

  for (const { title, language, code } of snippets) {
    it.skipIf(!canRun(language))(`${title}, ${language}: answers, and is one event with the exact cost`, async () => {
      const before = (await storedEvents(product, 0)).length;
      const calls = product.fake.log.length;
      const file = join(folder, `snippet.${language === "js" ? "mjs" : language}`);
      await writeFile(file, code.replaceAll("http://localhost:3000", product.origin));
      const runner = { js: process.execPath, python: python!, sh: "sh" }[language];
      const { stdout } = await execute(runner, [file], {
        env: {
          NODE_ENV: "production",
          PATH: process.env.PATH,
          NULLSPEND_KEY: product.apiKey,
          OPENAI_API_KEY: "sk-test-openai",
          ANTHROPIC_API_KEY: "sk-ant-test",
          HELICONE_API_KEY: "sk-helicone-secret",
        },
      });
      expect(stdout).toContain("Hello there!");
      expect(product.fake.log).toHaveLength(calls + 1);
      const { provider, request } = product.fake.log.at(-1)!;
      expect(request.head.toString()).not.toMatch(/ns_live_sk_|helicone/i);
      const events = (await storedEvents(product, before + 1)).slice(before);
      expect(events).toMatchObject([{ status: "ok", costNano: COST_NANO[provider], costBasis: "reported" }]);
    });
  }
});
