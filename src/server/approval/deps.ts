import type { Prisma } from "@/generated/prisma/client";
import type { ActionRow } from "./public-action";

/** What approvals need of the process beside the database. */
export type ApprovalDeps = {
  /** The origin of our own pages, without a slash at the end. */
  publicUrl: string;
  /**
   * Tells the people who may decide a new action, in its transaction: mail with a link each. `approvers` are asked again later with a
   * reminder, or when it is escalated.
   */
  ask(tx: Prisma.TransactionClient, question: { row: ActionRow; reason: "created" | "reminder" | "escalated" }): Promise<void>;
  /** After the commit: an action has another state. */
  onChange(change: { orgId: string; actionId: string; status: string; budgetId: string | null }): void;
};
