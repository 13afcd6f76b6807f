import { createHash } from "node:crypto";
import { lstat, mkdir, readdir, readFile, realpath, rm, rmdir, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { basename, dirname, join } from "node:path";

/** The Postgres that PGlite is: it reads only folders of its own major version. */
const POSTGRES_MAJOR = "18";
const CONTROL_FILE_BYTES = 8192;
/** A path of a unix socket has room for 104 bytes on macOS, 108 on Linux. */
const SOCKET_PATH_BYTES_MAX = 100;
const SOCKET_NAME = ".s.PGSQL.5432";

/** Data that is there and cannot be used. It is never deleted: a person decides what becomes of it. */
export class DamagedDataError extends Error {
  override readonly name = "DamagedDataError";

  constructor(dataDir: string, what: string) {
    super(
      `the database in ${dataDir} cannot be opened: ${what}. Nothing was changed. ` +
        `Put a backup of the folder in its place, or move it away to start with an empty database.`,
    );
  }
}

/** @throws DamagedDataError when there is something that is not a whole database. */
export async function inspectDataFolder(dataDir: string): Promise<"missing" | "present"> {
  const entries = await readdir(dataDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  if (entries.length === 0) return "missing";

  const version = await readFile(join(dataDir, "PG_VERSION"), "utf8").catch(() => undefined);
  if (version === undefined) throw new DamagedDataError(dataDir, "PG_VERSION is missing, so it is no database or only a part of one");
  if (!/^\d+\s*$/.test(version)) throw new DamagedDataError(dataDir, "PG_VERSION is damaged");
  if (version.trim() !== POSTGRES_MAJOR) {
    throw new DamagedDataError(dataDir, `Postgres ${version.trim()} made it and this is Postgres ${POSTGRES_MAJOR}`);
  }
  const control = await stat(join(dataDir, "global/pg_control")).catch(() => undefined);
  if (control === undefined) throw new DamagedDataError(dataDir, "global/pg_control is missing");
  if (control.size !== CONTROL_FILE_BYTES) throw new DamagedDataError(dataDir, "global/pg_control is damaged");
  return "present";
}

/** Where a new database is made before it takes its name, so that a folder with the name is always whole. */
export const initialisationFolder = (dataDir: string): string => `${dataDir}.init-${process.pid}`;

/** Removes what first boots that were killed left. Only under the folder's lock: another's first boot looks the same. */
export async function removeInitialisationFolders(dataDir: string): Promise<void> {
  const parent = dirname(dataDir);
  const prefix = `${basename(dataDir)}.init-`;
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) await rm(join(parent, name), { recursive: true, force: true });
  }
}

/** An empty folder may be a mount or made by hand; a rename needs the place free. */
export async function removeEmptyFolder(dataDir: string): Promise<void> {
  await rmdir(dataDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EBUSY")
      throw new Error(`${dataDir} is a mount: mount its parent instead, so that a new database can take the name`);
    if (error.code !== "ENOENT") throw error;
  });
}

/**
 * Whether a database answers at the place where this folder's would. The lock of Linux is one of the network namespace, and two
 * containers may share a folder.
 */
export async function isServed(dataDir: string): Promise<boolean> {
  if (process.platform === "win32") return false;
  for (const folder of await socketFolders(dataDir)) {
    if (await answers(join(folder, SOCKET_NAME))) return true;
  }
  return false;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      resolve(true);
      socket.destroy();
    });
    socket.once("error", () => resolve(false));
  });
}

/** Beside the data, else in a shared place with a short name. */
async function socketFolders(dataDir: string): Promise<string[]> {
  const real = join(await realpath(dirname(dataDir)), basename(dataDir));
  const short = `nullspend-${createHash("sha256").update(real).digest("hex").slice(0, 16)}`;
  const folders = [`${real}.socket`, join(tmpdir(), short), join("/tmp", short)];
  return folders.filter((folder) => Buffer.byteLength(join(folder, SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX);
}

/**
 * A path for a unix socket in a folder that only this user can enter, beside the data where the path is short enough.
 * @returns undefined where there is no such place; left-over sockets are removed, which is safe under the folder's lock.
 */
export async function prepareSocketPath(dataDir: string): Promise<string | undefined> {
  if (process.platform === "win32") return undefined;
  for (const folder of await socketFolders(dataDir)) {
    if (!(await makePrivateFolder(folder))) continue;
    const path = join(folder, SOCKET_NAME);
    await rm(path, { force: true });
    return path;
  }
  return undefined;
}

/** False when the folder cannot be made or is not ours alone: in a shared place somebody else may have made it first. */
async function makePrivateFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    const found = await lstat(folder);
    return found.isDirectory() && found.uid === userInfo().uid && (found.mode & 0o077) === 0;
  } catch {
    return false;
  }
}
