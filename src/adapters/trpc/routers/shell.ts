import { z } from "zod";
import { publicId } from "@/lib/ids";
import { ServiceError } from "@/lib/errors";
import { findHomeOfUser, findPlaceOf, findShellOfUser } from "@/server/org";
import { router, userProcedure } from "../init";

export const shellRouter = router({
  /** What stands around the pages of one organisation; `org.id` is the bare UUID that requests name in their header. */
  load: userProcedure.input(z.strictObject({ slug: z.string().max(100) })).query(async ({ ctx, input }) => {
    const shell = await findShellOfUser({ prisma: ctx.runtime.prisma, userId: ctx.user.userId, slug: input.slug });
    if (!shell) throw new ServiceError("not_found", "There is no such organisation.");
    const { freeze, ...rest } = shell;
    return {
      ...rest,
      freeze: freeze && { id: publicId("freeze", freeze.id), reason: freeze.reason, createdAt: freeze.createdAt.toISOString() },
    };
  }),
  /** Where `/app` leads. */
  home: userProcedure.query(async ({ ctx }) => {
    const home = await findHomeOfUser({ prisma: ctx.runtime.prisma, userId: ctx.user.userId });
    if (!home) throw new ServiceError("not_found", "You belong to no organisation any more.");
    return home;
  }),
  /** Which of a person's organisations has an action or a budget that a link names. */
  placeOf: userProcedure
    .input(z.strictObject({ actionId: z.string().max(100).optional(), budgetId: z.string().max(100).optional() }))
    .query(async ({ ctx, input }) => {
      const place = await findPlaceOf({ prisma: ctx.runtime.prisma, userId: ctx.user.userId, ...input });
      if (!place) throw new ServiceError("not_found", "There is no such thing in an organisation of yours.");
      return place;
    }),
});
