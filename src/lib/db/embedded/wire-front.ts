import { timingSafeEqual } from "node:crypto";
import { createServer, type ListenOptions, type Server, type Socket } from "node:net";
import type { PGlite } from "@electric-sql/pglite";
import {
  CLIENT,
  closeStatementFrame,
  fatalFrame,
  type Frame,
  FrameReader,
  passwordRequestFrame,
  prefixStatement,
  queryFrame,
  readyStatus,
  syncFrame,
  textAt,
  withoutCopyFromStdin,
} from "./frames";

/** What the front needs of PGlite. */
export type Session = Pick<PGlite, "execProtocolRawStream" | "runExclusive">;

export type WireFrontOptions = {
  maxConnections: number;
  /** A connection that leaves a transaction open and says nothing for so long is closed: everybody else waits for it. */
  idleInTransactionMs: number;
  /** Asked of every connection; null where the socket's folder keeps others out. */
  password: string | null;
  /** The session is in an unknown state and answers nothing any more. */
  onFatal: (error: Error) => void;
};

type Connection = {
  id: number;
  socket: Socket;
  reader: FrameReader;
  /** Set while the password is awaited. */
  startup: Buffer | null;
  /** Messages since the last complete unit. */
  pending: Buffer[];
  /** Prepared statements, under the names they have in the session. */
  statements: Set<string>;
  isGone: boolean;
  idleTimer: NodeJS.Timeout | undefined;
};

type Job = { connection: Connection | null; run: () => Promise<void> };

/** What was sent: the startup message, messages up to Sync or one simple Query, or messages up to a Flush. */
type UnitKind = "startup" | "whole" | "part";

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Names of statements in the one session, `c<connection>_<name>`. */
const statementPrefix = (connection: Connection): string => `c${connection.id}_`;

/**
 * Lets any number of clients of the Postgres protocol share the one session that PGlite is.
 *
 * Two rules keep them apart. What a client sends up to Sync (or one simple Query) is one unit that nobody gets between, so no
 * Bind ever meets another connection's Parse. And a connection whose transaction is open keeps the session until it ends.
 * Shared all the same are SET, temporary tables, advisory locks of the session and statements prepared with SQL's PREPARE.
 */
export class WireFront {
  readonly #session: Session;
  readonly #options: WireFrontOptions;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #waiting: Job[] = [];
  /** The connection whose transaction is open. */
  #owner: Connection | null = null;
  #isRunning = false;
  #nextId = 1;

