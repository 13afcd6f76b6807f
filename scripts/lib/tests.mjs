// The two test runners, with their results read from what they report and not from what they print.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { follow, tools } from "./run.mjs";

export function endToEndSpecs() {
  return existsSync("e2e") ? readdirSync("e2e", { recursive: true }).filter((name) => String(name).endsWith(".spec.ts")) : [];
}

/** Runs vitest and resolves to `{ passed, failed, skipped }`. */
export async function runVitest(args, resultFolder) {
  const file = join(resultFolder, "vitest.json");
  const code = await follow(tools.vitest, ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...args]);
  const report = readReport(file);
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  // A file that does not load holds no tests to fail, and counts as one.
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.every(isNotFailed),
  ).length;
  return consistent(code, {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles,
    skipped: report.numPendingTests + report.numTodoTests,
  });
}

/** Runs Playwright and resolves to `{ passed, failed, skipped }`. A test that needed a second try has passed. */
export async function runPlaywright(args, resultFolder) {
  const file = join(resultFolder, "playwright.json");
  const code = await follow(tools.playwright, ["test", "--config=e2e/playwright.config.ts", "--reporter=list,json", ...args], {
    PLAYWRIGHT_JSON_OUTPUT_FILE: file,
  });
  const report = readReport(file);
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  const { expected, flaky, unexpected, skipped } = report.stats;
  return consistent(code, { passed: expected + flaky, failed: unexpected, skipped });
}

/** A runner that ends badly although no test failed (an error outside of any, nothing found) must not look like success. */
function consistent(code, result) {
  return code !== 0 && result.failed === 0 ? { ...result, failed: 1 } : result;
}

function isNotFailed({ status }) {
  return status !== "failed";
}

function readReport(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
}
