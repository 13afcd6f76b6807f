// Running other programs, by file and never through a shell: paths with spaces and any PATH work.
import { spawn, spawnSync } from "node:child_process";
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

/** Runs a program to its end, its output on our stderr; throws when it does not succeed. */
export function run(command, args, env = {}) {
  const result = spawnSync(command, args, { stdio: ["ignore", 2, 2], env: { ...process.env, ...env } });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`${basename(args[0] ?? command)} ended with ${result.signal ?? `code ${result.status}`}`);
}

export function runNode(file, args, env = {}) {
  run(process.execPath, [file, ...args], env);
}

/** npm as this project was started with it, or the one installed beside Node. */
export function runNpm(args, env = {}) {
  const beside = join(dirname(dirname(process.execPath)), "lib/node_modules/npm/bin/npm-cli.js");
  const candidates = [process.env.npm_execpath ?? "", beside, join(dirname(process.execPath), "node_modules/npm/bin/npm-cli.js")];
  // Under pnpm, yarn or bun npm_execpath names those, which read no package-lock.json.
  const npm = candidates.find((file) => /^npm(-cli)?\.c?js$/.test(basename(file)) && existsSync(file));
  if (npm) runNode(npm, args, env);
  else run("npm", args, env);
}

/**
 * Runs a program whose output should be seen while it works, and resolves to its exit code. A signal to this script is handed on,
 * and ends this script too once the program has gone, so that nothing is left running and nothing further is started.
 */
export function follow(file, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, ...args], { stdio: "inherit", env: { ...process.env, ...env } });
    let stopped = false;
    const stop = (signal) => {
      stopped = true;
      child.kill(signal);
    };
    process.on("SIGINT", stop).on("SIGTERM", stop);
    child.once("error", reject);
    child.once("exit", (code) => {
      process.off("SIGINT", stop).off("SIGTERM", stop);
      if (stopped) process.exit(130);
      resolve(code ?? 1);
    });
  });
}

/** Runs a program and keeps what it prints, for checks that run side by side. */
export function capture(file, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, ...args], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    const chunks = [];
    child.stdout.on("data", (chunk) => chunks.push(chunk));
    child.stderr.on("data", (chunk) => chunks.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString("utf8") }));
  });
}
