// The agents of `npm run demo`: made-up teams and customers, each with a key, a pace and a habit.
import { setTimeout as sleep } from "node:timers/promises";

const MODELS = {
  small: { path: "/v1/chat/completions", body: (prompt, output) => openai("gpt-5-mini", prompt, output) },
  large: { path: "/v1/chat/completions", body: (prompt, output) => openai("gpt-5", prompt, output) },
  claude: { path: "/v1/messages", body: (prompt, output) => anthropic("claude-sonnet-4-5", prompt, output) },
};

/** `pauseMs`: between two calls. `burst`: now and then many at once. `runaway`: never waits, and asks for more each time. */
const AGENTS = [
  { name: "support agent", team: "support", models: ["small"], pauseMs: 900, customers: ["acme", "globex", "initech"], output: 220 },
  { name: "research agent", team: "research", models: ["large", "claude"], pauseMs: 2_500, customers: ["acme", "umbrella"], output: 900 },
  { name: "coding agent", team: "platform", models: ["claude"], pauseMs: 1_600, customers: [], output: 700, burst: 6 },
  { name: "nightly report", team: "finance", models: ["small", "large"], pauseMs: 4_000, customers: [], output: 400 },
  { name: "runaway scraper", team: "growth", models: ["large"], pauseMs: 250, customers: ["hooli"], output: 1_500, runaway: true },
];

export function createAgents({ origin, adminKey }) {
  async function rest(method, path, body) {
    const answer = await fetch(`${origin}${path}`, {
      method,
      headers: { "x-nullspend-key": adminKey, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()).data;
  }

  /** The key and the limits of an agent. */
  async function setUp(agent) {
    const { id, rawKey } = await rest("POST", "/api/keys", { name: agent.name, defaultTags: { team: agent.team } });
    const limits = agent.runaway
      ? { maxBudgetMicrodollars: 2_000_000, resetInterval: "daily" }
      : { maxBudgetMicrodollars: 25_000_000, resetInterval: "daily", velocityLimitMicrodollars: 1_500_000, velocityWindowSeconds: 60 };
    await rest("POST", "/api/budgets", { entityType: "api_key", entityId: id, ...limits });
    return { ...agent, rawKey };
  }

  async function call(agent, session) {
    const { path, body } = MODELS[pick(agent.models)];
    const customer = agent.customers.length > 0 ? pick(agent.customers) : undefined;
    const output = Math.round(agent.output * (0.4 + Math.random()));
    const answer = await fetch(`${origin}${path}`, {
      method: "POST",
      headers: {
        "x-nullspend-key": agent.rawKey,
        authorization: "Bearer sk-demo",
        ...(path.endsWith("messages") && { "x-api-key": "sk-ant-demo", "anthropic-version": "2023-06-01" }),
        "content-type": "application/json",
        "x-nullspend-session": session,
        ...(customer && { "x-nullspend-customer": customer }),
        "x-fake-scenario": JSON.stringify({
          tokens: { input: 400 + Math.round(Math.random() * 6_000), output },
          chunks: 12,
        }),
      },
      body: JSON.stringify(body(`Step of ${agent.name}`, output + 50)),
    });
    await answer.arrayBuffer();
    return answer.status;
  }

  async function live(agent) {
    let session = sessionOf(agent);
    for (let calls = 1; ; calls += 1) {
      const together = agent.burst && Math.random() < 0.1 ? agent.burst : 1;
      const statuses = await Promise.all(Array.from({ length: together }, () => call(agent, session).catch(() => 0)));
      if (calls % 12 === 0) session = sessionOf(agent);
      // A denied agent asks again now and then, as agents do.
      const denied = statuses.every((status) => status === 429);
      await sleep(denied ? 6_000 : agent.pauseMs * (0.5 + Math.random()));
    }
  }

  return {
    async run() {
      await rest("POST", "/api/budgets", { entityType: "org", maxBudgetMicrodollars: 250_000_000, resetInterval: "monthly" });
      const agents = [];
      for (const agent of AGENTS) agents.push(await setUp(agent));
      await Promise.all(agents.map(live));
    },
  };
}

const pick = (list) => list[Math.floor(Math.random() * list.length)];
const sessionOf = (agent) => `${agent.name.replaceAll(" ", "-")}-${Math.random().toString(36).slice(2, 8)}`;

function openai(model, prompt, output) {
  return { model, stream: true, max_completion_tokens: output, messages: [{ role: "user", content: prompt }] };
}

function anthropic(model, prompt, output) {
  return { model, stream: true, max_tokens: output, messages: [{ role: "user", content: prompt }] };
}
