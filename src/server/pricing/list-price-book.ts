import { nanoUsd, picoUsd } from "@/lib/money";
import type { UsageUnit } from "@/server/metering/usage";
import { exactPico } from "./exact-amount";
import { OVERLAY, OVERLAY_DATE, US_INFERENCE, type OverlayRow } from "./overlay";
import { applies, packageModelOf, packageModels, PACKAGE_VERSION, type Constraint } from "./package-prices";
import type { ModelPrice, PriceBook, PriceQuery, Rate } from "./price-book";

export const LIST_PROVIDERS = ["openai", "anthropic"] as const;
export type ListTier = OverlayRow["tier"];
export const LIST_TIERS: readonly ListTier[] = ["standard", "flex", "priority", "batch"];

/** A list price that is in force. */
export type ListedPrice = { price: ModelPrice; tier: ListTier; validFromMs: number | null };

type Period = { constraint: Constraint | undefined; price: ModelPrice; usInferencePrice: ModelPrice | undefined };
type BookModel = Partial<Record<ListTier, Period[]>>;

/** Callers choose model names, so the memory of which name means which model is bounded. */
const NAMES_MAX = 5000;
/** Longer than any name a provider has; nothing this long is looked for. */
const NAME_LENGTH_MAX = 200;

const PACKAGE = `genai-prices@${PACKAGE_VERSION}`;
const OVERLAY_VERSION = `overlay@${OVERLAY_DATE}`;

/** Fees that every tier and region pays alike. */
const TOOL_UNITS: ReadonlySet<UsageUnit> = new Set(["web_search", "file_search", "code_execution"]);

/**
 * What the providers list, by model, tier and time: the genai-prices package plus our overlay, made into integers once at
 * construction. Looking up a name it has seen takes well under a microsecond.
 */
export class ListPriceBook implements PriceBook {
  readonly #providers = new Map<string, ProviderPrices>();

  constructor() {
    for (const provider of LIST_PROVIDERS) this.#providers.set(provider, new ProviderPrices(provider));
  }

  findPrice(query: PriceQuery): ModelPrice | undefined {
    return this.#providers.get(query.provider)?.find(query);
  }

  /** Every price in force at a time, in the order of provider, model and tier. */
  listPrices({ provider, atMs }: { provider?: string; atMs: number }): ListedPrice[] {
    return LIST_PROVIDERS.filter((name) => provider === undefined || name === provider)
      .toSorted()
      .flatMap((name) => this.#providers.get(name)!.list(atMs));
  }
}

/** Reads the price lists. Takes some milliseconds: make one for the process. */
export const createListPriceBook = (): ListPriceBook => new ListPriceBook();

class ProviderPrices {
  readonly #provider: string;
  readonly #models: ReadonlyMap<string, BookModel>;
  readonly #overlayNames: ReadonlyMap<string, string>;
  readonly #modelOfName = new Map<string, BookModel | null>();

  constructor(provider: string) {
    this.#provider = provider;
    this.#models = buildModels(provider);
    this.#overlayNames = new Map(
      OVERLAY.filter((row) => row.provider === provider).flatMap((row) => (row.names ?? []).map((name) => [name, row.model] as const)),
    );
  }

  find({ model: name, serviceTier, speed, inferenceGeo, atMs }: PriceQuery): ModelPrice | undefined {
    const tier = tierOf(this.#provider, serviceTier);
    if (tier === undefined || !isStandardSpeed(speed)) return undefined;
    const period = this.#modelOf(name)?.[tier]?.findLast(({ constraint }) => applies(constraint, atMs));
    if (period === undefined || isAnywhere(inferenceGeo)) return period?.price;
    return inferenceGeo === US_INFERENCE.geo ? period.usInferencePrice : undefined;
  }

  list(atMs: number): ListedPrice[] {
    return [...this.#models.keys()].toSorted().flatMap((model) =>
      LIST_TIERS.flatMap((tier) => {
        const period = this.#models.get(model)![tier]?.findLast(({ constraint }) => applies(constraint, atMs));
        if (period === undefined) return [];
        const { constraint, price } = period;
        return [{ price, tier, validFromMs: constraint !== undefined && "fromMs" in constraint ? constraint.fromMs : null }];
      }),
    );
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
    // The overlay first: the package takes what begins like a model it knows (claude-sonnet-5-5) for that model (claude-sonnet-5).
    const lower = name.toLowerCase().trim();
    const undated = lower.replace(/-\d{4}-?\d{2}-?\d{2}$/, "");
    return this.#overlayNames.get(lower) ?? this.#overlayNames.get(undated) ?? packageModelOf(this.#provider, name);
  }
}

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
    case "batch":
      return "batch";
    case "priority":
      return provider === "anthropic" ? "standard" : "priority";
    case "fast":
      return provider === "openai" ? "priority" : undefined;
    case "flex":
      return "flex";
    default:
      return undefined;
  }
}

