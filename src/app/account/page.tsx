import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { AccountPage } from "@/ui/account/account-page";
import { codeOfCallerError, serverCaller } from "@/ui/trpc/server";

export const metadata: Metadata = { title: "Account" };

export default async function Page() {
  await (await serverCaller()).me.profile().catch((error: unknown) => {
    if (codeOfCallerError(error) === "unauthorized") redirect("/signin?callbackUrl=/account");
    throw error;
  });
  return <AccountPage />;
}
