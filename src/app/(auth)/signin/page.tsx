import type { Metadata } from "next";
import { Suspense } from "react";
import { AuthFrame } from "@/ui/auth/auth-frame";
import { SignInForm } from "@/ui/auth/sign-in-form";

export const metadata: Metadata = { title: "Sign in" };

export default function Page() {
  return (
    <AuthFrame title="Sign in">
      <Suspense>
        <SignInForm />
      </Suspense>
    </AuthFrame>
  );
}
