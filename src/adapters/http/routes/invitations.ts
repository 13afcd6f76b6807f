import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import {
  acceptInvitation,
  inviteMembers,
  InviteMembersInput,
  listInvitations,
  resendInvitation,
  revokeInvitation,
  type AcceptedInvitation,
  type InvitationOutcome,
  type InvitationRecord,
} from "@/server/org";
import { ok, route } from "../route";
import { dataOf, idOf, idParam, timestamp } from "../schemas";
import { inOrganisation, orgParams } from "./orgs";

const Role = z.enum(["viewer", "member", "admin", "owner"]);

const Invitation = z
  .object({
    id: idOf("invitation"),
    email: z.string(),
    role: Role,
    state: z.enum(["pending", "expired"]),
    invitedBy: z.object({ userId: idOf("user"), name: z.string().nullable(), email: z.string().nullable() }).nullable(),
    mail: z
      .enum(["queued", "sent", "failed"])
      .nullable()
      .meta({ description: "What became of the mail sent last; null: not known any more." }),
    mailError: z.string().nullable(),
    expiresAt: timestamp,
    lastSentAt: timestamp,
    createdAt: timestamp,
  })
  .meta({ id: "Invitation" });

const Outcome = z
  .object({
    email: z.string(),
    outcome: z.enum(["invited", "role_changed", "already_invited", "already_member", "invalid"]),
    invitationId: idOf("invitation").nullable(),
  })
  .meta({ id: "InvitationOutcome" });

const Accepted = z
  .object({ orgId: idOf("org"), slug: z.string(), orgName: z.string(), role: Role.meta({ description: "As held now." }) })
  .meta({ id: "AcceptedInvitation" });

const invitationParams = z.strictObject({ id: idParam("org"), invitationId: idParam("invitation") });
const tag = "Organisations";

/** A key invites only into its own organisation; a person with the role held in the one the path names, which the verb looks at. */
const INVITES = { key: ["manage"], user: "viewer" } as const;
const NEEDS_ADMIN = "Needs the role admin in that organisation, or a key with `manage`.";

export const invitationRoutes = [
  route({
    method: "GET",
    path: "/api/orgs/{id}/invitations",
    operationId: "listInvitations",
    tag,
    summary: "Invitations that wait or ran out, newest first",
    description: NEEDS_ADMIN,
    access: { key: ["read", "manage"], user: "viewer" },
    params: orgParams,
    answers: [{ status: 200, description: "All of them.", schema: z.object({ data: z.array(Invitation) }) }],
    async handle({ ctx, params }) {
      const invitations = await listInvitations({ ctx: await inOrganisation(ctx, params.id) });
      return ok({ data: invitations.map(presentInvitation) });
    },
  }),
  route({
    method: "POST",
    path: "/api/orgs/{id}/invitations",
    operationId: "inviteMembers",
    tag,
    summary: "Invite people by mail",
    description: `${NEEDS_ADMIN} \`emails\` is text as pasted, or a list. Each address has its own outcome; an invitation ends after seven days.`,
    access: INVITES,
    params: orgParams,
    body: InviteMembersInput,
    answers: [{ status: 200, description: "What became of each address.", schema: z.object({ data: z.array(Outcome) }) }],
    async handle({ ctx, deps, params, body }) {
      const outcomes = await inviteMembers({ ctx: await inOrganisation(ctx, params.id), input: body, deps: deps.orgs });
      return ok({ data: outcomes.map(presentOutcome) });
    },
  }),
  route({
    method: "POST",
    path: "/api/orgs/{id}/invitations/{invitationId}/resend",
    operationId: "resendInvitation",
    tag,
    summary: "Mail an invitation again",
    description: `${NEEDS_ADMIN} With a new link for another seven days; the link before ends.`,
    access: INVITES,
    params: invitationParams,
    answers: [{ status: 200, description: "The invitation.", schema: dataOf(Invitation) }],
    async handle({ ctx, deps, params: { id, invitationId } }) {
      return ok({ data: presentInvitation(await resendInvitation({ ctx: await inOrganisation(ctx, id), invitationId, deps: deps.orgs })) });
    },
  }),
  route({
    method: "DELETE",
    path: "/api/orgs/{id}/invitations/{invitationId}",
    operationId: "revokeInvitation",
    tag,
    summary: "Take an invitation back",
    description: `${NEEDS_ADMIN} Taking it back again changes nothing.`,
    access: INVITES,
    params: invitationParams,
    answers: [
      { status: 200, description: "When it was taken back.", schema: dataOf(z.object({ id: idOf("invitation"), revokedAt: timestamp })) },
    ],
    async handle({ ctx, deps, params: { id, invitationId } }) {
      const { revokedAt } = await revokeInvitation({ ctx: await inOrganisation(ctx, id), invitationId, deps: deps.orgs });
      return ok({ data: { id: publicId("invitation", invitationId), revokedAt: revokedAt.toISOString() } });
    },
  }),
  route({
    method: "POST",
    path: "/api/invite/accept",
    operationId: "acceptInvitation",
    tag,
    summary: "Join by an invitation",
    description: "Session only. The signed-in, confirmed address must be the invited one. It works once; the same person may repeat it.",
    access: { key: "session_only", user: "viewer" },
    body: z.strictObject({ token: z.string().max(200) }),
    answers: [{ status: 200, description: "Where the person is a member now.", schema: dataOf(Accepted) }],
    async handle({ ctx, deps, body }) {
      if (ctx.principal.type !== "user") throw new ServiceError("bad_request", "Only a person joins an organisation.");
      const accepted = await acceptInvitation({ ctx, userId: ctx.principal.userId, token: body.token, deps: deps.orgs });
      return ok({ data: presentAccepted(accepted) });
    },
  }),
];

export function presentInvitation({ id, invitedBy, ...invitation }: InvitationRecord): z.input<typeof Invitation> {
  return {
    id: publicId("invitation", id),
    ...invitation,
    invitedBy: invitedBy && { ...invitedBy, userId: publicId("user", invitedBy.userId) },
    expiresAt: invitation.expiresAt.toISOString(),
    lastSentAt: invitation.lastSentAt.toISOString(),
    createdAt: invitation.createdAt.toISOString(),
  };
}

export function presentOutcome(outcome: InvitationOutcome): z.input<typeof Outcome> {
  const invitationId = "invitationId" in outcome ? publicId("invitation", outcome.invitationId) : null;
  return { email: outcome.email, outcome: outcome.outcome, invitationId };
}

export function presentAccepted({ orgId, ...accepted }: AcceptedInvitation): z.input<typeof Accepted> {
  return { orgId: publicId("org", orgId), ...accepted };
}
