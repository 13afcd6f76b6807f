import type { IncomingMessage } from "node:http";
import { addressBehind } from "@/server/gateway";

/**
 * Tells pages the caller's address, which Next does not know: the custom server sets it on what it hands to Next, over whatever the
 * caller sent. Without the custom server it is absent or the caller's own word, and then only slows the wrong person's guesses.
 */
export const PEER_HEADER = "x-nullspend-peer";

export function setPeerHeader(request: IncomingMessage, trustedProxies: readonly string[]): void {
  delete request.headers[PEER_HEADER];
  const forwarded = request.headers["x-forwarded-for"];
  const forwardedFor = Array.isArray(forwarded) ? forwarded.join(",") : forwarded;
  const address = addressBehind({ peer: request.socket.remoteAddress, forwardedFor }, trustedProxies);
  if (address !== null) request.headers[PEER_HEADER] = address;
}
