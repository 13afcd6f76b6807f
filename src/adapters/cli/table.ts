type Cell = string | number | null | readonly string[];

/** Columns as wide as their widest cell. */
export function table<Column extends string>(columns: readonly Column[], rows: readonly Record<Column, Cell>[]): string {
  if (rows.length === 0) return "None.";
  const lines = [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]!.length)));
  return lines
    .map((line) =>
      line
        .map((text, index) => text.padEnd(widths[index]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Names come from people: control characters would move the operator's cursor. */
function cell(value: Cell): string {
  if (value === null) return "-";
  const text = typeof value === "object" ? value.join(",") : String(value);
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
