import { randomBytes } from "node:crypto";
import { chmod, mkdir, rename } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import {
  DamagedDataError,
  initialisationFolder,
  inspectDataFolder,
  isServed,
  prepareSocketPath,
  removeEmptyFolder,
  removeInitialisationFolders,
} from "./data-folder";
import { folderInUse, lockFolder } from "./folder-lock";
import { watchWorker } from "./watch-worker";
import type { FromWorker, ListenAddress, ToWorker, WorkerTask } from "./worker-messages";

export { DamagedDataError } from "./data-folder";

export type EmbeddedPostgresOptions = {
  /** Made when it is not there; its parent too. */
  dataDir: string;
  maxConnections?: number;
  /** The bundled worker; by default it stands beside this module, which is the bundle of the server. */
  workerUrl?: URL;
};

export type EmbeddedPostgres = {
  /** For `pg`, Prisma and psql. */
  url: string;
  /** Resolves when the database ends without having been asked to. What was committed is on the disk. */
  died: Promise<Error>;
  /** Ends all connections, closes the database and lets go of the folder. */
  stop: () => Promise<void>;
};

/** Includes the replay of what a killed process had not written back. */
const BOOT_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;

/**
 * A Postgres inside this process, for one machine without a database server: PGlite in a worker thread, behind a socket.
 * See README.md in this folder for what it promises and what it does not.
 * @throws when another process uses the folder, and DamagedDataError when its data cannot be opened.
 */
export async function startEmbeddedPostgres({
  dataDir,
  maxConnections = 40,
  workerUrl = workerBesideBundle(),
}: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const folder = resolve(dataDir);
  await mkdir(dirname(folder), { recursive: true });
  const unlock = await lockFolder(folder);
  try {
    if (await isServed(folder)) throw folderInUse(folder);
    await removeInitialisationFolders(folder);
    if ((await inspectDataFolder(folder)) === "missing") await initialise(folder, workerUrl);
    // PGlite lets everybody read and write the files it makes, so the folder has to keep others out.
    await chmod(folder, 0o700);
    return await serve({ folder, maxConnections, workerUrl, unlock });
  } catch (error) {
    await unlock();
    throw error;
  }
}

/**
 * A `new URL` on a literal would make Next's bundler look for the file among its sources, where there is none; inside Next there is
 * no embedded database.
 */
function workerBesideBundle(): URL {
  const folder = import.meta.url.slice(0, import.meta.url.lastIndexOf("/") + 1);
  return new URL(`${folder}pglite-worker.mjs`);
}

async function initialise(folder: string, workerUrl: URL): Promise<void> {
  const unfinished = initialisationFolder(folder);
  await mkdir(unfinished, { mode: 0o700 });
  const worker = startWorker(workerUrl, { mode: "initialise", dataDir: unfinished });
  await new Promise<void>((done, reject) => {
    worker.once("error", reject);
    worker.once("exit", (code) =>
      code === 0 ? done() : reject(new Error(`making a database in ${folder} failed with exit code ${code}`)),
    );
  });
  await removeEmptyFolder(folder);
  await rename(unfinished, folder);
}

type Serving = { folder: string; maxConnections: number; workerUrl: URL; unlock: () => Promise<void> };

async function serve({ folder, maxConnections, workerUrl, unlock }: Serving): Promise<EmbeddedPostgres> {
  const socketPath = await prepareSocketPath(folder);
  const listen: ListenAddress =
    socketPath === undefined ? { kind: "tcp", password: randomBytes(24).toString("hex") } : { kind: "unix", socketPath };
  const worker = startWorker(workerUrl, { mode: "serve", dataDir: folder, listen, maxConnections });
  const port = await untilListening(worker, folder);

  let isStopping = false;
  const ended = new Promise<void>((done) => worker.once("exit", () => done()));
  const died = new Promise<Error>((done) => {
    worker.once("error", done);
    worker.once("exit", (code) => isStopping || done(new Error(`the embedded database ended with exit code ${code}`)));
  });
  const stopWatching = watchWorker(worker);

  async function stop(): Promise<void> {
    isStopping = true;
    stopWatching();
    send(worker, "stop");
    const timer = setTimeout(() => void worker.terminate(), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
    await unlock();
  }
  return { url: urlOf(listen, port), died, stop };
}

function untilListening(worker: Worker, folder: string): Promise<number | null> {
  return new Promise((done, reject) => {
    const settle = (end: () => void): void => {
      clearTimeout(timer);
      worker.off("error", onError).off("exit", onExit).off("message", onMessage);
      end();
    };
    const fail = (error: Error): void => settle(() => void worker.terminate().then(() => reject(error)));
    const onError = (error: Error): void => fail(error);
    const onExit = (code: number): void => fail(new DamagedDataError(folder, `it ended at its start with exit code ${code}`));
    const onMessage = (message: FromWorker): void => {
      if (message.type === "unreadable") fail(new DamagedDataError(folder, message.reason));
      if (message.type === "listening") settle(() => done(message.port));
    };
    const timer = setTimeout(
      () => fail(new DamagedDataError(folder, `it did not start within ${BOOT_TIMEOUT_MS / 1000} s`)),
      BOOT_TIMEOUT_MS,
    );
    worker.on("error", onError).on("exit", onExit).on("message", onMessage);
  });
}

function urlOf(listen: ListenAddress, port: number | null): string {
  if (listen.kind === "tcp") return `postgres://postgres:${listen.password}@127.0.0.1:${port}/postgres`;
  return `postgres://postgres@localhost/postgres?host=${encodeURIComponent(dirname(listen.socketPath))}`;
}

/** Without the process's own flags, which are not all allowed in a thread. */
const startWorker = (workerUrl: URL, task: WorkerTask): Worker =>
  new Worker(workerUrl, { workerData: task, name: `pglite-${task.mode}`, execArgv: [] });

const send = (worker: Worker, message: ToWorker): void => worker.postMessage(message);
