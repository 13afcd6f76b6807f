import type { Metadata } from "next";
import { InvitePage } from "@/ui/invite/invite-page";
import { MessagePage } from "@/ui/components/message-page";
import { codeOfCallerError, serverCaller } from "@/ui/trpc/server";

// The address is the right to join: it is told to nobody that the page leads to.
export const metadata: Metadata = { title: "Invitation", referrer: "no-referrer" };

/** Only shows: what fetches links in mails joins nothing. */
export default async function Page({ params }: { params: Promise<{ token: string }> }) {
  const { token } = await params;
  const view = await (await serverCaller()).invitations.view({ token: token.slice(0, 200) }).catch((error: unknown) => {
    if (codeOfCallerError(error) === "rate_limited") return undefined;
    throw error;
  });
  if (!view) {
    return (
      <MessagePage code="Invitation" title="Too many wrong links">
        <p>Several links from your network did not exist. Wait ten minutes, then open the link from your mail again.</p>
      </MessagePage>
    );
  }
  return <InvitePage token={token} view={view} />;
}
