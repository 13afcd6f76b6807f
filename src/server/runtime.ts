import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PrismaClient } from "@/generated/prisma/client";
import { type Clock, systemClock } from "@/lib/clock";
import { createPrisma, migrate } from "@/lib/db";
import { createEncryption } from "@/lib/encryption";
import type { Env } from "@/lib/env";
import { publicId } from "@/lib/ids";
import type { Logger } from "@/lib/logger";
import { type Secrets, loadSecrets } from "@/lib/secrets";
import { type Accounts, createAccounts } from "@/server/account";
import { type Approvals, createApprovals, createAskByMail } from "@/server/approval";
import { type PollingKeyAuthenticator, createKeyAuthenticator } from "@/server/api-key";
import {
  DEFAULT_GATEWAY_LIMITS,
  type Gateway,
  type GatewayLimits,
  createAbuseLimits,
  createApprovalGate,
  createBudgetGate,
  createCallPricing,
  createLiveCalls,
  createUpstreams,
} from "@/server/gateway";
import { type Ledger, type SettleDoor, createLedger, createSettleDoor } from "@/server/ledger";
import { type BudgetBook, type DecisionLog, createBudgetBook, createDecisionLog, createDenialReview } from "@/server/budget";
import { type Bus, createBus } from "@/server/bus";
import { createHoldLearner } from "@/server/metering";
import { createJobRunner, createMaintenanceJobs } from "@/server/jobs";
import { createGatewayMetrics } from "@/server/metrics";
import { type MailWorker, createMailWorker, createSendMail } from "@/server/notification";
import { createTraceExporter } from "@/server/telemetry";
import { createOrgDeps, initFromEnv, type OrgDeps } from "@/server/org";
import {
  ListPriceBook,
  type PriceBook,
  createDearestPrices,
  createListPriceStore,
  createOverrideStore,
  createPriceBook,
  openaiRegionOf,
} from "@/server/pricing";
import { type Webhooks, createWebhooks } from "@/server/webhook";

/** Everything a process is made of, built once. */
export type Runtime = {
  env: Env;
  secrets: Secrets;
  log: Logger;
  clock: Clock;
  prisma: PrismaClient;
  databaseUrl: string;
  authenticator: PollingKeyAuthenticator;
  settleDoor: SettleDoor;
  ledger: Ledger;
  budgetBook: BudgetBook;
  decisionLog: DecisionLog;
  accounts: Accounts;
  approvals: Approvals;
  webhooks: Webhooks;
  orgs: OrgDeps;
  mailWorker: MailWorker;
  bus: Bus;
  priceBook: PriceBook;
  listPriceBook: ListPriceBook;
  gateway: Gateway;
  /** Set when this process runs the embedded database; resolves if it dies. */
  databaseDied: Promise<Error> | undefined;
  /** What this process did on a first start that a person should be told. */
  firstRun: { organisations: number };
  /** Whether calls can be decided and recorded now. */
  ready(): Promise<Readiness>;
  /** New calls are refused from here on. */
  beginShutdown(): void;
  /** Settles what is left, then closes everything. Answers how many settlements could not be made durable. */
  stop(): Promise<{ unsettled: number }>;
};

export type Readiness = { ready: boolean; checks: { database: boolean; migrations: boolean; accepting: boolean; stopping: boolean } };

/** Where the data is. One that runs inside this process also stops with it, and may die. */
export type Database = { url: string; died?: Promise<Error>; stop?(): Promise<void> };

export type RuntimeOptions = {
  env: Env;
  log: Logger;
  /** The project's folder; migrations are found from here. */
  root: string;
  database: Database;
  clock?: Clock;
  limits?: Partial<GatewayLimits>;
};

/** How long `stop` waits for the database to take what is left in memory. */
const DRAIN_MS = 15_000;
/** Longer than the gateway reads on after a caller who left a stream; calls still open after it are broken off and settled at their bound. */
const OPEN_CALLS_MS = 5_000;
/** How long a daily job that runs may still take; what it did not finish it does on another day. */
const JOBS_MS = 5_000;
const READY_TIMEOUT_MS = 1_000;

