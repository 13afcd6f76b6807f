export { createSessionReader, type SessionReader } from "./live-session";
export { safeCallback } from "./safe-callback";
export { sessionCookieName } from "./session-cookie";
