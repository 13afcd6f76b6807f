export { checkToolBudget, McpBudgetCheck } from "./check-budget";
export {
  DeleteToolCostInput,
  DISCOVERED_MAX,
  DiscoverToolsInput,
  ListToolCostsInput,
  McpBudgetCheckInput,
  McpEventsInput,
  PutToolCostInput,
} from "./input";
export { McpEventsAccepted, reportToolEvents } from "./report-events";
export { deleteToolCost, discoverTools, listToolCosts, PublicToolCost, putToolCost } from "./tool-costs";
