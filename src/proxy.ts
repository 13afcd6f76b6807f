import { type NextRequest, NextResponse } from "next/server";

/** The page's path and query, for layouts, which Next does not tell it: sign-in returns there. */
export const PATH_HEADER = "x-nullspend-path";

/** Gives every page a Content-Security-Policy with a nonce of its own; Next reads it from the request and marks its scripts. */
export function proxy(request: NextRequest): NextResponse {
  const nonce = Buffer.from(crypto.randomUUID()).toString("base64");
  const policy = contentSecurityPolicy(nonce, process.env.NODE_ENV === "development");
  const headers = new Headers(request.headers);
  headers.set("x-nonce", nonce);
  headers.set("content-security-policy", policy);
  headers.set(PATH_HEADER, request.nextUrl.pathname + request.nextUrl.search);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set("content-security-policy", policy);
  response.headers.set("x-content-type-options", "nosniff");
  response.headers.set("referrer-policy", "strict-origin-when-cross-origin");
  return response;
}

function contentSecurityPolicy(nonce: string, development: boolean): string {
  const rules = {
    "default-src": "'self'",
    // React's development build makes stack traces with eval.
    "script-src": `'self' 'nonce-${nonce}' 'strict-dynamic'${development ? " 'unsafe-eval'" : ""}`,
    // Charts, long tables and toasts place things by style attributes and elements, which a nonce does not cover.
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    // Sign-in forms without JavaScript are answered with the way to the provider.
    "form-action": "'self' https://github.com https://accounts.google.com",
    "frame-ancestors": "'none'",
  };
  return Object.entries(rules)
    .map(([name, value]) => `${name} ${value}`)
    .join("; ");
}

export const config = {
  // Pages only: not the gateway, not the API, not files.
  matcher: ["/((?!api/|v1/|openai/|anthropic/|_next/|metrics$|openapi\\.json$|llms\\.txt$|icon\\.svg$|favicon\\.ico$).*)"],
};
