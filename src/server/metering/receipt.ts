import type { NanoUsd, PicoUsd } from "@/lib/money";
import type { UsageUnit } from "./usage";

/** How sure a cost is (CONTRACT §7). */
export type CostBasis = "reported" | "counted" | "bounded" | "unpriced";

/** One line of a receipt: `amount` = quantity × unit price, exact. */
export type ReceiptLine = {
  unit: UsageUnit | "call" | "provider_cost";
  /** The model the line is of, where that is not the one that answered. */
  model?: string;
  /** Tokens, seconds, calls …; whole, except seconds. */
  quantity: number;
  unitPricePico: PicoUsd;
  amountPico: PicoUsd;
};

/** Nanodollars by part; input + cached + cacheWrite + output + tools = cost, and reasoning is part of output. */
export type CostBreakdown = {
  input: NanoUsd;
  cached: NanoUsd;
  cacheWrite: NanoUsd;
  output: NanoUsd;
  reasoning: NanoUsd;
  tools: NanoUsd;
};

export type Receipt = {
  /** Sum of the lines, rounded up once. */
  cost: NanoUsd;
  breakdown: CostBreakdown;
  lines: ReceiptLine[];
  priceVersion: string;
};

/** The receipt of a cost that the provider stated itself: one line, and no parts, because it told none. */
export type ProviderReceipt = Omit<Receipt, "breakdown"> & { breakdown: null };
