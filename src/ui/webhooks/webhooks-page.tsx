"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Ellipsis, Plus, Webhook as WebhookIcon } from "lucide-react";
import { parseAsBoolean, parseAsString, useQueryState } from "nuqs";
import { useState } from "react";
import { Badge } from "@/ui/kit/badge";
import { Button, IconButton } from "@/ui/kit/button";
import { AlertDialog, Dialog } from "@/ui/kit/dialog";
import { Drawer } from "@/ui/kit/drawer";
import { EmptyState, ErrorState } from "@/ui/kit/empty-state";
import { Menu } from "@/ui/kit/menu";
import { Card, Notice, PageHeader } from "@/ui/kit/page";
import { Select } from "@/ui/kit/select";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Table, type TableColumn } from "@/ui/kit/table";
import { Time } from "@/ui/kit/time";
import { toast } from "@/ui/kit/toast";
import { useHasRole } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";
import { Deliveries } from "./deliveries";
import { HealthStrip } from "./health-strip";
import { VerifyCode } from "./verify-code";
import { WebhookForm } from "./webhook-form";
import { WebhookSecret } from "./webhook-secret";

type Webhook = RouterOutputs["webhooks"]["list"][number];
type Question = { kind: "rotate" | "delete" | "edit"; webhook: Webhook };

/** Endpoints with their health; one opens with its deliveries. */
export function WebhooksPage() {
  const trpc = useTRPC();
  const admin = useHasRole("admin");
  const queryClient = useQueryClient();
  const [creating, setCreating] = useQueryState("new", parseAsBoolean.withDefault(false));
  const [openId, setOpenId] = useQueryState("endpoint", parseAsString);
  const [secret, setSecret] = useState<{ text: string; rotated: boolean }>();
  const [question, setQuestion] = useState<Question>();
  const list = useQuery(trpc.webhooks.list.queryOptions());
  const refresh = (): Promise<void> => queryClient.invalidateQueries(trpc.webhooks.list.queryFilter());
  const create = useMutation(trpc.webhooks.create.mutationOptions());
  const update = useMutation(trpc.webhooks.update.mutationOptions());
  const rotate = useMutation(trpc.webhooks.rotateSecret.mutationOptions());
  const remove = useMutation(trpc.webhooks.delete.mutationOptions());
  const rows = list.data ?? [];
  const opened = rows.find(({ id }) => id === openId);

  function setEnabled(webhook: Webhook, enabled: boolean): void {
    update.mutate(
      { id: webhook.id, changes: { enabled } },
      {
        onSuccess: () => {
          void refresh();
          toast.success(enabled ? "The endpoint is on" : "The endpoint is off");
        },
        onError: (error) => toast.error(errorOf(error).message),
      },
    );
  }

  const newButton = (
    <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} onClick={() => void setCreating(true)}>
      New endpoint
    </Button>
  );
  return (
    <>
      <PageHeader
        title="Webhooks"
        description="What happens here reaches your own systems: signed, tried again for three days, each event under one id."
        actions={admin && newButton}
      />
      {list.isPending ? (
        <SkeletonRows rows={3} label="Loading the endpoints" />
      ) : list.isError ? (
        <ErrorState
          title="The endpoints could not be loaded"
          referenceId={errorOf(list.error).reference ?? undefined}
          onRetry={() => void list.refetch()}
          retrying={list.isFetching}
        >
          {errorOf(list.error).message}
        </ErrorState>
      ) : rows.length === 0 ? (
        <EmptyState title="No endpoints yet" icon={<WebhookIcon aria-hidden className="size-5" />} actions={admin && newButton}>
          Name an address of yours, choose events, and send a test of any of them.
        </EmptyState>
      ) : (
        <Card flush>
          <WebhookTable webhooks={rows} onOpen={({ id }) => void setOpenId(id)} onAsk={setQuestion} onEnable={setEnabled} />
        </Card>
      )}
      <Drawer
        size="large"
        open={opened !== undefined}
        onOpenChange={(open) => !open && void setOpenId(null)}
        title={opened?.url ?? "Endpoint"}
        description={opened?.description ?? undefined}
      >
        {opened !== undefined && <WebhookDetail webhook={opened} onEnable={() => setEnabled(opened, true)} />}
      </Drawer>
      <Dialog
        size="large"
        open={creating || secret !== undefined}
        onOpenChange={(open) => {
          // A secret is let go of by its own button alone.
          if (!open && secret === undefined) void setCreating(null);
        }}
        title={secret === undefined ? "New endpoint" : "Signing secret"}
      >
        {secret === undefined ? (
          <WebhookForm
            submit="Make the endpoint"
            onSubmit={async (values) => {
              const { signingSecret } = await create.mutateAsync(values);
              setSecret({ text: signingSecret, rotated: false });
              await refresh();
            }}
          />
        ) : (
          <WebhookSecret
            secret={secret.text}
            rotated={secret.rotated}
            onDone={() => {
              setSecret(undefined);
              void setCreating(null);
            }}
          />
        )}
      </Dialog>
      <Dialog
        size="large"
        open={question?.kind === "edit"}
        onOpenChange={(open) => !open && setQuestion(undefined)}
        title="Change the endpoint"
        description="What is queued goes to the new address."
      >
        {question?.kind === "edit" && (
          <WebhookForm
            initial={question.webhook}
            submit="Save"
            onSubmit={async (changes) => {
              await update.mutateAsync({ id: question.webhook.id, changes });
              await refresh();
              setQuestion(undefined);
              toast.success("Saved");
            }}
          />
        )}
      </Dialog>
      <AlertDialog
        open={question?.kind === "delete"}
        onOpenChange={(open) => !open && setQuestion(undefined)}
        title="Delete this endpoint?"
        description={`Nothing more is sent to ${question?.webhook.url ?? ""}, and what is queued for it is dropped.`}
        confirm="Delete endpoint"
        errorText={(error) => errorOf(error).message}
        onConfirm={async () => {
          await remove.mutateAsync({ id: question!.webhook.id });
          await refresh();
          toast.success("The endpoint is deleted");
        }}
      />
      <AlertDialog
        open={question?.kind === "rotate"}
        onOpenChange={(open) => !open && setQuestion(undefined)}
        title="Rotate the signing secret?"
        description="You get a new secret now. For 24 hours both sign every delivery, so that nothing is refused while you change it."
        confirm="Make a new secret"
        tone="primary"
        errorText={(error) => errorOf(error).message}
        onConfirm={async () => {
          const { signingSecret } = await rotate.mutateAsync({ id: question!.webhook.id });
          setSecret({ text: signingSecret, rotated: true });
          await refresh();
        }}
      />
    </>
  );
}

