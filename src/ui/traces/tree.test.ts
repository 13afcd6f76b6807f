import { describe, expect, it } from "vitest";
import { shownNodes, withChildren } from "./tree";

const node = (id: string, parentId: string | null = null) => ({ event: { id }, parentId });
const nodes = [node("a"), node("b", "a"), node("c", "b"), node("d", "a"), node("e")];
const idsOf = (folded: string[]): string[] => shownNodes(nodes, new Set(folded)).map(({ event }) => event.id);

describe("a trace's tree", () => {
  it("hides all that is below a folded call, however deep, and nothing else", () => {
    expect(idsOf([])).toEqual(["a", "b", "c", "d", "e"]);
    expect(idsOf(["b"])).toEqual(["a", "b", "d", "e"]);
    expect(idsOf(["a"])).toEqual(["a", "e"]);
    expect(idsOf(["a", "b"])).toEqual(["a", "e"]);
  });

  it("can be folded where there is something below", () => {
    expect([...withChildren(nodes)].toSorted()).toEqual(["a", "b"]);
  });
});
