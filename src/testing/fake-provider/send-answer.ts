import { setImmediate as nextTick, setTimeout as sleep } from "node:timers/promises";
import zlib from "node:zlib";
import type { Answer, AnswerEvent } from "./answer";
import type { Gates } from "./gates";
import type { Quantities, Scenario } from "./scenario";
import type { WireRequest, WireSocket } from "./wire-server";

/** What was really sent, kept up to date while sending. */
export type Sent = {
  status: number;
  /** Everything in the head, framing included; name and value in turn. */
  rawHeaders: string[];
  /** The body as the caller must receive it: encoded, without transfer encoding. */
  body: Buffer[];
  bodyBytes: number;
  /** Events whose last byte was handed to the kernel. */
  eventsSent: number;
  /** Every byte on the socket, head and framing included. */
  wireBytes: number;
};

export type Outcome = "complete" | "aborted" | "faulted";
export type SendResult = { outcome: Outcome; billed: Quantities; next: "keep-alive" | "close" };

type Input = { request: WireRequest; answer: Answer; scenario: Scenario; socket: WireSocket; gates: Gates; sent: Sent };

/** Sends an answer as its scenario says: late, in pieces, squeezed, broken. */
export async function sendAnswer(input: Input): Promise<SendResult> {
  const { request, answer, scenario, socket, gates, sent } = input;
  const gone = new Promise<void>((resolve) => socket.onGone(resolve));
  const events = dressedEvents(answer, scenario);
  const result = (outcome: Outcome, next: SendResult["next"] = "close"): SendResult => ({
    outcome,
    billed: billOf({ answer, events, scenario, sent, outcome }),
    next,
  });
  const holdAt = async (place: "headers" | "end" | number): Promise<void> => {
    for (const hold of scenario.holds ?? []) if (hold.at === place) await gates.pass(hold.gate, gone);
  };
  const fault = async (): Promise<SendResult> => {
    if (scenario.fault!.kind === "reset") socket.reset();
    else if (scenario.fault!.kind === "fin") socket.fin();
    else await gone;
    return result("faulted");
  };
  const put = async (bytes: Uint8Array): Promise<void> => {
    await socket.write(bytes);
    sent.wireBytes += bytes.length;
  };

  await holdAt("headers");
  if (scenario.headersDelayMs) await Promise.race([sleep(scenario.headersDelayMs), gone]);
  if (socket.gone) return result("aborted");
  if (scenario.fault?.at === "headers") return fault();

  const bodyless = request.method === "HEAD" || answer.status === 204 || answer.status === 304;
  const pieces = bodyless ? [] : await encoded(events, scenario.encoding);
  const framing = bodyless ? "none" : (scenario.framing ?? (answer.streams ? "chunked" : "content-length"));
  const closes = framing === "close" || request.header("connection")?.toLowerCase() === "close" || request.httpVersion === "1.0";
  sent.status = answer.status;
  sent.rawHeaders = headOf({ answer, scenario, framing, closes, length: pieces.reduce((total, piece) => total + piece.length, 0) });
  if (scenario.interim) await put(Buffer.from(scenario.interim, "latin1"));
  await put(Buffer.from(headText(answer, scenario, sent.rawHeaders), "latin1"));

  for (const packet of cutPackets(pieces, scenario.cut)) {
    if (packet.startsEvent !== undefined) {
      if (packet.startsEvent > 0 && scenario.gapMs) await Promise.race([sleep(scenario.gapMs), gone]);
      for (let event = packet.startsEvent; event < Math.max(packet.eventsDone, packet.startsEvent + 1); event++) await holdAt(event);
    }
    if (socket.gone) return result("aborted");
    if (isFaultAt(scenario, { events: packet.startsEvent })) return fault();
    const cutShort = bytesUntilFault(scenario, sent.bodyBytes, packet.bytes.length);
    const bytes = cutShort === undefined ? packet.bytes : packet.bytes.subarray(0, cutShort);
    if (bytes.length > 0) {
      await put(framing === "chunked" ? chunk(bytes) : bytes);
      sent.body.push(bytes);
      sent.bodyBytes += bytes.length;
    }
    if (cutShort !== undefined) return fault();
    if (socket.gone) return result("aborted");
    sent.eventsSent = packet.eventsDone;
    // Lets the packet leave before the next one is written, so that the receiver sees the cuts.
    if (scenario.cut !== undefined) await nextTick();
  }
  await holdAt("end");
  if (socket.gone) return result("aborted");
  if (isFaultAt(scenario, { events: events.length })) return fault();
  if (framing === "chunked") await put(Buffer.from("0\r\n\r\n"));
  if (scenario.surplus) await put(Buffer.from(scenario.surplus, "latin1"));
  return result("complete", closes ? "close" : "keep-alive");
}

