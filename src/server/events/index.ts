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
