/** What a gateway costs streams and large bodies. The requests are made here, in the process of the bench, which does nothing else. */
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "./figures";

export type StreamTarget = {
  name: string;
  port: number;
  path: string;
  headers: Record<string, string>;
  /** Memory of the process that is measured; undefined where the system does not say. */
  residentBytes(): number | undefined;
  /** Called for every answer, because each has an event. */
  onAnswered(): void;
};

/** Milliseconds from the first byte sent to the last received, the median of several. */
type BodyTimes = { sentMs: number; receivedMs: number };

export type StreamFigures = {
  target: string;
  firstByteP50Ms: number;
  firstByteP99Ms: number;
  eventsPerSecond: number;
  open: { streams: number; errors: number; kilobytesEach: number | undefined };
  /** By size in megabytes. */
  bodies: ReadonlyMap<number, BodyTimes>;
};

const OPEN_STREAMS = 1_000;
/** An open stream sends one event and the next only after this. */
const OPEN_FOR_MS = 12_000;
/** Connections that are being opened at the same time. */
const OPENING_MAX = 50;
const FIRST_BYTE_STREAMS = 400;
const PARALLEL_STREAMS = 32;
const EVENTS_PER_STREAM = 400;
const ROUNDS = 6;
const BODY_MEGABYTES = [1, 20];
const BODY_ROUNDS: Readonly<Record<number, number>> = { 1: 15, 20: 5 };

const bodyOf = (content: string, stream: boolean): Buffer =>
  Buffer.from(
    JSON.stringify({
      model: "gpt-4o-mini",
      messages: [{ role: "user", content }],
      max_tokens: 16,
      ...(stream && { stream: true, stream_options: { include_usage: true } }),
    }),
  );
const SHORT_STREAM = bodyOf("Say hello.", true);
const SHORT = bodyOf("Say hello.", false);

type Answer = { status: number; firstByteMs: number; totalMs: number; bytes: number; events: number };

/** @param onFirstByte called once, when the first piece of the body is there. */
function ask(input: { target: StreamTarget; agent: http.Agent; order: string; body: Buffer; onFirstByte?: () => void }): Promise<Answer> {
  const { target, agent, order, body, onFirstByte } = input;
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const request = http.request({
      host: "127.0.0.1",
      port: target.port,
      path: target.path,
      method: "POST",
      agent,
      headers: { "content-type": "application/json", "content-length": body.length, "x-bench": order, ...target.headers },
    });
    request.on("error", reject);
    request.on("response", (response) => {
      let firstByteMs = 0;
      let bytes = 0;
      let events = 0;
      response.on("data", (chunk: Buffer) => {
        if (bytes === 0) {
          firstByteMs = performance.now() - startedAt;
          onFirstByte?.();
        }
        bytes += chunk.length;
        for (let at = chunk.indexOf(EVENT_START); at !== -1; at = chunk.indexOf(EVENT_START, at + 1)) events += 1;
      });
      response.on("error", reject);
      response.on("end", () => {
        target.onAnswered();
        resolve({ status: response.statusCode ?? 0, firstByteMs, totalMs: performance.now() - startedAt, bytes, events });
      });
    });
    request.end(body);
  });
}
const EVENT_START = "data: ";

const newAgent = (): http.Agent => new http.Agent({ keepAlive: true, maxSockets: Infinity });

function assertAnswered({ status }: Answer, target: StreamTarget): void {
  if (status !== 200) throw new Error(`${target.name} answered with ${status}`);
}

/** Streams one after another, the targets taking turns. */
async function measureFirstBytes(targets: readonly StreamTarget[]): Promise<Map<StreamTarget, { p50Ms: number; p99Ms: number }>> {
  const agents = new Map(targets.map((target) => [target, newAgent()]));
  const times = new Map<StreamTarget, number[]>(targets.map((target) => [target, []]));
  for (let i = -50; i < FIRST_BYTE_STREAMS; i++) {
    for (const target of targets) {
      const answer = await ask({ target, agent: agents.get(target)!, order: "stream=5,0", body: SHORT_STREAM });
      assertAnswered(answer, target);
      if (i >= 0) times.get(target)!.push(answer.firstByteMs);
    }
  }
  for (const agent of agents.values()) agent.destroy();
  return new Map(
    targets.map((target) => {
      const sorted = Float64Array.from(times.get(target)!).sort();
      return [target, { p50Ms: percentile(sorted, 0.5), p99Ms: percentile(sorted, 0.99) }];
    }),
  );
}

