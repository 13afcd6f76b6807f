import { redirect } from "next/navigation";
import { codeOfCallerError, serverCaller } from "@/ui/trpc/server";

/** To the organisation a person was in last, or to the first steps of one without calls. */
export default async function Page() {
  const home = await (await serverCaller()).shell.home().catch((error: unknown) => {
    if (codeOfCallerError(error) === "unauthorized") redirect("/signin?callbackUrl=/app");
    throw error;
  });
  redirect(`/o/${home.slug}/${home.hasEvents ? "overview" : "get-started"}`);
}
