"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/ui/kit/button";
import { RadioGroup } from "@/ui/kit/choice";
import { Dialog, DialogActions, DialogClose } from "@/ui/kit/dialog";
import { Field, FormError } from "@/ui/kit/field";
import { Input, MoneyInput } from "@/ui/kit/input";
import { Money } from "@/ui/kit/money";
import { KeyValueList } from "@/ui/kit/page";
import { toast } from "@/ui/kit/toast";
import { useSubmit } from "@/ui/lib/use-submit";
import { useTRPC } from "@/ui/trpc";
import { type Action, actionTitle } from "./action-words";

export function ApproveDialog({ action, onClose }: { action: Action | undefined; onClose: () => void }) {
  return (
    <Dialog open={action !== undefined} onOpenChange={(open) => !open && onClose()} title={action === undefined ? "" : actionTitle(action)}>
      {action !== undefined && <ApproveForm action={action} onDone={onClose} />}
    </Dialog>
  );
}

type Lasts = "period" | "day" | "permanent";
const DAY_MS = 86_400_000;

function ApproveForm({ action, onDone }: { action: Action; onDone: () => void }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const isIncrease = action.actionType === "budget_increase";
  const budget = useQuery(
    trpc.budgets.get.queryOptions({ id: action.budgetId ?? "" }, { enabled: isIncrease && action.budgetId !== null, retry: false }),
  );
  const approve = useMutation(trpc.actions.approve.mutationOptions());
  const asked = action.requestedAmountMicrodollars;
  const [amount, setAmount] = useState<number | null | undefined>(asked);
  const [lasts, setLasts] = useState<Lasts>("period");
  const [note, setNote] = useState("");

  const { onSubmit, working, problem } = useSubmit(async () => {
    const until = { period: undefined, permanent: "permanent" as const, day: new Date(Date.now() + DAY_MS).toISOString() }[lasts];
    const decided = await approve.mutateAsync({
      id: action.id,
      terms: {
        ...(typeof amount === "number" && amount !== asked && { approvedAmountMicrodollars: amount }),
        ...(isIncrease && until !== undefined && { until }),
        ...(note.trim() !== "" && { note: note.trim() }),
      },
    });
    await queryClient.invalidateQueries(trpc.actions.pathFilter());
    onDone();
    toast.success(
      decided.status === "pending" ? "Your approval is counted; others have to decide as well" : "Approved: the agent goes on by itself",
    );
  });

  return (
    <form className="flex flex-col gap-5" onSubmit={onSubmit}>
      {budget.data !== undefined && (
        <KeyValueList
          items={[
            { key: "Spent", value: <Money microdollars={budget.data.spendMicrodollars} /> },
            { key: "Limit now", value: <Money microdollars={budget.data.currentLimitMicrodollars} /> },
            { key: "Limit after", value: <Money microdollars={budget.data.currentLimitMicrodollars + (amount ?? 0)} /> },
          ]}
        />
      )}
      {asked !== null && (
        <Field label={isIncrease ? "Raise by" : "Approve"} error={amount === undefined ? "An amount in dollars, such as 2.50." : undefined}>
          <MoneyInput value={amount ?? null} onValueChange={setAmount} autoFocus />
        </Field>
      )}
      {isIncrease && (
        <RadioGroup<Lasts>
          label="For how long"
          value={lasts}
          onValueChange={setLasts}
          options={[
            { value: "period", label: "This period" },
            { value: "day", label: "24 hours", hint: "Then the limit is what it was." },
            { value: "permanent", label: "For good" },
          ]}
        />
      )}
      <Field label="Note" hint="The agent and the others see it.">
        <Input value={note} onValueChange={setNote} maxLength={500} autoComplete="off" />
      </Field>
      <FormError>{problem}</FormError>
      <DialogActions>
        <DialogClose />
        <Button type="submit" variant="primary" loading={working} disabled={asked !== null && typeof amount !== "number"}>
          Approve
        </Button>
      </DialogActions>
    </form>
  );
}
