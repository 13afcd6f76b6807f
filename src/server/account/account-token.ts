import { createHash, randomBytes } from "node:crypto";
import type { Prisma } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";

export type TokenPurpose = "verify_email" | "reset_password";

export const LIFE_MINUTES: Readonly<Record<TokenPurpose, number>> = { verify_email: 24 * 60, reset_password: 30 };

export const hashToken = (token: string): string => createHash("sha256").update(token).digest("hex");

/** A mailed right to do one thing with an account. The only place that sees it in the clear; earlier ones of this purpose end. */
export async function issueToken(
  tx: Prisma.TransactionClient,
  { clock, user, purpose }: { clock: Clock; user: { id: string; email: string }; purpose: TokenPurpose },
): Promise<{ token: string; hash: string }> {
  const token = randomBytes(32).toString("base64url");
  const hash = hashToken(token);
  const now = clock.now();
  await tx.accountToken.updateMany({ where: { userId: user.id, purpose, usedAt: null }, data: { usedAt: new Date(now) } });
  await tx.accountToken.create({
    data: { hash, userId: user.id, purpose, email: user.email, expiresAt: new Date(now + LIFE_MINUTES[purpose] * 60_000) },
    select: { hash: true },
  });
  return { token, hash };
}

/**
 * Uses a token up. Undefined: unknown, used, past its end, of another account than `userId`, or the account has another address by now.
 */
export async function takeToken(
  tx: Prisma.TransactionClient,
  { clock, token, purpose, userId }: { clock: Clock; token: string; purpose: TokenPurpose; userId?: string },
): Promise<{ userId: string; email: string } | undefined> {
  const now = new Date(clock.now());
  const hash = hashToken(token);
  // One statement: of two browsers that open the link at once, one gets it.
  const { count } = await tx.accountToken.updateMany({
    where: { hash, purpose, usedAt: null, expiresAt: { gt: now }, ...(userId !== undefined && { userId }) },
    data: { usedAt: now },
  });
  if (count === 0) return undefined;
  const row = await tx.accountToken.findUniqueOrThrow({
    where: { hash },
    select: { userId: true, email: true, user: { select: { email: true } } },
  });
  return row.user.email === row.email ? { userId: row.userId, email: row.email } : undefined;
}
