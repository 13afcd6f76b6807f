import { destination as pinoDestination, pino, stdTimeFunctions, type DestinationStream } from "pino";
import { redact } from "./redact";

/**
 * All that a log line may say. A closed list: what is not on it is dropped, also at run time, so that no object that somebody
 * spreads into a log call carries a prompt or a credential with it. Every text passes `redact`.
 */
export type LogFields = {
  requestId?: string;
  traceId?: string;
  orgId?: string;
  userId?: string;
  keyId?: string;
  mailId?: string;
  actionId?: string;
  provider?: string;
  model?: string;
  /** `POST chat/completions`: never the query. */
  endpoint?: string;
  method?: string;
  status?: string;
  denialCode?: string;
  httpStatus?: number;
  durationMs?: number;
  timeToFirstByteMs?: number;
  overheadMs?: number;
  inputTokens?: number;
  outputTokens?: number;
  costMicrodollars?: number;
  costBasis?: string;
  warning?: string;
  /** How many of what the message names. */
  count?: number;
  attempt?: number;
  retryInMs?: number;
  /** A part of the process or a background job. */
  component?: string;
  migration?: string;
  version?: string;
  port?: number;
  url?: string;
  signal?: string;
  exitCode?: number;
  /** Whatever was thrown. Logged: name, code, message and stack frames, and the same of its cause. */
  err?: unknown;
};

type Level = "debug" | "info" | "warn" | "error" | "fatal";
type LogCall = (fields: LogFields, message: string) => void;

/** Takes pino's order: the fields, then a constant sentence that says what happened. */
export interface Logger extends Readonly<Record<Level, LogCall>> {
  /** A logger that adds these fields to every line. */
  child(fields: LogFields): Logger;
}

export type LoggerOptions = {
  level: "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";
  /** Default: stdout, without blocking. */
  destination?: DestinationStream;
};

/** One entry per field of LogFields: the compiler asks for it, and what has none is not logged. */
const writers: { [Name in keyof Required<LogFields>]: (value: unknown) => unknown } = {
  requestId: text,
  traceId: text,
  orgId: text,
  userId: text,
  keyId: text,
  mailId: text,
  actionId: text,
  provider: text,
  model: text,
  endpoint: text,
  method: text,
  status: text,
  denialCode: text,
  httpStatus: number,
  durationMs: number,
  timeToFirstByteMs: number,
  overheadMs: number,
  inputTokens: number,
  outputTokens: number,
  costMicrodollars: number,
  costBasis: text,
  warning: text,
  count: number,
  attempt: number,
  retryInMs: number,
  component: text,
  migration: text,
  version: text,
  port: number,
  url: text,
  signal: text,
  exitCode: number,
  err: (value) => describeError(value, causesMax),
};

/** Functions are named after keys of objects, which may come from anywhere, and a terminal obeys what is printed on it. */
const CONTROL_CHARACTERS = /[\p{Cc}\p{Cf}\u2028\u2029]+/gu;
const causesMax = 3;
const stackFramesMax = 12;
/** A line may wait this long before it is written, so that the calls of a busy moment share one write. */
const flushIntervalMs = 200;

export function createLogger({ level, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // `err` arrives as a plain object that is safe to write; pino's own serialiser would take it for an error.
    serializers: { err: (value: unknown) => value },
  };
  // Written without blocking, since a reader that stalls must not stall calls. Pino writes what is left when the process exits.
  const stream = destination ?? pinoDestination({ dest: 1, sync: false, minLength: 4_096, periodicFlush: flushIntervalMs });
  const log = pino(options, stream);

  const loggerWith = (inherited: LogFields): Logger => {
    const at =
      (levelOfLine: Level): LogCall =>
      (fields, message) => {
        if (log.isLevelEnabled(levelOfLine)) log[levelOfLine](allowed({ ...inherited, ...fields }), redact(message));
      };
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      fatal: at("fatal"),
      child: (fields) => loggerWith({ ...inherited, ...fields }),
    };
  };
  return loggerWith({});
}

function allowed(fields: LogFields): Record<string, unknown> {
  const line: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    const write = Object.hasOwn(writers, name) ? writers[name as keyof LogFields] : undefined;
    const written = value === undefined || value === null ? undefined : write?.(value);
    if (written !== undefined) line[name] = written;
  }
  return line;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? redact(value) : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

type ErrorDescription = { name?: string; code?: string; message?: string; stack?: string; cause?: ErrorDescription };

/** Never the error's other properties: HTTP clients hang request and response on it, and database drivers the row. */
function describeError(value: unknown, causesLeft: number): ErrorDescription {
  if (typeof value === "string") return { message: redact(value) };
  if (typeof value !== "object" || value === null) return { message: `not an error but ${typeof value}` };
  const error = value as { name?: unknown; code?: unknown; message?: unknown; stack?: unknown; cause?: unknown };
  const code = typeof error.code === "number" ? String(error.code) : text(error.code);
  return {
    name: text(error.name),
    code,
    message: text(error.message),
    stack: typeof error.stack === "string" ? framesOf(error.stack) : undefined,
    cause: error.cause === undefined || error.cause === null || causesLeft === 0 ? undefined : describeError(error.cause, causesLeft - 1),
  };
}

/** Only where, not what: a stack begins with the message, which may be long and hold anything. */
function framesOf(stack: string): string | undefined {
  const frames = stack.split("\n").filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line));
  return frames.length === 0
    ? undefined
    : frames
        .slice(0, stackFramesMax)
        .map((frame) => frame.replace(CONTROL_CHARACTERS, " ").trim().slice(0, 200))
        .join("\n");
}
