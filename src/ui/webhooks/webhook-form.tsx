"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { CodeBlock } from "@/ui/components/code-block";
import { Button } from "@/ui/kit/button";
import { Checkbox, RadioGroup } from "@/ui/kit/choice";
import { DialogActions, DialogClose } from "@/ui/kit/dialog";
import { Field, FormError } from "@/ui/kit/field";
import { Input } from "@/ui/kit/input";
import { useSubmit } from "@/ui/lib/use-submit";
import { useTRPC, type RouterInputs, type RouterOutputs } from "@/ui/trpc";

export type WebhookValues = Required<Omit<RouterInputs["webhooks"]["create"], "description">> & { description: string | null };
type EventType = RouterOutputs["webhooks"]["eventTypes"][number]["type"];

const NEW: WebhookValues = { url: "", description: null, eventTypes: [], payloadMode: "full" };

/** Address, events with an example of what each carries, and the form of cost events. */
export function WebhookForm({
  initial = NEW,
  submit,
  onSubmit,
}: {
  initial?: WebhookValues;
  submit: string;
  onSubmit: (values: WebhookValues) => Promise<void>;
}) {
  const types = useQuery(useTRPC().webhooks.eventTypes.queryOptions()).data ?? [];
  const [url, setUrl] = useState(initial.url);
  const [description, setDescription] = useState(initial.description ?? "");
  const [all, setAll] = useState(initial.eventTypes.length === 0);
  const [chosen, setChosen] = useState<ReadonlySet<EventType>>(new Set(initial.eventTypes));
  const [payloadMode, setPayloadMode] = useState(initial.payloadMode);
  const [shown, setShown] = useState<EventType>("budget.exceeded");
  const sample = types.find(({ type }) => type === shown)?.sample;

  const {
    onSubmit: send,
    working,
    problem,
  } = useSubmit(async () => {
    const eventTypes = all ? [] : types.map(({ type }) => type).filter((type) => chosen.has(type));
    await onSubmit({ url: url.trim(), description: description.trim() || null, eventTypes, payloadMode });
  });

  return (
    <form className="flex flex-col gap-5" onSubmit={send}>
      <Field label="Address" hint="On the public internet, with https. Redirects are not followed." required>
        <Input value={url} onValueChange={setUrl} placeholder="https://example.com/hooks" autoFocus autoComplete="off" spellCheck={false} />
      </Field>
      <Field label="Description">
        <Input value={description} onValueChange={setDescription} maxLength={200} autoComplete="off" />
      </Field>
      <fieldset className="flex flex-col gap-2">
        <legend className="mb-2 text-small font-medium">Events</legend>
        <Checkbox label="All, also those that are added later" checked={all} onCheckedChange={setAll} />
        {!all && (
          <div className="grid gap-x-6 gap-y-2 sm:grid-cols-2">
            {types.map(({ type }) => (
              <Checkbox
                key={type}
                label={<code className="font-mono text-micro">{type}</code>}
                checked={chosen.has(type)}
                onCheckedChange={(checked) => {
                  const next = new Set(chosen);
                  if (checked) next.add(type);
                  else next.delete(type);
                  setChosen(next);
                  setShown(type);
                }}
              />
            ))}
          </div>
        )}
      </fieldset>
      {sample !== undefined && (
        <details className="rounded-control border border-line px-4 py-3">
          <summary className="cursor-pointer text-small font-medium">
            Example of <code className="font-mono text-micro">{shown}</code>
          </summary>
          <div className="mt-3">
            <CodeBlock
              code={JSON.stringify({ type: shown, data: { object: sample } }, null, 2)}
              language="js"
              title={shown}
              what="the example"
            />
          </div>
        </details>
      )}
      <RadioGroup
        label="Cost events carry"
        value={payloadMode}
        onValueChange={setPayloadMode}
        options={[
          { value: "full", label: "Their content" },
          { value: "thin", label: "A reference", hint: "To be read with a key of yours." },
        ]}
      />
      <FormError>{problem}</FormError>
      <DialogActions>
        <DialogClose />
        <Button type="submit" variant="primary" loading={working} disabled={url.trim() === "" || (!all && chosen.size === 0)}>
          {submit}
        </Button>
      </DialogActions>
    </form>
  );
}
