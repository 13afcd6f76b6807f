export {
  attribute,
  isTagKey,
  parseCustomer,
  parseSession,
  parseTags,
  parseTagsJson,
  type Attribution,
  type ParsedSession,
  type ParsedTags,
} from "./attribution";
export type { BudgetStatus, CostEventRecord, EventSource, EventStatus, EventType, ToolCall } from "./cost-event";
export { equalsIn, namesOfValues, publicValueOf } from "./dimensions";
export { explore, Exploration } from "./explore";
export { BUCKETS, dimensionInput, ExploreInput, METRICS, type Bucket, type Metric } from "./explore-input";
export { exportCostEvents } from "./export";
export { countCostEvents, firstIdAt, getCostEvent, listCostEvents } from "./find";
export {
  Attribution as AttributionReport,
  AttributionDetail as AttributionDetailReport,
  getAttribution,
  getAttributionDetail,
} from "./get-attribution";
export { CostSummary, getCostSummary } from "./get-cost-summary";
export {
  AttributionDetailInput,
  AttributionInput,
  CostEventFilter,
  CostSummaryInput,
  GetCostEventInput,
  GetSessionInput,
  ListCostEventsInput,
  ListSessionsInput,
  ReportCostEventInput,
  ReportCostEventsInput,
} from "./input";
export { listTagKeys, TagKeys } from "./list-tag-keys";
export { makeDailySums } from "./make-daily-sums";
export { parsed } from "./parse-input";
export { PublicCostEvent, toPublicCostEvent, type CostEventRow } from "./public-cost-event";
export { ReportedCostEvent, ReportedCostEvents, reportCostEvent, reportCostEvents } from "./report";
export { RANKED_COLUMNS, rollupRows, rowsOfRange, type HourRange } from "./rollup-ranges";
export { getSessionTimeline, SessionTimeline, SessionTimelineInput } from "./session-timeline";
export { getTrace, GetTraceInput, listTraces, ListTracesInput, TraceDetail, TraceRow } from "./traces";
export { getSession, listSessions, SessionDetail, SessionRow } from "./sessions";
