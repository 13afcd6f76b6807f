export { createLiveSession, type LiveSessionOf } from "./live-session";
export { createRestSession } from "./rest-session";
export { safeCallback } from "./safe-callback";
