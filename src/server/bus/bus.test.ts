import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "@/lib/clock";
import { createBus, connectRedis, parseBusMessage, type Bus, type BusMessage, type RedisLink } from ".";

const orgId = "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
const otherOrgId = "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6072";
const changed = (id = orgId): BusMessage => ({ orgId: id, type: "velocity.changed", budgetId: null });
const quiet = { info: () => {}, warn: () => {}, error: () => {} };

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of cleanup.splice(0).reverse()) await end();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  // Listening on TCP, so the address is an object.
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

function startRedis(port: number): ChildProcess {
  const redis = spawn("redis-server", ["--port", String(port), "--save", "", "--appendonly", "no"], { stdio: "ignore" });
  cleanup.push(() => redis.kill("SIGKILL"));
  return redis;
}

function joined(port: number, installationSecret = "one"): { bus: Bus; link: RedisLink; heard: BusMessage[] } {
  const bus = createBus({ log: quiet });
  const link = connectRedis({ bus, url: `redis://127.0.0.1:${port}`, installationSecret, clock: systemClock, log: quiet });
  cleanup.push(() => link.stop());
  const heard: BusMessage[] = [];
  for (const type of ["velocity.changed", "session.ended"] as const) bus.subscribe(type, (message) => heard.push(message));
  return { bus, link, heard };
}

describe("in one process", () => {
  test("a listener that throws keeps no other from hearing, and the publisher never notices", () => {
    const error = vi.fn<() => void>();
    const bus = createBus({ log: { error } });
    const heard = vi.fn<() => void>();
    bus.subscribe("velocity.changed", () => {
      throw new Error("broken");
    });
    const end = bus.subscribe("velocity.changed", heard);
    bus.publish(changed());
    end();
    bus.publish(changed());
    expect(heard).toHaveBeenCalledTimes(1);
    expect(error).toHaveBeenCalledTimes(2);
  });

  test("an organisation is watched until the last of its watchers has gone, however often one goes", () => {
    const bus = createBus({ log: quiet });
    const [first, second] = [bus.watch(orgId), bus.watch(orgId)];
    first();
    first();
    expect(bus.isWatched(orgId)).toBe(true);
    second();
    expect([bus.isWatched(orgId), bus.hasWatchers, bus.watchedHere()]).toEqual([false, false, []]);
  });

  test("what has a field too many, an unknown type or no organisation is no message", () => {
    expect(parseBusMessage(changed())).toEqual(changed());
    expect(parseBusMessage({ ...changed(), apiKey: "ns_live_sk_secret" })).toBeUndefined();
    expect(parseBusMessage({ ...changed(), type: "made.up" })).toBeUndefined();
    expect(parseBusMessage({ type: "velocity.changed", budgetId: null })).toBeUndefined();
  });
});

describe("between processes", () => {
  test("D5 a message reaches each other process once, only of organisations that are watched there", async () => {
    const port = await freePort();
    startRedis(port);
    const [one, two, stranger] = [joined(port), joined(port), joined(port, "another installation")];
    two.bus.watch(orgId);
    stranger.bus.watch(orgId);
    await vi.waitFor(() => expect(one.bus.isWatched(orgId)).toBe(true), 5_000);
    one.bus.publish(changed());
    one.bus.publish(changed(otherOrgId));
    await vi.waitFor(() => expect(two.heard).toHaveLength(1), 2_000);
    await sleep(100);
    expect(two.heard).toEqual([changed()]);
    expect(one.heard).toEqual([changed(), changed(otherOrgId)]);
    expect(stranger.heard).toEqual([]);
  });

  test("the end of a session is told whether or not anybody is known to watch", async () => {
    const port = await freePort();
    startRedis(port);
    const [one, two] = [joined(port), joined(port)];
    await vi.waitFor(() => expect(one.link.connected && two.link.connected).toBe(true), 5_000);
    one.bus.publish({ orgId: null, type: "session.ended", userId: otherOrgId, sessionId: null });
    await vi.waitFor(() => expect(two.heard).toHaveLength(1), 2_000);
  });

  test("D2 Redis killed: each process tells itself at once; when it is back they find each other again", async () => {
    const port = await freePort();
    const redis = startRedis(port);
    const [one, two] = [joined(port), joined(port)];
    two.bus.watch(orgId);
    await vi.waitFor(() => expect(one.bus.isWatched(orgId)).toBe(true), 5_000);
    redis.kill("SIGKILL");
    await once(redis, "exit");
    const startedAt = performance.now();
    for (let i = 0; i < 1_000; i += 1) one.bus.publish(changed());
    expect(performance.now() - startedAt).toBeLessThan(100);
    expect(one.heard).toHaveLength(1_000);
    await vi.waitFor(() => expect(one.link.connected).toBe(false), 2_000);
    startRedis(port);
    await vi.waitFor(() => expect(one.link.connected && two.link.connected && one.bus.isWatched(orgId)).toBe(true), 8_000);
    one.bus.publish(changed());
    await vi.waitFor(() => expect(two.heard.length).toBeGreaterThan(0), 2_000);
  });

  test("D1 Redis absent at boot: everything works in this process", async () => {
    const { bus, heard, link } = joined(await freePort());
    bus.publish(changed());
    expect([heard.length, link.connected]).toEqual([1, false]);
  });
}, 20_000);
