import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export type FakeSmtp = {
  url: string;
  /** Whole messages as they were sent, with the envelope's recipients. */
  messages: { to: string[]; data: string }[];
  /** Replies to the next commands of a kind, instead of the good one. */
  refuse: { command: "RCPT" | "MAIL" | "DATA" | "GREETING"; reply: string }[];
  close(): Promise<void>;
};

/** A mail server of few words: no TLS, no authentication, every address known. */
export async function startFakeSmtp(): Promise<FakeSmtp> {
  const fake: Pick<FakeSmtp, "messages" | "refuse"> = { messages: [], refuse: [] };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let pending = "";
    let to: string[] = [];
    let data: string | undefined;
    const refusal = (command: string): string | undefined => {
      const at = fake.refuse.findIndex((planned) => planned.command === command);
      return at === -1 ? undefined : fake.refuse.splice(at, 1)[0]!.reply;
    };
    const say = (line: string) => socket.write(`${line}\r\n`);
    say(refusal("GREETING") ?? "220 fake ESMTP");
    socket.on("data", (bytes) => {
      pending += bytes.toString("latin1");
      for (let end = pending.indexOf("\r\n"); end !== -1; end = pending.indexOf("\r\n")) {
        const line = pending.slice(0, end);
        pending = pending.slice(end + 2);
        if (data !== undefined) {
          if (line === ".") {
            fake.messages.push({ to, data });
            data = undefined;
            say("250 taken");
          } else data += `${line}\r\n`;
          continue;
        }
        const command = line.slice(0, 4).toUpperCase();
        if (command === "EHLO" || command === "HELO") say("250 fake");
        else if (command === "MAIL") say(refusal("MAIL") ?? "250 ok");
        else if (command === "RCPT") {
          const refused = refusal("RCPT");
          if (refused === undefined) to = [...to, line];
          say(refused ?? "250 ok");
        } else if (command === "DATA") {
          const refused = refusal("DATA");
          if (refused === undefined) data = "";
          say(refused ?? "354 go on");
        } else if (command === "RSET") {
          to = [];
          say("250 ok");
        } else if (command === "QUIT") {
          say("221 bye");
          socket.end();
        } else say("502 unknown");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Listening on TCP, so the address is an object.
  const { port } = server.address() as AddressInfo;
  return {
    ...fake,
    url: `smtp://127.0.0.1:${port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
