import { escapeHtml } from "@/lib/escape-html";
import { nanoToUsdString, microdollarsToNano } from "@/lib/money";
import type { LinkOutcome, LinkView } from "@/server/approval";
import type { PublicBudget } from "@/server/budget";

/** What a page shows beside the link itself. */
export type PageFacts = {
  view: LinkView;
  title: string;
  /** The limit that would be raised; undefined where none is, or it is gone. */
  budget: PublicBudget | undefined;
  /** Of the run, newest first. */
  lastCalls: readonly { at: string; model: string; status: string; costMicrodollars: number | null }[];
  isApprover: boolean;
  signInUrl: string;
  appUrl: string;
  nowMs: number;
};

export type Notice = { tone: "danger" | "warning"; text: string };

const usd = (microdollars: number): string => `$${nanoToUsdString(microdollarsToNano(microdollars)!)}`;

/** The question, with a form for each answer. It works without scripts, and has none. */
export function questionPage(facts: PageFacts, notice?: Notice): string {
  const { view, title } = facts;
  const { action, org } = view;
  const mayDecide = facts.isApprover || view.needs === "code";
  return page(
    title,
    `<p class="eyebrow">${escapeHtml(org.name)}</p>
<h1>${escapeHtml(title)}</h1>
${notice ? `<p class="notice ${notice.tone}" role="alert">${escapeHtml(notice.text)}</p>` : ""}
${amounts(facts)}
<p class="muted">Expires ${when(action.expiresAt, facts.nowMs)}. If nobody decides, nothing is done.</p>
${mayDecide ? forms(facts) : signIn(facts)}
${details(facts)}
<p class="muted">For ${escapeHtml(view.approver.name ?? view.approver.email)}. <a href="${escapeHtml(facts.appUrl)}">Open in NullSpend</a></p>`,
  );
}

/** What has become of it, for whoever opens the link again. */
export function outcomePage(facts: PageFacts): string {
  const { action, org } = facts.view;
  const [heading, text] = outcomeInWords(facts);
  return page(
    heading,
    `<p class="eyebrow">${escapeHtml(org.name)}</p>
<h1>${escapeHtml(heading)}</h1>
<p role="status">${escapeHtml(text)}</p>
<p>${escapeHtml(facts.title)}</p>
${action.note ? `<p class="muted">Note: ${escapeHtml(action.note)}</p>` : ""}
${action.rejectReason ? `<p class="muted">Reason: ${escapeHtml(action.rejectReason)}</p>` : ""}
${details(facts)}
<p><a href="${escapeHtml(facts.appUrl)}">Open in NullSpend</a></p>`,
  );
}

export function unknownLinkPage(): string {
  return page(
    "This link is not good",
    `<h1>This link is not good</h1><p>It may have been cut short by a mail program, or what it was about has changed since. Open the latest mail,
or <a href="/app">sign in</a> and look among the approvals.</p>`,
  );
}

export function messagePage(heading: string, text: string): string {
  return page(heading, `<h1>${escapeHtml(heading)}</h1><p>${escapeHtml(text)}</p><p><a href="/app">Open NullSpend</a></p>`);
}

export function noticeOf(outcome: Exclude<LinkOutcome, { outcome: "decided" | "unknown_link" }>): Notice {
  if (outcome.outcome === "wrong_code") {
    const { attemptsLeft } = outcome;
    const left = attemptsLeft === 0 ? "Sign in to decide." : `${attemptsLeft} ${attemptsLeft === 1 ? "try is" : "tries are"} left.`;
    return { tone: "danger", text: `That is not the code of this mail. ${left}` };
  }
  switch (outcome.reason) {
    case "no_code":
      return { tone: "warning", text: "Nothing was decided: type the six digits of the mail, or sign in." };
    case "above_limit":
      return { tone: "warning", text: "Nothing was decided: this is more than you may decide today without signing in." };
    case "no_amount":
      return { tone: "warning", text: "Nothing was decided: what names no amount is decided after signing in." };
    case "used_up":
      return { tone: "warning", text: "Nothing was decided: the code of this mail is used up. Sign in to decide." };
  }
}