/** Events a second over parallel streams that are sent as fast as they are taken. */
async function measureEvents(targets: readonly StreamTarget[]): Promise<Map<StreamTarget, number>> {
  const speeds = new Map<StreamTarget, number[]>(targets.map((target) => [target, []]));
  for (let round = -1; round < ROUNDS; round++) {
    for (const target of targets) {
      const agent = newAgent();
      const startedAt = performance.now();
      const answers = await Promise.all(
        Array.from({ length: PARALLEL_STREAMS }, () => ask({ target, agent, order: `stream=${EVENTS_PER_STREAM},0`, body: SHORT_STREAM })),
      );
      const seconds = (performance.now() - startedAt) / 1000;
      agent.destroy();
      for (const answer of answers) assertAnswered(answer, target);
      if (round >= 0) speeds.get(target)!.push(answers.reduce((sum, { events }) => sum + events, 0) / seconds);
    }
  }
  return new Map(targets.map((target) => [target, median(speeds.get(target)!)]));
}

/**
 * A thousand streams open at once, each waiting for its second event, and what the target's memory has grown by then. Memory that
 * the target already had free is not in the difference; a hundred streams go before, so that code and pools are not, either.
 */
async function measureOpenStreams(target: StreamTarget): Promise<StreamFigures["open"]> {
  await openStreams(target, 100, 500);
  await sleep(1_500);
  const before = target.residentBytes();
  let during: number | undefined;
  const errors = await openStreams(target, OPEN_STREAMS, OPEN_FOR_MS, async () => {
    await sleep(500);
    during = target.residentBytes();
  });
  const kilobytesEach = before === undefined || during === undefined ? undefined : (during - before) / OPEN_STREAMS / 1000;
  return { streams: OPEN_STREAMS, errors, kilobytesEach };
}

async function openStreams(target: StreamTarget, count: number, gapMs: number, onAllOpen?: () => Promise<void>): Promise<number> {
  const agent = newAgent();
  const ends: Promise<boolean>[] = [];
  let errors = 0;
  for (let opened = 0; opened < count; opened += OPENING_MAX) {
    const firsts = Array.from(
      { length: Math.min(OPENING_MAX, count - opened) },
      () =>
        new Promise<void>((resolve) => {
          const end = ask({ target, agent, order: `stream=2,${gapMs}`, body: SHORT_STREAM, onFirstByte: resolve })
            // Two events, the one that ends the answer, the usage, and the marker.
            .then(({ status, events }) => status === 200 && events === 5)
            .catch(() => false)
            .finally(resolve);
          ends.push(end);
        }),
    );
    await Promise.all(firsts);
  }
  await onAllOpen?.();
  for (const isWhole of await Promise.all(ends)) if (!isWhole) errors += 1;
  agent.destroy();
  return errors;
}

/** Long questions with a short answer, and short questions with a long one. */
async function measureBodies(targets: readonly StreamTarget[]): Promise<Map<StreamTarget, Map<number, BodyTimes>>> {
  const times = new Map(targets.map((target) => [target, new Map<number, BodyTimes>()]));
  for (const megabytes of BODY_MEGABYTES) {
    const length = megabytes * 1_000_000;
    const long = bodyOf("word ".repeat(length / 5), false);
    const taken = new Map(targets.map((target) => [target, { sent: [] as number[], received: [] as number[], agent: newAgent() }]));
    for (let round = -1; round < BODY_ROUNDS[megabytes]!; round++) {
      for (const target of targets) {
        const { sent, received, agent } = taken.get(target)!;
        const toSend = await ask({ target, agent, order: "", body: long });
        const toReceive = await ask({ target, agent, order: `bytes=${length}`, body: SHORT });
        for (const answer of [toSend, toReceive]) assertAnswered(answer, target);
        if (toReceive.bytes < length) throw new Error(`${target.name} answered with ${toReceive.bytes} bytes instead of ${length}`);
        if (round < 0) continue;
        sent.push(toSend.totalMs);
        received.push(toReceive.totalMs);
      }
    }
    for (const [target, { sent, received, agent }] of taken) {
      agent.destroy();
      times.get(target)!.set(megabytes, { sentMs: median(sent), receivedMs: median(received) });
    }
  }
  return times;
}

function median(values: readonly number[]): number {
  return percentile(Float64Array.from(values).sort(), 0.5);
}

/**
 * All of it, for targets that run at the same time and take turns. The targets have just been started: memory that earlier load has
 * left free would hide what streams take.
 */
export async function measureStreams(targets: readonly StreamTarget[], progress: (what: string) => void): Promise<StreamFigures[]> {
  const open = new Map<StreamTarget, StreamFigures["open"]>();
  for (const target of targets) {
    open.set(target, await measureOpenStreams(target));
    progress(`${OPEN_STREAMS} open streams, ${target.name}`);
  }
  const firstBytes = await measureFirstBytes(targets);
  progress("time to first byte");
  const events = await measureEvents(targets);
  progress("events");
  const bodies = await measureBodies(targets);
  progress("bodies");
  return targets.map((target) => {
    const { p50Ms, p99Ms } = firstBytes.get(target)!;
    return {
      target: target.name,
      firstByteP50Ms: p50Ms,
      firstByteP99Ms: p99Ms,
      eventsPerSecond: events.get(target)!,
      open: open.get(target)!,
      bodies: bodies.get(target)!,
    };
  });
}
