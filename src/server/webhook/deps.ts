import type { Encryption } from "@/lib/encryption";
import type { UrlPolicy } from "./url-policy";

/** What the verbs need of the process beside `ctx`. */
export type WebhookDeps = {
  encryption: Encryption;
  policy: UrlPolicy;
  /** Something is due: looks now instead of at the next poll. */
  wake(): void;
};

/** How long the old secret signs too after a rotation. */
export const ROTATION_OVERLAP_MS = 24 * 3_600_000;

export const secretContext = (orgId: string, endpointId: string) => ({ orgId, purpose: "webhook-secret", rowId: endpointId });
