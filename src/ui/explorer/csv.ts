import { csvText } from "@/ui/format/csv";
import { plainUsd } from "@/ui/format/money";
import { groupWord, METRIC_WORDS, type Exploration } from "./question";

/** What is on the screen, all digits: the table's rows and sums, and the metric of every bar. */
export function csvOf(answer: Exploration): string {
  const { metric, groupBy, groups, other, total, buckets } = answer;
  const amount = (value: number): string | number => (metric === "cost" ? plainUsd(value) : value);
  const unit = metric === "cost" ? "USD" : "count";
  const compared = total.previous !== null;
  const rowOf = (name: string, id: string, row: Row): (string | number)[] => [
    name,
    id,
    amount(row.metric),
    ...(compared ? [row.previous === null ? "" : amount(row.previous)] : []),
    plainUsd(row.totalCostMicrodollars),
    row.requestCount,
    row.deniedCount,
    row.inputTokens,
    row.outputTokens,
    ...row.points.map(amount),
  ];
  return csvText([
    [
      groupBy === null ? "Total" : groupWord(groupBy),
      "Id",
      `${METRIC_WORDS[metric]} (${unit})`,
      ...(compared ? [`Time before (${unit})`] : []),
      "Spend (USD)",
      "Calls",
      "Denied calls",
      "Input tokens",
      "Output tokens",
      ...buckets.map((start) => `${start} (${unit})`),
    ],
    ...groups.map((row) => rowOf(row.key, row.value, row)),
    ...(groupBy === null ? [] : [rowOf("Other", "", other)]),
    rowOf("Total", "", { ...total, previous: total.previous?.value ?? null }),
  ]);
}

type Row = Pick<
  Exploration["groups"][number],
  "metric" | "previous" | "points" | "totalCostMicrodollars" | "requestCount" | "deniedCount" | "inputTokens" | "outputTokens"
>;
