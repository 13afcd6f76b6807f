import { randomUUID } from "node:crypto";
import type { Runtime } from "@/server/runtime";
import type { SessionOf } from "./context";
import { createCallerFactory } from "./init";
import { appRouter } from "./root-router";
import type { ServerCaller } from "./server-caller";

const callerOf = createCallerFactory(appRouter);

export function createServerCaller({ runtime, sessionOf }: { runtime: Runtime; sessionOf: SessionOf }): ServerCaller {
  return async ({ cookieHeader, orgId }) =>
    // Pages only read, so no address is needed for the audit log.
    callerOf({ runtime, user: await sessionOf({ cookieHeader }), orgId, ip: null, reference: `req_${randomUUID()}` });
}
