"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { parseAsString, useQueryState } from "nuqs";
import { useState } from "react";
import { Button } from "@/ui/kit/button";
import { Dialog, DialogActions, DialogClose } from "@/ui/kit/dialog";
import { Field, FormError } from "@/ui/kit/field";
import { Input, MoneyInput } from "@/ui/kit/input";
import { Money } from "@/ui/kit/money";
import { KeyValueList } from "@/ui/kit/page";
import { toast } from "@/ui/kit/toast";
import { useSubmit } from "@/ui/lib/use-submit";
import { errorOf, useTRPC } from "@/ui/trpc";

/** Opened by the link of a denial (`?request=<budget>`): asks those who decide for more of that budget. */
export function RequestMore() {
  const [budgetId, setBudgetId] = useQueryState("request", parseAsString);
  return (
    <Dialog
      open={budgetId !== null}
      onOpenChange={(open) => !open && void setBudgetId(null)}
      title="Ask for more"
      description="Whoever decides gets a mail. When it is approved, the next call passes within a second."
    >
      {budgetId !== null && <RequestForm budgetId={budgetId} onDone={() => void setBudgetId(null)} />}
    </Dialog>
  );
}

function RequestForm({ budgetId, onDone }: { budgetId: string; onDone: () => void }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const budget = useQuery(trpc.budgets.get.queryOptions({ id: budgetId }, { retry: false }));
  const propose = useMutation(trpc.actions.requestIncrease.mutationOptions());
  const [amount, setAmount] = useState<number | null | undefined>(null);
  const [reason, setReason] = useState("");

  const { onSubmit, working, problem } = useSubmit(async () => {
    if (typeof amount !== "number" || budget.data === undefined) return;
    await propose.mutateAsync({ budgetId, requestedAmountMicrodollars: amount, ...(reason.trim() !== "" && { reason: reason.trim() }) });
    await queryClient.invalidateQueries(trpc.actions.pathFilter());
    onDone();
    toast.success("Asked: you see it among those that wait");
  });

  return (
    <form className="flex flex-col gap-5" onSubmit={onSubmit}>
      {budget.isError && <FormError>{errorOf(budget.error).message}</FormError>}
      {budget.data !== undefined && (
        <KeyValueList
          items={[
            { key: "Limit", value: <Money microdollars={budget.data.currentLimitMicrodollars} /> },
            { key: "Spent", value: <Money microdollars={budget.data.spendMicrodollars} /> },
            { key: "Left", value: <Money microdollars={budget.data.remainingMicrodollars} /> },
          ]}
        />
      )}
      <Field label="How much more" error={amount === undefined ? "An amount in dollars, such as 20." : undefined} required>
        <MoneyInput value={amount ?? null} onValueChange={setAmount} autoFocus />
      </Field>
      <Field label="Why">
        <Input value={reason} onValueChange={setReason} maxLength={500} autoComplete="off" />
      </Field>
      <FormError>{problem}</FormError>
      <DialogActions>
        <DialogClose />
        <Button type="submit" variant="primary" loading={working} disabled={typeof amount !== "number" || budget.data === undefined}>
          Ask
        </Button>
      </DialogActions>
    </form>
  );
}
