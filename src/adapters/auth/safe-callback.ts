/**
 * Where to go after signing in: a path on our own origin, or the fallback. Read by the same parser as a browser's, so that what looks
 * like a path and is another site (`//evil`, `/\evil`, a tab in the middle) is seen for what it is.
 */
export function safeCallback(target: string | undefined, origin: string, fallback = "/app"): string {
  if (target === undefined || !URL.canParse(target, origin)) return fallback;
  const url = new URL(target, origin);
  if (url.origin !== new URL(origin).origin || url.username !== "" || url.password !== "") return fallback;
  const path = `${url.pathname}${url.search}${url.hash}`;
  // A path that begins with two slashes is another host to whoever resolves it again.
  return path.startsWith("//") || path.startsWith("/\\") ? fallback : path;
}