const isStandardSpeed = (speed: string | undefined): boolean => speed === undefined || speed === "" || speed === "standard";
const isAnywhere = (geo: string | undefined): boolean => geo === undefined || geo === "" || geo === "global" || geo === "not_available";

function buildModels(provider: string): Map<string, BookModel> {
  const models = new Map<string, BookModel>();
  const overlay = OVERLAY.filter((row) => row.provider === provider);
  const { models: listed, source } = packageModels(provider);

  for (const { model, periods } of listed) {
    const added = overlay.filter((row) => row.model === model && row.tier === "standard");
    const addedRates = added.flatMap(overlayRates);
    const addedUnits = new Set(addedRates.map((rate) => rate.unit));
    const standard = periods.map(({ constraint, rates, perCallPico }) => {
      const own = [...rates.filter((rate) => !addedUnits.has(rate.unit)), ...addedRates];
      return makePeriod({
        constraint,
        rates: own,
        base: {
          provider,
          model,
          perCall: nanoUsd(exactNano(perCallPico)),
          version: added.length > 0 ? `${PACKAGE}+${OVERLAY_VERSION}` : PACKAGE,
          source: [source, ...new Set(added.map((row) => row.source))].join(" "),
        },
      });
    });
    // A model with no price at all is as good as unknown.
    if (standard.some(({ price }) => price.rates.length > 0 || price.perCall > 0n)) models.set(model, { standard });
  }

  for (const row of overlay) {
    if (row.tier === "standard" && models.has(row.model)) continue;
    const book = models.get(row.model) ?? {};
    const fromMs = row.validFrom === undefined ? undefined : Date.parse(row.validFrom);
    const rates = overlayRates(row);
    // Tools cost the same in every tier, and the tables of the tiers do not repeat them.
    const standard = book.standard?.findLast(({ constraint }) => applies(constraint, fromMs ?? Number.MAX_SAFE_INTEGER))?.price;
    const tools = row.tier === "standard" ? [] : (standard?.rates ?? []).filter((rate) => TOOL_UNITS.has(rate.unit));
    const period = makePeriod({
      constraint: fromMs === undefined ? undefined : { fromMs },
      rates: [...rates, ...tools],
      base: { provider, model: row.model, perCall: standard?.perCall ?? nanoUsd(0n), version: OVERLAY_VERSION, source: row.source },
    });
    models.set(row.model, { ...book, [row.tier]: [...(book[row.tier] ?? []), period] });
  }
  return models;
}

function makePeriod({
  constraint,
  rates,
  base,
}: {
  constraint: Constraint | undefined;
  rates: Rate[];
  base: Omit<ModelPrice, "rates">;
}): Period {
  const price: ModelPrice = { ...base, rates: withUnitsBilledAlike(rates) };
  const models: readonly string[] = US_INFERENCE.models;
  const usInferencePrice =
    base.provider === US_INFERENCE.provider && models.includes(base.model)
      ? { ...price, rates: price.rates.map(usInferenceRate), version: `${base.version}+us` }
      : undefined;
  return { constraint, price, usInferencePrice };
}

function usInferenceRate(rate: Rate): Rate {
  if (TOOL_UNITS.has(rate.unit)) return rate;
  const scaled = rate.pico * US_INFERENCE.numerator;
  if (scaled % US_INFERENCE.denominator !== 0n) throw new Error(`${rate.pico} pico × 1.1 is not whole`);
  return { ...rate, pico: picoUsd(scaled / US_INFERENCE.denominator) };
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
