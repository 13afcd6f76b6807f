import { publicId } from "@/lib/ids";
import {
  DeletePriceInput,
  deletePriceOverride,
  ListPriceBook,
  listPrices,
  putPriceOverride,
  PutPriceInput,
  type PriceRecord,
} from "@/server/pricing";
import { findOrgId, systemCtx, withDatabase } from "./organisation";
import { assertKnown, parseCliInput, required } from "./read-options";
import type { CommandInput, CommandResult } from "./run-cli";
import { table } from "./table";
import { UsageError } from "./usage-error";

export async function setPrice({ env, root, words, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, [
    "input",
    "output",
    "cached-input",
    "cache-write-5m",
    "cache-write-1h",
    "reasoning",
    "per-call",
    "valid-from",
    "org",
  ]);
  const input = parseCliInput(PutPriceInput, {
    ...modelOf(words),
    inputUsdPerMTok: required(options, "input"),
    outputUsdPerMTok: required(options, "output"),
    cachedInputUsdPerMTok: options["cached-input"],
    cacheWrite5mUsdPerMTok: options["cache-write-5m"],
    cacheWrite1hUsdPerMTok: options["cache-write-1h"],
    reasoningUsdPerMTok: options.reasoning,
    perCallUsd: options["per-call"],
    validFrom: options["valid-from"],
  });
  return withDatabase({ env, root }, async (prisma) => {
    const price = present(await putPriceOverride({ ctx: systemCtx(prisma, await findOrgId(prisma, options.org)), input }));
    return {
      data: price,
      text: `${price.provider}/${price.model} costs $${price.input} in and $${price.output} out per million tokens from ${price.validFrom} on.`,
    };
  });
}

export async function listOwnPrices({ env, root, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, ["list", "org"]);
  return withDatabase({ env, root }, async (prisma) => {
    const ctx = systemCtx(prisma, await findOrgId(prisma, options.org));
    const list = new ListPriceBook();
    const prices: PriceRecord[] = [];
    let cursor: string | null | undefined;
    // Ends with the last price of the list.
    do {
      const input = { limit: 100, list: options.list, includeWithdrawn: false, ...(cursor != null && { cursor }) };
      const page = await listPrices({ ctx, input, list });
      prices.push(...page.data);
      cursor = page.cursor;
    } while (cursor !== null);
    const data = prices.map(present);
    return { data, text: table(["kind", "provider", "model", "tier", "input", "cachedInput", "output", "perCall", "validFrom"], data) };
  });
}

export async function deletePrice({ env, root, words, options }: CommandInput): Promise<CommandResult> {
  assertKnown(options, ["org"]);
  const input = parseCliInput(DeletePriceInput, modelOf(words));
  return withDatabase({ env, root }, async (prisma) => {
    await deletePriceOverride({ ctx: systemCtx(prisma, await findOrgId(prisma, options.org)), input });
    return { data: { ...input, deleted: true }, text: `${input.provider}/${input.model} is priced at list from now on.` };
  });
}

function modelOf(words: readonly string[]): { provider: string; model: string } {
  const [provider, model, ...more] = words;
  if (provider === undefined || model === undefined || more.length > 0) throw new UsageError("Name a provider and a model.");
  return { provider, model };
}

function present(price: PriceRecord) {
  return {
    id: price.id && publicId("price", price.id),
    kind: price.kind,
    provider: price.provider,
    model: price.model,
    tier: price.tier,
    input: price.inputUsdPerMTok,
    cachedInput: price.cachedInputUsdPerMTok,
    cacheWrite5m: price.cacheWrite5mUsdPerMTok,
    cacheWrite1h: price.cacheWrite1hUsdPerMTok,
    output: price.outputUsdPerMTok,
    reasoning: price.reasoningUsdPerMTok,
    perCall: price.perCallUsd,
    validFrom: price.validFrom?.toISOString() ?? null,
    version: price.version,
  };
}
