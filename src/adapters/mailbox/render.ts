import { escapeHtml } from "@/lib/escape-html";
import { createHash } from "node:crypto";

export type ShownMail = {
  id: string;
  recipient: string;
  subject: string;
  html: string;
  text: string;
  state: string;
  lastError: string | null;
  createdAt: Date;
};

type Folder = {
  mails: readonly ShownMail[];
  /** Mail goes out as well; what was sent has no text any more unless `DEV_MAILBOX=1`. */
  isSent: boolean;
};

export function listPage({ mails, isSent }: Folder): string {
  return page(
    "Mailbox",
    mails,
    `<h1>Mailbox</h1>${explanation(isSent)}
${mails.length === 0 ? `<p class="empty" role="status">No mail yet. It appears here by itself.</p>` : list(mails, undefined)}`,
  );
}

export function mailPage({ mail, mails, isSent }: Folder & { mail: ShownMail }): string {
  return page(
    mail.subject,
    mails,
    `<p><a href="/dev/mailbox">Mailbox</a></p>
<div class="panes">
<article aria-labelledby="subject">
<h1 id="subject">${escapeHtml(mail.subject)}</h1>
<dl><div><dt>To</dt><dd>${escapeHtml(mail.recipient)}</dd></div><div><dt>Written</dt><dd>${time(mail.createdAt)}</dd></div></dl>
${mail.state === "failed" ? `<p class="failed">It could not be sent: ${escapeHtml(mail.lastError ?? "no reason was given")}</p>` : ""}
${
  mail.html === ""
    ? `<p class="empty">Its text went when it was sent: links in mails let people in. Set DEV_MAILBOX=1 to keep it.</p>`
    : `<iframe title="The mail as a mail program shows it" src="/dev/mailbox/${mail.id}/html" sandbox="${FRAME_RIGHTS}"></iframe>
<details><summary>Plain text</summary><pre>${withLinks(mail.text)}</pre></details>`
}
</article>
<nav aria-label="Other mails">${list(mails, mail.id)}</nav>
</div>${isSent ? explanation(isSent) : ""}`,
  );
}

export const messagePage = (heading: string, text: string): string =>
  page(heading, undefined, `<h1>${escapeHtml(heading)}</h1><p>${escapeHtml(text)}</p>`);

/** The mail alone, for the frame: links open over the whole window. */
export const framedMail = ({ html }: ShownMail): string => html.replace("<head>", `<head><base target="_top">`);

const explanation = (isSent: boolean): string =>
  `<p class="muted">${
    isSent
      ? "This instance sends mail. Here is what it wrote."
      : "This instance sends no mail, it is kept here. Set RESEND_API_KEY or SMTP_URL, and EMAIL_FROM, to send it."
  } Only this machine sees this page.</p>`;

const list = (mails: readonly ShownMail[], currentId: string | undefined): string =>
  `<ul class="mails">${mails
    .map(
      ({ id, recipient, subject, state, createdAt }) =>
        `<li><a href="/dev/mailbox/${id}"${id === currentId ? ` aria-current="page"` : ""}><strong>${escapeHtml(subject)}</strong><span>${escapeHtml(
          recipient,
        )}</span><span class="muted">${time(createdAt)}${state === "failed" ? " · could not be sent" : ""}</span></a></li>`,
    )
    .join("")}</ul>`;

const time = (at: Date): string => {
  const iso = at.toISOString();
  return `<time datetime="${iso}">${iso.slice(0, 19).replace("T", " ")} UTC</time>`;
};

/** Addresses of the plain text as links, cut out before anything is escaped so that none is cut in the middle. */
const withLinks = (text: string): string =>
  text
    .split(/(https?:\/\/[^\s<>"]+)/)
    .map((part, index) => (index % 2 === 1 ? `<a href="${escapeHtml(part)}">${escapeHtml(part)}</a>` : escapeHtml(part)))
    .join("");

const STYLE = `
:root{color-scheme:light dark;--canvas:light-dark(#fafaf8,#0e0e0d);--surface:light-dark(#fff,#161615);--line:light-dark(#e3e3de,#2b2b29);
--ink:light-dark(#181816,#f0f0ec);--muted:light-dark(#5c5c56,#a5a59e);--accent:light-dark(#3538cd,#a4abff);--soft:light-dark(#ecedfc,#20223c);--danger:light-dark(#b1251d,#ff948b)}
*{box-sizing:border-box}
body{margin:0;background:var(--canvas);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,sans-serif;overflow-wrap:anywhere}
main{max-width:72rem;margin:0 auto;padding:1.25rem}
h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 1rem}a{color:var(--accent)}.muted,dt{color:var(--muted);font-size:.875rem}
.panes{display:grid;gap:1.5rem}@media(min-width:60rem){.panes{grid-template-columns:minmax(0,1fr) 20rem}}
dl{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:0 0 1rem}dd{margin:0}
iframe{display:block;width:100%;height:min(34rem,70vh);border:1px solid var(--line);border-radius:.625rem;background:var(--surface)}
details{margin:1rem 0}summary{cursor:pointer;min-height:2rem}
pre{white-space:pre-wrap;font:.8125rem/1.5 ui-monospace,monospace;background:var(--surface);border:1px solid var(--line);border-radius:.375rem;padding:.75rem}
.mails{list-style:none;margin:0;padding:0;background:var(--surface);border:1px solid var(--line);border-radius:.625rem;overflow:hidden}
.mails li+li{border-top:1px solid var(--line)}
.mails a{display:grid;gap:.125rem;padding:.75rem 1rem;color:var(--ink);text-decoration:none}.mails a:hover,.mails a[aria-current]{background:var(--soft)}
:focus-visible{outline:2px solid var(--accent);outline-offset:-2px}
.empty{padding:2rem 1rem;border:1px solid var(--line);border-radius:.625rem;color:var(--muted)}.failed{color:var(--danger)}`;

/** Looks whether there is something newer than what the page shows. A mail that is being read stays; the list beside it comes anew. */
const SCRIPT = `
const newest = document.body.dataset.newest;
async function look() {
  try {
    const { data } = await (await fetch("/dev/mailbox.json", { cache: "no-store" })).json();
    if ((data[0]?.id ?? "") !== newest) {
      if (location.pathname === "/dev/mailbox") return location.reload();
      const fresh = document.createElement("template");
      fresh.innerHTML = await (await fetch(location.href, { cache: "no-store" })).text();
      const list = fresh.content.querySelector("nav");
      if (list) document.querySelector("nav")?.replaceWith(list);
    }
  } catch {}
  setTimeout(look, 1000);
}
if (newest !== undefined) setTimeout(look, 1000);`;

const FRAME_RIGHTS = "allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation";
const scriptHash = createHash("sha256").update(SCRIPT).digest("base64");

/** Our one script and no other, whoever's text stands on the page. */
export const PAGE_POLICY = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${scriptHash}'; connect-src 'self'; frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'`;
/** No script in a mail, also where it is opened outside its frame. */
export const FRAME_POLICY = `default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; sandbox ${FRAME_RIGHTS}`;

/** @param mails newest first; undefined where the page shows none and waits for none. */
const page = (title: string, mails: readonly ShownMail[] | undefined, body: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} · NullSpend</title><style>${STYLE}</style></head>
<body${mails ? ` data-newest="${mails[0]?.id ?? ""}"` : ""}><main>${body}</main><script>${SCRIPT}</script></body></html>`;
