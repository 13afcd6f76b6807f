import type { Clock } from "@/lib/clock";
import { ServiceError } from "@/lib/errors";

/** An expiry in the past would end the key at once, which is what revoking is for; most often it is a mistaken unit or zone. */
export function assertInFuture(expiresAt: string | null, clock: Clock): void {
  if (expiresAt === null || Date.parse(expiresAt) > clock.now()) return;
  throw new ServiceError("bad_request", "expiresAt lies in the past.", {
    issues: [{ path: "expiresAt", message: "must lie in the future" }],
  });
}
