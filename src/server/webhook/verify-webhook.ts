// For receivers; the SDK exports it. It imports nothing but Node's own crypto.
import { createHmac, timingSafeEqual } from "node:crypto";

export type VerifyWebhookInput = {
  /** The body exactly as it arrived: parsed and written again it has another signature. */
  body: string | Uint8Array;
  /** All headers of the request, or `X-NullSpend-Signature` alone. */
  headers: string | Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
  /** `whsec_…`, the whole text. */
  secret: string;
  /** How old or how far ahead a signature may be. Default 300. */
  toleranceSeconds?: number;
  /** Unix milliseconds; default the system's clock. */
  nowMs?: number;
};

export type VerifiedWebhook = {
  /** `evt_<uuid>`, the same for every attempt: what was handled already must not be handled again. */
  id: string;
  type: string;
  api_version: string;
  created_at: number;
  data?: { object: Record<string, unknown> };
  related_object?: { id: string; type: string; url: string };
};

/** The only error of {@link verifyWebhook}. */
export class WebhookVerificationError extends Error {
  override readonly name = "WebhookVerificationError";
}

const SIGNATURES_MAX = 10;

/** Checks that a webhook is from NullSpend, unchanged and new, and answers its content. */
export function verifyWebhook({ body, headers, secret, toleranceSeconds = 300, nowMs = Date.now() }: VerifyWebhookInput): VerifiedWebhook {
  if (!secret.startsWith("whsec_")) throw new WebhookVerificationError("the secret must be the whole text, which begins with whsec_");
  const header = signatureHeader(headers);
  const parts = header?.split(",").map((part) => part.trim()) ?? [];
  const timestamp = /^t=(\d{1,12})$/.exec(parts[0] ?? "")?.[1];
  const signatures = parts.slice(1, SIGNATURES_MAX + 1).flatMap((part) => /^v1=([0-9a-f]{64})$/.exec(part)?.[1] ?? []);
  if (timestamp === undefined || signatures.length === 0)
    throw new WebhookVerificationError("X-NullSpend-Signature is missing or unreadable");
  const ageSeconds = Math.floor(nowMs / 1000) - Number(timestamp);
  if (Math.abs(ageSeconds) > toleranceSeconds) {
    throw new WebhookVerificationError(ageSeconds > 0 ? "the signature is too old" : "the signature is from the future");
  }
  const expected = createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest();
  // All are compared, so that the time taken does not say which one was right.
  const matches = signatures.filter((signature) => timingSafeEqual(Buffer.from(signature, "hex"), expected));
  if (matches.length === 0) throw new WebhookVerificationError("the signature does not belong to this body and secret");
  return JSON.parse(typeof body === "string" ? body : new TextDecoder().decode(body)) as VerifiedWebhook;
}

function signatureHeader(headers: VerifyWebhookInput["headers"]): string | undefined {
  if (typeof headers === "string") return headers;
  if (headers instanceof Headers) return headers.get("x-nullspend-signature") ?? undefined;
  const entry = Object.entries(headers).find(([name]) => name.toLowerCase() === "x-nullspend-signature");
  const value = entry?.[1];
  return typeof value === "string" ? value : value?.[0];
}
