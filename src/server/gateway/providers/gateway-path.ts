import { anthropicEndpoint } from "./anthropic/endpoints";
import { openaiEndpoint } from "./openai/endpoints";
import type { ProviderName } from "./provider";

export type GatewayLocation = {
  provider: ProviderName;
  /** As the provider knows it, e.g. `/v1/chat/completions`. */
  path: string;
  /** With its question mark, exactly as sent; empty when there is none. */
  query: string;
};

/** First path segments that only Anthropic has. */
const ANTHROPIC_ONLY = new Set(["messages", "complete"]);
/** First path segments that only OpenAI has. What neither list names may be either's, now or later. */
const OPENAI_ONLY = new Set([
  "assistants",
  "audio",
  "batches",
  "chat",
  "completions",
  "containers",
  "conversations",
  "embeddings",
  "evals",
  "fine_tuning",
  "images",
  "moderations",
  "realtime",
  "responses",
  "threads",
  "uploads",
  "vector_stores",
  "videos",
]);
/** Ours, although they stand under `/v1` (CONTRACT §8). */
const OWN = new Set(["mcp", "policy"]);

/**
 * What a segment may be made of: the characters RFC 3986 allows there, without `;`, and the escapes of a few that clients like
 * to escape. Everything else is refused, an escaped letter above all: a server that decodes it would serve another path than
 * the one that was read here.
 */
const SEGMENT = /^(?:[A-Za-z0-9._~:@!$&'()*+,=-]|%(?:3[Aa]|40|20|2[BbCc]|3[Dd]))+$/;

/**
 * Finds the provider and the provider's own path for a request target (CONTRACT §1). Undefined: not a gateway path, or one that
 * could be read in more than one way (`//`, `..`, `%2e`, `;`, an absolute URL).
 *
 * @param speaksAnthropic the request carries `anthropic-version` or `x-api-key`; decides on paths that both providers have.
 */
export function normaliseGatewayPath(target: string, speaksAnthropic: boolean): GatewayLocation | undefined {
  const question = target.indexOf("?");
  const path = question === -1 ? target : target.slice(0, question);
  const query = question === -1 ? "" : target.slice(question);
  if (path.charCodeAt(0) !== 0x2f) return undefined;
  let segments = path.slice(1).split("/");
  let named: ProviderName | undefined;
  if (segments[0] === "openai" || segments[0] === "anthropic") {
    named = segments[0];
    segments = segments.slice(1);
  }
  if (segments[0] !== "v1") return undefined;
  segments = segments.slice(segments[1] === "v1" ? 2 : 1);
  const first = segments[0];
  if (first === undefined || first === "v1" || (named === undefined && OWN.has(first))) return undefined;
  if (!segments.every((segment) => SEGMENT.test(segment) && segment !== "." && segment !== "..")) return undefined;
  if (!isPrintableQuery(query)) return undefined;

  const provider = named ?? providerOfPath(`/v1/${first}`, speaksAnthropic);
  const normalised = `/v1/${segments.join("/")}`;
  return differsInCaseOnly(normalised) ? undefined : { provider, path: normalised, query };
}

/** @param path the provider's own, `/v1/…`. */
export function providerOfPath(path: string, speaksAnthropic: boolean): ProviderName {
  const first = path.split("/", 3)[2] ?? "";
  if (ANTHROPIC_ONLY.has(first)) return "anthropic";
  if (OPENAI_ONLY.has(first)) return "openai";
  return speaksAnthropic ? "anthropic" : "openai";
}

/** A query goes upstream as it is, so it must not be able to end the request line. */
function isPrintableQuery(query: string): boolean {
  for (let i = 0; i < query.length; i += 1) {
    const code = query.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return false;
  }
  return true;
}

/** `/v1/Chat/completions` is unknown here; a server that does not mind the case would answer it, and bill it. */
function differsInCaseOnly(path: string): boolean {
  const lower = path.toLowerCase();
  if (lower === path) return false;
  return [openaiEndpoint, anthropicEndpoint].some((classify) => {
    const asLower = classify("POST", lower);
    return asLower.class !== "other" && asLower.name !== classify("POST", path).name;
  });
}
