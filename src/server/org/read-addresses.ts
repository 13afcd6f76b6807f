import { normaliseEmail } from "@/server/account/email-address";

export type ReadAddress = { written: string; email: string | undefined };

/** As long as a line of a person's address book; what is longer is shown cut. */
const WRITTEN_LENGTH_MAX = 320;

/**
 * Addresses as people paste them: separated by lines, commas, semicolons or tabs, bare or as `Name <address>`, where a quoted name
 * may hold separators of its own. Each address once, in the order written; what is none comes back without an `email`.
 */
export function readAddresses(pasted: string | readonly string[]): ReadAddress[] {
  const text = typeof pasted === "string" ? pasted : pasted.join("\n");
  const seen = new Set<string>();
  return splitOutsideQuotes(text).flatMap((part): ReadAddress[] => {
    const written = part.trim();
    if (written === "") return [];
    // Of `Name <address>` only what the brackets hold; with several brackets it is no address.
    const inBrackets = /^[^<>]*<([^<>]*)>$/.exec(written.replace(/"[^"\n]*"/g, ""));
    const pieces = inBrackets ? [inBrackets[1]!] : written.split(/\s+/);
    return pieces.flatMap((piece) => {
      const email = normaliseEmail(piece);
      const key = email ?? piece;
      if (seen.has(key)) return [];
      seen.add(key);
      return [{ written: piece.slice(0, WRITTEN_LENGTH_MAX), email }];
    });
  });
}

/** A quote that is not closed on its line is a character like any other. */
function splitOutsideQuotes(text: string): string[] {
  return text.match(/(?:"[^"\r\n]*"|[^,;\r\n\t])+/g) ?? [];
}
