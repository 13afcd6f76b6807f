export { violationsOf, type Violation } from "./integrity";
export type { Settlement, SettleDoor, SettleResult } from "./settle-door";
export {
  createSettleDoor,
  SETTLE_LIMITS,
  type MeasuredSettleDoor,
  type SettleDoorOptions,
  type SettleLimits,
  type SettleStats,
} from "./settle";
export type { LedgerBudget } from "./budget-line";
export type { ExtendResult } from "./holds";
export type { WatchedCall } from "./journal";
export { createLedger, type Ledger, type LedgerOptions } from "./ledger";
export { LedgerError } from "./ledger-connection";
export {
  RESERVE_LIMITS,
  type LimitState,
  type ReserveLimits,
  type ReserveLine,
  type ReserveRequest,
  type ReserveResult,
  type ReserveStats,
} from "./reserve";
