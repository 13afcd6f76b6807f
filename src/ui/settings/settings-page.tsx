"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { parseAsBoolean, useQueryState } from "nuqs";
import { useState, type ReactNode } from "react";
import { Button } from "@/ui/kit/button";
import { Switch } from "@/ui/kit/choice";
import { CopyId } from "@/ui/kit/copy-id";
import { AlertDialog } from "@/ui/kit/dialog";
import { ErrorState } from "@/ui/kit/empty-state";
import { Field, FormError } from "@/ui/kit/field";
import { Input, MoneyInput } from "@/ui/kit/input";
import { Link } from "@/ui/kit/link";
import { Card, KeyValueList, Notice, PageHeader } from "@/ui/kit/page";
import { Combobox, Select } from "@/ui/kit/select";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Time } from "@/ui/kit/time";
import { toast } from "@/ui/kit/toast";
import { useHasRole, useOrgPath, useShell } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterInputs, type RouterOutputs } from "@/ui/trpc";
import { NewTeamDialog } from "./new-team-dialog";

type Settings = RouterOutputs["orgs"]["settings"];
type Changes = RouterInputs["orgs"]["update"];
/** A fault of one field, by its name. */
type Faults = Readonly<Partial<Record<keyof Changes, string>>>;

export function SettingsPage() {
  const admin = useHasRole("admin");
  const trpc = useTRPC();
  const settings = useQuery(trpc.orgs.settings.queryOptions());
  const [newTeam, setNewTeam] = useQueryState("new-team", parseAsBoolean.withDefault(false));
  return (
    <>
      <PageHeader title="Settings" description="Of the organisation. What is only yours is in your account." />
      {settings.isPending ? (
        <SkeletonRows rows={6} label="Loading the settings" />
      ) : settings.isError ? (
        <ErrorState
          title="The settings could not be loaded"
          referenceId={errorOf(settings.error).reference ?? undefined}
          onRetry={() => void settings.refetch()}
          retrying={settings.isFetching}
        >
          {errorOf(settings.error).message}
        </ErrorState>
      ) : (
        <div className="flex max-w-3xl flex-col gap-6">
          {!admin && <Notice>Admins and owners change settings; you can read them.</Notice>}
          {/* Made anew when somebody else has changed them. */}
          <General key={`general ${settings.data.updatedAt}`} settings={settings.data} />
          <Gateway key={`gateway ${settings.data.updatedAt}`} settings={settings.data} />
          <Approvals key={`approvals ${settings.data.updatedAt}`} settings={settings.data} />
          <Danger settings={settings.data} />
        </div>
      )}
      <NewTeamDialog open={newTeam} onOpenChange={(open) => void setNewTeam(open ? true : null)} />
    </>
  );
}

/** Saves some of the settings, and says which field is at fault. */
function useSave() {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const router = useRouter();
  const update = useMutation(trpc.orgs.update.mutationOptions());
  const { org } = useShell();
  const [faults, setFaults] = useState<Faults>({});
  const [problem, setProblem] = useState<string>();

  async function save(changes: Changes): Promise<void> {
    setFaults({});
    setProblem(undefined);
    try {
      const saved = await update.mutateAsync(changes);
      queryClient.setQueryData(trpc.orgs.settings.queryKey(), saved);
      toast.success("Saved");
      // The address of every page has the short name in it.
      if (saved.slug !== org.slug) router.replace(`/o/${saved.slug}/settings`);
      else router.refresh();
    } catch (error) {
      const { message, issues } = errorOf(error);
      const named = issues.filter(({ path }) => path in changes);
      setFaults(Object.fromEntries(named.map(({ path, message: fault }) => [path, fault])));
      if (named.length === 0) setProblem(message);
    }
  }

  return { save, saving: update.isPending, faults, problem };
}

type FormProps = { onSave: () => void; saving: boolean; changed: boolean; problem: string | undefined; children: ReactNode };

function Form({ onSave, saving, changed, problem, children }: FormProps) {
  const admin = useHasRole("admin");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onSave();
      }}
    >
      <fieldset disabled={!admin} className="flex min-w-0 flex-col gap-5">
        {children}
        <FormError>{problem}</FormError>
        {admin && (
          <div>
            <Button type="submit" variant="primary" loading={saving} disabled={!changed}>
              Save
            </Button>
          </div>
        )}
      </fieldset>
    </form>
  );
}

const ZONES = ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")].map((value) => ({ value, label: value }));

function General({ settings }: { settings: Settings }) {
  const { save, saving, faults, problem } = useSave();
  const [name, setName] = useState(settings.name);
  const [slug, setSlug] = useState(settings.slug);
  const [timezone, setTimezone] = useState(settings.timezone);
  const changes: Changes = {
    ...(name === settings.name ? {} : { name }),
    ...(slug === settings.slug ? {} : { slug }),
    ...(timezone === settings.timezone ? {} : { timezone }),
  };
  return (
    <Card title="General">
      <Form onSave={() => void save(changes)} saving={saving} changed={Object.keys(changes).length > 0} problem={problem}>
        <Field label="Name" error={faults.name} required>
          <Input value={name} onValueChange={(next: string) => setName(next)} maxLength={50} autoComplete="organization" />
        </Field>
        <Field
          label="Short name"
          hint={slug === settings.slug ? "In the address of every page." : "Links with the old short name stop working."}
          error={faults.slug}
          required
        >
          <Input value={slug} onValueChange={(next: string) => setSlug(next)} maxLength={50} autoComplete="off" spellCheck={false} />
        </Field>
        <Field
          label="Time zone"
          hint="Days, months and budgets that say no other zone begin by it, summer time included."
          error={faults.timezone}
        >
          <Combobox value={timezone} onValueChange={(next) => setTimezone(next ?? settings.timezone)} options={ZONES} />
        </Field>
        <KeyValueList
          items={[
            { key: "Id", value: <CopyId id={settings.id} what="the organisation's id" /> },
            { key: "Made", value: <Time value={settings.createdAt} style="date" /> },
          ]}
        />
      </Form>
    </Card>
  );
}

