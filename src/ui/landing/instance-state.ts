/** What a visitor is told about this instance. */
export type InstanceState = "checking" | "ready" | "starting" | "database-unreachable" | "overloaded" | "shutting-down" | "not-answering";

/** One answer of a service endpoint; `undefined` where none came in time. */
export type Probe = { httpStatus: number; body: unknown } | undefined;

/** `health`: the process lives. `ready`: it has what it needs to take calls. */
export function readInstanceState({ health, ready }: { health: Probe; ready: Probe }): InstanceState {
  if (ready?.httpStatus === 200) return "ready";
  const reason = ready && failedCheck(ready.body);
  if (reason !== undefined) return reason;
  // Alive, or told to wait by the process itself or a proxy before it: no reason to think that it is gone.
  if (health?.httpStatus === 200 || health?.httpStatus === 503) return "starting";
  return "not-answering";
}

/** The reason that explains the others: a process that stops or has no database takes no calls either. */
function failedCheck(body: unknown): InstanceState | undefined {
  const checks = property(body, "checks");
  if (property(checks, "stopping") === true) return "shutting-down";
  if (property(checks, "database") === false) return "database-unreachable";
  if (property(checks, "migrations") === false) return "starting";
  if (property(checks, "accepting") === false) return "overloaded";
  return undefined;
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && name in value ? (value as Record<string, unknown>)[name] : undefined;
}
