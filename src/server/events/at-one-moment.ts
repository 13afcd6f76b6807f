import type { PrismaClient } from "@/generated/prisma/client";
import type { Ctx } from "@/server/context";

/** Longer than any report takes on a busy machine; a statement that hangs gives its connection back. */
const TIMEOUT_MS = 15_000;

/**
 * Runs the statements of one answer on one state of the database: parts and totals of different moments would not add up while calls
 * settle.
 */
export function atOneMoment<T>(ctx: Ctx, read: (ctx: Ctx) => Promise<T>): Promise<T> {
  return ctx.prisma.$transaction(
    async (tx) => {
      // Compiling a report takes longer than running it, and thousands of groups do not fit into the standard memory of a sort.
      await tx.$queryRaw`SELECT set_config('jit', 'off', true), set_config('work_mem', '32MB', true)`;
      return read({ ...ctx, prisma: asClient(tx) });
    },
    { isolationLevel: "RepeatableRead", timeout: TIMEOUT_MS },
  );
}

/** A transaction has all of a client but what begins and ends connections, which no verb does. */
const asClient = (tx: unknown): PrismaClient => tx as PrismaClient;
