"use client";

import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Inbox } from "lucide-react";
import { parseAsString, parseAsStringLiteral, useQueryState } from "nuqs";
import { useEffect, useState } from "react";
import { plural } from "@/ui/format/count";
import { Badge } from "@/ui/kit/badge";
import { Button } from "@/ui/kit/button";
import { Checkbox } from "@/ui/kit/choice";
import { AlertDialog } from "@/ui/kit/dialog";
import { EmptyState, ErrorState } from "@/ui/kit/empty-state";
import { isTyping } from "@/ui/kit/filter-bar";
import { LoadMore } from "@/ui/kit/load-more";
import { Money } from "@/ui/kit/money";
import { Card, Kbd, PageHeader } from "@/ui/kit/page";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Tabs } from "@/ui/kit/tabs";
import { Countdown, Time } from "@/ui/kit/time";
import { toast } from "@/ui/kit/toast";
import { useLetterKeys } from "@/ui/shell/shortcuts";
import { errorOf, useTRPC } from "@/ui/trpc";
import { type Action, actionTitle, STATUS_WORDS } from "./action-words";
import { ActionDrawer } from "./action-drawer";
import { ApproveDialog } from "./approve-dialog";
import { RejectDialog } from "./reject-dialog";
import { RequestMore } from "./request-more";

const REFRESH_MS = 2_000;
const VIEWS = ["waiting", "decided"] as const;
const DECIDED: Action["status"][] = ["approved", "rejected", "expired", "cancelled", "executing", "executed", "failed"];
/** More than this at once is asked about again. */
const BULK_CONFIRM_ABOVE = 1;

export function ApprovalsPage() {
  const [view, setView] = useQueryState("view", parseAsStringLiteral(VIEWS).withDefault("waiting"));
  const [openId, setOpenId] = useQueryState("action", parseAsString);
  return (
    <>
      <PageHeader
        title="Approvals"
        description="What agents may not do on their own. They wait, and go on by themselves when somebody decides."
      />
      <Tabs
        label="Which approvals"
        value={view}
        onValueChange={(next) => void setView(next)}
        tabs={[
          { value: "waiting", label: "Waiting" },
          { value: "decided", label: "Decided" },
        ]}
      >
        <ActionList key={view} statuses={view === "waiting" ? ["pending"] : DECIDED} onOpen={(id) => void setOpenId(id)} />
      </Tabs>
      <ActionDrawer actionId={openId} onClose={() => void setOpenId(null)} />
      <RequestMore />
    </>
  );
}

