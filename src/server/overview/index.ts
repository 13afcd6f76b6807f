export { BudgetPreview, previewBudget, PreviewBudgetInput } from "./budget-preview";
export { BurnRate, getBurnRate } from "./burn-rate";
export { getMovers, Movers, MoversInput } from "./movers";
export { getSpendOverview, SpendOverview } from "./spend";
