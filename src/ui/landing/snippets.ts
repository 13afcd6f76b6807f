import type { Language } from "@/ui/lib/highlight";

/**
 * How each client is pointed at this instance. Two things change everywhere, the base URL and one header; everything else is the
 * client's own code. `snippets.test.ts` runs these against a fake provider, so what a person copies is what was tested.
 */
export type Snippet = {
  id: string;
  /** As the makers of the client write its name. */
  label: string;
  language: Language;
  /** How to install or name the file; shown above the code. */
  setup: string;
  code: string;
  /** What surprises people who set this client up by hand. */
  note: string;
};

/** Which of the two changes a line makes, if any. */
export type SettingChange = "base-url" | "header";

/** The changed line is found, not marked by hand: the code stays exactly what is copied. */
export function changeOfLine(line: string, origin: string): SettingChange | undefined {
  if (line.includes("X-NullSpend-Key")) return "header";
  if (line.includes(origin)) return "base-url";
  return undefined;
}

/** @param origin without a slash at its end, as `location.origin` gives it. */
export function clientSnippets(origin: string): readonly Snippet[] {
  return [
    {
      id: "openai-js",
      label: "OpenAI JS",
      language: "js",
      setup: "npm install openai",
      code: `import OpenAI from "openai";

const client = new OpenAI({
  baseURL: "${origin}/v1",
  defaultHeaders: { "X-NullSpend-Key": process.env.NULLSPEND_KEY },
});

const response = await client.responses.create({
  model: "gpt-5-mini",
  input: "Say hello.",
});

console.log(response.output_text);
`,
      note: "The OpenAI base URL ends in /v1. OPENAI_API_KEY stays where it is and goes to OpenAI untouched.",
    },
    {
      id: "openai-python",
      label: "OpenAI Python",
      language: "python",
      setup: "pip install openai",
      code: `import os

from openai import OpenAI

client = OpenAI(
    base_url="${origin}/v1",
    default_headers={"X-NullSpend-Key": os.environ["NULLSPEND_KEY"]},
)

response = client.responses.create(
    model="gpt-5-mini",
    input="Say hello.",
)

print(response.output_text)
`,
      note: "The OpenAI base URL ends in /v1. OPENAI_API_KEY stays where it is and goes to OpenAI untouched.",
    },
    {
      id: "anthropic-js",
      label: "Anthropic JS",
      language: "js",
      setup: "npm install @anthropic-ai/sdk",
      code: `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({
  baseURL: "${origin}",
  defaultHeaders: { "X-NullSpend-Key": process.env.NULLSPEND_KEY },
});

const message = await client.messages.create({
  model: "claude-haiku-4-5",
  max_tokens: 256,
  messages: [{ role: "user", content: "Say hello." }],
});

console.log(message.content);
`,
      note: "The Anthropic base URL has no /v1: the SDK adds it. ANTHROPIC_API_KEY goes to Anthropic untouched.",
    },
    {
      id: "anthropic-python",
      label: "Anthropic Python",
      language: "python",
      setup: "pip install anthropic",
      code: `import os

from anthropic import Anthropic

client = Anthropic(
    base_url="${origin}",
    default_headers={"X-NullSpend-Key": os.environ["NULLSPEND_KEY"]},
)

message = client.messages.create(
    model="claude-haiku-4-5",
    max_tokens=256,
    messages=[{"role": "user", "content": "Say hello."}],
)

print(message.content)
`,
      note: "The Anthropic base URL has no /v1: the SDK adds it. ANTHROPIC_API_KEY goes to Anthropic untouched.",
    },
    {
      id: "ai-sdk",
      label: "Vercel AI SDK",
      language: "js",
      setup: "npm install ai @ai-sdk/openai @ai-sdk/anthropic",
      code: `import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";

const baseURL = "${origin}/v1";
const headers = { "X-NullSpend-Key": process.env.NULLSPEND_KEY ?? "" };

const openai = createOpenAI({ baseURL, headers });
const anthropic = createAnthropic({ baseURL, headers });

const { text } = await generateText({
  model: openai("gpt-5-mini"), // or anthropic("claude-haiku-4-5")
  prompt: "Say hello.",
});

console.log(text);
`,
      note: "Here both providers take the base URL with /v1. The two lines serve OpenAI and Anthropic alike.",
    },
    {
      id: "curl",
      label: "curl",
      language: "shell",
      setup: "in a shell with NULLSPEND_KEY and OPENAI_API_KEY set",
      code: `curl ${origin}/v1/chat/completions \\
  -H "X-NullSpend-Key: $NULLSPEND_KEY" \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model":"gpt-5-mini","messages":[{"role":"user","content":"Say hello."}]}'
`,
      note: "Add -i to see the answer's X-NullSpend-Request-Id: the id of the cost event this call becomes.",
    },
    {
      id: "claude-code",
      label: "Claude Code",
      language: "shell",
      setup: "in the shell that starts claude, or in the env block of its settings",
      code: `export ANTHROPIC_BASE_URL="${origin}"
export ANTHROPIC_CUSTOM_HEADERS="X-NullSpend-Key: $NULLSPEND_KEY"

claude
`,
      note: "Claude Code names its session by itself, so its calls are grouped by session without further set-up.",
    },
  ];
}

/** Makes a person, an organisation and a key on this instance. */
export const INIT_COMMAND = "npm run nullspend -- init\n";

/** The same without a prompt: a key you chose exists from the first start on. */
export const INIT_ENVIRONMENT = `export NULLSPEND_KEY="ns_live_sk_$(openssl rand -hex 16)"

NULLSPEND_INIT_USER_EMAIL="you@example.com" \\
NULLSPEND_INIT_ORG_NAME="Example" \\
NULLSPEND_INIT_API_KEY="$NULLSPEND_KEY" \\
npm start
`;

export function costEventsCommand(origin: string): string {
  return `curl "${origin}/api/cost-events?limit=1" \\
  -H "X-NullSpend-Key: $NULLSPEND_KEY"
`;
}
