// What has to be made again. Decided by content, not by time: a clone, a checkout and a copy all change times.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Hash over files and folders (missing ones count as empty). `keep` chooses by path, with forward slashes. */
export function hashOf(paths, keep = () => true) {
  const hash = createHash("sha256").update(`${process.versions.node} ${process.platform} ${process.arch}`);
  const visit = (path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat || !keep(path)) return;
    if (stat.isDirectory()) {
      for (const name of readdirSync(path).sort()) visit(`${path}/${name}`);
    } else {
      hash.update(`\0${path}\0`).update(readFileSync(path));
    }
  };
  for (const path of paths) visit(path);
  return hash.digest("hex");
}

export function isStamped(stampFile, hash) {
  return existsSync(stampFile) && readFileSync(stampFile, "utf8") === hash;
}

/** Makes something and stamps it with the hash of what it was made from. The stamp goes first, so that a broken run leaves none. */
export async function makeStamped(stampFile, hash, make) {
  rmSync(stampFile, { force: true });
  await make();
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, hash);
}

/**
 * Whether node_modules holds what package-lock.json asks for. npm keeps its own record of what it installed, so a hand-typed
 * `npm ci` counts too, and one that left out the development packages does not.
 */
export function isInstalled() {
  const recordFile = join("node_modules", ".package-lock.json");
  if (!existsSync(recordFile)) return false;
  const wanted = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
  const found = JSON.parse(readFileSync(recordFile, "utf8")).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === "" || entry.link || !isForThisMachine(entry)) return true;
    const installed = found[path];
    if (!installed) return entry.optional === true && !entry.os && !entry.cpu;
    return installed.version === entry.version && (!entry.integrity || installed.integrity === entry.integrity);
  });
}

/** Packages built for one C library are left out: which one this machine has is npm's business. */
function isForThisMachine(entry) {
  if (entry.libc) return false;
  const allows = (list, value) =>
    !list || ((list.includes(value) || list.every((item) => item.startsWith("!"))) && !list.includes(`!${value}`));
  return allows(entry.os, process.platform) && allows(entry.cpu, process.arch);
}
