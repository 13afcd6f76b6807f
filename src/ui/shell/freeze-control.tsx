"use client";

import { useMutation } from "@tanstack/react-query";
import { OctagonPause, Snowflake } from "lucide-react";
import { useRouter } from "next/navigation";
import { useState, type ReactElement } from "react";
import { Button } from "@/ui/kit/button";
import { AlertDialog } from "@/ui/kit/dialog";
import { Field } from "@/ui/kit/field";
import { Textarea } from "@/ui/kit/input";
import { Time } from "@/ui/kit/time";
import { toast } from "@/ui/kit/toast";
import { errorOf, useTRPC } from "@/ui/trpc";
import { useHasRole, useShell } from "./shell-context";

type FreezeDialogProps = { open?: boolean; onOpenChange?: (open: boolean) => void; trigger?: ReactElement };

/** Stops all spend of the organisation. Two presses: the button, then this dialog's. */
export function FreezeDialog({ open, onOpenChange, trigger }: FreezeDialogProps) {
  const { org } = useShell();
  const trpc = useTRPC();
  const router = useRouter();
  const create = useMutation(trpc.freezes.create.mutationOptions());
  const [reason, setReason] = useState("Stopped from the dashboard");
  return (
    <AlertDialog
      {...(open === undefined ? {} : { open })}
      {...(onOpenChange === undefined ? {} : { onOpenChange })}
      {...(trigger === undefined ? {} : { trigger })}
      title={`Stop all spend of ${org.name}?`}
      description="Every call is refused within a second, on every key, and streams that are running are cut. Nothing is deleted; you can lift it at any time."
      confirm="Stop all spend"
      ready={reason.trim() !== ""}
      errorText={(error) => errorOf(error).message}
      onConfirm={async () => {
        await create.mutateAsync({ entityType: "org", reason: reason.trim() });
        toast.warning("All spend is stopped");
        router.refresh();
      }}
    >
      <Field label="Reason" hint="Callers read it in their refusal." required>
        <Textarea rows={2} maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} />
      </Field>
    </AlertDialog>
  );
}

/** In the bar of every page, for who may use it. */
export function FreezeButton() {
  const { freeze } = useShell();
  const admin = useHasRole("admin");
  if (freeze !== null || !admin) return null;
  return (
    <FreezeDialog
      trigger={
        <Button size="small" variant="danger-quiet" aria-label="Stop all spend" icon={<OctagonPause aria-hidden className="size-4" />}>
          <span className="max-md:hidden">Stop all spend</span>
        </Button>
      }
    />
  );
}

/** Above every page while all calls are refused. */
export function FreezeBanner() {
  const { org, freeze } = useShell();
  const admin = useHasRole("admin");
  const trpc = useTRPC();
  const router = useRouter();
  const lift = useMutation(trpc.freezes.lift.mutationOptions());
  if (freeze === null) return null;
  return (
    <div role="status" className="border-b border-danger bg-danger-soft px-4 py-2.5 text-small text-ink sm:px-6">
      <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2">
        <p className="flex min-w-0 items-start gap-2">
          <Snowflake aria-hidden className="mt-0.75 size-4 shrink-0 text-danger" />
          <span className="min-w-0 break-words">
            <strong className="font-semibold">All spend of {org.name} is stopped</strong> since <Time value={freeze.createdAt} />. Every
            call is refused. Reason: {freeze.reason}
          </span>
        </p>
        {admin && (
          <AlertDialog
            tone="primary"
            trigger={<Button size="small">Let calls through</Button>}
            title="Let calls through again?"
            description="Keys work again within a second. Budgets and limits stay as they are."
            confirm="Let calls through"
            errorText={(error) => errorOf(error).message}
            onConfirm={async () => {
              await lift.mutateAsync({ id: freeze.id });
              toast.success("Calls go through again");
              router.refresh();
            }}
          />
        )}
      </div>
    </div>
  );
}
