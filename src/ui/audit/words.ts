/** What was done, in words. A verb that is not listed shows as it is, so that a new one is never hidden. */
const ACTIONS: Readonly<Record<string, string>> = {
  "action.created": "Asked for approval",
  "action.cancelled": "Took a request back",
  "action.approved": "Approved a request",
  "action.rejected": "Denied a request",
  "action.expired": "A request expired",
  "api_key.created": "Made a key",
  "api_key.updated": "Changed a key",
  "api_key.rotated": "Rotated a key",
  "api_key.revoked": "Revoked a key",
  "approval_policies.updated": "Changed the approval policies",
  "budget.created": "Made a budget",
  "budget.updated": "Changed a budget",
  "budget.raised": "Raised a budget",
  "budget.reset": "Reset a budget",
  "budget.deleted": "Deleted a budget",
  "freeze.created": "Stopped spend",
  "freeze.lifted": "Let calls through again",
  "invitation.created": "Invited somebody",
  "invitation.role_changed": "Changed the role of an invitation",
  "invitation.resent": "Sent an invitation again",
  "invitation.revoked": "Took an invitation back",
  "invitation.accepted": "Accepted an invitation",
  "member.role_changed": "Changed a role",
  "member.approver_changed": "Changed who decides approvals",
  "member.removed": "Removed a member",
  "member.left": "Left",
  "org.created": "Made the organisation",
  "org.updated": "Changed the settings",
  "org.ownership_transferred": "Handed the organisation over",
  "org.deleted": "Deleted the organisation",
  "price.created": "Set a price",
  "price.withdrawn": "Withdrew a price",
  "tool_cost.created": "Set the cost of a tool",
  "tool_cost.updated": "Changed the cost of a tool",
  "tool_cost.deleted": "Deleted the cost of a tool",
  "tool_cost.discovered": "Found a tool",
  "webhook.created": "Made a webhook",
  "webhook.updated": "Changed a webhook",
  "webhook.deleted": "Deleted a webhook",
};

export function actionWords(action: string): string {
  return ACTIONS[action] ?? action;
}

/** Actions one can filter by, for the list of suggestions. */
export const KNOWN_ACTIONS: readonly { value: string; label: string }[] = Object.entries(ACTIONS).map(([value, label]) => ({
  value,
  label,
}));

const RESOURCES: Readonly<Record<string, string>> = {
  action: "request",
  api_key: "key",
  approval_policies: "approval policies",
  budget: "budget",
  freeze: "stop",
  invitation: "invitation",
  member: "member",
  org: "organisation",
  price: "price",
  tool_cost: "tool",
  webhook: "webhook",
};

export function resourceWord(resourceType: string): string {
  return RESOURCES[resourceType] ?? resourceType;
}

export const KNOWN_RESOURCES: readonly { value: string; label: string }[] = Object.entries(RESOURCES).map(([value, label]) => ({
  value,
  label,
}));
