import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

/** What a test imports when it needs a database: all such tests are in the project `database`, the rest are `pure`. */
const NEEDS_DATABASE =
  /from "(pg|@\/testing\/(database|factories|server)|@\/lib\/db\b[^"]*|[^"]*\/(embedded-postgres|migrate|gateway-server))"/;

function testFiles(folder: string): string[] {
  return readdirSync(join(import.meta.dirname, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".test.ts"))
    .map((path) => join(folder, path).replaceAll("\\", "/"))
    .sort();
}

const files = [...testFiles("src"), ...testFiles("bench")];
const database = files.filter((path) => NEEDS_DATABASE.test(readFileSync(join(import.meta.dirname, path), "utf8")));

// `npx vitest run` runs both, `--project pure` what takes seconds and needs no database (`npm run verify`).
export default defineConfig({
  resolve: { tsconfigPaths: true },
  test: {
    environment: "node",
    pool: "forks",
    projects: [
      {
        extends: true,
        test: {
          name: "pure",
          include: ["src/**/*.test.ts", "bench/**/*.test.ts"],
          exclude: ["**/node_modules/**", ...database],
          testTimeout: 20_000,
        },
      },
      // A name that no file can have stands for "none": an empty list would mean vitest's own default.
      {
        extends: true,
        test: {
          name: "database",
          include: database.length > 0 ? database : ["no-database-tests"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
