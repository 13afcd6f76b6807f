import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { nanoUsd, usdPerMillionToPico, type NanoUsd, type PicoUsd } from "@/lib/money";

/** A million dollars a token is no price but a slip, and would overflow sums. */
const USD_PER_MILLION_MAX = 1_000_000n * 1_000_000n;
const PER_CALL_NANO_MAX = 1_000_000_000_000_000n;

const amount = z.union([z.number(), z.string().max(30)]);

/** Dollars per million tokens: a number or decimal string with at most six decimals, so that it is a whole number of picodollars. */
const usdPerMTok = amount
  .refine((value) => picoPerToken(value) !== undefined, "must be dollars per million tokens, not negative, with at most six decimals")
  .meta({ description: "Dollars per million tokens, at most six decimals.", examples: ["2.50", 0.075] });
const usdPerCall = amount
  .refine((value) => nanoPerCall(value) !== undefined, "must be dollars, not negative, with at most nine decimals")
  .meta({ description: "Dollars per call, at most nine decimals.", examples: ["0.01"] });

/** `PUT /api/prices/{provider}/{model}`. Cache prices that are not given are the input price, reasoning the output price. */
export const PutPriceBody = z.strictObject({
  inputUsdPerMTok: usdPerMTok,
  cachedInputUsdPerMTok: usdPerMTok.optional(),
  cacheWrite5mUsdPerMTok: usdPerMTok.optional(),
  cacheWrite1hUsdPerMTok: usdPerMTok.optional(),
  outputUsdPerMTok: usdPerMTok,
  reasoningUsdPerMTok: usdPerMTok.optional(),
  perCallUsd: usdPerCall.optional(),
  validFrom: z.iso
    .datetime({ offset: true })
    .optional()
    .meta({ description: "Applies to calls that start from this instant on; now when absent. Cannot lie in the past." }),
});
export type PutPriceBody = z.infer<typeof PutPriceBody>;

/** Whose price: the model name exactly as callers send it or answers name it. */
export const PriceKey = z.strictObject({
  provider: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "must be a provider's name in lower case, e.g. openai"),
  model: z.string().regex(/^[\x21-\x7e]{1,200}$/, "must be a model's name, without spaces"),
});
export type PriceKey = z.infer<typeof PriceKey>;

export const PutPriceInput = PutPriceBody.extend(PriceKey.shape);
export type PutPriceInput = z.infer<typeof PutPriceInput>;

export const DeletePriceInput = PriceKey;
export type DeletePriceInput = PriceKey;

export const ListPricesInput = z.strictObject({
  limit: z.int().min(1).max(100).default(50),
  cursor: z.string().max(1000).optional(),
  provider: z.string().max(64).optional(),
  model: z.string().max(200).optional().meta({ description: "An override's exact name, or any name of a listed model." }),
  list: z.boolean().default(false).meta({ description: "The providers' list prices too, after the overrides." }),
  includeWithdrawn: z.boolean().default(false),
});
export type ListPricesInput = z.infer<typeof ListPricesInput>;

export function picoPerToken(usdPerMillion: number | string): PicoUsd | undefined {
  const pico = usdPerMillionToPico(usdPerMillion);
  return pico === undefined || pico > USD_PER_MILLION_MAX ? undefined : pico;
}

export function nanoPerCall(usd: number | string): NanoUsd | undefined {
  const text = typeof usd === "number" ? (Number.isFinite(usd) && usd >= 0 ? usd.toFixed(9) : "") : usd.trim();
  if (typeof usd === "number" && Number(text) !== usd) return undefined;
  const match = /^(\d{1,9})(?:\.(\d+))?$/.exec(text);
  if (!match) return undefined;
  const fraction = (match[2] ?? "").replace(/0+$/, "");
  if (fraction.length > 9) return undefined;
  const nano = nanoUsd(BigInt(match[1]!) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0")));
  return nano > PER_CALL_NANO_MAX ? undefined : nano;
}

/** Reads an input strictly. @throws ServiceError `bad_request` that names each field and what is wrong with it. */
export function parseInput<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join("."), message }));
  throw new ServiceError("bad_request", `This is not a price: ${issues[0]!.path} ${issues[0]!.message}`.replace(/\s+/g, " "), { issues });
}
