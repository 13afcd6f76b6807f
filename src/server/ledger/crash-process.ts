import { writeSync } from "node:fs";
import { systemClock } from "@/lib/clock";
import { uuidv7 } from "@/lib/ids";
import { nanoUsd } from "@/lib/money";
import type { LedgerBudget } from "./budget-line";
import { createLedger } from "./ledger";
import { createSettleDoor } from "./settle";
import { costEvent, recordingLog } from "./testing";

/**
 * A process of ledger.crash.test.ts: reserves, "sends" and settles calls until it is killed, or sweeps. Written to stdout before
 * anything else happens: the ids of the calls that were sent, which is what a provider would have seen.
 */
export type CrashTask = { connectionString: string; orgId: string; budgets: LedgerBudget[]; work: "calls" | "unlimited" | "sweep" };

const task = JSON.parse(process.argv[2]!, (key, value: unknown) =>
  key.endsWith("Nano") && typeof value === "string" ? BigInt(value) : value,
) as CrashTask;
const { connectionString, orgId, budgets } = task;
const log = recordingLog();
const ledger = createLedger({ connectionString, clock: systemClock, log });
const door = createSettleDoor({ connectionString, clock: systemClock, log });

async function call(i: number): Promise<void> {
  const callId = uuidv7(Date.now());
  const event = costEvent({ orgId, id: callId, requestId: callId, chargedNano: nanoUsd(7n), costNano: nanoUsd(7n) });
  const answer = await ledger.reserve({
    callId,
    orgId,
    configVersion: 1n,
    sessionId: null,
    lines: budgets.map((budget) => ({ budget, bound: nanoUsd(100n) })),
    floor: nanoUsd(10n),
    draft: event,
  });
  if (answer.outcome !== "held") return;
  writeSync(1, `${callId}\n`);
  if (i % 3 === 0) await ledger.extendTo(callId, nanoUsd(120n));
  await door.settle({ event, budgets: { held: true } });
}

/** A call that no budget limits, and that never ends. */
function callWithoutBudget(): void {
  const callId = uuidv7(Date.now());
  ledger.watch({ callId, orgId, draft: () => costEvent({ orgId, id: callId, requestId: callId, status: "interrupted" }) });
  writeSync(1, `${callId}\n`);
}

if (task.work === "unlimited") {
  ledger.start();
  for (let i = 0; i < 700; i += 1) callWithoutBudget();
  setInterval(() => {}, 60_000);
} else if (task.work === "sweep") {
  await ledger.sweep();
  await ledger.stop();
  await door.stop();
} else {
  // Longer than any failpoint takes to be reached.
  for (let round = 0; round < 500; round += 1) await Promise.all(Array.from({ length: 20 }, (_, i) => call(i)));
}
