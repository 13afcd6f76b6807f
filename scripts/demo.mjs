// `npm run demo`: a living product without any key. Starts the server on a database of its own (.data/demo), a stand-in for the
// providers on this machine, and agents of several teams and customers; one of them runs away, and its budget stops it.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { enterProject, root, say } from "./lib/project.mjs";
import { prepareServer } from "./lib/prepare.mjs";
import { createAgents } from "./lib/demo-agents.mjs";

enterProject();
process.env.NODE_ENV = "production";
process.env.NEXT_TELEMETRY_DISABLED = "1";
await prepareServer();
const { build } = await import("esbuild");
await build({
  entryPoints: { "fake-provider": "src/testing/fake-provider/main.ts" },
  outdir: "dist/demo",
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  packages: "external",
  logLevel: "error",
});

// Made anew each time: what is shown is only what these agents do.
await rm(".data/demo", { recursive: true, force: true });
const port = Number(process.env.PORT ?? 3000);
const origin = `http://localhost:${port}`;
const person = { email: "demo@nullspend.example", password: `demo-${randomBytes(6).toString("hex")}` };
const adminKey = `ns_live_sk_${randomBytes(16).toString("hex")}`;
const children = [];

function stop(code = 0) {
  for (const child of children) child.kill("SIGTERM");
  setTimeout(() => process.exit(code), 3_000).unref();
}
process.on("SIGINT", () => stop());
process.on("SIGTERM", () => stop());

const provider = spawn(process.execPath, ["dist/demo/fake-provider.mjs", "--log-max", "10"], {
  cwd: root,
  stdio: ["ignore", "pipe", "inherit"],
});
children.push(provider);
const { url: providerUrl } = await new Promise((resolve, reject) => {
  provider.once("exit", (code) => reject(new Error(`the stand-in for the providers ended with code ${code}`)));
  provider.stdout.once("data", (line) => resolve(JSON.parse(String(line))));
});

// Only what the demo needs: no real provider, no real database, no mail of a configured instance.
const server = spawn(process.execPath, ["scripts/start.mjs"], {
  cwd: root,
  stdio: ["ignore", "ignore", "pipe"],
  env: {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    NODE_ENV: "production",
    PORT: String(port),
    DATA_DIR: ".data/demo",
    DATABASE_URL: "",
    REDIS_URL: "",
    RESEND_API_KEY: "",
    SMTP_URL: "",
    EMAIL_FROM: "",
    PRICE_REFRESH: "0",
    OPENAI_UPSTREAM_URL: providerUrl,
    ANTHROPIC_UPSTREAM_URL: providerUrl,
    NULLSPEND_INIT_USER_EMAIL: person.email,
    NULLSPEND_INIT_USER_PASSWORD: person.password,
    NULLSPEND_INIT_ORG_NAME: "Demo",
    NULLSPEND_INIT_ADMIN_KEY: adminKey,
  },
});
children.push(server);
let complaint = "";
server.stderr.on("data", (text) => {
  complaint = `${complaint}${text}`.slice(-4_000);
});
server.once("exit", (code) => {
  if (code) say(complaint);
  stop(code ?? 0);
});

for (let tries = 0; ; tries += 1) {
  const ready = await fetch(`${origin}/api/ready`).then(
    (answer) => answer.ok,
    () => false,
  );
  if (ready) break;
  if (tries > 240) {
    say(complaint);
    stop(1);
    throw new Error("the server did not get ready within a minute");
  }
  await sleep(250);
}

say(`
  A living NullSpend at ${origin}, with agents that call models and nothing that costs money.

    Sign in:   ${origin}/signin
    Address:   ${person.email}
    Password:  ${person.password}

  Ctrl+C stops it. Its data is in .data/demo until the next time.
`);
await createAgents({ origin, adminKey }).run();
