import { ApprovalPoliciesInput, getApprovalPolicies, setApprovalPolicies } from "@/server/approval";
import { orgProcedure, router } from "../init";

export const approvalPoliciesRouter = router({
  get: orgProcedure.query(({ ctx }) => getApprovalPolicies({ ctx: ctx.verb })),
  set: orgProcedure.input(ApprovalPoliciesInput).mutation(({ ctx, input }) => setApprovalPolicies({ ctx: ctx.verb, input })),
});
