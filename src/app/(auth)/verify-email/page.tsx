import type { Metadata } from "next";
import { Suspense } from "react";
import { AuthFrame } from "@/ui/auth/auth-frame";
import { VerifyButton } from "@/ui/auth/verify-button";

export const metadata: Metadata = { title: "Confirm your address", referrer: "no-referrer" };

export default function Page() {
  return (
    <AuthFrame title="Confirm your address">
      <Suspense>
        <VerifyButton />
      </Suspense>
    </AuthFrame>
  );
}
