import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import type { Prisma } from "@/generated/prisma/client";
import { recordChange } from "@/server/audit";
import type { Ctx } from "@/server/context";
import { assertAllowed, bumpConfigVersion } from "@/server/org";
import { nanoPerCall, parseInput, picoPerToken, PutPriceInput } from "./input";
import { OVERRIDE_SELECT, type OverrideUnit } from "./override";
import { toOverrideRecord, type PriceRecord } from "./record";

/** All of an organisation's overrides are held in memory by every process that prices its calls. */
const OVERRIDES_MAX = 2000;
/** A `validFrom` this little in the past was meant as now, by a clock that is not ours. */
const CLOCK_DIFFERENCE_MS = 60_000;

/**
 * Gives an organisation its own price for a model, from an instant on. The price before stays for the calls that started under
 * it: rows are never edited.
 *
 * A `validFrom` in the past is refused, because the calls since then are priced, charged and reported already.
 */
export async function putPriceOverride({ ctx, input }: { ctx: Ctx; input: PutPriceInput }): Promise<PriceRecord> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const { provider, model, ...body } = parseInput(PutPriceInput, input);
  const { orgId } = ctx.principal;

  return ctx.prisma.$transaction(async (tx) => {
    // Locks the organisation: of two at once, the second sees the first.
    await bumpConfigVersion(tx, orgId);
    const now = await databaseNow(tx);
    const validFrom = validFromOf(body.validFrom, now);

    const previous = await tx.price.findMany({
      where: { orgId, provider, model, withdrawnAt: null },
      orderBy: [{ createdAt: "desc" }, { id: "desc" }],
      take: 1,
      select: OVERRIDE_SELECT,
    });
    if ((await tx.price.count({ where: { orgId, withdrawnAt: null } })) >= OVERRIDES_MAX) {
      throw new ServiceError("limit_exceeded", `An organisation can have ${OVERRIDES_MAX} prices of its own: delete some first.`);
    }
    const row = await tx.price.create({
      data: {
        orgId,
        provider,
        model,
        rates: storedRates(body),
        validFrom,
        // Later than the one before even within a millisecond, because of two that are valid from one instant the later made wins.
        createdAt: new Date(Math.max(now.getTime(), (previous[0]?.createdAt.getTime() ?? 0) + 1)),
      },
      select: OVERRIDE_SELECT,
    });
    const record = toOverrideRecord(row)!;
    const before = previous[0] ? toOverrideRecord(previous[0]) : null;
    await recordChange(tx, {
      ctx,
      action: "price.created",
      resourceType: "price",
      resourceId: publicId("price", row.id),
      before: before && auditOfPrice(before),
      after: auditOfPrice(record),
    });
    return record;
  });
}

function validFromOf(asked: string | undefined, now: Date): Date {
  if (asked === undefined) return now;
  const validFrom = new Date(asked);
  if (validFrom.getTime() < now.getTime() - CLOCK_DIFFERENCE_MS) {
    throw new ServiceError("bad_request", "validFrom lies in the past: calls since then are priced already.", {
      issues: [{ path: "validFrom", message: "must not lie in the past" }],
    });
  }
  return validFrom < now ? now : validFrom;
}

function storedRates(body: Omit<PutPriceInput, "provider" | "model">): Prisma.InputJsonObject {
  const usdOf: Record<OverrideUnit, number | string | undefined> = {
    input: body.inputUsdPerMTok,
    cached_input: body.cachedInputUsdPerMTok,
    cache_write_5m: body.cacheWrite5mUsdPerMTok,
    cache_write_1h: body.cacheWrite1hUsdPerMTok,
    output: body.outputUsdPerMTok,
    reasoning: body.reasoningUsdPerMTok,
  };
  const given = Object.entries(usdOf).flatMap(([unit, usd]) => (usd === undefined ? [] : [[unit, picoPerToken(usd)!.toString()]]));
  return {
    ...(Object.fromEntries(given) as Record<string, string>),
    ...(body.perCallUsd !== undefined && { perCall: nanoPerCall(body.perCallUsd)!.toString() }),
  };
}

/** The clock that decides from when a price applies; it moves on within a transaction, unlike `now()`. */
export async function databaseNow(tx: Prisma.TransactionClient): Promise<Date> {
  const [row] = await tx.$queryRaw<{ now: Date }[]>`select clock_timestamp() as now`;
  return row!.now;
}

export function auditOfPrice(record: PriceRecord): Prisma.InputJsonObject {
  const { provider, model, inputUsdPerMTok, cachedInputUsdPerMTok, cacheWrite5mUsdPerMTok, cacheWrite1hUsdPerMTok } = record;
  const { outputUsdPerMTok, reasoningUsdPerMTok, perCallUsd, validFrom } = record;
  return {
    provider,
    model,
    inputUsdPerMTok,
    cachedInputUsdPerMTok,
    cacheWrite5mUsdPerMTok,
    cacheWrite1hUsdPerMTok,
    outputUsdPerMTok,
    reasoningUsdPerMTok,
    perCallUsd,
    validFrom: validFrom?.toISOString() ?? null,
  };
}
