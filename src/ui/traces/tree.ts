type Node = { event: { id: string }; parentId: string | null };

/** Ids of those that have something below them. */
export function withChildren(nodes: readonly Node[]): ReadonlySet<string> {
  return new Set(nodes.flatMap(({ parentId }) => parentId ?? []));
}

/** What is left to see when some are folded. Nodes come in the order they are drawn, each after its parent. */
export function shownNodes<T extends Node>(nodes: readonly T[], folded: ReadonlySet<string>): T[] {
  const hidden = new Set<string>();
  return nodes.filter(({ event, parentId }) => {
    const isHidden = parentId !== null && (folded.has(parentId) || hidden.has(parentId));
    if (isHidden) hidden.add(event.id);
    return !isHidden;
  });
}
