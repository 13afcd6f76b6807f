import { TRPCClientError } from "@trpc/client";
import type { AppRouter } from "@/adapters/trpc";
import type { ErrorCode } from "@/lib/errors";

/** What a page can say of an error: words for the person, a code to decide by, and where it is ours, a reference to tell us. */
export type ShownError = {
  code: ErrorCode | "unreachable";
  message: string;
  reference: string | null;
  /** What was wrong with which field. */
  issues: readonly { path: string; message: string }[];
  /** The same question may get an answer in a moment. */
  retryable: boolean;
};

/** Any error of a query or mutation in the page's words. */
export function errorOf(error: unknown): ShownError {
  const data = error instanceof TRPCClientError ? (error as TRPCClientError<AppRouter>).data : undefined;
  if (!data) {
    const message = "NullSpend cannot be reached. Check your connection; this page goes on by itself when it is back.";
    return { code: "unreachable", message, reference: null, issues: [], retryable: true };
  }
  const { code, httpStatus, details, reference } = data;
  const issues = (details?.issues ?? []) as ShownError["issues"];
  return { code, message: (error as Error).message, reference, issues, retryable: httpStatus >= 500 };
}
