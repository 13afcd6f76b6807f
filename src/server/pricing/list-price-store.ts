import type { PrismaClient } from "@/generated/prisma/client";
import { LEARNED_SELECT, learnedPriceOf } from "./learned-price";
import type { ListPriceBook } from "./list-price-book";

/** Well below the lead time of new prices (`refresh.ts`), so that every process knows one before it comes into force. */
const POLL_MS = 15_000;
const LOG_FAILURE = "list prices could not be read again; the ones known stay";

/** Keeps a price book up to date with the list prices in the database. */
export type ListPriceStore = {
  /** Reads them unless they are known. Await it once before the first call is priced. */
  load(): Promise<void>;
  /** Looks for new ones every now and then; a failure keeps what is known. */
  start(): void;
  stop(): Promise<void>;
};

type Log = { warn(details: object, message: string): void };

export function createListPriceStore({
  prisma,
  book,
  log,
  pollMs = POLL_MS,
}: {
  prisma: PrismaClient;
  book: ListPriceBook;
  log: Log;
  pollMs?: number;
}): ListPriceStore {
  let knownVersion: string | undefined;
  let loading: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  async function read(): Promise<void> {
    // Rows are only added: how many there are and which is the latest names the state of the table.
    const { _count, _max } = await prisma.price.aggregate({ where: { orgId: null }, _count: true, _max: { createdAt: true } });
    const version = `${_count} ${_max.createdAt?.getTime() ?? 0}`;
    if (version === knownVersion) return;
    const rows = await prisma.price.findMany({
      where: { orgId: null },
      orderBy: [{ createdAt: "asc" }, { id: "asc" }],
      select: LEARNED_SELECT,
    });
    const prices = rows.flatMap((row) => {
      const price = learnedPriceOf(row);
      if (!price)
        log.warn({ priceId: row.id, provider: row.provider, model: row.model }, "a list price cannot be read and changes nothing");
      return price ?? [];
    });
    book.learn(prices);
    // Rows that came between the two queries are read again the next time, as nothing else is lost by it.
    knownVersion = version;
  }

  const load = (): Promise<void> => {
    const next = loading.catch(() => {}).then(read);
    loading = next;
    return next;
  };

  return {
    load,
    start() {
      timer ??= setInterval(() => {
        load().catch((error: unknown) => log.warn({ component: "list-prices", err: error }, LOG_FAILURE));
      }, pollMs).unref();
    },
    async stop() {
      clearInterval(timer);
      timer = undefined;
      await loading.catch(() => {});
    },
  };
}
