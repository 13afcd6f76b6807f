import type { PrismaClient } from "@/generated/prisma/client";

export type IntegrityCheck = "limit" | "reserved" | "spent" | "resolved_once" | "expired";

export type Violation = {
  check: IntegrityCheck;
  /** In words, with the figures. */
  message: string;
};

/** How long past its lease a hold may wait for a sweep before that is a fault. */
const SWEEP_GRACE_SECONDS = 60;

/**
 * The ledger's invariants (DESIGN §4) of one organisation, checked now, all in one snapshot. Empty: all hold. Amounts in the messages are
 * nanodollars.
 */
export async function violationsOf(prisma: PrismaClient, orgId: string): Promise<Violation[]> {
  const [limit, reserved, spent, resolved, expired] = await prisma.$transaction(
    [
      prisma.$queryRaw<{ message: string }[]>`
        SELECT format('balance %s: %s spent and %s held are above the limit of %s and the excess of %s', id, spent_nano, reserved_nano, limit_nano, excess_nano) AS message
        FROM budget_balance
        WHERE org_id = ${orgId}::uuid AND kind IN (0, 3) AND spent_nano::numeric + reserved_nano > limit_nano::numeric + excess_nano`,
      prisma.$queryRaw<{ message: string }[]>`
        SELECT format('balance %s says %s held, its reservations add up to %s', b.id, b.reserved_nano, coalesce(h.sum, 0)) AS message
        FROM budget_balance b
        LEFT JOIN (
          SELECT line.id, sum(line.amount) AS sum
          FROM reservation r, LATERAL unnest(r.balance_ids, r.amounts) AS line (id, amount)
          WHERE r.org_id = ${orgId}::uuid AND r.state = 'held' GROUP BY line.id
        ) h ON h.id = b.id
        WHERE b.org_id = ${orgId}::uuid AND b.reserved_nano <> coalesce(h.sum, 0)`,
      prisma.$queryRaw<{ message: string }[]>`
        SELECT format('balance %s says %s spent, its events add up to %s', b.id, b.spent_nano, coalesce(e.sum, 0)) AS message
        FROM budget_balance b
        LEFT JOIN (
          SELECT line.id, sum(e.charged_nano) AS sum
          FROM cost_event e, LATERAL unnest(e.balance_ids) AS line (id)
          WHERE e.org_id = ${orgId}::uuid AND cardinality(e.balance_ids) > 0 GROUP BY line.id
        ) e ON e.id = b.id
        WHERE b.org_id = ${orgId}::uuid AND b.spent_nano <> coalesce(e.sum, 0)`,
      prisma.$queryRaw<{ message: string }[]>`
        SELECT format('call %s is settled and still held', r.call_id) AS message
        FROM reservation r JOIN cost_event e ON e.org_id = r.org_id AND e.id = r.call_id
        WHERE r.org_id = ${orgId}::uuid AND r.state = 'held' AND cardinality(r.balance_ids) > 0`,
      prisma.$queryRaw<{ message: string }[]>`
        SELECT format('the hold of call %s ran out at %s and was not settled', call_id, lease_until) AS message
        FROM reservation
        WHERE org_id = ${orgId}::uuid AND state = 'held' AND lease_until < now() - make_interval(secs => ${SWEEP_GRACE_SECONDS}::int)`,
    ],
    { isolationLevel: "RepeatableRead" },
  );
  const of = (check: IntegrityCheck, rows: { message: string }[]): Violation[] => rows.map(({ message }) => ({ check, message }));
  return [
    ...of("limit", limit),
    ...of("reserved", reserved),
    ...of("spent", spent),
    ...of("resolved_once", resolved),
    ...of("expired", expired),
  ];
}
