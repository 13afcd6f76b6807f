import { randomBytes } from "node:crypto";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = join(import.meta.dirname, "../..");
/** What tests make once. Inside node_modules, so that the bundle finds the packages it leaves out and no tool looks at it. */
export const cacheFolder = join(root, "node_modules/.cache/nullspend");

let bundled: Promise<URL> | undefined;

/** The worker of the embedded database as a file that Node can run: a thread gets none of vitest's TypeScript. */
export function pgliteWorkerUrl(): Promise<URL> {
  bundled ??= bundle();
  return bundled;
}

async function bundle(): Promise<URL> {
  const file = join(cacheFolder, "pglite-worker.mjs");
  const own = join(cacheFolder, `pglite-worker.${process.pid}-${randomBytes(4).toString("hex")}.mjs`);
  await mkdir(cacheFolder, { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: ["src/lib/db/embedded/pglite-worker.ts"],
    outfile: own,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
  // In one step: test files bundle side by side, and none may start a file that another is still writing.
  await rename(own, file);
  return pathToFileURL(file);
}
