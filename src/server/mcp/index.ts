export { DeleteToolCostInput, DISCOVERED_MAX, DiscoverToolsInput, ListToolCostsInput, McpEventsInput, PutToolCostInput } from "./input";
export { deleteToolCost, discoverTools, listToolCosts, PublicToolCost, putToolCost } from "./tool-costs";
export { McpEventsAccepted, reportToolEvents } from "./report-events";
