"use client";

import { Copy, Ellipsis, Plus, Trash2, Wallet } from "lucide-react";
import { NuqsAdapter } from "nuqs/adapters/next/app";
import { useState, type ReactNode } from "react";
import { CodeBlock } from "@/ui/components/code-block";
import { resolveRange } from "@/ui/format/range";
import { ThemeSwitch } from "@/ui/theme/theme-switch";
import { Badge, Status, type StatusValue } from "../badge";
import { Button, ButtonLink, IconButton } from "../button";
import { OTHER_ID } from "../series-colour";
import { Sparkline, TimeSeries, type ChartBucket } from "../charts";
import { Checkbox, RadioGroup, Switch } from "../choice";
import { CopyId } from "../copy-id";
import { AlertDialog, Dialog, DialogClose } from "../dialog";
import { Drawer } from "../drawer";
import { EmptyState, ErrorState, NothingMatches } from "../empty-state";
import { Field, FormError } from "../field";
import { FilterBar, useFilters, type FilterDefinition } from "../filter-bar";
import { Input, MoneyInput, NumberField, Textarea } from "../input";
import { Link } from "../link";
import { LoadMore } from "../load-more";
import { Menu, Popover, Tooltip } from "../menu";
import { BudgetBar, Meter } from "../meter";
import { Money } from "../money";
import { Card, Kbd, KeyValueList, Notice, PageHeader, Section, StatTile, StatTiles } from "../page";
import { RangePicker, useRange } from "../range-picker";
import { Combobox, Select } from "../select";
import { Skeleton, SkeletonRows } from "../skeleton";
import { Table, type TableColumn } from "../table";
import { Tabs } from "../tabs";
import { Countdown, Duration, OrgZoneProvider, Time } from "../time";
import { Toaster, toast } from "../toast";

// Fixed, so that screenshots compare.
const NOW = new Date("2026-11-24T14:20:00Z");
/** What is told relative to now. */
const LOADED_MS = Date.now();
const MODELS = ["gpt-5.4", "claude-opus-5-5", "gpt-5-mini", "claude-haiku-4-5", "text-embedding-3-small"];

/** Numbers that look like traffic and are the same each time. */
function sample(at: number, of: number): number {
  return Math.round((Math.sin(at * 0.6 + of) + 1.3) * (9_000_000 / (of + 1)));
}

const BUCKETS: ChartBucket[] = Array.from({ length: 30 }, (_, at) => ({
  start: new Date(Date.UTC(2026, 9, 26 + at)).toISOString(),
  values: Object.fromEntries([...MODELS.slice(0, 4), OTHER_ID].map((id, of) => [id, at === 12 ? 0 : sample(at, of)])),
  incomplete: at === 29,
}));
const LATENCY: ChartBucket[] = Array.from({ length: 24 }, (_, at) => ({
  start: new Date(Date.UTC(2026, 10, 24, at - 9)).toISOString(),
  values: { p50: at === 8 ? null : 300 + sample(at, 3) / 10_000, p95: at === 8 ? null : 900 + sample(at, 1) / 2_000 },
  incomplete: at === 23,
}));
const SERIES = [...MODELS.slice(0, 4).map((id) => ({ id, label: id })), { id: OTHER_ID, label: "Other" }];

type Call = { id: string; at: string; model: string; status: StatusValue; cost: number; tokens: number };
const STATUSES: StatusValue[] = ["ok", "ok", "ok", "denied", "upstream_error", "cancelled", "interrupted"];
const CALLS: Call[] = Array.from({ length: 400 }, (_, at) => ({
  id: `ns_evt_0198c${(at + 4096).toString(16)}8d7e4f2ab1c9d0e1f2a3b4c5`,
  at: new Date(NOW.getTime() - at * 61_000).toISOString(),
  model: MODELS[at % MODELS.length]!,
  status: STATUSES[at % STATUSES.length]!,
  cost: sample(at, at % 7) / 1000,
  tokens: sample(at, 2) % 9000,
}));
const COLUMNS: TableColumn<Call>[] = [
  { id: "at", header: "Time", cell: (call) => <Time value={call.at} style="time-seconds" />, sortBy: (call) => call.at, width: "7rem" },
  { id: "model", header: "Model", cell: (call) => call.model, sortBy: (call) => call.model, fixed: true },
  { id: "status", header: "Status", cell: (call) => <Status value={call.status} />, sortBy: (call) => call.status, width: "10rem" },
  { id: "id", header: "Id", cell: (call) => <CopyId id={call.id} short />, from: "md", width: "14rem" },
  { id: "tokens", header: "Tokens", cell: (call) => call.tokens, align: "end", sortBy: (call) => call.tokens, width: "7rem" },
  {
    id: "cost",
    header: "Cost",
    cell: (call) => <Money microdollars={call.cost} decimals={4} />,
    align: "end",
    sortBy: (call) => call.cost,
    width: "8rem",
  },
];

