import { createHash } from "node:crypto";
import type { Prisma, PrismaClient } from "@/generated/prisma/client";
import { nanoUsd } from "@/lib/money";
import type { UsageUnit } from "@/server/metering/usage";
import { comparePrices } from "./compare-prices";
import { fetchText, type FetchText } from "./fetch-text";
import { LEARNED_SELECT, learnedPriceOf, storedListRates } from "./learned-price";
import { LIST_PROVIDERS, ListPriceBook, TOOL_UNITS } from "./list-price-book";
import { OVERLAY } from "./overlay";
import { databaseNow } from "./put-override";
import { GENAI_PRICES_URL, readRemotePrices, type RemotePrice } from "./remote-prices";

export type PriceChange = { provider: string; model: string; changes: string[] };
export type RefreshReport = {
  /** Written down, and in force from `validFrom` on. */
  inserted: PriceChange[];
  validFrom: Date | null;
  /** Kept for an operator: asked about now, or earlier and not decided yet. */
  held: PriceChange[];
  unchanged: number;
  /** Models whose published price is of a form that we do not know. */
  unreadable: string[];
  /** Providers of allow-listed upstreams that the list does not have; their prices stay as they are. */
  unlisted: string[];
  /** Models with a new price whose other tiers are kept by hand and may have changed as well. */
  tiersToCheck: string[];
};

/** "PRCE", so that one process at a time looks and writes. */
const REFRESH_LOCK = 0x50524345;
/**
 * How long after it is written a price comes into force. Longer than every process takes to learn of it (see `list-price-store.ts`),
 * so that two processes never price one moment differently.
 */
export const LEAD_TIME_MS = 120_000;
const TRANSACTION_TIMEOUT_MS = 60_000;

/**
 * Reads the published list and writes down what is new, as rows that begin later: none is ever edited, and the price of a call that
 * has started does not change. A fall by more than half, a rise to more than three times, a unit that is gone, or a new model that
 * costs nothing is not taken over: it becomes a proposal that an operator accepts or rejects, once.
 *
 * Several processes at once have the effect of one. Fails closed: when the list cannot be read, prices stay as they are.
 *
 * @param providers as the package names them; `listProviderOf` says so for upstreams of the allow-list.
 * @throws when the list cannot be fetched or is none.
 */
export async function refreshListPrices({
  prisma,
  fetch = fetchText,
  url = GENAI_PRICES_URL,
  providers = LIST_PROVIDERS,
}: {
  prisma: PrismaClient;
  fetch?: FetchText;
  url?: string;
  providers?: readonly string[];
}): Promise<RefreshReport> {
  const text = await fetch(url);
  return prisma.$transaction(
    async (tx) => {
      await lockListPrices(tx);
      const now = await databaseNow(tx);
      const validFrom = new Date(now.getTime() + LEAD_TIME_MS);
      // What is written down but not in force yet counts: another process may have been here a second ago.
      const book = await currentBook(tx);
      const { prices, unreadable, unlisted } = readRemotePrices({ text, providers, atMs: now.getTime() });

      const report: RefreshReport = { inserted: [], validFrom: null, held: [], unchanged: 0, unreadable, unlisted, tiersToCheck: [] };
      for (const price of prices) {
        const difference = differenceOf({ book, price, atMs: validFrom.getTime() });
        const change = { provider: price.provider, model: price.model, changes: difference.changes };
        if (!difference.isChanged) report.unchanged += 1;
        else if (difference.doubts.length > 0) {
          if (await propose({ tx, price, reasons: difference.doubts, url })) report.held.push(change);
        } else {
          await insertListPrice({ tx, price: { ...price, source: `${price.source} ${url}` }, validFrom, createdAt: now });
          report.inserted.push(change);
          report.validFrom = validFrom;
          const tiers = OVERLAY.some((row) => row.provider === price.provider && row.model === price.model && row.tier !== "standard");
          if (tiers) report.tiersToCheck.push(`${price.provider}/${price.model}`);
        }
      }
      return report;
    },
    { timeout: TRANSACTION_TIMEOUT_MS },
  );
}

async function currentBook(tx: Prisma.TransactionClient): Promise<ListPriceBook> {
  const rows = await tx.price.findMany({ where: { orgId: null }, select: LEARNED_SELECT, orderBy: [{ createdAt: "asc" }, { id: "asc" }] });
  const book = new ListPriceBook();
  book.learn(rows.flatMap((row) => learnedPriceOf(row) ?? []));
  return book;
}

function differenceOf({ book, price, atMs }: { book: ListPriceBook; price: RemotePrice; atMs: number }) {
  const { provider, model } = price;
  const before = book.listedPrice({ provider, model, atMs });
  return comparePrices({
    before: before?.rates,
    after: price.rates,
    perCallBefore: before?.perCall ?? nanoUsd(0n),
    perCallAfter: price.perCall,
    keptUnits: ownUnitsOf(provider, model),
  });
}

/** Units that our overlay and fees add to the list. */
function ownUnitsOf(provider: string, model: string): ReadonlySet<UsageUnit> {
  const rows = OVERLAY.filter((row) => row.provider === provider && row.model === model && row.tier === "standard");
  return new Set([...TOOL_UNITS, ...rows.flatMap((row) => Object.keys(row.usdPerMillion) as UsageUnit[])]);
}

export async function insertListPrice({
  tx,
  price,
  validFrom,
  createdAt,
}: {
  tx: Prisma.TransactionClient;
  price: RemotePrice;
  validFrom: Date;
  createdAt: Date;
}): Promise<string> {
  const { provider, model, source } = price;
  const row = await tx.price.create({
    data: { orgId: null, provider, model, rates: storedListRates(price), source, validFrom, createdAt },
    select: { id: true },
  });
  return row.id;
}

/** False when an operator has already decided about these very figures. */
async function propose({
  tx,
  price,
  reasons,
  url,
}: {
  tx: Prisma.TransactionClient;
  price: RemotePrice;
  reasons: string[];
  url: string;
}): Promise<boolean> {
  const rates = storedListRates(price);
  const ratesHash = createHash("sha256").update(JSON.stringify(rates)).digest("hex");
  const key = { provider: price.provider, model: price.model, ratesHash };
  const known = await tx.priceProposal.findUnique({ where: { provider_model_ratesHash: key }, select: { decision: true } });
  if (known) return known.decision === null;
  await tx.priceProposal.create({ data: { ...key, rates, reasons, source: `${price.source} ${url}` } });
  return true;
}

/** The lock of everything that writes list prices. */
export async function lockListPrices(tx: Prisma.TransactionClient): Promise<void> {
  await tx.$executeRaw`select pg_advisory_xact_lock(${REFRESH_LOCK})`;
}