/** Events with the scenario's comments, line ends and in-band error. */
function dressedEvents(answer: Answer, scenario: Scenario): AnswerEvent[] {
  let events = answer.events;
  const { inBandError } = scenario;
  if (inBandError && answer.streams) {
    const before = events.slice(0, inBandError.afterEvents);
    const { type, message } = inBandError;
    // Anthropic names its events; OpenAI's chat stream has bare data lines.
    const named = events[0]?.bytes.toString("latin1", 0, 6) === "event:";
    const text = named
      ? `event: error\ndata: ${JSON.stringify({ type: "error", error: { type, message } })}\n\n`
      : `data: ${JSON.stringify({ error: { message, type, param: null, code: null } })}\n\n`;
    events = [...before, { bytes: Buffer.from(text), produced: before.at(-1)?.produced ?? { output: 0, reasoning: 0 } }];
  }
  if (!answer.streams || (!scenario.comments && scenario.newline === undefined)) return events;
  return events.map((event, index) => {
    const text = (scenario.comments && index < 3 ? `: keep-alive ${index}\n\n` : "") + event.bytes.toString("utf8");
    return { ...event, bytes: Buffer.from(scenario.newline === undefined ? text : text.replaceAll("\n", scenario.newline)) };
  });
}

/** What the provider bills, given how far it got. */
function billOf(input: { answer: Answer; events: AnswerEvent[]; scenario: Scenario; sent: Sent; outcome: Outcome }): Quantities {
  const { answer, events, scenario, sent, outcome } = input;
  const cutByItself = scenario.inBandError !== undefined;
  // A model that does not stream has run to its end before the first byte.
  if (!answer.streams || scenario.keepsGenerating || (outcome === "complete" && !cutByItself)) return answer.bill;
  const goneOn = outcome === "aborted" ? Math.floor((scenario.goesOnMs ?? 0) / Math.max(1, scenario.gapMs ?? 0)) : 0;
  const produced = events[Math.min(sent.eventsSent + goneOn, events.length) - 1]?.produced ?? { output: 0, reasoning: 0 };
  return {
    ...answer.bill,
    output: Math.min(answer.bill.output, produced.output + (scenario.runsAheadTokens ?? 0)),
    reasoning: Math.min(answer.bill.reasoning, produced.reasoning),
  };
}

type Framing = "content-length" | "chunked" | "close" | "none";

function headOf(input: { answer: Answer; scenario: Scenario; framing: Framing; closes: boolean; length: number }): string[] {
  const { answer, scenario, framing, closes, length } = input;
  const replaced = new Set<string>();
  for (let i = 0; i < (scenario.headers?.length ?? 0); i += 2) replaced.add(scenario.headers![i]!.toLowerCase());
  if (scenario.contentType !== undefined) replaced.add("content-type");
  const headers: string[] = [];
  for (let i = 0; i < answer.headers.length; i += 2) {
    const name = answer.headers[i]!;
    if (scenario.bareHeaders ? name.toLowerCase() === "content-type" && !replaced.has("content-type") : !replaced.has(name.toLowerCase())) {
      headers.push(name, answer.headers[i + 1]!);
    }
  }
  if (scenario.contentType !== undefined) headers.push("Content-Type", scenario.contentType);
  headers.push(...(scenario.headers ?? []));
  if (scenario.encoding) headers.push("Content-Encoding", scenario.encoding);
  if (framing === "chunked") headers.push("Transfer-Encoding", "chunked");
  if (framing === "content-length") headers.push("Content-Length", String(length));
  headers.push("Connection", closes ? "close" : "keep-alive");
  return headers;
}

