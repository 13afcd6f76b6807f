/** `__Host-` binds the cookie to this origin; browsers accept the prefix over HTTPS alone. */
export const sessionCookieName = (publicUrl: string): string =>
  publicUrl.startsWith("https:") ? "__Host-nullspend.session" : "nullspend.session";

/** The first value of a name in a `Cookie` header. */
export function readCookie(cookieHeader: string | undefined, name: string): string | undefined {
  for (const pair of cookieHeader?.split(";") ?? []) {
    const equals = pair.indexOf("=");
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return decodeURIComponentSafely(pair.slice(equals + 1).trim());
  }
  return undefined;
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
