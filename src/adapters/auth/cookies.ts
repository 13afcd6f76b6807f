/** What the session's cookie is called and how it is set. `__Host-` needs https: browsers then take it from this very host only. */
export type CookieForm = { name: string; options: { httpOnly: true; sameSite: "lax"; path: "/"; secure: boolean } };

export const isHttps = (publicUrl: string | undefined): boolean => publicUrl?.startsWith("https://") ?? false;

export const sessionCookie = (publicUrl: string | undefined): CookieForm => cookieForm("session", publicUrl);

/** Binds a mailed sign-in link to the browser that asked for it. */
export const linkCookie = (publicUrl: string | undefined): CookieForm => cookieForm("sign-in-code", publicUrl);

function cookieForm(name: string, publicUrl: string | undefined): CookieForm {
  const secure = isHttps(publicUrl);
  return { name: `${secure ? "__Host-" : ""}nullspend.${name}`, options: { httpOnly: true, sameSite: "lax", path: "/", secure } };
}

/** The first cookie of a name in a `Cookie` header: of two with one name, browsers send the more specific one first (RFC 6265 §5.4). */
export function readCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? "").split(";")) {
    const equals = pair.indexOf("=");
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}
