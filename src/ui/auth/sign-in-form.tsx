"use client";

import { useQuery } from "@tanstack/react-query";
import { signIn } from "next-auth/react";
import { useSearchParams } from "next/navigation";
import { useState } from "react";
import { Button } from "@/ui/kit/button";
import { Field, FormError } from "@/ui/kit/field";
import { Input } from "@/ui/kit/input";
import { Link } from "@/ui/kit/link";
import { useTRPC } from "@/ui/trpc";
import { PasswordInput } from "./password-input";

/** Words for what next-auth puts into the address. */
const ERRORS: Readonly<Record<string, string>> = {
  OAuthAccountNotLinked: "There is an account with this address already. Sign in the way you did before.",
  Verification: "This link is no longer good: it works once, for ten minutes. Ask for another.",
  AccessDenied: "The provider did not prove this address, so it cannot sign in here.",
  EmailSignin: "The link could not be mailed. Try again in a moment.",
};

export function SignInForm() {
  const trpc = useTRPC();
  const query = useSearchParams();
  const callbackUrl = query.get("callbackUrl") ?? "/app";
  const ways = useQuery(trpc.auth.ways.queryOptions());
  const [email, setEmail] = useState(query.get("email") ?? "");
  const [password, setPassword] = useState("");
  const errorCode = query.get("error");
  const [problem, setProblem] = useState(errorCode === null ? undefined : (ERRORS[errorCode] ?? "Signing in did not work. Try again."));
  const [working, setWorking] = useState<"password" | "link">();

  async function withPassword(): Promise<void> {
    setWorking("password");
    setProblem(undefined);
    const answer = await signIn("credentials", { email, password, redirect: false, callbackUrl });
    if (answer?.ok === true) {
      // A full load: everything that was read as nobody is read anew.
      window.location.assign(answer.url ?? callbackUrl);
      return;
    }
    setWorking(undefined);
    setProblem(
      answer?.error != null && answer.error !== "CredentialsSignin" && answer.error.startsWith("Too many")
        ? answer.error
        : "The address or the password is not right.",
    );
  }

  async function withLink(): Promise<void> {
    if (email.trim() === "") {
      setProblem("Type your address first; the link goes there.");
      return;
    }
    setWorking("link");
    setProblem(undefined);
    const answer = await signIn("email", { email, redirect: false, callbackUrl });
    if (answer?.ok === true && answer.error == null) {
      window.location.assign("/signin/check-mail");
      return;
    }
    setWorking(undefined);
    setProblem(ERRORS.EmailSignin);
  }

  return (
    <div className="flex flex-col gap-5">
      <form
        className="flex flex-col gap-5"
        onSubmit={(event) => {
          event.preventDefault();
          void withPassword();
        }}
      >
        <Field label="E-mail" required>
          <Input type="email" value={email} onValueChange={setEmail} autoComplete="username" autoFocus required maxLength={254} />
        </Field>
        <Field label="Password" required>
          <PasswordInput value={password} onValueChange={setPassword} autoComplete="current-password" />
        </Field>
        <FormError>{problem}</FormError>
        <Button type="submit" variant="primary" size="large" loading={working === "password"}>
          Sign in
        </Button>
      </form>
      <div className="flex flex-col gap-2">
        <Button onClick={() => void withLink()} loading={working === "link"}>
          Mail me a link instead
        </Button>
        {ways.data?.github === true && <Button onClick={() => void signIn("github", { callbackUrl })}>Go on with GitHub</Button>}
        {ways.data?.google === true && <Button onClick={() => void signIn("google", { callbackUrl })}>Go on with Google</Button>}
      </div>
      <p className="flex flex-wrap justify-between gap-2 text-small">
        <Link href={`/forgot-password${email === "" ? "" : `?email=${encodeURIComponent(email)}`}`}>Forgot the password?</Link>
        <Link href={`/signup?callbackUrl=${encodeURIComponent(callbackUrl)}`}>Make an account</Link>
      </p>
    </div>
  );
}
