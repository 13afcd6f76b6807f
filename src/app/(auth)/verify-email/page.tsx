import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { AuthFrame } from "@/ui/auth/auth-frame";
import { VerifyButton } from "@/ui/auth/verify-button";
import { codeOfCallerError, serverCaller } from "@/ui/trpc/server";

export const metadata: Metadata = { title: "Confirm your address", referrer: "no-referrer" };

export default async function Page({ searchParams }: { searchParams: Promise<{ token?: string | string[] }> }) {
  const { token } = await searchParams;
  const sent = typeof token === "string" ? token.slice(0, 200) : "";
  const { email } = await (await serverCaller()).me.profile().catch((error: unknown) => {
    if (codeOfCallerError(error) !== "unauthorized") throw error;
    redirect(`/signin?callbackUrl=${encodeURIComponent(`/verify-email?token=${encodeURIComponent(sent)}`)}`);
  });
  return (
    <AuthFrame title="Confirm your address" description={`You are signed in as ${email}.`}>
      <VerifyButton token={sent} />
    </AuthFrame>
  );
}
