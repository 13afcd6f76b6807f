/** The palette of charts; both themes are checked for 3:1 in `tokens.test.ts`. */
export const SERIES_COLOURS = [1, 2, 3, 4, 5, 6, 7, 8].map((at) => `var(--series-${at})`);
/** For what was too small for a colour of its own. */
export const OTHER_COLOUR = "var(--series-other)";
/** The id of the sum of what is not shown on its own. */
export const OTHER_ID = "__other__";

function hash(text: string): number {
  let value = 2_166_136_261;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 16_777_619);
  return value >>> 0;
}

/**
 * A colour for each entity: its own on every chart, as far as nobody before it in the list has the same. A ninth entity starts the
 * palette anew.
 */
export function seriesColours(ids: readonly string[]): ReadonlyMap<string, string> {
  const taken = new Set<number>();
  const colours = new Map<string, string>();
  for (const id of ids) {
    if (id === OTHER_ID) {
      colours.set(id, OTHER_COLOUR);
      continue;
    }
    if (taken.size === SERIES_COLOURS.length) taken.clear();
    let at = hash(id) % SERIES_COLOURS.length;
    while (taken.has(at)) at = (at + 1) % SERIES_COLOURS.length;
    taken.add(at);
    colours.set(id, SERIES_COLOURS[at] ?? OTHER_COLOUR);
  }
  return colours;
}
