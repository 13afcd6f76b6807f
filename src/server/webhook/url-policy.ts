import { isIP } from "node:net";
import { isPublicAddress } from "./public-address";

export type UrlPolicy = {
  /** For tests on one machine: any address, any port, http. */
  allowPrivate: boolean;
  /** Elsewhere http is allowed, for a developer's receiver that is on the internet. */
  isProduction: boolean;
  /** Our own origin: a webhook that calls us would cause webhooks. */
  ownOrigin: string;
};

const URL_LENGTH_MAX = 2_000;
/** Ports on which something other than HTTP listens, to which a request is a command. */
const FORBIDDEN_PORTS = new Set([
  1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117,
  119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601,
  636, 873, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432,
  5672, 5900, 5984, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6697, 9042, 9200, 9300, 10080, 10250, 11211, 27017,
]);
/** Names that mean this machine or this network wherever they are resolved (RFC 6761, RFC 8375, and what clouds use). */
const LOCAL_NAMES = [
  "localhost",
  "local",
  "internal",
  "intranet",
  "lan",
  "home",
  "corp",
  "home.arpa",
  "localdomain",
  "onion",
  "test",
  "invalid",
];

/** What is wrong with an address as a webhook endpoint, in words; undefined: nothing. Where a name leads is checked at each connection. */
export function webhookUrlProblem(text: string, { allowPrivate, isProduction, ownOrigin }: UrlPolicy): string | undefined {
  if (text.length > URL_LENGTH_MAX) return `must have at most ${URL_LENGTH_MAX} characters`;
  if (/[\s\\]|\p{Cc}/u.test(text) || !URL.canParse(text)) return "must be a full address like https://example.com/hooks";
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return "must begin with https://";
  if (url.username !== "" || url.password !== "" || text.slice(0, text.indexOf("/", 8) >>> 0).includes("@")) {
    return "must not contain a user name or password";
  }
  if (url.hash !== "") return "must not contain a fragment";
  if (allowPrivate) return undefined;
  if (url.protocol === "http:" && isProduction) return "must begin with https://";
  const port = url.port === "" ? undefined : Number(url.port);
  if (port === 0 || (port !== undefined && FORBIDDEN_PORTS.has(port))) return `must not use port ${port}`;
  const host = hostOf(url);
  if (host === hostOf(new URL(ownOrigin))) return "must not be this NullSpend itself";
  if (isIP(host) !== 0) return isPublicAddress(host) ? undefined : "must be on the public internet";
  if (!host.includes(".") || LOCAL_NAMES.some((name) => host === name || host.endsWith(`.${name}`)))
    return "must be on the public internet";
  return undefined;
}

/** Without brackets and without the dot that ends a full name. */
export const hostOf = (url: URL): string =>
  url.hostname
    .replace(/^\[|\]$/g, "")
    .replace(/\.+$/, "")
    .toLowerCase();
