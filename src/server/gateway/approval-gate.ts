import { createHash } from "node:crypto";
import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import { publicId } from "@/lib/ids";
import type { Logger } from "@/lib/logger";
import {
  type Approvals,
  type CallToApprove,
  type DeniedCall,
  finishCall,
  isMatch,
  openOrJoinCall,
  openOrJoinIncrease,
  type PolicyConditions,
  useCallApproval,
} from "@/server/approval";
import { createVersionedOrgCache } from "@/server/versioned-org-cache";
import { type Refusal, refusal } from "./refusal";

/** What people are asked before a call goes on (CONTRACT §10). */
export interface ApprovalGate {
  /**
   * Whether a policy wants a person for this call; false at once where the organisation has none for calls. A promise while the
   * policies are read.
   */
  isWanted(call: PolicySubject): boolean | Promise<boolean>;
  /**
   * The approval for a call that a policy wants a person for: the one that the caller names, or a new one that is asked for now and
   * waited for up to `waitMs`. `go`: it is used up by this call, which has to be finished.
   */
  approve(call: CallToApprove & { namedActionId: string | null }, waiting: Waiting): Promise<{ go: string } | { refused: Refusal }>;
  /** The call that used an approval is over. */
  finish(call: { orgId: string; actionId: string; eventId: string; wasSent: boolean }): void;
  /** Asks for a raise of the limit that denied a call, and waits. True: it was approved, and the call may try again. */
  raised(call: DeniedCall, waiting: Waiting): Promise<boolean>;
}

export type PolicySubject = {
  orgId: string;
  configVersion: bigint;
  model: string | null;
  tags: Readonly<Record<string, string>>;
  /** Asked for only where a policy looks at it. Nanodollars; null: unknown. */
  estimate: () => bigint | null;
};

export type Waiting = { waitMs: number; signal: AbortSignal };

/** More calls than this do not wait for one decision: they are denied at once, and may come again. */
const WAITING_PER_ACTION_MAX = 100;
/** Organisations whose policies are kept in memory. */
const ORGS_MAX = 10_000;
/** A call waits for this before it is answered 503. */
const LOAD_TIMEOUT_MS = 1_500;

type HeldPolicies = { configVersion: bigint; conditions: readonly PolicyConditions[] };

export function createApprovalGate({
  prisma,
  clock,
  log,
  approvals,
}: {
  prisma: PrismaClient;
  clock: Clock;
  log: Pick<Logger, "warn">;
  approvals: Pick<Approvals, "deps" | "watch">;
}): ApprovalGate {
  const { deps, watch } = approvals;
  const ctx = { prisma, clock, ip: null };
  const policies = createVersionedOrgCache<HeldPolicies>({
    what: "approval policies",
    timeoutMs: LOAD_TIMEOUT_MS,
    orgsMax: ORGS_MAX,
    read: (orgId) => readPolicies(prisma, orgId),
  });
  const waitingFor = new Map<string, number>();

  function isCovered({ orgId, model, tags, estimate }: PolicySubject): boolean {
    const held = policies.find(orgId);
    if (!held) throw new Error(`the approval policies of ${orgId} were not loaded before they were asked for`);
    return held.conditions.some((each) => {
      const amountNano = each.amountAboveMicrodollars === undefined ? null : estimate();
      return isMatch(each, { actionType: "llm_call", model, amountNano, tags });
    });
  }

  /** The status after waiting; `pending` when nobody has decided in time, or too many wait already. */
  async function decided(action: { orgId: string; id: string }, { waitMs, signal }: Waiting): Promise<string> {
    const waiting = waitingFor.get(action.id) ?? 0;
    if (waitMs === 0 || waiting >= WAITING_PER_ACTION_MAX) return "pending";
    waitingFor.set(action.id, waiting + 1);
    try {
      return await watch.changed({ orgId: action.orgId, actionId: action.id, from: "pending", timeoutMs: waitMs, signal });
    } finally {
      const left = waitingFor.get(action.id)! - 1;
      if (left > 0) waitingFor.set(action.id, left);
      else waitingFor.delete(action.id);
    }
  }

  return {
    isWanted(subject) {
      const loading = policies.ensureLoaded(subject.orgId, subject.configVersion);
      return loading ? loading.then(() => isCovered(subject)) : isCovered(subject);
    },
    async approve({ namedActionId, ...call }, waiting) {
      const { orgId, keyId, bodyHash } = call;
      const use = (actionId: string): Promise<boolean> => useCallApproval(prisma, { orgId, keyId, actionId, bodyHash });
      if (namedActionId !== null && (await use(namedActionId))) return { go: namedActionId };
      const { row } = await openOrJoinCall({ ctx, call, deps });
      const status = await decided({ orgId, id: row.id }, waiting);
      if (status === "approved" && (await use(row.id))) return { go: row.id };
      return { refused: approvalRequired({ actionId: row.id, status, publicUrl: deps.publicUrl }) };
    },
    finish(call) {
      finishCall(ctx, call).catch((error: unknown) =>
        log.warn({ err: error, actionId: call.actionId }, "an approval was not marked as used"),
      );
    },
    async raised(call, waiting) {
      const { row } = await openOrJoinIncrease({ ctx, call, deps });
      return (await decided({ orgId: call.orgId, id: row.id }, waiting)) === "approved";
    },
  };
}

async function readPolicies(prisma: PrismaClient, orgId: string): Promise<HeldPolicies> {
  // The version before the rows: rows may then be newer than it says, never older.
  const { configVersion } = await prisma.organisation.findUniqueOrThrow({ where: { id: orgId }, select: { configVersion: true } });
  const rows = await prisma.approvalPolicy.findMany({
    where: { orgId, enabled: true },
    orderBy: { position: "asc" },
    select: { conditions: true },
  });
  return { configVersion, conditions: rows.map(({ conditions }) => conditions as PolicyConditions) };
}

/** Of the request's bytes: the same request asks once, and an approval is for this request. */
export const hashOfBody = (body: Buffer | undefined): string =>
  createHash("sha256")
    .update(body ?? "")
    .digest("hex");

const SECONDS_MAX = 300;

/** `X-NullSpend-Wait` in milliseconds; 0 where it is absent or no whole number of seconds up to five minutes. */
export function waitMsOf(header: string | undefined): number {
  const text = header?.trim() ?? "";
  return /^\d{1,3}$/.test(text) && Number(text) <= SECONDS_MAX ? Number(text) * 1_000 : 0;
}

function approvalRequired({ actionId, status, publicUrl }: { actionId: string; status: string; publicUrl: string }): Refusal {
  const id = publicId("action", actionId);
  const requestUrl = `${publicUrl}/app/actions/${id}`;
  const outcome =
    status === "rejected"
      ? "a person has rejected this call"
      : status === "expired"
        ? "nobody has decided about this call in time"
        : "a person has to approve this call first";
  return {
    ...refusal("approval_required", `${outcome}: ${requestUrl}; once it is approved, send it again with X-NullSpend-Action-Id: ${id}.`, {
      action_id: id,
      status,
      request_url: requestUrl,
      poll_url: `${publicUrl}/api/actions/${id}`,
    }),
    headers: ["X-NullSpend-Denied", "1", "x-should-retry", "false"],
  };
}
