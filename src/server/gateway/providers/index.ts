import { anthropic } from "./anthropic";
import { openai } from "./openai";
import type { Provider, ProviderName } from "./provider";

export { type GatewayLocation, normaliseGatewayPath, providerOfPath } from "./gateway-path";
export type * from "./provider";
export { StreamUsageRemover, addStreamUsage } from "./openai/stream-usage";

export const providers: Readonly<Record<ProviderName, Provider>> = { openai, anthropic };
