import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

// What would break in production: a package that runs a script on the machine it is installed on, that is not the one that was looked
// at, or that has a known hole. `npm ci` refuses a lock file that does not fit package.json; what it does not look at is looked at here.

type Locked = {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  inBundle?: boolean;
  hasInstallScript?: boolean;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
};
const read = (name: string): unknown => JSON.parse(readFileSync(join(process.cwd(), name), "utf8"));
const lock = read("package-lock.json") as { lockfileVersion: number; packages: Record<string, Locked> };
const manifest = read("package.json") as Pick<Locked, "dependencies" | "devDependencies"> & { allowScripts?: Record<string, boolean> };
const packages = Object.entries(lock.packages).filter(([path]) => path !== "");
/** `node_modules/a/node_modules/@b/c` → `@b/c`. */
const nameOf = (path: string): string => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

describe("N10: what is installed", () => {
  it("N10: the lock file names no registry, so that everybody's own is asked", () => {
    expect(lock.lockfileVersion).toBe(3);
    expect(packages.length).toBeGreaterThan(100);
    expect(packages.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
  });

  it("N10: each package is known by its SHA-512, or comes inside one that is", () => {
    const unknown = packages.filter(([path, { integrity, inBundle }]) => {
      if (integrity !== undefined) return !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity);
      // Bundled ones are part of their parent's archive and of its hash.
      const parent = path.slice(0, path.lastIndexOf("/node_modules/"));
      return inBundle !== true || lock.packages[parent]?.integrity === undefined;
    });
    expect(unknown.map(([path]) => path)).toEqual([]);
  });

  it("N10: nothing comes from a git repository, an address or a folder", () => {
    expect(packages.filter(([, { link }]) => link).map(([path]) => path)).toEqual([]);
    const ranges = [lock.packages[""]!, ...packages.map(([, locked]) => locked)].flatMap(({ dependencies = {}, devDependencies = {} }) =>
      Object.entries({ ...dependencies, ...devDependencies }),
    );
    expect(ranges.filter(([, range]) => /[:/]/.test(range) && !range.startsWith("npm:"))).toEqual([]);
  });

  it("N10: the lock file has drifted from package.json in nothing", () => {
    const root = lock.packages[""]!;
    expect(root.dependencies).toEqual(manifest.dependencies);
    expect(root.devDependencies).toEqual(manifest.devDependencies);
    const wanted = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(wanted.filter((name) => lock.packages[`node_modules/${name}`] === undefined)).toEqual([]);
  });

  it("N10: no install script runs: whichever package has one is named in allowScripts, and refused", () => {
    const withScript = new Set(packages.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path)));
    expect(withScript.size).toBeGreaterThan(0);
    expect(manifest.allowScripts).toEqual(Object.fromEntries([...withScript].map((name) => [name, false])));
  });

  it("N10: nothing that runs in production has a known hole of high severity", async (context) => {
    const { stdout, failure } = await npmAudit();
    const report = parse(stdout);
    const counts = report?.metadata?.vulnerabilities;
    if (!counts)
      return context.skip(`the registry did not answer npm audit (${report?.error?.code ?? report?.message ?? failure ?? "no report"})`);
    const severe = Object.entries(report?.vulnerabilities ?? {}).filter(([, { severity }]) =>
      ["high", "critical"].includes(severity ?? ""),
    );
    expect(severe.map(([name, { severity }]) => `${name}: ${severity}`)).toEqual([]);
    expect((counts.high ?? 0) + (counts.critical ?? 0)).toBe(0);
    console.log(`npm audit: ${JSON.stringify(counts)}`);
  }, 60_000);
});

type Audit = {
  message?: string;
  error?: { code?: string };
  vulnerabilities?: Record<string, { severity?: string }>;
  metadata?: { vulnerabilities?: Record<string, number> };
};

/** Its exit code is 1 both for holes and for a registry that does not answer; only the report tells them apart. */
function npmAudit(): Promise<{ stdout: string; failure: string | undefined }> {
  const asked = ["audit", "--omit=dev", "--audit-level=high", "--json", "--fetch-retries=0", "--fetch-timeout=20000"];
  return new Promise((resolve) => {
    execFile("npm", asked, { timeout: 40_000, maxBuffer: 64 * 1024 * 1024 }, (error, stdout) => {
      resolve({ stdout, failure: error?.killed ? "no answer in 40 s" : undefined });
    });
  });
}

function parse(text: string): Audit | undefined {
  try {
    return JSON.parse(text) as Audit;
  } catch {
    return undefined;
  }
}
