// Where the project is and what it needs of the machine. Node built-ins only: this runs before node_modules exists.
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const nodeVersionMin = [20, 19];

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Every script begins here: the right Node, the project's folder, and `.env` in the environment (what is already set wins). */
export function enterProject() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < nodeVersionMin[0] || (major === nodeVersionMin[0] && minor < nodeVersionMin[1])) {
    fail(`NullSpend needs Node ${nodeVersionMin.join(".")} or newer, and this is Node ${process.versions.node}.`);
  }
  process.chdir(root);
  if (existsSync(".env")) process.loadEnvFile(".env");
}

/** Ends the script with a sentence instead of a stack. */
export function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

/** Progress goes to stderr, so that what a command prints for programs stays alone on stdout. */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

export function secondsSince(startMs) {
  return `${((performance.now() - startMs) / 1000).toFixed(1)} s`;
}
