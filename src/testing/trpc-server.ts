import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import superjson, { type SuperJSONResult } from "superjson";
import { createNodeServer } from "@/adapters/node-server";
import { createRequestHandler } from "@/adapters/request-handler";
import type { TrpcErrorData } from "@/adapters/trpc";
import { readEnv } from "@/lib/env";
import { createLogger } from "@/lib/logger";
import { startRuntime, type Runtime } from "@/server/runtime";
import type { TestDatabase } from "./database";

/** REST, tRPC and the gateway with their real runtime, in the test's own process. */
export type TrpcServer = {
  runtime: Runtime;
  origin: string;
  logs(): string;
  /** Anything, with nothing added. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Calls one procedure as a person in an organisation. */
  call(kind: "query" | "mutation", path: string, input?: unknown, as?: Caller): Promise<TrpcAnswer>;
  close(): Promise<void>;
};

export type Caller = { userId?: string; orgId?: string };
export type TrpcAnswer = { status: number; data?: unknown; error?: { message: string; data: TrpcErrorData } };

/** Stands for a session: the person's id as a cookie. Sessions themselves have their own tests. */
export const cookieOf = (userId: string): string => `test-session=${userId}`;

/** The headers of a change that one of our own pages makes. */
export const headersOf = ({ userId, orgId }: Caller): Record<string, string> => ({
  "sec-fetch-site": "same-origin",
  ...(userId !== undefined && { cookie: cookieOf(userId) }),
  ...(orgId !== undefined && { "x-nullspend-org": orgId }),
});

export async function startTrpcServer(database: TestDatabase): Promise<TrpcServer> {
  let logged = "";
  const env = readEnv({
    NODE_ENV: "test",
    DATABASE_URL: database.connectionString,
    NEXTAUTH_SECRET: randomBytes(32).toString("base64"),
    ENCRYPTION_KEY: randomBytes(32).toString("hex"),
  });
  const log = createLogger({ level: "warn", destination: { write: (line) => void (logged += line) } });
  const runtime = await startRuntime({ env, log, root: process.cwd(), database: { url: database.connectionString } });
  const sessionOf = async ({ cookieHeader }: { cookieHeader: string | undefined }) => {
    const userId = /(?:^|; )test-session=([0-9a-f-]{36})/.exec(cookieHeader ?? "")?.[1];
    const user = userId === undefined ? null : await runtime.prisma.user.findUnique({ where: { id: userId } });
    return user ? { sessionId: user.id, userId: user.id, email: user.email ?? "" } : undefined;
  };
  const { server } = createNodeServer({
    handler: createRequestHandler(runtime, sessionOf),
    fallback: (_request, response) => void response.writeHead(404, { "content-type": "text/plain" }).end("page"),
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Listening on TCP, so the address is an object.
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  const send: TrpcServer["fetch"] = (path, init) => fetch(`${origin}${path}`, init);

  return {
    runtime,
    origin,
    logs: () => logged,
    fetch: send,
    async call(kind, path, input, as = {}) {
      const headers = headersOf(as);
      const wire = JSON.stringify(superjson.serialize(input));
      const response =
        kind === "query"
          ? await send(`/api/trpc/${path}?input=${encodeURIComponent(wire)}`, { headers })
          : await send(`/api/trpc/${path}`, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: wire });
      return { status: response.status, ...read(await response.json()) };
    },
    async close() {
      runtime.beginShutdown();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await runtime.stop();
    },
  };
}

type Wire = { result?: { data: SuperJSONResult }; error?: { json: TrpcAnswer["error"] } & SuperJSONResult };

function read(body: unknown): Pick<TrpcAnswer, "data" | "error"> {
  const { result, error } = body as Wire;
  return {
    ...(result && { data: superjson.deserialize(result.data) }),
    ...(error && { error: error.json === undefined ? (error as unknown as TrpcAnswer["error"])! : superjson.deserialize(error) }),
  };
}
