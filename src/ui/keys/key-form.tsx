"use client";

import { useState } from "react";
import { Button } from "@/ui/kit/button";
import { Checkbox, RadioGroup } from "@/ui/kit/choice";
import { DialogActions, DialogClose } from "@/ui/kit/dialog";
import { Field, FormError } from "@/ui/kit/field";
import { Input, Textarea } from "@/ui/kit/input";
import { useSubmit } from "@/ui/lib/use-submit";
import { useHasRole } from "@/ui/shell/shell-context";
import type { RouterInputs } from "@/ui/trpc";

type NewKey = RouterInputs["keys"]["create"];
type Scope = NonNullable<NewKey["scopes"]>[number];

const SCOPES: readonly { value: Scope; label: string; hint: string; admin?: true }[] = [
  { value: "proxy", label: "Call models", hint: "Through the gateway." },
  { value: "ingest", label: "Report costs and propose actions", hint: "What was spent elsewhere, and what needs a person." },
  { value: "self", label: "Read what concerns itself", hint: "Its own calls, budgets and actions." },
  { value: "read", label: "Read the organisation", hint: "All calls, budgets and keys.", admin: true },
  { value: "manage", label: "Change the organisation", hint: "Budgets, keys, webhooks, prices, freezes. Never for an agent.", admin: true },
];

const listOf = (text: string): string[] =>
  text
    .split(/[\s,]+/)
    .map((each) => each.trim())
    .filter((each) => each !== "");

/** `name=value` lines, as an object. Undefined for a line that is none. */
export function tagsOf(text: string): Record<string, string> | undefined {
  const tags: Record<string, string> = {};
  for (const line of text.split("\n").map((each) => each.trim())) {
    if (line === "") continue;
    const equals = line.indexOf("=");
    if (equals < 1) return undefined;
    tags[line.slice(0, equals).trim()] = line.slice(equals + 1).trim();
  }
  return tags;
}

/** Name and scopes; restrictions behind a fold, because most keys have none. */
export function KeyForm({ onSubmit }: { onSubmit: (input: NewKey) => Promise<void> }) {
  const admin = useHasRole("admin");
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<ReadonlySet<Scope>>(new Set(["proxy", "ingest", "self"]));
  const [models, setModels] = useState("");
  const [lockedTags, setLockedTags] = useState("");
  const [customer, setCustomer] = useState("");
  const [denialStatus, setDenialStatus] = useState<"429" | "402">("429");
  const tags = tagsOf(lockedTags);

  const {
    onSubmit: send,
    working,
    problem,
  } = useSubmit(async () => {
    if (tags === undefined) return;
    await onSubmit({
      name: name.trim(),
      scopes: SCOPES.map(({ value }) => value).filter((scope) => scopes.has(scope)),
      ...(models.trim() !== "" && { allowedModels: listOf(models) }),
      ...(Object.keys(tags).length > 0 && { lockedTags: tags }),
      ...(customer.trim() !== "" && { lockedCustomer: customer.trim() }),
      ...(denialStatus === "402" && { denialStatus: 402 as const }),
    });
  });

  return (
    <form className="flex flex-col gap-5" onSubmit={send}>
      <Field label="Name" hint="What uses it: “support agent, production”." required>
        <Input value={name} onValueChange={setName} maxLength={50} autoFocus autoComplete="off" />
      </Field>
      <fieldset className="flex flex-col gap-2">
        <legend className="mb-2 text-small font-medium">It may</legend>
        {SCOPES.filter((scope) => admin || scope.admin !== true).map(({ value, label, hint }) => (
          <Checkbox
            key={value}
            label={label}
            hint={hint}
            checked={scopes.has(value)}
            onCheckedChange={(checked) => {
              const next = new Set(scopes);
              if (checked) next.add(value);
              else next.delete(value);
              setScopes(next);
            }}
          />
        ))}
      </fieldset>
      <details className="rounded-control border border-line px-4 py-3">
        <summary className="cursor-pointer text-small font-medium">Restrictions</summary>
        <div className="mt-4 flex flex-col gap-5">
          <Field label="Models" hint="Names or patterns such as gpt-5*, separated by spaces. Empty: all.">
            <Input value={models} onValueChange={setModels} placeholder="gpt-5* claude-*" autoComplete="off" spellCheck={false} />
          </Field>
          <Field
            label="Locked tags"
            hint="One name=value a line. They win over what a call says, so a budget on such a tag cannot be avoided."
            error={tags === undefined ? "Each line must be name=value." : undefined}
          >
            <Textarea
              rows={2}
              value={lockedTags}
              onChange={(event) => setLockedTags(event.target.value)}
              placeholder="team=support"
              spellCheck={false}
            />
          </Field>
          <Field label="Locked customer" hint="Every call counts for this customer.">
            <Input value={customer} onValueChange={setCustomer} maxLength={256} autoComplete="off" spellCheck={false} />
          </Field>
          <RadioGroup
            label="When a budget denies a call, answer"
            value={denialStatus}
            onValueChange={setDenialStatus}
            options={[
              { value: "429", label: "429", hint: "What most clients expect; told not to retry." },
              { value: "402", label: "402", hint: "For the Vercel AI SDK, which retries every 429." },
            ]}
          />
        </div>
      </details>
      <FormError>{problem}</FormError>
      <DialogActions>
        <DialogClose />
        <Button type="submit" variant="primary" loading={working} disabled={name.trim() === "" || scopes.size === 0 || tags === undefined}>
          Make the key
        </Button>
      </DialogActions>
    </form>
  );
}
