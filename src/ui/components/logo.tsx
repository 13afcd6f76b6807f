/** The slashed zero: null in mathematics, nothing in a ledger. Drawn in the colour of the text around it. */
export function Logo({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2.25" strokeLinecap="round" aria-hidden className={className}>
      <circle cx="12" cy="12" r="7.5" />
      <path d="M4.25 19.75 19.75 4.25" />
    </svg>
  );
}
