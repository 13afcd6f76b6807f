/** Whether the runtime knows a time zone of this name. Offsets such as `+01:00` are names to it as well, and know no summer time. */
export function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
