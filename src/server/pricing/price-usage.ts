import { nanoUsd, picoUsd } from "@/lib/money";
import { costOfUsage, type CostOfUsage } from "@/server/metering/cost-of-usage";
import type { ProviderReceipt } from "@/server/metering/receipt";
import type { UsageReport } from "@/server/metering/usage";
import { listProviderOf } from "./list-providers";
import { isOverride } from "./override";
import type { PriceBook, PriceQuery } from "./price-book";

export type PricedUsage =
  | Extract<CostOfUsage, { priced: true }>
  | { priced: true; receipt: ProviderReceipt; isUpperBound: false }
  /** What is not known, by the names of units and figures; `model` where no name has a price. */
  | { priced: false; missing: string[] };

/**
 * Whose own statement of a call's cost is believed, and where they say that it is what they bill, in dollars. The others' figures
 * are read by nobody: an upstream that may put any amount into its answers must not decide what budgets are charged, and what is
 * called `cost` elsewhere may be credits, another currency, or an estimate. OpenAI and Anthropic state none.
 */
const STATES_COST: ReadonlyMap<string, string> = new Map([
  ["openrouter", "https://openrouter.ai/docs/use-cases/usage-accounting"],
  ["x-ai", "https://docs.x.ai/developers/cost-tracking"],
  ["perplexity", "https://docs.perplexity.ai/api-reference/chat-completions-post"],
]);

const PICO_PLACES = 12;

/**
 * What an answer's use costs: by the organisation's own price where it has one, else as the provider states it where that is
 * believed, else by the list.
 *
 * @param models names to look for, the best first: what served, then what was asked for. The first that the book knows decides;
 * what it has no price for is then unknown, because another model's price for it would be a guess.
 * @param isWhole the usage is the provider's last word, so that its statement of the cost is too.
 */
export function priceUsage({
  book,
  query,
  models,
  usage,
  isWhole,
}: {
  book: PriceBook;
  query: Omit<PriceQuery, "model">;
  models: readonly (string | undefined)[];
  usage: Pick<UsageReport, "quantities" | "otherModels" | "reportedCostUsd" | "unknownUnits" | "isUpperBound">;
  isWhole: boolean;
}): PricedUsage {
  const price = firstPrice(book, query, models);
  if (isWhole && usage.reportedCostUsd !== undefined && !(price && isOverride(price))) {
    const receipt = statedCost(query.provider, usage.reportedCostUsd);
    if (receipt) return { priced: true, receipt, isUpperBound: false };
  }
  if (usage.unknownUnits !== undefined && usage.unknownUnits.length > 0) return { priced: false, missing: usage.unknownUnits };
  if (!price) return { priced: false, missing: ["model"] };

  const others = (usage.otherModels ?? []).map((other) => ({ ...other, price: book.findPrice({ ...query, model: other.model }) }));
  const unknownModel = others.find((other) => other.price === undefined);
  if (unknownModel) return { priced: false, missing: [`model ${unknownModel.model}`] };
  const cost = costOfUsage({
    quantities: usage.quantities,
    price,
    others: others.flatMap((other) => (other.price ? [{ ...other, price: other.price }] : [])),
  });
  if (!cost.priced) return { priced: false, missing: cost.missingUnits };
  return { ...cost, isUpperBound: cost.isUpperBound || usage.isUpperBound === true };
}

function firstPrice(book: PriceBook, query: Omit<PriceQuery, "model">, models: readonly (string | undefined)[]) {
  for (let i = 0; i < models.length; i++) {
    const model = models[i];
    if (model === undefined || models.indexOf(model) < i) continue;
    const price = book.findPrice({ ...query, model });
    if (price) return price;
  }
  return undefined;
}

/** Undefined: not believed, or no amount. Parts of a picodollar are rounded up. */
function statedCost(provider: string, usd: string): ProviderReceipt | undefined {
  const id = listProviderOf(provider)?.id;
  const match = /^(\d{1,9})(?:\.(\d{1,40}))?$/.exec(usd);
  if (id === undefined || !STATES_COST.has(id) || !match) return undefined;
  const fraction = match[2] ?? "";
  const isInexact = /[1-9]/.test(fraction.slice(PICO_PLACES));
  const pico = BigInt(match[1]! + fraction.slice(0, PICO_PLACES).padEnd(PICO_PLACES, "0")) + (isInexact ? 1n : 0n);
  return {
    cost: nanoUsd((pico + 999n) / 1000n),
    breakdown: null,
    lines: [{ unit: "provider_cost", quantity: 1, unitPricePico: picoUsd(pico), amountPico: picoUsd(pico) }],
    priceVersion: `stated:${id}`,
  };
}
