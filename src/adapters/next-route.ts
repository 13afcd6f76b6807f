import { after } from "next/server";
import { createLiveSession } from "./auth";
import { RouteExchange } from "@/server/gateway/route-adapter";
import { type RequestHandler, createRequestHandler } from "./request-handler";
import { getRuntime } from "./runtime";

let handler: RequestHandler | undefined;

/**
 * REST and the gateway as a Next route handler, for hosts without the custom server (which answers these paths before Next sees
 * them). The platform is asked to wait until the call is recorded.
 */
export async function handleInNext(request: Request): Promise<Response> {
  const runtime = getRuntime();
  handler ??= createRequestHandler(runtime, createLiveSession(runtime));
  const exchange = new RouteExchange(request);
  const recorded = handler.handle(exchange);
  after(() => recorded);
  return exchange.response;
}
