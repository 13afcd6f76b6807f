import { describe, expect, it } from "vitest";
import { csvCell, csvText } from "./csv";

// A tag named =HYPERLINK(…) runs in the spreadsheet of whoever opens the export.

describe("CSV", () => {
  it.each(["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])("neutralises %j", (text) => {
    expect(csvCell(text).replace(/^"/, "")).toMatch(/^'/);
  });

  it("leaves numbers as they are", () => {
    expect(csvCell(-1.5)).toBe("-1.5");
    expect(csvCell(null)).toBe("");
  });

  it("quotes what would break a row", () => {
    expect(csvText([["a,b", 'say "hi"', "two\nlines", "plain"]])).toBe('"a,b","say ""hi""","two\nlines",plain\r\n');
  });
});
