import { z } from "zod";
import { presentOrganisation } from "@/adapters/http/routes/orgs";
import { publicId } from "@/lib/ids";
import {
  createOrganisation,
  CreateOrganisationInput,
  deleteOrganisation,
  DeleteOrganisationInput,
  getOrganisationSettings,
  leaveOrganisation,
  updateOrganisation,
  UpdateOrganisationInput,
} from "@/server/org";
import { orgProcedure, router, userProcedure } from "../init";

export const orgsRouter = router({
  /** A team, owned by whoever asks. */
  create: userProcedure
    .input(CreateOrganisationInput)
    .mutation(async ({ ctx: { runtime, user, ip }, input }) =>
      presentOrganisation(await createOrganisation({ ctx: { prisma: runtime.prisma, ip }, userId: user.userId, input })),
    ),
  settings: orgProcedure.query(async ({ ctx }) => presentOrganisation(await getOrganisationSettings({ ctx: ctx.verb }))),
  update: orgProcedure
    .input(UpdateOrganisationInput)
    .mutation(async ({ ctx, input }) => presentOrganisation(await updateOrganisation({ ctx: ctx.verb, input, deps: ctx.runtime.orgs }))),
  /** `name` repeats the organisation's name. */
  delete: orgProcedure.input(DeleteOrganisationInput).mutation(async ({ ctx, input }) => {
    const { id, deletedAt } = await deleteOrganisation({ ctx: ctx.verb, input, deps: ctx.runtime.orgs });
    return { id: publicId("org", id), deletedAt: deletedAt.toISOString() };
  }),
  leave: orgProcedure.input(z.strictObject({})).mutation(async ({ ctx }) => {
    await leaveOrganisation({ ctx: ctx.verb, deps: ctx.runtime.orgs });
    return { id: publicId("org", ctx.orgId) };
  }),
});
