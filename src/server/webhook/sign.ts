import { createHmac, randomBytes } from "node:crypto";

/** Bytes of a secret; Standard Webhooks wants 24 to 64. */
const SECRET_BYTES = 32;

export const newSigningSecret = (): string => `whsec_${randomBytes(SECRET_BYTES).toString("base64")}`;

export type Signed = {
  /** `evt_<uuid>`: the same for every attempt. */
  id: string;
  /** Unix seconds of this attempt. */
  timestamp: number;
  /** The exact text that is sent. */
  body: string;
  /** The current one first. After a rotation the one before it signs too, for 24 hours. */
  secrets: readonly string[];
};

/** The headers of both schemes (CONTRACT §9): ours with the whole secret as key, Standard Webhooks with its decoded part. */
export function signatureHeaders({ id, timestamp, body, secrets }: Signed): Record<string, string> {
  const ours = secrets.map((secret) => `v1=${createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")}`);
  const standard = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
    return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
  });
  return {
    "x-nullspend-signature": [`t=${timestamp}`, ...ours].join(","),
    "x-nullspend-webhook-id": id,
    "x-nullspend-webhook-timestamp": String(timestamp),
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": standard.join(" "),
  };
}
