import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { expect, test } from "vitest";
import { startEmbeddedPostgres } from "@/lib/db/embedded";
import { pgliteWorkerUrl } from "@/testing/pglite-worker-bundle";

test("x", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ns-"));
  const t0 = performance.now();
  const db = await startEmbeddedPostgres({ dataDir: join(folder, "postgres"), workerUrl: await pgliteWorkerUrl() });
  console.log(db.url, performance.now() - t0);
  const c = new Client({ connectionString: db.url });
  await c.connect();
  console.log((await c.query("select version(), $1::int a", [4])).rows);
  await c.end();
  const t1 = performance.now();
  await db.stop();
  console.log(performance.now() - t1);
  const t2 = performance.now();
  const again = await startEmbeddedPostgres({ dataDir: join(folder, "postgres"), workerUrl: await pgliteWorkerUrl() });
  console.log(performance.now() - t2);
  await again.stop();
  await rm(folder, { recursive: true });
});
