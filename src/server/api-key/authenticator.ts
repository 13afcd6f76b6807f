import { Pool, type PoolConfig, type QueryResultRow } from "pg";
import type { Logger } from "@/lib/logger";
import { within } from "@/lib/within";
import type { Role } from "@/generated/prisma/enums";
import type { Clock } from "@/lib/clock";
import type { Authentication, KeyAuthenticator, KeyIdentity } from "./identity";
import { hashRawKey, isRawKey } from "./raw-key";
import { parseStoredRestrictions } from "./restrictions";
import { effectiveScopes } from "./scopes";

export type KeyAuthenticatorOptions = {
  /** Either of the two; a pool that is given is not ended by `stop`. */
  connectionString?: string;
  pool?: Pool;
  clock: Clock;
  log: Pick<Logger, "warn">;
  /** How often the versions of the organisations in memory are read. */
  pollMs?: number;
  /** How long a call waits for the database before it is answered `unavailable`. */
  lookupTimeoutMs?: number;
  /** Identities held at most; about 1 kB each. */
  entriesMax?: number;
};

export type PollingKeyAuthenticator = KeyAuthenticator & {
  start(): void;
  stop(): Promise<void>;
  /** Forgets what is held of an organisation: the process that made a change knows it at once, the others with their next poll. */
  invalidate(orgId: string): void;
  /** Reads the versions once, now; `start` does this by itself. False: the database did not answer. */
  poll(): Promise<boolean>;
};

/** What CONTRACT §2 promises: no answer rests on knowledge older than this. */
const FRESH_MS = 1000;
/** Hashes looked up in one statement. */
const BATCH_MAX = 500;
/** Lookups that may wait; beyond it a call is answered `unavailable` at once rather than queued without end. */
const WAITING_MAX = 20_000;

type Entry = {
  answer: Authentication & { outcome: "known" };
  /** Copied from the identity, so that the fast path reads one object. */
  expiresAtMs: number;
  org: HeldOrg;
  /** Read since the last round of eviction. */
  used: boolean;
};

/** What the process holds of one organisation; all of its entries are true for `version`. */
type HeldOrg = { id: string; version: bigint; confirmedAt: number; hashes: Set<string> };

/** One statement's worth of waiting for one hash; every call that asks for it meanwhile shares it. */
type Lookup = {
  hash: string;
  promise: Promise<Authentication>;
  resolve: (answer: Authentication) => void;
  waitingSince: number;
  /** Both are set when the statement is sent. */
  startedAt: number | undefined;
  epoch: number | undefined;
};

type LoadedRow = QueryResultRow & {
  hash: string;
  key_id: string;
  key_name: string;
  user_id: string;
  role: Role;
  scopes: string[];
  restrictions: unknown;
  expires_at_ms: string | null;
  org_id: string;
  config_version: string;
  add_stream_usage: boolean;
  timezone: string;
  now_ms: string;
};

// One statement, one snapshot: a version and a key that belong together. A missing membership, a deleted organisation, revocation
// and both expiries simply yield no row, so that none of them can be forgotten later.
const LOAD = `
  SELECT s.hash, k.id AS key_id, k.name AS key_name, k.user_id, m.role, k.scopes, k.restrictions,
         floor(extract(epoch FROM least(k.expires_at, s.expires_at)) * 1000)::bigint::text AS expires_at_ms,
         o.id AS org_id, o.config_version::text AS config_version, o.add_stream_usage, o.timezone,
         floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint::text AS now_ms
    FROM api_key_secret s
    JOIN api_key k ON k.id = s.api_key_id
    JOIN organisation o ON o.id = k.org_id
    JOIN membership m ON m.org_id = k.org_id AND m.user_id = k.user_id
   WHERE s.hash = ANY($1::text[])
     AND o.deleted_at IS NULL
     AND k.revoked_at IS NULL
     AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
     AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())`;

const VERSIONS = `
  SELECT id, config_version::text AS config_version, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint::text AS now_ms
    FROM organisation WHERE id = ANY($1::uuid[])`;

const UNKNOWN: Authentication = { outcome: "unknown" };
const UNAVAILABLE: Authentication = { outcome: "unavailable" };

/**
 * Finds who a key is. Identities are held in memory and every answer rests on the database as it was at most a second ago: one
 * statement per `pollMs` reads the version of every organisation held, and what moved is dropped. A process that could not poll
 * for a second asks the database for each key again and answers `unavailable` when it gets no answer: knowledge that may be old
 * never admits a call, and an error never becomes "unknown". That a key does not exist is never remembered.
 */
