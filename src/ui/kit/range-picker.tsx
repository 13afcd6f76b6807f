"use client";

import { CalendarRange, Link2 } from "lucide-react";
import { createParser, useQueryState } from "nuqs";
import { useState } from "react";
import { parseRange, printRange, RANGE_NAMES, RANGE_WORDS, resolveRange, type Range, type RangeName } from "@/ui/format/range";
import { formatTime } from "@/ui/format/time";
import { copyText } from "@/ui/lib/copy-text";
import { Button } from "./button";
import { cn } from "./cn";
import { Field } from "./field";
import { Input } from "./input";
import { Popover } from "./menu";
import { useOrgZone, useViewerZone } from "./time";
import { toast } from "./toast";

const rangeParser = createParser<Range>({
  parse: parseRange,
  serialize: printRange,
  eq: (one, other) => printRange(one) === printRange(other),
});

/** The page's range, kept in the URL as `range`. */
export function useRange(initial: RangeName = "7d"): readonly [Range, (range: Range) => void] {
  const [range, setRange] = useQueryState(
    "range",
    rangeParser.withDefault({ kind: "relative", name: initial }).withOptions({ history: "push" }),
  );
  return [range, (next) => void setRange(next)];
}

/** @returns the range in words: "Last 7 days", "Nov 1, 00:00 – Nov 8, 00:00". */
export function rangeWords(range: Range, zone: string): string {
  if (range.kind === "relative") return RANGE_WORDS[range.name];
  return `${formatTime(range.from, "datetime", zone)} – ${formatTime(range.to, "datetime", zone)}`;
}

type RangePickerProps = { range: Range; onRangeChange: (range: Range) => void; names?: readonly RangeName[] };

const LABEL: Readonly<Record<RangeName, string>> = { "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d", mtd: "MTD" };

export function RangePicker({ range, onRangeChange, names = RANGE_NAMES }: RangePickerProps) {
  const viewerZone = useViewerZone();
  const absolute = range.kind === "absolute";
  return (
    <div className="flex flex-wrap items-center gap-2 print:hidden">
      <div role="group" aria-label="Time range" className="flex rounded-control border border-line-strong bg-surface p-0.5">
        {names.map((name) => {
          const chosen = range.kind === "relative" && range.name === name;
          return (
            <button
              key={name}
              type="button"
              aria-pressed={chosen}
              title={RANGE_WORDS[name]}
              onClick={() => onRangeChange({ kind: "relative", name })}
              className={cn(
                "h-7 cursor-pointer rounded-[0.25rem] px-2.5 text-small font-medium text-ink-muted hover:text-ink",
                chosen && "bg-ink text-ink-inverse hover:text-ink-inverse",
              )}
            >
              <span aria-hidden>{LABEL[name]}</span>
              <span className="sr-only">{RANGE_WORDS[name]}</span>
            </button>
          );
        })}
        <CustomRange
          key={printRange(range)}
          range={range}
          onRangeChange={onRangeChange}
          chosen={absolute}
          label={absolute ? rangeWords(range, viewerZone) : "Custom"}
        />
      </div>
    </div>
  );
}

type CustomRangeProps = { range: Range; onRangeChange: (range: Range) => void; chosen: boolean; label: string };

/** A moment as the field of a form writes it, in the zone of the browser. */
function fieldText(date: Date): string {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

function CustomRange({ range, onRangeChange, chosen, label }: CustomRangeProps) {
  const orgZone = useOrgZone();
  const viewerZone = useViewerZone();
  const [open, setOpen] = useState(false);
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [error, setError] = useState<string>();

  function onOpenChange(next: boolean): void {
    if (next) {
      const interval = resolveRange(range, new Date(), orgZone);
      setFrom(fieldText(interval.from));
      setTo(fieldText(interval.to));
      setError(undefined);
    }
    setOpen(next);
  }

  function apply(): void {
    const next = from === "" || to === "" ? null : parseRange(`${from}~${to}`);
    if (next === null) {
      setError("The end has to be after the start, by at most 400 days.");
      return;
    }
    setOpen(false);
    onRangeChange(next);
  }

  async function copyAbsolute(): Promise<void> {
    const interval = resolveRange(range, new Date(), orgZone);
    const url = new URL(window.location.href);
    url.searchParams.set("range", printRange({ kind: "absolute", ...interval }));
    if (await copyText(url.href)) toast.success("Link copied", { description: "It will always show this range." });
    else setError("The link could not be copied.");
  }

  return (
    <Popover
      open={open}
      onOpenChange={onOpenChange}
      align="end"
      title="Range of your own"
      trigger={
        <button
          type="button"
          className={cn(
            "inline-flex h-7 cursor-pointer items-center gap-1.5 rounded-[0.25rem] px-2.5 text-small font-medium text-ink-muted hover:text-ink",
            chosen && "bg-ink text-ink-inverse hover:text-ink-inverse",
          )}
        >
          <CalendarRange aria-hidden className="size-3.5" />
          <span className={cn(!chosen && "max-sm:sr-only")}>{label}</span>
        </button>
      }
    >
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          apply();
        }}
      >
        <Field label="From">
          <Input type="datetime-local" value={from} onValueChange={(next: string) => setFrom(next)} />
        </Field>
        <Field label="To" error={error}>
          <Input type="datetime-local" value={to} onValueChange={(next: string) => setTo(next)} />
        </Field>
        <p className="text-micro text-ink-muted">
          In your zone, {viewerZone}. Days and months are counted in the organisation’s, {orgZone}.
        </p>
        <div className="flex flex-wrap justify-between gap-2">
          <Button size="small" variant="ghost" icon={<Link2 aria-hidden className="size-4" />} onClick={() => void copyAbsolute()}>
            Copy fixed link
          </Button>
          <Button size="small" variant="primary" type="submit">
            Apply
          </Button>
        </div>
      </form>
    </Popover>
  );
}
