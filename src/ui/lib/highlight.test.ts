import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clientSnippets } from "@/ui/landing/snippets";
import { highlight } from "./highlight";

describe("highlight", () => {
  it("never changes a character, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.constantFrom("js" as const, "python" as const, "shell" as const), (code, language) => {
        expect(
          highlight(code, language)
            .map((token) => token.text)
            .join(""),
        ).toBe(code);
      }),
    );
    for (const { code, language } of clientSnippets("https://n.example")) {
      expect(
        highlight(code, language)
          .map((token) => token.text)
          .join(""),
      ).toBe(code);
    }
  });

  it("tells comments from the slashes of a URL", () => {
    expect(highlight("curl https://n.example/v1 # why", "shell")).toContainEqual({ kind: "comment", text: "# why" });
    expect(highlight('const u = "https://n.example"; // why', "js")).toEqual([
      { kind: "keyword", text: "const" },
      { kind: "plain", text: " u = " },
      { kind: "string", text: '"https://n.example"' },
      { kind: "plain", text: "; " },
      { kind: "comment", text: "// why" },
    ]);
  });

  it("names what is set", () => {
    expect(highlight("base_url=x", "python")[0]).toEqual({ kind: "name", text: "base_url" });
    expect(highlight("{ baseURL: x }", "js")[1]).toEqual({ kind: "name", text: "baseURL" });
    expect(highlight("export A=1", "shell")[2]).toEqual({ kind: "name", text: "A" });
  });
});
