"use client";

import { useMutation, useQuery } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { useState } from "react";
import { Button } from "@/ui/kit/button";
import { Field, FormError } from "@/ui/kit/field";
import { Input } from "@/ui/kit/input";
import { Link } from "@/ui/kit/link";
import { Notice } from "@/ui/kit/page";
import { errorOf, useTRPC } from "@/ui/trpc";

export function ForgotForm() {
  const trpc = useTRPC();
  const query = useSearchParams();
  const ways = useQuery(trpc.auth.ways.queryOptions());
  const ask = useMutation(trpc.auth.requestPasswordReset.mutationOptions());
  const [email, setEmail] = useState(query.get("email") ?? "");
  if (ask.isSuccess) {
    return (
      <Notice tone="positive" title="Look into your mail">
        If {email} has an account, a link is on its way. It works once, for thirty minutes.
        {ways.data?.hasMailbox === true && (
          <>
            {" "}
            This instance sends no mail: see <Link href="/dev/mailbox">its mailbox</Link>.
          </>
        )}
      </Notice>
    );
  }
  return (
    <form
      className="flex flex-col gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        ask.mutate({ email });
      }}
    >
      <Field label="E-mail" required>
        <Input type="email" value={email} onValueChange={setEmail} autoComplete="username" autoFocus required maxLength={254} />
      </Field>
      <FormError>{ask.isError ? errorOf(ask.error).message : undefined}</FormError>
      <Button type="submit" variant="primary" size="large" loading={ask.isPending}>
        Mail me a link
      </Button>
    </form>
  );
}
