// Running other programs, by file and never through a shell: paths with spaces and any PATH work.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fail, say, secondsSince } from "./project.mjs";

/** The scripts inside node_modules that we run, always with this very Node. */
export const tools = {
  next: "node_modules/next/dist/bin/next",
  oxfmt: "node_modules/oxfmt/bin/oxfmt",
  oxlint: "node_modules/oxlint/bin/oxlint",
  playwright: "node_modules/@playwright/test/cli.js",
  prisma: "node_modules/prisma/build/index.js",
  tsc: "node_modules/typescript/bin/tsc",
  vitest: "node_modules/vitest/vitest.mjs",
};

const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Does one step of the preparation: says what, then how long it took. A failing step ends the script. */
export async function step(label, work) {
  const startMs = performance.now();
  say(`▸ ${label} …`);
  try {
    await work();
  } catch (error) {
    fail(`✗ ${label} failed after ${secondsSince(startMs)}: ${error.message}`);
  }
  say(`  done in ${secondsSince(startMs)}`);
}

/** Runs a program to its end, quietly; throws with what it printed when it does not succeed. */
export async function run(command, args, env = {}) {
  const { code, output } = await launch(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  if (code === 0) return;
  process.stderr.write(output);
  throw new Error(`${basename(args[0] ?? command)} ended with code ${code}`);
}

export function runNode(file, args, env = {}) {
  return run(process.execPath, [file, ...args], env);
}

/** npm as this project was started with it, or the one installed beside Node. */
export function runNpm(args, env = {}) {
  const beside = join(dirname(dirname(process.execPath)), "lib/node_modules/npm/bin/npm-cli.js");
  const candidates = [process.env.npm_execpath ?? "", beside, join(dirname(process.execPath), "node_modules/npm/bin/npm-cli.js")];
  // Under pnpm, yarn or bun npm_execpath names those, which read no package-lock.json.
  const npm = candidates.find((file) => /^npm(-cli)?\.c?js$/.test(basename(file)) && existsSync(file));
  return npm ? runNode(npm, args, env) : run("npm", args, env);
}

/** Runs a program that talks to the terminal itself, and resolves to its exit code. */
export async function follow(file, args, env = {}) {
  const { code } = await launch(process.execPath, [file, ...args], { env, stdio: "inherit" });
  return code;
}

/** Runs a program and resolves to its exit code and all that it printed. */
export function capture(file, args, env = {}) {
  return launch(process.execPath, [file, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
}

/**
 * A signal to this script is handed on, and ends this script too once the program has gone: nothing is left running, and nothing
 * further is started.
 */
function launch(command, args, { env, stdio }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio, env: { ...process.env, ...env } });
    let stopped = false;
    const stop = (signal) => {
      stopped = true;
      child.kill(signal);
    };
    for (const signal of stopSignals) process.on(signal, stop);
    const chunks = [];
    child.stdout?.on("data", (chunk) => chunks.push(chunk));
    child.stderr?.on("data", (chunk) => chunks.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => {
      for (const signal of stopSignals) process.off(signal, stop);
      if (stopped) process.exit(130);
      resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString("utf8") });
    });
  });
}
