"use client";

import { useMutation } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { viewerZone } from "@/ui/format/time";
import { Button } from "@/ui/kit/button";
import { Dialog, DialogActions, DialogClose } from "@/ui/kit/dialog";
import { Field, FormError } from "@/ui/kit/field";
import { Input } from "@/ui/kit/input";
import { useSubmit } from "@/ui/lib/use-submit";
import { useTRPC } from "@/ui/trpc";

/** Makes a team, owned by whoever makes it, and goes there. */
export function NewTeamDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      size="small"
      title="New team"
      description="An organisation of its own, with its own keys, budgets and members. You own it."
    >
      <NewTeamForm />
    </Dialog>
  );
}

function NewTeamForm() {
  const trpc = useTRPC();
  const router = useRouter();
  const create = useMutation(trpc.orgs.create.mutationOptions());
  const [name, setName] = useState("");

  const { onSubmit, working, problem } = useSubmit(async () => {
    const { slug } = await create.mutateAsync({ name: name.trim(), timezone: viewerZone() });
    router.push(`/o/${slug}/get-started`);
  });

  return (
    <form className="flex flex-col gap-5" onSubmit={onSubmit}>
      <Field label="Name" hint="You can change it later." required>
        <Input value={name} onValueChange={(next: string) => setName(next)} maxLength={50} autoComplete="organization" />
      </Field>
      <FormError>{problem}</FormError>
      <DialogActions>
        <DialogClose />
        <Button type="submit" variant="primary" loading={working} disabled={name.trim() === ""}>
          Make team
        </Button>
      </DialogActions>
    </form>
  );
}
