"use client";

import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { CircleDollarSign, Ellipsis, Plus } from "lucide-react";
import { parseAsBoolean, useQueryState } from "nuqs";
import { useState } from "react";
import { Badge } from "@/ui/kit/badge";
import { Button, IconButton } from "@/ui/kit/button";
import { AlertDialog, Dialog } from "@/ui/kit/dialog";
import { EmptyState, ErrorState } from "@/ui/kit/empty-state";
import { LoadMore } from "@/ui/kit/load-more";
import { Menu } from "@/ui/kit/menu";
import { BudgetBar } from "@/ui/kit/meter";
import { Money } from "@/ui/kit/money";
import { Card, Notice, PageHeader } from "@/ui/kit/page";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Countdown, Time, useNow } from "@/ui/kit/time";
import { toast } from "@/ui/kit/toast";
import { useHasRole } from "@/ui/shell/shell-context";
import { errorOf, useTRPC } from "@/ui/trpc";
import { BudgetForm } from "./budget-form";
import { type Budget, filterWords, intervalWords, useEntityNames } from "./entity";

/** Amounts move while people watch; the socket makes it faster where there is one. */
const REFRESH_MS = 2_000;

type Question = { kind: "reset" | "delete"; budget: Budget };

export function BudgetsPage() {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const admin = useHasRole("admin");
  const [creating, setCreating] = useQueryState("new", parseAsBoolean.withDefault(false));
  const [editing, setEditing] = useState<Budget>();
  const [question, setQuestion] = useState<Question>();
  const nameOf = useEntityNames();
  const budgets = useInfiniteQuery(
    trpc.budgets.list.infiniteQueryOptions(
      { limit: 50, sort: "utilization" },
      { getNextPageParam: ({ cursor }) => cursor ?? undefined, refetchInterval: REFRESH_MS },
    ),
  );
  const freezes = useQuery(trpc.freezes.list.queryOptions({}));
  const create = useMutation(trpc.budgets.create.mutationOptions());
  const update = useMutation(trpc.budgets.update.mutationOptions());
  const reset = useMutation(trpc.budgets.reset.mutationOptions());
  const remove = useMutation(trpc.budgets.delete.mutationOptions());
  const rows = budgets.data?.pages.flatMap(({ data }) => data) ?? [];
  const refresh = (): Promise<void> => queryClient.invalidateQueries(trpc.budgets.list.infiniteQueryFilter());

  const newButton = (
    <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} onClick={() => void setCreating(true)}>
      New budget
    </Button>
  );
  return (
    <>
      <PageHeader
        title="Budgets"
        description="Closest to the wall first. Every budget that matches a call must have room for it, before a byte reaches the provider."
        actions={admin && newButton}
      />
      <div className="flex flex-col gap-4">
        {freezes.data?.data.map(({ id, entityType, entityId, reason }) => (
          <Notice key={id} tone="danger" title={`Frozen: ${entityType === "org" ? "the whole organisation" : `${entityType} ${entityId}`}`}>
            {reason}
          </Notice>
        ))}
        {budgets.isPending ? (
          <SkeletonRows rows={4} label="Loading the budgets" />
        ) : budgets.isError ? (
          <ErrorState
            title="The budgets could not be loaded"
            referenceId={errorOf(budgets.error).reference ?? undefined}
            onRetry={() => void budgets.refetch()}
            retrying={budgets.isFetching}
          >
            {errorOf(budgets.error).message}
          </ErrorState>
        ) : rows.length === 0 ? (
          <EmptyState title="No budgets yet" icon={<CircleDollarSign aria-hidden className="size-5" />} actions={admin && newButton}>
            A hard budget is held against before a call is sent, so it is never exceeded, and nobody is refused money that is there.
          </EmptyState>
        ) : (
          <>
            <ul className="flex flex-col gap-3" aria-label="Budgets">
              {rows.map((budget) => (
                <BudgetRow
                  key={budget.id}
                  budget={budget}
                  name={nameOf(budget)}
                  admin={admin}
                  onEdit={() => setEditing(budget)}
                  onAsk={(kind) => setQuestion({ kind, budget })}
                />
              ))}
            </ul>
            <LoadMore
              shown={rows.length}
              what="budget"
              hasMore={budgets.hasNextPage}
              loading={budgets.isFetchingNextPage}
              onLoadMore={() => void budgets.fetchNextPage()}
            />
          </>
        )}
      </div>
      <Dialog open={creating} onOpenChange={(open) => void setCreating(open ? true : null)} title="New budget" size="large">
        <BudgetForm
          onSubmit={async (input) => {
            const { created } = await create.mutateAsync(input);
            await refresh();
            void setCreating(null);
            toast.success(created ? "In force within a second" : "There was such a budget; it is changed now");
          }}
        />
      </Dialog>
      <Dialog
        open={editing !== undefined}
        onOpenChange={(open) => !open && setEditing(undefined)}
        title={editing === undefined ? "" : nameOf(editing)}
        size="large"
      >
        {editing !== undefined && (
          <BudgetForm
            budget={editing}
            onSubmit={async ({ entityType: _type, entityId: _id, models: _models, ...changes }) => {
              await update.mutateAsync({ id: editing.id, changes });
              await refresh();
              setEditing(undefined);
              toast.success("In force within a second");
            }}
          />
        )}
      </Dialog>
      <AlertDialog
        open={question?.kind === "reset"}
        onOpenChange={(open) => !open && setQuestion(undefined)}
        title="Begin a new period now?"
        description="It starts with nothing spent. Calls in flight are charged to the period in which they were admitted."
        confirm="Begin a new period"
        tone="primary"
        errorText={(error) => errorOf(error).message}
        onConfirm={async () => {
          await reset.mutateAsync({ id: question!.budget.id });
          await refresh();
        }}
      />
      <AlertDialog
        open={question?.kind === "delete"}
        onOpenChange={(open) => !open && setQuestion(undefined)}
        title="Delete this budget?"
        description="From the next call on nothing is held against it. What was spent stays in the books."
        confirm="Delete budget"
        errorText={(error) => errorOf(error).message}
        onConfirm={async () => {
          await remove.mutateAsync({ id: question!.budget.id });
          await refresh();
        }}
      />
    </>
  );
}

