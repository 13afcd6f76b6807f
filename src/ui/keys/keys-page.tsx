"use client";

import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Ellipsis, KeyRound, Plus } from "lucide-react";
import { parseAsBoolean, useQueryState } from "nuqs";
import { useState } from "react";
import { Badge } from "@/ui/kit/badge";
import { Button, IconButton } from "@/ui/kit/button";
import { AlertDialog, Dialog } from "@/ui/kit/dialog";
import { EmptyState, ErrorState } from "@/ui/kit/empty-state";
import { LoadMore } from "@/ui/kit/load-more";
import { Menu } from "@/ui/kit/menu";
import { Card, PageHeader } from "@/ui/kit/page";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Table, type TableColumn } from "@/ui/kit/table";
import { Time, useNow } from "@/ui/kit/time";
import { toast } from "@/ui/kit/toast";
import { useHasRole, useOrgPath, useShell } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";
import { KeyForm } from "./key-form";
import { KeySecret } from "./key-secret";

type Key = RouterOutputs["keys"]["list"]["data"][number];
type Question = { kind: "rotate" | "revoke"; key: Key };

const UNUSED_DAYS = 30;
const OVERLAP_SECONDS = 24 * 3_600;

export function KeysPage() {
  const trpc = useTRPC();
  const mayCreate = useHasRole("member");
  const [creating, setCreating] = useQueryState("new", parseAsBoolean.withDefault(false));
  const [secret, setSecret] = useState<{ rawKey: string; name: string }>();
  const [question, setQuestion] = useState<Question>();
  const keys = useInfiniteQuery(
    trpc.keys.list.infiniteQueryOptions({ limit: 50 }, { getNextPageParam: ({ cursor }) => cursor ?? undefined }),
  );
  const queryClient = useQueryClient();
  const refresh = (): Promise<void> => queryClient.invalidateQueries(trpc.keys.list.infiniteQueryFilter());
  const create = useMutation(trpc.keys.create.mutationOptions());
  const rotate = useMutation(trpc.keys.rotate.mutationOptions());
  const revoke = useMutation(trpc.keys.revoke.mutationOptions());
  const rows = keys.data?.pages.flatMap(({ data }) => data) ?? [];

  const newButton = (
    <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} onClick={() => void setCreating(true)}>
      New key
    </Button>
  );
  return (
    <>
      <PageHeader
        title="Keys"
        description="Each names a caller. Give every agent its own: spending, budgets and a freeze then concern that one alone."
        actions={mayCreate && newButton}
      />
      {keys.isPending ? (
        <SkeletonRows rows={5} label="Loading the keys" />
      ) : keys.isError ? (
        <ErrorState
          title="The keys could not be loaded"
          referenceId={errorOf(keys.error).reference ?? undefined}
          onRetry={() => void keys.refetch()}
          retrying={keys.isFetching}
        >
          {errorOf(keys.error).message}
        </ErrorState>
      ) : rows.length === 0 ? (
        <EmptyState title="No keys yet" icon={<KeyRound aria-hidden className="size-5" />} actions={mayCreate && newButton}>
          A key goes into the header X-NullSpend-Key of your client, beside the provider’s own key, which we never store.
        </EmptyState>
      ) : (
        <Card flush>
          <KeyTable keys={rows} onAsk={setQuestion} />
          <LoadMore
            shown={rows.length}
            what="key"
            hasMore={keys.hasNextPage}
            loading={keys.isFetchingNextPage}
            onLoadMore={() => void keys.fetchNextPage()}
          />
        </Card>
      )}
      <Dialog
        open={creating || secret !== undefined}
        onOpenChange={(open) => {
          // A secret is let go of by its own button alone.
          if (!open && secret === undefined) void setCreating(null);
        }}
        title={secret === undefined ? "New key" : "Your key"}
      >
        {secret === undefined ? (
          <KeyForm
            onSubmit={async (input) => {
              const { rawKey, name } = await create.mutateAsync(input);
              setSecret({ rawKey, name });
              await refresh();
            }}
          />
        ) : (
          <KeySecret
            {...secret}
            onDone={() => {
              setSecret(undefined);
              void setCreating(null);
            }}
          />
        )}
      </Dialog>
      <AlertDialog
        open={question?.kind === "revoke"}
        onOpenChange={(open) => !open && setQuestion(undefined)}
        title={`Revoke “${question?.key.name ?? ""}”?`}
        description="Calls with it are refused everywhere within a second, for good. Calls that are running end and are charged."
        confirm="Revoke key"
        errorText={(error) => errorOf(error).message}
        onConfirm={async () => {
          await revoke.mutateAsync({ id: question!.key.id });
          await refresh();
          toast.success("The key is revoked");
        }}
      />
      <AlertDialog
        open={question?.kind === "rotate"}
        onOpenChange={(open) => !open && setQuestion(undefined)}
        title={`Rotate “${question?.key.name ?? ""}”?`}
        description="You get a new secret now. The old one works for another 24 hours, so that nothing stops while you change it."
        confirm="Make a new secret"
        tone="primary"
        errorText={(error) => errorOf(error).message}
        onConfirm={async () => {
          const { rawKey, name } = await rotate.mutateAsync({ id: question!.key.id, overlapSeconds: OVERLAP_SECONDS });
          setSecret({ rawKey, name });
          await refresh();
        }}
      />
    </>
  );
}

