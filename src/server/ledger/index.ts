export type { Settlement, SettleDoor, SettleResult } from "./settle-door";
export {
  createSettleDoor,
  SETTLE_LIMITS,
  type MeasuredSettleDoor,
  type SettleDoorOptions,
  type SettleLimits,
  type SettleStats,
} from "./settle";
export {
  createLedger,
  type Ledger,
  type LedgerBudget,
  type LedgerOptions,
  type LimitState,
  type ReserveRequest,
  type ReserveResult,
} from "./ledger";
