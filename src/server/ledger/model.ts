/**
 * What the ledger's functions in the database do, said again in as few words as possible: one call after another, in memory, without
 * batches, locks or processes. The property tests hold the database against it. Velocity windows, which depend on the moment, are not
 * in it.
 */

/** 0 strict_block, 1 soft_block, 2 warn, 3 session. */
export type Kind = 0 | 1 | 2 | 3;

export type ModelBalance = {
  budget: number;
  session: string | null;
  kind: Kind;
  limit: bigint;
  spent: bigint;
  reserved: bigint;
  excess: bigint;
  /** Percentages that are still to be announced. */
  armed: number[];
};

export type ModelBudget = {
  kind: 0 | 1 | 2;
  max: bigint;
  thresholds: number[];
  sessionLimit: bigint | null;
  deleted: boolean;
  /** Place of the running period's balance; null: no call has opened it. */
  current: number | null;
};

type ModelCall = {
  lines: { balance: number; amount: bigint }[];
  state: "held" | "expired" | "settled";
  session: string | null;
  isTool: boolean;
  /** What its event charges now; null: it has none. */
  charged: bigint | null;
};

export type ModelReserve = {
  call: string;
  budgets: readonly number[];
  session: string | null;
  bound: bigint;
  floor: bigint | null;
  isTool: boolean;
};
export type ModelDecision = { outcome: "held"; reduced: boolean } | { outcome: "denied"; balance: number; room: bigint };

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const ahead = (thresholds: readonly number[], spent: bigint, limit: bigint): number[] =>
  thresholds.filter((percent) => spent * 100n < limit * BigInt(percent));

export class LedgerModel {
  readonly budgets: ModelBudget[];
  readonly balances: ModelBalance[] = [];
  readonly calls = new Map<string, ModelCall>();
  /** Calls of sessions that were not denied. */
  readonly #sessions = new Map<string, number>();
  /** What was told, by type. */
  readonly told: string[] = [];

  constructor(budgets: readonly Omit<ModelBudget, "deleted" | "current">[]) {
    this.budgets = budgets.map((budget) => ({ ...budget, deleted: false, current: null }));
  }

  /** The balances of a call, opened where they are not there yet. */
  #balancesOf(budgets: readonly number[], session: string | null): number[] {
    return budgets.flatMap((place) => {
      const budget = this.budgets[place]!;
      budget.current ??= this.#open({ budget: place, session: null, kind: budget.kind, limit: budget.max, armed: [...budget.thresholds] });
      if (budget.sessionLimit === null || session === null) return [budget.current];
      const known = this.balances.findIndex((balance) => balance.budget === place && balance.session === session);
      const limit = budget.sessionLimit;
      return [budget.current, known === -1 ? this.#open({ budget: place, session, kind: 3, limit, armed: [] }) : known];
    });
  }