function ActionList({ statuses, onOpen }: { statuses: Action["status"][]; onOpen: (id: string) => void }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const isInbox = statuses.includes("pending");
  const actions = useInfiniteQuery(
    trpc.actions.list.infiniteQueryOptions(
      { limit: 50, statuses },
      { getNextPageParam: ({ cursor }) => cursor ?? undefined, refetchInterval: REFRESH_MS },
    ),
  );
  const rows = actions.data?.pages.flatMap(({ data }) => data) ?? [];
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [at, setAt] = useState(0);
  const [approving, setApproving] = useState<Action>();
  const [rejecting, setRejecting] = useState<readonly Action[]>();
  const [bulk, setBulk] = useState<readonly Action[]>();
  const approve = useMutation(trpc.actions.approve.mutationOptions());
  const marked = rows.filter(({ id }) => chosen.has(id));
  const refresh = (): Promise<void> => queryClient.invalidateQueries(trpc.actions.pathFilter());

  async function approveAll(list: readonly Action[]): Promise<void> {
    // One after the other: what was decided stays decided where a later one fails.
    for (const { id } of list) await approve.mutateAsync({ id, terms: {} });
    setChosen(new Set());
    await refresh();
    toast.success(`${plural(list.length, "approval")} given`);
  }

  const [lettersOn] = useLetterKeys();
  useEffect(() => {
    if (!isInbox || !lettersOn) return;
    const onKey = (event: KeyboardEvent): void => {
      if (
        event.metaKey ||
        event.ctrlKey ||
        event.altKey ||
        isTyping(event.target) ||
        document.querySelector("[role=dialog],[role=alertdialog]")
      )
        return;
      const row = rows[Math.min(at, rows.length - 1)];
      if (row === undefined) return;
      const keys: Record<string, () => void> = {
        j: () => setAt((now) => Math.min(now + 1, rows.length - 1)),
        k: () => setAt((now) => Math.max(now - 1, 0)),
        a: () => setApproving(row),
        d: () => setRejecting(marked.length > 0 ? marked : [row]),
        x: () => setChosen(toggled(chosen, row.id)),
        Enter: () => onOpen(row.id),
      };
      const run = keys[event.key];
      if (run === undefined) return;
      event.preventDefault();
      run();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  });

  if (actions.isPending) return <SkeletonRows rows={4} label="Loading the approvals" />;
  if (actions.isError) {
    return (
      <ErrorState
        title="The approvals could not be loaded"
        referenceId={errorOf(actions.error).reference ?? undefined}
        onRetry={() => void actions.refetch()}
        retrying={actions.isFetching}
      >
        {errorOf(actions.error).message}
      </ErrorState>
    );
  }
  if (rows.length === 0) {
    return (
      <EmptyState title={isInbox ? "Nothing waits" : "Nothing was decided yet"} icon={<Inbox aria-hidden className="size-5" />}>
        {isInbox
          ? "When an agent hits a budget and waits, or proposes something, it stands here, and approvers get a mail they can decide from."
          : "Decisions stand here, with who made them and what came of them."}
      </EmptyState>
    );
  }
  return (
    <div className="flex flex-col gap-3">
      {isInbox && (
        <div className="flex flex-wrap items-center justify-between gap-2 text-small text-ink-muted">
          <span className="hidden items-center gap-1.5 sm:flex">
            <Kbd>J</Kbd>
            <Kbd>K</Kbd> move <Kbd>A</Kbd> approve <Kbd>D</Kbd> reject <Kbd>X</Kbd> mark
          </span>
          {marked.length > 0 && (
            <span className="flex flex-wrap items-center gap-2">
              {plural(marked.length, "approval")} marked, <Money microdollars={sumOf(marked)} />
              <Button size="small" onClick={() => setRejecting(marked)}>
                Reject…
              </Button>
              <Button
                size="small"
                variant="primary"
                onClick={() => (marked.length > BULK_CONFIRM_ABOVE ? setBulk(marked) : setApproving(marked[0]))}
              >
                Approve…
              </Button>
            </span>
          )}
        </div>
      )}
      <ul className="flex flex-col gap-3" aria-label="Approvals">
        {rows.map((action, index) => (
          <li key={action.id} className={isInbox && index === at ? "rounded-card outline-2 outline-offset-2 outline-line-strong" : ""}>
            <ActionCard
              action={action}
              onOpen={() => onOpen(action.id)}
              {...(isInbox && {
                mark: { checked: chosen.has(action.id), onChange: () => setChosen(toggled(chosen, action.id)) },
                onApprove: () => setApproving(action),
                onReject: () => setRejecting([action]),
              })}
            />
          </li>
        ))}
      </ul>
      <LoadMore
        shown={rows.length}
        what="approval"
        hasMore={actions.hasNextPage}
        loading={actions.isFetchingNextPage}
        onLoadMore={() => void actions.fetchNextPage()}
      />
      <ApproveDialog action={approving} onClose={() => setApproving(undefined)} />
      <RejectDialog
        actions={rejecting}
        onClose={() => {
          setRejecting(undefined);
          setChosen(new Set());
        }}
      />
      <AlertDialog
        open={bulk !== undefined}
        onOpenChange={(open) => !open && setBulk(undefined)}
        title={`Approve ${plural(bulk?.length ?? 0, "action")}?`}
        description={`In full, ${bulk === undefined ? "" : plural(bulk.length, "decision")} with your name. Limits that are raised stay raised for this period.`}
        confirm="Approve all"
        tone="primary"
        errorText={(error) => errorOf(error).message}
        onConfirm={() => approveAll(bulk ?? [])}
      />
    </div>
  );
}

const sumOf = (actions: readonly Action[]): number =>
  actions.reduce((sum, { requestedAmountMicrodollars }) => sum + (requestedAmountMicrodollars ?? 0), 0);

function toggled(set: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const next = new Set(set);
  if (!next.delete(id)) next.add(id);
  return next;
}

type ActionCardProps = {
  action: Action;
  onOpen: () => void;
  mark?: { checked: boolean; onChange: () => void };
  onApprove?: () => void;
  onReject?: () => void;
};

function ActionCard({ action, onOpen, mark, onApprove, onReject }: ActionCardProps) {
  const title = actionTitle(action);
  const { word, tone } = STATUS_WORDS[action.status];
  const reason = typeof action.payload.reason === "string" ? action.payload.reason : undefined;
  return (
    <Card>
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-3">
        <div className="flex min-w-0 gap-3">
          {mark !== undefined && <Checkbox label={`Mark: ${title}`} labelHidden checked={mark.checked} onCheckedChange={mark.onChange} />}
          <div className="min-w-0">
            <button
              type="button"
              onClick={onOpen}
              className="cursor-pointer text-left text-small font-semibold break-words hover:underline"
            >
              {title}
            </button>
            {reason !== undefined && <p className="mt-0.5 text-small break-words text-ink-muted">{reason}</p>}
            <p className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1 text-micro text-ink-muted">
              <Badge tone={tone}>{word}</Badge>
              <span>
                asked <Time value={action.createdAt} />
              </span>
              {action.status === "pending" && (
                <span>
                  expires in <Countdown to={action.expiresAt} />
                </span>
              )}
              {action.approvalsNeeded > 1 && (
                <span>
                  {action.approvals} of {action.approvalsNeeded} approvals
                </span>
              )}
              {action.approvedAmountMicrodollars !== null && (
                <span>
                  <Money microdollars={action.approvedAmountMicrodollars} /> approved
                </span>
              )}
            </p>
          </div>
        </div>
        {onApprove !== undefined && onReject !== undefined && (
          <div className="flex gap-2">
            <Button size="small" onClick={onReject}>
              Reject…
            </Button>
            <Button size="small" variant="primary" onClick={onApprove}>
              Approve…
            </Button>
          </div>
        )}
      </div>
    </Card>
  );
}