type BudgetRowProps = {
  budget: Budget;
  name: string;
  admin: boolean;
  onEdit: () => void;
  onAsk: (kind: Question["kind"]) => void;
};

const POLICY_WORDS: Readonly<Record<Budget["policy"], string>> = { strict_block: "Hard", soft_block: "Soft", warn: "Warns only" };

function BudgetRow({ budget, name, admin, onEdit, onAsk }: BudgetRowProps) {
  const filter = filterWords(budget);
  return (
    <li>
      <Card>
        <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
          <div className="min-w-0">
            <h2 className="text-small font-semibold break-words">{name}</h2>
            <p className="mt-0.5 flex flex-wrap items-center gap-x-2 gap-y-1 text-small text-ink-muted">
              <span>
                <Money microdollars={budget.currentLimitMicrodollars} /> {intervalWords(budget.resetInterval)}
                {filter === "" ? "" : `, only ${filter}`}
              </span>
              <Badge tone="quiet">{POLICY_WORDS[budget.policy]}</Badge>
              {budget.excessMicrodollars > 0 && (
                <Badge tone="danger">
                  <Money microdollars={budget.excessMicrodollars} /> over: {budget.excessReasons.join(", ").replaceAll("_", " ")}
                </Badge>
              )}
            </p>
          </div>
          {admin && (
            <Menu
              trigger={
                <IconButton label={`Actions for the budget of ${name}`} size="small">
                  <Ellipsis aria-hidden className="size-4" />
                </IconButton>
              }
              groups={[
                {
                  items: [
                    { label: "Edit…", onSelect: onEdit },
                    { label: "Begin a new period…", onSelect: () => onAsk("reset") },
                    { label: "Delete…", danger: true, onSelect: () => onAsk("delete") },
                  ],
                },
              ]}
            />
          )}
        </div>
        <div className="mt-3">
          <BudgetBar
            label={`Budget of ${name}`}
            spent={budget.spendMicrodollars}
            reserved={budget.reservedMicrodollars}
            limit={budget.currentLimitMicrodollars}
            thresholds={budget.thresholdPercentages}
            legend
          />
        </div>
        <dl className="mt-3 flex flex-wrap gap-x-6 gap-y-1 text-small text-ink-muted">
          {budget.currentPeriodEnd !== null && (
            <div className="flex gap-1.5">
              <dt>Resets</dt>
              <dd>
                <Time value={budget.currentPeriodEnd} />
              </dd>
            </div>
          )}
          {budget.velocityLimitMicrodollars !== null && <Velocity budget={budget} limit={budget.velocityLimitMicrodollars} />}
          {budget.sessionLimitMicrodollars !== null && (
            <div className="flex gap-1.5">
              <dt>A session</dt>
              <dd>
                <Money microdollars={budget.sessionLimitMicrodollars} />
              </dd>
            </div>
          )}
        </dl>
        {budget.warnings.map((warning) => (
          <p key={warning} className="mt-2 text-small text-warning">
            {warning}
          </p>
        ))}
      </Card>
    </li>
  );
}

function Velocity({ budget, limit }: { budget: Budget; limit: number }) {
  const now = useNow();
  const cooling = budget.velocityCoolUntil !== null && Date.parse(budget.velocityCoolUntil) > now.getTime();
  return (
    <div className="flex flex-wrap items-center gap-1.5">
      <dt>Speed</dt>
      <dd className="flex flex-wrap items-center gap-1.5">
        <Money microdollars={budget.velocityCurrentMicrodollars ?? 0} /> of <Money microdollars={limit} /> in {budget.velocityWindowSeconds}{" "}
        s
        {cooling && (
          <Badge tone="warning">
            Paused, goes on in <Countdown to={budget.velocityCoolUntil!} />
          </Badge>
        )}
      </dd>
    </div>
  );
}
