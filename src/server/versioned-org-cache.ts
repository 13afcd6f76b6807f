import { within } from "@/lib/within";

/** Something of the organisations, held in memory by the version of their configuration. */
export type VersionedOrgCache<Held> = {
  /**
   * Makes sure that {@link find} knows an organisation as of a version of its configuration. Undefined when it does already, which is
   * nearly always: `await` then costs nothing but a check.
   *
   * @returns a promise that rejects when the database could not tell in time, or told something older. That is never "there is none".
   */
  ensureLoaded: (orgId: string, configVersion: bigint) => Promise<void> | undefined;
  /** What is held, which may be of a newer version than was asked for. Undefined: nothing is. */
  find: (orgId: string) => Held | undefined;
};

export type VersionedOrgCacheOptions<Held> = {
  /** For errors: "budgets". */
  what: string;
  /** Reads the version before what goes with it, or both in one statement: what is read may be newer than it says, never older. */
  read: (orgId: string) => Promise<Held>;
  timeoutMs: number;
  /** The longest held leave first; they are read again when needed. */
  orgsMax: number;
};

export function createVersionedOrgCache<Held extends { configVersion: bigint }>(
  options: VersionedOrgCacheOptions<Held>,
): VersionedOrgCache<Held> {
  const { what, read, timeoutMs, orgsMax } = options;
  const heldByOrg = new Map<string, Held>();
  const loadingByOrg = new Map<string, { configVersion: bigint; done: Promise<void> }>();

  async function load(orgId: string, configVersion: bigint): Promise<void> {
    const held = await within(timeoutMs, read(orgId));
    // A replica that lags, or a restored database: what it holds may lack the very thing that this version announced.
    if (held.configVersion < configVersion) throw new Error(`${what} of ${orgId} are older than version ${configVersion}`);
    const known = heldByOrg.get(orgId);
    if (known && known.configVersion >= held.configVersion) return;
    heldByOrg.delete(orgId);
    heldByOrg.set(orgId, held);
    const [longestHeld] = heldByOrg.keys();
    if (heldByOrg.size > orgsMax && longestHeld !== undefined) heldByOrg.delete(longestHeld);
  }

  return {
    ensureLoaded(orgId, configVersion) {
      const held = heldByOrg.get(orgId);
      if (held && held.configVersion >= configVersion) return undefined;
      const loading = loadingByOrg.get(orgId);
      if (loading && loading.configVersion >= configVersion) return loading.done;
      const done = load(orgId, configVersion).finally(() => {
        if (loadingByOrg.get(orgId)?.done === done) loadingByOrg.delete(orgId);
      });
      loadingByOrg.set(orgId, { configVersion, done });
      return done;
    },
    find: (orgId) => heldByOrg.get(orgId),
  };
}
