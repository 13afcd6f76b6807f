import type { Clock } from "@/lib/clock";
import type { PrismaClient } from "@/generated/prisma/client";
import type { Role } from "@/generated/prisma/enums";
import type { Scope } from "@/server/api-key/identity";

/** Who asks. Roles and scopes are what the database says now, never what a token claims. */
export type Principal =
  | { type: "api_key"; orgId: string; keyId: string; userId: string; role: Role; scopes: ReadonlySet<Scope> }
  | { type: "user"; orgId: string; userId: string; role: Role }
  | { type: "system"; orgId: string };

/** What every verb gets: it is bound to one organisation, and each query names `principal.orgId`. */
export type Ctx = {
  prisma: PrismaClient;
  clock: Clock;
  principal: Principal;
  /** The caller's address, for the audit log. */
  ip: string | null;
};
