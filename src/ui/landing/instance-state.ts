/** What a visitor is told about this instance. */
export type InstanceState = "checking" | "ready" | "starting" | "database-unreachable" | "shutting-down" | "not-answering";

/** One answer of a service endpoint; `undefined` where none came. */
export type Probe = { httpStatus: number; body: unknown } | undefined;

/** `health`: the process lives. `ready`: it has what it needs to take calls. */
export function readInstanceState({ health, ready }: { health: Probe; ready: Probe }): InstanceState {
  if (ready?.httpStatus === 200) return "ready";
  const reason = reasonOf(ready?.body);
  if (reason !== undefined) return reason;
  // Something answers, and it is not us: a proxy in front, or the process before its pages are up.
  if (health?.httpStatus === 200 || health?.httpStatus === 503) return "starting";
  return "not-answering";
}

/** Why `/api/ready` is not ready, in its own words. */
function reasonOf(body: unknown): InstanceState | undefined {
  if (typeof body !== "object" || body === null || !("status" in body)) return undefined;
  switch (body.status) {
    case "database_unreachable":
      return "database-unreachable";
    case "shutting_down":
      return "shutting-down";
    case "starting":
      return "starting";
    default:
      return undefined;
  }
}
