"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Ellipsis, Mail } from "lucide-react";
import { useState } from "react";
import { Badge, Status } from "@/ui/kit/badge";
import { Button, IconButton } from "@/ui/kit/button";
import { AlertDialog } from "@/ui/kit/dialog";
import { EmptyState, ErrorState } from "@/ui/kit/empty-state";
import { FormError } from "@/ui/kit/field";
import { Menu } from "@/ui/kit/menu";
import { Section } from "@/ui/kit/page";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Table, type TableColumn } from "@/ui/kit/table";
import { Countdown, Time } from "@/ui/kit/time";
import { toast } from "@/ui/kit/toast";
import { copyText } from "@/ui/lib/copy-text";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";
import { roleWord } from "./roles";

type Invitation = RouterOutputs["invitations"]["list"][number];

/** Who was invited and has not come. The link itself is in the mail alone: whoever copies it could come in. */
export function PendingInvitations({ onInvite }: { onInvite: () => void }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const invitations = useQuery(trpc.invitations.list.queryOptions());
  const revoke = useMutation(trpc.invitations.revoke.mutationOptions());
  const [revoking, setRevoking] = useState<Invitation>();
  const [problem, setProblem] = useState<string>();

  async function refresh(): Promise<void> {
    await Promise.all([
      queryClient.invalidateQueries(trpc.invitations.list.queryFilter()),
      queryClient.invalidateQueries(trpc.members.list.queryFilter()),
    ]);
  }

  const resend = useMutation(
    trpc.invitations.resend.mutationOptions({
      onMutate: () => setProblem(undefined),
      onSuccess: async ({ email }) => {
        toast.success(`Sent to ${email} again`, { description: "The link sent before does not work any more." });
        await refresh();
      },
      onError: (error) => setProblem(`The invitation was not sent again. ${errorOf(error).message}`),
    }),
  );

  const columns: TableColumn<Invitation>[] = [
    {
      id: "email",
      header: "Address",
      fixed: true,
      sortBy: ({ email }) => email,
      cell: ({ email }) => <span className="font-medium break-all">{email}</span>,
    },
    { id: "role", header: "Role", cell: ({ role }) => roleWord(role) },
    { id: "state", header: "State", cell: (invitation) => <InvitationState invitation={invitation} /> },
    {
      id: "sent",
      header: "Sent",
      sortBy: ({ lastSentAt }) => lastSentAt,
      cell: ({ lastSentAt, invitedBy }) => (
        <span className="text-ink-muted">
          <Time value={lastSentAt} style="relative" />
          {invitedBy !== null && ` by ${invitedBy.name ?? invitedBy.email ?? "somebody"}`}
        </span>
      ),
      from: "md",
    },
    {
      id: "actions",
      header: "Actions",
      headerHidden: true,
      fixed: true,
      align: "end",
      cell: (invitation) => (
        <Menu
          trigger={
            <IconButton size="small" label={`What can be done with the invitation of ${invitation.email}`}>
              <Ellipsis aria-hidden className="size-4" />
            </IconButton>
          }
          groups={[
            {
              items: [
                { label: "Send again", hint: "With a new link, for seven days", onSelect: () => resend.mutate({ id: invitation.id }) },
                {
                  label: "Copy the address",
                  onSelect: () =>
                    void copyText(invitation.email).then((worked) =>
                      worked ? toast.success("Address copied") : setProblem("The address could not be copied."),
                    ),
                },
                { label: "Take back…", danger: true, onSelect: () => setRevoking(invitation) },
              ],
            },
          ]}
        />
      ),
    },
  ];

  return (
    <Section title="Invitations" description="Who was invited and has not come yet.">
      <FormError>{problem}</FormError>
      {invitations.isPending ? (
        <SkeletonRows rows={2} label="Loading the invitations" />
      ) : invitations.isError ? (
        <ErrorState
          title="The invitations could not be loaded"
          referenceId={errorOf(invitations.error).reference ?? undefined}
          onRetry={() => void invitations.refetch()}
          retrying={invitations.isFetching}
        >
          {errorOf(invitations.error).message}
        </ErrorState>
      ) : (
        <Table
          label="Invitations"
          rows={invitations.data}
          columns={columns}
          rowId={({ id }) => id}
          empty={
            <EmptyState icon={<Mail />} title="Nobody is invited" actions={<Button onClick={onInvite}>Invite people</Button>}>
              Invitations that wait for an answer are listed here.
            </EmptyState>
          }
        />
      )}
      {revoking !== undefined && (
        <AlertDialog
          open
          onOpenChange={(open) => {
            if (!open) setRevoking(undefined);
          }}
          title={`Take the invitation of ${revoking.email} back?`}
          description="The link in the mail stops working at once. You can invite the address again."
          confirm="Take back"
          errorText={(error) => errorOf(error).message}
          onConfirm={async () => {
            await revoke.mutateAsync({ id: revoking.id });
            setProblem(undefined);
            await refresh();
          }}
        />
      )}
    </Section>
  );
}

function InvitationState({ invitation: { state, mail, mailError, expiresAt } }: { invitation: Invitation }) {
  if (mail === "failed") {
    return (
      <span className="flex flex-col gap-0.5">
        <Status value="failed">Mail not delivered</Status>
        {mailError !== null && <span className="text-micro text-ink-muted">{mailError}</span>}
      </span>
    );
  }
  if (state === "expired") return <Status value="expired" />;
  return (
    <span className="flex flex-wrap items-center gap-1.5">
      {mail === "queued" ? <Badge tone="quiet">Mail on its way</Badge> : <Status value="invited" />}
      <span className="text-micro text-ink-muted">
        <Countdown to={expiresAt} over="over" /> left
      </span>
    </span>
  );
}
