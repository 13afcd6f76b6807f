export { errorOf, type ShownError } from "./errors";
export { TrpcProvider } from "./provider";
export { useTRPC, useTRPCClient, type RouterInputs, type RouterOutputs } from "./trpc";
