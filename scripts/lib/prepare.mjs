// What must be there before NullSpend runs: packages, the generated database client, the pages and the server's bundle.
// Node built-ins only at the top: esbuild is loaded once it is installed.
import { existsSync } from "node:fs";
import { withBuildLock } from "./build-lock.mjs";
import { runNode, runNpm, step, tools } from "./run.mjs";
import { hashOf, isInstalled, isStamped, makeStamped } from "./stale.mjs";

/**
 * `prisma generate` looks for the schema engine's file and would download it, but never runs it: any file that exists stands in.
 * For the same reason `prisma migrate` must not be used with it; migrations are run by our own code.
 */
export const prismaEnv = { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, PRISMA_HIDE_UPDATE_MESSAGE: "1", CHECKPOINT_DISABLE: "1" };

const stamps = { client: "src/generated/.stamp", pages: ".next/.stamp", bundle: "dist/.stamp" };

const clientInputs = ["prisma/schema.prisma", "prisma.config.ts", "package-lock.json"];
const bundleInputs = ["src", "prisma/schema.prisma", "package-lock.json", "tsconfig.json", "scripts/lib"];
const pagesInputs = [...bundleInputs, "public", "package.json", "next.config.ts", "postcss.config.mjs"];

/** Tests and generated files change nothing in a build; the schema stands for the latter. */
const isSource = (path) => !/\.test\.tsx?$/.test(path) && !path.startsWith("src/generated");

/** The files that are entered from outside: the server, its database thread and the command line tool. */
export const entryPoints = {
  main: "src/main.ts",
  "pglite-worker": "src/lib/db/embedded/pglite-worker.ts",
  cli: "src/cli.ts",
};

/** Makes everything a production server needs, as far as it is missing or older than its sources. */
export async function prepareServer({ force = false } = {}) {
  await prepare({ pages: true, force });
}

/** Makes what the command line tool needs: everything but the pages. */
export async function prepareBundle() {
  await prepare({ pages: false, force: false });
}

/** Packages and the generated client: enough for the checks, for tests without a server, and for development. */
export async function prepareSources() {
  if (isInstalled() && isStamped(stamps.client, hashOf(clientInputs))) return;
  await withBuildLock(makeSources);
}

async function prepare({ pages, force }) {
  const isFresh = () =>
    isInstalled() &&
    isStamped(stamps.client, hashOf(clientInputs)) &&
    isStamped(stamps.bundle, hashOf(bundleInputs, isSource)) &&
    (!pages || isStamped(stamps.pages, hashOf(pagesInputs, isSource)));
  if (!force && isFresh()) return;

  // Looked at again inside the lock: whoever held it may have made just this.
  await withBuildLock(async () => {
    await makeSources();
    if (pages) await makePages(force);
    await makeBundle(force);
  });
}

async function makeSources() {
  if (!isInstalled()) {
    // NODE_ENV=production would leave out the packages that build the rest.
    await step("Installing packages", () =>
      runNpm(["ci", "--include=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"], prismaEnv),
    );
  }
  const hash = hashOf(clientInputs);
  if (isStamped(stamps.client, hash)) return;
  await step("Generating the database client", () =>
    makeStamped(stamps.client, hash, () => runNode(tools.prisma, ["generate", "--no-hints"], prismaEnv)),
  );
}

async function makePages(force) {
  const hash = hashOf(pagesInputs, isSource);
  if (!force && isStamped(stamps.pages, hash)) return;
  await step("Building the pages", () =>
    makeStamped(stamps.pages, hash, () => runNode(tools.next, ["build"], { NODE_ENV: "production", NEXT_TELEMETRY_DISABLED: "1" })),
  );
}

async function makeBundle(force) {
  const hash = hashOf(bundleInputs, isSource);
  if (!force && isStamped(stamps.bundle, hash)) return;
  await step("Bundling the server", () =>
    makeStamped(stamps.bundle, hash, async () => {
      const { build } = await import("esbuild");
      await build(bundleOptions({ outdir: "dist" }));
    }),
  );
}

/** How our own code is bundled; packages stay in node_modules. */
export function bundleOptions({ outdir, entries = entryPoints }) {
  return {
    entryPoints: entries,
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    sourcemap: true,
    logLevel: "warning",
  };
}

/** Route types and next-env.d.ts, without which tsc does not know the pages. */
export async function makeRouteTypes() {
  if (existsSync("src/app")) await runNode(tools.next, ["typegen"], { NEXT_TELEMETRY_DISABLED: "1" });
}
