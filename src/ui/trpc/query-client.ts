import { isServer, keepPreviousData, QueryClient } from "@tanstack/react-query";
import { errorOf } from "./errors";

/** What a page loaded counts as fresh for this long; live events refresh it earlier. */
const FRESH_MS = 10_000;
const RETRIES_MAX = 2;

function makeQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: FRESH_MS,
        // A changed filter dims the old rows instead of replacing them with nothing.
        placeholderData: keepPreviousData,
        refetchOnReconnect: true,
        refetchOnWindowFocus: true,
        // Asking again does not change an answer that says what is wrong with the question.
        retry: (failures, error) => failures < RETRIES_MAX && errorOf(error).retryable,
      },
      mutations: { retry: false },
    },
  });
}

let ofBrowser: QueryClient | undefined;

/** One for the life of the tab; on the server one per request, so that nobody sees what somebody else loaded. */
export function getQueryClient(): QueryClient {
  if (isServer) return makeQueryClient();
  ofBrowser ??= makeQueryClient();
  return ofBrowser;
}
