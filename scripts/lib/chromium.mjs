// A browser for the end-to-end tests: the machine's own, else Debian's package, else Playwright's download.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fail } from "./project.mjs";
import { run, runNode, step, tools } from "./run.mjs";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const systemFolders = ["/usr/bin", "/usr/local/bin", "/snap/bin"];

/** Makes sure that there is a browser, and names it in CHROMIUM_PATH. */
export async function ensureChromium() {
  process.env.CHROMIUM_PATH ||= findChromium() ?? (await installChromium());
}

async function installChromium() {
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    await step("Installing Chromium (Debian's package)", async () => {
      await run("apt-get", ["update", "-qq"]);
      const packages = ["chromium", "fonts-liberation"];
      await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], { DEBIAN_FRONTEND: "noninteractive" });
    });
    return findChromium() ?? fail("Debian's chromium package brought no browser that could be found; set CHROMIUM_PATH.");
  }
  const { chromium } = await import("@playwright/test");
  const file = chromium.executablePath();
  if (!existsSync(file)) await step("Downloading Chromium", () => runNode(tools.playwright, ["install", "chromium"]));
  return file;
}

function findChromium() {
  return systemFolders.flatMap((folder) => names.map((name) => join(folder, name))).find((file) => existsSync(file));
}
