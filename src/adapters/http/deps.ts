import type { PrismaClient } from "@/generated/prisma/client";
import type { Clock } from "@/lib/clock";
import type { Logger } from "@/lib/logger";
import type { PollingKeyAuthenticator } from "@/server/api-key";
import type { Approvals } from "@/server/approval";
import type { Principal } from "@/server/context";
import type { BudgetBook, DecisionLog } from "@/server/budget";
import type { AbuseLimits, Exchange } from "@/server/gateway";
import type { Ledger, SettleDoor } from "@/server/ledger";
import type { OrgDeps } from "@/server/org";
import type { ListPriceBook } from "@/server/pricing";
import type { Webhooks } from "@/server/webhook";

/** What REST needs of the process. The runtime has all of it. */
export type RestDeps = {
  prisma: PrismaClient;
  clock: Clock;
  log: Pick<Logger, "warn" | "error">;
  authenticator: Pick<PollingKeyAuthenticator, "authenticate" | "invalidate">;
  /** Where reported costs become events. */
  settleDoor: SettleDoor;
  /** Holds money for calls of tools. */
  ledger: Ledger;
  budgetBook: BudgetBook;
  decisionLog: DecisionLog;
  approvals: Pick<Approvals, "deps" | "watch">;
  webhooks: Pick<Webhooks, "deps">;
  orgs: OrgDeps;
  /** The list prices to show; what calls are priced with lies beside it in the runtime. */
  listPriceBook: ListPriceBook;
  ready(): Promise<{ ready: boolean; checks: Readonly<Record<string, boolean>> }>;
  env: {
    /** Undefined: `/metrics` does not exist. */
    metricsToken?: string;
    /** The origin of our own pages, for calls that a session makes. */
    publicUrl?: string;
    /** Where this process listens; our origin where none is configured. */
    port?: number;
    gateway: { trustedProxies: readonly string[] };
  };
  gateway: {
    metrics: { registry: { metrics(): Promise<string>; contentType: string } };
    /** Counts wrong keys together with the gateway's. Undefined: they are not counted. */
    abuse?: Pick<AbuseLimits, "failedAuthentication">;
  };
  /** Who is signed in, where sessions exist. */
  sessionOf?(exchange: Exchange): Promise<Principal | undefined>;
};

/** Where people reach our own pages: for links in answers and documents. */
export const originOf = ({ publicUrl, port = 3000 }: RestDeps["env"]): string => publicUrl ?? `http://localhost:${port}`;
