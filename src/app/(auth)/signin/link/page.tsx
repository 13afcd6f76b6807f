import type { Metadata } from "next";
import { AuthFrame } from "@/ui/auth/auth-frame";
import { Button } from "@/ui/kit/button";

export const metadata: Metadata = { title: "Sign in", referrer: "no-referrer" };

type PageProps = { searchParams: Promise<{ token?: string; email?: string; callbackUrl?: string }> };

/** A button between the mail and the right it carries: what fetches links in mails would use it up. */
export default async function Page({ searchParams }: PageProps) {
  const { token = "", email = "", callbackUrl = "/app" } = await searchParams;
  return (
    <AuthFrame title="Sign in" description={email === "" ? undefined : `As ${email}.`}>
      <form action="/api/auth/callback/email" method="get">
        <input type="hidden" name="token" value={token} />
        <input type="hidden" name="email" value={email} />
        <input type="hidden" name="callbackUrl" value={callbackUrl} />
        <Button type="submit" variant="primary" size="large">
          Sign in to NullSpend
        </Button>
      </form>
    </AuthFrame>
  );
}
