import { z } from "zod";
import { presentAccepted, presentInvitation, presentOutcome } from "@/adapters/http/routes/invitations";
import { idParam } from "@/adapters/http/schemas";
import { publicId } from "@/lib/ids";
import {
  acceptInvitation,
  getInvitationByToken,
  inviteMembers,
  InviteMembersInput,
  listInvitations,
  resendInvitation,
  revokeInvitation,
} from "@/server/org";
import { orgProcedure, publicProcedure, router, userProcedure } from "../init";

const Token = z.strictObject({ token: z.string().max(200) });
const InvitationId = z.strictObject({ id: idParam("invitation") });

export const invitationsRouter = router({
  list: orgProcedure.query(async ({ ctx }) => (await listInvitations({ ctx: ctx.verb })).map(presentInvitation)),
  /** One outcome per address. */
  create: orgProcedure
    .input(InviteMembersInput)
    .mutation(async ({ ctx, input }) => (await inviteMembers({ ctx: ctx.verb, input, deps: ctx.runtime.orgs })).map(presentOutcome)),
  resend: orgProcedure
    .input(InvitationId)
    .mutation(async ({ ctx, input }) =>
      presentInvitation(await resendInvitation({ ctx: ctx.verb, invitationId: input.id, deps: ctx.runtime.orgs })),
    ),
  revoke: orgProcedure.input(InvitationId).mutation(async ({ ctx, input }) => {
    const { id, revokedAt } = await revokeInvitation({ ctx: ctx.verb, invitationId: input.id, deps: ctx.runtime.orgs });
    return { id: publicId("invitation", id), revokedAt: revokedAt.toISOString() };
  }),
  /** What the holder of a link sees, signed in or not, and who they are signed in as. */
  view: publicProcedure.input(Token).query(async ({ ctx: { runtime, user, ip }, input }) => {
    const { prisma, clock, orgs } = runtime;
    const { expiresAt, ...view } = await getInvitationByToken({ ctx: { prisma, clock, ip }, token: input.token, deps: orgs });
    const person = user && (await prisma.user.findUnique({ where: { id: user.userId }, select: { email: true, emailVerified: true } }));
    return {
      ...view,
      expiresAt: expiresAt?.toISOString() ?? null,
      signedInAs: person ? { email: person.email, emailVerified: person.emailVerified !== null } : null,
    };
  }),
  accept: userProcedure.input(Token).mutation(async ({ ctx: { runtime, user, ip }, input }) => {
    const { prisma, clock, orgs } = runtime;
    return presentAccepted(await acceptInvitation({ ctx: { prisma, clock, ip }, userId: user.userId, token: input.token, deps: orgs }));
  }),
});
