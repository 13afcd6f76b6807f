export type { Exchange } from "./exchange";
export { API_VERSION, DEFAULT_GATEWAY_LIMITS, type Gateway, type GatewayLimits, handleCall } from "./handle-call";
export { NodeExchange } from "./node-adapter";
export { type CallPricing, createCallPricing } from "./price-call";
export { RouteExchange } from "./route-adapter";
export { type Upstream, type Upstreams, createUpstreams } from "./upstreams";