function amounts({ view: { action }, budget }: PageFacts): string {
  const rows: [string, string][] = [];
  const asked = action.requestedAmountMicrodollars;
  if (asked !== null) rows.push([action.actionType === "budget_increase" ? "More" : "Amount", usd(asked)]);
  if (budget) {
    rows.push(["Limit now", usd(budget.currentLimitMicrodollars)]);
    rows.push(["Spent", usd(budget.spendMicrodollars)]);
    if (budget.reservedMicrodollars > 0) rows.push(["Held", usd(budget.reservedMicrodollars)]);
    if (asked !== null) rows.push(["Limit after", usd(budget.currentLimitMicrodollars + asked)]);
  }
  if (rows.length === 0) return "";
  return `<dl class="amounts">${rows.map(([label, value]) => `<div><dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd></div>`).join("")}</dl>`;
}

function forms({ view, isApprover }: PageFacts): string {
  const { action } = view;
  const isIncrease = action.actionType === "budget_increase";
  const asked = action.requestedAmountMicrodollars;
  const code = (id: string): string =>
    isApprover
      ? ""
      : `<label for="${id}">Six digits from the mail</label>
<input id="${id}" name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]*" maxlength="7" class="code">`;
  return `<form method="post" class="card">
<input type="hidden" name="decision" value="approve">
${
  asked === null
    ? ""
    : `<label for="amount">${isIncrease ? "Raise by" : "Approve"} (US dollars)</label>
<input id="amount" name="amount" inputmode="decimal" value="${escapeHtml(nanoToUsdString(microdollarsToNano(asked)!))}" autocomplete="off">`
}
${
  isIncrease
    ? `<label for="until">For how long</label>
<select id="until" name="until"><option value="period">This period</option><option value="permanent">For good</option></select>`
    : ""
}
${code("approve-code")}
<button class="primary">Approve</button>
</form>
<form method="post" class="card">
<input type="hidden" name="decision" value="reject">
<label for="reason">Reason (the agent is told)</label>
<input id="reason" name="reason" maxlength="500" autocomplete="off">
${code("reject-code")}
<button class="danger">Reject</button>
</form>`;
}

function signIn({ view, signInUrl }: PageFacts): string {
  const why = view.needs === "used_up" ? "The code of this mail is used up." : "Deciding this one needs your own sign-in.";
  return `<p>${why}</p><p><a class="button" href="${escapeHtml(signInUrl)}">Sign in to decide</a></p>`;
}

function details({ view: { action }, lastCalls }: PageFacts): string {
  const calls =
    lastCalls.length === 0
      ? ""
      : `<h2>Last calls of this run</h2><ul class="calls">${lastCalls
          .map(
            ({ at, model, status, costMicrodollars }) =>
              `<li><span>${escapeHtml(model)}</span><span>${escapeHtml(status)}</span><span>${
                costMicrodollars === null ? "no price" : usd(costMicrodollars)
              }</span><time datetime="${escapeHtml(at)}">${escapeHtml(at.slice(11, 19))} UTC</time></li>`,
          )
          .join("")}</ul>`;
  const payload = JSON.stringify(action.payload, undefined, 2).slice(0, 8_000);
  return `${calls}<details><summary>What the agent sent</summary><pre>${escapeHtml(payload)}</pre></details>`;
}

function outcomeInWords({ view: { action } }: PageFacts): [heading: string, text: string] {
  switch (action.status) {
    case "pending":
      return [
        "Your approval is counted",
        `${action.approvals} of ${action.approvalsNeeded} approvals are given; others have to decide as well.`,
      ];
    case "approved":
    case "executing":
    case "executed":
    case "failed": {
      const amount = action.approvedAmountMicrodollars;
      const what = amount === null ? "" : ` ${usd(amount)}${action.raiseMode === "permanent" ? ", for good" : ""}.`;
      const then = {
        approved: "The agent goes on by itself.",
        executing: "The agent is at it.",
        executed: "The agent has done it.",
        failed: "The agent tried and failed.",
      };
      return ["Approved", `${what} ${then[action.status]}`.trim()];
    }
    case "rejected":
      return ["Rejected", "The agent is told."];
    case "expired":
      return ["Expired", "Nobody decided in time, and nothing was done."];
    case "cancelled":
      return ["Withdrawn", "Whoever asked has withdrawn it."];
  }
}

