"use client";

import { AlertDialog as BaseAlertDialog } from "@base-ui/react/alert-dialog";
import { Dialog as BaseDialog } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import { useState, type ReactElement, type ReactNode } from "react";
import { Button } from "./button";
import { cn } from "./cn";
import { Field, FormError } from "./field";
import { Input } from "./input";
import { backdropStyle, popupStyle } from "./popup";

const widths = { small: "max-w-md", medium: "max-w-lg", large: "max-w-3xl" };
// On phones at the lower edge, where the thumb is; the dialog scrolls inside, so that its buttons stay in reach.
const placeStyle =
  "fixed inset-x-0 bottom-0 z-50 mx-auto flex max-h-[calc(100dvh-1rem)] w-full flex-col rounded-b-none pb-[env(safe-area-inset-bottom)] sm:top-1/2 sm:bottom-auto sm:max-h-[calc(100dvh-4rem)] sm:w-[calc(100%-2rem)] sm:-translate-y-1/2 sm:rounded-b-card sm:pb-0";

type DialogProps = {
  title: ReactNode;
  description?: ReactNode;
  children?: ReactNode;
  /** Buttons, the main one last. For a form put them inside the form instead, as DialogActions. */
  actions?: ReactNode;
  /** A button that opens it; without one, `open` and `onOpenChange` are needed. */
  trigger?: ReactElement;
  open?: boolean;
  onOpenChange?: (open: boolean) => void;
  size?: keyof typeof widths;
};

export function Dialog({ title, description, children, actions, trigger, open, onOpenChange, size = "medium" }: DialogProps) {
  return (
    <BaseDialog.Root
      {...(open === undefined ? {} : { open })}
      {...(onOpenChange === undefined ? {} : { onOpenChange: (next: boolean) => onOpenChange(next) })}
    >
      {trigger !== undefined && <BaseDialog.Trigger render={trigger} />}
      <BaseDialog.Portal>
        <BaseDialog.Backdrop className={backdropStyle} />
        <BaseDialog.Popup className={cn(popupStyle, placeStyle, widths[size])}>
          <header className="flex items-start justify-between gap-4 px-5 pt-4">
            <div className="min-w-0">
              <BaseDialog.Title className="text-lead font-semibold tracking-tight">{title}</BaseDialog.Title>
              {description !== undefined && (
                <BaseDialog.Description className="mt-1 text-small text-ink-muted">{description}</BaseDialog.Description>
              )}
            </div>
            <BaseDialog.Close
              aria-label="Close"
              className="-mr-1.5 flex size-8 shrink-0 cursor-pointer items-center justify-center rounded-control text-ink-muted hover:bg-line hover:text-ink"
            >
              <X aria-hidden className="size-4" />
            </BaseDialog.Close>
          </header>
          <div className="min-h-0 overflow-y-auto overscroll-contain px-5 py-4">{children}</div>
          {actions !== undefined && <div className="border-t border-line px-5 py-3">{<DialogActions>{actions}</DialogActions>}</div>}
        </BaseDialog.Popup>
      </BaseDialog.Portal>
    </BaseDialog.Root>
  );
}

/** Buttons of a dialog or form: to the right, the main one last; stacked on phones with the main one on top. */
export function DialogActions({ children }: { children: ReactNode }) {
  return <div className="flex flex-col-reverse gap-2 sm:flex-row sm:justify-end">{children}</div>;
}

/** Closes the dialog it stands in. */
export function DialogClose({ children = "Cancel" }: { children?: ReactNode }) {
  return <BaseDialog.Close render={<Button />}>{children}</BaseDialog.Close>;
}

type AlertDialogProps = {
  title: ReactNode;
  /** What will happen, in words, before it does. */
  description: ReactNode;
  /** The verb: "Revoke key". */
  confirm: string;
  /** May be slow, and may fail: the dialog waits, and stays open with the message of what was thrown. */
  onConfirm: () => Promise<unknown> | void;
  /** Words for what was thrown. */
  errorText?: (error: unknown) => string;
  trigger?: ReactElement;
  open?: boolean;
  onOpenChange?: (open: boolean) => void;
  /** This has to be typed before the button works: for what cannot be undone. */
  typeToConfirm?: string;
  /** Further fields, e.g. a reason. */
  children?: ReactNode;
  /** False while the further fields are incomplete. */
  ready?: boolean;
  tone?: "danger" | "primary";
};

/** Asks before something that matters. Nothing but its two buttons closes it. */
export function AlertDialog(props: AlertDialogProps) {
  const { title, description, confirm, onConfirm, errorText, trigger, typeToConfirm, children, ready = true, tone = "danger" } = props;
  const [openInside, setOpenInside] = useState(false);
  const [typed, setTyped] = useState("");
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<string>();
  const open = props.open ?? openInside;

  function setOpen(next: boolean): void {
    if (next) {
      setTyped("");
      setError(undefined);
    }
    setOpenInside(next);
    props.onOpenChange?.(next);
  }

  async function run(): Promise<void> {
    setWorking(true);
    setError(undefined);
    try {
      await onConfirm();
      setOpen(false);
    } catch (thrown) {
      setError(errorText?.(thrown) ?? (thrown instanceof Error ? thrown.message : "That did not work. Nothing was changed."));
    } finally {
      setWorking(false);
    }
  }

  return (
    <BaseAlertDialog.Root open={open} onOpenChange={(next) => setOpen(next)}>
      {trigger !== undefined && <BaseAlertDialog.Trigger render={trigger} />}
      <BaseAlertDialog.Portal>
        <BaseAlertDialog.Backdrop className={backdropStyle} />
        <BaseAlertDialog.Popup className={cn(popupStyle, placeStyle, widths.small)}>
          <form
            className="flex min-h-0 flex-col"
            onSubmit={(event) => {
              event.preventDefault();
              void run();
            }}
          >
            <div className="flex min-h-0 flex-col gap-4 overflow-y-auto overscroll-contain px-5 py-4">
              <div>
                <BaseAlertDialog.Title className="text-lead font-semibold tracking-tight">{title}</BaseAlertDialog.Title>
                <BaseAlertDialog.Description className="mt-1 text-small text-ink-muted" render={<div />}>
                  {description}
                </BaseAlertDialog.Description>
              </div>
              {children}
              {typeToConfirm !== undefined && (
                <Field
                  label={
                    <>
                      Type <span className="font-mono break-all">{typeToConfirm}</span> to go on
                    </>
                  }
                >
                  <Input value={typed} onValueChange={(next: string) => setTyped(next)} autoComplete="off" spellCheck={false} />
                </Field>
              )}
              <FormError>{error}</FormError>
            </div>
            <div className="border-t border-line px-5 py-3">
              <DialogActions>
                <BaseAlertDialog.Close render={<Button disabled={working} />}>Cancel</BaseAlertDialog.Close>
                <Button
                  type="submit"
                  variant={tone}
                  loading={working}
                  disabled={!ready || (typeToConfirm !== undefined && typed.trim() !== typeToConfirm)}
                >
                  {confirm}
                </Button>
              </DialogActions>
            </div>
          </form>
        </BaseAlertDialog.Popup>
      </BaseAlertDialog.Portal>
    </BaseAlertDialog.Root>
  );
}
