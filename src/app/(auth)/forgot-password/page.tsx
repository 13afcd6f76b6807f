import type { Metadata } from "next";
import { Suspense } from "react";
import { AuthFrame } from "@/ui/auth/auth-frame";
import { ForgotForm } from "@/ui/auth/forgot-form";

export const metadata: Metadata = { title: "Forgot the password" };

export default function Page() {
  return (
    <AuthFrame title="Forgot the password?" description="We mail you a link with which you choose another.">
      <Suspense>
        <ForgotForm />
      </Suspense>
    </AuthFrame>
  );
}
