import type { z } from "zod";
import { ServiceError } from "@/lib/errors";

/** As many problems as a person reads; a hostile body can hold a hundred thousand. */
const ISSUES_MAX = 20;

/**
 * What verbs do first. Their schemas change no types, so that an input that an adapter has read with the same schema passes again.
 * @throws ServiceError `bad_request` that names each field and what is wrong with it.
 */
export function parsed<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issues = result.error.issues
    .slice(0, ISSUES_MAX)
    .map(({ path, message }) => ({ path: path.map(String).join(".").slice(0, 200), message: message.slice(0, 300) }));
  throw invalid(...issues);
}

export function invalid(...issues: { path: string; message: string }[]): ServiceError {
  const [first] = issues;
  const where = first?.path ? `${first.path}: ` : "";
  return new ServiceError("bad_request", `The input is not valid: ${where}${first?.message ?? ""}.`, { issues });
}
