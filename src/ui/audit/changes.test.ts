import { describe, expect, it } from "vitest";
import { changesBetween } from "./changes";

describe("changesBetween", () => {
  it("names what differs and nothing else", () => {
    expect(changesBetween({ name: "a", limit: 5, tags: ["x"] }, { name: "b", limit: 5, tags: ["x", "y"] })).toEqual([
      { field: "name", before: "a", after: "b" },
      { field: "tags", before: '["x"]', after: '["x","y"]' },
    ]);
  });

  it("shows everything of what was made or deleted", () => {
    expect(changesBetween(null, { name: "a" })).toEqual([{ field: "name", before: undefined, after: "a" }]);
    expect(changesBetween({ name: "a", until: null }, null)).toEqual([
      { field: "name", before: "a", after: undefined },
      { field: "until", before: "null", after: undefined },
    ]);
    expect(changesBetween(null, null)).toEqual([]);
  });
});
