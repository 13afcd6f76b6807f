export {
  endSession,
  endSessionsOf,
  findLiveSession,
  listSessions,
  revokeSession,
  SESSION_MS,
  signOutEverywhere,
  startSession,
  type LiveSession,
  type SessionRecord,
  type Visitor,
} from "./sessions";
