import { describe, expect, it } from "vitest";
import { UsageFields, decimalText } from "./usage-fields";

describe("usage fields", () => {
  it("names what is no count, and what nobody asked for", () => {
    const fields = new UsageFields({ a: 1, b: -1, c: "2", d: 1.5, e: null, f: 0, g: { h: 3, i: 0, j: [4], k: 5 }, z: 0, total: 9 });
    expect(["a", "b", "c", "d", "e", "f", "missing"].map((name) => fields.count(name))).toEqual([
      1,
      undefined,
      undefined,
      undefined,
      undefined,
      0,
      undefined,
    ]);
    expect(fields.count("g", "h")).toBe(3);
    expect(fields.unreadable).toEqual(["b", "c", "d"]);
    expect(fields.unknownUnits(new Set(["total"]))).toEqual(["g.j.0", "g.k"]);
  });

  it("takes nothing from a prototype", () => {
    expect(new UsageFields({}).count("constructor", "length")).toBeUndefined();
    expect(new UsageFields({ toString: 5 }).count("toString")).toBe(5);
  });

  it.each([
    [0, "0"],
    [0.00014, "0.00014"],
    [1e-7, "0.0000001"],
    [1.25e-9, "0.00000000125"],
    [12.5, "12.5"],
    [-1, undefined],
    [Number.NaN, undefined],
    [1e22, undefined],
  ])("writes %d as %s", (value, text) => {
    expect(decimalText(value)).toBe(text);
  });
});
