import type { FilterDefinition, Filters } from "@/ui/kit/filter-bar";
import { formatPercent } from "@/ui/format/count";
import type { ChartUnit } from "@/ui/kit/charts";
import type { RouterInputs, RouterOutputs } from "@/ui/trpc";

export type Exploration = RouterOutputs["reports"]["explore"];
type ExploreFilter = NonNullable<RouterInputs["reports"]["explore"]["filter"]>;

export const METRICS = ["cost", "calls", "tokens", "denied"] as const;
export type Metric = (typeof METRICS)[number];
export const METRIC_WORDS: Readonly<Record<Metric, string>> = {
  cost: "Spend",
  calls: "Calls",
  tokens: "Tokens",
  denied: "Denied calls",
};
export const unitOf = (metric: Metric): ChartUnit => (metric === "cost" ? "usd" : "count");

const GROUP_WORDS: Readonly<Record<string, string>> = {
  api_key: "Key",
  customer: "Customer",
  user: "User",
  model: "Model",
  provider: "Provider",
  session: "Session",
  tool: "Tool",
  source: "Source",
};

/** `none` is the total alone. */
export function groupOptions(tagKeys: readonly string[]): { value: string; label: string }[] {
  return [
    { value: "none", label: "Nothing: the total" },
    ...Object.entries(GROUP_WORDS).map(([value, label]) => ({ value, label })),
    ...tagKeys.map((key) => ({ value: `tag:${key}`, label: `Tag “${key}”` })),
  ];
}

export const groupWord = (group: string): string => (group.startsWith("tag:") ? `Tag “${group.slice(4)}”` : (GROUP_WORDS[group] ?? group));

/** What stands in the URL may be anything. */
export const isGroup = (group: string): boolean => group === "none" || group in GROUP_WORDS || /^tag:[A-Za-z0-9_-]{1,64}$/.test(group);

export const BUCKETS = ["hour", "day", "week", "month"] as const;
export type Bucket = (typeof BUCKETS)[number];

const HOUR_MS = 3_600_000;
/** The server draws hours for 33 days at most. */
const HOURS_MAX = 33 * 24;

export function bucketsFor({ from, to }: { from: Date; to: Date }): Bucket[] {
  return BUCKETS.filter((bucket) => bucket !== "hour" || (to.getTime() - from.getTime()) / HOUR_MS <= HOURS_MAX);
}

/** Bars that are neither two nor a thousand. */
export function usualBucket({ from, to }: { from: Date; to: Date }): Bucket {
  const hours = (to.getTime() - from.getTime()) / HOUR_MS;
  if (hours <= 72) return "hour";
  return hours <= 95 * 24 ? "day" : "week";
}

/** In the URL and in what is typed. */
export const FILTER_IDS = ["key", "user", "customer", "model", "provider", "tool", "source", "session", "tag"] as const;
export type FilterId = (typeof FILTER_IDS)[number];

type Named = { id: string; name: string };

export function filterDefinitions({
  keys,
  users,
  tagKeys,
}: {
  keys: readonly Named[];
  users: readonly Named[];
  tagKeys: readonly string[];
}): readonly (FilterDefinition & { id: FilterId })[] {
  return [
    { id: "key", label: "Key", single: true, closed: true, options: keys.map(({ id, name }) => ({ value: id, label: name })) },
    { id: "user", label: "User", single: true, closed: true, options: users.map(({ id, name }) => ({ value: id, label: name })) },
    { id: "customer", label: "Customer", single: true, example: "acme" },
    {
      id: "model",
      label: "Model",
      single: true,
      example: "openai/gpt-5-mini",
      parse: (text) => (/^[^/]+\/.+$/.test(text) ? text : undefined),
    },
    { id: "provider", label: "Provider", single: true, options: [{ value: "openai" }, { value: "anthropic" }] },
    { id: "tool", label: "Tool", single: true },
    { id: "source", label: "Source", single: true, closed: true, options: SOURCES.map((value) => ({ value, label: SOURCE_WORDS[value] })) },
    { id: "session", label: "Session", single: true },
    {
      id: "tag",
      label: "Tag",
      example: `${tagKeys[0] ?? "team"}=support`,
      parse: (text) => (text.indexOf("=") > 0 ? text : undefined),
    },
  ];
}

const SOURCES = ["proxy", "api", "mcp"] as const;
export const SOURCE_WORDS: Readonly<Record<string, string>> & Readonly<Record<(typeof SOURCES)[number], string>> = {
  proxy: "Gateway",
  api: "Reported",
  mcp: "MCP",
};

/** What the server is asked for: what cannot be read filters nothing. */
export function exploreFilterOf(filters: Filters<FilterId>): ExploreFilter {
  const filter: ExploreFilter = {};
  const [source] = filters.source;
  const [model] = filters.model;
  const tags = tagsOf(filters.tag);
  if (filters.key[0] !== undefined) filter.apiKeyId = filters.key[0];
  if (filters.user[0] !== undefined) filter.userId = filters.user[0];
  if (filters.customer[0] !== undefined) filter.customerId = filters.customer[0];
  if (model !== undefined && model.includes("/")) filter.model = model;
  if (filters.provider[0] !== undefined) filter.provider = filters.provider[0];
  if (filters.tool[0] !== undefined) filter.tool = filters.tool[0];
  if (source === "proxy" || source === "api" || source === "mcp") filter.source = source;
  if (filters.session[0] !== undefined) filter.sessionId = filters.session[0];
  if (Object.keys(tags).length > 0) filter.tags = tags;
  return filter;
}

function tagsOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.flatMap((text) => {
      const equals = text.indexOf("=");
      return equals < 1 ? [] : [[text.slice(0, equals), text.slice(equals + 1)]];
    }),
  );
}

/** The filter that shows one group alone. */
export function filterOfGroup(group: string, value: string): { id: FilterId; value: string } | undefined {
  if (group.startsWith("tag:")) return { id: "tag", value: `${group.slice(4)}=${value}` };
  if (group === "api_key") return { id: "key", value };
  const id = FILTER_IDS.find((each) => each === group);
  return id === undefined ? undefined : { id, value };
}

/** The calls behind a view, as the query of the activity page. Undefined where that page has no such filter. */
export function activityQuery({ filters, range }: { filters: Filters<FilterId>; range: string }): string | undefined {
  if (filters.user.length > 0 || filters.tool.length > 0) return undefined;
  const query = new URLSearchParams({ range });
  for (const id of ["key", "customer", "provider", "source", "session"] as const) {
    if (filters[id][0] !== undefined) query.set(id, listText(filters[id].slice(0, 1)));
  }
  const [model] = filters.model;
  if (model !== undefined) {
    const slash = model.indexOf("/");
    query.set("provider", listText([model.slice(0, slash)]));
    query.set("model", listText([model.slice(slash + 1)]));
  }
  if (filters.tag.length > 0) query.set("tag", listText(filters.tag));
  return query.toString();
}

/** How nuqs writes a list into the URL: commas part values. */
const listText = (values: readonly string[]): string => values.map((value) => value.replaceAll(",", "%2C")).join(",");

/** Against the time before: `+12.5%`, `new`, `no change`. */
export function changeWords(now: number, before: number): string {
  if (now === before) return "no change";
  if (before === 0) return "new";
  const share = (now - before) / before;
  return share > 0 ? `+${formatPercent(share)}` : `−${formatPercent(-share)}`;
}
