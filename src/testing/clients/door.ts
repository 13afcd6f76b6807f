import http from "node:http";
import type { AddressInfo } from "node:net";

export type Door = {
  origin: string;
  /** Requests that came, each try of a client counted. */
  readonly requests: number;
  close(): Promise<void>;
};

/** Stands before the product and counts: a client that tries again is seen here even where the product refuses every try. */
export async function openDoor(target: string): Promise<Door> {
  let requests = 0;
  const server = http.createServer((incoming, outgoing) => {
    requests++;
    const { method, url, headers } = incoming;
    const onward = http.request(new URL(url ?? "/", target), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on("error", (error) => outgoing.destroy(error));
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  // Listening on TCP, so the address is an object.
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    get requests() {
      return requests;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
