import type { Metadata } from "next";
import { Suspense } from "react";
import { AuthFrame } from "@/ui/auth/auth-frame";
import { ResetForm } from "@/ui/auth/reset-form";

// The address is the right to choose a password: it is told to nobody that the page leads to.
export const metadata: Metadata = { title: "New password", referrer: "no-referrer" };

export default function Page() {
  return (
    <AuthFrame title="Choose a new password">
      <Suspense>
        <ResetForm />
      </Suspense>
    </AuthFrame>
  );
}
