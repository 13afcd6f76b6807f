import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const folder = join(process.cwd(), ".data/peers/portkey");
const packageFolder = join(folder, "node_modules/@portkey-ai/gateway");

export type Peer = { version: string; port: number; pid: number; headers: Record<string, string>; stop(): Promise<void> };

/** Portkey's open-source gateway, installed on demand and never a dependency of ours. It proxies; it records nothing. */
export async function startPortkey(options: { upstreamPort: number }): Promise<Peer> {
  if (!existsSync(packageFolder)) {
    mkdirSync(folder, { recursive: true });
    console.error("installing @portkey-ai/gateway into .data/peers");
    const { status } = spawnSync("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--no-save", "@portkey-ai/gateway"], {
      stdio: "inherit",
    });
    if (status !== 0) throw new Error("could not install @portkey-ai/gateway");
  }
  const manifest: unknown = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  const version = typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "?";
  const port = await freePort();
  const child = spawn(process.execPath, [join(packageFolder, "build/start-server.js"), `--port=${port}`, "--headless"], {
    stdio: "ignore",
    env: { ...process.env, NODE_ENV: "production" },
  });
  for (let tries = 0; tries < 200; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (answer) break;
    await sleep(50);
  }
  return {
    version,
    port,
    // A process that answered has an id.
    pid: child.pid!,
    headers: {
      authorization: "Bearer sk-bench",
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": `http://127.0.0.1:${options.upstreamPort}/v1`,
    },
    stop: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill("SIGKILL");
      }),
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.listen(0, "127.0.0.1", () => {
      // Listening on TCP, so the address is an object.
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
