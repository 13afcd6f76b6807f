"use client";

import { useMutation, useQuery } from "@tanstack/react-query";
import { signIn } from "next-auth/react";
import { useSearchParams } from "next/navigation";
import { useState } from "react";
import { viewerZone } from "@/ui/format/time";
import { Button } from "@/ui/kit/button";
import { Field, FormError } from "@/ui/kit/field";
import { Input } from "@/ui/kit/input";
import { Link } from "@/ui/kit/link";
import { Notice } from "@/ui/kit/page";
import { errorOf, useTRPC } from "@/ui/trpc";
import { PasswordInput } from "./password-input";

const PASSWORD_LENGTH_LEAST = 10;

export function SignUpForm() {
  const trpc = useTRPC();
  const query = useSearchParams();
  const callbackUrl = query.get("callbackUrl") ?? "/app";
  const ways = useQuery(trpc.auth.ways.queryOptions());
  const signUp = useMutation(trpc.auth.signUp.mutationOptions());
  const [name, setName] = useState("");
  const [email, setEmail] = useState(query.get("email") ?? "");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<string>();
  const [working, setWorking] = useState(false);
  const isShort = password !== "" && password.length < PASSWORD_LENGTH_LEAST;

  async function submit(): Promise<void> {
    setWorking(true);
    setProblem(undefined);
    try {
      await signUp.mutateAsync({ name, email, password, timezone: viewerZone() });
      const answer = await signIn("credentials", { email, password, redirect: false, callbackUrl });
      window.location.assign(answer?.ok === true ? (answer.url ?? callbackUrl) : "/signin");
    } catch (error) {
      setProblem(errorOf(error).message);
      setWorking(false);
    }
  }

  return (
    <form
      className="flex flex-col gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {ways.data?.isInviteOnly === true && <Notice>New accounts are by invitation here: use the address that was invited.</Notice>}
      <Field label="Name" required>
        <Input value={name} onValueChange={setName} autoComplete="name" autoFocus required maxLength={100} />
      </Field>
      <Field label="E-mail" required>
        <Input type="email" value={email} onValueChange={setEmail} autoComplete="username" required maxLength={254} />
      </Field>
      <Field
        label="Password"
        hint={`At least ${PASSWORD_LENGTH_LEAST} characters; length is what counts.`}
        error={isShort ? `${PASSWORD_LENGTH_LEAST - password.length} more characters.` : undefined}
        required
      >
        <PasswordInput value={password} onValueChange={setPassword} autoComplete="new-password" />
      </Field>
      <FormError>{problem}</FormError>
      <Button type="submit" variant="primary" size="large" loading={working} disabled={isShort}>
        Make the account
      </Button>
      <p className="text-small">
        <Link href={`/signin?callbackUrl=${encodeURIComponent(callbackUrl)}`}>I have an account</Link>
      </p>
    </form>
  );
}
