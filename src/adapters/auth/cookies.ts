/** What the session's cookie is called and how it is set. `__Host-` needs https: browsers then take it from this very host only. */
export type CookieForm = { name: string; options: { httpOnly: true; sameSite: "lax"; path: "/"; secure: boolean } };

export function sessionCookie(publicUrl: string | undefined): CookieForm {
  const secure = publicUrl?.startsWith("https://") ?? false;
  return { name: `${secure ? "__Host-" : ""}nullspend.session`, options: { httpOnly: true, sameSite: "lax", path: "/", secure } };
}

/** The first cookie of a name in a `Cookie` header: of two with one name, browsers send the more specific one first (RFC 6265 §5.4). */
export function readCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? "").split(";")) {
    const equals = pair.indexOf("=");
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}
