import { expect, it } from "vitest";
import { readInstanceState } from "./instance-state";

// A wrong "ready" sends a person to look for the fault in their own code.

const alive = { httpStatus: 200, body: { status: "ok" } };
const unready = (checks: Record<string, boolean>) => ({
  httpStatus: 503,
  body: { status: "not_ready", checks: { database: true, migrations: true, accepting: true, stopping: false, ...checks } },
});

it("only a 200 of the ready endpoint is ready", () => {
  expect(readInstanceState({ health: alive, ready: { httpStatus: 200, body: {} } })).toBe("ready");
  expect(readInstanceState({ health: alive, ready: { httpStatus: 500, body: { ready: true } } })).not.toBe("ready");
  expect(readInstanceState({ health: alive, ready: undefined })).not.toBe("ready");
});

it("names the check that failed, the one that explains the others first", () => {
  expect(readInstanceState({ health: alive, ready: unready({ database: false }) })).toBe("database-unreachable");
  expect(readInstanceState({ health: alive, ready: unready({ database: false, accepting: false }) })).toBe("database-unreachable");
  expect(readInstanceState({ health: alive, ready: unready({ database: false, stopping: true }) })).toBe("shutting-down");
  expect(readInstanceState({ health: alive, ready: unready({ accepting: false }) })).toBe("overloaded");
  expect(readInstanceState({ health: alive, ready: unready({ migrations: false }) })).toBe("starting");
});

it("an answer that is not ours is starting while something lives, and not answering when nothing does", () => {
  for (const body of [undefined, null, "Bad gateway", 7, [], { checks: null }, { checks: "no" }]) {
    expect(readInstanceState({ health: alive, ready: { httpStatus: 503, body } })).toBe("starting");
    expect(readInstanceState({ health: { httpStatus: 502, body }, ready: { httpStatus: 502, body } })).toBe("not-answering");
  }
  expect(readInstanceState({ health: undefined, ready: undefined })).toBe("not-answering");
});
