import { ServiceError } from "@/lib/errors";
import type { HttpMethod, Route } from "./route";

export type RouteMatch = { route: Route; params: Readonly<Record<string, string>> };

type Segment = { kind: "literal"; text: string } | { kind: "param"; name: string } | { kind: "rest"; name: string };
type Compiled = { route: Route; segments: readonly Segment[] };

export type RouteTable = {
  /** Whether a path is ours to answer, with an error where no route has it. */
  owns(path: string): boolean;
  /** Throws `not_found`, or tells which methods the path has. */
  find(method: string, path: string): RouteMatch | { allow: readonly string[] };
};

/**
 * Paths are compared segment by segment as they were sent and decoded afterwards, so that an encoded slash never makes a segment.
 * We own the exact paths of the table and what lies below the collections in it, no more: everything else under /api belongs to Next.
 */
export function createRouteTable(routes: readonly Route[]): RouteTable {
  const compiled = routes.map((route): Compiled => ({ route, segments: compile(route.path) }));
  const exact = new Set(routes.map((route) => route.path));
  // `/api/auth` is shared with the sign-in routes of next-auth.
  const collections = [...new Set(routes.flatMap((route) => /^\/api\/(?!auth\/)[a-z-]+/.exec(route.path) ?? []))];

  return {
    owns: (path) => exact.has(path) || collections.some((collection) => path === collection || path.startsWith(`${collection}/`)),
    find(method, path) {
      const wanted = method === "HEAD" ? "GET" : method;
      const sent = path.split("/").slice(1);
      const onPath = mostSpecific(compiled.filter(({ segments }) => fits(segments, sent)));
      const found = onPath.find(({ route }) => route.method === wanted);
      if (found) return { route: found.route, params: readParams(found.segments, sent) };
      if (onPath.length === 0) throw new ServiceError("not_found", "There is nothing at this path.");
      return { allow: allowedMethods(onPath.map(({ route }) => route.method)) };
    },
  };
}

function compile(path: string): Segment[] {
  return path
    .split("/")
    .slice(1)
    .map((text): Segment => {
      const name = /^\{([a-zA-Z]+)(\+?)\}$/.exec(text);
      if (!name) return { kind: "literal", text };
      return { kind: name[2] ? "rest" : "param", name: name[1]! };
    });
}

function fits(segments: readonly Segment[], sent: readonly string[]): boolean {
  const hasRest = segments.at(-1)?.kind === "rest";
  if (hasRest ? sent.length < segments.length : sent.length !== segments.length) return false;
  return segments.every((segment, index) => (segment.kind === "literal" ? segment.text === sent[index] : sent[index] !== ""));
}

/** `/api/cost-events/summary` is a path of its own and not the event with the id `summary`. */
function mostSpecific(candidates: readonly Compiled[]): Compiled[] {
  const literals = ({ segments }: Compiled): number => segments.filter((segment) => segment.kind === "literal").length;
  const most = Math.max(...candidates.map(literals));
  return candidates.filter((candidate) => literals(candidate) === most);
}

function readParams(segments: readonly Segment[], sent: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {};
  segments.forEach((segment, index) => {
    if (segment.kind === "param") params[segment.name] = decode(sent[index]!);
    if (segment.kind === "rest") params[segment.name] = decode(sent.slice(index).join("/"));
  });
  return params;
}

function decode(text: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes("\0")) return decoded;
  } catch {
    // Told below, together with the NUL.
  }
  throw new ServiceError("bad_request", "The path is not correctly percent-encoded.");
}

function allowedMethods(methods: readonly HttpMethod[]): string[] {
  const all = new Set<string>(methods);
  if (all.has("GET")) all.add("HEAD");
  return [...all].sort();
}
