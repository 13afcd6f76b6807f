import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOpenAI } from "@ai-sdk/openai";
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, RetryError } from "ai";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openDoor, type Door } from "@/testing/clients/door";
import { startPythonWorker, type PythonWorker } from "@/testing/clients/python-worker";
import { startProduct, type Product } from "@/testing/server";
import { findClaudeCode, installClaudeCode } from "../../../scripts/claude-code.mjs";
import { installPythonClients } from "../../../scripts/python-clients.mjs";
import { createSpender, type Spender } from "./spender";

// What would break in production: an agent tries its denial again for minutes. Attempts are counted at our door and at the provider.

const { program: python, reason } = await installPythonClients();
if (!python && process.env.CI) throw new Error(`The Python clients must be tried here, and cannot: ${reason}`);
if (!python) console.log(`The Python clients are not denied: ${reason}`);
const isClaudeWanted = Boolean(process.env.CI) || process.env.NULLSPEND_CLAUDE_CODE === "1";
const claude = findClaudeCode() ?? (isClaudeWanted ? await installClaudeCode() : undefined);
if (!claude) console.log("Claude Code is not denied: it is not installed. `node scripts/claude-code.mjs` installs it.");

let product: Product;
let tiny: Spender;
let door: Door;
beforeAll(async () => {
  product = await startProduct();
  tiny = await createSpender(product, { limitMicrodollars: 1 });
});
afterAll(async () => {
  await product?.stop();
});
beforeEach(async () => {
  door = await openDoor(product.origin);
});
afterEach(async () => {
  expect(product.fake.log).toHaveLength(0);
  await door.close();
});

const thrown = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => {
      throw new Error("the call was not denied");
    },
    (error: unknown) => error,
  );

describe("LangChain", () => {
  it.each(["invoke", "stream"] as const)("OpenAI, %s: one attempt, and the sentence", async (way) => {
    const model = new ChatOpenAI({
      model: "gpt-4o-mini",
      apiKey: `${tiny.key}:sk-provider`,
      configuration: { baseURL: `${door.origin}/v1` },
    });
    const error = await thrown(model[way]("hi"));
    expect(error).toMatchObject({ status: 429, message: expect.stringMatching(/NullSpend: .*budget.*\$/) as string });
    expect(door.requests).toBe(1);
  });

  it.each(["invoke", "stream"] as const)("Anthropic, %s: one attempt, and the sentence", async (way) => {
    const model = new ChatAnthropic({
      model: "claude-haiku-4-5-20251001",
      maxTokens: 500,
      apiKey: `${tiny.key}:sk-ant`,
      anthropicApiUrl: door.origin,
    });
    const error = await thrown(model[way]("hi"));
    expect(error).toMatchObject({ status: 429, message: expect.stringMatching(/NullSpend: .*budget.*\$/) as string });
    expect(door.requests).toBe(1);
  });
});

it("the AI SDK tries a 429 three times, whatever it is told: keys for it say 402", { timeout: 60_000 }, async () => {
  const provider = createOpenAI({ baseURL: `${door.origin}/v1`, apiKey: `${tiny.key}:sk-provider` });
  const error = await thrown(generateText({ model: provider.chat("gpt-4o-mini"), prompt: "hi" }));
  expect(RetryError.isInstance(error)).toBe(true);
  expect((error as Error).message).toMatch(/NullSpend: .*budget.*\$/);
  expect(door.requests).toBe(3);
});

describe.skipIf(!python)("the official Python clients", () => {
  let worker: PythonWorker;
  beforeAll(() => {
    worker = startPythonWorker(python!);
  });
  afterAll(() => worker.stop());

  it.each([
    { journey: "chat", type: "openai.RateLimitError", code: "budget_exceeded" },
    { journey: "chat_streaming", type: "openai.RateLimitError", code: "budget_exceeded" },
    { journey: "async_chat_streaming", type: "openai.RateLimitError", code: "budget_exceeded" },
    { journey: "response", type: "openai.RateLimitError", code: "budget_exceeded" },
    { journey: "message", type: "anthropic.RateLimitError", code: null },
    { journey: "message_streaming", type: "anthropic.RateLimitError", code: null },
    { journey: "async_message_streaming", type: "anthropic.RateLimitError", code: null },
  ])("$journey: $type after one attempt", async ({ journey, type, code }) => {
    const { error } = await worker.run({
      journey,
      origin: door.origin,
      openaiKey: "sk-test-openai",
      anthropicKey: "sk-ant-test",
      headers: { "X-NullSpend-Key": tiny.key },
    });
    expect(error).toMatchObject({ type, status: 429, code });
    expect(error!.message).toMatch(/NullSpend: .*budget.*\$/);
    expect(door.requests).toBe(1);
  });
});

it.skipIf(!claude)("real Claude Code asks for its answer once, and shows the sentence", { timeout: 60_000 }, async () => {
  const home = await mkdtemp(join(tmpdir(), "nullspend-claude-"));
  const output = await new Promise<string>((resolve, reject) => {
    const child = spawn(claude!, ["-p", "hi", "--output-format", "json", "--model", "claude-haiku-4-5"], {
      cwd: home,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        NODE_ENV: "production",
        PATH: process.env.PATH,
        HOME: home,
        ANTHROPIC_BASE_URL: door.origin,
        ANTHROPIC_API_KEY: "sk-ant-test",
        ANTHROPIC_CUSTOM_HEADERS: `X-NullSpend-Key: ${tiny.key}`,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        IS_SANDBOX: "1",
      },
    });
    let text = "";
    child.stdout.on("data", (bytes: Buffer) => (text += bytes.toString()));
    child.once("error", reject);
    child.once("exit", () => resolve(text));
  });
  await rm(home, { recursive: true, force: true });
  const report = JSON.parse(output) as { is_error: boolean; result: string };
  expect(report.is_error).toBe(true);
  expect(report.result).toMatch(/NullSpend: .*budget.*\$/);
  const { rows } = await product.database.pool.query<{ count: number }>(
    "select count(*)::int as count from cost_event where endpoint = 'messages' and session_id is not null",
  );
  console.log(`Claude Code: ${door.requests} requests at our door, ${rows[0]!.count} of them for an answer`);
  expect(door.requests).toBe(1);
});
