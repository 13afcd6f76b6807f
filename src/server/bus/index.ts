export { createBus, type Bus, type BusLink } from "./bus";
export {
  FEED_ROWS_MAX,
  FeedRow,
  feedRow,
  LIVE_EVENT_TYPES,
  parseBusMessage,
  type BusMessage,
  type BusMessageOf,
  type BusMessageType,
  type LiveEvent,
  type LiveEventType,
} from "./messages";
export { connectRedis, type RedisLink } from "./redis-link";
