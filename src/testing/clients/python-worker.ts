import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** One run of a journey of `python/worker.py`. */
export type PythonJob = { journey: string; origin: string; openaiKey: string; anthropicKey: string; headers: Record<string, string> };

export type PythonError = {
  isAuthenticationError: boolean;
  type: string;
  status: number | null;
  code: string | null;
  body: unknown;
  message: string;
};
export type PythonAnswer = { result?: unknown; error?: PythonError };

export type PythonWorker = { run(job: PythonJob): Promise<PythonAnswer>; stop(): Promise<void> };

/** The official Python clients in one process, since importing them takes longer than a call. One job at a time. */
export function startPythonWorker(program: string): PythonWorker {
  const child = spawn(program, ["-u", join(import.meta.dirname, "python/worker.py")], { stdio: ["pipe", "pipe", "pipe"], env: bareEnv() });
  let complaints = "";
  child.stderr.on("data", (bytes: Buffer) => (complaints += bytes.toString()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(job) {
      child.stdin.write(`${JSON.stringify(job)}\n`);
      const line = await lines.next();
      if (line.done) throw new Error(`The Python worker ended: ${complaints}`);
      // The worker prints nothing but answers.
      return JSON.parse(line.value) as PythonAnswer;
    },
    stop: () => ended(child, () => child.stdin.end()),
  };
}

/** Nothing of the machine's own settings for these clients, which would change what they send. */
const bareEnv = (): NodeJS.ProcessEnv => ({ NODE_ENV: "production", PATH: process.env.PATH, PYTHONDONTWRITEBYTECODE: "1" });

async function ended(child: ChildProcess, end: () => void): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = once(child, "exit");
  end();
  await exit;
}
