import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { originOf } from "../deps";
import { llmsText } from "../llms-text";
import { publicRoute } from "../route";

const tag = "Service";

/** What needs the finished table itself is made from it: see `routes/index.ts`. */
export const serviceRoutes = [
  publicRoute({
    method: "GET",
    path: "/api/health",
    operationId: "getHealth",
    tag,
    summary: "Whether the process lives",
    description: "Asks nothing of the database: a process that is restarted because its database is away helps nobody.",
    answers: [{ status: 200, description: "It lives.", schema: z.object({ status: z.literal("ok") }) }],
    handle: async () => ({ kind: "json", status: 200, body: { status: "ok" } }),
  }),
  publicRoute({
    method: "GET",
    path: "/api/ready",
    operationId: "getReadiness",
    tag,
    summary: "Whether calls can be decided and recorded now",
    answers: [
      { status: 200, description: "Ready.", schema: z.object({ status: z.literal("ready"), checks: z.record(z.string(), z.boolean()) }) },
      {
        status: 503,
        description: "Not ready.",
        schema: z.object({ status: z.literal("not_ready"), checks: z.record(z.string(), z.boolean()) }),
      },
    ],
    async handle({ deps }) {
      const { ready, checks } = await deps.ready();
      return { kind: "json", status: ready ? 200 : 503, body: { status: ready ? "ready" : "not_ready", checks: { ...checks } } };
    },
  }),
  publicRoute({
    method: "GET",
    path: "/metrics",
    operationId: "getMetrics",
    tag,
    summary: "Prometheus metrics of this process",
    description: "Needs `METRICS_TOKEN` as bearer token, and does not exist where none is set.",
    answers: [{ status: 200, description: "Metrics.", contentType: "text/plain" }],
    async handle({ deps, authorization }) {
      const token = deps.env.metricsToken;
      if (token === undefined) throw new ServiceError("not_found", "There is nothing at this path.");
      if (!equalsInConstantTime(authorization, `Bearer ${token}`)) throw new ServiceError("unauthorized", "The metrics token is needed.");
      const { registry } = deps.gateway.metrics;
      return { kind: "text", status: 200, contentType: registry.contentType, text: await registry.metrics() };
    },
  }),
  publicRoute({
    method: "GET",
    path: "/llms.txt",
    operationId: "getLlmsText",
    tag,
    summary: "What this is and how to use it, for language models",
    answers: [{ status: 200, description: "Markdown.", contentType: "text/markdown" }],
    handle: async ({ deps }) => ({
      kind: "text",
      status: 200,
      contentType: "text/markdown; charset=utf-8",
      text: llmsText(originOf(deps.env)),
    }),
  }),
];

/** Hashes have one length, so nothing of the token's is told either. */
function equalsInConstantTime(given: string | undefined, expected: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given ?? ""), digest(expected));
}
