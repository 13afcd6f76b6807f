// `npm run dev`: bundles the server and restarts it when one of its own files changes. Next reloads its side by itself.
import { spawn } from "node:child_process";
import { enterProject, say } from "./lib/project.mjs";
import { bundleOptions, prepareSources } from "./lib/prepare.mjs";

/** A development server is not worth waiting for: streams still open after this are cut. */
const stopTimeoutMs = 4_000;

enterProject();
process.env.NODE_ENV = "development";
process.env.NEXT_TELEMETRY_DISABLED = "1";
await prepareSources();
const { context } = await import("esbuild");

let server;
let queue = Promise.resolve();

function stopServer() {
  const child = server;
  if (!child || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill("SIGTERM");
  });
}

function startServer() {
  const child = spawn(process.execPath, ["--enable-source-maps", "dist/dev/main.mjs"], { stdio: "inherit" });
  child.once("exit", (code) => {
    if (code) say(`The server ended with code ${code}; it starts again when a file changes.`);
  });
  server = child;
}

function restartServer() {
  queue = queue.then(stopServer).then(startServer);
}

const bundle = await context({
  ...bundleOptions({ outdir: "dist/dev" }),
  plugins: [
    {
      name: "restart-server",
      setup(build) {
        // A file that does not compile leaves the old server running.
        build.onEnd((result) => {
          if (result.errors.length === 0) restartServer();
        });
      },
    },
  ],
});
await bundle.watch();

let stopping = false;
async function stopAll() {
  // Ctrl+C arrives twice: from the terminal, and handed on by npm.
  if (stopping) return;
  stopping = true;
  await queue;
  await stopServer();
  await bundle.dispose();
  process.exit(0);
}
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => void stopAll());
