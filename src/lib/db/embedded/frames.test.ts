import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CLIENT,
  closeStatementFrame,
  frame,
  FrameReader,
  prefixStatement,
  queryFrame,
  readyStatus,
  syncFrame,
  withoutCopyFromStdin,
} from "./frames";

const startup = (code = 196_608): Buffer => {
  const body = Buffer.from("user\0postgres\0\0");
  const bytes = Buffer.alloc(8 + body.length);
  bytes.writeInt32BE(bytes.length, 0);
  bytes.writeInt32BE(code, 4);
  body.copy(bytes, 8);
  return bytes;
};
const encryptionRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const parse = (name: string, sql: string): Buffer => frame(CLIENT.parse, Buffer.from(`${name}\0${sql}\0\0\0`));
const bind = (portal: string, name: string): Buffer => frame(CLIENT.bind, Buffer.from(`${portal}\0${name}\0\0\0\0\0\0\0`));

const session = [
  encryptionRequest,
  startup(),
  parse("q1", "select $1"),
  bind("", "q1"),
  syncFrame(),
  queryFrame("select 1"),
  frame(CLIENT.terminate, Buffer.alloc(0)),
];
const expected = [
  { kind: "encryption-request" },
  { kind: "startup", bytes: session[1] },
  ...session.slice(2).map((bytes) => ({ kind: "message", type: bytes[0], bytes })),
];

describe("messages are cut right", () => {
  const all = Buffer.concat(session);

  test("wherever the network cuts once", () => {
    for (let cut = 0; cut <= all.length; cut++) {
      const reader = new FrameReader();
      expect([...reader.push(all.subarray(0, cut)), ...reader.push(all.subarray(cut))]).toEqual(expected);
    }
  });

  test("when every byte comes alone", () => {
    const reader = new FrameReader();
    expect([...all].flatMap((byte) => reader.push(Buffer.from([byte])))).toEqual(expected);
  });

  test("wherever the network cuts, any number of times", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(all.length)), (cuts) => {
        const edges = [0, ...cuts.sort((a, b) => a - b), all.length];
        const reader = new FrameReader();
        const frames = edges.slice(1).flatMap((end, index) => reader.push(all.subarray(edges[index], end)));
        expect(frames).toEqual(expected);
      }),
    );
  });

  test("a length that cannot be is an error, not a wait for bytes that never come", () => {
    expect(() => new FrameReader().push(Buffer.from([0, 0, 0, 3, 0, 3, 0, 0]))).toThrow();
    const reader = new FrameReader();
    reader.push(startup());
    expect(() => reader.push(Buffer.from([CLIENT.query, 0x7f, 0xff, 0xff, 0xff]))).toThrow();
  });
});

describe("prepared statements carry their connection's prefix", () => {
  test.each([
    ["parse", CLIENT.parse, parse("q1", "select 1"), parse("c7_q1", "select 1")],
    ["bind", CLIENT.bind, bind("portal", "q1"), bind("portal", "c7_q1")],
    [
      "describe of a statement",
      CLIENT.describe,
      frame(CLIENT.describe, Buffer.from("Sq1\0")),
      frame(CLIENT.describe, Buffer.from("Sc7_q1\0")),
    ],
    ["close of a statement", CLIENT.close, closeStatementFrame("q1"), closeStatementFrame("c7_q1")],
  ])("%s", (_, type, bytes, renamed) => {
    expect(prefixStatement(type, bytes, "c7_")).toEqual({ bytes: renamed, name: "c7_q1" });
  });

  test.each([
    ["the unnamed statement", CLIENT.parse, parse("", "select 1")],
    ["a bind of the unnamed statement", CLIENT.bind, bind("", "")],
    ["describe of a portal", CLIENT.describe, frame(CLIENT.describe, Buffer.from("Pq1\0"))],
    ["a query", CLIENT.query, queryFrame("select 1")],
  ])("%s stays as it is", (_, type, bytes) => {
    expect(prefixStatement(type, bytes, "c7_")).toEqual({ bytes, name: undefined });
  });
});

// PGlite never comes back from it: one such statement would stop the product.
describe("COPY FROM STDIN is replaced by a statement that fails", () => {
  test.each(["copy t from stdin", "COPY t (a, b)\nFROM STDIN with csv", "select 1; copy t from /* here */ stdin"])("%s", (sql) => {
    expect(withoutCopyFromStdin(CLIENT.query, queryFrame(sql)).toString()).toContain("raise exception");
    const replaced = withoutCopyFromStdin(CLIENT.parse, parse("name", sql));
    expect(replaced.toString()).toContain("raise exception");
    expect(replaced.readInt32BE(1)).toBe(replaced.length - 1);
    expect(replaced.toString("utf8", 5, 10)).toBe("name\0");
  });

  test.each(["copy t to stdout", "select stdin from copy", "select 1"])("%s stays as it is", (sql) => {
    expect(withoutCopyFromStdin(CLIENT.query, queryFrame(sql))).toEqual(queryFrame(sql));
  });
});

test("the transaction's status is read from the end of an answer alone", () => {
  const ready = (status: string): Buffer => frame(0x5a, Buffer.from(status));
  expect(readyStatus(Buffer.concat([Buffer.from("rows"), ready("I")]))).toBe("idle");
  expect(readyStatus(ready("T"))).toBe("transaction");
  expect(readyStatus(ready("E"))).toBe("failed");
  expect(readyStatus(Buffer.concat([ready("I"), Buffer.from("x")]))).toBeUndefined();
  expect(readyStatus(Buffer.alloc(0))).toBeUndefined();
});
