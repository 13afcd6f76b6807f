import type { PrismaClient } from "@/generated/prisma/client";
import type { Role } from "@/generated/prisma/enums";
import { type Clock, systemClock } from "@/lib/clock";
import type { BusMessage } from "@/server/bus";
import type { Ctx } from "@/server/context";
import type { OrgDeps } from "./deps";
import { createOrgDeps } from "./deps";

/** Helpers of the tests in this folder. */

export type RecordingDeps = OrgDeps & { told: BusMessage[] };

export function recordingDeps(): RecordingDeps {
  const told: BusMessage[] = [];
  return { ...createOrgDeps({ publicUrl: "https://nullspend.example", bus: { publish: (message) => void told.push(message) } }), told };
}

/** A person's context, with the role that a request would have read. */
export function ctxOf(
  prisma: PrismaClient,
  { orgId, userId, role }: { orgId: string; userId: string; role: Role },
  clock: Clock = systemClock,
): Ctx {
  return { prisma, clock, ip: "203.0.113.7", principal: { type: "user", orgId, userId, role } };
}

/** The token in the newest invitation mail to an address: nothing else has it in the clear. */
export async function mailedToken(prisma: PrismaClient, email: string): Promise<string> {
  const { text } = await prisma.mail.findFirstOrThrow({
    where: { recipient: email, dedupeKey: { startsWith: "invitation:" } },
    orderBy: { createdAt: "desc" },
    select: { text: true },
  });
  return /\/invite\/([\w-]{43})/.exec(text)![1]!;
}