  #open(balance: Omit<ModelBalance, "spent" | "reserved" | "excess">): number {
    return this.balances.push({ ...balance, spent: 0n, reserved: 0n, excess: 0n }) - 1;
  }

  /** What a balance can still hold; null: anything. */
  #room({ kind, limit, spent, reserved }: ModelBalance, isRunning: boolean): bigint | null {
    if (kind === 2) return null;
    return limit - spent - reserved + (kind === 1 && isRunning ? limit / 10n : 0n);
  }

  reserve({ call, budgets, session, bound, floor, isTool }: ModelReserve): ModelDecision {
    const places = this.#balancesOf(budgets, session);
    const isRunning = session !== null && (this.#sessions.get(session) ?? 0) > 0;
    const fits = (place: number, amount: bigint): boolean => {
      const balance = this.balances[place]!;
      const room = this.#room(balance, isRunning);
      return room === null || amount === 0n || amount <= room || (floor !== null && amount > floor && floor <= room);
    };
    const short = places.filter((place) => !fits(place, bound));
    if (short.length > 0) {
      // Sessions before budgets, the tightest of its kind; of equals, the first.
      const rank = (place: number): number => (this.balances[place]!.kind === 3 ? 0 : 1);
      const roomOf = (place: number): bigint => this.#room(this.balances[place]!, isRunning)!;
      const balance = short.reduce((a, b) => (rank(b) < rank(a) || (rank(b) === rank(a) && roomOf(b) < roomOf(a)) ? b : a));
      return { outcome: "denied", balance, room: max(0n, roomOf(balance)) };
    }
    const reduced = places.some((place) => {
      const room = this.#room(this.balances[place]!, isRunning);
      return room !== null && bound !== 0n && bound > room;
    });
    const amount = reduced ? min(floor!, bound) : bound;
    for (const place of places) this.#hold(place, amount);
    this.calls.set(call, {
      lines: places.map((balance) => ({ balance, amount })),
      state: "held",
      session,
      isTool,
      charged: null,
    });
    return { outcome: "held", reduced };
  }

  #hold(place: number, amount: bigint): void {
    const balance = this.balances[place]!;
    balance.reserved += amount;
    if (balance.kind === 1) balance.excess = max(balance.excess, balance.spent + balance.reserved - balance.limit);
  }

  /** A stream that runs has the tolerance of a session that runs. */
  extendTo(call: string, total: bigint): "extended" | "short" | "lost" {
    const held = this.calls.get(call);
    if (held?.state !== "held") return "lost";
    const missing = held.lines.map(({ balance, amount }) => ({ balance, more: max(0n, total - amount) }));
    const isShort = missing.some(({ balance, more }) => {
      const room = this.#room(this.balances[balance]!, true);
      return more > 0n && room !== null && more > room;
    });
    if (isShort) return "short";
    for (const { balance, more } of missing) this.#hold(balance, more);
    for (const line of held.lines) line.amount = max(line.amount, total);
    return "extended";
  }

  /** Twice changes nothing; after an expiry it corrects by the difference. */
  settle(call: string, charged: bigint): void {
    const held = this.calls.get(call);
    if (held === undefined || held.state === "settled") return;
    const before = held.charged ?? 0n;
    for (const { balance, amount } of held.lines) {
      this.#charge(balance, charged - before, held.state === "held" ? amount : 0n);
    }
    if (held.charged === null) this.#count(held.session);
    held.charged = charged;
    held.state = "settled";
  }

  /** A cost told after the fact. */
  report(call: string, budgets: readonly number[], session: string | null, charged: bigint): void {
    if (this.calls.has(call)) return;
    const places = this.#balancesOf(budgets, session);
    for (const place of places) this.#charge(place, charged, 0n);
    this.#count(session);
    this.calls.set(call, { lines: places.map((balance) => ({ balance, amount: 0n })), state: "settled", session, isTool: false, charged });
  }

  #charge(place: number, charged: bigint, released: bigint): void {
    const balance = this.balances[place]!;
    balance.spent += charged;
    balance.reserved -= released;
    if (balance.kind !== 2) balance.excess = max(balance.excess, balance.spent + balance.reserved - balance.limit);
    if (charged <= 0n) return;
    const still = ahead(balance.armed, balance.spent, balance.limit);
    for (const percent of balance.armed.filter((each) => !still.includes(each))) {
      const isCritical = percent >= 90 || percent === Math.max(...balance.armed);
      this.told.push(isCritical ? "budget.threshold.critical" : "budget.threshold.warning");
    }
    balance.armed = still;
  }

  #count(session: string | null): void {
    if (session !== null) this.#sessions.set(session, (this.#sessions.get(session) ?? 0) + 1);
  }

  /** The process is gone: what it held is charged for models, given back for tools. */
  expire(call: string): void {
    const held = this.calls.get(call);
    if (held?.state !== "held") return;
    held.state = "expired";
    const most = held.lines.reduce((most, { amount }) => max(most, amount), 0n);
    if (!held.isTool) {
      held.charged = most;
      this.#count(held.session);
    }
    for (const { balance, amount } of held.lines) this.#charge(balance, held.isTool ? 0n : most, amount);
  }

  /** A call that was never sent. */
  release(call: string): void {
    const held = this.calls.get(call);
    if (held?.state !== "held") return;
    for (const { balance, amount } of held.lines) this.#charge(balance, 0n, amount);
    held.state = "settled";
  }

  edit(place: number, change: Partial<Pick<ModelBudget, "kind" | "max" | "thresholds" | "sessionLimit">>): void {
    const budget = this.budgets[place]!;
    const before = budget.max;
    Object.assign(budget, change);
    this.balances.forEach((balance, at) => {
      if (balance.budget !== place || (balance.session === null && at !== budget.current)) return;
      if (balance.session === null) {
        balance.kind = budget.kind;
        balance.limit = max(0n, balance.limit + budget.max - before);
        balance.armed = ahead(budget.thresholds, balance.spent, balance.limit);
      } else {
        if (budget.sessionLimit === null || budget.sessionLimit === balance.limit) return;
        balance.limit = budget.sessionLimit;
      }
      balance.excess = balance.kind === 2 ? 0n : max(0n, balance.spent + balance.reserved - balance.limit);
    });
  }

  raise(place: number, by: bigint): void {
    const budget = this.budgets[place]!;
    if (budget.current === null) return;
    const balance = this.balances[budget.current]!;
    balance.limit += by;
    balance.excess = balance.kind === 2 ? 0n : max(0n, balance.spent + balance.reserved - balance.limit);
    balance.armed = ahead(budget.thresholds, balance.spent, balance.limit);
  }

  reset(place: number): void {
    const budget = this.budgets[place]!;
    budget.current = this.#open({ budget: place, session: null, kind: budget.kind, limit: budget.max, armed: [...budget.thresholds] });
    this.told.push("budget.reset");
  }

  /** The period that runs is over; the next call, or the roll-over, opens the next one. */
  endPeriod(place: number): void {
    const budget = this.budgets[place]!;
    if (budget.current === null) return;
    this.reset(place);
  }

  delete(place: number): void {
    this.budgets[place]!.deleted = true;
  }

  /** The invariants of DESIGN §4, in words; empty when all hold. */
  violations(): string[] {
    return this.balances.flatMap((balance, place) => {
      const { kind, limit, spent, reserved, excess } = balance;
      const lines = [...this.calls.values()].flatMap((call) => call.lines.map((line) => ({ ...line, call })));
      const here = lines.filter(({ balance: at }) => at === place);
      const held = here.reduce((sum, { call, amount }) => sum + (call.state === "held" ? amount : 0n), 0n);
      const charged = here.reduce((sum, { call }) => sum + (call.charged ?? 0n), 0n);
      return [
        ...(kind !== 2 && spent + reserved > limit + excess ? [`${place}: ${spent} + ${reserved} > ${limit} + ${excess}`] : []),
        ...(reserved !== held ? [`${place}: reserved ${reserved}, held ${held}`] : []),
        ...(spent !== charged ? [`${place}: spent ${spent}, charged ${charged}`] : []),
        ...(spent < 0n || reserved < 0n || excess < 0n ? [`${place}: negative`] : []),
      ];
    });
  }
}
