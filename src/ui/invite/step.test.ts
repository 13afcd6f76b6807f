import { expect, test } from "vitest";
import { stepOf, type InvitationView } from "./step";

const pending: InvitationView = {
  state: "pending",
  orgName: "Acme",
  role: "member",
  invitedBy: "Ada",
  email: "bob@example.com",
  expiresAt: "2026-12-01T00:00:00.000Z",
  signedInAs: null,
};
const as = (email: string | null, emailVerified = true): InvitationView => ({ ...pending, signedInAs: { email, emailVerified } });

test.each([
  ["nobody is signed in", pending, "sign-in"],
  ["the invited person is signed in", as("bob@example.com"), "join"],
  ["the address is not confirmed yet", as("bob@example.com", false), "unconfirmed"],
  ["another person is signed in", as("eve@example.com"), "other-address"],
  ["an account without an address is signed in", as(null), "other-address"],
  ["it expired", { ...as("bob@example.com"), state: "expired", email: null }, "over"],
  ["it was withdrawn", { ...pending, state: "revoked", email: null }, "over"],
  ["it was used", { ...pending, state: "accepted", email: null }, "over"],
  ["it does not exist", { ...pending, state: "unknown", orgName: null, role: null, invitedBy: null, email: null }, "unknown"],
] satisfies [string, InvitationView, string][])("when %s", (_when, view, kind) => expect(stepOf(view).kind).toBe(kind));
