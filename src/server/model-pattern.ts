/** `*` stands for any run of characters; everything else is literal; the whole name must match. Linear in the name's length. */
export function matchesModelPattern(pattern: string, model: string): boolean {
  const parts = pattern.split("*");
  if (parts.length === 1) return pattern === model;
  const first = parts[0]!;
  const last = parts.at(-1)!;
  if (model.length < first.length + last.length || !model.startsWith(first) || !model.endsWith(last)) return false;
  let at = first.length;
  const end = model.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = model.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
