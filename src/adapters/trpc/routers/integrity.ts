import { checkIntegrity } from "@/server/budget";
import { orgProcedure, router } from "../init";

export const integrityRouter = router({
  check: orgProcedure.query(({ ctx }) => checkIntegrity({ ctx: ctx.verb })),
});
