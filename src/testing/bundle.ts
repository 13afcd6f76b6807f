import { randomBytes } from "node:crypto";
import { mkdir, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = join(import.meta.dirname, "../..");
/** What tests make once. Inside node_modules, so that bundles find the packages they leave out and no tool looks at it. */
export const cacheFolder = join(root, "node_modules/.cache/nullspend");

const bundles = new Map<string, Promise<URL>>();

/**
 * A file of ours, with all of ours that it imports, as one that Node runs by itself: threads and child processes get none of
 * vitest's TypeScript.
 * @param entry Path from the root of the repository.
 */
export function bundle(entry: string): Promise<URL> {
  const known = bundles.get(entry) ?? bundleNow(entry);
  bundles.set(entry, known);
  return known;
}

/** The worker of the embedded database. */
export const pgliteWorkerUrl = (): Promise<URL> => bundle("src/lib/db/embedded/pglite-worker.ts");

async function bundleNow(entry: string): Promise<URL> {
  const name = basename(entry, ".ts");
  const file = join(cacheFolder, `${name}.mjs`);
  const own = join(cacheFolder, `${name}.${process.pid}-${randomBytes(4).toString("hex")}.mjs`);
  await mkdir(cacheFolder, { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
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
