"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Ellipsis, UserPlus } from "lucide-react";
import { useRouter } from "next/navigation";
import { parseAsBoolean, useQueryState } from "nuqs";
import { useState } from "react";
import { plural } from "@/ui/format/count";
import { Badge } from "@/ui/kit/badge";
import { Button, IconButton } from "@/ui/kit/button";
import { RadioGroup } from "@/ui/kit/choice";
import { AlertDialog } from "@/ui/kit/dialog";
import { ErrorState } from "@/ui/kit/empty-state";
import { Link } from "@/ui/kit/link";
import { Menu, type MenuItem } from "@/ui/kit/menu";
import { Card, Notice, PageHeader } from "@/ui/kit/page";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Table, type TableColumn } from "@/ui/kit/table";
import { Time } from "@/ui/kit/time";
import { toast } from "@/ui/kit/toast";
import { useHasRole, useOrgPath, useShell } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";
import { InviteDialog } from "./invite-dialog";
import { PendingInvitations } from "./pending-invitations";
import { mayChange, ROLES, rolesToGive, roleWord } from "./roles";

type Member = RouterOutputs["members"]["list"]["members"][number];

/** What is asked of whom before it is done. */
type Question = { kind: "role" | "remove" | "transfer" | "leave"; member: Member };

export function MembersPage() {
  const { org } = useShell();
  const admin = useHasRole("admin");
  const path = useOrgPath();
  const trpc = useTRPC();
  const members = useQuery(trpc.members.list.queryOptions());
  const [inviting, setInviting] = useQueryState("invite", parseAsBoolean.withDefault(false));
  const [question, setQuestion] = useState<Question>();
  const seats = members.data?.seats;

  return (
    <>
      <PageHeader
        title="Members"
        description={
          seats === undefined
            ? "Who belongs to the organisation, and what they may do."
            : `${plural(seats.used, "seat")} in use${seats.max === null ? "" : ` of ${seats.max}`}; invitations that wait count, viewers do not.`
        }
        actions={
          admin && (
            <Button variant="primary" icon={<UserPlus aria-hidden className="size-4" />} onClick={() => void setInviting(true)}>
              Invite people
            </Button>
          )
        }
      />
      <div className="flex flex-col gap-8">
        {org.isPersonal && (
          <Notice
            actions={
              <Link href={path("settings?new-team=true")} className="text-small">
                New team
              </Link>
            }
          >
            This is a personal organisation. It stays with its person; make a team for what belongs to several.
          </Notice>
        )}
        {members.isPending ? (
          <SkeletonRows rows={4} label="Loading the members" />
        ) : members.isError ? (
          <ErrorState
            title="The members could not be loaded"
            referenceId={errorOf(members.error).reference ?? undefined}
            onRetry={() => void members.refetch()}
            retrying={members.isFetching}
          >
            {errorOf(members.error).message}
          </ErrorState>
        ) : (
          <MemberTable members={members.data.members} onAsk={setQuestion} />
        )}
        {admin && <PendingInvitations onInvite={() => void setInviting(true)} />}
        <RoleWords />
      </div>
      <InviteDialog open={inviting} onOpenChange={(open) => void setInviting(open ? true : null)} />
      <Questions question={question} onClose={() => setQuestion(undefined)} />
    </>
  );
}

function useMe(): { userId: string; role: Member["role"] } {
  const { user, org } = useShell();
  return { userId: `ns_usr_${user.id}`, role: org.role };
}