const FILTER_IDS = ["model", "status", "cost"] as const;
const FILTERS: (FilterDefinition & { id: (typeof FILTER_IDS)[number] })[] = [
  { id: "model", label: "Model", options: MODELS.map((value) => ({ value })) },
  {
    id: "status",
    label: "Status",
    closed: true,
    options: [
      { value: "ok", label: "OK" },
      { value: "denied", label: "Denied" },
    ],
  },
  { id: "cost", label: "Cost", example: ">0.10", single: true, parse: (text) => (/^[<>]\d+(\.\d+)?$/.test(text) ? text : undefined) },
];

export function KitPage() {
  return (
    <NuqsAdapter>
      <OrgZoneProvider zone="America/New_York">
        <main className="mx-auto flex max-w-6xl flex-col gap-10 px-4 py-8 sm:px-8">
          <PageHeader
            title="Kit"
            description="Every part in every state. Resize, switch the theme, use the keyboard."
            meta={<Badge tone="quiet">development only</Badge>}
            breadcrumbs={[{ label: "Overview", href: "/" }]}
            actions={<ThemeSwitch />}
          />
          <Buttons />
          <Forms />
          <Choices />
          <Overlays />
          <States />
          <Numbers />
          <Charts />
          <Tables />
          <Rest />
        </main>
        <Toaster />
      </OrgZoneProvider>
    </NuqsAdapter>
  );
}

function Row({ children }: { children: ReactNode }) {
  return <div className="flex flex-wrap items-center gap-2">{children}</div>;
}

function Buttons() {
  const [loading, setLoading] = useState(false);
  return (
    <Section title="Buttons and links">
      <div className="flex flex-col gap-3">
        <Row>
          <Button variant="primary" icon={<Plus aria-hidden className="size-4" />}>
            New budget
          </Button>
          <Button>Secondary</Button>
          <Button variant="ghost">Ghost</Button>
          <Button variant="danger">Revoke key</Button>
          <Button variant="danger-quiet">Remove</Button>
          <Button disabled>Disabled</Button>
          <Button variant="primary" loading={loading} onClick={() => setLoading(true)}>
            Press to load
          </Button>
          <Button loading>Loading</Button>
        </Row>
        <Row>
          <Button size="small">Small</Button>
          <Button size="large">Large</Button>
          <IconButton label="Copy">
            <Copy aria-hidden className="size-4" />
          </IconButton>
          <ButtonLink href="#content">Link as button</ButtonLink>
          <span className="text-small">
            A <Link href="#content">link in text</Link> and{" "}
            <Link href="https://example.com" external>
              one that leads away
            </Link>
            .
          </span>
        </Row>
      </div>
    </Section>
  );
}

