import { createHash, randomBytes } from "node:crypto";
import { link, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";

export type Unlock = () => Promise<void>;

/**
 * One process per data folder: PGlite takes no lock, and of two writers one loses its data without an error.
 * @throws when another process holds it.
 */
export async function lockFolder(dataDir: string): Promise<Unlock> {
  switch (process.platform) {
    case "linux":
      return lockByName(dataDir, `\0nullspend-${await identityOf(dataDir)}`);
    case "win32":
      return lockByName(dataDir, `\\\\.\\pipe\\nullspend-${await identityOf(dataDir)}`);
    default:
      return lockByFile(dataDir);
  }
}

export const folderInUse = (dataDir: string, owner = ""): Error =>
  new Error(`another NullSpend process${owner} is using ${dataDir}: stop it first, or give this one another folder or a DATABASE_URL`);

/** The same for every way to write the folder's path. */
async function identityOf(dataDir: string): Promise<string> {
  const real = join(await realpath(dirname(dataDir)), basename(dataDir));
  return createHash("sha256").update(real).digest("hex").slice(0, 24);
}

/** A socket or pipe that is no file: the system frees its name when the process ends, however it ends. */
function lockByName(dataDir: string, name: string): Promise<Unlock> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(error.code === "EADDRINUSE" ? folderInUse(dataDir) : error));
    server.listen(name, () => {
      server.unref();
      resolve(() => new Promise((closed) => server.close(() => closed())));
    });
  });
}

/** Elsewhere a file says who; it is left behind by a process that was killed, and then taken over. */
export async function lockByFile(dataDir: string): Promise<Unlock> {
  const file = `${dataDir}.lock`;
  const own = `${file}.${process.pid}-${randomBytes(4).toString("hex")}`;
  await writeFile(own, JSON.stringify({ pid: process.pid, host: hostname() }));
  try {
    // The second try is for after a left-over was removed.
    for (let tries = 0; tries < 2; tries++) {
      // Linked, not written, so that it is never seen without its content.
      if (await tryLink(own, file)) return () => rm(file, { force: true });
      await removeLeftOver(dataDir, file);
    }
    throw folderInUse(dataDir);
  } finally {
    await rm(own, { force: true });
  }
}

/** False when there is one already. */
async function tryLink(existing: string, file: string): Promise<boolean> {
  try {
    await link(existing, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function removeLeftOver(dataDir: string, file: string): Promise<void> {
  const owner = await readOwner(file);
  if (owner !== undefined && (owner.host !== hostname() || isAlive(owner.pid))) {
    throw folderInUse(dataDir, ` (${owner.pid} on ${owner.host}; if there is no such process, delete ${file})`);
  }
  await rm(file, { force: true });
}

/** Undefined when it says nothing that makes sense: the disk was full, or a person emptied it. */
async function readOwner(file: string): Promise<{ pid: number; host: string } | undefined> {
  try {
    const owner: unknown = JSON.parse(await readFile(file, "utf8"));
    if (typeof owner !== "object" || owner === null || !("pid" in owner) || !("host" in owner)) return undefined;
    return typeof owner.pid === "number" && typeof owner.host === "string" ? { pid: owner.pid, host: owner.host } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