function MemberTable({ members, onAsk }: { members: readonly Member[]; onAsk: (question: Question) => void }) {
  const me = useMe();
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const setApprover = useMutation(
    trpc.members.setApprover.mutationOptions({
      onSuccess: ({ isApprover }) => {
        toast.success(isApprover ? "Decides approvals now" : "Decides no approvals any more");
        void queryClient.invalidateQueries(trpc.members.list.queryFilter());
      },
      onError: (error) => toast.error("Nothing was changed", { description: errorOf(error).message }),
    }),
  );
  const owners = members.filter(({ role }) => role === "owner").length;

  function actionsOf(member: Member): MenuItem[] {
    const mine = member.userId === me.userId;
    const lastOwner = member.role === "owner" && owners === 1;
    return [
      ...(mayChange(me, member)
        ? [
            {
              label: "Change role…",
              onSelect: () => onAsk({ kind: "role", member }),
              disabled: lastOwner,
              ...(lastOwner ? { hint: "Somebody else has to be an owner first." } : {}),
            },
            ...(member.role === "member"
              ? [
                  {
                    label: member.isApprover ? "Take the right to approve" : "Let decide approvals",
                    onSelect: () => setApprover.mutate({ userId: member.userId, isApprover: !member.isApprover }),
                  },
                ]
              : []),
          ]
        : []),
      ...(me.role === "owner" && !mine
        ? [{ label: "Hand the organisation over…", onSelect: () => onAsk({ kind: "transfer", member }) }]
        : []),
      ...(mine
        ? [
            {
              label: "Leave…",
              danger: true,
              disabled: lastOwner,
              ...(lastOwner ? { hint: "You are the only owner: hand it over first." } : {}),
              onSelect: () => onAsk({ kind: "leave", member }),
            },
          ]
        : mayChange(me, member)
          ? [{ label: "Remove…", danger: true, onSelect: () => onAsk({ kind: "remove", member }) }]
          : []),
    ];
  }

  const columns: TableColumn<Member>[] = [
    {
      id: "person",
      header: "Person",
      fixed: true,
      sortBy: (member) => member.name ?? member.email,
      cell: (member) => (
        <div className="min-w-0">
          <p className="flex flex-wrap items-center gap-1.5 font-medium">
            <span className="break-words">{member.name ?? member.email ?? "No name"}</span>
            {member.userId === me.userId && <Badge tone="quiet">You</Badge>}
          </p>
          {member.name !== null && <p className="text-micro break-all text-ink-muted">{member.email}</p>}
        </div>
      ),
    },
    {
      id: "role",
      header: "Role",
      cell: (member) => (
        <span className="flex flex-wrap items-center gap-1.5">
          {roleWord(member.role)}
          {member.role === "member" && member.isApprover && <Badge tone="accent">Approver</Badge>}
        </span>
      ),
    },
    { id: "keys", header: "Keys", align: "end", sortBy: (member) => member.keys, cell: (member) => member.keys, from: "md" },
    {
      id: "seen",
      header: "Last seen",
      sortBy: (member) => member.lastSeenAt,
      cell: (member) =>
        member.lastSeenAt === null ? (
          <span className="text-ink-muted">Not signed in</span>
        ) : (
          <Time value={member.lastSeenAt} style="relative" />
        ),
      from: "sm",
    },
    {
      id: "joined",
      header: "Joined",
      sortBy: (member) => member.joinedAt,
      cell: (member) => <Time value={member.joinedAt} style="date" />,
      from: "lg",
    },
    {
      id: "actions",
      header: "Actions",
      headerHidden: true,
      fixed: true,
      align: "end",
      cell: (member) => {
        const items = actionsOf(member);
        if (items.length === 0) return null;
        return (
          <Menu
            trigger={
              <IconButton size="small" label={`What can be done with ${member.name ?? member.email ?? "this member"}`}>
                <Ellipsis aria-hidden className="size-4" />
              </IconButton>
            }
            groups={[{ items }]}
          />
        );
      },
    },
  ];
  return <Table label="Members" rows={members} columns={columns} rowId={(member) => member.userId} />;
}

function RoleWords() {
  return (
    <Card title="What the roles may do">
      <dl className="divide-y divide-line text-small">
        {ROLES.map(({ value, label, hint }) => (
          <div key={value} className="grid gap-x-6 py-2 sm:grid-cols-[8rem_minmax(0,1fr)]">
            <dt className="font-medium">{label}</dt>
            <dd className="text-ink-muted">{hint}</dd>
          </div>
        ))}
        <div className="grid gap-x-6 py-2 sm:grid-cols-[8rem_minmax(0,1fr)]">
          <dt className="font-medium">Approver</dt>
          <dd className="text-ink-muted">A right of its own that a member can have: decides approvals, and nothing else more.</dd>
        </div>
      </dl>
    </Card>
  );
}

