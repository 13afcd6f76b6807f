import type { PrismaClient } from "@/generated/prisma/client";

/** Some organisations times a year; what is left is made on another night, and read by the hour until then. */
const DAYS_MADE_MAX = 20_000;
const PAGE = 500;

/**
 * Sums up the days that are over and were not summed up yet, or whose hours changed since. Any number of processes may run it: the
 * database makes each day once.
 */
export async function makeDailySums({
  prisma,
  isStopping = () => false,
}: {
  prisma: PrismaClient;
  isStopping?: () => boolean;
}): Promise<number> {
  let madeCount = 0;
  for (let seen = 0; seen < DAYS_MADE_MAX; seen += PAGE) {
    const days = await prisma.$queryRaw<{ org_id: string; day: string }[]>`
      SELECT hours.org_id, hours.day::text AS day
      FROM (
        SELECT DISTINCT org_id, (hour AT TIME ZONE 'UTC')::date AS day FROM cost_rollup
        WHERE dimension = 'total' AND hour < now() - interval '3 hours'
      ) AS hours
      WHERE NOT EXISTS (SELECT FROM cost_rollup_day_made AS made WHERE made.org_id = hours.org_id AND made.day = hours.day)
        AND hours.day + 1 <= (now() - interval '3 hours') AT TIME ZONE 'UTC'
      ORDER BY hours.day DESC LIMIT ${PAGE}`;
    for (const { org_id, day } of days) {
      if (isStopping()) return madeCount;
      const [answer] = await prisma.$queryRaw<{ made: boolean }[]>`SELECT make_rollup_day(${org_id}::uuid, ${day}::date) AS made`;
      if (answer?.made) madeCount += 1;
    }
    if (days.length < PAGE) break;
  }
  return madeCount;
}
