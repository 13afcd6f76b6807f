import { headers } from "next/headers";
import { LandingPage } from "@/ui/landing/landing-page";

export default async function Page() {
  return <LandingPage originFromRequest={originOf(await headers())} />;
}

/** For the first paint only; the browser knows its address better and corrects it. */
function originOf(requestHeaders: Headers): string {
  const scheme = requestHeaders.get("x-forwarded-proto")?.split(",")[0]?.trim() === "https" ? "https" : "http";
  const url = `${scheme}://${requestHeaders.get("host") ?? ""}`;
  return URL.canParse(url) ? new URL(url).origin : "http://localhost:3000";
}
