import type { Metadata } from "next";
import { Suspense } from "react";
import { AuthFrame } from "@/ui/auth/auth-frame";
import { SignUpForm } from "@/ui/auth/sign-up-form";

export const metadata: Metadata = { title: "Make an account" };

export default function Page() {
  return (
    <AuthFrame title="Make an account" description="A key, two changes in your client, and the first request: it takes a minute.">
      <Suspense>
        <SignUpForm />
      </Suspense>
    </AuthFrame>
  );
}
