/** Short and true: only what this version does. */
export const llmsText = (origin: string): string => `# NullSpend

> A gateway for AI agents that records what every model call costs. Point an OpenAI or Anthropic client at it, keep your provider key, and add a NullSpend key.

## Use it

- OpenAI clients: base URL \`${origin}/v1\`
- Anthropic clients and Claude Code: base URL \`${origin}\`
- Explicit: \`${origin}/openai/v1/…\` and \`${origin}/anthropic/v1/…\`
- Authentication: header \`X-NullSpend-Key: ns_live_sk_…\` beside the provider's own credential. A client that can set only an API key sends \`<nullspend key>:<provider key>\` as that key.
- Optional headers: \`X-NullSpend-Tags\` (JSON object, at most 10), \`X-NullSpend-Session\`, \`X-NullSpend-Customer\`, \`traceparent\`.
- The answer's \`X-NullSpend-Request-Id\` is the id of the cost event.

## REST API

Send the key in \`X-NullSpend-Key\`. Answers are \`{"data": …}\`, lists \`{"data": […], "cursor": …}\`, errors \`{"error": {"code", "message", "details"}}\`. Amounts ending in \`Microdollars\` are numbers ($1 = 1,000,000). Every POST takes \`Idempotency-Key\`.

- [OpenAPI 3.1 document](${origin}/openapi.json)
- \`GET /api/cost-events\`: calls and their costs; \`/summary\`, \`/attribution\`, \`/sessions\`, \`/export?format=csv\` below it
- \`POST /api/cost-events\`: report a cost that did not pass the gateway
- \`GET /api/auth/introspect\`: who this key is and what it may do
- \`GET /api/keys\`, \`POST /api/keys\`: keys
- \`GET /api/prices\`, \`PUT /api/prices/{provider}/{model}\`: the organisation's own prices
`;
