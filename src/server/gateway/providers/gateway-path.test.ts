import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { normaliseGatewayPath, providers } from ".";

describe("gateway paths", () => {
  it.each([
    ["/v1/chat/completions", false, "openai", "/v1/chat/completions", ""],
    ["/v1/messages?beta=true", true, "anthropic", "/v1/messages", "?beta=true"],
    ["/v1/messages", false, "anthropic", "/v1/messages", ""],
    ["/v1/chat/completions", true, "openai", "/v1/chat/completions", ""],
    ["/v1/models", false, "openai", "/v1/models", ""],
    ["/v1/models?limit=20", true, "anthropic", "/v1/models", "?limit=20"],
    ["/v1/files/file-abc/content", true, "anthropic", "/v1/files/file-abc/content", ""],
    ["/openai/v1/models", true, "openai", "/v1/models", ""],
    ["/anthropic/v1/models", false, "anthropic", "/v1/models", ""],
    ["/anthropic/v1/v1/messages", false, "anthropic", "/v1/messages", ""],
    ["/v1/v1/messages?beta=true&x=%2F..", false, "anthropic", "/v1/messages", "?beta=true&x=%2F.."],
    ["/v1/v1/chat/completions", false, "openai", "/v1/chat/completions", ""],
    ["/v1/models/ft:gpt-4o:org::id", false, "openai", "/v1/models/ft:gpt-4o:org::id", ""],
    ["/v1/models/ft%3Agpt-4o", false, "openai", "/v1/models/ft%3Agpt-4o", ""],
    ["/v1/new/thing", false, "openai", "/v1/new/thing", ""],
    ["/v1/new/thing", true, "anthropic", "/v1/new/thing", ""],
    ["/openai/v1/policy", false, "openai", "/v1/policy", ""],
    ["/v1/chat/completions?", false, "openai", "/v1/chat/completions", "?"],
  ])("%s (speaks Anthropic: %s) is %s %s%s", (target, speaksAnthropic, provider, path, query) => {
    expect(normaliseGatewayPath(target, speaksAnthropic)).toEqual({ provider, path, query });
  });

  // Each could reach a priced path at the provider under a name that was not read as one here.
  it.each([
    "",
    "*",
    "/",
    "/v1",
    "/v1/",
    "/v1/v1",
    "/v1/v1/v1/",
    "/V1/chat/completions",
    "/v2/chat/completions",
    "/api/budgets",
    "/v1//chat/completions",
    "//v1/chat/completions",
    "/v1/chat/completions/",
    "/v1/./chat/completions",
    "/v1/files/../chat/completions",
    "/v1/files/%2e%2e/chat/completions",
    "/v1/files/..%2fchat/completions",
    "/v1/%63hat/completions",
    "/v1/chat%2Fcompletions",
    "/v1/chat/completions%00",
    "/v1/chat/completions%20x%0d%0a",
    "/v1/chat/completions\u0000",
    "/v1/chat/completions;x=1",
    "/v1/chat\\completions",
    "/v1/chat/completions#x",
    "/v1/chat/complet ions",
    "/v1/chät/completions",
    "/v1/Chat/Completions",
    "/v1/MESSAGES",
    "/anthropic/v1/Messages",
    "http://api.openai.com/v1/chat/completions",
    "https://x@evil/v1/messages",
    "@evil/v1/messages",
    "/v1/policy",
    "/v1/mcp/events",
    "/openai/chat/completions",
    "/openai/openai/v1/models",
    "/v1/models?a b",
    "/v1/models?a\r\nx: y",
    "/v1/models?#",
    "/v1/%",
    "/v1/%zz",
  ])("refuses %j", (target) => {
    expect(normaliseGatewayPath(target, false)).toBeUndefined();
  });

  it("never throws and never gives a path with an empty or dotted segment", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("/", "v1", "chat", "completions", "..", ".", "%2e", "%2f", "?", ";", "models", "\\", "a"), {
          maxLength: 10,
        }),
        (parts) => {
          const found = normaliseGatewayPath(`/v1/${parts.join("")}`, false);
          if (found) expect(found.path).toMatch(/^\/v1(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+$/);
        },
      ),
    );
  });

  const priced = [
    "chat/completions",
    "responses",
    "responses/compact",
    "completions",
    "embeddings",
    "images/generations",
    "images/edits",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
  ];
  it.each(priced)("POST %s is priced, and only POST is", (name) => {
    expect(providers.openai.classify("POST", `/v1/${name}`)).toMatchObject({ class: "priced", name });
    for (const method of ["PUT", "PATCH", "post"]) expect(providers.openai.classify(method, `/v1/${name}`).class).toBe("other");
  });

  it.each([
    ["openai", "GET", "/v1/models", "free", "models"],
    ["openai", "GET", "/v1/models/gpt-5", "free", "models/{id}"],
    ["openai", "DELETE", "/v1/models/ft:x", "other", "other"],
    ["openai", "POST", "/v1/moderations", "free", "moderations"],
    ["openai", "POST", "/v1/files", "free", "files"],
    ["openai", "DELETE", "/v1/files/f", "free", "files/{id}"],
    ["openai", "GET", "/v1/files/f/content", "free", "files/{id}/content"],
    ["openai", "GET", "/v1/files/f/other", "other", "other"],
    ["openai", "GET", "/v1/responses/resp_1", "free", "responses/{id}"],
    ["openai", "DELETE", "/v1/responses/resp_1", "free", "responses/{id}"],
    ["openai", "POST", "/v1/responses/resp_1", "other", "other"],
    ["openai", "POST", "/v1/responses/resp_1/cancel", "free", "responses/{id}/cancel"],
    ["openai", "GET", "/v1/responses/resp_1/input_items", "free", "responses/{id}/input_items"],
    ["openai", "POST", "/v1/batches", "deferred", "batches"],
    ["openai", "GET", "/v1/batches/b", "free", "batches/{id}"],
    ["openai", "POST", "/v1/batches/b/cancel", "free", "batches/{id}/cancel"],
    ["openai", "POST", "/v1/chat/completions/x", "other", "other"],
    ["openai", "GET", "/v1/chat/completions", "other", "other"],
    ["openai", "POST", "/v1/messages", "other", "other"],
    ["anthropic", "POST", "/v1/messages", "priced", "messages"],
    ["anthropic", "POST", "/v1/messages/count_tokens", "free", "messages/count_tokens"],
    ["anthropic", "POST", "/v1/messages/batches", "deferred", "messages/batches"],
    ["anthropic", "GET", "/v1/messages/batches/b/results", "free", "messages/batches/{id}/results"],
    ["anthropic", "POST", "/v1/messages/batches/b/cancel", "free", "messages/batches/{id}/cancel"],
    ["anthropic", "DELETE", "/v1/messages/batches/b", "free", "messages/batches/{id}"],
    ["anthropic", "POST", "/v1/files", "free", "files"],
    ["anthropic", "GET", "/v1/models/claude", "free", "models/{id}"],
    ["anthropic", "POST", "/v1/complete", "other", "other"],
    ["anthropic", "POST", "/v1/chat/completions", "other", "other"],
  ] as const)("%s %s %s is %s (%s)", (provider, method, path, expected, name) => {
    expect(providers[provider].classify(method, path)).toMatchObject({ class: expected, name });
  });
});
