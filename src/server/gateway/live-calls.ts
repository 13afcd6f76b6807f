import { setTimeout as sleep } from "node:timers/promises";
import type { PrismaClient } from "@/generated/prisma/client";
import type { Logger } from "@/lib/logger";
import type { HeldFreeze } from "@/server/budget";

/** A call that has been handed to its provider and has not ended. */
export type LiveCall = {
  readonly orgId: string;
  readonly keyId: string;
  readonly customerId: string | null;
  /** Ends the call now. Asked once at most. */
  freeze(by: HeldFreeze): void;
};

/** Every call on its way through this process, so that a freeze also ends what it found running (CONTRACT §6). */
export interface LiveCalls {
  add(call: LiveCall): void;
  remove(call: LiveCall): void;
}

/** A freeze has a second to reach every live stream, reading it and ending the answer between two events included. */
const POLL_MS = 300;

/**
 * The freezes of the organisations that have calls open are read while any is open, and only then. Where they cannot be read the
 * calls go on: an outage of the database does not disturb what was admitted.
 */
export function createLiveCalls({
  prisma,
  log,
  pollMs = POLL_MS,
}: {
  prisma: PrismaClient;
  log: Pick<Logger, "warn">;
  pollMs?: number;
}): LiveCalls {
  const calls = new Set<LiveCall>();
  let watching = false;

  async function watch(): Promise<void> {
    watching = true;
    let isFailing = false;
    for (;;) {
      await sleep(pollMs, undefined, { ref: false });
      if (calls.size === 0) break;
      try {
        await endFrozen();
        isFailing = false;
      } catch (error) {
        if (!isFailing) log.warn({ err: error }, "freezes cannot be read; live calls go on meanwhile");
        isFailing = true;
      }
    }
    watching = false;
  }

  async function endFrozen(): Promise<void> {
    const freezes = await readFreezes(prisma, [...new Set([...calls].map(({ orgId }) => orgId))]);
    if (freezes.size === 0) return;
    for (const call of calls) {
      const freeze =
        freezes.get(keyOf(call.orgId, "org", "org")) ??
        freezes.get(keyOf(call.orgId, "api_key", call.keyId)) ??
        (call.customerId === null ? undefined : freezes.get(keyOf(call.orgId, "customer", call.customerId)));
      if (!freeze) continue;
      calls.delete(call);
      call.freeze(freeze);
    }
  }

  return {
    add(call) {
      calls.add(call);
      if (!watching) void watch();
    },
    remove: (call) => void calls.delete(call),
  };
}

const keyOf = (orgId: string, entityType: HeldFreeze["entityType"], entityId: string): string => `${orgId}\n${entityType}\n${entityId}`;

async function readFreezes(prisma: PrismaClient, orgIds: string[]): Promise<Map<string, HeldFreeze>> {
  const rows = await prisma.freeze.findMany({
    where: { orgId: { in: orgIds }, liftedAt: null },
    select: { id: true, orgId: true, entityType: true, entityId: true, reason: true },
  });
  return new Map(
    rows.map(({ orgId, ...row }) => {
      // The verbs of server/freeze are the only writers of the column.
      const entityType = row.entityType as HeldFreeze["entityType"];
      return [keyOf(orgId, entityType, row.entityId), { ...row, entityType }];
    }),
  );
}
