export { type AbuseLimits, createAbuseLimits } from "./abuse-limits";
export { clientAddress } from "./client-address";
export type { Exchange } from "./exchange";
export { API_VERSION, DEFAULT_GATEWAY_LIMITS, type Gateway, type GatewayLimits, handleCall, speaksAnthropic } from "./handle-call";
export { DEFAULT_NODE_EXCHANGE_LIMITS, NodeExchange, type NodeExchangeLimits } from "./node-adapter";
export { type CallPricing, createCallPricing } from "./price-call";
export { RouteExchange } from "./route-adapter";
export { type Upstream, type Upstreams, createUpstreams } from "./upstreams";
export { type BudgetGate, createBudgetGate } from "./budget-gate";
