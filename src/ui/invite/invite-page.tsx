import type { ReactNode } from "react";
import type { Role } from "@/generated/prisma/enums";
import { MessagePage } from "@/ui/components/message-page";
import { ButtonLink } from "@/ui/kit/button";
import { Link } from "@/ui/kit/link";
import { roleWord } from "@/ui/members/roles";
import { TrpcProvider } from "@/ui/trpc/provider";
import { JoinButton } from "./join-button";
import { type InvitationView, stepOf } from "./step";
import { SwitchAccount } from "./switch-account";

/** Says who invites to what as what, and leads to the one thing to do next. */
export function InvitePage({ token, view }: { token: string; view: InvitationView }) {
  const step = stepOf(view);
  const path = `/invite/${token}`;
  switch (step.kind) {
    case "unknown":
      return (
        <MessagePage code="Invitation" title="This link leads nowhere">
          <p>
            It may have been cut short by a mail program, or a newer mail has replaced it. Open the latest mail, or ask for a new
            invitation.
          </p>
        </MessagePage>
      );
    case "over":
      return (
        <MessagePage code="Invitation" title={step.title}>
          <p>{step.text}</p>
          {step.mayBeIn && (
            <p className="mt-6">
              <ButtonLink href="/app" variant="primary" size="large">
                Open NullSpend
              </ButtonLink>
            </p>
          )}
        </MessagePage>
      );
    case "sign-in":
      return (
        <Offer view={view}>
          <p className="mt-6 flex flex-wrap gap-3">
            <ButtonLink href={withReturn("/signup", path, step.email)} variant="primary" size="large">
              Sign up to join
            </ButtonLink>
            <ButtonLink href={withReturn("/signin", path, step.email)} size="large">
              I have an account
            </ButtonLink>
          </p>
          <p className="mt-4 text-small">
            Use <strong className="font-semibold text-ink">{step.email}</strong>: the invitation is for this address alone.
          </p>
        </Offer>
      );
    case "other-address":
      return (
        <Offer view={view}>
          <p className="mt-4">
            It was mailed to <strong className="font-semibold text-ink">{step.email}</strong>, and you are signed in as{" "}
            <strong className="font-semibold text-ink">{step.signedInAs}</strong>. Sign in with the invited address, or ask for an
            invitation to yours.
          </p>
          <SwitchAccount returnTo={withReturn("/signin", path, step.email)} />
        </Offer>
      );
    case "unconfirmed":
      return (
        <Offer view={view}>
          <p className="mt-4">
            One step is left: we have mailed a link to <strong className="font-semibold text-ink">{step.email}</strong> to confirm that it
            is yours. Open it, then come back to this page.
          </p>
          <p className="mt-6 flex flex-wrap items-center gap-x-4 gap-y-3">
            <ButtonLink href={path} variant="primary" size="large">
              I have confirmed it
            </ButtonLink>
            <Link href="/account">No mail came?</Link>
          </p>
        </Offer>
      );
    case "join":
      return (
        <Offer view={view}>
          <TrpcProvider>
            <JoinButton token={token} orgName={step.orgName} />
          </TrpcProvider>
        </Offer>
      );
  }
}

const RIGHTS: Readonly<Record<Role, string>> = {
  viewer: "You will see everything and change nothing.",
  member: "You will see everything, make keys of your own and ask for more budget.",
  admin: "You will see everything, change budgets, keys, webhooks and prices, invite people and decide approvals.",
  owner: "It will be yours.",
};

function Offer({ view, children }: { view: InvitationView; children: ReactNode }) {
  return (
    <MessagePage code="Invitation" title={`Join ${view.orgName ?? "an organisation"}`}>
      <p>
        {view.invitedBy ?? "Somebody"} invites you to <strong className="font-semibold text-ink">{view.orgName}</strong>
        {view.role && (
          <>
            {" "}
            as <strong className="font-semibold text-ink">{roleWord(view.role).toLowerCase()}</strong>
          </>
        )}
        .{view.role && ` ${RIGHTS[view.role]}`}
      </p>
      {children}
    </MessagePage>
  );
}

/** To a page of accounts and back here, with the address filled in. */
function withReturn(page: string, path: string, email: string): string {
  return `${page}?${new URLSearchParams({ email, callbackUrl: path }).toString()}`;
}
