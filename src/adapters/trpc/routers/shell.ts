import { z } from "zod";
import { publicId } from "@/lib/ids";
import { ServiceError } from "@/lib/errors";
import { findShellOfUser } from "@/server/org";
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
});
