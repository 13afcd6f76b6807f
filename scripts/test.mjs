// `npm test`: from a bare clone to the last test. Installs and builds what is missing, then runs the checks, vitest and Playwright.
// `npm test -- src/lib e2e/sign-up.spec.ts` runs only those; other arguments go to vitest.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureChromium } from "./lib/chromium.mjs";
import { runChecks } from "./lib/checks.mjs";
import { prepareServer } from "./lib/prepare.mjs";
import { enterProject, secondsSince } from "./lib/project.mjs";
import { endToEndSpecs, runPlaywright, runVitest } from "./lib/tests.mjs";

const parts = [];
let passed = 0;
let failed = 0;
let skipped = 0;

enterProject();
const isSpec = (argument) => /^(\.\/)?e2e\//.test(argument);
const args = process.argv.slice(2);
const specs = args.filter(isSpec);
const vitestArgs = args.filter((argument) => !isSpec(argument));
const everything = args.length === 0;

const resultFolder = mkdtempSync(join(tmpdir(), "nullspend-test-"));
process.on("exit", () => rmSync(resultFolder, { recursive: true, force: true }));

// The tests start real servers, so they need the production build.
await timed("preparation", async () => prepareServer());
if (everything) {
  // Of the checks only failures count: a passing formatter is not a test.
  await part("checks", async () => ({ passed: 0, failed: (await runChecks({ withPureTests: false })).failed, skipped: 0 }));
}
if (everything || vitestArgs.length > 0) await part("vitest", () => runVitest(vitestArgs, resultFolder));
if (specs.length > 0 || (everything && endToEndSpecs().length > 0)) {
  await timed("browser", ensureChromium);
  await part("playwright", () => runPlaywright(specs, resultFolder));
}

console.log(`\n${parts.join(", ")}${skipped > 0 ? `\n${skipped} skipped` : ""}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

async function timed(name, work) {
  const startMs = performance.now();
  const result = await work();
  parts.push(`${name} ${secondsSince(startMs)}`);
  return result;
}

async function part(name, work) {
  const result = await timed(name, work);
  passed += result.passed;
  failed += result.failed;
  skipped += result.skipped;
}
