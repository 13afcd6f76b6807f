"use client";

import { useQuery } from "@tanstack/react-query";
import { Badge } from "@/ui/kit/badge";
import { CopyId } from "@/ui/kit/copy-id";
import { Drawer } from "@/ui/kit/drawer";
import { ErrorState } from "@/ui/kit/empty-state";
import { Link } from "@/ui/kit/link";
import { Money } from "@/ui/kit/money";
import { KeyValueList } from "@/ui/kit/page";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Time } from "@/ui/kit/time";
import { useOrgPath } from "@/ui/shell/shell-context";
import { errorOf, useTRPC } from "@/ui/trpc";
import { type Action, actionTitle, STATUS_WORDS } from "./action-words";

/** Everything about one action: what was sent, its states with their times, and what it has cost. */
export function ActionDrawer({ actionId, onClose }: { actionId: string | null; onClose: () => void }) {
  const trpc = useTRPC();
  const action = useQuery(trpc.actions.get.queryOptions({ id: actionId ?? "" }, { enabled: actionId !== null }));
  return (
    <Drawer
      open={actionId !== null}
      onOpenChange={(open) => !open && onClose()}
      title={action.data === undefined ? "Action" : actionTitle(action.data)}
    >
      {action.isError ? (
        <ErrorState title="The action could not be loaded" referenceId={errorOf(action.error).reference ?? undefined}>
          {errorOf(action.error).message}
        </ErrorState>
      ) : action.data === undefined ? (
        <SkeletonRows rows={6} label="Loading the action" />
      ) : (
        <ActionDetails action={action.data} />
      )}
    </Drawer>
  );
}

function ActionDetails({ action }: { action: Action }) {
  const trpc = useTRPC();
  const path = useOrgPath();
  const costs = useQuery(trpc.actions.costs.queryOptions({ id: action.id }));
  const { word, tone } = STATUS_WORDS[action.status];
  const total = costs.data?.reduce((sum, { costMicrodollars }) => sum + (costMicrodollars ?? 0), 0);
  return (
    <div className="flex flex-col gap-6">
      <KeyValueList
        items={[
          { key: "State", value: <Badge tone={tone}>{word}</Badge> },
          { key: "Id", value: <CopyId id={action.id} short /> },
          { key: "Asked", value: <Time value={action.createdAt} /> },
          { key: "Expires", value: <Time value={action.expiresAt} />, hidden: action.status !== "pending" },
          {
            key: "Asked for",
            value: <Money microdollars={action.requestedAmountMicrodollars} />,
            hidden: action.requestedAmountMicrodollars === null,
          },
          {
            key: "Approved",
            value: <Money microdollars={action.approvedAmountMicrodollars} />,
            hidden: action.approvedAmountMicrodollars === null,
          },
          { key: "Decided", value: action.decidedAt === null ? "" : <Time value={action.decidedAt} />, hidden: action.decidedAt === null },
          { key: "By way of", value: action.decidedVia ?? "", hidden: action.decidedVia === null },
          { key: "Note", value: action.note ?? "", hidden: action.note === null },
          { key: "Reason", value: action.rejectReason ?? "", hidden: action.rejectReason === null },
          { key: "Done", value: action.executedAt === null ? "" : <Time value={action.executedAt} />, hidden: action.executedAt === null },
          { key: "What failed", value: action.errorMessage ?? "", hidden: action.errorMessage === null },
          {
            key: "Session",
            value: <Link href={path(`sessions/${encodeURIComponent(action.sessionId ?? "")}`)}>{action.sessionId}</Link>,
            hidden: action.sessionId === null,
          },
          { key: "Cost of it so far", value: <Money microdollars={total ?? 0} />, hidden: total === undefined || total === 0 },
        ]}
      />
      <section>
        <h3 className="mb-2 text-small font-semibold">What was sent</h3>
        <pre
          className="max-h-96 overflow-auto rounded-control border border-line bg-sunken p-3 font-mono text-micro whitespace-pre-wrap"
          tabIndex={0}
        >
          {JSON.stringify(action.payload, undefined, 2)}
        </pre>
      </section>
      {action.result !== null && (
        <section>
          <h3 className="mb-2 text-small font-semibold">What came of it</h3>
          <pre
            className="max-h-96 overflow-auto rounded-control border border-line bg-sunken p-3 font-mono text-micro whitespace-pre-wrap"
            tabIndex={0}
          >
            {JSON.stringify(action.result, undefined, 2)}
          </pre>
        </section>
      )}
    </div>
  );
}
