import { findProvider } from "@pydantic/genai-prices";

/** Whose list prices an upstream has, and the region that its endpoint serves from, where the provider charges for that. */
export type ListProvider = { id: string; region?: string };

/**
 * Names that operators give upstreams → the provider as the genai-prices package calls it. Only exact names: an upstream called
 * `my-openai-proxy` may charge anything, so nothing is guessed from parts of a name.
 */
const PROVIDER_OF_NAME: Readonly<Record<string, string>> = {
  xai: "x-ai",
  grok: "x-ai",
  "azure-openai": "azure",
  gemini: "google",
  "google-ai": "google",
  "together-ai": "together",
  togetherai: "together",
  "fireworks-ai": "fireworks",
  bedrock: "aws",
  moonshot: "moonshotai",
  kimi: "moonshotai",
  "z-ai": "zai",
};

/** `openai-eu`: OpenAI's endpoint of a region (https://developers.openai.com/api/docs/guides/data-residency). */
const OPENAI_REGION = /^openai-(us|eu|au|ca|jp|in|sg|kr|gb|ae)$/;
const OPENAI_REGION_HOST = /^(us|eu|au|ca|jp|in|sg|kr|gb|ae)\.api\.openai\.com$/;

/** Undefined: nobody's list prices are this upstream's. */
export function listProviderOf(name: string): ListProvider | undefined {
  const region = OPENAI_REGION.exec(name)?.[1];
  if (region !== undefined) return { id: "openai", region };
  const id = Object.hasOwn(PROVIDER_OF_NAME, name) ? PROVIDER_OF_NAME[name]! : name;
  return id !== "" && findProvider({ providerId: id })?.id === id ? { id } : undefined;
}

/** The region of OpenAI's that a base URL belongs to; undefined for the global one and for everybody else's. */
export function openaiRegionOf(url: string): string | undefined {
  return URL.canParse(url) ? OPENAI_REGION_HOST.exec(new URL(url).hostname)?.[1] : undefined;
}
