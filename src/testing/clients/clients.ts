import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

/** How a client tells its NullSpend key: in a header of its own, or in front of the provider's key. */
export type CredentialStyle = "header" | "composite";

export type Clients = {
  openai: OpenAI;
  anthropic: Anthropic;
  aiOpenai: ReturnType<typeof createOpenAI>;
  aiAnthropic: ReturnType<typeof createAnthropic>;
  /** Headers of the last answer any of them got. */
  lastHeaders(): Headers;
};

type Options = {
  origin: string;
  /** Undefined: straight to the provider. */
  nullspend?: { key: string; style: CredentialStyle };
  /** Sent with every call. */
  headers?: Record<string, string>;
};

/** The official clients and the AI SDK, with nothing set but what their manuals say: base URL, API key, headers. */
export function createClients({ origin, nullspend, headers = {} }: Options): Clients {
  let last = new Headers();
  const seeing: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init);
    last = answer.headers;
    return answer;
  };
  const credential = (providerKey: string): string => (nullspend?.style === "composite" ? `${nullspend.key}:${providerKey}` : providerKey);
  const all = { ...headers, ...(nullspend?.style === "header" && { "X-NullSpend-Key": nullspend.key }) };
  const openaiKey = credential("sk-test-openai");
  const anthropicKey = credential("sk-ant-test");
  return {
    openai: new OpenAI({ baseURL: `${origin}/v1`, apiKey: openaiKey, defaultHeaders: all, maxRetries: 0, fetch: seeing }),
    anthropic: new Anthropic({ baseURL: origin, apiKey: anthropicKey, defaultHeaders: all, maxRetries: 0, fetch: seeing }),
    aiOpenai: createOpenAI({ baseURL: `${origin}/v1`, apiKey: openaiKey, headers: all, fetch: seeing }),
    aiAnthropic: createAnthropic({ baseURL: `${origin}/v1`, apiKey: anthropicKey, headers: all, fetch: seeing }),
    lastHeaders: () => last,
  };
}
