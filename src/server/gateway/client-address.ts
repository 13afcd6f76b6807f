import ipaddr from "ipaddr.js";
import type { Exchange } from "./exchange";

/**
 * The caller's address, for the audit log and against abuse: the peer, or, as long as the peer is a proxy we were told to trust, what it says in
 * `X-Forwarded-For`, read from the right. What a caller writes there itself is never reached.
 */
export function clientAddress(exchange: Exchange, trustedProxies: readonly string[]): string | null {
  return addressBehind({ peer: exchange.remoteAddress, forwardedFor: exchange.header("x-forwarded-for") }, trustedProxies);
}

/** The same, of what is known without an exchange. */
export function addressBehind(
  { peer, forwardedFor }: { peer: string | undefined; forwardedFor: string | undefined },
  trustedProxies: readonly string[],
): string | null {
  const forwarded = (forwardedFor ?? "").split(",").map((text) => text.trim());
  let address = normalise(peer);
  while (address !== null && isTrusted(address, trustedProxies)) {
    const next = normalise(forwarded.pop());
    if (next === null) break;
    address = next;
  }
  return address;
}

function normalise(text: string | undefined): string | null {
  return text !== undefined && ipaddr.isValid(text) ? ipaddr.process(text).toString() : null;
}

function isTrusted(address: string, trustedProxies: readonly string[]): boolean {
  const parsed = ipaddr.parse(address);
  return trustedProxies.some((cidr) => {
    const [range, bits] = ipaddr.parseCIDR(cidr);
    return range.kind() === parsed.kind() && parsed.match(range, bits);
  });
}
