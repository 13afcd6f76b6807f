"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { plural } from "@/ui/format/count";
import { Badge, type Tone } from "@/ui/kit/badge";
import { Button } from "@/ui/kit/button";
import { RadioGroup } from "@/ui/kit/choice";
import { Dialog, DialogActions, DialogClose } from "@/ui/kit/dialog";
import { Field, FormError } from "@/ui/kit/field";
import { Textarea } from "@/ui/kit/input";
import { useSubmit } from "@/ui/lib/use-submit";
import { useShell } from "@/ui/shell/shell-context";
import { useTRPC, type RouterOutputs } from "@/ui/trpc";
import { rolesToGive } from "./roles";

type Outcome = RouterOutputs["invitations"]["create"][number];
type InvitedRole = "viewer" | "member" | "admin";

const OUTCOMES: Readonly<Record<Outcome["outcome"], { tone: Tone; words: string }>> = {
  invited: { tone: "positive", words: "Invited" },
  role_changed: { tone: "positive", words: "Was invited; the role is changed" },
  already_invited: { tone: "quiet", words: "Was invited already" },
  already_member: { tone: "quiet", words: "Is a member already" },
  invalid: { tone: "danger", words: "No address" },
};

export function InviteDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const { org } = useShell();
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Invite people to ${org.name}`}
      description="Each gets a mail with a link that works once, for seven days, with that address only."
    >
      <InviteForm />
    </Dialog>
  );
}

/** Is made anew each time the dialog opens. */
function InviteForm() {
  const { org } = useShell();
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const invite = useMutation(trpc.invitations.create.mutationOptions());
  const [emails, setEmails] = useState("");
  const [role, setRole] = useState<InvitedRole>("member");

  const { onSubmit, working, problem } = useSubmit(async () => {
    const outcomes = await invite.mutateAsync({ emails, role });
    // What was no address stays, to be corrected.
    setEmails(outcomes.flatMap(({ email, outcome }) => (outcome === "invalid" ? [email] : [])).join("\n"));
    await Promise.all([
      queryClient.invalidateQueries(trpc.invitations.list.queryFilter()),
      queryClient.invalidateQueries(trpc.members.list.queryFilter()),
    ]);
  });

  const roles = rolesToGive(org.role).flatMap(({ value, ...rest }) => (value === "owner" ? [] : [{ value, ...rest }]));
  return (
    <form className="flex flex-col gap-5" onSubmit={onSubmit}>
      <Field label="Addresses" hint="As many as you like: paste lines, commas, or “Ada Lovelace <ada@example.com>”." required>
        <Textarea
          rows={4}
          value={emails}
          onChange={(event) => setEmails(event.target.value)}
          placeholder={"ada@example.com\ngrace@example.com"}
          spellCheck={false}
          autoComplete="off"
        />
      </Field>
      <RadioGroup<InvitedRole> label="Role" value={role} onValueChange={setRole} options={roles} />
      <FormError>{problem}</FormError>
      <div role="status">{invite.data !== undefined && <Outcomes outcomes={invite.data} />}</div>
      <DialogActions>
        <DialogClose>{invite.data === undefined ? "Cancel" : "Done"}</DialogClose>
        <Button type="submit" variant="primary" loading={working} disabled={emails.trim() === ""}>
          Send invitations
        </Button>
      </DialogActions>
    </form>
  );
}

function Outcomes({ outcomes }: { outcomes: readonly Outcome[] }) {
  const invited = outcomes.filter(({ outcome }) => outcome === "invited").length;
  return (
    <div className="text-small">
      <p className="font-medium">{plural(invited, "invitation")} on the way</p>
      <ul className="mt-1 max-h-48 divide-y divide-line overflow-y-auto" tabIndex={0} aria-label="What became of each address">
        {outcomes.map(({ email, outcome }) => (
          <li key={email} className="flex flex-wrap items-center justify-between gap-2 py-1">
            <span className="min-w-0 break-all">{email}</span>
            <Badge tone={OUTCOMES[outcome].tone}>{OUTCOMES[outcome].words}</Badge>
          </li>
        ))}
      </ul>
    </div>
  );
}
