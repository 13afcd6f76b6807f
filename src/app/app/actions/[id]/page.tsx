import { notFound, redirect } from "next/navigation";
import { codeOfCallerError, serverCaller } from "@/ui/trpc/server";

/** Where links in answers and messages lead: they name an action and carry no rights. */
export default async function Page({ params }: { params: Promise<{ id: string }> }) {
  const { id } = await params;
  const place = await (await serverCaller()).shell.placeOf({ actionId: id.slice(0, 100) }).catch((error: unknown) => {
    const code = codeOfCallerError(error);
    if (code === "unauthorized") redirect(`/signin?callbackUrl=${encodeURIComponent(`/app/actions/${id}`)}`);
    if (code === "not_found") notFound();
    throw error;
  });
  redirect(`/o/${place.slug}/approvals?action=${encodeURIComponent(id)}`);
}
