import { ServiceError } from "@/lib/errors";
import { afterPosition, decodeKeysetCursor, encodeKeysetCursor } from "@/lib/keyset-cursor";
import type { Ctx } from "@/server/context";
import { assertAllowed } from "@/server/org";
import { ListPricesInput, parseInput } from "./input";
import { LIST_TIERS, type ListedPrice, type ListPriceBook } from "./list-price-book";
import { OVERRIDE_SELECT } from "./override";
import { toListRecord, toOverrideRecord, type PriceRecord } from "./record";

type Page = { data: PriceRecord[]; cursor: string | null };
/** Where in the list prices a page ends; overrides come before all of them. */
type ListPosition = { afterListed: string };

/**
 * The organisation's own prices, newest first, and with `list` the providers' list prices of today behind them.
 * @param list the book whose list prices are shown.
 */
export async function listPrices({ ctx, input, list }: { ctx: Ctx; input: ListPricesInput; list: ListPriceBook }): Promise<Page> {
  assertAllowed(ctx.principal, { key: ["read"], user: "viewer" });
  const { limit, cursor, ...filter } = parseInput(ListPricesInput, input);
  const inList = cursor === undefined ? undefined : decodeListCursor(cursor);
  const overrides: Page = inList ? { data: [], cursor: null } : await listOverrides({ ctx, filter, limit, cursor });
  if (overrides.cursor !== null || !filter.list) return overrides;

  const listed = selectListed({ list, filter, atMs: ctx.clock.now() });
  const rest = inList ? listed.filter((price) => compare(keyOf(price), inList.afterListed) > 0) : listed;
  const page = rest.slice(0, limit - overrides.data.length);
  const data = [...overrides.data, ...page.map(toListRecord)];
  const last = page.at(-1);
  if (rest.length === page.length) return { data, cursor: null };
  // A page that the overrides filled goes on at the beginning of the list.
  return { data, cursor: encodeListCursor({ afterListed: last ? keyOf(last) : "" }) };
}

type Filter = Pick<ListPricesInput, "provider" | "model" | "includeWithdrawn" | "list">;

async function listOverrides({
  ctx,
  filter,
  limit,
  cursor,
}: {
  ctx: Ctx;
  filter: Filter;
  limit: number;
  cursor: string | undefined;
}): Promise<Page> {
  const position = cursor === undefined ? undefined : decodeKeysetCursor(cursor);
  if (cursor !== undefined && !position) throw new ServiceError("bad_request", "This cursor is not one of ours.");
  const rows = await ctx.prisma.price.findMany({
    where: {
      orgId: ctx.principal.orgId,
      provider: filter.provider,
      model: filter.model,
      ...(filter.includeWithdrawn ? {} : { withdrawnAt: null }),
      ...(position ? afterPosition(position) : {}),
    },
    orderBy: [{ createdAt: "desc" }, { id: "desc" }],
    take: limit + 1,
    select: OVERRIDE_SELECT,
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    data: page.flatMap((row) => toOverrideRecord(row) ?? []),
    cursor: rows.length > page.length && last ? encodeKeysetCursor(last) : null,
  };
}

/** By a model's canonical name or any alias of it. */
function selectListed({ list, filter, atMs }: { list: ListPriceBook; filter: Filter; atMs: number }): ListedPrice[] {
  const all = list.listPrices({ provider: filter.provider, atMs });
  const { model } = filter;
  if (model === undefined) return all;
  return all.filter(({ price }) => list.findPrice({ provider: price.provider, model, atMs, orgId: "" })?.model === price.model);
}

// Keys sort as the list does: nothing in a name sorts before a line break, so that `gpt-5` comes before `gpt-5-mini` here too.
const keyOf = ({ price, tier }: ListedPrice): string => [price.provider, price.model, LIST_TIERS.indexOf(tier)].join("\n");
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const LIST_CURSOR = "list:";
const encodeListCursor = ({ afterListed }: ListPosition): string => Buffer.from(LIST_CURSOR + afterListed).toString("base64url");
function decodeListCursor(cursor: string): ListPosition | undefined {
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  return text.startsWith(LIST_CURSOR) ? { afterListed: text.slice(LIST_CURSOR.length) } : undefined;
}
