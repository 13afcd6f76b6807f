// `node scripts/seed-events.mjs [--database postgres://…/nullspend_seed] [--events 10000000] [--days 90]`: a database of its own with
// an organisation whose history is long, for bench/dashboard.ts. An existing database of that name is replaced.
import { spawn } from "node:child_process";
import { enterProject } from "./lib/project.mjs";
import { bundleOptions } from "./lib/prepare.mjs";

enterProject();
const { build } = await import("esbuild");
await build(bundleOptions({ outdir: "dist/bench", entries: { "seed-events": "bench/seed-events.ts" } }));
const child = spawn(process.execPath, ["--enable-source-maps", "dist/bench/seed-events.mjs", ...process.argv.slice(2)], {
  stdio: "inherit",
});
child.once("exit", (code) => process.exit(code ?? 1));
