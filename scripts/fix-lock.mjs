// Run after `npm install`: makes package-lock.json work with any registry and on any platform.
//  - Takes out `resolved` addresses: npm then finds each package by its name in the registry of whoever installs.
//  - Adds the other platforms' optional packages where the registry used for `npm install` did not serve them; without their
//    entries `npm ci` says the lock is out of step. Such an entry has no integrity hash, since nobody has seen the package:
//    lock again on a machine with the whole registry when one is at hand.
import { readFileSync, writeFileSync } from "node:fs";
import { enterProject } from "./lib/project.mjs";

const platformName = /(darwin|linux|win32|freebsd|android)-(arm64|x64|arm|ia32)(?:-(gnu|musl|msvc|gnueabihf|musleabihf))?$/;

enterProject();
const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
const packages = lock.packages;
let removed = 0;
let added = 0;

for (const entry of Object.values(packages)) {
  if (entry.link || entry.resolved === undefined) continue;
  delete entry.resolved;
  removed += 1;
}

for (const [path, entry] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (path === "" || packages[`${path}/node_modules/${name}`] || packages[`node_modules/${name}`]) continue;
    const platform = platformEntry(name, version, entry.dev);
    if (!platform) {
      console.log(`left out: ${name}@${version}, wanted by ${path}`);
      continue;
    }
    packages[`node_modules/${name}`] = platform;
    added += 1;
    console.log(`added: ${name}@${version}`);
  }
}

lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${removed} addresses removed, ${added} packages added`);

/** The entry npm would have written, read off the package's name; undefined where name or version do not say enough. */
function platformEntry(name, version, dev) {
  const isExact = /^\d/.test(version);
  const match = name.split("/").pop().match(platformName);
  const isWasm = name.includes("wasm32");
  if (!isExact || (!match && !isWasm)) return undefined;
  const [, os, cpu, abi] = match ?? [];
  return {
    version,
    cpu: [isWasm ? "wasm32" : cpu],
    ...(dev ? { dev: true } : {}),
    optional: true,
    ...(os ? { os: [os] } : {}),
    ...(os === "linux" && abi ? { libc: [abi.startsWith("musl") ? "musl" : "glibc"] } : {}),
  };
}
