/** Numbers or UUIDs as Postgres reads an array of them from text. */
export const arrayLiteral = (values: readonly (bigint | string)[]): string => `{${values.join(",")}}`;
