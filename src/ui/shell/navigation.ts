import {
  Activity,
  ChartColumn,
  KeyRound,
  LayoutDashboard,
  ListTree,
  type LucideIcon,
  ReceiptText,
  ScrollText,
  Settings,
  Stamp,
  Users,
  Wallet,
  Webhook,
} from "lucide-react";
import type { Role } from "@/generated/prisma/enums";

export type NavigationItem = {
  /** Below `/o/<slug>/`. */
  path: string;
  label: string;
  icon: LucideIcon;
  /** G and then this letter. */
  key: string;
  /** Words it is also found by. */
  keywords: string;
  /** Not shown to those below. */
  least?: Role;
};

export type NavigationGroup = { label?: string; items: readonly NavigationItem[] };

export const NAVIGATION: readonly NavigationGroup[] = [
  {
    items: [
      { path: "overview", label: "Overview", icon: LayoutDashboard, key: "o", keywords: "home live spend today" },
      { path: "activity", label: "Activity", icon: Activity, key: "a", keywords: "calls requests log events" },
      { path: "explorer", label: "Explorer", icon: ChartColumn, key: "e", keywords: "cost attribution group chart report" },
      { path: "sessions", label: "Sessions", icon: ListTree, key: "s", keywords: "traces timeline replay" },
    ],
  },
  {
    label: "Control",
    items: [
      { path: "budgets", label: "Budgets", icon: Wallet, key: "b", keywords: "limits velocity freeze" },
      { path: "approvals", label: "Approvals", icon: Stamp, key: "p", keywords: "inbox requests decide policies" },
      { path: "keys", label: "Keys", icon: KeyRound, key: "k", keywords: "api tokens rotate revoke" },
      { path: "webhooks", label: "Webhooks", icon: Webhook, key: "w", keywords: "endpoints deliveries" },
    ],
  },
  {
    label: "Organisation",
    items: [
      { path: "members", label: "Members", icon: Users, key: "m", keywords: "team people invite roles" },
      { path: "audit", label: "Audit log", icon: ScrollText, key: "l", keywords: "changes history who", least: "admin" },
      { path: "settings", label: "Settings", icon: Settings, key: "t", keywords: "name zone delete danger" },
    ],
  },
];

const RANK: Readonly<Record<Role, number>> = { viewer: 0, member: 1, admin: 2, owner: 3 };

/** For what is shown; what is allowed the server decides. */
export function hasRole(role: Role, least: Role): boolean {
  return RANK[role] >= RANK[least];
}

export function navigationFor(role: Role): NavigationGroup[] {
  return NAVIGATION.map((group) => ({ ...group, items: group.items.filter(({ least }) => least === undefined || hasRole(role, least)) }));
}

/** Icon of the page of first steps. */
export const GetStartedIcon = ReceiptText;

/** Where an id that somebody pasted is shown; undefined when it is none. */
export function pathOfId(text: string): { path: string; what: string } | undefined {
  const id = text.trim();
  const encoded = encodeURIComponent(id);
  if (/^ns_evt_[0-9a-f-]{36}$/.test(id)) return { path: `activity?event=${encoded}`, what: "Call" };
  if (/^ns_key_[0-9a-f-]{36}$/.test(id)) return { path: `keys?key=${encoded}`, what: "Key" };
  if (/^ns_bgt_[0-9a-f-]{36}$/.test(id)) return { path: `budgets?budget=${encoded}`, what: "Budget" };
  if (/^ns_act_[0-9a-f-]{36}$/.test(id)) return { path: `approvals?action=${encoded}`, what: "Approval" };
  if (/^ns_dec_[0-9a-f-]{36}$/.test(id)) return { path: `decisions/${encoded}`, what: "Denial" };
  if (/^[0-9a-f]{32}$/.test(id)) return { path: `traces/${encoded}`, what: "Trace" };
  return undefined;
}
