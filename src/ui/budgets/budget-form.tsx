"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { formatUsd } from "@/ui/format/money";
import { plural } from "@/ui/format/count";
import { Button } from "@/ui/kit/button";
import { RadioGroup } from "@/ui/kit/choice";
import { DialogActions, DialogClose } from "@/ui/kit/dialog";
import { Field, FormError } from "@/ui/kit/field";
import { Input, MoneyInput, NumberField } from "@/ui/kit/input";
import { Notice } from "@/ui/kit/page";
import { Select } from "@/ui/kit/select";
import { formatTime } from "@/ui/format/time";
import { useOrgZone } from "@/ui/kit/time";
import { useSubmit } from "@/ui/lib/use-submit";
import { useTRPC, type RouterInputs } from "@/ui/trpc";
import type { Budget } from "./entity";

type NewBudget = RouterInputs["budgets"]["create"];
type EntityType = NewBudget["entityType"];

const ENTITIES: readonly { value: EntityType; label: string }[] = [
  { value: "org", label: "The whole organisation" },
  { value: "api_key", label: "A key" },
  { value: "user", label: "A member’s keys" },
  { value: "customer", label: "A customer" },
  { value: "tag", label: "A tag" },
];
const INTERVALS = [
  { value: "none", label: "In all, without reset" },
  { value: "daily", label: "A day" },
  { value: "weekly", label: "A week" },
  { value: "monthly", label: "A month" },
  { value: "yearly", label: "A year" },
] as const;
const POLICIES = [
  { value: "strict_block", label: "Deny what does not fit", hint: "Never exceeded: what is in flight is held." },
  { value: "soft_block", label: "Let running sessions finish", hint: "Up to 10 % over, then everything is denied." },
  { value: "warn", label: "Warn only", hint: "Nothing is denied; thresholds and warnings still fire." },
] as const;

