import type { OverrideStore } from "./override-store";
import type { PriceBook } from "./price-book";

/**
 * What an organisation pays: its own price where it has one, else the list. An override stands alone: no tier, threshold or unit
 * of the list price mixes in, so a unit it has no price for is unpriced.
 */
export function createPriceBook({ list, overrides }: { list: PriceBook; overrides: Pick<OverrideStore, "find"> }): PriceBook {
  return {
    findPrice(query) {
      const override = overrides.find(query);
      return override.applies ? override.price : list.findPrice(query);
    },
  };
}
