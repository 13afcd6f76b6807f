import {
  crossCheckPrices,
  decidePriceProposal,
  GENAI_PRICES_URL,
  LIST_PROVIDERS,
  listIncompletePrices,
  ListPriceBook,
  listPriceProposals,
  listProviderOf,
  listUnpricedModels,
  LITELLM_PRICES_URL,
  createListPriceStore,
  refreshListPrices,
} from "@/server/pricing";
import type { PrismaClient } from "@/generated/prisma/client";
import { findOrgId, withDatabase } from "./organisation";
import { assertKnown } from "./read-options";
import type { CommandInput, CommandResult } from "./run-cli";
import { table } from "./table";
import { UsageError } from "./usage-error";

/** Figures of a report that a terminal shows; `--json` has them all. */
const LINES_MAX = 50;

export async function reportPrices({ env, root, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, ["org"]);
  return withDatabase({ env, root }, async (prisma) => {
    const book = await currentBook(prisma);
    const nowMs = Date.now();
    const orgId = options.org === undefined ? undefined : await findOrgId(prisma, options.org);
    const unpriced = await listUnpricedModels({ prisma, book, nowMs, orgId });
    const incomplete = listIncompletePrices({ book, atMs: nowMs });
    const proposals = await listPriceProposals(prisma);
    const text = [
      "Called in the last 30 days without a full price:",
      table(
        ["orgId", "provider", "model", "unpricedCalls", "calls", "missing"],
        unpriced.map((each) => ({ ...each, lastHour: each.lastHour.toISOString() })),
      ),
      "",
      "Prices that are not whole:",
      table(["provider", "model", "tier", "missingUnits"], incomplete),
      "",
      `Prices that wait for a decision: ${proposals.length}${proposals.length > 0 ? " (see `price proposals`)" : ""}`,
    ].join("\n");
    return { data: { unpriced, incomplete, proposals: proposals.length }, text };
  });
}

export async function refreshPrices({ env, root, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, ["url"]);
  const url = addressOf({ asked: options.url, isOn: isOn(env.PRICE_REFRESH), usual: GENAI_PRICES_URL, variable: "PRICE_REFRESH" });
  return withDatabase({ env, root }, async (prisma) => {
    const report = await refreshListPrices({ prisma, url, providers: providersOf(env.UPSTREAM_ALLOWLIST) });
    const lines = [
      ...report.inserted.map(({ provider, model, changes }) => `new   ${provider}/${model}: ${changes.join("; ")}`),
      ...report.held.map(({ provider, model, changes }) => `held  ${provider}/${model}: ${changes.join("; ")}`),
      ...report.tiersToCheck.map((name) => `check ${name}: its other tiers are kept by hand`),
      ...report.unreadable.map((name) => `left  ${name}: its price is of a form that is not known`),
      `${report.inserted.length} new, ${report.held.length} held, ${report.unchanged} as before.`,
    ];
    return { data: report, text: lines.join("\n") };
  });
}

export async function checkPrices({ env, root, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, ["url"]);
  const url = addressOf({ asked: options.url, isOn: isOn(env.PRICE_CHECK), usual: LITELLM_PRICES_URL, variable: "PRICE_CHECK" });
  return withDatabase({ env, root }, async (prisma) => {
    const report = await crossCheckPrices({ book: await currentBook(prisma), atMs: Date.now(), url });
    const columns = ["model", "tier", "unit", "fromInputTokens", "ours", "theirs"] as const;
    const text = [
      `${report.agreed} figures agree.`,
      `Different (${report.disagreements.length}):`,
      table(columns, report.disagreements.slice(0, LINES_MAX)),
      `Only there (${report.missing.length}):`,
      table(columns, report.missing.slice(0, LINES_MAX)),
      `Models only there: ${report.unknownModels.join(", ") || "none"}`,
    ].join("\n");
    return { data: report, text, failed: report.disagreements.length > 0 };
  });
}

export async function listProposals({ env, root, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, []);
  return withDatabase({ env, root }, async (prisma) => {
    const data = (await listPriceProposals(prisma)).map((each) => ({ ...each, createdAt: each.createdAt.toISOString() }));
    return { data, text: table(["id", "provider", "model", "reasons", "createdAt"], data) };
  });
}

export const acceptPrice = (input: CommandInput): Promise<CommandResult> => decide(input, "accepted");
export const rejectPrice = (input: CommandInput): Promise<CommandResult> => decide(input, "rejected");

async function decide({ env, root, words, options }: CommandInput, decision: "accepted" | "rejected"): Promise<CommandResult> {
  assertKnown(options, []);
  const [id, ...more] = words;
  if (id === undefined || more.length > 0 || !/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(id)) {
    throw new UsageError("Name one proposal by its id. See `price proposals`.");
  }
  return withDatabase({ env, root }, async (prisma) => {
    const data = await decidePriceProposal({ prisma, id, decision });
    const from = data.validFrom === null ? "" : `, in force from ${data.validFrom.toISOString()} on`;
    return { data, text: `The price of ${data.provider}/${data.model} is ${decision}${from}.` };
  });
}

/** The book as a server has it, with what refreshes wrote down. */
async function currentBook(prisma: PrismaClient): Promise<ListPriceBook> {
  const book = new ListPriceBook();
  await createListPriceStore({ prisma, book, log: { warn: () => {} } }).load();
  return book;
}

function addressOf({
  asked,
  isOn,
  usual,
  variable,
}: {
  asked: string | undefined;
  isOn: boolean;
  usual: string;
  variable: string;
}): string {
  if (asked !== undefined) {
    if (!URL.canParse(asked) || !/^https?:$/.test(new URL(asked).protocol)) throw new UsageError("--url must be an http(s) address.");
    return asked;
  }
  if (!isOn) throw new UsageError(`This reads ${new URL(usual).host}, which is off: set ${variable}=1, or name an address with --url.`);
  return usual;
}

const isOn = (value: string | undefined): boolean => /^(?:1|true|yes|on)$/i.test(value?.trim() ?? "");

/** Whose list prices this installation uses: the two that need no allow-list, and upstreams named after others. */
function providersOf(allowlist: string | undefined): string[] {
  const names = (allowlist ?? "").split(",").map((entry) => entry.split("=")[0]!.trim());
  return [...new Set([...LIST_PROVIDERS, ...names.flatMap((name) => listProviderOf(name)?.id ?? [])])];
}
