import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { storedEvents } from "@/testing/events";
import { ADAPTERS, startProduct, type Product } from "@/testing/server";
import { findClaudeCode, installClaudeCode } from "../../../scripts/claude-code.mjs";
import { costNano } from "./prices";

const isWanted = Boolean(process.env.CI) || process.env.NULLSPEND_CLAUDE_CODE === "1";
const program = findClaudeCode() ?? (isWanted ? await installClaudeCode() : undefined);
if (!program)
  console.log("Claude Code is not tried: it is not installed (450 MB). `node scripts/claude-code.mjs` installs it into .data/clients.");

/** What `claude -p --output-format json` prints at its end, as far as we look at it. */
type Report = { is_error: boolean; result: string; session_id: string; total_cost_usd: number; num_turns: number };

describe.skipIf(!program).each(ADAPTERS)("real Claude Code through the %s adapter", (adapter) => {
  let product: Product;
  let home: string;
  beforeAll(async () => {
    product = await startProduct({ adapter });
    home = await mkdtemp(join(tmpdir(), "nullspend-claude-"));
  });
  afterAll(async () => {
    await product.stop();
    await rm(home, { recursive: true, force: true });
  });

  const claude = (env: Record<string, string>): Promise<Report> =>
    new Promise((resolve, reject) => {
      const child = spawn(program!, ["-p", "hi", "--output-format", "json", "--model", "claude-haiku-4-5"], {
        cwd: home,
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          NODE_ENV: "production",
          PATH: process.env.PATH,
          HOME: home,
          ANTHROPIC_BASE_URL: product.origin,
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
          IS_SANDBOX: "1",
          ...env,
        },
      });
      let output = "";
      child.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
      child.stderr.on("data", (bytes: Buffer) => (output += bytes.toString()));
      child.once("error", reject);
      child.once("exit", () => {
        try {
          // The report is one JSON object; there is nothing else on success.
          resolve(JSON.parse(output) as Report);
        } catch {
          reject(new Error(`Claude Code printed no report: ${output}`));
        }
      });
    });

  it.each(["header", "composite"] as const)(
    "answers, and its own cost is the sum of our events, to the nanodollar (key by %s)",
    async (style) => {
      const tokens = { input: 1_234, cached: 20_000, cacheWrite5m: 567, output: 89 };
      product.fake.clear();
      product.fake.setDefault({ tokens });
      const before = (await storedEvents(product, 0)).length;
      const report = await claude(
        style === "header"
          ? { ANTHROPIC_API_KEY: "sk-ant-test", ANTHROPIC_CUSTOM_HEADERS: `X-NullSpend-Key: ${product.apiKey}` }
          : { ANTHROPIC_API_KEY: `${product.apiKey}:sk-ant-test` },
      );
      expect(report).toMatchObject({ is_error: false, num_turns: 1 });
      const priced = product.fake.log.filter(
        ({ request }) => request.target.startsWith("/v1/messages") && !request.target.includes("count_tokens"),
      );
      expect(priced.length).toBeGreaterThan(0);
      const events = (await storedEvents(product, before + priced.length)).slice(before);
      const sum = events.reduce((total, event) => total + (event.costNano ?? 0n), 0n);
      expect(sum).toBe(BigInt(priced.length) * costNano("claude-haiku-4-5", tokens));
      expect(BigInt(Math.round(report.total_cost_usd * 1e9))).toBe(sum);
      expect(events.map(({ sessionId }) => sessionId)).toEqual(priced.map(() => report.session_id));
      for (const { request } of product.fake.log) expect(request.head.toString()).not.toContain("ns_live_sk_");
    },
  );

  it("says our sentence when the key is unknown, after one attempt", async () => {
    product.fake.clear();
    const report = await claude({
      ANTHROPIC_API_KEY: "sk-ant-test",
      ANTHROPIC_CUSTOM_HEADERS: `X-NullSpend-Key: ns_live_sk_${"0".repeat(32)}`,
    });
    expect(report.is_error).toBe(true);
    expect(product.fake.log).toHaveLength(0);
  });
});
