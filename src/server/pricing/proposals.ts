import type { PrismaClient } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { nanoUsd, picoUsd } from "@/lib/money";
import { isUsageUnit } from "@/server/metering/cost-of-usage";
import { StoredListRates } from "./learned-price";
import type { Rate } from "./price-book";
import { databaseNow } from "./put-override";
import { insertListPrice, LEAD_TIME_MS, lockListPrices } from "./refresh";

export type PriceProposal = {
  id: string;
  provider: string;
  model: string;
  reasons: string[];
  source: string;
  createdAt: Date;
};

const PROPOSALS_MAX = 1000;

/** List prices that wait for an operator, oldest first. They concern the installation, not an organisation. */
export async function listPriceProposals(prisma: PrismaClient): Promise<PriceProposal[]> {
  return prisma.priceProposal.findMany({
    where: { decision: null },
    orderBy: [{ createdAt: "asc" }, { id: "asc" }],
    take: PROPOSALS_MAX,
    select: { id: true, provider: true, model: true, reasons: true, source: true, createdAt: true },
  });
}

/**
 * Accepts or rejects a held price, once. Accepted, it is a new row that begins like any other; rejected, the same figures are not
 * asked about again.
 */
export async function decidePriceProposal({
  prisma,
  id,
  decision,
}: {
  prisma: PrismaClient;
  id: string;
  decision: "accepted" | "rejected";
}): Promise<{ provider: string; model: string; validFrom: Date | null }> {
  return prisma.$transaction(async (tx) => {
    await lockListPrices(tx);
    const proposal = await tx.priceProposal.findUnique({ where: { id } });
    if (!proposal) throw new ServiceError("not_found", "There is no such price proposal.");
    if (proposal.decision !== null) throw new ServiceError("conflict", `This price was ${proposal.decision} already.`);
    const now = await databaseNow(tx);
    const { provider, model } = proposal;
    if (decision === "rejected") {
      await tx.priceProposal.update({ where: { id }, data: { decision, decidedAt: now } });
      return { provider, model, validFrom: null };
    }
    const stored = StoredListRates.parse(proposal.rates);
    const validFrom = new Date(now.getTime() + LEAD_TIME_MS);
    const priceId = await insertListPrice({
      tx,
      price: {
        provider,
        model,
        names: stored.names ?? [],
        prefixes: stored.prefixes ?? [],
        rates: ratesOf(stored),
        perCall: nanoUsd(BigInt(stored.perCall ?? "0")),
        source: proposal.source,
      },
      validFrom,
      createdAt: now,
    });
    await tx.priceProposal.update({ where: { id }, data: { decision, decidedAt: now, priceId } });
    return { provider, model, validFrom };
  });
}

function ratesOf(stored: StoredListRates): Rate[] {
  return Object.entries(stored.units).flatMap(([unit, entries]) => {
    if (!isUsageUnit(unit)) throw new ServiceError("conflict", `This version does not know the unit ${unit}.`);
    return entries.map(({ pico, fromInputTokens }) => ({ unit, pico: picoUsd(BigInt(pico)), fromInputTokens }));
  });
}
