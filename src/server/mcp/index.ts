export { DeleteToolCostInput, DISCOVERED_MAX, DiscoverToolsInput, ListToolCostsInput, PutToolCostInput } from "./input";
export { deleteToolCost, discoverTools, listToolCosts, PublicToolCost, putToolCost } from "./tool-costs";
