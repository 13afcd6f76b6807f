import { chromium, type Browser, type Page } from "@playwright/test";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { existsSync } from "node:fs";
import { systemClock } from "@/lib/clock";
import { createAction } from "@/server/approval";
import type { Ctx } from "@/server/context";
import { eventually, startGatewayServer, type GatewayServer } from "@/testing/faults/gateway-server";

// What would break in production: a mail scanner that opens links, presses buttons and sends forms approves what an agent asks for; or
// a person on a phone cannot.

let gateway: GatewayServer;
let agent: Ctx;
let browser: Browser;

const CHROMIUM = "/usr/bin/chromium";

beforeAll(async () => {
  gateway = await startGatewayServer();
  const { prisma } = gateway.runtime;
  const key = await prisma.apiKey.findFirstOrThrow({ where: { scopes: { has: "proxy" }, NOT: { scopes: { has: "manage" } } } });
  const scopes = new Set(["proxy", "ingest", "self"] as const);
  agent = {
    prisma,
    clock: systemClock,
    principal: { type: "api_key", orgId: key.orgId, keyId: key.id, userId: key.userId, role: "owner", scopes },
    ip: null,
  };
  browser = await chromium.launch({ args: ["--no-sandbox"], ...(existsSync(CHROMIUM) && { executablePath: CHROMIUM }) });
});
afterAll(async () => {
  await browser.close();
  await gateway.close();
});
beforeEach(() => gateway.runtime.prisma.mail.deleteMany());

async function asked(amountMicrodollars: number | null = 5_000_000): Promise<{ id: string; path: string; code: string }> {
  const payload: Record<string, string | number> =
    amountMicrodollars === null ? { what: "paper" } : { amountMicrodollars, what: "paper <script>alert(1)</script>" };
  const action = await createAction({
    ctx: agent,
    deps: gateway.runtime.approvals.deps,
    input: { agentId: "buyer", actionType: "buy", payload },
  });
  const { text } = await gateway.runtime.prisma.mail.findFirstOrThrow();
  const path = /\/approve\/[A-Za-z0-9_-]{43}/.exec(text)![0];
  return { id: action.id.replace("ns_act_", ""), path, code: /^\d{6}$/m.exec(text)?.[0] ?? "" };
}
const statusOf = async (id: string): Promise<string> =>
  (await gateway.runtime.prisma.action.findUniqueOrThrow({ where: { id }, select: { status: true } })).status;

async function phone(javaScriptEnabled: boolean, use: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser.newContext({ javaScriptEnabled, viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  try {
    await use(await context.newPage());
  } finally {
    await context.close();
  }
}

it("K1–K3: a hundred scanners that fetch, run scripts, follow links, press every button and send every form decide nothing", async () => {
  const { id, path, code } = await asked();
  const url = `${gateway.origin}${path}`;
  for (let round = 0; round < 45; round += 1) {
    const answer = await fetch(url, { method: round % 2 === 0 ? "GET" : "HEAD", headers: { "user-agent": `scanner ${round}` } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
    expect(answer.headers.get("cache-control")).toContain("no-store");
  }
  for (let round = 0; round < 50; round += 1) {
    const form = new URLSearchParams({
      decision: round % 2 === 0 ? "approve" : "reject",
      amount: "5",
      ...(round % 3 === 0 && { code: "" }),
    });
    const answer = await fetch(url, { method: "POST", body: form, headers: { "sec-fetch-site": "same-origin" } });
    expect(answer.status).toBe(422);
  }
  for (let round = 0; round < 5; round += 1) {
    await phone(true, async (page) => {
      await page.goto(url);
      const buttons = await page.locator("button").count();
      for (let button = 0; button < buttons; button += 1) {
        await page.goto(url);
        await page.locator("button").nth(button).click();
        await expect.poll(() => page.locator("[role=alert]").count()).toBe(1);
      }
      for (const link of await page.locator("a").all()) await page.request.get(new URL((await link.getAttribute("href"))!, url).href);
    });
  }
  expect(await statusOf(id)).toBe("pending");
  await phone(false, async (page) => {
    await page.goto(url);
    await page.fill("#approve-code", code);
    await page.click("button.primary");
    await page.waitForSelector("[role=status]");
  });
  expect(await statusOf(id)).toBe("approved");
});

it("on a phone without scripts: approves a part, shows what became of it, and again to whoever opens the link later", async () => {
  const { id, path, code } = await asked();
  await phone(false, async (page) => {
    await page.goto(`${gateway.origin}${path}`);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth).catch(() => true)).toBe(true);
    expect(await page.content()).not.toContain("<script>");
    await page.fill("#amount", "2.50");
    await page.fill("#approve-code", `${code.slice(0, 3)} ${code.slice(3)}`);
    await page.click("button.primary");
    expect(await page.textContent("h1")).toBe("Approved");
    expect(await page.textContent("[role=status]")).toContain("$2.50");
    await page.goto(`${gateway.origin}${path}`);
    expect(await page.textContent("h1")).toBe("Approved");
  });
  const row = await gateway.runtime.prisma.action.findUniqueOrThrow({ where: { id } });
  expect(row).toMatchObject({ status: "approved", approvedNano: 2_500_000_000n, decidedVia: "link" });
});

it("wrong digits, a nonsense amount, a rejection with its reason, and what names no amount: each is said in words", async () => {
  const { id, path, code } = await asked();
  const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, "0");
  await phone(false, async (page) => {
    await page.goto(`${gateway.origin}${path}`);
    await page.fill("#approve-code", wrong);
    await page.click("button.primary");
    expect(await page.textContent("[role=alert]")).toContain("4 tries are left");
    await page.fill("#amount", "lots");
    await page.click("button.primary");
    expect(await page.textContent("[role=alert]")).toContain("not a number of dollars");
    await page.fill("#reason", "Too dear");
    await page.fill("#reject-code", code);
    await page.click("button.danger");
    expect(await page.textContent("h1")).toBe("Rejected");
  });
  expect(await gateway.runtime.prisma.action.findUniqueOrThrow({ where: { id } })).toMatchObject({
    status: "rejected",
    rejectReason: "Too dear",
  });
  await gateway.runtime.prisma.mail.deleteMany();
  const unpriced = await asked(null);
  expect(unpriced.code).toBe("");
  await phone(false, async (page) => {
    await page.goto(`${gateway.origin}${unpriced.path}`);
    expect(await page.locator("button").count()).toBe(0);
    expect(await page.getAttribute("a.button", "href")).toBe(`/signin?callbackUrl=${encodeURIComponent(unpriced.path)}`);
  });
});

it("K6, K7, K11: past its end it is 410 and says so; another token is 404 and tells nothing; the address is in no log", async () => {
  const { id, path } = await asked();
  await gateway.runtime.prisma.action.update({ where: { id }, data: { expiresAt: new Date(Date.now() - 1) } });
  const late = await fetch(`${gateway.origin}${path}`);
  expect(late.status).toBe(410);
  expect(await late.text()).toContain("Expired");
  await eventually(
    () => statusOf(id),
    (status) => status === "expired",
  );
  const unknown = await fetch(`${gateway.origin}/approve/${"A".repeat(43)}`);
  expect(unknown.status).toBe(404);
  expect(await unknown.text()).not.toContain("buyer");
  expect(gateway.logs()).not.toContain(path.slice("/approve/".length));
});
