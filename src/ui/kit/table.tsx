"use client";

import {
  columnVisibilityFeature,
  createSortedRowModel,
  rowSortingFeature,
  tableFeatures,
  useTable,
  type ColumnDef,
  type ReactTable,
  type Row as TableRow,
  type SortingState,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp, ArrowUpDown, Columns3 } from "lucide-react";
import { useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { Button } from "./button";
import { Checkbox, RadioGroup } from "./choice";
import { cn } from "./cn";
import { Popover } from "./menu";
import { usePreference } from "./preference";

const features = tableFeatures({ columnVisibilityFeature, rowSortingFeature, sortedRowModel: createSortedRowModel() });
type Features = typeof features;

export type TableColumn<Row> = {
  id: string;
  /** In words; also the name in the list of columns. */
  header: string;
  cell: (row: Row) => ReactNode;
  /** Numbers and money stand at the end. */
  align?: "start" | "end";
  /** What is sorted by. Without it the column cannot be sorted. Null and undefined go last. */
  sortBy?: (row: Row) => string | number | null | undefined;
  /** A CSS width, e.g. "8rem". Needed for every column but one where the table is virtual. */
  width?: string;
  /** Not shown until chosen in the list of columns. */
  hiddenAtFirst?: boolean;
  /** Cannot be hidden. */
  fixed?: boolean;
  /** Left out below this width of the window. */
  from?: "sm" | "md" | "lg" | "xl";
  /** The header is read but not seen: for buttons. */
  headerHidden?: boolean;
};

export type Sort = { id: string; desc: boolean };

type TableProps<Row> = {
  /** Says what is in it, for screen readers; and keeps choices of columns apart. */
  label: string;
  rows: readonly Row[];
  columns: readonly TableColumn<Row>[];
  rowId: (row: Row) => string;
  /** Enter or a click on a row. */
  onOpen?: (row: Row) => void;
  /** The row whose details are open. */
  openId?: string | undefined;
  /** Sorted here at first. */
  initialSort?: Sort;
  /** With `onSortChange` the rows come sorted from the server. */
  sort?: Sort | null;
  onSortChange?: (sort: Sort | null) => void;
  /** Draws only the rows that are seen; for lists of any length. The height of the scrolling area, e.g. "calc(100dvh - 16rem)". */
  virtualHeight?: string;
  /** The last rows are near: load more. */
  onEndReached?: () => void;
  /** Beside the choice of columns: a count, a button. */
  toolbar?: ReactNode;
  /** Shows the choice of columns and of density. */
  options?: boolean;
  /** Old data stays, dimmed, while new data loads. */
  stale?: boolean;
  /** Instead of rows, when there are none. */
  empty?: ReactNode;
  /** Below the last row: sums. Keys are column ids. */
  totals?: Readonly<Record<string, ReactNode>>;
  /** Marks a row, e.g. one that just came. */
  rowClassName?: (row: Row) => string | undefined;
};

const FROM = { sm: "max-sm:hidden", md: "max-md:hidden", lg: "max-lg:hidden", xl: "max-xl:hidden" };
const DENSITIES = ["comfortable", "compact"] as const;
export type Density = (typeof DENSITIES)[number];
const ROW_HEIGHT: Readonly<Record<Density, number>> = { comfortable: 44, compact: 32 };

/** The reader's choice for all tables. */
export function useDensity(): readonly [Density, (density: Density) => void] {
  const [kept, setKept] = usePreference("density", "comfortable");
  return [kept === "compact" ? "compact" : "comfortable", setKept];
}

function compare(one: unknown, other: unknown): number {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en-US", { numeric: true });
}

/**
 * Rows of one kind. The header stays in sight, columns can be hidden, J and K or arrows walk the rows, Enter opens one. Scrolls
 * sideways inside itself, so that the page does not.
 */
export function Table<Row extends object>(props: TableProps<Row>) {
  const { label, rows, columns, rowId, initialSort, sort, onSortChange, virtualHeight, toolbar, options = false, empty } = props;
  const [density, setDensity] = useDensity();
  const [hiddenText, setHiddenText] = usePreference(`columns:${label}`, "");
  const [sortingInside, setSortingInside] = useState<SortingState>(initialSort === undefined ? [] : [initialSort]);
  // State, not a ref: the rows have to be drawn anew once there is something that scrolls.
  const [scroller, setScroller] = useState<HTMLDivElement | null>(null);

  const definitions = useMemo(
    () =>
      columns.map((column): ColumnDef<Features, Row> => ({
        id: column.id,
        accessorFn: (row) => column.sortBy?.(row) ?? undefined,
        enableSorting: column.sortBy !== undefined,
        enableHiding: column.fixed !== true,
        sortUndefined: "last",
        sortDescFirst: column.align === "end",
        sortFn: (one, other, columnId) => compare(one.getValue(columnId), other.getValue(columnId)),
      })),
    [columns],
  );
  const visibility = useMemo(() => {
    const chosen = hiddenText === "" ? undefined : new Set(hiddenText.slice(1).split(","));
    return Object.fromEntries(
      columns.map((column) => [
        column.id,
        column.fixed === true || (chosen === undefined ? column.hiddenAtFirst !== true : !chosen.has(column.id)),
      ]),
    );
  }, [columns, hiddenText]);

  const manual = onSortChange !== undefined;
  const sorting: SortingState = manual ? (sort ? [sort] : []) : sortingInside;
  const table = useTable<Features, Row>({
    features,
    columns: definitions,
    data: rows,
    getRowId: (row) => rowId(row),
    state: { sorting, columnVisibility: visibility },
    manualSorting: manual,
    enableMultiSort: false,
    onSortingChange: (updater) => {
      const next = typeof updater === "function" ? updater(sorting) : updater;
      if (manual) onSortChange(next[0] ?? null);
      else setSortingInside(next);
    },
  });

  const shown = columns.filter((column) => visibility[column.id] === true);
  return (
    <div className="min-w-0">
      {(toolbar !== undefined || options) && (
        <div className="mb-2 flex flex-wrap items-center justify-between gap-2">
          <div className="min-w-0 text-small text-ink-muted">{toolbar}</div>
          {options && (
            <TableOptions
              columns={columns}
              visibility={visibility}
              onVisibility={(hidden) => setHiddenText(`!${hidden.join(",")}`)}
              density={density}
              onDensity={setDensity}
            />
          )}
        </div>
      )}
      {rows.length === 0 && empty !== undefined ? (
        empty
      ) : (
        <div
          ref={setScroller}
          role="region"
          aria-label={label}
          // Focusable, because it scrolls.
          tabIndex={0}
          className={cn(
            "relative min-w-0 rounded-card border border-line bg-surface transition-opacity focus-visible:-outline-offset-2",
            virtualHeight === undefined ? "overflow-x-auto" : "overflow-auto",
            props.stale === true && "opacity-60 delay-400",
          )}
          style={virtualHeight === undefined ? undefined : { maxHeight: virtualHeight }}
        >
          <table
            className={cn("w-full border-separate border-spacing-0 text-small", virtualHeight !== undefined && "min-w-3xl table-fixed")}
            aria-rowcount={virtualHeight === undefined ? undefined : rows.length + 1}
          >
            <caption className="sr-only">{label}</caption>
            <Head table={table} columns={shown} sticky={virtualHeight !== undefined} />
            {virtualHeight === undefined ? (
              <Body {...props} table={table} shown={shown} density={density} />
            ) : (
              <VirtualBody {...props} table={table} shown={shown} density={density} scroller={scroller} />
            )}
            {props.totals !== undefined && <Totals totals={props.totals} columns={shown} />}
          </table>
        </div>
      )}
    </div>
  );
}

type Inner<Row extends object> = { table: ReactTable<Features, Row>; shown: readonly TableColumn<Row>[]; density: Density };

function Head<Row extends object>({
  table,
  columns,
  sticky,
}: {
  table: ReactTable<Features, Row>;
  columns: readonly TableColumn<Row>[];
  sticky: boolean;
}) {
  return (
    <thead>
      <tr>
        {columns.map((column) => {
          const model = table.getColumn(column.id);
          const sorted = model?.getIsSorted() ?? false;
          const Arrow = sorted === false ? ArrowUpDown : sorted === "desc" ? ArrowDown : ArrowUp;
          return (
            <th
              key={column.id}
              scope="col"
              aria-sort={sorted === false ? undefined : sorted === "desc" ? "descending" : "ascending"}
              style={column.width === undefined ? undefined : { width: column.width }}
              className={cn(
                "h-9 border-b border-line bg-sunken px-3 font-medium whitespace-nowrap text-ink-muted first:rounded-tl-card last:rounded-tr-card",
                column.align === "end" ? "text-right" : "text-left",
                sticky && "sticky top-0 z-1",
                column.from !== undefined && FROM[column.from],
              )}
            >
              {model?.getCanSort() === true ? (
                <button
                  type="button"
                  onClick={() => model.toggleSorting()}
                  className={cn(
                    "group -mx-1 inline-flex min-h-6 cursor-pointer items-center gap-1 rounded-control px-1 hover:text-ink",
                    column.align === "end" && "flex-row-reverse",
                    sorted !== false && "text-ink",
                  )}
                >
                  {column.header}
                  <Arrow aria-hidden className={cn("size-3.5", sorted === false && "opacity-40 group-hover:opacity-100")} />
                </button>
              ) : (
                <span className={column.headerHidden === true ? "sr-only" : ""}>{column.header}</span>
              )}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

function useRowKeys<Row extends object>(
  rows: readonly TableRow<Features, Row>[],
  { onOpen, openId }: Pick<TableProps<Row>, "onOpen" | "openId">,
) {
  const [active, setActive] = useState<string>();
  const activeId = rows.some((row) => row.id === active) ? active : (openId ?? rows[0]?.id);

  /** @returns the row to go to, or undefined when the key is not for us. */
  function onKeyDown(event: KeyboardEvent<HTMLElement>, row: TableRow<Features, Row>, at: number): number | undefined {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return undefined;
    if (event.key === "Enter") {
      event.preventDefault();
      onOpen?.(row.original);
      return undefined;
    }
    const to = { ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    const target = to === undefined ? undefined : rows[to];
    if (to === undefined || target === undefined) return undefined;
    event.preventDefault();
    setActive(target.id);
    return to;
  }

  return { activeId, setActive, onKeyDown };
}

const rowSelector = (id: string): string => `tr[data-row-id="${CSS.escape(id)}"]`;

function Body<Row extends object>(props: TableProps<Row> & Inner<Row>) {
  const { table } = props;
  const rows = table.getRowModel().rows;
  const keys = useRowKeys(rows, props);
  return (
    <tbody>
      {rows.map((row, at) => (
        <BodyRow
          key={row.id}
          {...props}
          row={row}
          active={keys.activeId === row.id}
          onFocus={() => keys.setActive(row.id)}
          onKeyDown={(event) => {
            const to = keys.onKeyDown(event, row, at);
            const body = event.currentTarget.parentElement;
            if (to !== undefined) body?.querySelector<HTMLElement>(rowSelector(rows[to]!.id))?.focus();
          }}
        />
      ))}
    </tbody>
  );
}

function VirtualBody<Row extends object>(props: TableProps<Row> & Inner<Row> & { scroller: HTMLDivElement | null }) {
  const { table, density, scroller, onEndReached, shown } = props;
  const rows = table.getRowModel().rows;
  const keys = useRowKeys(rows, props);
  const height = ROW_HEIGHT[density];
  const reached = useRef(0);
  // oxlint-disable-next-line react/incompatible-library -- the rows it returns are read in this render only.
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller,
    estimateSize: () => height,
    getItemKey: (at) => rows[at]?.id ?? at,
    overscan: 8,
    // The header lies over the first row.
    scrollPaddingStart: 40,
    onChange: (instance) => {
      const last = instance.getVirtualItems().at(-1);
      // Once for each length of the list.
      if (last === undefined || last.index < rows.length - 10 || reached.current === rows.length) return;
      reached.current = rows.length;
      onEndReached?.();
    },
  });
  const items = virtualizer.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <tbody>
      {before > 0 && <Spacer height={before} columns={shown.length} />}
      {items.map((item) => {
        const row = rows[item.index];
        if (row === undefined) return null;
        return (
          <BodyRow
            key={row.id}
            {...props}
            row={row}
            rowIndex={item.index + 2}
            height={height}
            active={keys.activeId === row.id}
            onFocus={() => keys.setActive(row.id)}
            onKeyDown={(event) => {
              const to = keys.onKeyDown(event, row, item.index);
              if (to === undefined) return;
              virtualizer.scrollToIndex(to);
              // The row may have to be drawn first.
              requestAnimationFrame(() => scroller?.querySelector<HTMLElement>(rowSelector(rows[to]!.id))?.focus());
            }}
          />
        );
      })}
      {after > 0 && <Spacer height={after} columns={shown.length} />}
    </tbody>
  );
}

/** Stands for the rows that are not drawn. */
function Spacer({ height, columns }: { height: number; columns: number }) {
  return (
    <tr aria-hidden>
      <td colSpan={columns} style={{ height }} className="p-0" />
    </tr>
  );
}

type BodyRowProps<Row extends object> = TableProps<Row> &
  Inner<Row> & {
    row: TableRow<Features, Row>;
    active: boolean;
    onFocus: () => void;
    onKeyDown: (event: KeyboardEvent<HTMLTableRowElement>) => void;
    rowIndex?: number;
    height?: number;
  };

function BodyRow<Row extends object>(props: BodyRowProps<Row>) {
  const { row, shown, density, active, onFocus, onKeyDown, onOpen, openId, rowIndex, height, rowClassName } = props;
  const opens = onOpen !== undefined;
  return (
    <tr
      data-row-id={row.id}
      aria-rowindex={rowIndex}
      aria-selected={openId === row.id ? true : undefined}
      tabIndex={opens ? (active ? 0 : -1) : undefined}
      onFocus={opens ? onFocus : undefined}
      onKeyDown={opens ? onKeyDown : undefined}
      onClick={
        opens
          ? (event) => {
              // Links, buttons and fields inside a row mean themselves; marking text opens nothing.
              if (event.target instanceof Element && event.target.closest("a, button, input, label, [role=menuitem]") !== null) return;
              if ((window.getSelection()?.toString() ?? "") !== "") return;
              onOpen(row.original);
            }
          : undefined
      }
      style={height === undefined ? undefined : { height }}
      className={cn(
        "group/row [&:last-child>td]:border-b-0",
        opens && "cursor-pointer hover:bg-sunken focus-visible:-outline-offset-2",
        openId === row.id && "bg-accent-soft hover:bg-accent-soft",
        rowClassName?.(row.original),
      )}
    >
      {shown.map((column) => (
        <td
          key={column.id}
          className={cn(
            "border-b border-line px-3",
            density === "compact" ? "py-0.5" : "py-2",
            height !== undefined && "truncate py-0",
            column.align === "end" ? "text-right tabular-nums" : "text-left",
            column.from !== undefined && FROM[column.from],
          )}
        >
          {column.cell(row.original)}
        </td>
      ))}
    </tr>
  );
}

function Totals<Row>({ totals, columns }: { totals: Readonly<Record<string, ReactNode>>; columns: readonly TableColumn<Row>[] }) {
  return (
    <tfoot>
      <tr>
        {columns.map((column) => (
          <td
            key={column.id}
            className={cn(
              "border-t border-line bg-sunken px-3 py-2 font-medium",
              column.align === "end" && "text-right tabular-nums",
              column.from !== undefined && FROM[column.from],
            )}
          >
            {totals[column.id]}
          </td>
        ))}
      </tr>
    </tfoot>
  );
}

type TableOptionsProps<Row> = {
  columns: readonly TableColumn<Row>[];
  visibility: Readonly<Record<string, boolean>>;
  onVisibility: (hidden: string[]) => void;
  density: Density;
  onDensity: (density: Density) => void;
};

function TableOptions<Row>({ columns, visibility, onVisibility, density, onDensity }: TableOptionsProps<Row>) {
  return (
    <Popover
      align="end"
      className="w-60"
      trigger={
        <Button size="small" variant="ghost" icon={<Columns3 aria-hidden className="size-4" />}>
          Columns
        </Button>
      }
    >
      <div className="flex flex-col gap-4">
        <fieldset className="flex flex-col gap-2">
          <legend className="mb-2 font-medium">Columns</legend>
          {columns
            .filter((column) => column.headerHidden !== true)
            .map((column) => (
              <Checkbox
                key={column.id}
                label={column.header}
                disabled={column.fixed === true}
                checked={visibility[column.id] === true}
                onCheckedChange={(checked) =>
                  onVisibility(
                    columns.filter((each) => (each.id === column.id ? !checked : visibility[each.id] !== true)).map((each) => each.id),
                  )
                }
              />
            ))}
        </fieldset>
        <RadioGroup<Density>
          label="Rows"
          value={density}
          onValueChange={onDensity}
          options={[
            { value: "comfortable", label: "Comfortable" },
            { value: "compact", label: "Compact" },
          ]}
        />
      </div>
    </Popover>
  );
}
