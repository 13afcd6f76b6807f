import { nanoUsd, picoUsd, type NanoUsd } from "@/lib/money";
import type { UsageUnit } from "@/server/metering/usage";
import { exactPico } from "./exact-amount";
import type { LearnedPrice } from "./learned-price";
import { listProviderOf } from "./list-providers";
import { OVERLAY, OVERLAY_DATE, US_INFERENCE } from "./overlay";
import { LIST_TIERS, type ListTier, type OverlayRow } from "./overlay-row";
import { FEES, OPENAI_REGIONS } from "./overlay-units";
import { applies, packageModelOf, packageModels, PACKAGE_VERSION, type Constraint, type PackagePeriod } from "./package-prices";
import type { ModelPrice, PriceBook, PriceQuery, Rate } from "./price-book";

export { LIST_TIERS, type ListTier } from "./overlay-row";

/** The providers that are reached without an allow-list. */
export const LIST_PROVIDERS = ["openai", "anthropic"] as const;

/** A list price that is in force. */
export type ListedPrice = { price: ModelPrice; tier: ListTier; validFromMs: number | null };

type Period = {
  constraint: Constraint | undefined;
  price: ModelPrice;
  /** The price where the provider charges for a region; undefined where it has none. */
  regionalPrice: ModelPrice | undefined;
  /** What the price list itself says, before the overlay. */
  listed: ListedRates;
};
/** A list's own words: what the overlay and the fees add is not in them. */
export type ListedRates = { rates: readonly Rate[]; perCall: NanoUsd };
type BookModel = Partial<Record<ListTier, Period[]>>;

/** Callers choose model names, so the memory of which name means which model is bounded. */
const NAMES_MAX = 5000;
/** Longer than any name a provider has; nothing this long is looked for. */
const NAME_LENGTH_MAX = 200;

const PACKAGE = `genai-prices@${PACKAGE_VERSION}`;
const OVERLAY_VERSION = `overlay@${OVERLAY_DATE}`;

/** Fees that every tier and region pays alike. */
export const TOOL_UNITS: ReadonlySet<UsageUnit> = new Set([
  "web_search",
  "web_search_preview",
  "file_search",
  "code_execution",
  "container_1g",
  "container_4g",
  "container_16g",
  "container_64g",
]);

/**
 * What the providers list, by model, tier and time: the genai-prices package, our overlay, and what was learned since, made into
 * integers once. Looking up a name it has seen takes well under a microsecond.
 *
 * An upstream of the allow-list has the list prices of the provider it is named after, and of no other (see `list-providers.ts`).
 */
export class ListPriceBook implements PriceBook {
  readonly #openaiRegion: string | undefined;
  #learned: readonly LearnedPrice[] = [];
  /** By provider; made when first asked for, because few of some thirty are used. */
  readonly #providers = new Map<string, ProviderPrices>();
  /** By the name that an upstream has: no more than there are names of providers. */
  readonly #pricesOfName = new Map<string, { prices: ProviderPrices; region: string | undefined }>();

  /** @param openaiRegion where the endpoint that `openai` calls go to charges for its region (`openaiRegionOf`). */
  constructor({ openaiRegion }: { openaiRegion?: string } = {}) {
    this.#openaiRegion = openaiRegion;
    for (const provider of LIST_PROVIDERS) this.#pricesOf(provider);
  }

  findPrice(query: PriceQuery): ModelPrice | undefined {
    const provider = this.#pricesOf(query.provider);
    if (provider?.region === undefined || query.inferenceGeo !== undefined) return provider?.prices.find(query);
    return provider.prices.find({ ...query, inferenceGeo: provider.region });
  }

  /**
   * Every price in force at a time, in the order of provider, model and tier: of the providers that need no allow-list, or of one
   * that is named.
   */
  listPrices({ provider, atMs }: { provider?: string; atMs: number }): ListedPrice[] {
    const names = provider === undefined ? LIST_PROVIDERS.toSorted() : [provider];
    return names.flatMap((name) => this.#pricesOf(name)?.prices.list(atMs) ?? []);
  }

  /** What the price list says of a model's standard tier, without our overlay; undefined for a model that is not in the book. */
  listedPrice({ provider, model, atMs }: { provider: string; model: string; atMs: number }): ListedRates | undefined {
    return this.#pricesOf(provider)?.prices.listedPrice(model, atMs);
  }

  /** Takes over what the refresh job found, in place of what was learned before. */
  learn(prices: readonly LearnedPrice[]): void {
    this.#learned = prices.toSorted((a, b) => a.validFromMs - b.validFromMs);
    this.#providers.clear();
    this.#pricesOfName.clear();
  }

  #pricesOf(name: string): { prices: ProviderPrices; region: string | undefined } | undefined {
    const known = this.#pricesOfName.get(name);
    if (known !== undefined) return known;
    const target = name === "openai" ? { id: "openai", region: this.#openaiRegion } : listProviderOf(name);
    if (target === undefined) return undefined;
    let prices = this.#providers.get(target.id);
    if (prices === undefined) {
      prices = new ProviderPrices(
        target.id,
        this.#learned.filter((price) => price.provider === target.id),
      );
      this.#providers.set(target.id, prices);
    }
    const found = { prices, region: target.region };
    this.#pricesOfName.set(name, found);
    return found;
  }
}

/** Reads the price lists. Takes some milliseconds: make one for the process. */
export const createListPriceBook = (options: { openaiRegion?: string } = {}): ListPriceBook => new ListPriceBook(options);

class ProviderPrices {
  readonly #provider: string;
  readonly #models: ReadonlyMap<string, BookModel>;
  readonly #names: ReadonlyMap<string, string>;
  readonly #prefixes: readonly (readonly [prefix: string, model: string])[];
  readonly #modelOfName = new Map<string, BookModel | null>();