export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { env, log, root, database, clock = systemClock } = options;
  const secrets = loadSecrets(env);
  const publicUrl = env.publicUrl ?? `http://localhost:${env.port}`;
  const databaseUrl = database.url;

  await migrate({ connectionString: databaseUrl, migrationsDir: join(root, "prisma/migrations"), log: (line) => log.info({}, line) });
  const prisma = createPrisma(databaseUrl);
  await initFromEnv({ prisma, env, clock });

  const bus = createBus({ log });
  const authenticator = createKeyAuthenticator({ connectionString: databaseUrl, clock, log });
  authenticator.start();
  const settleDoor = createSettleDoor({ connectionString: databaseUrl, clock, log });
  const overrides = createOverrideStore({ prisma });
  const listPriceBook = new ListPriceBook({ openaiRegion: openaiRegionOf(env.gateway.openaiUpstreamUrl) });
  const listPrices = createListPriceStore({ prisma, book: listPriceBook, log });
  // Before the first call is priced: one that starts now must not have a price that another process knows to be over.
  await listPrices.load();
  listPrices.start();
  const priceBook = createPriceBook({ list: listPriceBook, overrides });
  const limits = { ...DEFAULT_GATEWAY_LIMITS, bodyBytesMax: env.gateway.bodyBytesMax, ...options.limits };
  const upstreams = createUpstreams({
    openai: env.gateway.openaiUpstreamUrl,
    anthropic: env.gateway.anthropicUpstreamUrl,
    allowList: env.gateway.upstreamAllowlist,
    connectTimeoutMs: limits.connectMs,
  });
  const ledger = createLedger({ connectionString: databaseUrl, clock, log });
  ledger.start();
  const denialReview = createDenialReview({ prisma, clock, log });
  denialReview.start();
  const decisionLog = createDecisionLog({ prisma, log, onWritten: (denials) => denialReview.add(denials) });
  const dearest = createDearestPrices(listPriceBook);
  const budgetBook = createBudgetBook({ prisma });
  const budgets = createBudgetGate({
    book: budgetBook,
    ledger,
    learner: createHoldLearner(),
    decisionLog,
    prices: {
      findPrice: (query) => priceBook.findPrice(query),
      findDearestPrice: (query) => dearest.findDearestPrice(query),
    },
    clock,
    log,
    publicUrl: () => publicUrl,
  });
  const openCalls = new Map<string, number>();
  const traces = env.telemetry && createTraceExporter({ ...env.telemetry, url: env.telemetry.tracesUrl, log });
  const metrics = createGatewayMetrics({
    backlog: () => settleDoor.backlog,
    openCalls: () => [...openCalls.values()].reduce((sum, count) => sum + count, 0),
    settleStats: () => settleDoor.stats,
    denialReviewStats: () => denialReview.stats,
    ...(traces && { traceStats: () => traces.stats }),
  });
  const jobs = createJobRunner({
    jobs: createMaintenanceJobs({
      prisma,
      listPrices,
      refreshPrices: env.refreshPrices,
      upstreamNames: env.gateway.upstreamAllowlist.map(({ name }) => name),
      log,
    }),
    clock,
    log,
    onRun: (job, outcome) => metrics.observeJob(job, outcome),
  });
  jobs.start();

  const approvals = createApprovals({
    prisma,
    clock,
    log,
    publicUrl,
    ask: createAskByMail({ publicUrl, secret: secrets.nextAuthSecret, clock }),
    publish: ({ orgId, actionId, status }) => bus.publish({ type: "action.changed", orgId, actionId, status }),
  });
  approvals.start();

  const webhooks = createWebhooks({
    prisma,
    clock,
    log,
    encryption: createEncryption({ current: secrets.encryptionKey }),
    policy: { allowPrivate: env.webhook.allowPrivate, isProduction: env.nodeEnv === "production", ownOrigin: publicUrl },
    publicUrl,
    publish({ orgId, deliveryId, endpointId, status }) {
      if (!bus.isWatched(orgId)) return;
      bus.publish({
        type: "webhook.delivery",
        orgId,
        deliveryId: publicId("delivery", deliveryId),
        endpointId: publicId("webhook", endpointId),
        status,
      });
    },
  });
  webhooks.start();
  const accounts = createAccounts({
    prisma,
    clock,
    publicUrl,
    signup: env.signup,
    bus,
  });
  const orgs = createOrgDeps({ publicUrl, bus });
  const mailWorker = createMailWorker({
    prisma,
    clock,
    log,
    send: createSendMail(env.mail.delivery),
    keepsTexts: env.mail.delivery.via === "mailbox" || env.mail.devMailbox,
  });
  mailWorker.start();

  let stopping = false;
  const gateway: Gateway = {
    authenticator,
    settleDoor,
    pricing: createCallPricing({ priceBook, overrides }),
    budgets,
    approvals: createApprovalGate({ prisma, clock, log, approvals }),
    upstreams,
    clock,
    log,
    metrics: traces
      ? {
          ...metrics,
          observeCall(event) {
            metrics.observeCall(event);
            traces.record(event);
          },
        }
      : metrics,
    limits,
    abuse: createAbuseLimits({
      clock,
      authFailuresPerMinuteMax: env.gateway.authFailuresPerMinuteMax,
      callsPerKeyPerMinuteMax: env.gateway.callsPerKeyPerMinuteMax,
    }),
    trustedProxies: env.gateway.trustedProxies,
    arrivingBodies: { bytes: 0, bytesMax: limits.arrivingBytesMax },
    openCalls,
    liveCalls: createLiveCalls({ prisma, log }),
    unfinished: new Set(),
    isShuttingDown: () => stopping,
  };

  return {
    env,
    secrets,
    log,
    clock,
    prisma,
    databaseUrl,
    authenticator,
    settleDoor,
    ledger,
    budgetBook,
    decisionLog,
    accounts,
    approvals,
    webhooks,
    orgs,
    mailWorker,
    bus,
    priceBook,
    listPriceBook,
    gateway,
    databaseDied: database.died,
    firstRun: { organisations: await prisma.organisation.count() },
    async ready() {
      const answers = await answersInTime(prisma);
      const checks = { database: answers, migrations: true, accepting: settleDoor.accepting, stopping };
      return { ready: answers && checks.accepting && !stopping, checks };
    },
    beginShutdown() {
      stopping = true;
      // Calls that wait for a person are told to go to another process.
      approvals.watch.stop();
    },
    async stop() {
      stopping = true;
      const jobsStopped = jobs.stop();
      await approvals.stop();
      await webhooks.stop();
      await mailWorker.stop();
      // A caller who has left may still be owed the usage that the provider is about to tell.
      await Promise.race([Promise.all(gateway.unfinished), sleep(OPEN_CALLS_MS, undefined, { ref: false })]);
      await upstreams.close();
      await Promise.race([Promise.all(gateway.unfinished), sleep(DRAIN_MS, undefined, { ref: false })]);
      const unsettled = await settleDoor.drain(DRAIN_MS);
      await settleDoor.stop();
      await ledger.stop();
      await decisionLog.drain();
      denialReview.stop();
      await authenticator.stop();
      await traces?.stop();
      await listPrices.stop();
      await Promise.race([jobsStopped, sleep(JOBS_MS, undefined, { ref: false })]);
      await prisma.$disconnect();
      await database.stop?.();
      return { unsettled };
    },
  };
}

async function answersInTime(prisma: PrismaClient): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((done) => {
    timer = setTimeout(() => done(false), READY_TIMEOUT_MS);
  });
  const answer = prisma.$queryRaw`select 1`.then(
    () => true,
    () => false,
  );
  const ready = await Promise.race([answer, late]);
  clearTimeout(timer);
  return ready;
}
