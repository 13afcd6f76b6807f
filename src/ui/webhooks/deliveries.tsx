"use client";

import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { CodeBlock } from "@/ui/components/code-block";
import { Button } from "@/ui/kit/button";
import { CopyId } from "@/ui/kit/copy-id";
import { EmptyState, ErrorState } from "@/ui/kit/empty-state";
import { LoadMore } from "@/ui/kit/load-more";
import { Status, type StatusValue } from "@/ui/kit/badge";
import { KeyValueList } from "@/ui/kit/page";
import { Select } from "@/ui/kit/select";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Table, type TableColumn } from "@/ui/kit/table";
import { Duration, Time } from "@/ui/kit/time";
import { toast } from "@/ui/kit/toast";
import { useHasRole } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";

type Delivery = RouterOutputs["webhooks"]["deliveries"]["data"][number];
type State = Delivery["status"];

const REFRESH_MS = 3_000;
const STATES: readonly { value: State | "all"; label: string }[] = [
  { value: "all", label: "All" },
  { value: "pending", label: "Waiting" },
  { value: "delivered", label: "Delivered" },
  { value: "failed", label: "Given up" },
  { value: "cancelled", label: "Cancelled" },
];
/** How far back “all failed” reaches. */
const REDELIVER_DAYS = 7;

function statusOf({ status, attempts }: Delivery): StatusValue {
  return status === "pending" && attempts > 0 ? "retrying" : status;
}

/** What was sent to an endpoint, newest first; one of them opens in place of the list. */
export function Deliveries({ webhookId, enabled }: { webhookId: string; enabled: boolean }) {
  const trpc = useTRPC();
  const admin = useHasRole("admin");
  const queryClient = useQueryClient();
  const [state, setState] = useState<State | "all">("all");
  const [openId, setOpenId] = useState<string>();
  const list = useInfiniteQuery(
    trpc.webhooks.deliveries.infiniteQueryOptions(
      { id: webhookId, ...(state !== "all" && { state }) },
      { getNextPageParam: ({ cursor }) => cursor ?? undefined, refetchInterval: REFRESH_MS },
    ),
  );
  const redeliverFailed = useMutation(trpc.webhooks.redeliverFailed.mutationOptions());
  if (openId !== undefined) {
    return <DeliveryDetail webhookId={webhookId} deliveryId={openId} enabled={enabled} onBack={() => setOpenId(undefined)} />;
  }
  const rows = list.data?.pages.flatMap(({ data }) => data) ?? [];
  const columns: TableColumn<Delivery>[] = [
    { id: "event", header: "Event", fixed: true, cell: ({ eventType }) => <code className="font-mono text-micro">{eventType}</code> },
    { id: "state", header: "State", cell: (delivery) => <Status value={statusOf(delivery)} /> },
    { id: "code", header: "Answer", cell: ({ responseStatus, attempts }) => responseStatus ?? (attempts > 0 ? "none" : "–"), from: "sm" },
    { id: "attempts", header: "Attempts", align: "end", cell: ({ attempts }) => attempts, from: "sm" },
    {
      id: "next",
      header: "Next try",
      cell: ({ nextAttemptAt }) => (nextAttemptAt === null ? "–" : <Time value={nextAttemptAt} style="relative" />),
      from: "md",
    },
    { id: "made", header: "Queued", cell: ({ createdAt }) => <Time value={createdAt} /> },
  ];
  return (
    <div className="flex flex-col gap-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Select aria-label="State" size="small" className="w-40" value={state} onValueChange={setState} options={STATES} />
        {admin && enabled && (
          <Button
            size="small"
            loading={redeliverFailed.isPending}
            onClick={() => {
              const since = new Date(Date.now() - REDELIVER_DAYS * 86_400_000).toISOString();
              redeliverFailed.mutate(
                { id: webhookId, since },
                {
                  onSuccess: ({ redelivered }) => {
                    toast.success(redelivered === 0 ? "Nothing was given up" : `${redelivered} are sent again`);
                    void queryClient.invalidateQueries(trpc.webhooks.deliveries.infiniteQueryFilter());
                  },
                  onError: (error) => toast.error(errorOf(error).message),
                },
              );
            }}
          >
            Send all failed of {REDELIVER_DAYS} days again
          </Button>
        )}
      </div>
      {list.isPending ? (
        <SkeletonRows rows={4} label="Loading the deliveries" />
      ) : list.isError ? (
        <ErrorState title="The deliveries could not be loaded" onRetry={() => void list.refetch()}>
          {errorOf(list.error).message}
        </ErrorState>
      ) : (
        <>
          <Table
            label="Deliveries"
            rows={rows}
            columns={columns}
            rowId={({ id }) => id}
            onOpen={({ id }) => setOpenId(id)}
            empty={<EmptyState title="Nothing here">What happens is sent within a second. Send a test to see one.</EmptyState>}
          />
          {rows.length > 0 && (
            <LoadMore
              shown={rows.length}
              what="delivery"
              hasMore={list.hasNextPage}
              loading={list.isFetchingNextPage}
              onLoadMore={() => void list.fetchNextPage()}
            />
          )}
        </>
      )}
    </div>
  );
}