  constructor(provider: string, learned: readonly LearnedPrice[]) {
    this.#provider = provider;
    this.#models = buildModels(provider, learned);
    const overlay = OVERLAY.filter((row) => row.provider === provider);
    this.#names = new Map([
      ...learned.flatMap((price) => price.names.map((name) => [name, price.model] as const)),
      ...overlay.flatMap((row) => (row.names ?? []).map((name) => [name, row.model] as const)),
    ]);
    this.#prefixes = [
      ...overlay.flatMap((row) => (row.prefix === undefined ? [] : [[row.prefix, row.model] as const])),
      ...learned.flatMap((price) => price.prefixes.map((prefix) => [prefix, price.model] as const)),
    ].toSorted(([a], [b]) => b.length - a.length);
  }

  find({ model: name, serviceTier, speed, inferenceGeo, atMs }: PriceQuery): ModelPrice | undefined {
    const tier = withSpeed(this.#provider, tierOf(this.#provider, serviceTier), speed);
    if (tier === undefined) return undefined;
    const period = periodAt(this.#modelOf(name)?.[tier], atMs);
    if (period === undefined || isAnywhere(inferenceGeo)) return period?.price;
    return this.#provider === "openai" || inferenceGeo === US_INFERENCE.geo ? period.regionalPrice : undefined;
  }

  list(atMs: number): ListedPrice[] {
    return [...this.#models.keys()].toSorted().flatMap((model) =>
      LIST_TIERS.flatMap((tier) => {
        const period = periodAt(this.#models.get(model)![tier], atMs);
        if (period === undefined) return [];
        const { constraint, price } = period;
        return [{ price, tier, validFromMs: constraint !== undefined && "fromMs" in constraint ? constraint.fromMs : null }];
      }),
    );
  }

  listedPrice(model: string, atMs: number): ListedRates | undefined {
    return periodAt(this.#models.get(model)?.standard, atMs)?.listed;
  }

  #modelOf(name: string): BookModel | null {
    const remembered = this.#modelOfName.get(name);
    if (remembered !== undefined) return remembered;
    if (name.length > NAME_LENGTH_MAX) return null;
    const canonical = this.#canonicalName(name);
    const model = (canonical === undefined ? undefined : this.#models.get(canonical)) ?? null;
    if (this.#modelOfName.size >= NAMES_MAX) this.#modelOfName.clear();
    this.#modelOfName.set(name, model);
    return model;
  }

  #canonicalName(name: string): string | undefined {
    // Our own names first: the package takes what begins like a model it knows (claude-sonnet-5-5) for that model (claude-sonnet-5).
    const lower = name.toLowerCase().trim();
    const undated = lower.replace(/-\d{4}-?\d{2}-?\d{2}$/, "");
    return (
      this.#names.get(lower) ??
      this.#names.get(undated) ??
      this.#prefixes.find(([prefix]) => lower.startsWith(prefix))?.[1] ??
      packageModelOf(this.#provider, name)
    );
  }
}

const periodAt = (periods: readonly Period[] | undefined, atMs: number): Period | undefined =>
  periods?.findLast(({ constraint }) => applies(constraint, atMs));

/**
 * The tier that answers name → the tier of the book; undefined: a tier we have no prices for, never to be read as standard.
 * Anthropic's `priority` is capacity bought ahead under a contract whose price nobody lists: its tokens are priced at list, which
 * is what they would have cost without it. An override tells the negotiated price.
 */
function tierOf(provider: string, serviceTier: string | undefined): ListTier | undefined {
  switch (serviceTier) {
    case undefined:
    case "":
    case "default":
    case "standard":
    case "auto":
      return "standard";
    case "on_demand":
      return provider === "groq" ? "standard" : undefined;
    case "batch":
      return "batch";
    case "priority":
      return provider === "anthropic" ? "standard" : "priority";
    case "fast":
      return provider === "openai" ? "priority" : undefined;
    case "flex":
      return "flex";
    case "ultrafast":
      return provider === "openai" ? "ultrafast" : undefined;
    default:
      return undefined;
  }
}

/** Anthropic's fast mode is told beside the tier, and exists in the standard one only. */
function withSpeed(provider: string, tier: ListTier | undefined, speed: string | undefined): ListTier | undefined {
  if (speed === undefined || speed === "" || speed === "standard") return tier;
  return provider === "anthropic" && speed === "fast" && tier === "standard" ? "fast" : undefined;
}

const isAnywhere = (geo: string | undefined): boolean => geo === undefined || geo === "" || geo === "global" || geo === "not_available";

function buildModels(provider: string, learned: readonly LearnedPrice[]): Map<string, BookModel> {
  const models = new Map<string, BookModel>();
  const overlay = OVERLAY.filter((row) => row.provider === provider);
  // A price that cannot be read must not keep the gateway from starting where it is a model of an upstream that few people have.
  const isOurs = LIST_PROVIDERS.some((name) => name === provider);
  const { models: packaged, source } = packageModels(provider, { strict: isOurs });

  for (const { model, periods } of packaged) {
    const added = overlay.filter((row) => row.model === model && row.tier === "standard" && Object.keys(row.usdPerMillion).length > 0);
    const base = { provider, model, source: [source, ...new Set(added.map((row) => row.source))].join(" ") };
    const overlaid = (rates: readonly Rate[]): Rate[] => replaceUnits(rates, added.flatMap(overlayRates));
    const standard = [
      ...periods.map(({ constraint, rates, perCallPico }: PackagePeriod) =>
        makePeriod({
          constraint,
          listed: rates,
          rates: overlaid(rates),
          base: {
            ...base,
            perCall: nanoUsd(exactNano(perCallPico)),
            version: added.length > 0 ? `${PACKAGE}+${OVERLAY_VERSION}` : PACKAGE,
          },
        }),
      ),
      // Our corrections outlive a refresh: what they correct is the list that it reads.
      ...learned
        .filter((price) => price.model === model)
        .map(({ rates, perCall, validFromMs, version }) =>
          makePeriod({ constraint: { fromMs: validFromMs }, listed: rates, rates: overlaid(rates), base: { ...base, perCall, version } }),
        ),
    ];
    // A model with no price at all is as good as unknown.
    if (standard.some(({ price }) => price.rates.length > 0 || price.perCall > 0n)) models.set(model, { standard });
  }

  for (const row of overlay) {
    if (row.tier === "standard" && models.get(row.model)?.standard !== undefined && isPackaged(packaged, row.model)) continue;
    const book = models.get(row.model) ?? {};
    models.set(row.model, { ...book, [row.tier]: withRow(book, row) });
  }

  for (const price of learned) {
    if (isPackaged(packaged, price.model)) continue;
    const book = models.get(price.model) ?? {};
    const before = book.standard?.at(-1)?.listed.rates;
    const { perCall, validFromMs, version, source: learnedFrom } = price;
    // What our row of this model says beside it still holds: tools, and units that the list does not know.
    const rates = replaceUnits(before ?? [], price.rates);
    const period = makePeriod({
      constraint: { fromMs: validFromMs },
      listed: rates,
      rates,
      base: { provider, model: price.model, perCall, version, source: learnedFrom },
    });
    models.set(price.model, { ...book, standard: [...(book.standard ?? []), period] });
  }
  return models;
}

const isPackaged = (packaged: readonly { model: string }[], model: string): boolean => packaged.some((each) => each.model === model);

/** A tier's periods and one more row: a part of the period that begins when it does, else a later period that goes on from the last. */
function withRow(book: BookModel, row: OverlayRow): Period[] {
  const periods = book[row.tier] ?? [];
  const fromMs = row.validFrom === undefined ? undefined : Date.parse(row.validFrom);
  const last = periods.at(-1);
  const lastFromMs = last?.constraint !== undefined && "fromMs" in last.constraint ? last.constraint.fromMs : undefined;
  const isPartOfLast = last !== undefined && lastFromMs === fromMs;
  if (last !== undefined && !isPartOfLast && (fromMs ?? 0) < (lastFromMs ?? 0)) {
    throw new Error(`${row.model} ${row.tier}: rows must stand in the order of their dates`);
  }
  // Tools cost the same in every tier, and the tables of the tiers do not repeat them.
  const standard = row.tier === "standard" ? undefined : periodAt(book.standard, fromMs ?? Number.MAX_SAFE_INTEGER)?.price;
  const tools = standard?.rates.filter((rate) => TOOL_UNITS.has(rate.unit)) ?? [];
  const listed = replaceUnits(last?.listed.rates ?? tools, overlayRates(row));
  const period = makePeriod({
    constraint: fromMs === undefined ? undefined : { fromMs },
    listed,
    rates: listed,
    base: {
      provider: row.provider,
      model: row.model,
      perCall: standard?.perCall ?? nanoUsd(0n),
      version: OVERLAY_VERSION,
      source: row.source,
    },
  });
  return isPartOfLast ? [...periods.slice(0, -1), period] : [...periods, period];
}

function replaceUnits(rates: readonly Rate[], by: readonly Rate[]): Rate[] {
  const replaced = new Set(by.map((rate) => rate.unit));
  return [...rates.filter((rate) => !replaced.has(rate.unit)), ...by];
}

function makePeriod({
  constraint,
  listed,
  rates,
  base,
}: {
  constraint: Constraint | undefined;
  listed: readonly Rate[];
  rates: readonly Rate[];
  base: Omit<ModelPrice, "rates">;
}): Period {
  const price: ModelPrice = { ...base, rates: withFees(base, withUnitsBilledAlike(rates)) };
  return { constraint, price, regionalPrice: regionalPriceOf(price), listed: { rates: listed, perCall: base.perCall } };
}

function regionalPriceOf(price: ModelPrice): ModelPrice | undefined {
  const { provider, model } = price;
  const models: readonly string[] = US_INFERENCE.models;
  const isUplifted = provider === "openai" ? OPENAI_REGIONS.upliftedModels.has(model) : provider === "anthropic" && models.includes(model);
  if (isUplifted) return { ...price, rates: price.rates.map(upliftedRate), version: `${price.version}+region` };
  return provider === "openai" && OPENAI_REGIONS.olderModels.test(model) ? price : undefined;
}

function upliftedRate(rate: Rate): Rate {
  if (TOOL_UNITS.has(rate.unit)) return rate;
  const scaled = rate.pico * US_INFERENCE.numerator;
  if (scaled % US_INFERENCE.denominator !== 0n) throw new Error(`${rate.pico} pico × 1.1 is not whole`);
  return { ...rate, pico: picoUsd(scaled / US_INFERENCE.denominator) };
}

/** Fees of tools that the lists of models do not repeat for each of them. A fee that a model's own price names stays as it is. */
function withFees({ provider, model }: { provider: string; model: string }, rates: readonly Rate[]): Rate[] {
  const own = new Set(rates.map((rate) => rate.unit));
  const fees = FEES.filter((fee) => fee.provider === provider && fee.models.test(model) && !own.has(fee.unit));
  return [...rates, ...fees.map((fee): Rate => ({ unit: fee.unit, pico: exactPico(fee.usdPerMillion, 1_000_000n), fromInputTokens: 0 }))];
}

/**
 * Writes out what providers bill at the rate of another unit, so that a receipt finds a rate for it: reasoning as output
 * (https://developers.openai.com/api/docs/guides/reasoning, Anthropic's thinking likewise); cached tokens as input where the
 * provider lists no discount; images as text where it lists no price for them. Sound never costs what text does, and cache writes
 * cost more than input: without a price of their own both stay unpriced.
 */
function withUnitsBilledAlike(rates: readonly Rate[]): Rate[] {
  const all = [...rates];
  const has = (unit: UsageUnit): boolean => all.some((rate) => rate.unit === unit);
  const alike: readonly [UsageUnit, UsageUnit][] = [
    ["reasoning", "output"],
    ["cached_input", "input"],
    ["cached_image_input", has("image_input") ? "image_input" : "cached_input"],
    ["image_input", "input"],
    ["cached_audio_input", "audio_input"],
  ];
  for (const [unit, like] of alike) {
    if (!has(unit)) all.push(...all.filter((rate) => rate.unit === like).map((rate) => ({ ...rate, unit })));
  }
  return all;
}

function overlayRates(row: OverlayRow): Rate[] {
  return Object.entries(row.usdPerMillion).flatMap(([unit, amount]) => {
    const [base, above] = amount.split(" > ");
    const rates: Rate[] = [{ unit: unit as UsageUnit, pico: exactPico(base!, 1_000_000n), fromInputTokens: 0 }];
    if (above === undefined) return rates;
    if (row.longContextOver === undefined) throw new Error(`${row.model}: a second amount without the threshold it applies above`);
    return [...rates, { unit: unit as UsageUnit, pico: exactPico(above, 1_000_000n), fromInputTokens: row.longContextOver + 1 }];
  });
}

function exactNano(pico: bigint): bigint {
  if (pico % 1000n !== 0n) throw new Error(`a fee of ${pico} picodollars a call is not a whole number of nanodollars`);
  return pico / 1000n;
}
