import type { PrismaClient } from "@/generated/prisma/client";
import type { Logger } from "@/lib/logger";
import { makeDailySums } from "@/server/events";
import { deleteExpiredIdempotencyRecords } from "@/server/idempotency";
import { deleteOldMail } from "@/server/notification";
import { type FetchText, LIST_PROVIDERS, type ListPriceStore, listProviderOf, refreshListPrices } from "@/server/pricing";
import type { Job } from "./job-runner";

/** Short statements: each holds the rows it deletes, and nobody waits for the whole. */
const DELETED_AT_ONCE = 1_000;
/** A million records; what is left is deleted the next day. */
const DELETIONS_MAX = 1_000;

/** What a process does once a day. Several processes doing it have the effect of one: the price refresh takes a lock, deletions skip what is locked. */
export function createMaintenanceJobs({
  prisma,
  listPrices,
  refreshPrices,
  upstreamNames,
  log,
  fetch,
}: {
  prisma: PrismaClient;
  listPrices: Pick<ListPriceStore, "load">;
  /** Whether the published price list may be read from the internet. */
  refreshPrices: boolean;
  /** Of the allow-list: those that are a known provider have their prices refreshed, too. */
  upstreamNames: readonly string[];
  log: Pick<Logger, "info" | "warn">;
  fetch?: FetchText;
}): Job[] {
  const cleaning: Job = {
    name: "idempotency-cleanup",
    hourOfDay: 3,
    async run() {
      for (let deletions = 0; deletions < DELETIONS_MAX; deletions += 1) {
        if ((await deleteExpiredIdempotencyRecords(prisma, DELETED_AT_ONCE)) < DELETED_AT_ONCE) return;
      }
    },
  };
  const cleaningMail: Job = {
    name: "mail-cleanup",
    hourOfDay: 3,
    async run() {
      for (let deletions = 0; deletions < DELETIONS_MAX; deletions += 1) {
        if ((await deleteOldMail(prisma, DELETED_AT_ONCE)) < DELETED_AT_ONCE) return;
      }
    },
  };
  const summing: Job = {
    name: "daily-sums",
    // Yesterday is over for three hours by then.
    hourOfDay: 4,
    async run() {
      const count = await makeDailySums({ prisma });
      log.info({ component: "daily-sums", count }, "days were summed up");
    },
  };
  if (!refreshPrices) return [cleaning, cleaningMail, summing];
  const named = upstreamNames.flatMap((name) => listProviderOf(name)?.id ?? []);
  const providers = [...new Set([...LIST_PROVIDERS, ...named])];
  const refreshing: Job = {
    name: "price-refresh",
    hourOfDay: 2,
    async run() {
      const report = await refreshListPrices({ prisma, providers, ...(fetch && { fetch }) });
      log.info({ component: "price-refresh", count: report.inserted.length }, "new list prices were written down");
      if (report.held.length > 0) {
        log.warn({ component: "price-refresh", count: report.held.length }, "list prices wait for a decision: nullspend price proposals");
      }
      await listPrices.load();
    },
  };
  return [refreshing, cleaning, cleaningMail, summing];
}
