import { describe, expect, it } from "vitest";
import type { KeyRestrictions } from "@/server/api-key";
import { violatedRestriction } from "./restrictions";

const none: KeyRestrictions = { maxConcurrent: 2000, denialStatus: 429 };
const call = { provider: "openai", model: "gpt-5", customerId: null, sessionId: null, tags: {} };

describe("restrictions", () => {
  it("that are absent allow everything", () => {
    expect(violatedRestriction(none, call)).toBeUndefined();
  });

  it("that cannot be read deny everything", () => {
    expect(violatedRestriction(null, call)).toMatchObject({ code: "mandate_violation", status: 403 });
  });

  it("that are an empty list deny everything", () => {
    expect(violatedRestriction({ ...none, allowedProviders: [] }, call)).toMatchObject({ details: { mandate: "allowed_providers" } });
    expect(violatedRestriction({ ...none, allowedModels: [] }, call)).toMatchObject({ details: { mandate: "allowed_models" } });
  });

  it("name what was asked and what is allowed", () => {
    expect(violatedRestriction({ ...none, allowedModels: ["gpt-5-*"] }, call)?.details).toEqual({
      mandate: "allowed_models",
      requested: "gpt-5",
      allowed: ["gpt-5-*"],
    });
  });

  it("require a customer, a session or a tag", () => {
    const require = ["customer", "session", "tag:team"];
    const named = { ...call, customerId: "acme", sessionId: "s", tags: { team: "" } };
    expect(violatedRestriction({ ...none, require }, named)).toBeUndefined();
    expect(violatedRestriction({ ...none, require }, { ...named, customerId: null })?.details).toMatchObject({ requested: "customer" });
    expect(violatedRestriction({ ...none, require }, { ...named, sessionId: null })?.details).toMatchObject({ requested: "session" });
    expect(violatedRestriction({ ...none, require }, { ...named, tags: {} })?.details).toMatchObject({ requested: "tag:team" });
  });
});
