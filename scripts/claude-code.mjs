// `node scripts/claude-code.mjs`: installs the real Claude Code (about 450 MB, so never a dependency) into .data/clients for the test
// suite of clients, and prints where its program is.
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { enterProject, fail, root, say } from "./lib/project.mjs";
import { runNpm } from "./lib/run.mjs";

const folder = join(root, ".data/clients");
/** The line that the suite was written against; a later one may ask the provider for other things. */
const packageName = "@anthropic-ai/claude-agent-sdk@^0.3.0";

/** The program for this machine, or undefined when it is not installed. */
export function findClaudeCode() {
  const scope = join(folder, "node_modules/@anthropic-ai");
  if (!existsSync(scope)) return undefined;
  const platform = `claude-agent-sdk-${process.platform}-${process.arch}`;
  // musl builds carry a suffix and come only where they are needed; the plain one first.
  for (const name of readdirSync(scope)
    .filter((entry) => entry.startsWith(platform))
    .sort()) {
    for (const file of ["claude", "claude.exe"]) {
      const program = join(scope, name, file);
      if (existsSync(program)) return program;
    }
  }
  return undefined;
}

export async function installClaudeCode() {
  const found = findClaudeCode();
  if (found) return found;
  say(`Installing ${packageName} into .data/clients`);
  mkdirSync(folder, { recursive: true });
  await runNpm(["install", "--prefix", folder, "--no-audit", "--no-fund", "--no-save", "--no-package-lock", packageName]);
  return findClaudeCode();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  enterProject();
  const program = await installClaudeCode();
  if (!program) fail(`There is no Claude Code for ${process.platform} on ${process.arch}.`);
  process.stdout.write(`${program}\n`);
}
