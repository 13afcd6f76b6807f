// The checks that need neither a database nor a build. Each says what it found; `npm run verify` and `npm test` share them.
import { existsSync, readFileSync } from "node:fs";
import { makeRouteTypes } from "./prepare.mjs";
import { secondsSince } from "./project.mjs";
import { capture, tools } from "./run.mjs";

const linted = ["src", "scripts", "bench", "e2e"];

const staticChecks = [
  { name: "lock file", work: async () => checkLock() },
  { name: "format", work: () => capture(tools.oxfmt, ["--check"]) },
  { name: "lint", work: () => capture(tools.oxlint, ["--type-aware", ...linted.filter((folder) => existsSync(folder))]) },
  { name: "types", work: () => capture(tools.tsc, ["--noEmit"]) },
];

const pureTests = { name: "pure tests", work: () => capture(tools.vitest, ["run", "--project", "pure"]) };

/** Runs the checks side by side, prints each as it ends, and resolves to how many passed and failed. */
export async function runChecks({ withPureTests }) {
  await makeRouteTypes();
  const checks = withPureTests ? [...staticChecks, pureTests] : staticChecks;
  const results = await Promise.all(checks.map(runCheck));
  const failed = results.filter((passed) => !passed).length;
  return { passed: results.length - failed, failed };
}

async function runCheck({ name, work }) {
  const startMs = performance.now();
  const { code, output } = await work();
  const took = secondsSince(startMs);
  console.log(code === 0 ? `✓ ${name} (${took})` : `✗ ${name} (${took})\n${output.trimEnd()}`);
  return code === 0;
}

/** An address in the lock would send everybody's `npm ci` to the registry that one developer happened to use. */
function checkLock() {
  const entries = Object.entries(JSON.parse(readFileSync("package-lock.json", "utf8")).packages);
  const withAddress = entries.filter(([, entry]) => entry.resolved !== undefined && !entry.link).map(([path]) => `  ${path}`);
  if (withAddress.length === 0) return { code: 0, output: "" };
  const shown = withAddress.slice(0, 10).join("\n");
  return {
    code: 1,
    output: `package-lock.json names a registry for ${withAddress.length} packages; run node scripts/fix-lock.mjs\n${shown}`,
  };
}
