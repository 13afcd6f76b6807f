type Values = Readonly<Record<string, unknown>>;

/** The log holds objects; anything else has no fields to compare. */
const valuesOf = (state: unknown): Values => (typeof state === "object" && state !== null ? (state as Values) : {});

export type FieldChange = { field: string; before: string | undefined; after: string | undefined };

/** What differs between two states, field by field, in the order of the new one. Undefined: the field was not there. */
export function changesBetween(stateBefore: unknown, stateAfter: unknown): FieldChange[] {
  const [before, after] = [valuesOf(stateBefore), valuesOf(stateAfter)];
  const fields = [...new Set([...Object.keys(after), ...Object.keys(before)])];
  return fields
    .map((field) => ({ field, before: textOf(before[field]), after: textOf(after[field]) }))
    .filter((change) => change.before !== change.after);
}

function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}