type TableProps = {
  webhooks: readonly Webhook[];
  onOpen: (webhook: Webhook) => void;
  onAsk: (question: Question) => void;
  onEnable: (webhook: Webhook, enabled: boolean) => void;
};

function WebhookTable({ webhooks, onOpen, onAsk, onEnable }: TableProps) {
  const admin = useHasRole("admin");
  const columns: TableColumn<Webhook>[] = [
    {
      id: "url",
      header: "Address",
      fixed: true,
      cell: (webhook) => (
        <span className="flex flex-col gap-0.5">
          <span className="flex flex-wrap items-center gap-2">
            <span className="font-medium break-all">{webhook.url}</span>
            <WebhookState webhook={webhook} />
          </span>
          {webhook.description !== null && <span className="text-micro text-ink-muted">{webhook.description}</span>}
        </span>
      ),
    },
    {
      id: "events",
      header: "Events",
      cell: ({ eventTypes }) => (eventTypes.length === 0 ? "all" : eventTypes.length === 1 ? eventTypes[0] : `${eventTypes.length} types`),
      from: "md",
    },
    { id: "health", header: "Last 24 hours", cell: ({ id }) => <HealthStrip id={id} />, from: "sm" },
    { id: "made", header: "Made", cell: ({ createdAt }) => <Time value={createdAt} style="date" />, from: "lg" },
    {
      id: "menu",
      header: "Actions",
      headerHidden: true,
      fixed: true,
      align: "end",
      cell: (webhook) => (
        <Menu
          trigger={
            <IconButton label={`Actions for ${webhook.url}`} size="small">
              <Ellipsis aria-hidden className="size-4" />
            </IconButton>
          }
          groups={[
            {
              items: [
                { label: "Deliveries", onSelect: () => onOpen(webhook) },
                ...(admin
                  ? [
                      { label: "Change…", onSelect: () => onAsk({ kind: "edit", webhook }) },
                      { label: webhook.enabled ? "Switch off" : "Switch on", onSelect: () => onEnable(webhook, !webhook.enabled) },
                      { label: "Rotate the secret…", onSelect: () => onAsk({ kind: "rotate", webhook }) },
                      { label: "Delete…", danger: true, onSelect: () => onAsk({ kind: "delete", webhook }) },
                    ]
                  : []),
              ],
            },
          ]}
        />
      ),
    },
  ];
  return <Table label="Webhook endpoints" rows={webhooks} columns={columns} rowId={({ id }) => id} onOpen={onOpen} />;
}

function WebhookState({ webhook: { enabled, disabledReason, failingSince } }: { webhook: Webhook }) {
  if (!enabled) return <Badge tone={disabledReason === "manual" ? "quiet" : "danger"}>{OFF[disabledReason ?? "manual"]}</Badge>;
  return failingSince === null ? null : <Badge tone="warning">Failing</Badge>;
}

const OFF = { manual: "Off", gone: "Off: it answered 410", failing: "Off: failed for five days" };

function WebhookDetail({ webhook, onEnable }: { webhook: Webhook; onEnable: () => void }) {
  const admin = useHasRole("admin");
  return (
    <div className="flex flex-col gap-6">
      {!webhook.enabled && (
        <Notice
          tone="warning"
          title={OFF[webhook.disabledReason ?? "manual"]}
          actions={admin && <Button onClick={onEnable}>Switch on</Button>}
        >
          Nothing is sent. What was given up is kept for 30 days and can be sent again.
        </Notice>
      )}
      <HealthStrip id={webhook.id} />
      {admin && webhook.enabled && <SendTest webhookId={webhook.id} />}
      <Deliveries webhookId={webhook.id} enabled={webhook.enabled} />
      <details className="rounded-control border border-line px-4 py-3">
        <summary className="cursor-pointer text-small font-medium">Check signatures</summary>
        <div className="mt-3">
          <VerifyCode />
        </div>
      </details>
    </div>
  );
}

function SendTest({ webhookId }: { webhookId: string }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const types = useQuery(trpc.webhooks.eventTypes.queryOptions()).data ?? [];
  const [type, setType] = useState<(typeof types)[number]["type"]>("test.ping");
  const test = useMutation(trpc.webhooks.test.mutationOptions());
  return (
    <div className="flex flex-wrap items-center gap-3">
      <Select
        aria-label="Type of the test"
        className="w-64"
        value={type}
        onValueChange={setType}
        options={types.map((each) => ({ value: each.type, label: each.type }))}
      />
      <Button
        loading={test.isPending}
        onClick={() =>
          test.mutate(
            { id: webhookId, type },
            {
              onSuccess: () => void queryClient.invalidateQueries(trpc.webhooks.deliveries.infiniteQueryFilter()),
              onError: (error) => toast.error(errorOf(error).message),
            },
          )
        }
      >
        Send a test
      </Button>
    </div>
  );
}
