import { parseArgs } from "node:util";
import type { z } from "zod";
import { UsageError } from "./usage-error";

const OPTIONS = {
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
  all: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  org: { type: "string" },
  email: { type: "string" },
  "org-name": { type: "string" },
  name: { type: "string" },
  scopes: { type: "string" },
  expires: { type: "string" },
  owner: { type: "string" },
  overlap: { type: "string" },
  input: { type: "string" },
  output: { type: "string" },
  "cached-input": { type: "string" },
  "cache-write-5m": { type: "string" },
  "cache-write-1h": { type: "string" },
  reasoning: { type: "string" },
  "per-call": { type: "string" },
  "valid-from": { type: "string" },
  url: { type: "string" },
} as const;

export type OptionName = keyof typeof OPTIONS;
export type Options = ReturnType<typeof readOptions>["options"];

export function readOptions(args: readonly string[]): {
  words: string[];
  options: ReturnType<typeof parseArgs<{ args: string[]; options: typeof OPTIONS; allowPositionals: true }>>["values"];
} {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
    return { words: positionals, options: values };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

export function required(options: Options, name: Exclude<OptionName, "json" | "help" | "all" | "list">): string {
  const value = options[name];
  if (value === undefined) throw new UsageError(`--${name} is needed.`);
  return value;
}

/** An option that the command does not know is a mistake, not a wish to be ignored. */
export function assertKnown(options: Options, known: readonly OptionName[]): void {
  const everywhere: readonly OptionName[] = ["json", "help"];
  const foreign = (Object.keys(options) as OptionName[]).find((name) => options[name] && ![...known, ...everywhere].includes(name));
  if (foreign) throw new UsageError(`--${foreign} means nothing to this command.`);
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `30m`, `12h`, `30d` in seconds. */
export function durationSeconds(text: string): number | undefined {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  return match ? Number(match[1]) * UNIT_SECONDS[match[2]!]! : undefined;
}

/** Reads a verb's input; what is wrong is told by name. */
export function parseCliInput<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UsageError(parsed.error.issues.map(({ path, message }) => `${path.join(".") || "input"}: ${message}`).join("; "));
}
