import ipaddr from "ipaddr.js";

/** What ipaddr.js takes for ordinary unicast and is not: addresses of relays, of documentation, of a cloud's own services. */
const SPECIAL = [
  "168.63.129.16/32",
  "192.0.0.0/24",
  "192.31.196.0/24",
  "192.52.193.0/24",
  "192.88.99.0/24",
  "192.175.48.0/24",
  "198.18.0.0/15",
].map((range) => ipaddr.IPv4.parseCIDR(range));
/** Inside 2000::/3: Teredo and the rest of the protocol assignments, documentation, 6to4, and the second documentation block. */
const SPECIAL_V6 = ["2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"].map((range) =>
  ipaddr.IPv6.parseCIDR(range),
);
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");

/**
 * Whether an address belongs to the public internet. An IPv4 address inside an IPv6 one counts only in its mapped form, as which
 * sockets of both families report their peers; addresses that some gateway would translate (NAT64, 6to4, Teredo) are refused,
 * because where they lead is the gateway's secret.
 * @param address as a socket or a resolver says it, without brackets.
 */
export function isPublicAddress(address: string): boolean {
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) return isPublicV4(ipaddr.IPv4.parse(address));
  if (!ipaddr.IPv6.isValid(address) || address.includes("%")) return false;
  const parsed = ipaddr.IPv6.parse(address);
  if (parsed.isIPv4MappedAddress()) return isPublicV4(parsed.toIPv4Address());
  return parsed.match(GLOBAL_UNICAST) && !SPECIAL_V6.some((range) => parsed.match(range));
}

function isPublicV4(address: ipaddr.IPv4): boolean {
  return address.range() === "unicast" && !SPECIAL.some((range) => address.match(range));
}
