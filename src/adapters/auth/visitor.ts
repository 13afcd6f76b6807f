import { PEER_HEADER } from "@/adapters/peer-header";

/** @param headers of a request that came through our own server, which has set the peer's address and let none through. */
export function visitorOf(headers: Headers): { ip: string | null; userAgent: string | null } {
  return { ip: headers.get(PEER_HEADER), userAgent: headers.get("user-agent") };
}
