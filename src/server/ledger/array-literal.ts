/**
 * Numbers, amounts or UUIDs as Postgres reads an array of them from text; null is NULL. The driver would do it too, looking at every
 * element for what has to be escaped: with a thousand calls a statement that is a good part of their cost.
 */
export const arrayLiteral = (values: readonly (bigint | number | string | null)[]): string => {
  let text = "{";
  for (let i = 0; i < values.length; i += 1) text += `${i === 0 ? "" : ","}${values[i] ?? "NULL"}`;
  return `${text}}`;
};

/** Such literals as an array of texts. */
export const arrayOfLiterals = (literals: readonly (string | null)[]): string =>
  arrayLiteral(literals.map((literal) => (literal === null ? null : `"${literal}"`)));
