"use client";

import { useMutation } from "@tanstack/react-query";
import { Button, ButtonLink } from "@/ui/kit/button";
import { FormError } from "@/ui/kit/field";
import { Notice } from "@/ui/kit/page";
import { errorOf, useTRPC } from "@/ui/trpc";

/** By a button, not by opening the page: what fetches links in mails proves nothing. */
export function VerifyButton({ token }: { token: string }) {
  const trpc = useTRPC();
  const verify = useMutation(trpc.auth.verifyEmail.mutationOptions());
  if (verify.data?.done === true) {
    return (
      <Notice tone="positive" title="The address is confirmed" actions={<ButtonLink href="/app">Go on</ButtonLink>}>
        Invitations to it can be accepted now.
      </Notice>
    );
  }
  return (
    <div className="flex flex-col gap-5">
      <FormError>
        {verify.isError
          ? errorOf(verify.error).message
          : verify.data?.done === false
            ? "This link is no longer good: it works once, for a day, in the account that it was mailed to. Ask for another on your account page."
            : undefined}
      </FormError>
      <Button variant="primary" size="large" loading={verify.isPending} onClick={() => verify.mutate({ token })}>
        Confirm address
      </Button>
    </div>
  );
}
