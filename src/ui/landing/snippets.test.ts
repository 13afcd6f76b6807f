import { execFile } from "node:child_process";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { changeOfLine, clientSnippets, costEventsCommand, INIT_ENVIRONMENT, type Snippet } from "./snippets";

// A snippet that does not work is the first thing a new user meets, and the last.

type Seen = { method: string; path: string; headers: IncomingHttpHeaders };

const run = promisify(execFile);
const KEY = `ns_live_sk_${"a".repeat(32)}`;
const ANSWERS: Readonly<Record<string, unknown>> = {
  "/v1/responses": {
    id: "resp_1",
    object: "response",
    created_at: 1,
    model: "gpt-5-mini",
    status: "completed",
    output: [
      {
        id: "msg_1",
        type: "message",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: "Hello.", annotations: [] }],
      },
    ],
    usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 },
  },
  "/v1/messages": {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-haiku-4-5",
    content: [{ type: "text", text: "Hello." }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 3, output_tokens: 2 },
  },
  "/v1/chat/completions": { id: "chatcmpl-1", object: "chat.completion", choices: [{ message: { content: "Hello." } }] },
  "/api/cost-events": { data: [], cursor: null },
};

let server: Server;
let origin: string;
let seen: Seen[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    seen.push({ method: request.method ?? "", path, headers: request.headers });
    request.resume().on("end", () => {
      const answer = ANSWERS[path];
      response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" }).end(JSON.stringify(answer ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  seen = [];
});

function snippet(id: string): Snippet {
  const found = clientSnippets(origin).find((candidate) => candidate.id === id);
  if (!found) throw new Error(`no snippet ${id}`);
  return found;
}

// Not the developer's whole environment: another token in it would be used instead of these.
const environment = {
  NODE_ENV: "test" as const,
  PATH: process.env["PATH"],
  HOME: tmpdir(),
  NULLSPEND_KEY: KEY,
  OPENAI_API_KEY: "sk-provider",
  ANTHROPIC_API_KEY: "sk-ant-provider",
};

/** As a user would: Node reads the code, the SDKs are the installed ones. */
async function runScript(code: string): Promise<string> {
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", code], { env: environment, timeout: 20_000 });
  return stdout;
}

describe("snippets that run", () => {
  it("OpenAI JS calls this instance with our key and its own", async () => {
    expect(await runScript(snippet("openai-js").code)).toBe("Hello.\n");
    expect(seen).toMatchObject([
      { method: "POST", path: "/v1/responses", headers: { "x-nullspend-key": KEY, authorization: "Bearer sk-provider" } },
    ]);
  }, 30_000);

  it("Anthropic JS calls this instance with our key and its own", async () => {
    expect(await runScript(snippet("anthropic-js").code)).toContain("Hello.");
    expect(seen).toMatchObject([
      // Since 1.13 this SDK sends its API key as a bearer token.
      { method: "POST", path: "/v1/messages", headers: { "x-nullspend-key": KEY, authorization: "Bearer sk-ant-provider" } },
    ]);
  }, 30_000);

  it("the AI SDK calls this instance for either provider", async () => {
    const { code } = snippet("ai-sdk");
    expect(await runScript(code)).toBe("Hello.\n");
    expect(await runScript(code.replace('openai("gpt-5-mini")', 'anthropic("claude-haiku-4-5")'))).toBe("Hello.\n");
    expect(seen).toMatchObject([
      { path: "/v1/responses", headers: { "x-nullspend-key": KEY, authorization: "Bearer sk-provider" } },
      { path: "/v1/messages", headers: { "x-nullspend-key": KEY, "x-api-key": "sk-ant-provider" } },
    ]);
  }, 30_000);

  it("curl calls this instance, and asks it what the call cost", async () => {
    await run("sh", ["-c", snippet("curl").code], { env: environment, timeout: 20_000 });
    await run("sh", ["-c", costEventsCommand(origin)], { env: environment, timeout: 20_000 });
    expect(seen).toMatchObject([
      { method: "POST", path: "/v1/chat/completions", headers: { "x-nullspend-key": KEY, authorization: "Bearer sk-provider" } },
      { method: "GET", path: "/api/cost-events", headers: { "x-nullspend-key": KEY } },
    ]);
  }, 30_000);
});

describe("every snippet", () => {
  it("makes both changes, each on one line, and nothing else names this instance", () => {
    for (const { id, code } of clientSnippets("https://nullspend.example")) {
      const changes = code.split("\n").map((line) => changeOfLine(line, "https://nullspend.example"));
      expect(
        changes.filter((change) => change === "base-url"),
        id,
      ).toHaveLength(1);
      expect(
        changes.filter((change) => change === "header"),
        id,
      ).toHaveLength(1);
    }
  });

  it("has /v1 where the client does not add it itself, and only there", () => {
    const endsInV1 = Object.fromEntries(
      clientSnippets("https://n.example").map(({ id, code }) => [id, code.includes("https://n.example/v1")]),
    );
    expect(endsInV1).toEqual({
      "openai-js": true,
      "openai-python": true,
      "anthropic-js": false,
      "anthropic-python": false,
      "ai-sdk": true,
      curl: true,
      "claude-code": false,
    });
  });

  it("carries no key, only the name of the variable that does", () => {
    for (const { id, code } of clientSnippets("https://n.example")) expect(code, id).not.toMatch(/ns_live_sk_|sk-/);
  });
});

it("the key made for a headless start has the form of a key", async () => {
  const first = INIT_ENVIRONMENT.split("\n")[0]!;
  const { stdout } = await run("sh", ["-c", `${first}\nprintf %s "$NULLSPEND_KEY"`], { timeout: 20_000 });
  expect(stdout).toMatch(/^ns_live_sk_[0-9a-f]{32}$/);
});
