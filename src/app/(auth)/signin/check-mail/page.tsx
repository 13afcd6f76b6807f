import type { Metadata } from "next";
import { AuthFrame } from "@/ui/auth/auth-frame";
import { Link } from "@/ui/kit/link";
import { serverCaller } from "@/ui/trpc/server";

export const metadata: Metadata = { title: "Look into your mail" };

export default async function Page() {
  const { hasMailbox } = await (await serverCaller()).auth.ways();
  return (
    <AuthFrame title="Look into your mail" description="A link to sign in is on its way. It works once, for ten minutes.">
      {hasMailbox && (
        <p className="text-small">
          This instance sends no mail: see <Link href="/dev/mailbox">its mailbox</Link>.
        </p>
      )}
    </AuthFrame>
  );
}
