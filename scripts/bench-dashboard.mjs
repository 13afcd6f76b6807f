// `node scripts/bench-dashboard.mjs [--rounds 15] [--out bench/results/….md]`: every query of the dashboard against the database that
// scripts/seed-events.mjs has made.
import { spawn } from "node:child_process";
import { enterProject } from "./lib/project.mjs";
import { bundleOptions } from "./lib/prepare.mjs";

enterProject();
const { build } = await import("esbuild");
await build(bundleOptions({ outdir: "dist/bench", entries: { dashboard: "bench/dashboard.ts" } }));
const child = spawn(process.execPath, ["--enable-source-maps", "dist/bench/dashboard.mjs", ...process.argv.slice(2)], { stdio: "inherit" });
child.once("exit", (code) => process.exit(code ?? 1));