function Forms() {
  const [name, setName] = useState("");
  const [limit, setLimit] = useState<number | null>(12_500_000);
  const [seconds, setSeconds] = useState<number | null>(60);
  const [period, setPeriod] = useState<"daily" | "monthly" | "none">("monthly");
  const [model, setModel] = useState<string | null>(null);
  return (
    <Section title="Fields">
      <div className="grid gap-5 sm:grid-cols-2 lg:grid-cols-3">
        <Field label="Name" hint="Shown in lists." required>
          <Input value={name} onValueChange={(next: string) => setName(next)} placeholder="production" />
        </Field>
        <Field label="E-mail" error="There is no @ in it. Write it as name@example.com.">
          <Input defaultValue="ada.example.com" type="email" />
        </Field>
        <Field label="Disabled" disabled>
          <Input defaultValue="cannot be changed" disabled />
        </Field>
        <Field
          label="Limit"
          hint={limit === null ? "Empty" : `${limit} microdollars`}
          error={limit === undefined ? "Write dollars, for example 12.50." : undefined}
        >
          <MoneyInput value={limit} onValueChange={(next) => setLimit(next ?? null)} />
        </Field>
        <Field label="Window">
          <NumberField value={seconds} onValueChange={setSeconds} min={10} max={3600} unit="seconds" />
        </Field>
        <Field label="Resets">
          <Select
            value={period}
            onValueChange={setPeriod}
            options={[
              { value: "none", label: "Never" },
              { value: "daily", label: "Every day", hint: "At midnight in the organisation's zone" },
              { value: "monthly", label: "Every month" },
            ]}
          />
        </Field>
        <Field label="Model">
          <Combobox value={model} onValueChange={setModel} options={MODELS.map((value) => ({ value, label: value }))} clearable />
        </Field>
        <Field label="Reason" className="sm:col-span-2">
          <Textarea placeholder="Why?" />
        </Field>
      </div>
      <div className="mt-4">
        <FormError>The budget was not saved: another budget for this key has the same period.</FormError>
      </div>
    </Section>
  );
}

function Choices() {
  const [on, setOn] = useState(true);
  const [policy, setPolicy] = useState<"strict" | "soft" | "warn">("strict");
  return (
    <Section title="Choices">
      <div className="grid gap-6 sm:grid-cols-2">
        <div className="flex flex-col gap-3">
          <Checkbox label="Tell me by mail" hint="At 50, 80 and 95 %." checked={on} onCheckedChange={setOn} />
          <Checkbox label="Some of them" checked={false} indeterminate onCheckedChange={() => setOn(false)} />
          <Checkbox label="Cannot be chosen" disabled checked={false} onCheckedChange={() => setOn(true)} />
          <Switch label="Stream usage" hint="Adds usage to streams that do not ask for it." checked={on} onCheckedChange={setOn} />
        </div>
        <RadioGroup
          cards
          label="What happens at the limit"
          value={policy}
          onValueChange={setPolicy}
          options={[
            { value: "strict", label: "Stop", hint: "Nothing goes past the limit." },
            { value: "soft", label: "Let sessions finish", hint: "Running sessions may go 10 % over." },
            { value: "warn", label: "Only tell", hint: "Never denies a call." },
          ]}
        />
      </div>
    </Section>
  );
}

function Overlays() {
  const [reason, setReason] = useState("");
  return (
    <Section title="What floats">
      <Row>
        <Dialog
          trigger={<Button>Dialog</Button>}
          title="New key"
          description="It is shown once."
          actions={
            <>
              <DialogClose />
              <Button variant="primary">Make key</Button>
            </>
          }
        >
          <Field label="Name" required>
            <Input placeholder="production" />
          </Field>
        </Dialog>
        <AlertDialog
          trigger={<Button variant="danger-quiet">Alert dialog</Button>}
          title="Delete Example Inc.?"
          description="All keys stop at once. Budgets, history and members are gone after 7 days."
          confirm="Delete organisation"
          typeToConfirm="example"
          ready={reason !== ""}
          onConfirm={() => Promise.reject(new Error("Only the owner can delete the organisation."))}
        >
          <Field label="Reason" required>
            <Input value={reason} onValueChange={(next: string) => setReason(next)} />
          </Field>
        </AlertDialog>
        <Drawer trigger={<Button>Drawer</Button>} title="gpt-5.4" description="ns_evt_0198c1f2" footer={<Button>Open page</Button>}>
          <KeyValueList
            items={[
              { key: "Cost", value: <Money microdollars={694.6} /> },
              { key: "Tokens", value: "1,516" },
            ]}
          />
        </Drawer>
        <Menu
          trigger={
            <IconButton label="More" variant="secondary">
              <Ellipsis aria-hidden className="size-4" />
            </IconButton>
          }
          groups={[
            {
              items: [
                { label: "Rename", onSelect: () => toast.info("Rename") },
                { label: "Open activity", href: "#content" },
              ],
            },
            {
              items: [
                { label: "Revoke", icon: <Trash2 aria-hidden />, danger: true, onSelect: () => toast.warning("Revoked") },
                { label: "Rotate", disabled: true, hint: "Only admins rotate keys." },
              ],
            },
          ]}
        />
        <Popover trigger={<Button>Popover</Button>} title="How it is counted">
          Reserved money is held for calls that run.
        </Popover>
        <Tooltip content="Adds to what is there">
          <Button>Tooltip</Button>
        </Tooltip>
        <Button onClick={() => toast.success("Budget saved", { description: "In force since 12:04:05." })}>Toast</Button>
        <Button onClick={() => toast.error("The budget was not saved", { action: { label: "Retry", onClick: () => toast.info("Again") } })}>
          Error toast
        </Button>
      </Row>
    </Section>
  );
}