/** Makes or changes a budget, in words, with what the limit would have stopped. */
export function BudgetForm({ budget, onSubmit }: { budget?: Budget; onSubmit: (input: NewBudget) => Promise<void> }) {
  const trpc = useTRPC();
  const keys = useQuery(trpc.keys.list.queryOptions({ limit: 100 }));
  const members = useQuery(trpc.members.list.queryOptions());
  const [entityType, setEntityType] = useState<EntityType>(budget?.entityType ?? "org");
  const [entityId, setEntityId] = useState(budget?.entityId ?? "");
  const [limit, setLimit] = useState<number | null | undefined>(budget?.maxBudgetMicrodollars ?? null);
  const [interval, setInterval] = useState<NonNullable<NewBudget["resetInterval"]>>(budget?.resetInterval ?? "monthly");
  const [policy, setPolicy] = useState<NonNullable<NewBudget["policy"]>>(budget?.policy ?? "strict_block");
  const [velocity, setVelocity] = useState<number | null | undefined>(budget?.velocityLimitMicrodollars ?? null);
  const [windowSeconds, setWindowSeconds] = useState<number | null>(budget?.velocityWindowSeconds ?? 60);
  const [cooldownSeconds, setCooldownSeconds] = useState<number | null>(budget?.velocityCooldownSeconds ?? 60);
  const [session, setSession] = useState<number | null | undefined>(budget?.sessionLimitMicrodollars ?? null);
  const [models, setModels] = useState(budget?.models.join(" ") ?? "");

  const id = entityType === "org" ? "org" : entityId.trim();
  const complete = typeof limit === "number" && id !== "" && velocity !== undefined && session !== undefined;

  const {
    onSubmit: send,
    working,
    problem,
  } = useSubmit(async () => {
    if (!complete) return;
    const modelList = models.split(/[\s,]+/).filter((each) => each !== "");
    await onSubmit({
      entityType,
      entityId: id,
      models: modelList,
      maxBudgetMicrodollars: limit,
      resetInterval: interval,
      policy,
      velocityLimitMicrodollars: velocity,
      ...(velocity !== null && { velocityWindowSeconds: windowSeconds ?? 60, velocityCooldownSeconds: cooldownSeconds ?? 60 }),
      sessionLimitMicrodollars: session,
    });
  });

  return (
    <form className="flex flex-col gap-5" onSubmit={send}>
      {budget === undefined && (
        <div className="grid gap-5 sm:grid-cols-2">
          <Field label="It limits">
            <Select
              value={entityType}
              onValueChange={(next) => {
                setEntityType(next);
                setEntityId("");
              }}
              options={ENTITIES}
            />
          </Field>
          {entityType === "api_key" && (
            <Field label="Key" required>
              <Select
                value={entityId === "" ? null : entityId}
                onValueChange={setEntityId}
                options={(keys.data?.data ?? [])
                  .filter(({ revokedAt }) => revokedAt === null)
                  .map(({ id: value, name: label }) => ({ value, label }))}
              />
            </Field>
          )}
          {entityType === "user" && (
            <Field label="Member" required>
              <Select
                value={entityId === "" ? null : entityId}
                onValueChange={setEntityId}
                options={(members.data?.members ?? []).map(({ userId, name, email }) => ({
                  value: userId,
                  label: name ?? email ?? userId,
                }))}
              />
            </Field>
          )}
          {(entityType === "customer" || entityType === "tag") && (
            <Field
              label={entityType === "customer" ? "Customer id" : "Tag"}
              hint={entityType === "customer" ? "As calls name it in X-NullSpend-Customer." : "As name=value, e.g. team=support."}
              required
            >
              <Input value={entityId} onValueChange={setEntityId} autoComplete="off" spellCheck={false} />
            </Field>
          )}
        </div>
      )}
      <div className="grid gap-5 sm:grid-cols-2">
        <Field label="Limit" error={limit === undefined ? "An amount in dollars, such as 50 or 0.25." : undefined} required>
          <MoneyInput value={limit ?? null} onValueChange={setLimit} />
        </Field>
        <Field label="Per">
          <Select value={interval} onValueChange={setInterval} options={INTERVALS} />
        </Field>
      </div>
      <RadioGroup label="At the limit" value={policy} onValueChange={setPolicy} options={POLICIES} />
      <details
        className="rounded-control border border-line px-4 py-3"
        open={budget !== undefined && (velocity !== null || session !== null)}
      >
        <summary className="cursor-pointer text-small font-medium">Speed, sessions, models</summary>
        <div className="mt-4 flex flex-col gap-5">
          <Field
            label="More than"
            hint="In one window: then calls pause, and go on by themselves. Empty: no such limit."
            error={velocity === undefined ? "An amount in dollars." : undefined}
          >
            <MoneyInput value={velocity ?? null} onValueChange={setVelocity} />
          </Field>
          {velocity !== null && (
            <div className="grid gap-5 sm:grid-cols-2">
              <Field label="In">
                <NumberField value={windowSeconds} onValueChange={setWindowSeconds} min={10} max={3_600} unit="seconds" />
              </Field>
              <Field label="Pauses for">
                <NumberField value={cooldownSeconds} onValueChange={setCooldownSeconds} min={10} max={3_600} unit="seconds" />
              </Field>
            </div>
          )}
          <Field
            label="A session may spend"
            hint="Empty: no limit of its own."
            error={session === undefined ? "An amount in dollars." : undefined}
          >
            <MoneyInput value={session ?? null} onValueChange={setSession} />
          </Field>
          {budget === undefined && (
            <Field label="Only these models" hint="Names or patterns such as gpt-5*, separated by spaces. Empty: all.">
              <Input value={models} onValueChange={setModels} autoComplete="off" spellCheck={false} />
            </Field>
          )}
        </div>
      </details>
      {complete && <Preview entityType={entityType} entityId={id} limit={limit} interval={interval} budget={budget} />}
      <FormError>{problem}</FormError>
      <DialogActions>
        <DialogClose />
        <Button type="submit" variant="primary" loading={working} disabled={!complete}>
          {budget === undefined ? "Make the budget" : "Save"}
        </Button>
      </DialogActions>
    </form>
  );
}

/** The last thirty days against this limit. */
function Preview({
  entityType,
  entityId,
  limit,
  interval,
  budget,
}: {
  entityType: EntityType;
  entityId: string;
  limit: number;
  interval: NonNullable<NewBudget["resetInterval"]>;
  budget: Budget | undefined;
}) {
  const trpc = useTRPC();
  const zone = useOrgZone();
  const preview = useQuery(
    trpc.budgets.preview.queryOptions(
      { entityType, entityId, maxBudgetMicrodollars: limit, resetInterval: interval },
      { retry: false, placeholderData: (before) => before },
    ),
  );
  const below = budget !== undefined && limit < budget.spendMicrodollars;
  return (
    <div aria-live="polite" className="flex flex-col gap-3">
      {below && (
        <Notice tone="warning" title="Below what is spent">
          {formatUsd(budget.spendMicrodollars)} is spent in this period. With this limit nothing more is let through until it resets.
        </Notice>
      )}
      {preview.data !== undefined && (
        <Notice tone={preview.data.stoppedCalls > 0 ? "warning" : "info"}>
          {preview.data.stoppedCalls === 0
            ? "In the last thirty days this limit would have stopped nothing."
            : `In the last thirty days this limit would have stopped ${plural(preview.data.stoppedCalls, "call")}${
                preview.data.firstStoppedAt === null
                  ? ""
                  : `, the first on ${formatTime(new Date(preview.data.firstStoppedAt), "datetime", zone)}`
              }.`}
        </Notice>
      )}
    </div>
  );
}
