import { randomUUID } from "node:crypto";
import type { Runtime } from "@/server/runtime";
import type { SessionOf } from "./context";
import { createCallerFactory } from "./init";
import { appRouter } from "./root-router";
import type { ServerCaller } from "./server-caller";

const callerOf = createCallerFactory(appRouter);

export function createServerCaller({ runtime, sessionOf }: { runtime: Runtime; sessionOf: SessionOf }): ServerCaller {
  return async ({ cookieHeader, orgId, ip = null }) =>
    // Pages only read: an address is not needed for the audit log, only where wrong guesses are counted.
    callerOf({ runtime, user: await sessionOf({ cookieHeader }), orgId, ip, reference: `req_${randomUUID()}` });
}
