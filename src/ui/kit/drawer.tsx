"use client";

import { Dialog as BaseDialog } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import type { ReactElement, ReactNode } from "react";
import { cn } from "./cn";
import { backdropStyle } from "./popup";

type DrawerProps = {
  title: ReactNode;
  description?: ReactNode;
  children: ReactNode;
  /** Beside the title: previous, next, permalink. */
  tools?: ReactNode;
  /** Stays at the lower edge. */
  footer?: ReactNode;
  trigger?: ReactElement;
  open?: boolean;
  onOpenChange?: (open: boolean) => void;
  /** "panel" leaves the page usable beside it (a row's details, with J and K going on working). */
  modal?: boolean;
  size?: "medium" | "large";
  side?: "right" | "left";
};

/** A panel at the side on wide screens, a sheet from below on phones. */
export function Drawer(props: DrawerProps) {
  const { title, description, children, tools, footer, trigger, open, onOpenChange, modal = true, size = "medium", side = "right" } = props;
  return (
    <BaseDialog.Root
      modal={modal}
      disablePointerDismissal={!modal}
      {...(open === undefined ? {} : { open })}
      {...(onOpenChange === undefined ? {} : { onOpenChange: (next: boolean) => onOpenChange(next) })}
    >
      {trigger !== undefined && <BaseDialog.Trigger render={trigger} />}
      <BaseDialog.Portal>
        {modal && <BaseDialog.Backdrop className={backdropStyle} />}
        <BaseDialog.Popup
          className={cn(
            "fixed z-50 flex flex-col bg-surface text-ink shadow-popup outline-none transition-transform duration-200 ease-out",
            side === "right"
              ? "inset-x-0 bottom-0 max-h-[90dvh] rounded-t-card border-t border-line data-ending-style:translate-y-full data-starting-style:translate-y-full sm:inset-y-0 sm:right-0 sm:left-auto sm:max-h-none sm:w-full sm:rounded-none sm:border-t-0 sm:border-l sm:data-ending-style:translate-x-full sm:data-ending-style:translate-y-0 sm:data-starting-style:translate-x-full sm:data-starting-style:translate-y-0"
              : "inset-y-0 left-0 w-[calc(100%-3rem)] border-r border-line data-ending-style:-translate-x-full data-starting-style:-translate-x-full",
            side === "left" ? "max-w-80" : size === "large" ? "sm:max-w-3xl" : "sm:max-w-lg",
          )}
        >
          <header className="flex items-start justify-between gap-3 border-b border-line px-4 py-3 sm:px-5">
            <div className="min-w-0 py-0.5">
              <BaseDialog.Title className="text-body font-semibold tracking-tight break-words">{title}</BaseDialog.Title>
              {description !== undefined && (
                <BaseDialog.Description className="text-small text-ink-muted">{description}</BaseDialog.Description>
              )}
            </div>
            <div className="flex shrink-0 items-center gap-1">
              {tools}
              <BaseDialog.Close
                aria-label="Close"
                className="flex size-8 cursor-pointer items-center justify-center rounded-control text-ink-muted hover:bg-line hover:text-ink"
              >
                <X aria-hidden className="size-4" />
              </BaseDialog.Close>
            </div>
          </header>
          <div className="min-h-0 grow overflow-y-auto overscroll-contain px-4 py-4 pb-[max(1rem,env(safe-area-inset-bottom))] sm:px-5">
            {children}
          </div>
          {footer !== undefined && (
            <footer className="border-t border-line px-4 py-3 pb-[max(0.75rem,env(safe-area-inset-bottom))] sm:px-5">{footer}</footer>
          )}
        </BaseDialog.Popup>
      </BaseDialog.Portal>
    </BaseDialog.Root>
  );
}
