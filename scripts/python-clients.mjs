// `node scripts/python-clients.mjs`: installs the official Python clients into a virtual environment under .data/clients for the test
// suite of clients, and prints where its Python is.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { enterProject, fail, root, say } from "./lib/project.mjs";

const execute = promisify(execFile);
const folder = join(root, ".data/clients/python");
const program = process.platform === "win32" ? join(folder, "Scripts/python.exe") : join(folder, "bin/python");
const requirements = join(root, "src/testing/clients/python/requirements.txt");
/** Written last: an environment without it was interrupted, and one with other contents has other versions. */
const installed = join(folder, "installed.txt");
const INSTALL_MS_MAX = 300_000;
/** Debian splits both off; asking for them is cheaper than a venv that fails half-way. The clients need 3.10. */
const CAN_MAKE_VENV = "import sys, venv, ensurepip; sys.exit(0 if sys.version_info >= (3, 10) else 1)";

/** The Python that has the clients, made where it is missing; where it cannot be made, the reason. */
export async function installPythonClients() {
  const wanted = readFileSync(requirements, "utf8");
  if (existsSync(program) && existsSync(installed) && readFileSync(installed, "utf8") === wanted) return { program, reason: undefined };
  const python = await findPython();
  if (!python) {
    const reason = "Python 3.10 or newer with venv is missing (Debian: apt-get install python3-venv)";
    return { program: undefined, reason };
  }
  say("Installing the Python clients into .data/clients/python");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  try {
    await execute(python, ["-m", "venv", folder], { timeout: INSTALL_MS_MAX });
    await execute(program, ["-m", "pip", "install", "--quiet", "--requirement", requirements], { timeout: INSTALL_MS_MAX });
  } catch (error) {
    return { program: undefined, reason: `pip could not install ${wanted.trim().replaceAll("\n", ", ")}: ${error.message}` };
  }
  writeFileSync(installed, wanted);
  return { program, reason: undefined };
}

async function findPython() {
  for (const name of ["python3", "python"]) {
    const works = await execute(name, ["-c", CAN_MAKE_VENV]).then(
      () => true,
      () => false,
    );
    if (works) return name;
  }
  return undefined;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  enterProject();
  const result = await installPythonClients();
  if (!result.program) fail(`${result.reason}.`);
  process.stdout.write(`${result.program}\n`);
}
