import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Metered, type ProviderName, type RequestFacts, providers } from "@/server/gateway/providers";

const PROVIDERS = join(import.meta.dirname, "../server/gateway/providers");

export const FACTS: RequestFacts = { stream: true, choices: 1, asksStreamUsage: false, thinksUnseen: false, background: false };

/** Names of the recorded answers of a provider. */
export const fixtureNames = (provider: ProviderName): string[] => readdirSync(join(PROVIDERS, provider, "fixtures")).sort();

/** A recorded answer, as bytes. */
export const fixture = (provider: ProviderName, name: string): Buffer => readFileSync(join(PROVIDERS, provider, "fixtures", name));

/** The path that gives an answer of this kind; by the first word of the fixture's name. */
export function pathOf(provider: ProviderName, name: string): string {
  if (provider === "anthropic") return name.startsWith("count-tokens") ? "/v1/messages/count_tokens" : "/v1/messages";
  const paths: Record<string, string> = {
    chat: "/v1/chat/completions",
    completions: "/v1/completions",
    responses: "/v1/responses",
    embeddings: "/v1/embeddings",
    images: "/v1/images/generations",
    transcription: "/v1/audio/transcriptions",
    speech: "/v1/audio/speech",
  };
  return paths[/^[a-z]+/.exec(name)![0]]!;
}

/** What the meter makes of an answer that arrives in pieces. */
export function meterAnswer(input: {
  provider: ProviderName;
  path: string;
  contentType: string | undefined;
  pieces: Iterable<Uint8Array>;
  facts?: Partial<RequestFacts>;
}): Metered {
  const provider = providers[input.provider];
  const meter = provider.meter({
    endpoint: provider.classify("POST", input.path),
    contentType: input.contentType,
    facts: { ...FACTS, ...input.facts },
  });
  for (const piece of input.pieces) meter.push(piece);
  meter.end();
  return meter.result();
}

export function meterFixture(
  provider: ProviderName,
  name: string,
  cut: (bytes: Buffer) => Iterable<Uint8Array> = (bytes) => [bytes],
  facts: Partial<RequestFacts> = {},
): Metered {
  const contentType = name.endsWith(".sse") ? "text/event-stream; charset=utf-8" : "application/json";
  return meterAnswer({ provider, path: pathOf(provider, name), contentType, pieces: cut(fixture(provider, name)), facts });
}

/** Two pieces, cut before byte `at`. */
export const cutAt =
  (at: number) =>
  (bytes: Buffer): Uint8Array[] => [bytes.subarray(0, at), bytes.subarray(at)];

export function* byteByByte(bytes: Buffer): Iterable<Uint8Array> {
  for (let i = 0; i < bytes.length; i += 1) yield bytes.subarray(i, i + 1);
}
