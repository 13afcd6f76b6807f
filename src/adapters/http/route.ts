import type { z } from "zod";
import type { Prisma } from "@/generated/prisma/client";
import type { AccessRule } from "@/server/access";
import type { Ctx } from "@/server/context";
import type { RestDeps } from "./deps";

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What a route answers. Errors are thrown. */
export type RestAnswer =
  | { kind: "json"; status: number; body: Prisma.InputJsonObject }
  | { kind: "text"; status: number; contentType: string; text: string }
  /** Written with backpressure; an error after the first byte breaks the connection. */
  | { kind: "stream"; status: number; contentType: string; fileName: string; chunks: AsyncIterable<string | Uint8Array> };

export const ok = (body: Prisma.InputJsonObject): RestAnswer => ({ kind: "json", status: 200, body });
export const created = (body: Prisma.InputJsonObject): RestAnswer => ({ kind: "json", status: 201, body });

/** One success as the document describes it. */
export type DocumentedAnswer =
  | { status: number; description: string; schema: z.ZodType }
  | { status: number; description: string; contentType: string };

type Shared = {
  method: HttpMethod;
  /** `/api/keys/{id}`; `{name+}` takes the rest of the path, slashes included. */
  path: string;
  operationId: string;
  tag: string;
  summary: string;
  description?: string;
  answers: readonly [DocumentedAnswer, ...DocumentedAnswer[]];
};

/** A path or query value is always a string on the wire; schemas turn it into what the verb takes. */
export type ParamsSchema = z.ZodObject;

/** A route that answers anybody. */
export type PublicRoute = Shared & {
  access: "public";
  handle: (input: { deps: RestDeps; authorization: string | undefined }) => Promise<RestAnswer>;
};

type RouteSpec<P extends ParamsSchema, Q extends ParamsSchema, B extends z.ZodType> = Shared & {
  access: AccessRule;
  params?: P;
  query?: Q;
  /** Folds families of parameters (`tag.<key>`) into one field before `query` reads them. */
  gatherQuery?: (query: Readonly<Record<string, string>>) => Record<string, unknown>;
  body?: B;
  /** The request may come without a body, which then counts as `{}`. */
  bodyOptional?: boolean;
  /** Takes secrets out of what is kept for replays of one Idempotency-Key. */
  withoutSecrets?: (body: Prisma.InputJsonObject) => Prisma.InputJsonObject;
  handle: (input: {
    ctx: Ctx;
    deps: RestDeps;
    params: z.output<P>;
    query: z.output<Q>;
    body: z.output<B>;
    /** The same for repeats of one request under one Idempotency-Key, and for nothing else; undefined where none was sent. */
    attemptId: string | undefined;
  }) => Promise<RestAnswer>;
};

/** A route whose caller is known; its inputs are erased, because {@link route} has paired them with its schemas. */
export type PrincipalRoute = RouteSpec<ParamsSchema, ParamsSchema, z.ZodType>;
export type Route = PublicRoute | PrincipalRoute;

/** Types `handle` by the schemas beside it. */
export function route<P extends ParamsSchema = ParamsSchema, Q extends ParamsSchema = ParamsSchema, B extends z.ZodType = z.ZodType>(
  spec: RouteSpec<P, Q, B>,
): PrincipalRoute {
  // The dispatcher calls `handle` with nothing but the output of this very route's own schemas.
  return spec as unknown as PrincipalRoute;
}

export const publicRoute = (spec: Omit<PublicRoute, "access">): PublicRoute => ({ ...spec, access: "public" });
