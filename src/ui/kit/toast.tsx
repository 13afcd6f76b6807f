"use client";

import { CircleAlert, CircleCheck, Info, TriangleAlert } from "lucide-react";
import { Toaster as SonnerToaster, toast as sonner } from "sonner";

/** Once per page tree, in the layout. */
export function Toaster() {
  return (
    <SonnerToaster
      position="bottom-right"
      closeButton
      // Sonner brings a font of its own.
      style={{ fontFamily: "inherit" }}
      // Those who read slowly, or by ear, need the time; hovering and focusing stop the clock.
      duration={6000}
      icons={{
        success: <CircleCheck aria-hidden className="size-4 text-positive" />,
        error: <CircleAlert aria-hidden className="size-4 text-danger" />,
        warning: <TriangleAlert aria-hidden className="size-4 text-warning" />,
        info: <Info aria-hidden className="size-4 text-ink-muted" />,
      }}
      toastOptions={{
        unstyled: true,
        classNames: {
          toast:
            "flex w-full items-start gap-2.5 rounded-card border border-line bg-surface p-3.5 pr-9 text-small text-ink shadow-popup sm:w-(--width)",
          title: "font-medium",
          description: "text-ink-muted",
          icon: "mt-1 shrink-0",
          actionButton: "ml-auto shrink-0 cursor-pointer rounded-control border border-line-strong px-2 py-0.5 font-medium hover:bg-sunken",
          closeButton:
            "absolute top-2.5 right-2.5 flex size-6 cursor-pointer items-center justify-center rounded-control text-ink-muted hover:bg-line hover:text-ink",
        },
      }}
    />
  );
}

type ToastOptions = { description?: string; action?: { label: string; onClick: () => void } };

/**
 * A short note that something happened. It goes away, so it only repeats what the page shows: an error also stands where it
 * happened, and undo is also found elsewhere.
 */
export const toast = {
  success: (title: string, options: ToastOptions = {}): void => void sonner.success(title, options),
  info: (title: string, options: ToastOptions = {}): void => void sonner.info(title, options),
  warning: (title: string, options: ToastOptions = {}): void => void sonner.warning(title, options),
  error: (title: string, options: ToastOptions = {}): void => void sonner.error(title, options),
};
