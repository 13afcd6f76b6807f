import { notFound, redirect } from "next/navigation";
import { codeOfCallerError, serverCaller } from "@/ui/trpc/server";

type PageProps = { searchParams: Promise<{ budget?: string; decision?: string }> };

/** Where a denial leads who wants more: it names a budget and carries no rights. */
export default async function Page({ searchParams }: PageProps) {
  const { budget = "", decision = "" } = await searchParams;
  const query = new URLSearchParams({ budget, decision });
  const place = await (await serverCaller()).shell.placeOf({ budgetId: budget.slice(0, 100) }).catch((error: unknown) => {
    const code = codeOfCallerError(error);
    if (code === "unauthorized") redirect(`/signin?callbackUrl=${encodeURIComponent(`/app/requests/new?${query.toString()}`)}`);
    if (code === "not_found") notFound();
    throw error;
  });
  redirect(`/o/${place.slug}/approvals?${new URLSearchParams({ request: budget, decision }).toString()}`);
}
