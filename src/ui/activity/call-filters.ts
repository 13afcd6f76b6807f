import type { FilterDefinition, Filters } from "@/ui/kit/filter-bar";
import { statusWord } from "@/ui/kit/badge";
import { parseUsd } from "@/ui/format/money";
import type { RouterInputs } from "@/ui/trpc";

/** In the URL and in what is typed. */
export const CALL_FILTER_IDS = ["model", "provider", "key", "status", "customer", "session", "trace", "tag", "cost", "source"] as const;
export type CallFilterId = (typeof CALL_FILTER_IDS)[number];
export type CallFilter = Omit<RouterInputs["events"]["list"], "limit" | "cursor">;

const STATUSES = ["ok", "denied", "upstream_error", "cancelled", "interrupted"] as const;
const COST = /^([<>])\s*\$?([\d.]+)$/;

export function callFilterDefinitions(keys: readonly { id: string; name: string }[]): readonly (FilterDefinition & { id: CallFilterId })[] {
  return [
    { id: "status", label: "Status", single: true, closed: true, options: STATUSES.map((value) => ({ value, label: statusWord(value) })) },
    { id: "key", label: "Key", single: true, closed: true, options: keys.map(({ id, name }) => ({ value: id, label: name })) },
    { id: "model", label: "Model", single: true, example: "gpt-5-mini" },
    { id: "provider", label: "Provider", single: true, options: [{ value: "openai" }, { value: "anthropic" }] },
    { id: "customer", label: "Customer", single: true, example: "acme" },
    { id: "session", label: "Session", single: true },
    { id: "trace", label: "Trace", single: true },
    { id: "tag", label: "Tag", example: "team=support", parse: (text) => (text.indexOf("=") > 0 ? text : undefined) },
    { id: "cost", label: "Cost", example: ">0.10", parse: (text) => (COST.test(text.trim()) ? text.trim() : undefined) },
    {
      id: "source",
      label: "Source",
      single: true,
      closed: true,
      options: [
        { value: "proxy", label: "Gateway" },
        { value: "api", label: "Reported" },
        { value: "mcp", label: "MCP" },
      ],
    },
  ];
}

/** What the server is asked for. What is in the URL may be anything: what cannot be read filters nothing. */
export function callFilterOf(filters: Filters<CallFilterId>): CallFilter {
  const [status] = filters.status;
  const [source] = filters.source;
  const tags = Object.fromEntries(
    filters.tag.flatMap((text) => {
      const equals = text.indexOf("=");
      return equals < 1 ? [] : [[text.slice(0, equals), text.slice(equals + 1)]];
    }),
  );
  const filter: CallFilter = {};
  if (STATUSES.some((each) => each === status)) filter.status = status as (typeof STATUSES)[number];
  if (source === "proxy" || source === "api" || source === "mcp") filter.source = source;
  if (filters.key[0] !== undefined) filter.apiKeyId = filters.key[0];
  if (filters.model[0] !== undefined) filter.model = filters.model[0];
  if (filters.provider[0] !== undefined) filter.provider = filters.provider[0];
  if (filters.customer[0] !== undefined) filter.customerId = filters.customer[0];
  if (filters.session[0] !== undefined) filter.sessionId = filters.session[0];
  if (filters.trace[0] !== undefined) filter.traceId = filters.trace[0];
  if (Object.keys(tags).length > 0) filter.tags = tags;
  for (const text of filters.cost) {
    const [, direction, dollars] = COST.exec(text) ?? [];
    const amount = dollars === undefined ? undefined : parseUsd(dollars);
    if (amount === undefined) continue;
    if (direction === ">") filter.minCostMicrodollars = amount;
    else filter.maxCostMicrodollars = amount;
  }
  return filter;
}

/** The same filter for `GET /api/cost-events/export`. */
export function exportQueryOf({ tags, ...filter }: CallFilter): string {
  const query = new URLSearchParams({ format: "csv" });
  for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, String(value));
  for (const [name, value] of Object.entries(tags ?? {})) query.set(`tag.${name}`, value);
  return query.toString();
}
