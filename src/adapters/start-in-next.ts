import { readEnv } from "@/lib/env";
import { createLogger } from "@/lib/logger";
import { startRuntime } from "@/server/runtime";
import { setRuntime } from "./runtime";

/** Builds the runtime inside Next, where there is no custom server. */
export async function startRuntimeInNext(): Promise<void> {
  const env = readEnv(process.env);
  if (env.database.kind === "embedded") {
    throw new Error("DATABASE_URL is missing: without the custom server (npm start) there is no embedded database.");
  }
  const log = createLogger({ level: env.logLevel });
  setRuntime(await startRuntime({ env, log, root: process.cwd(), database: { url: env.database.url } }));
}