export function createKeyAuthenticator(options: KeyAuthenticatorOptions): PollingKeyAuthenticator {
  const { clock, log, pollMs = 400, lookupTimeoutMs = 1_500, entriesMax = 50_000 } = options;
  // The poll has a connection of its own: behind a queue of lookups it would be late, and its lateness makes more lookups.
  const lookupPool = options.pool ?? ownPool(options, lookupTimeoutMs);
  const pollPool = options.pool ?? ownPool(options, FRESH_MS);

  const entries = new Map<string, Entry>();
  const orgs = new Map<string, HeldOrg>();
  const lookups = new Map<string, Lookup>();
  let queue: Lookup[] = [];
  let flushing = false;
  /** Goes up with each `invalidate`: what was asked before it is not kept. */
  let epoch = 0;
  /** Database time minus ours, never too small: a key ends early by a round trip rather than late. */
  let databaseAheadMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let running = false;

  function authenticate(rawKey: string): Authentication | Promise<Authentication> {
    if (!isRawKey(rawKey)) return UNKNOWN;
    const hash = hashRawKey(rawKey);
    const entry = entries.get(hash);
    if (entry !== undefined && clock.monotonic() - entry.org.confirmedAt < FRESH_MS) {
      if (entry.expiresAtMs <= clock.now() + databaseAheadMs) return UNKNOWN;
      entry.used = true;
      return entry.answer;
    }
    return lookUp(hash);
  }

  function lookUp(hash: string): Promise<Authentication> {
    const now = clock.monotonic();
    const shared = lookups.get(hash);
    if (shared && isShareable(shared, now)) return shared.promise;
    if (queue.length >= WAITING_MAX) return Promise.resolve(UNAVAILABLE);
    let resolve: Lookup["resolve"] = () => {};
    const promise = new Promise<Authentication>((done) => (resolve = done));
    const lookup: Lookup = { hash, promise, resolve, waitingSince: now, startedAt: undefined, epoch: undefined };
    lookups.set(hash, lookup);
    queue.push(lookup);
    if (!flushing) {
      flushing = true;
      // In the next turn, so that the calls of one turn go together.
      setImmediate(() => void flush());
    }
    return promise;
  }

  /** A statement that began more than a second ago may have read the state before a change that must hold for this call. */
  function isShareable(lookup: Lookup, now: number): boolean {
    return lookup.startedAt === undefined || (lookup.epoch === epoch && now - lookup.startedAt < FRESH_MS);
  }

  /** Answers what waits, one statement at a time: the keys that arrive meanwhile go together in the next. Never rejects. */
  async function flush(): Promise<void> {
    while (queue.length > 0) {
      const startedAt = clock.monotonic();
      const batch = queue.slice(0, BATCH_MAX);
      queue = queue.slice(BATCH_MAX);
      for (const lookup of batch) {
        lookup.startedAt = startedAt;
        lookup.epoch = epoch;
      }
      const inTime = batch.filter((lookup) => startedAt - lookup.waitingSince < lookupTimeoutMs);
      const answers = inTime.length === 0 ? undefined : await load(inTime, startedAt, epoch);
      for (const lookup of batch)
        settle(lookup, answers === undefined || !inTime.includes(lookup) ? UNAVAILABLE : (answers.get(lookup.hash) ?? UNKNOWN));
      // A database that has just not answered is not asked again for those who waited all the while.
      if (answers === undefined) for (const lookup of queue.splice(0)) settle(lookup, UNAVAILABLE);
    }
    flushing = false;
  }

  function settle(lookup: Lookup, answer: Authentication): void {
    if (lookups.get(lookup.hash) === lookup) lookups.delete(lookup.hash);
    lookup.resolve(answer);
  }

  /** Undefined: the database could not be asked in time. */
  async function load(batch: readonly Lookup[], startedAt: number, askedInEpoch: number): Promise<Map<string, Authentication> | undefined> {
    try {
      const askedAtMs = clock.now();
      const { rows } = await within(lookupTimeoutMs, lookupPool.query<LoadedRow>(LOAD, [batch.map((lookup) => lookup.hash)]));
      const answers = new Map<string, Authentication>();
      for (const row of rows) {
        databaseAheadMs = Number(row.now_ms) - askedAtMs;
        const answer = { outcome: "known", identity: identityOf(row) } as const;
        answers.set(row.hash, answer);
        if (askedInEpoch === epoch) hold(row.hash, answer, startedAt);
      }
      return answers;
    } catch (error) {
      log.warn({ err: error, count: batch.length }, "keys could not be looked up");
      return undefined;
    }
  }

  function hold(hash: string, answer: Entry["answer"], startedAt: number): void {
    const { orgId, expiresAtMs, org } = answer.identity;
    let held = orgs.get(orgId);
    // Statements may end out of order; the older state answers its own callers and no later ones.
    if (held && org.configVersion < held.version) return;
    if (held && org.configVersion > held.version) {
      drop(held);
      held = undefined;
    }
    if (!held) {
      held = { id: orgId, version: org.configVersion, confirmedAt: startedAt, hashes: new Set() };
      orgs.set(orgId, held);
    }
    // The same version, read later: all that is held of this organisation was still true then.
    held.confirmedAt = Math.max(held.confirmedAt, startedAt);
    held.hashes.add(hash);
    entries.set(hash, { answer, expiresAtMs: expiresAtMs ?? Infinity, org: held, used: false });
    evict();
  }

  function drop(held: HeldOrg): void {
    for (const hash of held.hashes) entries.delete(hash);
    orgs.delete(held.id);
  }

  /** Second chance: the oldest entry goes unless it was used since it was last looked at. Ends, because a chance is given once. */
  function evict(): void {
    for (const [hash, entry] of entries) {
      if (entries.size <= entriesMax) return;
      entries.delete(hash);
      if (entry.used) {
        entry.used = false;
        entries.set(hash, entry);
        continue;
      }
      entry.org.hashes.delete(hash);
      if (entry.org.hashes.size === 0) orgs.delete(entry.org.id);
    }
  }

  async function poll(): Promise<boolean> {
    const startedAt = clock.monotonic();
    const asked = [...orgs.values()];
    if (asked.length === 0) return true;
    try {
      const askedAtMs = clock.now();
      const ids = asked.map((held) => held.id);
      const { rows } = await within(FRESH_MS, pollPool.query<{ id: string; config_version: string; now_ms: string }>(VERSIONS, [ids]));
      if (rows[0]) databaseAheadMs = Number(rows[0].now_ms) - askedAtMs;
      const versions = new Map(rows.map((row) => [row.id, BigInt(row.config_version)]));
      for (const held of asked) {
        // Dropped, or read anew, while the statement ran.
        if (orgs.get(held.id) !== held) continue;
        if (versions.get(held.id) === held.version) held.confirmedAt = Math.max(held.confirmedAt, startedAt);
        else drop(held);
      }
      return true;
    } catch (error) {
      log.warn({ err: error }, "organisation versions could not be polled");
      return false;
    }
  }

  async function pollAndSchedule(): Promise<void> {
    const startedAt = clock.monotonic();
    await poll();
    if (!running) return;
    timer = setTimeout(() => void pollAndSchedule(), Math.max(0, pollMs - (clock.monotonic() - startedAt)));
    timer.unref();
  }

  return {
    authenticate,
    poll,
    start() {
      if (running) return;
      running = true;
      void pollAndSchedule();
    },
    async stop() {
      running = false;
      clearTimeout(timer);
      if (!options.pool) await Promise.all([lookupPool.end(), pollPool.end()]);
    },
    invalidate(orgId) {
      epoch += 1;
      const held = orgs.get(orgId);
      if (held) drop(held);
    },
  };
}

function ownPool({ connectionString, log }: KeyAuthenticatorOptions, timeoutMs: number): Pool {
  const config: PoolConfig = { connectionString, max: 1, connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs, keepAlive: true };
  const pool = new Pool(config);
  pool.on("error", (error) => log.warn({ err: error }, "idle key database connection lost"));
  return pool;
}

function identityOf(row: LoadedRow): KeyIdentity {
  return {
    orgId: row.org_id,
    keyId: row.key_id,
    keyName: row.key_name,
    userId: row.user_id,
    role: row.role,
    scopes: effectiveScopes(row.scopes, row.role),
    restrictions: parseStoredRestrictions(row.restrictions),
    expiresAtMs: row.expires_at_ms === null ? null : Number(row.expires_at_ms),
    org: { configVersion: BigInt(row.config_version), addStreamUsage: row.add_stream_usage, timezone: row.timezone },
  };
}
