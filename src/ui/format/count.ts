const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat("en-US", { style: "percent", maximumFractionDigits: 1 });

/** `12,345`; a dash for what is not known. */
export function formatCount(count: number | null | undefined): string {
  return count === null || count === undefined || !Number.isFinite(count) ? "–" : whole.format(count);
}

/** `12.3K`, for axes and cards. */
export function formatCompact(count: number | null | undefined): string {
  return count === null || count === undefined || !Number.isFinite(count) ? "–" : compact.format(count);
}

/** A share between 0 and 1 as `12.5%`; what is not zero is never shown as 0%, and what is not all never as 100%. */
export function formatPercent(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  if (share > 0 && share < 0.001) return "<0.1%";
  if (share < 1 && share > 0.999) return ">99.9%";
  return percent.format(share);
}

/** `1 call`, `3 calls`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
