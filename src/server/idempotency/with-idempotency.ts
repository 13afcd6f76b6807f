import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@/lib/logger";
import type { Prisma, PrismaClient } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";

export type IdempotentAnswer = { status: number; body: Prisma.InputJsonObject };

export type IdempotentAttempt = {
  prisma: PrismaClient;
  log: Pick<Logger, "warn">;
  /** `<org>:<key or user>`, so that the same header value of two callers never meets. */
  principal: string;
  /** Method and path, e.g. `POST /api/keys`. */
  route: string;
  /** The caller's Idempotency-Key. */
  key: string;
  /** SHA-256 of the body. */
  bodyHash: string;
  /** Has the effect. Only what it returns is kept; what it throws frees the key for the next attempt. */
  run: () => Promise<IdempotentAnswer>;
  /** What is kept of the answer for replays. Must take out secrets. */
  withoutSecrets?: (body: Prisma.InputJsonObject) => Prisma.InputJsonObject;
  /** How often and how long a second attempt waits for the first one's answer. */
  waits?: { attempts: number; ms: number };
};

/** A first attempt that did not end within this time has died with its process. Longer than any REST statement may take. */
const CLAIM_SECONDS = 60;
const KEPT_HOURS = 24;

/**
 * Runs a change once per Idempotency-Key and gives its answer again to whoever repeats the request within 24 hours.
 *
 * Guaranteed: of any number of attempts at once, in any number of processes, one runs (the primary key of the record decides), and
 * the rest get its answer, or 409 `conflict` while it still runs. An attempt that fails leaves no record. Not guaranteed: a process
 * that dies between the commit of the effect and that of the record (two transactions, milliseconds apart) leaves an effect without
 * an answer, and the key is free again after a minute. Verbs that must not happen twice even then carry their own unique key, as
 * reported cost events do with their request id.
 */
export async function withIdempotency(attempt: IdempotentAttempt): Promise<IdempotentAnswer & { replayed: boolean }> {
  const { waits = { attempts: 10, ms: 200 } } = attempt;
  for (let tried = 0; tried < waits.attempts; tried++) {
    if (tried > 0) await sleep(waits.ms);
    const claimedAt = await claim(attempt);
    if (claimedAt !== undefined) return { ...(await runClaimed(attempt, claimedAt)), replayed: false };
    const earlier = await findEarlierAnswer(attempt);
    if (earlier) return { ...earlier, replayed: true };
  }
  throw new ServiceError("conflict", "A request with this Idempotency-Key is still being worked on. Try again in a second.");
}

/** Removes what is past its 24 hours. @returns how many, at most `limit`: more are left when it equals it. */
export async function deleteExpiredIdempotencyRecords(prisma: PrismaClient, limit: number): Promise<number> {
  return prisma.$executeRaw`
    DELETE FROM idempotency_record WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM idempotency_record WHERE expires_at < now() LIMIT ${limit} FOR UPDATE SKIP LOCKED))`;
}

/** When this attempt is the one to run: the time of its claim, which tells it from an attempt that took over after it. */
async function claim({ prisma, principal, route, key, bodyHash }: IdempotentAttempt): Promise<Date | undefined> {
  const rows = await prisma.$queryRaw<{ created_at: Date }[]>`
    INSERT INTO idempotency_record AS r (principal, route, key, request_hash, created_at, expires_at)
    VALUES (${principal}, ${route}, ${key}, ${bodyHash}, now(), now() + ${KEPT_HOURS} * interval '1 hour')
    ON CONFLICT (principal, route, key) DO UPDATE
       SET request_hash = excluded.request_hash, status = NULL, response = NULL,
           created_at = excluded.created_at, expires_at = excluded.expires_at
     WHERE r.expires_at < now() OR (r.status IS NULL AND r.created_at < now() - ${CLAIM_SECONDS} * interval '1 second')
    RETURNING r.created_at`;
  return rows[0]?.created_at;
}

async function runClaimed(attempt: IdempotentAttempt, claimedAt: Date): Promise<IdempotentAnswer> {
  let answer: IdempotentAnswer;
  try {
    answer = await attempt.run();
  } catch (error) {
    await free(attempt, claimedAt);
    throw error;
  }
  await keep(attempt, claimedAt, answer);
  return answer;
}

/** Undefined while the first attempt runs, and when it has just failed and freed the key. */
async function findEarlierAnswer({ prisma, principal, route, key, bodyHash }: IdempotentAttempt): Promise<IdempotentAnswer | undefined> {
  const record = await prisma.idempotencyRecord.findUnique({
    where: { principal_route_key: { principal, route, key } },
    select: { requestHash: true, status: true, response: true },
  });
  if (!record) return undefined;
  if (record.requestHash !== bodyHash) {
    throw new ServiceError("idempotency_conflict", "This Idempotency-Key was used with another body. Use a new key for a new request.");
  }
  return record.status === null ? undefined : { status: record.status, body: record.response as Prisma.InputJsonObject };
}

/** The effect is there, so its answer is given whether or not it can be kept. */
async function keep(attempt: IdempotentAttempt, claimedAt: Date, { status, body }: IdempotentAnswer): Promise<void> {
  const { prisma, principal, route, key, log, withoutSecrets = (whole) => whole } = attempt;
  try {
    await prisma.idempotencyRecord.updateMany({
      where: { principal, route, key, createdAt: claimedAt },
      data: { status, response: withoutSecrets(body) },
    });
  } catch (error) {
    log.warn({ err: error, endpoint: route }, "an answer could not be kept for its idempotency key");
  }
}

/** Where the database is away the claim ends by its age; the attempt's own error is the one to tell. */
async function free({ prisma, principal, route, key, log }: IdempotentAttempt, claimedAt: Date): Promise<void> {
  try {
    await prisma.idempotencyRecord.deleteMany({ where: { principal, route, key, createdAt: claimedAt, status: null } });
  } catch (error) {
    log.warn({ err: error, endpoint: route }, "an idempotency key could not be freed");
  }
}