function States() {
  const states: StatusValue[] = [
    "ok",
    "denied",
    "upstream_error",
    "cancelled",
    "interrupted",
    "in_flight",
    "pending",
    "approved",
    "expired",
    "near",
    "over",
    "frozen",
    "revoked",
    "invited",
    "delivered",
    "retrying",
  ];
  return (
    <Section title="States">
      <div className="flex flex-col gap-5">
        <Row>
          {states.map((state) => (
            <Status key={state} value={state} />
          ))}
          <Badge>neutral</Badge>
          <Badge tone="accent">demo</Badge>
        </Row>
        <div className="grid gap-5 sm:grid-cols-2">
          <BudgetBar label="Production" spent={41_230_000} reserved={6_400_000} limit={100_000_000} thresholds={[50, 80, 95]} legend />
          <BudgetBar label="Research" spent={83_000_000} reserved={9_000_000} limit={100_000_000} thresholds={[50, 80, 95]} legend />
          <BudgetBar label="Support" spent={98_000_000} reserved={2_000_000} limit={100_000_000} legend />
          <BudgetBar label="Lowered" spent={130_000_000} limit={100_000_000} thresholds={[50]} legend />
          <Meter label="Seats" value={2} max={3} valueText="2 of 3 seats" />
          <Meter label="Calls" value={96} max={100} tone="danger" />
        </div>
        <div className="grid gap-4 lg:grid-cols-3">
          <EmptyState icon={<Wallet />} title="No budgets yet" actions={<Button variant="primary">New budget</Button>}>
            A budget stops spend before it happens. Start with one for the whole organisation.
          </EmptyState>
          <Card flush>
            <NothingMatches what="No call" onClear={() => toast.info("Cleared")} />
          </Card>
          <ErrorState title="The budgets could not be loaded" referenceId="ns_req_0198c1f2a3b4" onRetry={() => toast.info("Again")} />
        </div>
        <Card title="Loading">
          <SkeletonRows rows={3} />
          <Skeleton className="mt-4 h-24 w-full" />
        </Card>
        <Notice tone="warning" title="This organisation is frozen" actions={<Button size="small">Lift</Button>}>
          All calls are denied since 12:04. Reason: runaway agent.
        </Notice>
        <Notice>Days are counted in America/New_York.</Notice>
      </div>
    </Section>
  );
}

