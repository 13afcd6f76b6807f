"use client";

import { formatCount, formatPercent, plural } from "@/ui/format/count";
import { columnDecimals } from "@/ui/format/money";
import { Link } from "@/ui/kit/link";
import { Money } from "@/ui/kit/money";
import { Table, type TableColumn } from "@/ui/kit/table";
import { changeWords, groupWord, METRIC_WORDS, SOURCE_WORDS, type Exploration } from "./question";

type Group = Exploration["groups"][number];
/** `value` is null for what is left over. */
type Row = Omit<Group, "value" | "points"> & { value: string | null };

type GroupTableProps = {
  answer: Exploration;
  stale: boolean;
  onPick: (value: string) => void;
  /** The calls of one group. */
  callsHref: (value: string) => string | undefined;
};

/** The groups shown, what is left over, and their sum, which is the total of the chart above. */
export function GroupTable({ answer, stale, onPick, callsHref }: GroupTableProps) {
  const { metric, groupBy, groups, other, total, unnamed } = answer;
  const compared = total.previous !== null;
  const all = groups.length + other.count;
  const hasOther = other.count > 0 || other.requestCount > 0;
  const rows: Row[] = [...groups, ...(hasOther ? [{ ...other, key: otherWords(answer), value: null }] : [])];
  const decimals = columnDecimals(rows.map(({ totalCostMicrodollars }) => totalCostMicrodollars));
  const isCost = metric === "cost";

  const columns: TableColumn<Row>[] = [
    {
      id: "group",
      header: groupWord(groupBy ?? ""),
      fixed: true,
      cell: ({ key, value }) =>
        value === null ? (
          <span className="text-ink-muted">{key}</span>
        ) : (
          <button
            type="button"
            className="link min-h-6 max-w-[60vw] cursor-pointer rounded-control text-left break-all sm:max-w-[24rem]"
            title={`Show ${key} only`}
            onClick={() => onPick(value)}
          >
            {groupBy === "source" ? (SOURCE_WORDS[key] ?? key) : key}
          </button>
        ),
    },
    ...(isCost
      ? []
      : [
          {
            id: "metric",
            header: METRIC_WORDS[metric],
            align: "end" as const,
            fixed: true,
            cell: (row: Row) => formatCount(row.metric),
          },
        ]),
    {
      id: "spend",
      header: "Spend",
      align: "end",
      fixed: true,
      cell: ({ totalCostMicrodollars }) => <Money microdollars={totalCostMicrodollars} decimals={decimals} />,
    },
    {
      id: "share",
      header: "Share",
      align: "end",
      from: "sm",
      cell: (row) => formatPercent(total.metric === 0 ? null : row.metric / total.metric),
    },
    ...(compared
      ? [
          {
            id: "change",
            header: "Change",
            align: "end" as const,
            from: "sm" as const,
            cell: (row: Row) => (row.previous === null ? "–" : changeWords(row.metric, row.previous)),
          },
        ]
      : []),
    ...(metric === "calls"
      ? []
      : [{ id: "calls", header: "Calls", align: "end" as const, from: "md" as const, cell: (row: Row) => formatCount(row.requestCount) }]),
    ...(metric === "denied"
      ? []
      : [{ id: "denied", header: "Denied", align: "end" as const, from: "lg" as const, cell: (row: Row) => formatCount(row.deniedCount) }]),
    {
      id: "average",
      header: "A call",
      align: "end",
      from: "lg",
      cell: ({ avgCostMicrodollars }) => <Money microdollars={avgCostMicrodollars} />,
    },
    {
      id: "tokens",
      header: "Tokens",
      align: "end",
      from: "xl",
      cell: ({ inputTokens, outputTokens }) => formatCount(inputTokens + outputTokens),
    },
    {
      id: "show",
      header: "Its calls",
      headerHidden: true,
      align: "end",
      from: "sm",
      cell: ({ value, key }) => {
        const href = value === null ? undefined : callsHref(value);
        return (
          href !== undefined && (
            <Link href={href} aria-label={`Calls of ${key}`}>
              Calls
            </Link>
          )
        );
      },
    },
  ];

  return (
    <Table
      label={`Groups by ${groupWord(groupBy ?? "")}`}
      rows={rows}
      columns={columns}
      rowId={({ value }) => (value === null ? "other" : `group ${value}`)}
      stale={stale}
      toolbar={
        <span>
          {groups.length < all ? `${formatCount(groups.length)} of ${formatCount(all)} groups` : plural(all, "group")}
          {unnamed.requestCount > 0 && `; ${plural(unnamed.requestCount, "call")} name none`}
        </span>
      }
      totals={{
        group: "Total",
        metric: formatCount(total.metric),
        spend: <Money microdollars={total.totalCostMicrodollars} decimals={decimals} />,
        share: total.metric === 0 ? "–" : "100%",
        change: total.previous === null ? "" : changeWords(total.metric, total.previous.value),
        calls: formatCount(total.requestCount),
        denied: formatCount(total.deniedCount),
        average: <Money microdollars={total.avgCostMicrodollars} />,
        tokens: formatCount(total.inputTokens + total.outputTokens),
      }}
    />
  );
}

function otherWords({ other, unnamed }: Exploration): string {
  const parts = [
    ...(other.count > 0 ? [`${plural(other.count, "more group")}`] : []),
    ...(unnamed.requestCount > 0 ? ["calls that name none"] : []),
  ];
  return parts.length === 0 ? "Other" : `Other: ${parts.join(", ")}`;
}
