// `npm run bench -- [--seconds 5] [--rounds 3] [--connections 1,32,128] [--only direct,floor,node,embedded,route] [--peer portkey] [--wrk]`
import { spawn } from "node:child_process";
import { enterProject } from "./lib/project.mjs";
import { bundleOptions, prepareServer } from "./lib/prepare.mjs";

enterProject();
process.env.NODE_ENV = "production";
await prepareServer();
const { build } = await import("esbuild");
// Two folders deep, as src/testing is: the helpers there find the project from where they are.
await build(
  bundleOptions({
    outdir: "dist/bench",
    entries: {
      run: "bench/run.ts",
      load: "bench/load.ts",
      floor: "bench/floor.ts",
      "fast-upstream": "bench/fast-upstream.ts",
      "fake-provider": "src/testing/fake-provider/main.ts",
    },
  }),
);
const child = spawn(process.execPath, ["--enable-source-maps", "dist/bench/run.mjs", ...process.argv.slice(2)], { stdio: "inherit" });
child.once("exit", (code) => process.exit(code ?? 1));
