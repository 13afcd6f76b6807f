// Runs in a worker thread: a statement blocks the thread it runs on until it is done.
import { parentPort, workerData } from "node:worker_threads";
import { PGlite } from "@electric-sql/pglite";
import { WireFront } from "./wire-front";
import type { FromWorker, ToWorker, WorkerTask } from "./worker-messages";

const VACUUM_EVERY_MS = 15 * 60_000;
const IDLE_IN_TRANSACTION_MS = 30_000;

// PGlite's own default is fsync off. Its file system knows no fsync, but a WAL opened O_DSYNC is on the disk when a commit returns.
const START_PARAMS = [
  ...PGlite.defaultStartParams.filter((param) => param !== "-F"),
  "-c",
  "fsync=on",
  "-c",
  "wal_sync_method=open_datasync",
];

const task = workerData as WorkerTask;
if (task.mode === "initialise") await initialise(task.dataDir);
else await serve(task);

/** In a thread of its own: making a database takes some 500 MB, which go when the thread ends. */
async function initialise(dataDir: string): Promise<void> {
  const database = await PGlite.create(dataDir);
  await database.close();
}

async function serve({ dataDir, listen, maxConnections }: Extract<WorkerTask, { mode: "serve" }>): Promise<void> {
  const database = await open(dataDir);
  if (database === undefined) return;
  const front = new WireFront(database, {
    maxConnections,
    idleInTransactionMs: IDLE_IN_TRANSACTION_MS,
    password: listen.kind === "tcp" ? listen.password : null,
    // Ends the thread; the process hears of it as `died`.
    onFatal: (error) =>
      setImmediate(() => {
        throw error;
      }),
  });

  // There is no autovacuum.
  const vacuum = setInterval(() => {
    front.exclusive(() => database.exec("vacuum analyze")).catch(() => {});
  }, VACUUM_EVERY_MS);

  const stop = async (): Promise<void> => {
    clearInterval(vacuum);
    await front.stop();
    await database.close();
    parentPort?.close();
  };

  parentPort?.on("message", (message: ToWorker) => {
    if (message === "ping") tell({ type: "pong" });
    else void stop();
  });
  const port = await front.listen(listen.kind === "tcp" ? { host: "127.0.0.1", port: 0 } : { path: listen.socketPath });
  tell({ type: "listening", port });
}

/** Undefined when the data cannot be opened; the process is told, and the thread ends. */
async function open(dataDir: string): Promise<PGlite | undefined> {
  try {
    return await PGlite.create(dataDir, { startParams: START_PARAMS });
  } catch (error) {
    tell({ type: "unreadable", reason: error instanceof Error ? error.message : String(error) });
    parentPort?.close();
    return undefined;
  }
}

function tell(message: FromWorker): void {
  parentPort?.postMessage(message);
}
