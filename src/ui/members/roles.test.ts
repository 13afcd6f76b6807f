import { describe, expect, it } from "vitest";
import type { Role } from "@/generated/prisma/enums";
import { mayChange, rolesToGive } from "./roles";

// A button that the server refuses teaches people that buttons do not work.

describe("who is offered to change whom", () => {
  const person = (role: Role, userId: string = role) => ({ role, userId });

  it("is what CONTRACT §12 allows", () => {
    expect(mayChange(person("owner"), person("admin"))).toBe(true);
    expect(mayChange(person("owner"), person("owner", "other"))).toBe(true);
    expect(mayChange(person("admin"), person("member"))).toBe(true);
    expect(mayChange(person("admin"), person("admin", "other"))).toBe(false);
    expect(mayChange(person("admin"), person("owner"))).toBe(false);
    expect(mayChange(person("admin"), person("admin"))).toBe(true);
    expect(mayChange(person("member"), person("viewer"))).toBe(false);
    expect(mayChange(person("viewer"), person("viewer"))).toBe(false);
  });

  it("offers no role above one's own", () => {
    expect(rolesToGive("admin").map(({ value }) => value)).toEqual(["viewer", "member", "admin"]);
    expect(rolesToGive("owner")).toHaveLength(4);
  });
});
