/** What waits to be written, in the order of arrival, and how much memory it holds. */
export type BatchQueue<Item> = {
  push(item: Item): void;
  /** Takes the oldest items out, at least one while there is any, up to a number and a size. */
  take(limits: { itemsMax: number; bytesMax: number }): Item[];
  /** The oldest, left where it is; undefined when there is none. */
  readonly first: Item | undefined;
  readonly length: number;
  readonly bytes: number;
};

/** Taken items leave a gap at the front; it is closed when it is longer than this and than what follows it. */
const GAP_MAX = 1024;

export function createBatchQueue<Item extends { readonly bytes: number }>(): BatchQueue<Item> {
  let items: Item[] = [];
  let head = 0;
  let bytes = 0;
  return {
    push(item) {
      items.push(item);
      bytes += item.bytes;
    },
    take({ itemsMax, bytesMax }) {
      let end = head;
      let taken = 0;
      while (end < items.length && end - head < itemsMax) {
        const size = items[end]!.bytes;
        if (end > head && taken + size > bytesMax) break;
        taken += size;
        end += 1;
      }
      const batch = items.slice(head, end);
      head = end;
      bytes -= taken;
      if (head > GAP_MAX && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return batch;
    },
    get first() {
      return items[head];
    },
    get length() {
      return items.length - head;
    },
    get bytes() {
      return bytes;
    },
  };
}
