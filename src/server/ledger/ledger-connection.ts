import { Socket } from "node:net";
import { Client, DatabaseError, type QueryResultRow } from "pg";

/**
 * What went wrong with a statement, by what to do about it.
 * - `unavailable`: nothing was heard back, or the server cannot work now. The outcome may be unknown. Try again, unchanged.
 * - `busy`: another transaction was in the way; nothing was written. Try again.
 * - `too_slow`: the statement took longer than it may; nothing was written. Try again with less.
 * - `rejected`: the server refuses this data, and will the next time too.
 */
export type LedgerFailure = "unavailable" | "busy" | "too_slow" | "rejected";

export class LedgerError extends Error {
  override readonly name = "LedgerError";
  readonly failure: LedgerFailure;
  /** The statement may have been carried out, or still be: nothing was heard back after it was sent. */
  readonly outcomeUnknown: boolean;

  constructor(
    failure: LedgerFailure,
    message: string,
    { cause, outcomeUnknown = false }: { cause?: unknown; outcomeUnknown?: boolean } = {},
  ) {
    super(message, { cause });
    this.failure = failure;
    this.outcomeUnknown = outcomeUnknown;
  }
}

export type LedgerConnectionOptions = {
  connectionString: string;
  applicationName: string;
  connectTimeoutMs: number;
  statementTimeoutMs: number;
  lockTimeoutMs: number;
};

export type LedgerConnection = {
  /**
   * One statement, one round trip. A text that is sent again and again is parsed by the server once.
   * @param timeoutMs Default: a little longer than the server's own timeout. Past it the connection is given up.
   * @throws LedgerError
   */
  query<Row extends QueryResultRow>(text: string, values: readonly unknown[], timeoutMs?: number): Promise<Row[]>;
  /** Closes at once; a statement under way fails as `unavailable`. */
  close(): void;
};

/** The server's own statement timeout answers first; past this nobody is there. */
const SILENCE_AFTER_TIMEOUT_MS = 1_000;

type Connection = { client: Client; socket: Socket; ready: Promise<void>; isReady: boolean };

/**
 * The one connection on which a process writes money: batches on two connections would queue for the same rows. It opens when it is
 * needed, and again after it broke; the wait between tries is the caller's.
 */
export function createLedgerConnection(options: LedgerConnectionOptions): LedgerConnection {
  let current: Connection | undefined;
  let closed = false;
  const names = new Map<string, string>();

  function discard(dead: Connection): void {
    // A half-dead peer would not hear a goodbye: the socket is cut, so that no statement can be answered later.
    dead.socket.destroy();
    if (current === dead) current = undefined;
  }

  function connect(): Connection {
    const socket = new Socket();
    const client = new Client({
      connectionString: options.connectionString,
      application_name: options.applicationName,
      connectionTimeoutMillis: options.connectTimeoutMs,
      statement_timeout: options.statementTimeoutMs,
      lock_timeout: options.lockTimeoutMs,
      keepAlive: true,
      stream: () => socket,
    });
    const ready = prepare(client).then(() => {
      connection.isReady = true;
    });
    const connection: Connection = { client, socket, ready, isReady: false };
    // Also hears of a connection that breaks while it is idle.
    client.on("error", () => discard(connection));
    client.on("end", () => discard(connection));
    return connection;
  }

  async function prepare(client: Client): Promise<void> {
    await client.connect();
    // What is acknowledged must be durable, also where the database or the role is set otherwise.
    await client.query(
      "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') in ('off', 'local')",
    );
  }

  async function query<Row extends QueryResultRow>(text: string, values: readonly unknown[], timeoutMs?: number): Promise<Row[]> {
    if (closed) throw new LedgerError("unavailable", "the connection was closed");
    const connection = (current ??= connect());
    const silence = setTimeout(() => discard(connection), timeoutMs ?? options.statementTimeoutMs + SILENCE_AFTER_TIMEOUT_MS);
    let sent = false;
    try {
      if (!connection.isReady) {
        await connection.ready;
        // Without a time of its own, a statement on a new connection has its full time after that.
        if (timeoutMs === undefined) silence.refresh();
      }
      sent = true;
      const { rows } = await connection.client.query<Row>({ name: nameOf(text), text, values: [...values] });
      return rows;
    } catch (error) {
      const failure = failureOf(error);
      if (failure === "unavailable") discard(connection);
      const message = error instanceof Error ? error.message : "the statement failed";
      throw new LedgerError(failure, message, { cause: error, outcomeUnknown: sent && failure === "unavailable" });
    } finally {
      clearTimeout(silence);
    }
  }

  /** There are a handful of texts; a name each lets the server keep what it made of them. */
  function nameOf(text: string): string {
    const known = names.get(text);
    if (known !== undefined) return known;
    const name = `ledger_${names.size}`;
    names.set(text, name);
    return name;
  }

  return {
    query,
    close: () => {
      closed = true;
      if (current !== undefined) discard(current);
    },
  };
}

/** By SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html. */
export function failureOf(error: unknown): LedgerFailure {
  if (!(error instanceof DatabaseError) || error.code === undefined) return "unavailable";
  if (error.code === "57014") return "too_slow";
  if (error.code === "55P03" || error.code.startsWith("40")) return "busy";
  switch (error.code.slice(0, 2)) {
    case "21": // cardinality violation
    case "22": // data exception
    case "23": // integrity constraint violation
    case "54": // program limit exceeded, e.g. a value too long for an index
      return "rejected";
    default:
      // Shutting down, out of space or memory, read-only, not migrated yet: all end without the data having to change.
      return error.code === "XX000" ? "rejected" : "unavailable";
  }
}