function Questions({ question, onClose }: { question: Question | undefined; onClose: () => void }) {
  const { org } = useShell();
  const trpc = useTRPC();
  const router = useRouter();
  const queryClient = useQueryClient();
  const remove = useMutation(trpc.members.remove.mutationOptions());
  const leave = useMutation(trpc.orgs.leave.mutationOptions());
  const transfer = useMutation(trpc.members.transferOwnership.mutationOptions());
  if (question === undefined) return null;
  const { kind, member } = question;
  const name = member.name ?? member.email ?? "this member";
  const onOpenChange = (open: boolean): void => {
    if (!open) onClose();
  };
  const errorText = (error: unknown): string => errorOf(error).message;
  const keyWords = member.keys === 0 ? "no keys here" : plural(member.keys, "key");

  async function refresh(): Promise<void> {
    await queryClient.invalidateQueries(trpc.members.list.queryFilter());
    router.refresh();
  }

  switch (kind) {
    case "role":
      return <RoleDialog key={member.userId} member={member} onClose={onClose} onChanged={refresh} />;
    case "remove":
      return (
        <AlertDialog
          open
          onOpenChange={onOpenChange}
          title={`Remove ${name}?`}
          description={
            <ul className="list-disc pl-5">
              <li>They see nothing of {org.name} from the next click on.</li>
              <li>They have {keyWords}; all of these stop within a second, and agents that use them are refused.</li>
              <li>Invitations they sent and links they could approve with end. What they spent stays in the books.</li>
            </ul>
          }
          confirm="Remove"
          errorText={errorText}
          onConfirm={async () => {
            await remove.mutateAsync({ userId: member.userId });
            toast.success(`${name} is removed`);
            await refresh();
          }}
        />
      );
    case "leave":
      return (
        <AlertDialog
          open
          onOpenChange={onOpenChange}
          title={`Leave ${org.name}?`}
          description={`You have ${keyWords}; they stop within a second. To come back you need an invitation.`}
          confirm="Leave"
          errorText={errorText}
          onConfirm={async () => {
            await leave.mutateAsync({});
            router.push("/app");
          }}
        />
      );
    case "transfer":
      return (
        <AlertDialog
          open
          onOpenChange={onOpenChange}
          title={`Hand ${org.name} over to ${name}?`}
          description={`${name} becomes an owner, and you an admin. Only an owner can give it back.`}
          confirm="Hand over"
          typeToConfirm={org.name}
          errorText={errorText}
          onConfirm={async () => {
            await transfer.mutateAsync({ userId: member.userId });
            toast.success(`${name} owns ${org.name} now`);
            await refresh();
          }}
        />
      );
  }
}

function RoleDialog({ member, onClose, onChanged }: { member: Member; onClose: () => void; onChanged: () => Promise<void> }) {
  const me = useMe();
  const trpc = useTRPC();
  const change = useMutation(trpc.members.changeRole.mutationOptions());
  const [role, setRole] = useState(member.role);
  const name = member.name ?? member.email ?? "this member";
  return (
    <AlertDialog
      open
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
      tone="primary"
      title={`Role of ${name}`}
      description="In force with their next click. Keys lose what the new role does not allow."
      confirm="Change role"
      ready={role !== member.role}
      errorText={(error) => errorOf(error).message}
      onConfirm={async () => {
        await change.mutateAsync({ userId: member.userId, role });
        toast.success(`${name} is ${roleWord(role).toLowerCase()} now`);
        await onChanged();
      }}
    >
      <RadioGroup label="Role" labelHidden value={role} onValueChange={setRole} options={rolesToGive(me.role)} />
    </AlertDialog>
  );
}
