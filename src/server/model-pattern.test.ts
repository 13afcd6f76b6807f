import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matchesModelPattern } from "./model-pattern";

describe("model patterns", () => {
  it.each([
    ["gpt-5", "gpt-5", true],
    ["gpt-5", "gpt-5-mini", false],
    ["gpt-5*", "gpt-5", true],
    ["*", "", true],
    ["a*a", "a", false],
    ["a*b*c", "abc", true],
    ["a*bc*c", "abc", false],
    ["*mini*", "gpt-5-mini-2025", true],
    ["gpt.5", "gpt-5", false],
  ])("%s matches %s: %s", (pattern, model, expected) => {
    expect(matchesModelPattern(pattern, model)).toBe(expected);
  });

  it("agree with a regular expression for any pattern", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "-", "."), maxLength: 8 });
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), text, (parts, model) => {
        const escaped = parts.map((part) => part.replace(/[.-]/g, "\\$&"));
        expect(matchesModelPattern(parts.join("*"), model)).toBe(new RegExp(`^${escaped.join(".*")}$`).test(model));
      }),
    );
  });
});
