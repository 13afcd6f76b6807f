/**
 * Takes the pictures in docs/screenshots/ from a running instance: `node scripts/screenshots.mjs [base url]`.
 * CHROMIUM_PATH names the browser where it is not /usr/bin/chromium.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "@playwright/test";

const baseUrl = process.argv[2] ?? process.env.E2E_BASE_URL ?? "http://localhost:3000";
const folder = join(import.meta.dirname, "..", "docs", "screenshots");

const PAGES = [{ name: "landing", path: "/", ready: '[role="status"][data-state="ready"]' }];
const SIZES = [
  { name: "desktop", viewport: { width: 1280, height: 860 }, hasTouch: false },
  { name: "phone", viewport: { width: 390, height: 844 }, hasTouch: true },
];

// Comes with Next on most platforms. Flat colours need no more than a palette: a third of the size.
const sharp = await import("sharp").then(
  (module) => module.default,
  () => undefined,
);

await mkdir(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  for (const size of SIZES) {
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      const context = await browser.newContext({
        baseURL: baseUrl,
        viewport: size.viewport,
        hasTouch: size.hasTouch,
        colorScheme,
        reducedMotion: "reduce",
      });
      const page = await context.newPage();
      for (const { name, path, ready } of PAGES) {
        await page.goto(path);
        await page.locator(ready).waitFor();
        await page.evaluate(() => document.fonts.ready);
        const file = join(folder, `${name}-${size.name}-${colorScheme}.png`);
        const png = await page.screenshot({ fullPage: true });
        await writeFile(
          file,
          sharp ? await sharp(png).png({ palette: true, colours: 128, dither: 0, compressionLevel: 9 }).toBuffer() : png,
        );
        console.log(file);
      }
      await context.close();
    }
  }
} finally {
  await browser.close();
}
