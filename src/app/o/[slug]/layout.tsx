import { headers } from "next/headers";
import { notFound, redirect } from "next/navigation";
import type { ReactNode } from "react";
import { AppShell } from "@/ui/shell/app-shell";
import { codeOfCallerError, serverCaller } from "@/ui/trpc/server";

type LayoutProps = { children: ReactNode; params: Promise<{ slug: string }> };

/** Membership is read from the database for every page: who was removed sees nothing more. */
export default async function OrganisationLayout({ children, params }: LayoutProps) {
  const { slug } = await params;
  const shell = await (await serverCaller()).shell.load({ slug }).catch(async (error: unknown) => {
    const code = codeOfCallerError(error);
    if (code === "unauthorized") redirect(`/signin?callbackUrl=${encodeURIComponent(await pathOfPage(slug))}`);
    if (code === "not_found") notFound();
    throw error;
  });
  return <AppShell shell={shell}>{children}</AppShell>;
}

async function pathOfPage(slug: string): Promise<string> {
  // Set in src/proxy.ts; without it sign-in still returns to the organisation.
  return (await headers()).get("x-nullspend-path") ?? `/o/${slug}/overview`;
}
