import { expect, test } from "vitest";
import { uuidv7 } from "@/lib/ids";
import { laterEventId } from "./later-usage";

// What would break in production: a batch's usage is missing from where a budget's money went, because its id looks older than all.
test("ids of later usage are above every id made from a clock, for as long as there are such", () => {
  const lastOfClock = uuidv7(Date.UTC(6000, 0));
  for (let i = 0; i < 2_000; i++) {
    const id = laterEventId({ orgId: "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071", provider: "openai", providerId: `resp_${i}` });
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(id > lastOfClock).toBe(true);
  }
});
