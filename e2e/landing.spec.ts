import AxeBuilder from "@axe-core/playwright";
import { expect, test, type Page } from "@playwright/test";
import { clientSnippets } from "../src/ui/landing/snippets";

const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 860 };
/** What `/api/ready` answers while the database is away. */
const NOT_READY = { status: "not_ready", checks: { database: false, migrations: true, accepting: true, stopping: false } };

const status = (page: Page) => page.getByRole("region", { name: "This instance" }).getByRole("status");

async function open(page: Page): Promise<string> {
  await page.goto("/");
  // Set in the browser, so the page is alive from here on.
  await expect(page.getByRole("radio", { checked: true })).toHaveCount(1);
  return new URL(page.url()).origin;
}

test("says what it is and that this instance is ready, from its own endpoints", async ({ page }) => {
  const origin = await open(page);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("A receipt for every model call.");
  await expect(status(page)).toHaveText("Ready");
  const instance = page.getByRole("region", { name: "This instance" });
  await expect(instance.locator("time")).toHaveAttribute("datetime", /^\d{4}-\d\d-\d\dT/);
  await expect(instance).toContainText(`${origin}/v1`);
});

test("says in words when the database is away, and by itself when it is back", async ({ page }) => {
  await page.clock.install();
  await page.route("**/api/ready", (route) => route.fulfill({ status: 503, json: NOT_READY }));
  await page.goto("/");
  await expect(status(page)).toHaveText("Database not reachable");
  await page.unroute("**/api/ready");
  await page.clock.runFor(6000);
  await expect(status(page)).toHaveText("Ready");
});

test("says so when nothing answers", async ({ page }) => {
  await page.route(/\/api\/(ready|health)$/, (route) => route.abort());
  await page.goto("/");
  await expect(status(page)).toHaveText("Not answering");
});

test("tabs are one stop, move by arrows, Home and End, and go round", async ({ page }) => {
  await open(page);
  const tab = (name: string) => page.getByRole("tab", { name, exact: true });
  await tab("OpenAI JS").focus();
  await page.keyboard.press("ArrowRight");
  await expect(tab("OpenAI Python")).toBeFocused();
  await expect(page.getByRole("tabpanel")).toHaveAccessibleName("OpenAI Python");
  await page.keyboard.press("End");
  await expect(tab("Claude Code")).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("ArrowRight");
  await expect(tab("OpenAI JS")).toBeFocused();
  await page.keyboard.press("ArrowLeft");
  await expect(tab("Claude Code")).toBeFocused();
  await page.keyboard.press("Home");
  await expect(tab("OpenAI JS")).toBeFocused();

  // Past the tabs, not through them.
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Copy the OpenAI JS snippet" })).toBeFocused();
});

for (const clipboard of ["present", "absent"] as const) {
  test(`copying by keyboard puts the exact snippet on the clipboard, Clipboard API ${clipboard}`, async ({ page, context }) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    // As on an instance that is opened over plain http.
    if (clipboard === "absent") await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
    const origin = await open(page);
    const other = await context.newPage();
    await other.goto("/api/health");
    await page.bringToFront();

    for (const { id, label, code } of clientSnippets(origin)) {
      await page.getByRole("tab", { name: label, exact: true }).click();
      const copy = page.getByRole("button", { name: `Copy the ${label} snippet` });
      await copy.focus();
      await page.keyboard.press("Enter");
      await expect(page.getByRole("tabpanel").getByRole("status")).toHaveText(`Copied the ${label} snippet.`);
      await expect(copy).toBeFocused();
      await other.bringToFront();
      expect(await other.evaluate(() => navigator.clipboard.readText()), id).toBe(code);
      await page.bringToFront();
    }
  });
}

test("the choice of theme is kept", async ({ page }) => {
  await open(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByRole("radio", { name: "Dark" }).check({ force: true });
  expect(await ground()).not.toBe(light);
  const dark = await ground();
  await page.reload();
  expect(await ground()).toBe(dark);
  await expect(page.getByRole("radio", { name: "Dark" })).toBeChecked();
});

test("the links of the page lead somewhere", async ({ page, request }) => {
  await open(page);
  const hrefs = await page.locator("a[href]").evaluateAll((links) => [...new Set(links.map((link) => link.getAttribute("href") ?? ""))]);
  for (const href of hrefs) {
    if (href.startsWith("#")) await expect(page.locator(href), href).toHaveCount(1);
    else expect((await request.get(href)).status(), href).toBe(200);
  }
});

test("an unknown address is told as one, and leads back", async ({ page }) => {
  const response = await page.goto("/no-such-page");
  expect(response?.status()).toBe(404);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("There is no page here");
  await page.getByRole("link", { name: "Go to the first page" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("A receipt for every model call.");
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const [name, viewport] of [
    ["desktop", DESKTOP],
    ["phone", PHONE],
  ] as const) {
    test.describe(`${colorScheme}, ${name}`, () => {
      test.use({ colorScheme, viewport, hasTouch: name === "phone", reducedMotion: "reduce" });

      test("has no accessibility violations axe can find", async ({ page }) => {
        await open(page);
        await expect(status(page)).toHaveText("Ready");
        const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]).analyze();
        expect(violations.map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => node.html) }))).toEqual([]);
      });
    });
  }
}

for (const width of [320, 390, 768, 1920]) {
  test(`nothing scrolls sideways at ${width} px`, async ({ page }) => {
    await page.setViewportSize({ width, height: 800 });
    await open(page);
    await expect(status(page)).toHaveText("Ready");
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
  });
}
