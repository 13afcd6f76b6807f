// A browser for the end-to-end tests: the machine's own, else Debian's package, else Playwright's download.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fail } from "./project.mjs";
import { run, runNode, step, tools } from "./run.mjs";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const systemFolders = ["/usr/bin", "/usr/local/bin", "/snap/bin"];

/** Makes sure that there is a browser; CHROMIUM_PATH then names it, unless it is the one Playwright keeps. */
export async function ensureChromium() {
  process.env.CHROMIUM_PATH ||= findChromium() ?? "";
  if (process.env.CHROMIUM_PATH) return;
  delete process.env.CHROMIUM_PATH;

  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    await step("Installing Chromium (Debian's package)", async () => {
      await run("apt-get", ["update", "-qq"]);
      await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-liberation"], {
        DEBIAN_FRONTEND: "noninteractive",
      });
    });
    process.env.CHROMIUM_PATH =
      findChromium() ?? fail("Debian's chromium package brought no browser that could be found; set CHROMIUM_PATH.");
    return;
  }
  const { chromium } = await import("@playwright/test");
  if (existsSync(chromium.executablePath())) return;
  await step("Downloading Chromium", () => runNode(tools.playwright, ["install", "chromium"]));
}

function findChromium() {
  return systemFolders.flatMap((folder) => names.map((name) => join(folder, name))).find((file) => existsSync(file));
}
