"use client";

import { useMutation } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { useState } from "react";
import { Button, ButtonLink } from "@/ui/kit/button";
import { Field, FormError } from "@/ui/kit/field";
import { Link } from "@/ui/kit/link";
import { Notice } from "@/ui/kit/page";
import { errorOf, useTRPC } from "@/ui/trpc";
import { PasswordInput } from "./password-input";

export function ResetForm() {
  const trpc = useTRPC();
  const token = useSearchParams().get("token") ?? "";
  const reset = useMutation(trpc.auth.resetPassword.mutationOptions());
  const [password, setPassword] = useState("");
  if (reset.data?.done === true) {
    return (
      <Notice tone="positive" title="The password is changed" actions={<ButtonLink href="/signin">Sign in</ButtonLink>}>
        All sessions were signed out.
      </Notice>
    );
  }
  return (
    <form
      className="flex flex-col gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        reset.mutate({ token, password });
      }}
    >
      <Field label="New password" hint="At least 10 characters." required>
        <PasswordInput value={password} onValueChange={setPassword} autoComplete="new-password" autoFocus />
      </Field>
      <FormError>
        {reset.isError
          ? errorOf(reset.error).message
          : reset.data?.done === false
            ? "This link is no longer good. Ask for another."
            : undefined}
      </FormError>
      <Button type="submit" variant="primary" size="large" loading={reset.isPending}>
        Set the password
      </Button>
      <p className="text-small">
        <Link href="/forgot-password">Ask for another link</Link>
      </p>
    </form>
  );
}
