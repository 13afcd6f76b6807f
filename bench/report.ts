import type { LoadResult } from "./figures";
import type { StreamFigures } from "./streams";

export type Cell = LoadResult & {
  target: string;
  connections: number;
  /** Share of one processor that the target's process used; 1 = a whole one. */
  cpuShare: number | undefined;
};

/** Whether every answered call has its event, and how long the last ones took to be there. */
export type Persistence = { target: string; answered: number; events: number; waitedMs: number };

export type Report = {
  date: string;
  commit: string;
  machine: string;
  node: string;
  generator: string;
  seconds: number;
  rounds: number;
  /** One-minute load average at the end. */
  loadAverage: number;
  cells: Cell[];
  /** Empty where streams were not measured. */
  streams: StreamFigures[];
  persistence: Persistence[];
  idle: { target: string; rssMiB: number | undefined; readyAfterMs: number }[];
};

/** The target that the others are compared with: the first that is a gateway, or the first at all. */
const baseOf = (report: Report): string | undefined =>
  (report.cells.find(({ target }) => target.startsWith("floor")) ?? report.cells[0])?.target;

const whole = (value: number): string => Math.round(value).toLocaleString("en-US");
const cpu = (cell: Cell): string => (cell.cpuShare === undefined ? "–" : `${Math.round(cell.cpuShare * 100)} %`);

const HEADER = ["connections", "target", "requests/s", "of the floor", "p50 ms", "p99 ms", "added p50 ms", "errors", "CPU of target"];

function rows(report: Report): string[][] {
  const base = baseOf(report);
  const at = (cell: Cell, target: string | undefined): Cell | undefined =>
    report.cells.find((other) => other.target === target && other.connections === cell.connections);
  return report.cells.map((cell) => {
    const floor = at(cell, base);
    const direct = at(cell, report.cells[0]?.target);
    return [
      String(cell.connections),
      cell.target,
      whole(cell.perSecond),
      floor ? `${Math.round((cell.perSecond / floor.perSecond) * 100)} %` : "–",
      cell.p50Ms.toFixed(2),
      cell.p99Ms.toFixed(2),
      direct ? (cell.p50Ms - direct.p50Ms).toFixed(2) : "–",
      String(cell.errors),
      cpu(cell),
    ];
  });
}

const STREAM_HEADER = [
  "",
  "target",
  "first byte p50 ms",
  "added",
  "p99 ms",
  "added",
  "events/s",
  "of the floor",
  "kB per open stream",
  "errors",
  "1 MB sent ms",
  "received",
  "20 MB sent ms",
  "received",
];

function streamRows({ streams }: Report): string[][] {
  const [direct] = streams;
  const floor = streams.find(({ target }) => target.startsWith("floor")) ?? direct;
  if (!direct || !floor) return [];
  return streams.map((each) => [
    "",
    each.target,
    each.firstByteP50Ms.toFixed(2),
    (each.firstByteP50Ms - direct.firstByteP50Ms).toFixed(2),
    each.firstByteP99Ms.toFixed(2),
    (each.firstByteP99Ms - direct.firstByteP99Ms).toFixed(2),
    whole(each.eventsPerSecond),
    `${Math.round((each.eventsPerSecond / floor.eventsPerSecond) * 100)} %`,
    each.open.kilobytesEach === undefined ? "–" : each.open.kilobytesEach.toFixed(0),
    `${each.open.errors} of ${whole(each.open.streams)}`,
    ...[1, 20].flatMap((megabytes) => {
      const times = each.bodies.get(megabytes);
      return [times?.sentMs.toFixed(1) ?? "–", times?.receivedMs.toFixed(1) ?? "–"];
    }),
  ]);
}

/** For the terminal: aligned columns. */
export function table(report: Report): string {
  const tables = [[HEADER, ...rows(report)]];
  if (report.streams.length > 0) tables.push([STREAM_HEADER, ...streamRows(report)]);
  return [...tables.flatMap((each) => [...aligned(each), ""]), ...sentences(report)].join("\n");
}

function aligned(all: readonly string[][]): string[] {
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) =>
    row.map((value, column) => (column === 1 ? value.padEnd(widths[column]!) : value.padStart(widths[column]!))).join("  "),
  );
}

const markdownTable = (header: readonly string[], body: readonly string[][]): string[] => [
  `| ${header.join(" | ")} |`,
  `|${header.map((_, column) => (column === 1 ? "---" : "---:")).join("|")}|`,
  ...body.map((row) => `| ${row.join(" | ")} |`),
  "",
];

export function markdown(report: Report): string {
  return [
    `# Bench of ${report.date}, commit ${report.commit}`,
    "",
    `Machine: ${report.machine}. Node ${report.node}. Load from ${report.generator}, on the same machine. ` +
      `${report.rounds} rounds of ${report.seconds} s per cell, target after target; the median round is shown. ` +
      `Load average at the end: ${report.loadAverage.toFixed(1)}. Read ratios, not absolute figures.`,
    "",
    ...(report.cells.length > 0 ? markdownTable(HEADER, rows(report)) : []),
    ...(report.streams.length > 0 ? [...STREAMS_EXPLAINED, ...markdownTable(STREAM_HEADER, streamRows(report))] : []),
    ...sentences(report).map((sentence) => `- ${sentence}`),
    "",
  ].join("\n");
}

const STREAMS_EXPLAINED = [
  "Streams and large bodies. First byte: of the body, streams one after another. Events: 32 streams at once, sent as fast as they are " +
    "taken, the client being part of the figure. Open streams: a thousand at once, growth of the target's resident memory divided by " +
    "their number. Bodies: a request with a short answer (sent), and an answer to a short request (received).",
  "",
];

function sentences(report: Report): string[] {
  const lines: string[] = [];
  for (const { target, answered, events, waitedMs } of report.persistence) {
    lines.push(
      `${target}: ${whole(answered)} calls answered, ${whole(events)} events recorded, the last within ${whole(waitedMs)} ms of the end.`,
    );
  }
  for (const { target, rssMiB, readyAfterMs } of report.idle) {
    lines.push(`${target}: ${rssMiB ?? "?"} MiB resident when idle, ready ${whole(readyAfterMs)} ms after a second start.`);
  }
  if (report.cells.length > 0) lines.push(limit(report));
  return lines;
}

/** What the figures run into, from the processor shares. */
function limit(report: Report): string {
  const busiest = Math.max(...report.cells.map(({ connections }) => connections));
  const saturated = report.cells.filter((cell) => cell.connections === busiest && (cell.cpuShare ?? 0) > 0.85).map(({ target }) => target);
  if (report.cells.every(({ cpuShare }) => cpuShare === undefined))
    return "What limits the figures: not known, this system does not tell processor time.";
  if (saturated.length === 0)
    return "What limits the figures: no target had a processor to itself; load, provider and target share the machine.";
  return `What limits the figures at ${busiest} connections: one processor, used up by the target itself, for ${saturated.join("; ")}. Elsewhere the machine is shared.`;
}
