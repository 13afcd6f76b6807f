import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig } from "@playwright/test";

const given = process.env["E2E_BASE_URL"];
const port = process.env["E2E_PORT"] ?? "4878";

/** An instance of its own, on an embedded database that is nobody's. */
function ownServer(): { command: string; cwd: string; url: string; env: Record<string, string>; timeout: number } {
  return {
    command: "node dist/main.mjs",
    cwd: join(import.meta.dirname, ".."),
    url: `http://localhost:${port}/api/ready`,
    env: { NODE_ENV: "production", PORT: port, DATA_DIR: mkdtempSync(join(tmpdir(), "nullspend-e2e-")), NEXT_TELEMETRY_DISABLED: "1" },
    timeout: 60_000,
  };
}

// Workers read this file too; only the first process starts the server.
const startsServer = given === undefined && process.env["TEST_WORKER_INDEX"] === undefined;

export default defineConfig({
  testDir: import.meta.dirname,
  outputDir: join(import.meta.dirname, "..", "test-results"),
  fullyParallel: true,
  workers: 2,
  forbidOnly: process.env["CI"] !== undefined,
  reporter: "list",
  use: {
    baseURL: given ?? `http://localhost:${port}`,
    trace: "retain-on-failure",
    launchOptions: { executablePath: process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium", args: ["--no-sandbox"] },
  },
  ...(startsServer ? { webServer: ownServer() } : {}),
});
