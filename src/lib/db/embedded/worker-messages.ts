/** What the worker thread is started with. */
export type WorkerTask =
  /** Makes a new database in `dataDir` and ends. */
  { mode: "initialise"; dataDir: string } | { mode: "serve"; dataDir: string; listen: ListenAddress; maxConnections: number };

export type ListenAddress =
  | { kind: "unix"; socketPath: string }
  /** On loopback any user of the machine can connect, hence the password. */
  | { kind: "tcp"; password: string };

export type ToWorker = "ping" | "stop";

export type FromWorker =
  /** `port` is null on a unix socket. */
  | { type: "listening"; port: number | null }
  /** PGlite could not open the data. */
  | { type: "unreadable"; reason: string }
  | { type: "pong" };
