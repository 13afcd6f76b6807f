import { parsePublicId } from "@/lib/ids";
import type { KeyRestrictions } from "@/server/api-key";
import { attribute, parseCustomer, parseSession, parseTags, parseTagsJson } from "@/server/events";
import type { Exchange } from "./exchange";

/** Whom a call belongs to, as its headers and its key say (CONTRACT §3). */
export type CallAttribution = {
  tags: Readonly<Record<string, string>>;
  hasTags: boolean;
  customerId: string | null;
  sessionId: string | null;
  /** The session header as it came, to be echoed; null when the session came from elsewhere. */
  sessionEcho: string | null;
  actionId: string | null;
  /** For `X-NullSpend-Warning`. */
  warnings: readonly string[];
};

export type AttributionResult =
  | { ok: true; attribution: CallAttribution }
  | { ok: false; message: string; issues: { path: string; message: string }[] };

const HELICONE_PROPERTY = "helicone-property-";
/** They go back in one header, which clients take up to 16 kB or so of. */
const WARNINGS_MAX = 20;
/** Restrictions that cannot be read deny the call later on; until then it is attributed by what it says itself. */
const NO_RESTRICTIONS = {};

export function attributionOf(input: { exchange: Exchange; restrictions: KeyRestrictions | null }): AttributionResult {
  const { exchange, restrictions } = input;
  const warnings: string[] = [];

  const session = parseSession(utf8(exchange.header("x-nullspend-session")));
  if (!session.valid) {
    const issue = { path: "X-NullSpend-Session", message: "at most 256 characters" };
    return { ok: false, message: "X-NullSpend-Session is longer than 256 characters.", issues: [issue] };
  }

  const tagsText = utf8(exchange.header("x-nullspend-tags"));
  const own = tagsText === undefined ? { tags: {}, dropped: [] } : parseTagsJson(tagsText);
  warnings.push(...own.dropped.map((name) => `dropped_tag: ${printable(name)}`));
  const tags = { ...heliconeTags(exchange.rawHeaders, Object.keys(own.tags).length), ...own.tags };

  const namedCustomer = exchange.header("x-nullspend-customer")?.trim();
  const customer = parseCustomer(namedCustomer) ?? parseCustomer(exchange.header("helicone-user-id"));
  if (namedCustomer !== undefined && parseCustomer(namedCustomer) === undefined) warnings.push("invalid_customer");

  const attributed = attribute({ tags, customerId: customer, restrictions: restrictions ?? NO_RESTRICTIONS });
  warnings.push(...attributed.dropped.map((name) => `dropped_tag: ${printable(name)}`));

  return {
    ok: true,
    attribution: {
      tags: attributed.tags,
      hasTags: Object.keys(attributed.tags).length > 0,
      customerId: attributed.customerId,
      sessionId: session.sessionId ?? sessionOfOthers(exchange),
      sessionEcho: session.sessionId === null ? null : (exchange.header("x-nullspend-session")?.trim() ?? null),
      actionId: parsePublicId("action", exchange.header("x-nullspend-action-id") ?? "") ?? null,
      warnings: warnings.length > WARNINGS_MAX ? [...warnings.slice(0, WARNINGS_MAX), `${warnings.length - WARNINGS_MAX} more`] : warnings,
    },
  };
}

/** Sessions that other tools name: Claude Code on every request, and clients that were set up for Helicone. */
function sessionOfOthers(exchange: Exchange): string | null {
  for (const name of ["x-claude-code-session-id", "helicone-session-id"]) {
    const session = parseSession(utf8(exchange.header(name)));
    if (session.valid && session.sessionId !== null) return session.sessionId;
  }
  return null;
}

/**
 * `Helicone-Property-Team: x` is the tag `team`: clients send header names in any case, and one property must not become two tags.
 * What breaks the rules of tags, or finds no room beside our own, is dropped.
 */
function heliconeTags(rawHeaders: readonly string[], taken: number): Record<string, string> {
  let properties: Record<string, string> | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length > HELICONE_PROPERTY.length && name.toLowerCase().startsWith(HELICONE_PROPERTY)) {
      properties ??= Object.create(null) as Record<string, string>;
      properties[name.slice(HELICONE_PROPERTY.length).toLowerCase()] = utf8(rawHeaders[i + 1])!;
    }
  }
  if (!properties) return {};
  return Object.fromEntries(Object.entries(parseTags({ ...properties }).tags).slice(0, Math.max(0, 10 - taken)));
}

/**
 * Node reads header bytes as Latin-1. Clients that put other characters into a header send UTF-8; bytes that are not UTF-8 are
 * taken as the Latin-1 they then must be.
 */
function utf8(value: string | undefined): string | undefined {
  if (value === undefined || isAscii(value)) return value;
  const decoded = Buffer.from(value, "latin1").toString("utf8");
  return decoded.includes("\ufffd") ? value : decoded;
}

// oxlint-disable-next-line no-control-regex -- the whole of ASCII is meant.
const isAscii = (value: string): boolean => /^[\x00-\x7f]*$/.test(value);

/** A dropped tag's name goes back in a header, which carries visible ASCII only. */
const printable = (name: string): string => name.replace(/[^\x21-\x7e]|,/g, "?");
