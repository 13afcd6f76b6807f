import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What the network does. Read for every chunk, so it can be changed while connections are open. */
export type Chaos = {
  /** New connections are reset. */
  refuse: boolean;
  /** Bytes in both directions vanish; connections stay open and nobody is told. */
  blackHole: boolean;
  /** Added to each chunk in both directions. */
  latencyMs: number;
  /** Chunks from the server are handed on this many bytes at a time; 0: as they come. */
  sliceBytes: number;
  /** A connection is reset after this many bytes from the server. `answerBytesMax: 0` loses the answer to what the server has done. */
  answerBytesMax: number;
};

export type ChaosProxy = {
  port: number;
  chaos: Chaos;
  /** Connections that are open now. */
  readonly connections: number;
  /** Connections that were made since the start. */
  readonly accepted: number;
  /** Resets every open connection, as a dying host or firewall does. */
  resetAll(): void;
  close(): Promise<void>;
};

/** A TCP proxy that misbehaves on demand, for tests of what happens between us and a database or provider. */
export async function startChaosProxy(target: { host: string; port: number }): Promise<ChaosProxy> {
  const chaos: Chaos = { refuse: false, blackHole: false, latencyMs: 0, sliceBytes: 0, answerBytesMax: Infinity };
  const clients = new Set<Socket>();
  let accepted = 0;

  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on("error", () => {});
    if (chaos.refuse) return reset(client);
    accepted += 1;
    clients.add(client);
    client.on("close", () => clients.delete(client));
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true });
    upstream.on("error", () => reset(client));
    client.setNoDelay(true);
    client.on("close", () => upstream.destroy());
    void pump({ from: client, to: upstream, answers: false });
    void pump({ from: upstream, to: client, answers: true });
  });

  async function pump({ from, to, answers }: { from: Socket; to: Socket; answers: boolean }): Promise<void> {
    let passed = 0;
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        if (chaos.blackHole) continue;
        if (chaos.latencyMs > 0) await sleep(chaos.latencyMs);
        const step = answers && chaos.sliceBytes > 0 ? chaos.sliceBytes : chunk.length;
        for (let at = 0; at < chunk.length; at += step) {
          const slice = chunk.subarray(at, at + step);
          if (answers && passed + slice.length > chaos.answerBytesMax) {
            to.write(slice.subarray(0, chaos.answerBytesMax - passed), () => reset(to));
            return;
          }
          passed += slice.length;
          await write(to, slice);
        }
      }
      to.end();
    } catch {
      to.destroy();
    }
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    chaos,
    get connections() {
      return clients.size;
    },
    get accepted() {
      return accepted;
    },
    resetAll: () => clients.forEach(reset),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}

/** A socket that is already saying goodbye cannot be reset: Node would leave it open for ever. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function write(to: Socket, bytes: Buffer): Promise<void> {
  if (to.write(bytes)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      to.off("drain", done);
      to.off("close", done);
      resolve();
    };
    to.on("drain", done);
    to.on("close", done);
  });
}