type Tier = "dearest" | "default" | "flex" | "priority";

function Gateway({ settings }: { settings: Settings }) {
  const owner = useHasRole("owner");
  const { save, saving, faults, problem } = useSave();
  const [addStreamUsage, setAddStreamUsage] = useState(settings.addStreamUsage);
  const tierNow = (settings.assumedServiceTier ?? "dearest") as Tier;
  const [tier, setTier] = useState<Tier>(tierNow);
  const [upgradeUrl, setUpgradeUrl] = useState(settings.upgradeUrl ?? "");
  const changes: Changes = {
    ...(addStreamUsage === settings.addStreamUsage ? {} : { addStreamUsage }),
    ...(tier === tierNow ? {} : { assumedServiceTier: tier === "dearest" ? null : tier }),
    ...(upgradeUrl.trim() === (settings.upgradeUrl ?? "") ? {} : { upgradeUrl: upgradeUrl.trim() === "" ? null : upgradeUrl.trim() }),
  };
  return (
    <Card title="Gateway">
      <Form onSave={() => void save(changes)} saving={saving} changed={Object.keys(changes).length > 0} problem={problem}>
        <Switch
          label="Ask OpenAI for the usage of streams"
          hint="Adds stream_options.include_usage where a caller did not, and takes the answer out again. Off: output is counted here and marked as counted."
          checked={addStreamUsage}
          onCheckedChange={setAddStreamUsage}
        />
        <Field
          label="Service tier of OpenAI calls that name none"
          hint="What is held for a call until its answer says the tier. What it costs is always by the tier that answered."
          error={faults.assumedServiceTier}
        >
          <Select<Tier>
            value={tier}
            onValueChange={setTier}
            options={[
              { value: "dearest", label: "The dearest there is", hint: "Safe whatever the project's default is" },
              { value: "default", label: "Default" },
              { value: "flex", label: "Flex" },
              { value: "priority", label: "Priority" },
            ]}
          />
        </Field>
        <Field
          label="Where denied callers can buy more"
          hint={owner ? "Stands in every denial by a budget; {customer_id} is replaced. Empty: none." : "Only owners change this."}
          error={faults.upgradeUrl}
          disabled={!owner}
        >
          <Input
            type="text"
            inputMode="url"
            value={upgradeUrl}
            onValueChange={(next: string) => setUpgradeUrl(next)}
            placeholder="https://example.com/upgrade?customer={customer_id}"
            autoComplete="off"
            spellCheck={false}
          />
        </Field>
      </Form>
    </Card>
  );
}

function Approvals({ settings }: { settings: Settings }) {
  const { save, saving, faults, problem } = useSave();
  const [limit, setLimit] = useState<number | null | undefined>(settings.linkLimitMicrodollars);
  const valid = typeof limit === "number";
  return (
    <Card title="Approvals by mail">
      <Form
        onSave={() => {
          if (valid) void save({ linkLimitMicrodollars: limit });
        }}
        saving={saving}
        changed={valid && limit !== settings.linkLimitMicrodollars}
        problem={problem}
      >
        <Field
          label="Limit of the mailed code"
          hint="What one approver may approve in a day with the code from a mail, without signing in. 0: always sign in."
          error={valid ? faults.linkLimitMicrodollars : "Write dollars, for example 100."}
        >
          <MoneyInput value={limit ?? null} onValueChange={setLimit} />
        </Field>
      </Form>
    </Card>
  );
}

function Danger({ settings }: { settings: Settings }) {
  const { org } = useShell();
  const owner = useHasRole("owner");
  const path = useOrgPath();
  const trpc = useTRPC();
  const router = useRouter();
  const remove = useMutation(trpc.orgs.delete.mutationOptions());
  return (
    <Card title="Danger zone" tone="danger">
      <div className="flex flex-col divide-y divide-line text-small">
        <div className="flex flex-wrap items-center justify-between gap-3 py-3 first:pt-0">
          <p className="max-w-[52ch]">
            <span className="font-medium">Hand it over or leave.</span>{" "}
            <span className="text-ink-muted">Somebody else becomes the owner; both are done on the list of members.</span>
          </p>
          <Link href={path("members")}>Members</Link>
        </div>
        <div className="flex flex-wrap items-center justify-between gap-3 py-3 last:pb-0">
          <p className="max-w-[52ch]">
            <span className="font-medium">Delete {org.name}.</span>{" "}
            <span className="text-ink-muted">
              {settings.isPersonal
                ? "A personal organisation goes with its account: delete the account instead."
                : owner
                  ? "All keys stop within a second, and nobody sees it any more. Export first what you want to keep."
                  : "Only an owner can."}
            </span>
          </p>
          {owner && !settings.isPersonal && (
            <AlertDialog
              trigger={<Button variant="danger-quiet">Delete organisation…</Button>}
              title={`Delete ${org.name}?`}
              description="Every key stops within a second, invitations end, and all members find it gone. This cannot be undone here."
              confirm="Delete organisation"
              typeToConfirm={org.name}
              errorText={(error) => errorOf(error).message}
              onConfirm={async () => {
                await remove.mutateAsync({ name: org.name });
                router.push("/app");
              }}
            />
          )}
        </div>
      </div>
    </Card>
  );
}
