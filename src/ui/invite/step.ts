import type { RouterOutputs } from "@/ui/trpc";

export type InvitationView = RouterOutputs["invitations"]["view"];

/** What whoever opened the link can do next. */
export type Step =
  | { kind: "unknown" }
  /** Nothing can be joined by it any more; `mayBeIn`: perhaps by this very person. */
  | { kind: "over"; title: string; text: string; mayBeIn: boolean }
  | { kind: "sign-in"; email: string }
  | { kind: "other-address"; email: string; signedInAs: string }
  | { kind: "unconfirmed"; email: string }
  | { kind: "join"; orgName: string };

/** The server decides again when somebody joins; this only spares a refusal. */
export function stepOf({ state, orgName, email, signedInAs }: InvitationView): Step {
  const where = orgName ?? "the organisation";
  const ask = `Ask whoever invited you to ${where} for a new one.`;
  switch (state) {
    case "unknown":
      return { kind: "unknown" };
    case "accepted":
      return {
        kind: "over",
        title: "This invitation was used",
        text: `A link works once. If it was you, ${where} is among your organisations; otherwise ask for a new invitation.`,
        mayBeIn: true,
      };
    case "revoked":
      return { kind: "over", title: "This invitation was withdrawn", text: `It cannot be used any more. ${ask}`, mayBeIn: false };
    case "expired":
      return { kind: "over", title: "This invitation has expired", text: `Invitations end after seven days. ${ask}`, mayBeIn: false };
    case "pending":
      break;
  }
  if (email === null) return { kind: "unknown" };
  if (signedInAs === null) return { kind: "sign-in", email };
  if (signedInAs.email !== email) return { kind: "other-address", email, signedInAs: signedInAs.email ?? "somebody without an address" };
  return signedInAs.emailVerified ? { kind: "join", orgName: where } : { kind: "unconfirmed", email };
}