function Numbers() {
  return (
    <Section title="Numbers, times, ids">
      <StatTiles>
        <StatTile label="Spend today" value={<Money microdollars={12_345_678} />} note="+12% on yesterday by now" href="#content">
          <Sparkline label="Spend per hour today" values={[1, 3, 2, 5, 8, 4, 6, 9]} incomplete />
        </StatTile>
        <StatTile label="In flight" value={<Money microdollars={34.2} />} note="3 calls" />
        <StatTile label="This month" value={<Money microdollars={12_345_678_000} compact />} note="Forecast $18.2K" />
        <StatTile label="Not spent" value={<Money microdollars={undefined} />} note="Not known" />
      </StatTiles>
      <Card className="mt-4">
        <KeyValueList
          items={[
            { key: "Tiny", value: <Money microdollars={3420} /> },
            { key: "Below the column's precision", value: <Money microdollars={3.4} decimals={4} /> },
            { key: "Difference", value: <Money microdollars={-1_200_000} signed /> },
            { key: "Moment", value: <Time value={NOW} style="datetime-seconds" /> },
            { key: "Relative", value: <Time value={new Date(LOADED_MS - 200_000)} style="relative" /> },
            { key: "Left", value: <Countdown to={new Date(LOADED_MS + 3_700_000)} /> },
            { key: "Took", value: <Duration ms={83_400} /> },
            { key: "Id", value: <CopyId id="ns_evt_0198c1f28d7e4f2ab1c9d0e1f2a3b4c5" /> },
            {
              key: "Keys",
              value: (
                <>
                  <Kbd>⌘</Kbd> <Kbd>K</Kbd>
                </>
              ),
            },
          ]}
        />
      </Card>
    </Section>
  );
}

function Charts() {
  const [range, setRange] = useRange("30d");
  const interval = resolveRange(range, NOW, "America/New_York");
  return (
    <Section title="Charts" actions={<RangePicker range={range} onRangeChange={setRange} />}>
      <div className="grid gap-4 lg:grid-cols-2">
        <Card title="Spend by model" description={`From ${interval.from.toISOString().slice(0, 10)}`}>
          <TimeSeries
            label="Spend by model"
            kind="bars"
            unit="usd"
            bucket="day"
            zone="UTC"
            series={SERIES}
            buckets={BUCKETS}
            marks={[{ value: 30_000_000, label: "Daily limit $30.00" }]}
            events={[{ at: "2026-11-10T08:00:00Z", label: "Limit raised" }]}
            note="Showing 4 of 17"
            onPickBucket={(start) => toast.info(start)}
            onPickSeries={(id) => toast.info(id)}
          />
        </Card>
        <Card title="Time to answer">
          <TimeSeries
            label="Time to answer"
            kind="lines"
            unit="ms"
            bucket="hour"
            series={[
              { id: "p50", label: "Median" },
              { id: "p95", label: "95th percentile" },
            ]}
            buckets={LATENCY}
          />
        </Card>
      </div>
    </Section>
  );
}

function Tables() {
  const filters = useFilters(FILTER_IDS);
  const [open, setOpen] = useState<string>();
  return (
    <Section title="Tables and filters">
      <FilterBar what="calls" definitions={FILTERS} state={filters} className="mb-4" />
      <Table
        label="Latest calls"
        rows={CALLS.slice(0, 6)}
        columns={COLUMNS}
        rowId={(call) => call.id}
        initialSort={{ id: "cost", desc: true }}
        onOpen={(call) => setOpen(call.id)}
        openId={open}
        options
        toolbar="6 calls"
        totals={{ model: "Total", cost: <Money microdollars={CALLS.slice(0, 6).reduce((sum, call) => sum + call.cost, 0)} decimals={4} /> }}
      />
      <h3 className="mt-6 mb-2 text-small font-semibold">400 rows, drawn as they are seen</h3>
      <Table
        label="All calls"
        rows={CALLS}
        columns={COLUMNS}
        rowId={(call) => call.id}
        virtualHeight="20rem"
        onOpen={(call) => setOpen(call.id)}
        openId={open}
      />
      <LoadMore shown={400} what="call" hasMore loading={false} onLoadMore={() => toast.info("More")} />
    </Section>
  );
}

function Rest() {
  const [tab, setTab] = useState<"waiting" | "decided">("waiting");
  return (
    <Section title="Tabs and code">
      <Tabs
        label="Approvals"
        value={tab}
        onValueChange={setTab}
        tabs={[
          { value: "waiting", label: "Waiting", count: 3 },
          { value: "decided", label: "Decided" },
        ]}
      >
        <p className="text-small">The panel of {tab}.</p>
      </Tabs>
      <div className="mt-6">
        <CodeBlock title="shell" what="the snippet" language="shell" code={'curl "https://nullspend.example.com/v1/models"'} />
      </div>
    </Section>
  );
}
