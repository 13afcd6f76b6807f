import { createApprovePage } from "@/adapters/approve-page";
import { createRestSession } from "@/adapters/auth";
import { createRestHandler } from "@/adapters/http";
import { createMailbox } from "@/adapters/mailbox";
import { publicId, uuidv7 } from "@/lib/ids";
import { type Exchange, handleCall, speaksAnthropic } from "@/server/gateway";
import { normaliseGatewayPath, providers } from "@/server/gateway/providers";
import type { Runtime } from "@/server/runtime";
import { createTrpcHandler, type SessionOf } from "./trpc";

/** What answers before Next: REST, tRPC and the gateway, over any exchange. */
export type RequestHandler = {
  /** @param target path and query as sent. */
  serves(method: string, target: string): boolean;
  /** Resolves when the answer is over and what it cost is recorded. Never rejects. */
  handle(exchange: Exchange): Promise<void>;
  /** WebSockets would go around metering, so gateway paths refuse them in words. */
  refuseUpgrade(target: string, header: (name: string) => string | undefined): { status: string; text: string };
};

const GATEWAY_PATH = /^\/(v1|openai|anthropic)(\/|\?|$)/;

/** @param sessionOf who is signed in; where it is not given, nobody is. */
export function createRequestHandler(runtime: Runtime, sessionOf: SessionOf = nobody): RequestHandler {
  const rest = createRestHandler({ ...runtime, sessionOf: createRestSession({ prisma: runtime.prisma, liveSession: sessionOf }) });
  const trpc = createTrpcHandler({ runtime, sessionOf });
  const approvePage = createApprovePage({ runtime, sessionOf });
  const mailbox = createMailbox(runtime);
  return {
    serves: (method, target) =>
      rest.matches(method, pathOf(target)) ||
      trpc.matches(pathOf(target)) ||
      approvePage.matches(pathOf(target)) ||
      mailbox.matches(pathOf(target)) ||
      GATEWAY_PATH.test(target),
    // Not async: a function that waits would hold the exchange in memory until the call's event is durable.
    handle(exchange) {
      if (rest.matches(exchange.method, pathOf(exchange.target))) return rest.handle(exchange);
      if (trpc.matches(pathOf(exchange.target))) return trpc.handle(exchange);
      if (approvePage.matches(pathOf(exchange.target))) return approvePage.handle(exchange);
      if (mailbox.matches(pathOf(exchange.target))) return mailbox.handle(exchange);
      if (GATEWAY_PATH.test(exchange.target)) return handleCall(exchange, runtime.gateway);
      answerNotFound(exchange);
      return Promise.resolve();
    },
    refuseUpgrade(target, header) {
      if (!GATEWAY_PATH.test(target)) return { status: "404 Not Found", text: NOT_FOUND };
      const provider = providers[normaliseGatewayPath(target, speaksAnthropic(header))?.provider ?? "openai"];
      const text = provider.errorBody({
        status: 501,
        code: "unsupported_endpoint",
        message: "NullSpend: WebSocket connections cannot be metered and are not supported; use HTTP.",
        details: null,
        requestId: publicId("event", uuidv7(Date.now())),
      });
      return { status: "501 Not Implemented", text };
    },
  };
}

const nobody: SessionOf = async () => undefined;

/** Only reached through Next, which hands on whatever lies below `/api`. */
function answerNotFound(exchange: Exchange): void {
  const body = Buffer.from(NOT_FOUND);
  exchange.writeHead(404, ["content-type", "application/json", "content-length", String(body.length)]);
  exchange.end(body);
}

const NOT_FOUND = JSON.stringify({ error: { code: "not_found", message: "There is nothing at this address.", details: null } });

function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query === -1 ? target : target.slice(0, query);
}
