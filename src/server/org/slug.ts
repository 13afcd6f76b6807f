import { ServiceError } from "@/lib/errors";

/** The unique index has the last word on slugs; its refusal in words, anything else as it is. */
export function slugConflict(error: unknown, slug: string | undefined): unknown {
  const isUnique = error instanceof Error && "code" in error && error.code === "P2002";
  return isUnique && slug !== undefined
    ? new ServiceError("conflict", `The address "${slug}" is taken. Choose another one.`, {
        issues: [{ path: "slug", message: "is taken" }],
      })
    : error;
}