function when(iso: string, nowMs: number): string {
  const minutes = Math.max(0, Math.round((Date.parse(iso) - nowMs) / 60_000));
  const left =
    minutes < 90 ? `${minutes} min` : minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1_440)} days`;
  return `in ${left} (<time datetime="${escapeHtml(iso)}">${escapeHtml(iso.slice(0, 16).replace("T", " "))} UTC</time>)`;
}

const STYLE = `
:root{color-scheme:light dark;--canvas:light-dark(#fafaf8,#0e0e0d);--surface:light-dark(#fff,#161615);--line:light-dark(#e3e3de,#2b2b29);
--edge:light-dark(#85857d,#74746d);--ink:light-dark(#181816,#f0f0ec);--muted:light-dark(#5c5c56,#a5a59e);--accent:light-dark(#3538cd,#a4abff);
--inverse:light-dark(#fafaf8,#0e0e0d);--danger:light-dark(#b1251d,#ff948b);--danger-soft:light-dark(#fdecea,#331816);--warn-soft:light-dark(#fbf0dc,#2e2312)}
*{box-sizing:border-box}
body{margin:0;background:var(--canvas);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,sans-serif;overflow-wrap:anywhere}
main{max-width:34rem;margin:0 auto;padding:max(1.25rem,env(safe-area-inset-top)) max(1.25rem,env(safe-area-inset-right)) max(2rem,env(safe-area-inset-bottom)) max(1.25rem,env(safe-area-inset-left))}
h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 1rem}h2{font-size:1rem;margin:1.5rem 0 .5rem}
.eyebrow{margin:0;color:var(--muted);font-weight:600}.muted{color:var(--muted);font-size:.875rem}a{color:var(--accent)}
.amounts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.75rem;margin:0 0 1rem}
.amounts div{background:var(--surface);border:1px solid var(--line);border-radius:.625rem;padding:.75rem}
dt{color:var(--muted);font-size:.875rem}dd{margin:0;font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums}
.card{display:block;background:var(--surface);border:1px solid var(--line);border-radius:.625rem;padding:1rem;margin:0 0 2rem}
label{display:block;font-weight:600;font-size:.875rem;margin:0 0 .25rem}
input,select{width:100%;min-height:3rem;margin:0 0 1rem;padding:.5rem .75rem;font:inherit;color:inherit;background:var(--canvas);border:1px solid var(--edge);border-radius:.375rem}
.code{font-family:ui-monospace,monospace;letter-spacing:.2em}
button,.button{display:inline-flex;align-items:center;justify-content:center;width:100%;min-height:3rem;font:inherit;font-weight:600;border-radius:.375rem;border:1px solid transparent;text-decoration:none;cursor:pointer}
.primary,.button{background:var(--accent);color:var(--inverse)}.danger{background:transparent;color:var(--danger);border-color:var(--danger)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.notice{padding:.75rem 1rem;border-radius:.375rem}.notice.danger{background:var(--danger-soft)}.notice.warning{background:var(--warn-soft)}
.calls{list-style:none;margin:0;padding:0}.calls li{display:grid;grid-template-columns:1fr auto auto;gap:0 .75rem;padding:.5rem 0;border-top:1px solid var(--line);font-size:.875rem;font-variant-numeric:tabular-nums}
.calls time{grid-column:1/-1;color:var(--muted)}pre{white-space:pre-wrap;font:.8125rem/1.5 ui-monospace,monospace;background:var(--surface);border:1px solid var(--line);border-radius:.375rem;padding:.75rem}
summary{cursor:pointer;min-height:2rem}`;

/** No script runs here, whoever's text stands on the page. */
export const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} · NullSpend</title><style>${STYLE}</style></head>
<body><main>${body}</main></body></html>`;
