import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { matchesModelPattern } from "@/server/model-pattern";
import { isBudgetApplicable, type BudgetedCall, type BudgetScope } from "./matching";

const scope = (changes: Partial<BudgetScope>): BudgetScope => ({
  entityType: "org",
  entityId: "org",
  models: [],
  providers: [],
  ...changes,
});
const call = (changes: Partial<BudgetedCall> = {}): BudgetedCall => ({
  userId: "u1",
  apiKeyId: "k1",
  customerId: "acme",
  tags: { team: "a" },
  provider: "openai",
  model: "gpt-5",
  ...changes,
});
const applies = (of: Partial<BudgetScope>, to: Partial<BudgetedCall> = {}) => isBudgetApplicable(scope(of), call(to), matchesModelPattern);

// The budget of one member must not stop the others: it did, in a product whose budgets had moved from users to organisations.
describe("a budget applies", () => {
  it.each<[string, Partial<BudgetScope>, Partial<BudgetedCall>, boolean]>([
    ["of the organisation to every call", { entityType: "org" }, { userId: null, apiKeyId: null, customerId: null, tags: {} }, true],
    ["of a member to that member", { entityType: "user", entityId: "u1" }, {}, true],
    ["of a member to no other", { entityType: "user", entityId: "u2" }, {}, false],
    ["of a member to no call without one", { entityType: "user", entityId: "u1" }, { userId: null }, false],
    ["of a key to that key", { entityType: "api_key", entityId: "k1" }, {}, true],
    ["of a key to no other", { entityType: "api_key", entityId: "k2" }, {}, false],
    ["of a customer to that customer", { entityType: "customer", entityId: "acme" }, {}, true],
    ["of a customer to no other spelling", { entityType: "customer", entityId: "ACME" }, {}, false],
    ["of a tag to that value", { entityType: "tag", entityId: "team=a" }, {}, true],
    ["of a tag to no other value", { entityType: "tag", entityId: "team=b" }, {}, false],
    ["of a tag with an empty value", { entityType: "tag", entityId: "team=" }, { tags: { team: "" } }, true],
    ["of a tag whose value has an equals sign", { entityType: "tag", entityId: "f=x=y" }, { tags: { f: "x=y" } }, true],
    ["of a tag to nothing inherited", { entityType: "tag", entityId: "constructor=a" }, {}, false],
    ["of a provider to that provider", { providers: ["openai"] }, {}, true],
    ["of a provider to no other", { providers: ["anthropic"] }, {}, false],
    ["of models to those", { models: ["claude-*", "gpt-5"] }, {}, true],
    ["of models to no others", { models: ["gpt-5-mini"] }, {}, false],
    ["of models to a call that names none, which any could serve", { models: ["gpt-5-mini"] }, { model: null }, true],
    ["of models at a provider only there", { models: ["gpt-*"], providers: ["azure"] }, {}, false],
  ])("%s", (_what, of, to, expected) => {
    expect(applies(of, to)).toBe(expected);
  });
});

test("filters only ever narrow: a budget with them applies to no call that the one without does not apply to", () => {
  const name = fc.constantFrom("a", "b", "team=a", "gpt-5", "openai");
  const anyScope = fc.record({
    entityType: fc.constantFrom<BudgetScope["entityType"]>("org", "user", "api_key", "tag", "customer"),
    entityId: name,
    models: fc.array(name, { maxLength: 2 }),
    providers: fc.array(name, { maxLength: 2 }),
  });
  const anyCall = fc.record({
    userId: fc.option(name),
    apiKeyId: fc.option(name),
    customerId: fc.option(name),
    tags: fc.dictionary(fc.constantFrom("team", "a"), name),
    provider: name,
    model: fc.option(name),
  });
  fc.assert(
    fc.property(anyScope, anyCall, (of, to) => {
      const narrow = isBudgetApplicable(of, to, matchesModelPattern);
      const wide = isBudgetApplicable({ ...of, models: [], providers: [] }, to, matchesModelPattern);
      expect(narrow && !wide).toBe(false);
    }),
  );
});
