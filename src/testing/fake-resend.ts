import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

export type ReceivedMail = { from: string; to: string; subject: string; html: string; text: string };

/** Resend as it looks from outside: one mail per Idempotency-Key, whatever was asked how often. */
export type FakeResend = {
  url: string;
  /** Mails that a person would have in their inbox. */
  delivered: ReceivedMail[];
  /** Every request, in order. */
  requests: { headers: IncomingHttpHeaders; body: ReceivedMail }[];
  /** What the next requests are answered with, instead of being taken; "hang" answers nothing. */
  next: ({ status: number; body: unknown; headers?: Record<string, string> } | "hang" | "reset")[];
  close(): Promise<void>;
};

export async function startFakeResend(): Promise<FakeResend> {
  const taken = new Map<string, string>();
  const fake: Omit<FakeResend, "url" | "close"> = { delivered: [], requests: [], next: [] };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const body = JSON.parse(text) as ReceivedMail;
      fake.requests.push({ headers: request.headers, body });
      const answer = (status: number, value: unknown, headers: Record<string, string> = {}) =>
        response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
      const planned = fake.next.shift();
      if (planned === "hang") return;
      if (planned === "reset") return request.socket.resetAndDestroy();
      if (planned) return answer(planned.status, planned.body, planned.headers);
      if (request.url !== "/emails") return answer(404, { statusCode: 404, name: "not_found", message: "no such path" });
      const key = request.headers["idempotency-key"];
      const before = typeof key === "string" ? taken.get(key) : undefined;
      if (before !== undefined && before !== text) {
        return answer(409, { statusCode: 409, name: "invalid_idempotent_request", message: "The key was used with another body." });
      }
      if (before === undefined) fake.delivered.push(body);
      if (typeof key === "string") taken.set(key, text);
      return answer(200, { id: `re_${body.to}` });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Listening on TCP, so the address is an object.
  const { port } = server.address() as AddressInfo;
  return {
    ...fake,
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