function KeyTable({ keys, onAsk }: { keys: readonly Key[]; onAsk: (question: Question) => void }) {
  const admin = useHasRole("admin");
  const path = useOrgPath();
  const me = useShell().user.id;
  const columns: TableColumn<Key>[] = [
    {
      id: "name",
      header: "Name",
      fixed: true,
      sortBy: ({ name }) => name,
      cell: (key) => (
        <span className="flex flex-wrap items-center gap-2">
          <span className="font-medium">{key.name}</span>
          <KeyState apiKey={key} />
        </span>
      ),
    },
    {
      id: "prefix",
      header: "Key",
      cell: ({ keyPrefix }) => <code className="font-mono text-micro text-ink-muted">{keyPrefix}…</code>,
      from: "md",
    },
    { id: "scopes", header: "May", cell: ({ scopes }) => scopes.join(", "), from: "lg" },
    {
      id: "restrictions",
      header: "Restrictions",
      from: "xl",
      cell: (key) => restrictionsInWords(key) || <span className="text-ink-muted">none</span>,
    },
    {
      id: "used",
      header: "Last used",
      from: "sm",
      sortBy: ({ lastUsedAt }) => lastUsedAt,
      cell: ({ lastUsedAt }) => (lastUsedAt === null ? <span className="text-ink-muted">never</span> : <Time value={lastUsedAt} />),
    },
    {
      id: "made",
      header: "Made",
      sortBy: ({ createdAt }) => createdAt,
      cell: ({ createdAt }) => <Time value={createdAt} style="date" />,
      from: "lg",
    },
    {
      id: "menu",
      header: "Actions",
      headerHidden: true,
      fixed: true,
      align: "end",
      cell: (key) => (
        <Menu
          trigger={
            <IconButton label={`Actions for ${key.name}`} size="small">
              <Ellipsis aria-hidden className="size-4" />
            </IconButton>
          }
          groups={[
            {
              items: [
                { label: "Calls of this key", href: `${path("activity")}?key=${key.id}` },
                ...(key.revokedAt === null && (admin || key.userId === `ns_usr_${me}`)
                  ? [
                      { label: "Rotate…", onSelect: () => onAsk({ kind: "rotate", key }) },
                      { label: "Revoke…", danger: true, onSelect: () => onAsk({ kind: "revoke", key }) },
                    ]
                  : []),
              ],
            },
          ]}
        />
      ),
    },
  ];
  return <Table label="Keys" rows={keys} columns={columns} rowId={({ id }) => id} />;
}

function KeyState({ apiKey }: { apiKey: Key }) {
  const now = useNow(60_000).getTime();
  if (apiKey.revokedAt !== null) return <Badge tone="quiet">Revoked</Badge>;
  if (apiKey.expiresAt !== null && Date.parse(apiKey.expiresAt) <= now) return <Badge tone="quiet">Expired</Badge>;
  const since = Date.parse(apiKey.lastUsedAt ?? apiKey.createdAt);
  return now - since > UNUSED_DAYS * 86_400_000 ? <Badge tone="warning">Unused for {UNUSED_DAYS} days</Badge> : null;
}

function restrictionsInWords(key: Key): string {
  const parts = [
    key.allowedModels && (key.allowedModels.length === 0 ? "no models" : key.allowedModels.join(", ")),
    key.allowedProviders && (key.allowedProviders.length === 0 ? "no providers" : key.allowedProviders.join(", ")),
    key.lockedCustomer && `customer ${key.lockedCustomer}`,
    key.lockedTags &&
      Object.entries(key.lockedTags)
        .map(([name, value]) => `${name}=${value}`)
        .join(", "),
  ];
  return parts.filter((part) => typeof part === "string" && part !== "").join(" · ");
}
