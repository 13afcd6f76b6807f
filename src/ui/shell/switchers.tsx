"use client";

import { Building2, Check, ChevronsUpDown, Keyboard, LogOut, Monitor, Moon, Plus, Sun, UserRound } from "lucide-react";
import { signOut } from "next-auth/react";
import { useTheme } from "next-themes";
import { useRouter } from "next/navigation";
import { Badge } from "@/ui/kit/badge";
import { Menu } from "@/ui/kit/menu";
import { useHydrated } from "@/ui/lib/browser";
import { useShell } from "./shell-context";

/** The first letters of up to two words. */
function initialsOf(name: string): string {
  return name
    .split(/[\s._-]+/)
    .filter((word) => word !== "")
    .slice(0, 2)
    .map((word) => String.fromCodePoint(word.codePointAt(0) ?? 0).toUpperCase())
    .join("");
}

/** Which organisation, and the way to the others. */
export function OrgSwitcher() {
  const { org, organisations } = useShell();
  const router = useRouter();
  return (
    <Menu
      align="start"
      trigger={
        <button
          type="button"
          className="flex h-10 w-full min-w-0 cursor-pointer items-center gap-2.5 rounded-control px-2 text-left text-small font-medium hover:bg-line"
        >
          <span
            aria-hidden
            className="flex size-6 shrink-0 items-center justify-center rounded-[0.25rem] bg-ink text-[0.6875rem] font-semibold text-ink-inverse"
          >
            {initialsOf(org.name)}
          </span>
          <span className="min-w-0 truncate">
            <span className="sr-only">Organisation: </span>
            {org.name}
          </span>
          {org.isDemo && <Badge tone="accent">Demo</Badge>}
          <ChevronsUpDown aria-hidden className="ml-auto size-3.5 shrink-0 text-ink-muted" />
        </button>
      }
      groups={[
        {
          label: "Organisations",
          items: organisations.map(({ id, name, slug, isPersonal, isDemo, role }) => ({
            label: (
              <span className="flex items-center gap-2">
                <span className="max-w-56 truncate">{name}</span>
                {id === org.id && <Check aria-label="this one" className="ml-auto" />}
              </span>
            ),
            hint: [isPersonal ? "Personal" : "Team", ROLE_WORD[role], ...(isDemo ? ["Demo data"] : [])].join(" · "),
            icon: isPersonal ? <UserRound aria-hidden /> : <Building2 aria-hidden />,
            href: `/o/${slug}/overview`,
          })),
        },
        {
          items: [{ label: "New team", icon: <Plus aria-hidden />, onSelect: () => router.push(`/o/${org.slug}/settings?new-team=true`) }],
        },
      ]}
    />
  );
}

const ROLE_WORD = { viewer: "Viewer", member: "Member", admin: "Admin", owner: "Owner" };

/** The person: account, theme, keyboard, sign out. */
export function UserMenu({ onHelp }: { onHelp: () => void }) {
  const { user } = useShell();
  const { theme, setTheme } = useTheme();
  const chosen = useHydrated() ? theme : undefined;
  const name = user.name ?? user.email ?? "You";
  const themes = [
    { value: "system", label: "As the system", icon: <Monitor aria-hidden /> },
    { value: "light", label: "Light", icon: <Sun aria-hidden /> },
    { value: "dark", label: "Dark", icon: <Moon aria-hidden /> },
  ];
  return (
    <Menu
      trigger={
        <button
          type="button"
          aria-label={`Your menu, ${name}`}
          className="flex size-8 shrink-0 cursor-pointer items-center justify-center rounded-full border border-line-strong bg-surface text-micro font-semibold hover:bg-sunken"
        >
          {initialsOf(name)}
        </button>
      }
      groups={[
        {
          label: user.email ?? name,
          items: [
            { label: "Account", icon: <UserRound aria-hidden />, href: "/account" },
            { label: "Keyboard shortcuts", icon: <Keyboard aria-hidden />, onSelect: onHelp },
          ],
        },
        {
          label: "Theme",
          items: themes.map(({ value, label, icon }) => ({
            label: (
              <span className="flex items-center gap-2">
                {label}
                {chosen === value && <Check aria-label="chosen" className="ml-auto" />}
              </span>
            ),
            icon,
            onSelect: () => setTheme(value),
          })),
        },
        { items: [{ label: "Sign out", icon: <LogOut aria-hidden />, onSelect: () => void signOut({ callbackUrl: "/signin" }) }] },
      ]}
    />
  );
}
