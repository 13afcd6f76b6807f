export type { SessionOf, SignedIn, TrpcContext } from "./context";
export { createServerCaller } from "./create-server-caller";
export { createTrpcHandler, type TrpcHandler } from "./create-trpc-handler";
export type { TrpcErrorData } from "./errors";
export type { AppCaller, AppRouter } from "./root-router";
export { getServerCaller, setServerCaller, type ServerCaller } from "./server-caller";
