"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { plural } from "@/ui/format/count";
import { Button } from "@/ui/kit/button";
import { Dialog, DialogActions, DialogClose } from "@/ui/kit/dialog";
import { Field, FormError } from "@/ui/kit/field";
import { Textarea } from "@/ui/kit/input";
import { useSubmit } from "@/ui/lib/use-submit";
import { useTRPC } from "@/ui/trpc";
import { type Action, actionTitle } from "./action-words";

export function RejectDialog({ actions, onClose }: { actions: readonly Action[] | undefined; onClose: () => void }) {
  const [first] = actions ?? [];
  const title =
    actions === undefined || first === undefined
      ? ""
      : actions.length === 1
        ? `Reject: ${actionTitle(first)}`
        : `Reject ${plural(actions.length, "action")}`;
  return (
    <Dialog open={first !== undefined} onOpenChange={(open) => !open && onClose()} title={title}>
      {actions !== undefined && <RejectForm actions={actions} onDone={onClose} />}
    </Dialog>
  );
}

const REASONS = ["Too expensive", "Not needed", "Ask again tomorrow", "Looks like a loop"];

function RejectForm({ actions, onDone }: { actions: readonly Action[]; onDone: () => void }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const reject = useMutation(trpc.actions.reject.mutationOptions());
  const [reason, setReason] = useState("");

  const { onSubmit, working, problem } = useSubmit(async () => {
    try {
      for (const { id } of actions) await reject.mutateAsync({ id, terms: reason.trim() === "" ? {} : { reason: reason.trim() } });
      onDone();
    } finally {
      await queryClient.invalidateQueries(trpc.actions.pathFilter());
    }
  });

  return (
    <form className="flex flex-col gap-5" onSubmit={onSubmit}>
      <div className="flex flex-wrap gap-2">
        {REASONS.map((each) => (
          <Button key={each} type="button" size="small" onClick={() => setReason(each)}>
            {each}
          </Button>
        ))}
      </div>
      <Field label="Reason" hint="The agent is told.">
        <Textarea rows={3} value={reason} onChange={(event) => setReason(event.target.value)} maxLength={2_000} autoFocus />
      </Field>
      <FormError>{problem}</FormError>
      <DialogActions>
        <DialogClose />
        <Button type="submit" variant="danger" loading={working}>
          Reject
        </Button>
      </DialogActions>
    </form>
  );
}
