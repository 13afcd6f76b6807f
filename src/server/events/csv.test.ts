import fc from "fast-check";
import { expect, it } from "vitest";
import { csvLine } from "./csv";

it.each([
  [["a", 1, null, "b"], "a,1,,b\r\n"],
  [['say "hi"', "a,b", "two\nlines"], '"say ""hi""","a,b","two\nlines"\r\n'],
  [["=1+1", "+1", "-1", "@SUM(A1)", "\tx"], "'=1+1,'+1,'-1,'@SUM(A1),'\tx\r\n"],
  [['=HYPERLINK("http://evil")'], '"\'=HYPERLINK(""http://evil"")"\r\n'],
  [[-1, 0.5], "-1,0.5\r\n"],
])("%j", (cells, line) => expect(csvLine(cells)).toBe(line));

it("any texts read back as they were, but for the apostrophe, and none begins as a formula", () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 2, maxLength: 6 }), (cells) => {
      const read = readCsvLine(csvLine(cells));
      expect(read.map((cell, i) => (cell === cells[i] ? cell : cell.slice(1)))).toEqual(cells);
      for (const cell of read) expect(cell).not.toMatch(/^[=+\-@\t\r]/);
    }),
  );
});

/** RFC 4180 §2, for one record. */
function readCsvLine(line: string): string[] {
  const cells: string[] = [];
  let at = 0;
  while (at < line.length) {
    if (line[at] === '"') {
      const end = /^"((?:[^"]|"")*)"/.exec(line.slice(at))!;
      cells.push(end[1]!.replaceAll('""', '"'));
      at += end[0].length + (line[at + end[0].length] === "," ? 1 : 2);
    } else {
      const end = /^[^,\r]*/.exec(line.slice(at))![0];
      cells.push(end);
      at += end.length + (line[at + end.length] === "," ? 1 : 2);
    }
  }
  return cells;
}
