export type { ModelPrice, PriceBook, PriceQuery, Rate } from "./price-book";
export { createListPriceBook, ListPriceBook, type ListedPrice, type ListTier } from "./list-price-book";
export { createOverrideStore, type OverrideAnswer, type OverrideStore } from "./override-store";
export { createPriceBook } from "./create-price-book";
export { putPriceOverride } from "./put-override";
export { deletePriceOverride } from "./delete-override";
export { listPrices } from "./list-prices";
export { DeletePriceInput, ListPricesInput, PriceKey, PutPriceBody, PutPriceInput } from "./input";
export type { PriceRecord } from "./record";
