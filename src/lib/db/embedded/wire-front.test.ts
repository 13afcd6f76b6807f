import { connect } from "node:net";
import { PGlite } from "@electric-sql/pglite";
import { Client, Pool } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WireFront, type WireFrontOptions } from "./wire-front";

let database: PGlite;
beforeAll(async () => {
  database = await PGlite.create();
});
afterAll(() => database.close());

const open: { end(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.end().catch(() => {})));
});

async function startFront(options: Partial<WireFrontOptions> = {}): Promise<{ url: string; port: number; front: WireFront }> {
  const front = new WireFront(database, {
    maxConnections: 20,
    idleInTransactionMs: 30_000,
    password: null,
    onFatal: (error) => {
      throw error;
    },
    ...options,
  });
  const port = (await front.listen({ host: "127.0.0.1", port: 0 })) ?? 0;
  open.push({ end: () => front.stop() });
  return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, port, front };
}

async function connectClient(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  open.unshift(client);
  return client;
}

function newPool(url: string, max: number): Pool {
  const pool = new Pool({ connectionString: url, max });
  pool.on("error", () => {});
  open.unshift(pool);
  return pool;
}

// With messages of connections mixed, a statement runs with another one's parameters: money would be booked to strangers.
describe("connections never meet", () => {
  test("parameters of 200 kB on eight connections each come back to their own query", async () => {
    const { url } = await startFront();
    const pool = newPool(url, 8);
    const answers = await Promise.all(
      Array.from({ length: 480 }, async (_, index) => {
        const text = `${index}:`.padEnd(200_000, String.fromCharCode(97 + (index % 26)));
        // Different statements, so that a mixed-up Parse shows too.
        const { rows } = await pool.query<{ number: number; text: string }>(`select ${index} as number, $1::text as text`, [text]);
        return rows[0]?.number === index && rows[0].text === text;
      }),
    );
    expect(answers.filter((isOwn) => !isOwn)).toHaveLength(0);
  });

  test("an open transaction is neither seen nor interrupted by other connections", async () => {
    const { url } = await startFront();
    const [one, two] = await Promise.all([connectClient(url), connectClient(url)]);
    await one.query("create table isolation (value int)");
    await one.query("begin");
    await one.query("insert into isolation values (1)");
    const seen = two.query<{ count: number }>("select count(*)::int as count from isolation");
    await one.query("insert into isolation values (2)");
    await one.query("rollback");
    expect((await seen).rows[0]?.count).toBe(0);
  });

  test("a connection that is cut in its transaction leaves nothing and lets the others on", async () => {
    const { url } = await startFront();
    const [one, two] = await Promise.all([connectClient(url), connectClient(url)]);
    await two.query("create table cut (value int)");
    await one.query("begin");
    await one.query("insert into cut values (1)");
    const seen = two.query<{ count: number }>("select count(*)::int as count from cut");
    await one.end();
    expect((await seen).rows[0]?.count).toBe(0);
  });

  test("the same name of a prepared statement means something else on every connection", async () => {
    const { url } = await startFront();
    const clients = await Promise.all(Array.from({ length: 5 }, () => connectClient(url)));
    for (let round = 0; round < 3; round++) {
      const results = await Promise.all(
        clients.map((client, index) =>
          client.query<{ value: number }>({ name: "q", text: `select ${index} + $1::int as value`, values: [round] }),
        ),
      );
      expect(results.map(({ rows }) => rows[0]?.value)).toEqual([0, 1, 2, 3, 4].map((index) => index + round));
    }
  });

  test("prepared statements are gone when their connection is", async () => {
    const { url } = await startFront();
    const client = await connectClient(url);
    await client.query({ name: "left", text: "select $1::int", values: [1] });
    const watcher = await connectClient(url);
    const count = async (): Promise<number | undefined> =>
      (await watcher.query<{ count: number }>("select count(*)::int as count from pg_prepared_statements where name like 'c%left'")).rows[0]
        ?.count;
    expect(await count()).toBe(1);
    await client.end();
    expect(await count()).toBe(0);
  });

  test("an error in a statement reaches its own connection, which goes on", async () => {
    const { url } = await startFront();
    const [one, two] = await Promise.all([connectClient(url), connectClient(url)]);
    const [failed, fine] = await Promise.allSettled([one.query("select 1 / $1::int", [0]), two.query("select 1 / $1::int as one", [1])]);
    expect(failed).toMatchObject({ status: "rejected", reason: { code: "22012" } });
    expect(fine).toMatchObject({ status: "fulfilled", value: { rows: [{ one: 1 }] } });
    expect((await one.query("select 2 as two")).rows).toEqual([{ two: 2 }]);
  });

  test("a result fetched in portions stays with its connection", async () => {
    const { url } = await startFront();
    const [one, two] = await Promise.all([connectClient(url), connectClient(url)]);
    const portions = { text: "select generate_series(1, 10) as n", rows: 3 };
    const [numbers, other] = await Promise.all([one.query<{ n: number }>(portions), two.query("select 1 as one")]);
    expect(numbers.rows.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(other.rows).toEqual([{ one: 1 }]);
  });
});

describe("what would stop everybody is refused", () => {
  test("a transaction left open and idle is ended, rolled back, and the next one goes on", async () => {
    const { url } = await startFront({ idleInTransactionMs: 50 });
    const [sleeper, next] = await Promise.all([connectClient(url), connectClient(url)]);
    await next.query("create table idle (value int)");
    const gone = new Promise<Error>((resolve) => sleeper.once("error", resolve));
    await sleeper.query("begin");
    await sleeper.query("insert into idle values (1)");
    expect((await next.query("select * from idle")).rows).toEqual([]);
    expect(await gone).toMatchObject({ code: "25P03" });
  });

  test("COPY FROM STDIN is an error, in a transaction and outside, and the connection goes on", async () => {
    const { url } = await startFront();
    const client = await connectClient(url);
    await client.query("create table copied (value int)");
    await expect(client.query("copy copied from stdin")).rejects.toMatchObject({ code: "0A000" });
    await expect(client.query({ text: "copy copied from stdin", name: "copy" })).rejects.toMatchObject({ code: "0A000" });
    await client.query("begin");
    await expect(client.query("copy copied from stdin")).rejects.toMatchObject({ code: "0A000" });
    await expect(client.query("select 1")).rejects.toMatchObject({ code: "25P02" });
    await client.query("rollback");
    expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  test("a cancel request is dropped and disturbs nobody", async () => {
    const { url, port } = await startFront();
    const client = await connectClient(url);
    const closed = new Promise<void>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.write(Buffer.from([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 42, 0, 0, 0, 1])));
      socket.once("close", () => resolve());
    });
    await closed;
    expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  test("bytes that are not the protocol close their connection alone", async () => {
    const { url, port } = await startFront();
    const client = await connectClient(url);
    const answer = new Promise<string>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
      socket.once("data", (data) => resolve(data.toString()));
    });
    expect(await answer).toContain("08P01");
    expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  test("a connection too many is told so, and the next one fits when one has left", async () => {
    const { url } = await startFront({ maxConnections: 1 });
    const only = await connectClient(url);
    await expect(connectClient(url)).rejects.toMatchObject({ code: "53300" });
    await only.end();
    const next = await connectClient(url);
    expect((await next.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  test("with a password set, no other one gets in", async () => {
    const { port } = await startFront({ password: "right" });
    const client = await connectClient(`postgres://postgres:right@127.0.0.1:${port}/postgres`);
    expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await expect(connectClient(`postgres://postgres:wrong@127.0.0.1:${port}/postgres`)).rejects.toMatchObject({ code: "28P01" });
  });
});

test("stopping ends the connections and rolls open transactions back", async () => {
  const { url, front } = await startFront();
  const client = await connectClient(url);
  await client.query("create table stopped (value int)");
  const gone = new Promise<Error>((resolve) => client.once("error", resolve));
  await client.query("begin");
  await client.query("insert into stopped values (1)");
  await front.stop();
  expect(await gone).toMatchObject({ code: "57P01" });
  expect((await database.query("select * from stopped")).rows).toEqual([]);
});