  constructor(session: Session, options: WireFrontOptions) {
    this.#session = session;
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** @returns the TCP port, or null on a unix socket. */
  listen(where: ListenOptions): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(where, () => {
        const address = this.#server.address();
        resolve(typeof address === "object" && address !== null ? address.port : null);
      });
    });
  }

  /** Runs `task` while no client is inside a unit or a transaction. */
  exclusive<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#enqueue({ connection: null, run: () => task().then(resolve, reject) });
    });
  }

  /** Ends all connections; open transactions are rolled back, the unit under way is finished. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) this.#dismiss(connection, "57P01", "the embedded database is shutting down");
    await Promise.all([closed, this.exclusive(() => Promise.resolve())]);
  }

  #accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (this.#connections.size >= this.#options.maxConnections) {
      socket.end(fatalFrame("53300", "too many connections to the embedded database"), () => socket.destroy());
      return;
    }
    const connection: Connection = {
      id: this.#nextId++,
      socket,
      reader: new FrameReader(),
      startup: null,
      pending: [],
      statements: new Set(),
      isGone: false,
      idleTimer: undefined,
    };
    this.#connections.add(connection);
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => socket.destroy());
    socket.on("close", () => this.#forget(connection));
    socket.on("data", (chunk) => this.#receive(connection, chunk));
  }

  #receive(connection: Connection, chunk: Buffer): void {
    if (connection.isGone) return;
    try {
      for (const frame of connection.reader.push(chunk)) this.#take(connection, frame);
    } catch {
      this.#dismiss(connection, "08P01", "not the Postgres protocol");
    }
  }

  #take(connection: Connection, frame: Frame): void {
    switch (frame.kind) {
      case "encryption-request":
        connection.socket.write("N");
        return;
      case "cancel-request":
        // A statement holds the thread until it is done, so there is nobody to cancel it.
        connection.socket.destroy();
        return;
      case "startup":
        if (this.#options.password === null) return this.#start(connection, frame.bytes);
        connection.startup = frame.bytes;
        connection.socket.write(passwordRequestFrame());
        return;
      case "message":
        if (connection.startup !== null) return this.#checkPassword(connection, connection.startup, frame);
        this.#takeMessage(connection, frame.type, frame.bytes);
    }
  }

  #checkPassword(connection: Connection, startup: Buffer, { type, bytes }: { type: number; bytes: Buffer }): void {
    const given = Buffer.from(type === CLIENT.password ? textAt(bytes, 5) : "");
    const expected = Buffer.from(this.#options.password ?? "");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      this.#dismiss(connection, "28P01", "wrong password for the embedded database");
      return;
    }
    connection.startup = null;
    this.#start(connection, startup);
  }

  #start(connection: Connection, startup: Buffer): void {
    connection.socket.setTimeout(0);
    this.#submit(connection, startup, "startup");
  }

  #takeMessage(connection: Connection, type: number, bytes: Buffer): void {
    if (type === CLIENT.terminate) {
      connection.socket.end();
      this.#forget(connection);
      return;
    }
    // What follows a COPY FROM STDIN that was refused.
    if (type === CLIENT.copyData || type === CLIENT.copyDone || type === CLIENT.copyFail) return;
    const renamed = prefixStatement(type, withoutCopyFromStdin(type, bytes), statementPrefix(connection));
    if (renamed.name !== undefined && type === CLIENT.parse) connection.statements.add(renamed.name);
    if (renamed.name !== undefined && type === CLIENT.close) connection.statements.delete(renamed.name);
    connection.pending.push(renamed.bytes);
    if (type === CLIENT.sync || type === CLIENT.query) this.#submitPending(connection, "whole");
    if (type === CLIENT.flush) this.#submitPending(connection, "part");
  }

  #submitPending(connection: Connection, kind: UnitKind): void {
    const unit = connection.pending.length === 1 ? connection.pending[0]! : Buffer.concat(connection.pending);
    connection.pending = [];
    this.#submit(connection, unit, kind);
  }

  #submit(connection: Connection, unit: Buffer, kind: UnitKind): void {
    clearTimeout(connection.idleTimer);
    this.#enqueue({ connection, run: () => this.#execute(connection, unit, kind) });
  }

  async #execute(connection: Connection, unit: Buffer, kind: UnitKind): Promise<void> {
    if (connection.isGone) return;
    const tail = await this.#exchange(unit, (data) => connection.isGone || connection.socket.write(data));
    this.#owner = keepsSession(kind, tail) ? connection : null;
    if (this.#owner !== null && !connection.isGone) this.#watchIdle(connection);
  }

  /** @returns the last bytes of the answer. */
  async #exchange(unit: Buffer, onData: (data: Buffer) => void): Promise<Buffer> {
    let tail: Buffer = Buffer.alloc(0);
    await this.#session.runExclusive(() =>
      this.#session.execProtocolRawStream(unit, {
        onRawData: (data) => {
          // Copied: PGlite uses its buffer again.
          const bytes = Buffer.from(data);
          tail = bytes.length >= 6 ? bytes : Buffer.concat([tail, bytes]);
          onData(bytes);
        },
      }),
    );
    return tail;
  }

  #watchIdle(connection: Connection): void {
    connection.idleTimer = setTimeout(() => {
      this.#dismiss(connection, "25P03", "the transaction was left open and idle for too long");
    }, this.#options.idleInTransactionMs);
  }

  #enqueue(job: Job): void {
    this.#waiting.push(job);
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let job = this.#takeJob(); job !== undefined; job = this.#takeJob()) await job.run();
      this.#isRunning = false;
    } catch (error) {
      // Stays running: nothing else may be sent to a session in an unknown state.
      this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** First come, first served, but an open transaction goes before all others. */
  #takeJob(): Job | undefined {
    const owner = this.#owner;
    const index = owner === null ? 0 : this.#waiting.findIndex((job) => job.connection === owner);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0];
  }

  #dismiss(connection: Connection, sqlState: string, message: string): void {
    if (connection.isGone) return;
    const { socket } = connection;
    socket.end(fatalFrame(sqlState, message), () => socket.destroy());
    this.#forget(connection);
  }

  /** Takes back what a connection has open. Its units that have not begun are dropped. */
  #forget(connection: Connection): void {
    if (connection.isGone) return;
    connection.isGone = true;
    clearTimeout(connection.idleTimer);
    this.#connections.delete(connection);
    this.#waiting = this.#waiting.filter((job) => job.connection !== connection);
    // First in the queue: whether the connection owns the session is known only when its unit under way has ended.
    this.#waiting.unshift({ connection, run: () => this.#cleanUp(connection) });
    void this.#run();
  }

  async #cleanUp(connection: Connection): Promise<void> {
    const quietly = async (unit: Buffer): Promise<void> => void (await this.#exchange(unit, () => {}));
    if (this.#owner === connection) {
      // Sync first: after an error between Flush and Sync everything up to it is skipped.
      await quietly(syncFrame());
      await quietly(queryFrame("rollback"));
      this.#owner = null;
    }
    if (connection.statements.size === 0) return;
    await quietly(Buffer.concat([...[...connection.statements].map(closeStatementFrame), syncFrame()]));
  }
}

/** Whether the connection goes on using the session after a unit that was answered with `tail` at the end. */
function keepsSession(kind: UnitKind, tail: Buffer): boolean {
  switch (kind) {
    case "startup":
      return false;
    case "part":
      return true;
    case "whole": {
      const status = readyStatus(tail);
      // Seen after endless recursion in a function.
      if (status === undefined) throw new Error("PGlite gave no complete answer: its session is lost");
      return status !== "idle";
    }
  }
}
