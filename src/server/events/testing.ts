import { onTestFinished } from "vitest";
import type { PrismaClient } from "@/generated/prisma/client";
import { systemClock, type Clock } from "@/lib/clock";
import { uuidv7 } from "@/lib/ids";
import type { Scope } from "@/server/api-key";
import type { Ctx, Principal } from "@/server/context";
import { costEvent, openDoor } from "@/server/ledger/testing";
import type { TestDatabase } from "@/testing/database";
import type { CostEventRecord } from "./cost-event";

/** Helpers of the tests in this folder. */

export const clockAt = (nowMs: number): Clock => ({ ...systemClock, now: () => nowMs });

export function ctxOf(prisma: PrismaClient, principal: Principal, clock: Clock = systemClock): Ctx {
  return { prisma, clock, principal, ip: null };
}

export const viewer = (orgId: string, userId = "00000000-0000-7000-8000-000000000001"): Principal => ({
  type: "user",
  orgId,
  userId,
  role: "viewer",
});

export const keyWith = (key: { orgId: string; keyId: string; userId: string }, ...scopes: Scope[]): Principal => ({
  type: "api_key",
  ...key,
  role: "owner",
  scopes: new Set(scopes),
});

/** An event dated `createdAtMs`, with an id of that time. */
export function eventAt(createdAtMs: number, fields: Partial<CostEventRecord> & { orgId: string }): CostEventRecord {
  const id = `${idPrefix(createdAtMs)}${uuidv7(createdAtMs).slice(13)}`;
  return costEvent({ createdAtMs, id, ...fields });
}

function idPrefix(ms: number): string {
  const time = ms.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}`;
}

export async function settleAll(database: TestDatabase, events: readonly CostEventRecord[]): Promise<void> {
  const door = openDoor({ connectionString: database.connectionString });
  await Promise.all(events.map((event) => door.settle({ event })));
  await door.stop();
}

export function newDoor(database: TestDatabase, options: Partial<Parameters<typeof openDoor>[0]> = {}) {
  const door = openDoor({ connectionString: database.connectionString, ...options });
  onTestFinished(() => door.stop());
  return door;
}
