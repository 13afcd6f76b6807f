"use client";

import { createContext, useContext, type ReactNode } from "react";
import type { Role } from "@/generated/prisma/enums";
import type { RouterOutputs } from "@/ui/trpc";
import { hasRole } from "./navigation";

export type ShellData = RouterOutputs["shell"]["load"];

const Shell = createContext<ShellData | null>(null);

export function ShellProvider({ shell, children }: { shell: ShellData; children: ReactNode }) {
  return <Shell value={shell}>{children}</Shell>;
}

/** Who is signed in, and where: for pages below `/o/[slug]`. */
export function useShell(): ShellData {
  const shell = useContext(Shell);
  if (shell === null) throw new Error("useShell is for pages of an organisation.");
  return shell;
}

/** The path of a page of this organisation: `useOrgPath()("budgets")`. */
export function useOrgPath(): (path: string) => string {
  const { org } = useShell();
  return (path) => `/o/${org.slug}/${path}`;
}

/** Whether the person has at least this role: for what is shown. What is allowed the server decides. */
export function useHasRole(least: Role): boolean {
  return hasRole(useShell().org.role, least);
}
