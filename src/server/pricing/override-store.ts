import type { PrismaClient } from "@/generated/prisma/client";
import { createVersionedOrgCache } from "@/server/versioned-org-cache";
import { OVERRIDE_SELECT, priceOfOverride, type OverrideRow } from "./override";
import type { ModelPrice, PriceQuery } from "./price-book";

/** `none`: no override applies, so the list decides. An override that cannot be read applies and has no price. */
export type OverrideAnswer = { applies: false } | { applies: true; price: ModelPrice | undefined };

/** The organisations' own prices, held in memory by the version of their configuration. */
export interface OverrideStore {
  /**
   * Makes sure that {@link find} knows an organisation's overrides as of a version of its configuration. Undefined when it does
   * already, which is nearly always: `await` then costs nothing but a check.
   *
   * Call it directly before pricing, with the newest version known, so that an override made while the call ran counts.
   * @returns a promise that rejects when the database could not tell. That is not "no overrides": the settlement keeps the usage
   * and asks again until the database answers, and the call is priced then.
   */
  ensureLoaded(orgId: string, configVersion: bigint): Promise<void> | undefined;
  /**
   * The override for a query: exact model name, case-sensitive; the served name first, then the requested one.
   * @throws when the organisation's overrides were not loaded: a bug of the caller that must not end in a list price.
   */
  find(query: PriceQuery): OverrideAnswer;
}

type Held = {
  configVersion: bigint;
  /** By provider and model, the one that wins first. */
  rowsOfModel: ReadonlyMap<string, readonly HeldOverride[]>;
};
type HeldOverride = { validFromMs: number; withdrawnAtMs: number; price: ModelPrice | undefined };

/** An organisation without overrides takes some hundred bytes. The longest held leave first; they are read again when needed. */
const ORGS_MAX = 50_000;
/** Withdrawn overrides still price calls that started before: no call lives this long. */
const WITHDRAWN_KEPT_MS = 7 * 24 * 3600 * 1000;
/** Pricing waits for this; what waits with it is money already spent, so rather give up and be asked again. */
const LOAD_TIMEOUT_MS = 10_000;

const NOTHING: ReadonlyMap<string, readonly HeldOverride[]> = new Map();
const DOES_NOT_APPLY: OverrideAnswer = { applies: false };

export function createOverrideStore({ prisma, orgsMax = ORGS_MAX }: { prisma: PrismaClient; orgsMax?: number }): OverrideStore {
  const cache = createVersionedOrgCache<Held>({
    what: "overrides",
    timeoutMs: LOAD_TIMEOUT_MS,
    orgsMax,
    read: (orgId) => read(prisma, orgId),
  });

  function find(query: PriceQuery): OverrideAnswer {
    const held = cache.find(query.orgId);
    if (!held) throw new Error(`overrides of ${query.orgId} were not loaded before pricing`);
    if (held.rowsOfModel.size === 0) return DOES_NOT_APPLY;
    const answer = findByName(held, query, query.model);
    if (answer.applies || query.requestedModel === undefined || query.requestedModel === query.model) return answer;
    return findByName(held, query, query.requestedModel);
  }

  return { ensureLoaded: cache.ensureLoaded, find };
}

function findByName(held: Held, { provider, atMs }: PriceQuery, model: string): OverrideAnswer {
  const row = held.rowsOfModel.get(keyOf(provider, model))?.find((each) => each.validFromMs <= atMs && atMs < each.withdrawnAtMs);
  return row ? { applies: true, price: row.price } : DOES_NOT_APPLY;
}

async function read(prisma: PrismaClient, orgId: string): Promise<Held> {
  // The version before the rows: rows may then be newer than it says, never older.
  const organisation = await prisma.organisation.findUnique({ where: { id: orgId }, select: { configVersion: true } });
  // Its prices went with it, and what it still has to settle is priced at list.
  if (!organisation) return { configVersion: MAX_VERSION, rowsOfModel: NOTHING };
  const rows = await prisma.price.findMany({
    where: { orgId, OR: [{ withdrawnAt: null }, { withdrawnAt: { gt: new Date(Date.now() - WITHDRAWN_KEPT_MS) } }] },
    // The latest to be valid wins; of two from the same instant the later made.
    orderBy: [{ validFrom: "desc" }, { createdAt: "desc" }, { id: "desc" }],
    select: OVERRIDE_SELECT,
  });
  return { configVersion: organisation.configVersion, rowsOfModel: rows.length === 0 ? NOTHING : groupByModel(rows) };
}

const MAX_VERSION = 2n ** 63n - 1n;

function groupByModel(rows: readonly OverrideRow[]): Map<string, HeldOverride[]> {
  const groups = new Map<string, HeldOverride[]>();
  for (const row of rows) {
    const key = keyOf(row.provider, row.model);
    const held: HeldOverride = {
      validFromMs: row.validFrom.getTime(),
      withdrawnAtMs: row.withdrawnAt?.getTime() ?? Number.POSITIVE_INFINITY,
      price: priceOfOverride(row),
    };
    const group = groups.get(key);
    if (group) group.push(held);
    else groups.set(key, [held]);
  }
  return groups;
}

const keyOf = (provider: string, model: string): string => `${provider}\n${model}`;
