import net, { type AddressInfo, type Socket } from "node:net";

/** An upstream that answers with any bytes at all, HTTP or not. */
export type RawUpstream = {
  url: string;
  /** Heads and bodies as they came, one per request. */
  requests: string[];
  readonly connections: number;
  /** What each request is answered with. `end`: the connection is closed after it. */
  answer: (request: string, socket: Socket) => void;
  close(): Promise<void>;
};

/** Requests are told apart by their head and `Content-Length`, which is enough for what the gateway sends here. */
export async function startRawUpstream(): Promise<RawUpstream> {
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let pending = "";
    socket.on("data", (bytes: Buffer) => {
      pending += bytes.toString("latin1");
      for (;;) {
        const headEnd = pending.indexOf("\r\n\r\n");
        if (headEnd < 0) return;
        const length = Number(/\r\ncontent-length: *(\d+)/i.exec(pending.slice(0, headEnd))?.[1] ?? 0);
        if (pending.length < headEnd + 4 + length) return;
        const request = pending.slice(0, headEnd + 4 + length);
        pending = pending.slice(request.length);
        requests.push(request);
        upstream.answer(request, socket);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const upstream: RawUpstream = {
    // Listening on TCP, so the address is an object.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get connections() {
      return sockets.size;
    },
    answer: (_request, socket) => void socket.write("HTTP/1.1 204 No Content\r\n\r\n"),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return upstream;
}
