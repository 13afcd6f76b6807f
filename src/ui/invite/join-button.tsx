"use client";

import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/ui/kit/button";
import { FormError } from "@/ui/kit/field";
import { errorOf, useTRPC } from "@/ui/trpc";

export function JoinButton({ token, orgName }: { token: string; orgName: string }) {
  const trpc = useTRPC();
  const accept = useMutation(trpc.invitations.accept.mutationOptions());
  const [problem, setProblem] = useState<string>();

  async function join(): Promise<void> {
    setProblem(undefined);
    try {
      const { slug } = await accept.mutateAsync({ token });
      // Anew from the server: nothing that this page holds knows of the organisation.
      window.location.assign(`/o/${encodeURIComponent(slug)}/overview`);
    } catch (error) {
      setProblem(errorOf(error).message);
    }
  }

  return (
    <div className="mt-6 grid justify-items-start gap-4">
      <Button variant="primary" size="large" loading={accept.isPending || accept.isSuccess} onClick={() => void join()}>
        Join {orgName}
      </Button>
      <FormError>{problem}</FormError>
    </div>
  );
}
