/**
 * Puts text on the clipboard. `navigator.clipboard` exists only on https and localhost, and a self-hosted instance is often
 * opened over plain http: there the older command still works, from within a click.
 */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  // Fixed and unseen, so that neither page nor keyboard on a phone moves. Not "sr-only": its nowrap would cost the indentation.
  area.className = "fixed top-0 left-0 size-px opacity-0";
  document.body.append(area);
  area.select();
  try {
    // Deprecated, and the only way where the Clipboard API is absent.
    // oxlint-disable-next-line typescript/no-deprecated
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    area.remove();
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  }
}
