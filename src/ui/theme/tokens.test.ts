import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

// Colours are edited by eye, and a theme nobody has on is the one that becomes unreadable.

const css = readFileSync(new URL("../../app/globals.css", import.meta.url), "utf8");
const tokens = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);/g)].map(([, name, light, dark]) => [
    name!,
    { light: light!, dark: dark! },
  ]),
);
const grounds = ["canvas", "surface", "sunken"];

function luminance(hex: string): number {
  const [red, green, blue] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((channel) => (channel <= 0.03928 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

/** WCAG 2.2 contrast ratio. */
function contrast(theme: "light" | "dark", one: string, other: string): number {
  const [a, b] = [one, other].map((name) => luminance(tokens.get(name)![theme])).sort((x, y) => y - x);
  return (a! + 0.05) / (b! + 0.05);
}

describe.each(["light", "dark"] as const)("%s theme", (theme) => {
  it.each(["ink", "ink-muted", "accent", "positive", "warning", "danger", "code-keyword", "code-string", "code-name", "code-comment"])(
    "%s is readable text on every ground",
    (text) => {
      for (const ground of [...grounds, "accent-soft"]) expect(contrast(theme, text, ground), ground).toBeGreaterThanOrEqual(4.5);
    },
  );

  it("a state is readable on its own soft ground", () => {
    for (const state of ["positive", "warning", "danger"])
      expect(contrast(theme, state, `${state}-soft`), state).toBeGreaterThanOrEqual(4.5);
  });

  it("lines and bars of charts can be seen on every ground", () => {
    for (const name of ["1", "2", "3", "4", "5", "6", "7", "8", "other"])
      for (const ground of grounds)
        expect(contrast(theme, `series-${name}`, ground), `series-${name} on ${ground}`).toBeGreaterThanOrEqual(3);
  });

  it("text on areas filled with danger is readable", () => {
    expect(contrast(theme, "ink-inverse", "danger")).toBeGreaterThanOrEqual(4.5);
  });

  it("text on ink is readable", () => {
    expect(contrast(theme, "ink-inverse", "ink")).toBeGreaterThanOrEqual(4.5);
  });

  it("edges of controls and the focus ring can be seen", () => {
    for (const ground of grounds) {
      expect(contrast(theme, "line-strong", ground), ground).toBeGreaterThanOrEqual(3);
      expect(contrast(theme, "accent", ground), ground).toBeGreaterThanOrEqual(3);
    }
  });
});
