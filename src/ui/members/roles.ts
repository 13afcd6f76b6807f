import type { Role } from "@/generated/prisma/enums";

export const ROLES: readonly { value: Role; label: string; hint: string }[] = [
  { value: "viewer", label: "Viewer", hint: "Sees everything, changes nothing. Needs no seat." },
  { value: "member", label: "Member", hint: "Also makes keys of their own, and asks for more budget." },
  { value: "admin", label: "Admin", hint: "Also changes budgets, keys, webhooks and prices, invites people and decides approvals." },
  { value: "owner", label: "Owner", hint: "Also hands the organisation over, deletes it, and decides where callers are sent to pay." },
];

export function roleWord(role: Role): string {
  return ROLES.find(({ value }) => value === role)?.label ?? role;
}

const RANK: Readonly<Record<Role, number>> = { viewer: 0, member: 1, admin: 2, owner: 3 };

type Person = { role: Role; userId: string };

/** Owners change everybody; admins who is below them, and themselves. The server decides; this only spares a refusal. */
export function mayChange(actor: Person, member: Person): boolean {
  if (RANK[actor.role] < RANK.admin) return false;
  return actor.role === "owner" || actor.userId === member.userId || RANK[member.role] < RANK.admin;
}

/** Roles a person may give: none above their own. */
export function rolesToGive(role: Role): readonly (typeof ROLES)[number][] {
  return ROLES.filter(({ value }) => RANK[value] <= RANK[role]);
}