type DetailProps = { webhookId: string; deliveryId: string; enabled: boolean; onBack: () => void };

function DeliveryDetail({ webhookId, deliveryId, enabled, onBack }: DetailProps) {
  const trpc = useTRPC();
  const admin = useHasRole("admin");
  const queryClient = useQueryClient();
  const query = useQuery(trpc.webhooks.delivery.queryOptions({ id: webhookId, deliveryId }, { refetchInterval: REFRESH_MS }));
  const redeliver = useMutation(trpc.webhooks.redeliver.mutationOptions());
  const delivery = query.data;
  return (
    <div className="flex flex-col gap-5">
      <div className="flex flex-wrap justify-between gap-3">
        <Button size="small" onClick={onBack}>
          All deliveries
        </Button>
        {admin && enabled && (
          <Button
            size="small"
            variant="primary"
            loading={redeliver.isPending}
            onClick={() =>
              redeliver.mutate(
                { id: webhookId, deliveryId },
                {
                  onSuccess: () => {
                    toast.success("It is sent again");
                    void queryClient.invalidateQueries(trpc.webhooks.delivery.queryFilter({ id: webhookId, deliveryId }));
                  },
                  onError: (error) => toast.error(errorOf(error).message),
                },
              )
            }
          >
            Send again
          </Button>
        )}
      </div>
      {query.isError ? (
        <ErrorState title="The delivery could not be loaded" onRetry={() => void query.refetch()}>
          {errorOf(query.error).message}
        </ErrorState>
      ) : delivery === undefined ? (
        <SkeletonRows rows={4} label="Loading the delivery" />
      ) : (
        <>
          <KeyValueList
            items={[
              { key: "State", value: <Status value={statusOf(delivery)} /> },
              { key: "Event", value: <code className="font-mono text-micro">{delivery.eventType}</code> },
              { key: "Event id", value: <CopyId id={delivery.eventId} what="the event id" /> },
              {
                key: "Next try",
                value: delivery.nextAttemptAt && <Time value={delivery.nextAttemptAt} />,
                hidden: !delivery.nextAttemptAt,
              },
            ]}
          />
          <section className="flex flex-col gap-3">
            <h3 className="text-small font-medium">Attempts</h3>
            {delivery.attemptList.length === 0 && <p className="text-small text-ink-muted">None yet.</p>}
            {delivery.attemptList.map((attempt) => (
              <div key={attempt.number} className="rounded-control border border-line px-4 py-3 text-small">
                <p className="flex flex-wrap gap-x-3 gap-y-1">
                  <span className="font-medium">
                    {attempt.number}. {attempt.error ?? `answered ${attempt.status ?? ""}`}
                  </span>
                  <span className="text-ink-muted">
                    <Time value={attempt.startedAt} /> · <Duration ms={attempt.durationMs} />
                    {attempt.manual && " · asked for"}
                  </span>
                </p>
                {attempt.responseBody !== null && (
                  <pre className="mt-2 max-h-40 overflow-auto font-mono text-micro break-all whitespace-pre-wrap">
                    {attempt.responseBody}
                  </pre>
                )}
              </div>
            ))}
          </section>
          <CodeBlock code={pretty(delivery.body)} language="js" title="Body, formatted" what="the body" />
        </>
      )}
    </div>
  );
}

/** For reading: what is signed has no blanks between its parts. */
const pretty = (body: string): string => JSON.stringify(JSON.parse(body), null, 2);
