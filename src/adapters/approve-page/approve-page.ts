import { isSameOrigin } from "@/adapters/http/principal";
import { isServiceError } from "@/lib/errors";
import { microdollarsToNano } from "@/lib/money";
import { decideByLink, isDecided, titleOf, viewLink, type LinkView } from "@/server/approval";
import { getBudget } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { listCostEvents } from "@/server/events";
import { type Exchange, clientAddress } from "@/server/gateway";
import { readBody } from "@/server/gateway/read-body";
import type { Runtime } from "@/server/runtime";
import { messagePage, noticeOf, outcomePage, PAGE_POLICY, questionPage, unknownLinkPage, type Notice, type PageFacts } from "./render";

/** The page behind the link in an approver's mail: plain HTML, one column, no script, first paint at once (CONTRACT §10). */
export type ApprovePage = {
  matches(path: string): boolean;
  /** GET shows; POST decides. Never rejects. */
  handle(exchange: Exchange): Promise<void>;
};

type SessionOf = (request: { cookieHeader: string | undefined }) => Promise<{ userId: string } | undefined>;

const PATH = /^\/approve\/([^/?]+)$/;
const FORM_BYTES_MAX = 8_192;
const LAST_CALLS = 5;

export function createApprovePage({ runtime, sessionOf }: { runtime: Runtime; sessionOf: SessionOf }): ApprovePage {
  const { prisma, clock, log, env, secrets, approvals } = runtime;

  async function handle(exchange: Exchange): Promise<void> {
    try {
      const token = PATH.exec(exchange.target.split("?")[0]!)?.[1] ?? "";
      const answer = exchange.method === "POST" ? await decide(exchange, token) : await show(exchange, token);
      send(exchange, answer);
    } catch (error) {
      log.error({ err: error, endpoint: "/approve" }, "the approval page failed");
      send(exchange, { status: 500, html: messagePage("Something went wrong", "Nothing was decided. Try again in a moment.") });
    }
  }

  async function show(exchange: Exchange, token: string, notice?: Notice): Promise<{ status: number; html: string }> {
    if (exchange.method !== "GET" && exchange.method !== "HEAD" && exchange.method !== "POST") {
      return { status: 405, html: messagePage("Not like this", "This page is opened, or its form is sent.") };
    }
    const view = await viewLink({ ctx: { prisma, clock }, token, publicUrl: approvals.deps.publicUrl });
    if (!view) return { status: 404, html: unknownLinkPage() };
    const facts = await factsOf(view, { exchange, token });
    const isOver = isDecided(view.action.status) || Date.parse(view.action.expiresAt) <= clock.now();
    if (isOver) {
      const expired =
        view.action.status === "pending" ? { ...facts, view: { ...view, action: { ...view.action, status: "expired" as const } } } : facts;
      return { status: expired.view.action.status === "expired" ? 410 : 200, html: outcomePage(expired) };
    }
    return { status: notice ? 422 : 200, html: questionPage(facts, notice) };
  }

  async function decide(exchange: Exchange, token: string): Promise<{ status: number; html: string }> {
    const form = await readForm(exchange);
    if (!form) return { status: 400, html: messagePage("This form was not understood", "Nothing was decided. Open the link again.") };
    const signedIn = await sessionOf({ cookieHeader: exchange.header("cookie") });
    const about = {
      ctx: { prisma, clock, ip: clientAddress(exchange, env.gateway.trustedProxies) },
      deps: approvals.deps,
      secret: secrets.nextAuthSecret,
      token,
      // A cookie comes along with any page's form; only from our own page it stands for the person.
      signedInUserId: isOwnForm(exchange, env) ? signedIn?.userId : undefined,
      code: form.get("code") ?? undefined,
    };
    const amount = amountOf(form.get("amount"));
    if (amount === "invalid") {
      return show(exchange, token, { tone: "danger", text: "Nothing was decided: the amount is not a number of dollars, such as 2.50." });
    }
    try {
      const until = form.get("until");
      const reason = form.get("reason")?.trim();
      const outcome =
        form.get("decision") === "reject"
          ? await decideByLink({ ...about, vote: "reject", input: reason ? { reason } : {} })
          : form.get("decision") === "approve"
            ? await decideByLink({
                ...about,
                vote: "approve",
                input: {
                  ...(amount !== undefined && { approvedAmountMicrodollars: amount }),
                  ...(until === "permanent" && { until }),
                },
              })
            : undefined;
      if (!outcome) return { status: 400, html: messagePage("This form was not understood", "Nothing was decided. Open the link again.") };
      if (outcome.outcome === "unknown_link") return { status: 404, html: unknownLinkPage() };
      if (outcome.outcome !== "decided") return await show(exchange, token, noticeOf(outcome));
      const view = await viewLink({ ctx: { prisma, clock }, token, publicUrl: approvals.deps.publicUrl });
      return { status: 200, html: view ? outcomePage(await factsOf(view, { exchange, token })) : unknownLinkPage() };
    } catch (error) {
      if (!isServiceError(error)) throw error;
      // Decided meanwhile, or past its end: the page says what became of it.
      if (error.code === "stale_action" || error.code === "action_expired") return show(exchange, token);
      if (error.code === "forbidden") return { status: 403, html: messagePage("You cannot decide this", error.message) };
      return show(exchange, token, { tone: "danger", text: `Nothing was decided: ${error.message}` });
    }
  }

  async function factsOf(view: LinkView, { exchange, token }: { exchange: Exchange; token: string }): Promise<PageFacts> {
    const { action, org, approver } = view;
    const system: Ctx = { prisma, clock, principal: { type: "system", orgId: org.id }, ip: null };
    const signedIn = await sessionOf({ cookieHeader: exchange.header("cookie") });
    const budget =
      action.actionType === "budget_increase" && action.budgetId !== null
        ? await getBudget({ ctx: system, budgetId: action.budgetId }).catch((error: unknown) => {
            if (isServiceError(error)) return undefined;
            throw error;
          })
        : undefined;
    const calls =
      action.sessionId === null
        ? []
        : (await listCostEvents({ ctx: system, input: { sessionId: action.sessionId, limit: LAST_CALLS } })).data;
    return {
      view,
      title: titleOf({
        agentId: action.agentId,
        actionType: action.actionType,
        requestedNano:
          action.requestedAmountMicrodollars === null ? null : (microdollarsToNano(action.requestedAmountMicrodollars) ?? null),
      }),
      budget,
      lastCalls: calls.map(({ createdAt, model, status, costMicrodollars }) => ({ at: createdAt, model, status, costMicrodollars })),
      isApprover: signedIn?.userId === approver.userId,
      signInUrl: `/signin?callbackUrl=${encodeURIComponent(`/approve/${token}`)}`,
      appUrl: `/app/actions/${action.id}`,
      nowMs: clock.now(),
    };
  }

  return { matches: (path) => PATH.test(path), handle };
}