function headText(answer: Answer, scenario: Scenario, rawHeaders: string[]): string {
  const message = scenario.statusMessage ?? (answer.statusMessage || (answer.status === 200 ? "OK" : "Status"));
  let text = `HTTP/1.1 ${answer.status} ${message}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  return `${text}\r\n`;
}

const chunk = (bytes: Uint8Array): Buffer => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);

/** `startsEvent` is set on the first packet of an event; `eventsDone` counts the events that end with or before this packet. */
type Packet = { bytes: Buffer; startsEvent: number | undefined; eventsDone: number };

function* cutPackets(pieces: Buffer[], cut: Scenario["cut"]): Generator<Packet> {
  if (cut !== undefined && !Array.isArray(cut) && cut !== "byte") {
    for (let i = 0; i < pieces.length; i += cut.coalesce) {
      const group = pieces.slice(i, i + cut.coalesce);
      yield { bytes: Buffer.concat(group), startsEvent: i, eventsDone: i + group.length };
    }
    return;
  }
  const offsets = Array.isArray(cut) ? new Set(cut) : undefined;
  let offset = 0;
  for (const [event, piece] of pieces.entries()) {
    let start = 0;
    for (let at = 1; at <= piece.length; at++) {
      const isEnd = at === piece.length;
      if (!isEnd && cut !== "byte" && !offsets?.has(offset + at)) continue;
      yield {
        bytes: piece.subarray(start, at),
        startsEvent: start === 0 ? event : undefined,
        eventsDone: isEnd ? event + 1 : event,
      };
      start = at;
    }
    offset += piece.length;
  }
}

const isFaultAt = (scenario: Scenario, place: { events: number | undefined }): boolean =>
  typeof scenario.fault?.at === "object" && "events" in scenario.fault.at && scenario.fault.at.events === place.events;

/** How much of a packet may still be sent before a fault at a byte offset; undefined when the fault is not within it. */
function bytesUntilFault(scenario: Scenario, bodyBytesSent: number, packetBytes: number): number | undefined {
  if (typeof scenario.fault?.at !== "object" || !("bytes" in scenario.fault.at)) return undefined;
  const left = scenario.fault.at.bytes - bodyBytesSent;
  return left < packetBytes ? Math.max(0, left) : undefined;
}

/** The events' bytes after content encoding, each flushed, so that a compressed stream still arrives event by event. */
async function encoded(events: AnswerEvent[], encoding: Scenario["encoding"]): Promise<Buffer[]> {
  if (encoding === undefined) return events.map((event) => event.bytes);
  const encoder = createEncoder(encoding);
  const out: Buffer[] = [];
  encoder.on("data", (bytes: Buffer) => out.push(bytes));
  const pieces: Buffer[] = [];
  const taken = (): Buffer => Buffer.concat(out.splice(0));
  for (const event of events) {
    encoder.write(event.bytes);
    await new Promise<void>((resolve) => {
      encoder.flush(resolve);
    });
    pieces.push(taken());
  }
  await new Promise<void>((resolve) => {
    encoder.once("end", resolve);
    encoder.end();
  });
  const tail = taken();
  const last = pieces.pop();
  pieces.push(last ? Buffer.concat([last, tail]) : tail);
  return pieces;
}

/** Zstandard came with Node 22.15: absent from the types of Node 20, and at run time there. */
type ZstdSupport = { createZstdCompress?: () => zlib.Gzip };
export const zstdSupported = "createZstdCompress" in zlib;

function createEncoder(encoding: NonNullable<Scenario["encoding"]>): zlib.Gzip | zlib.BrotliCompress | zlib.Deflate {
  switch (encoding) {
    case "gzip":
      return zlib.createGzip();
    case "br":
      // Node's default quality is meant for files that are compressed once: half a second for 300 kB.
      return zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } });
    case "deflate":
      return zlib.createDeflate();
    case "zstd": {
      const { createZstdCompress } = zlib as ZstdSupport;
      if (!createZstdCompress) throw new Error(`this Node (${process.version}) has no zstd`);
      return createZstdCompress();
    }
  }
}
