import { z } from "zod";
import { presentChangedMember, presentMember } from "@/adapters/http/routes/orgs";
import { idParam } from "@/adapters/http/schemas";
import { publicId } from "@/lib/ids";
import { changeRole, ChangeRoleInput, listMembers, removeMember, setApprover, transferOwnership } from "@/server/org";
import { orgProcedure, router } from "../init";

const Member = z.strictObject({ userId: idParam("user") });

export const membersRouter = router({
  list: orgProcedure.query(async ({ ctx }) => {
    const { members, seats } = await listMembers({ ctx: ctx.verb });
    return { members: members.map(presentMember), seats };
  }),
  changeRole: orgProcedure
    .input(Member.extend({ role: ChangeRoleInput.shape.role }))
    .mutation(async ({ ctx, input }) => presentChangedMember(await changeRole({ ctx: ctx.verb, input, deps: ctx.runtime.orgs }))),
  setApprover: orgProcedure
    .input(Member.extend({ isApprover: z.boolean() }))
    .mutation(async ({ ctx, input }) => presentChangedMember(await setApprover({ ctx: ctx.verb, input, deps: ctx.runtime.orgs }))),
  remove: orgProcedure.input(Member).mutation(async ({ ctx, input }) => {
    const { userId } = await removeMember({ ctx: ctx.verb, input, deps: ctx.runtime.orgs });
    return { userId: publicId("user", userId) };
  }),
  /** The member becomes an owner, whoever asks an admin. */
  transferOwnership: orgProcedure
    .input(Member)
    .mutation(async ({ ctx, input }) => presentChangedMember(await transferOwnership({ ctx: ctx.verb, input, deps: ctx.runtime.orgs }))),
});