/** These pages send no referrer, and browsers then call the origin of their forms `null`; where the form was is told all the same. */
function isOwnForm(exchange: Exchange, env: Runtime["env"]): boolean {
  const site = exchange.header("sec-fetch-site");
  return site === undefined ? isSameOrigin(exchange, env) : site === "same-origin";
}

/** Microdollars of dollars as typed. Undefined: left empty. */
function amountOf(text: string | null): number | "invalid" | undefined {
  const typed = text?.trim().replace(/^\$/, "").replaceAll(",", "") ?? "";
  if (typed === "") return undefined;
  if (!/^\d{1,7}(\.\d{1,9})?$/.test(typed)) return "invalid";
  const [whole = "0", fraction = ""] = typed.split(".");
  const nano = BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  return nano === 0n ? "invalid" : Number(nano) / 1_000;
}

async function readForm(exchange: Exchange): Promise<URLSearchParams | undefined> {
  if (!exchange.header("content-type")?.toLowerCase().startsWith("application/x-www-form-urlencoded")) return undefined;
  const read = await readBody(exchange, { bytesMax: FORM_BYTES_MAX, idleMs: 10_000, totalMs: 20_000 });
  return read.outcome === "read" ? new URLSearchParams(read.body.toString("utf8")) : undefined;
}

function send(exchange: Exchange, { status, html }: { status: number; html: string }): void {
  if (exchange.aborted) return;
  const body = Buffer.from(html);
  exchange.writeHead(status, [
    "content-type",
    "text/html; charset=utf-8",
    "content-length",
    String(body.length),
    "cache-control",
    "private, no-store",
    "content-security-policy",
    PAGE_POLICY,
    // The address of this page is a right: it is told to nobody.
    "referrer-policy",
    "no-referrer",
    "x-content-type-options",
    "nosniff",
    "x-robots-tag",
    "noindex",
  ]);
  exchange.end(exchange.method === "HEAD" ? undefined : body);
}
