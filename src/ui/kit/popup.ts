/** Ground, edge and entrance of what floats above the page. */
export const popupStyle =
  "origin-(--transform-origin) rounded-card border border-line bg-surface text-ink shadow-popup outline-none transition-[scale,opacity] duration-100 data-ending-style:scale-98 data-ending-style:opacity-0 data-starting-style:scale-98 data-starting-style:opacity-0";

/** What dims the page behind a dialog. */
export const backdropStyle =
  "fixed inset-0 z-40 min-h-dvh bg-scrim transition-opacity duration-150 data-ending-style:opacity-0 data-starting-style:opacity-0 supports-[-webkit-touch-callout:none]:absolute";
