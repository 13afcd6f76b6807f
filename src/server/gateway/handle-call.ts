import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "@/lib/clock";
import { type ErrorCode, HTTP_STATUS } from "@/lib/errors";
import { newSpanId, publicId, uuidv7 } from "@/lib/ids";
import { failpoint, failpointNextTurn } from "@/lib/failpoint";
import type { Logger } from "@/lib/logger";
import { type NanoUsd, nanoUsd, picoToNanoCeil, picoUsd } from "@/lib/money";
import type { Authentication, KeyAuthenticator, KeyIdentity } from "@/server/api-key";
import type { CallOfKey } from "@/server/approval";
import type { CostEventRecord, EventStatus } from "@/server/events";
import type { SettleDoor, Settlement } from "@/server/ledger";
import { tokensAheadAtMost } from "@/server/metering";
import type { GatewayMetrics } from "@/server/metrics";
import type { AbuseLimits } from "./abuse-limits";
import { type ApprovalGate, hashOfBody, type Waiting, waitMsOf } from "./approval-gate";
import { type BudgetGate, type GateAnswer, type GatedCall } from "./budget-gate";
import { type CallAttribution, attributionOf } from "./attribution-of-call";
import { clientAddress } from "./client-address";
import { type BodyDecoder, DECODABLE_ENCODINGS, createBodyDecoder } from "./decode-copy";
import { EventBoundary } from "./event-boundary";
import type { Exchange } from "./exchange";
import { type ForwardFailure, type ForwardListener, type ForwardTimeouts, type Forwarded, forward } from "./forward";
import { type CallPricing, type CallToPrice, type PricedCall, UNCHARGED, UNPRICED } from "./price-call";
import {
  type Endpoint,
  type Metered,
  type Provider,
  type RequestFacts,
  type ResponseMeter,
  normaliseGatewayPath,
  providers,
} from "./providers";
import { type LaterUsage, type LaterUsageReader, laterEventId, laterUsageReader } from "./later-usage";
import { StreamUsageRemover, addStreamUsage } from "./providers/openai/stream-usage";
import { limitedBody } from "./limited-body";
import type { LiveCall, LiveCalls } from "./live-calls";
import { readBody } from "./read-body";
import { FORWARDED_METHODS, type Refusal, bodyTooSlow, refusal, refusalBody, refusalHeaders } from "./refusal";
import { type Credentials, headersToForward, namesRawKey, readCredentials } from "./request-headers";
import { type UpstreamHead, asciiJson, readUpstreamHead, withoutHeader } from "./response-headers";
import { violatedRestriction } from "./restrictions";
import { type GuardedHold, StreamGuard } from "./stream-guard";
import { type Trace, traceOf } from "./trace";
import type { Upstream, Upstreams } from "./upstreams";

export const API_VERSION = "2026-04-01";

export type GatewayLimits = {
  /** Bodies that are read into memory. */
  bodyBytesMax: number;
  /** All bodies together, as long as they are on their way in: callers that do not finish must not fill the memory. */
  arrivingBytesMax: number;
  /** Bodies that are streamed through (files). */
  fileBytesMax: number;
  /** For a new connection to the provider, name look-up and TLS included. */
  connectMs: number;
  timeouts: ForwardTimeouts;
  /** A caller that sends nothing of its body for so long is given up, and so is a body that is read and takes longer than `bodyMs`. */
  upload: { idleMs: number; bodyMs: number };
  /** How long the provider is read on after the caller left, where that can still bring the usage. */
  drainMs: { stream: number; whole: number };
  /** A caller that reads nothing for so long is cut off, and so is its call. */
  stallMs: number;
};

export const DEFAULT_GATEWAY_LIMITS: GatewayLimits = {
  bodyBytesMax: 64 * 1024 * 1024,
  arrivingBytesMax: 1024 * 1024 * 1024,
  fileBytesMax: 512 * 1024 * 1024,
  connectMs: 10_000,
  timeouts: { headersMs: 15 * 60_000, bodyMs: 10 * 60_000 },
  upload: { idleMs: 30_000, bodyMs: 10 * 60_000 },
  drainMs: { stream: 3_000, whole: 30_000 },
  stallMs: 5 * 60_000,
};

export type Gateway = {
  authenticator: KeyAuthenticator;
  settleDoor: SettleDoor;
  pricing: CallPricing;
  budgets: BudgetGate;
  approvals: ApprovalGate;
  upstreams: Upstreams;
  clock: Clock;
  log: Logger;
  metrics: GatewayMetrics;
  limits: GatewayLimits;
  abuse: AbuseLimits;
  /** CIDR ranges whose word on the caller's address is taken. */
  trustedProxies: readonly string[];
  /** Bytes of request bodies that are not complete yet, over all calls. */
  arrivingBodies: { bytes: number; readonly bytesMax: number };
  /** Calls open by key id, for `maxConcurrent`. */
  openCalls: Map<string, number>;
  /** Calls that a freeze ends. */
  liveCalls: LiveCalls;
  /** Calls whose event is not durable yet; waited for when the process stops. */
  unfinished: Set<Promise<void>>;
  /** True once the process has been told to stop. */
  isShuttingDown(): boolean;
};

/** Decides on paths that both providers have (CONTRACT §1). */
export function speaksAnthropic(header: (name: string) => string | undefined): boolean {
  return header("anthropic-version") !== undefined || header("x-api-key") !== undefined;
}

/** Lookups on the way to the provider answer at once in the usual case; only then is a tick spent on waiting. */
const isPromise = <T>(value: T | Promise<T>): value is Promise<T> => value instanceof Promise;

/**
 * One call from the caller's first byte to its settled event, top to bottom:
 * authenticate → read → restrict → reserve → forward → meter while relaying → settle.
 * Resolves when the call's event is durable (or when none is due). Never rejects.
 */
export function handleCall(exchange: Exchange, gateway: Gateway): Promise<void> {
  const { unfinished, log } = gateway;
  const finished = runCall(exchange, gateway)
    .then((settling) => settling?.durable)
    .then(noResult, (error: unknown) => log.error({ err: error }, "event lost"));
  unfinished.add(finished);
  return finished.then(() => void unfinished.delete(finished));
}

const noResult = (): void => {};

/**
 * What remains of a call once its event is handed over. In an object, because a promise given back as such would be waited for with
 * the whole call, its bodies and its connection, held in memory until the database has answered.
 */
type Settling = { durable: Promise<unknown> };

async function runCall(exchange: Exchange, gateway: Gateway): Promise<Settling | undefined> {
  const call = new GatewayCall(exchange, gateway);
  try {
    return await call.run();
  } catch (error) {
    gateway.log.error({ requestId: call.requestId, err: error }, "gateway call failed");
    return await call.fail();
  }
}

/** Between two tries to learn which budgets are charged, while the database is away. */
const LATER_RETRY_MS = 500;

/** How the answer ended, as far as it concerns the event. */
type Ending = { status: EventStatus; denialCode: string | null; httpStatus: number | null };

type HeldCall = Extract<GateAnswer, { outcome: "held" }>;
type Raisable = NonNullable<Extract<GateAnswer, { outcome: "denied" }>["raisable"]>;

const SHUTTING_DOWN = refusal("shutting_down", "this server is stopping; another one will take the call.");

class GatewayCall implements ForwardListener {
  readonly #exchange: Exchange;
  readonly #gateway: Gateway;
  readonly #eventId: string;
  readonly #createdAtMs: number;
  readonly #arrivedAt: number;
  readonly requestId: string;

  #provider: Provider = providers.openai;
  #endpoint: Endpoint = { class: "other", name: "unknown", body: "none" };
  #trace: Trace | undefined;
  readonly #spanId = newSpanId();
  #identity: KeyIdentity | undefined;
  #upstream: Upstream | undefined;
  #attribution: CallAttribution | undefined;
  #facts: RequestFacts | undefined;
  #requestBody: Buffer | undefined;

  #forwarded: Forwarded | undefined;
  #sent = false;
  #head: UpstreamHead | undefined;
  #upstreamStatus: number | undefined;
  #answered = false;
  #meter: ResponseMeter | undefined;
  #laterReader: LaterUsageReader | undefined;
  /** Settlements of usage that this answer brought of calls that ended before. */
  readonly #laterSettled: Promise<void>[] = [];
  /** Budgets are looked up for one such usage after the other: a batch may bring a hundred thousand, all for the same ones. */
  #laterCharged: Promise<unknown> = Promise.resolve();
  #decoder: BodyDecoder | undefined;
  #usageAdded = false;
  #remover: StreamUsageRemover | undefined;
  #callerGone = false;
  #holdsSlot = false;
  /** Set where budgets apply and money is held for this call. */
  #held: HeldCall | undefined;
  #denial: Settlement["denial"];
  /** The approval that this call uses up. */
  #approvedActionId: string | undefined;
  /** How long the caller still lets a person decide, and whether it is still there; set where it has said so. */
  #waiting: { untilMs: number; signal: AbortSignal } | undefined;
  #estimate: NanoUsd | null = null;
  #budgetHeaders: readonly string[] = [];
  /** Watches a stream that started on less than its bound; its events are then handed on whole, so that it can be cut between two. */
  #guard: StreamGuard | undefined;
  #boundary: EventBoundary | undefined;
  #isCut = false;
  /** The last bytes handed on: whether they end an event. */
  #tail: Buffer = EMPTY;
  /** What the answer ends with as soon as the event that is being handed on is whole. */
  #cutAtBoundary: Refusal | undefined;
  #live: LiveCall | undefined;
  #timer: NodeJS.Timeout | undefined;

  #ownMs = 0;
  #authMs = 0;
  #parseMs = 0;
  #reserveMs = 0;
  #dispatchedAt: number | undefined;
  #firstByteAt: number | undefined;
  #upstreamEndedAt: number | undefined;

  #finish!: () => void;
  /** Resolves once the answer is over on both sides. */
  readonly #over = new Promise<void>((resolve) => {
    this.#finish = resolve;
  });
  #ending: Ending | undefined;

  constructor(exchange: Exchange, gateway: Gateway) {
    this.#exchange = exchange;
    this.#gateway = gateway;
    this.#createdAtMs = gateway.clock.now();
    this.#arrivedAt = gateway.clock.monotonic();
    this.#eventId = uuidv7(this.#createdAtMs);
    this.requestId = publicId("event", this.#eventId);
  }

  async run(): Promise<Settling | undefined> {
    const refused = await this.#admit();
    if (refused) {
      this.#refuse(refused);
      this.#ending ??= { status: "denied", denialCode: refused.code, httpStatus: refused.status };
    } else if (!this.#ending) {
      await this.#over;
    }
    return this.#settle();
  }

  /** Everything before the provider: undefined when the call is on its way (or its caller has left). */
  async #admit(): Promise<Refusal | undefined> {
    const { exchange, gateway } = { exchange: this.#exchange, gateway: this.#gateway };
    const header = (name: string): string | undefined => exchange.header(name);
    this.#trace = traceOf(header);

    const location = normaliseGatewayPath(exchange.target, speaksAnthropic(header));
    if (!location) return refusal("not_found", "there is no such path here.");
    this.#provider = providers[location.provider];
    this.#endpoint = this.#provider.classify(exchange.method, location.path);
    if (!FORWARDED_METHODS.includes(exchange.method)) {
      return refusal("method_not_allowed", `${exchange.method} is no method of a model provider's API.`);
    }
    if (namesRawKey(exchange.target)) {
      return refusal("bad_request", "a NullSpend key belongs in a header; addresses end up in logs. Replace this key.");
    }
    if (gateway.isShuttingDown()) return SHUTTING_DOWN;

    const credentials = readCredentials(header);
    const authStart = gateway.clock.monotonic();
    const refusedKey = await this.#authenticate(credentials);
    this.#authMs = gateway.clock.monotonic() - authStart;
    if (refusedKey) return refusedKey;
    failpoint("after-auth");
    const identity = this.#identity!;

    const busyForSeconds = gateway.abuse.call(identity.keyId);
    if (busyForSeconds !== undefined) {
      return { ...refusal("rate_limited", "this key makes more calls per minute than it may."), retryAfterSeconds: busyForSeconds };
    }
    if (!gateway.settleDoor.accepting) return refusal("overloaded", "too many calls wait for the database; try again.");
    if (!identity.scopes.has("proxy")) {
      return refusal("mandate_violation", "this key may not call models; it lacks the scope proxy.", {
        mandate: "scopes",
        requested: "proxy",
        allowed: [...identity.scopes],
      });
    }
    const version = header("nullspend-version");
    if (version !== undefined && version !== API_VERSION) {
      return refusal("bad_request", `the version ${version.slice(0, 40)} is not known; NullSpend-Version is ${API_VERSION}.`, {
        issues: [{ path: "NullSpend-Version", message: `must be ${API_VERSION}` }],
      });
    }
    const attributed = attributionOf({ exchange, restrictions: identity.restrictions });
    if (!attributed.ok) return refusal("bad_request", attributed.message, { issues: attributed.issues });
    this.#attribution = attributed.attribution;

    const upstreamUrl = header("x-nullspend-upstream");
    const upstream = upstreamUrl === undefined ? gateway.upstreams.of(location.provider) : gateway.upstreams.named(upstreamUrl);
    if (!upstream) return refusal("invalid_upstream", "X-NullSpend-Upstream names a base URL that this instance does not allow.");
    this.#upstream = upstream;
    if (upstream.dialect !== this.#provider.name) {
      this.#provider = providers[upstream.dialect];
      this.#endpoint = this.#provider.classify(exchange.method, location.path);
    }

    // A refusal while the caller is still sending would reset its connection before it can read the answer, so bodies that have
    // to be read are read first.
    const body = await this.#readRequest();
    if (body.refused) return body.refused;
    if (body.gone) {
      this.#ending = { status: "cancelled", denialCode: null, httpStatus: null };
      return undefined;
    }
    const parsed = gateway.clock.monotonic();
    const refused = this.#restrict();
    if (refused) return refused;
    const loading = gateway.pricing.prepare(identity);
    if (loading) await loading;
    const unapproved = await this.#askForApproval(body.bytes, location.path);
    if (unapproved) return unapproved;
    const overBudget = await this.#reserve(body.bytes);
    if (overBudget && !exchange.aborted) return overBudget;
    if (exchange.aborted) {
      this.#ending = { status: "cancelled", denialCode: null, httpStatus: null };
      return undefined;
    }
    this.#dispatch(location, credentials as Extract<Credentials, { ok: true }>, body.bytes, body.stream, parsed);
    return undefined;
  }

  async #authenticate(credentials: Credentials): Promise<Refusal | undefined> {
    if (!credentials.ok) return this.#unauthorized();
    const answer = this.#gateway.authenticator.authenticate(credentials.rawKey);
    const authentication: Authentication = isPromise(answer) ? await answer : answer;
    switch (authentication.outcome) {
      case "unknown":
        return this.#unauthorized();
      case "unavailable":
        return refusal("budget_unavailable", "keys and budgets cannot be checked right now, so nothing is sent; try again.");
      case "known":
        this.#identity = authentication.identity;
        return undefined;
    }
  }

  /** One answer for every wrong key, unless its sender has tried too many: only those are slowed. */
  #unauthorized(): Refusal {
    const address = clientAddress(this.#exchange, this.#gateway.trustedProxies);
    const retryAfterSeconds = this.#gateway.abuse.failedAuthentication(address);
    if (retryAfterSeconds === undefined) {
      return refusal("unauthorized", "the key in X-NullSpend-Key is missing, unknown, revoked or expired.");
    }
    return { ...refusal("rate_limited", "too many calls with a wrong key came from this address; try again later."), retryAfterSeconds };
  }

  async #readRequest(): Promise<{ refused?: Refusal; gone?: true; bytes?: Buffer; stream?: Readable }> {
    const { exchange, gateway } = { exchange: this.#exchange, gateway: this.#gateway };
    const length = exchange.header("content-length");
    const hasBody = (length !== undefined && length !== "0") || exchange.header("transfer-encoding") !== undefined;
    if (!hasBody) {
      if (this.#endpoint.body === "none") return {};
    } else if (this.#endpoint.body === "none") {
      if (length !== undefined && Number(length) > gateway.limits.fileBytesMax) return { refused: this.#uploadTooLarge() };
      return { stream: limitedBody(exchange, { bytesMax: gateway.limits.fileBytesMax, idleMs: gateway.limits.upload.idleMs }) };
    }
    const encoding = exchange.header("content-encoding");
    if (encoding !== undefined && encoding.trim().toLowerCase() !== "identity") {
      return { refused: refusal("unsupported_media_type", "request bodies are read as they are; send this one without content-encoding.") };
    }
    const contentType = exchange.header("content-type");
    if (this.#endpoint.body === "json" && contentType !== undefined && !isJsonContentType(contentType)) {
      return { refused: refusal("unsupported_media_type", "this endpoint takes JSON in UTF-8 (content-type: application/json).") };
    }
    const waitStart = gateway.clock.monotonic();
    const { bodyBytesMax, upload } = gateway.limits;
    const limits = { bytesMax: bodyBytesMax, idleMs: upload.idleMs, totalMs: upload.bodyMs };
    const read = await readBody(exchange, limits, gateway.arrivingBodies);
    const waited = gateway.clock.monotonic() - waitStart;
    this.#ownMs -= waited;
    if (read.outcome === "gone") return { gone: true };
    if (read.outcome === "too-slow") return { refused: bodyTooSlow() };
    if (read.outcome === "no-room") return { refused: refusal("overloaded", "too much is being sent here at once; try again.") };
    if (read.outcome === "too-large") {
      return { refused: refusal("payload_too_large", `request bodies may have up to ${bodyBytesMax} bytes here.`) };
    }
    const parseStart = gateway.clock.monotonic();
    const request = this.#provider.readRequest(this.#endpoint, read.body, contentType);
    this.#parseMs = gateway.clock.monotonic() - parseStart;
    if (!request.ok) return { refused: refusal(request.code, request.message, { issues: request.issues }) };
    this.#facts = request.facts;
    this.#requestBody = read.body;
    if (this.#attribution!.sessionId === null && request.facts.sessionId !== undefined) {
      this.#attribution = { ...this.#attribution!, sessionId: request.facts.sessionId };
    }
    return { bytes: read.body };
  }

  #uploadTooLarge(): Refusal {
    return refusal("payload_too_large", `uploads may have up to ${this.#gateway.limits.fileBytesMax} bytes here.`);
  }

  #restrict(): Refusal | undefined {
    const identity = this.#identity!;
    const restrictions = identity.restrictions;
    const model = this.#facts?.model ?? null;
    const attribution = this.#attribution!;
    if (model === null && restrictions?.allowedModels && this.#endpoint.class !== "free") {
      return refusal("mandate_violation", "this key may call certain models only, and the call names none.", {
        mandate: "allowed_models",
        requested: null,
        allowed: restrictions.allowedModels,
      });
    }
    const violated = violatedRestriction(restrictions, {
      provider: this.#upstream!.name,
      model,
      customerId: attribution.customerId,
      sessionId: attribution.sessionId,
      tags: attribution.tags,
    });
    if (violated) return violated;
    const open = this.#gateway.openCalls.get(identity.keyId) ?? 0;
    if (open >= restrictions!.maxConcurrent) {
      return refusal("concurrency_exceeded", `this key has ${open} calls open, as many as it may.`, {
        open,
        max: restrictions!.maxConcurrent,
      });
    }
    this.#gateway.openCalls.set(identity.keyId, open + 1);
    this.#holdsSlot = true;
    return undefined;
  }

  /** Where a policy wants a person for this call: the approval, or why it may not be made yet. Nothing is held meanwhile. */
  async #askForApproval(bytes: Buffer | undefined, path: string): Promise<Refusal | undefined> {
    if (this.#endpoint.class === "free") return undefined;
    const { approvals, budgets } = this.#gateway;
    const identity = this.#identity!;
    const { tags, actionId } = this.#attribution!;
    const model = this.#facts?.model ?? null;
    const estimate = (): NanoUsd | null => budgets.estimate(this.#holdInput(bytes));
    const subject = { orgId: identity.orgId, configVersion: identity.org.configVersion, model, tags, estimate };
    try {
      const wanted = approvals.isWanted(subject);
      if (!(isPromise(wanted) ? await wanted : wanted)) return undefined;
      const call = {
        ...this.#callOfKey(),
        endpoint: `${this.#exchange.method} ${path}`,
        estimateNano: estimate(),
        bodyHash: hashOfBody(bytes),
        namedActionId: actionId,
      };
      const answer = await this.#waitFor((waiting) => approvals.approve(call, waiting));
      if ("refused" in answer) return this.#gateway.isShuttingDown() ? SHUTTING_DOWN : answer.refused;
      this.#approvedActionId = answer.go;
      return undefined;
    } catch (error) {
      this.#gateway.log.warn({ err: error, orgId: identity.orgId, requestId: this.requestId }, "approvals could not be asked for");
      return refusal("budget_unavailable", "approvals cannot be checked right now, so nothing is sent; try again.");
    }
  }

  /** Runs what may wait for a person, for as long as the caller has said it will, and no longer than it stays. */
  async #waitFor<T>(ask: (waiting: Waiting) => Promise<T>): Promise<T> {
    const { clock } = this.#gateway;
    const startedAt = clock.monotonic();
    if (!this.#waiting) {
      const gone = new AbortController();
      this.#exchange.onAbort(() => gone.abort());
      this.#waiting = { untilMs: startedAt + waitMsOf(this.#exchange.header("x-nullspend-wait")), signal: gone.signal };
    }
    const { untilMs, signal } = this.#waiting;
    const answer = await ask({ waitMs: Math.max(0, Math.ceil(untilMs - startedAt)), signal });
    this.#ownMs -= clock.monotonic() - startedAt;
    return answer;
  }

  /** What a person is told of this call. */
  #callOfKey(): CallOfKey {
    const { orgId, keyId, userId, keyName } = this.#identity!;
    const { tags, sessionId } = this.#attribution!;
    return {
      orgId,
      keyId,
      userId,
      keyName,
      provider: this.#upstream!.name,
      model: this.#facts?.model ?? null,
      sessionId,
      traceId: this.#trace!.traceId,
      tags,
    };
  }

  #holdInput(bytes: Buffer | undefined): GatedCall["hold"] {
    return {
      dialect: this.#upstream!.dialect,
      provider: this.#upstream!.name,
      method: this.#exchange.method,
      endpoint: this.#endpoint,
      body: bytes,
      facts: this.#facts ?? NO_FACTS,
      orgId: this.#identity!.orgId,
      atMs: this.#createdAtMs,
    };
  }

  /**
   * Holds money in every budget that applies, or says why the call may not be made. Nothing has been sent yet. A caller that waits is
   * asked for again each time somebody has raised the limit that denied it.
   */
  async #reserve(bytes: Buffer | undefined): Promise<Refusal | undefined> {
    const mayWait = waitMsOf(this.#exchange.header("x-nullspend-wait")) > 0;
    for (;;) {
      const answer = await this.#askBudgets(bytes);
      switch (answer.outcome) {
        case "unlimited":
          return undefined;
        case "denied":
          if (mayWait && answer.raisable && (await this.#isRaised(answer.raisable, answer.estimate ?? 0n))) continue;
          this.#estimate = answer.estimate;
          this.#budgetHeaders = answer.headers;
          this.#denial = answer.denial;
          return mayWait && this.#gateway.isShuttingDown() ? SHUTTING_DOWN : answer.refused;
        case "held":
          this.#held = answer;
          this.#estimate = answer.estimate;
          this.#budgetHeaders = answer.headers;
          if (answer.warnings.length > 0) {
            this.#attribution = { ...this.#attribution!, warnings: [...this.#attribution!.warnings, ...answer.warnings] };
          }
          if (answer.reduced) this.#watch(answer.hold as GuardedHold);
          return undefined;
      }
    }
  }

  async #askBudgets(bytes: Buffer | undefined): Promise<GateAnswer> {
    const { clock, budgets } = this.#gateway;
    const attribution = this.#attribution!;
    const startedAt = clock.monotonic();
    const asked = budgets.admit({
      callId: this.#eventId,
      identity: this.#identity!,
      customerId: attribution.customerId,
      sessionId: attribution.sessionId,
      tags: attribution.tags,
      provider: this.#upstream!.name,
      model: this.#facts?.model ?? null,
      hold: this.#holdInput(bytes),
      draft: () => this.#draft(),
    });
    const answer = isPromise(asked) ? await asked : asked;
    this.#reserveMs += clock.monotonic() - startedAt;
    return answer;
  }

  async #isRaised({ budget, balanceId, limitNano }: Raisable, estimateNano: bigint): Promise<boolean> {
    const call = { ...this.#callOfKey(), budget, balanceId, limitNano, estimateNano };
    try {
      return await this.#waitFor(async (waiting) => waiting.waitMs > 0 && (await this.#gateway.approvals.raised(call, waiting)));
    } catch (error) {
      // Nobody could be asked: it is denied, as it would be without waiting.
      this.#gateway.log.warn({ err: error, orgId: call.orgId, requestId: this.requestId }, "a raise could not be asked for");
      return false;
    }
  }

  /** The event as far as it is known before the call ends: what is recorded should this process die. */
  #draft(): CostEventRecord {
    return this.#event({ identity: this.#identity!, metered: undefined, ending: UNDER_WAY, pricing: UNCHARGED });
  }

  #watch(hold: GuardedHold): void {
    this.#boundary = new EventBoundary();
    this.#guard = new StreamGuard({
      callId: this.#eventId,
      hold,
      model: this.#facts?.model,
      choices: this.#facts?.choices ?? 1,
      ledger: this.#gateway.budgets.ledger,
      onCut: () => this.#cut(),
      onRoom: () => this.#forwarded?.resume(),
    });
  }

  /** No budget has more for this stream. */
  #cut(): void {
    if (this.#isCut || this.#ending) return;
    this.#endWith(refusal("budget_exceeded", "a budget is used up, so this answer ends here."));
  }

  /** What was admitted before the freeze ends, too, wherever it stands. */
  #freeze(refused: Refusal): void {
    if (this.#isCut || this.#ending) return;
    if (!this.#answered || this.#callerGone || !this.#isEventStream() || endsEvent(this.#tail)) {
      this.#endWith(refused);
      return;
    }
    // Half an event is with the caller, who could not read it if ours followed at once.
    this.#cutAtBoundary = refused;
    this.#boundary ??= new EventBoundary();
    this.#timer = setTimeout(() => this.#endWith(refused), REST_OF_EVENT_MS);
  }

  /** The answer ends in the provider's own way, and the provider is told to stop. */
  #endWith(refused: Refusal): void {
    if (this.#isCut || this.#ending) return;
    clearTimeout(this.#timer);
    this.#isCut = true;
    const httpStatus = this.#answered ? (this.#upstreamStatus ?? null) : refused.status;
    this.#ending = { status: "interrupted", denialCode: refused.code, httpStatus };
    this.#forwarded!.abort();
    if (this.#callerGone) return;
    if (!this.#answered) {
      this.#refuse(refused);
      return;
    }
    if (!this.#isEventStream() || !endsEvent(this.#tail)) {
      this.#exchange.destroy();
      return;
    }
    const { code, message, details } = refused;
    const sequenceNumber = this.#meter?.result().nextSequenceNumber;
    const text = this.#provider.inBandError({
      endpoint: this.#endpoint,
      denial: { status: refused.status, code, message, details, requestId: this.requestId },
      ...(sequenceNumber === undefined ? {} : { sequenceNumber }),
    });
    this.#exchange.end(Buffer.from(text));
  }

  #isEventStream(): boolean {
    return this.#head?.contentType?.toLowerCase().startsWith("text/event-stream") === true && !this.#isEncoded();
  }

  #dispatch(
    location: { path: string; query: string },
    credentials: Extract<Credentials, { ok: true }>,
    bytes: Buffer | undefined,
    stream: Readable | undefined,
    parsedAt: number,
  ): void {
    const { exchange, gateway } = { exchange: this.#exchange, gateway: this.#gateway };
    const upstream = this.#upstream!;
    let body: Buffer | Readable | null = bytes ?? stream ?? null;
    if (bytes && this.#mayAddUsage()) {
      const spliced = addStreamUsage(bytes);
      if (spliced) {
        this.#usageAdded = true;
        body = spliced;
      }
    }
    const rawHeaders = headersToForward({
      rawHeaders: exchange.rawHeaders,
      composite: credentials.composite,
      decodable: DECODABLE_ENCODINGS,
      identityOnly: this.#usageAdded || this.#guard !== undefined,
    });
    const length = exchange.header("content-length");
    if (stream && length !== undefined) rawHeaders.push("content-length", length);
    exchange.onAbort(() => this.#onCallerGone());
    this.#beLive();
    const now = gateway.clock.monotonic();
    this.#ownMs += now - this.#arrivedAt;
    this.#dispatchedAt = now;
    this.#parseMs += now - parsedAt;
    if (!this.#held) gateway.budgets.ledger.watch({ callId: this.#eventId, orgId: this.#identity!.orgId, draft: () => this.#draft() });
    failpoint("before-send");
    this.#forwarded = forward({
      dispatcher: upstream.pool,
      method: exchange.method,
      path: upstream.basePath + location.path + location.query,
      rawHeaders,
      body,
      timeouts: gateway.limits.timeouts,
      listener: this,
    });
  }

  #beLive(): void {
    const { orgId, keyId } = this.#identity!;
    const { customerId } = this.#attribution!;
    this.#live = { orgId, keyId, customerId, freeze: (by) => this.#freeze(this.#gateway.budgets.frozen(by, { orgId, customerId })) };
    this.#gateway.liveCalls.add(this.#live);
  }

  /** CONTRACT §4: the one thing added to a request. */
  #mayAddUsage(): boolean {
    const facts = this.#facts;
    return (
      this.#upstream!.dialect === "openai" &&
      this.#endpoint.name === "chat/completions" &&
      facts !== undefined &&
      facts.stream &&
      !facts.asksStreamUsage &&
      this.#identity!.org.addStreamUsage &&
      this.#exchange.header("x-nullspend-usage")?.trim().toLowerCase() !== "passthrough"
    );
  }

  // What the provider answers.

  onSent(): void {
    this.#sent = true;
    // In the next turn the request's bytes are on their way.
    failpointNextTurn("after-send");
  }

  onHead(status: number, rawHeaders: readonly Buffer[], statusText: string): void {
    failpoint("after-head");
    const receivedAt = this.#gateway.clock.monotonic();
    this.#firstByteAt = receivedAt;
    const head = readUpstreamHead(rawHeaders);
    this.#head = head;
    this.#upstreamStatus = status;
    if (status >= 300 && status < 400 && status !== 304) {
      // Handing it on would send the caller, credentials and all, past us.
      this.#ending = { status: "upstream_error", denialCode: "upstream_unreachable", httpStatus: HTTP_STATUS.upstream_unreachable };
      this.#refuse(refusal("upstream_unreachable", `the provider answered with a redirect (${status}), which is not followed.`));
      this.#forwarded!.abort();
      return;
    }
    if (status < 300 && this.#facts && this.#endpoint.class !== "free") {
      this.#meter = this.#provider.meter({ endpoint: this.#endpoint, contentType: head.contentType, facts: this.#facts });
      const guard = this.#guard;
      if (guard) this.#meter.watchText((piece) => guard.add(piece, this.#gateway.clock.now()));
    }
    if (status < 300) this.#readLaterUsage(head);
    if ((this.#meter || this.#laterReader) && this.#isEncoded()) {
      this.#decoder = createBodyDecoder(head.contentEncoding!, (chunk) => this.#read(chunk));
    }
    let passed = head.passed;
    if (this.#usageAdded && status < 300 && head.contentType?.toLowerCase().startsWith("text/event-stream")) {
      this.#remover = new StreamUsageRemover();
      passed = withoutHeader(passed, "content-length");
    }
    if (this.#guard) passed = withoutHeader(passed, "content-length");
    // Events cannot be told apart in what is compressed: an answer that has to be cut ends with its connection.
    if (this.#isEncoded()) this.#boundary = undefined;
    if (this.#callerGone) return;
    this.#ownMs += this.#gateway.clock.monotonic() - receivedAt;
    this.#exchange.writeHead(status, passed.concat(this.#ownHeaders(head.serverTiming)), sendable(statusText));
    this.#answered = true;
  }

  #isEncoded(): boolean {
    const encoding = this.#head?.contentEncoding;
    return encoding !== undefined && encoding !== "identity";
  }

  #read(chunk: Uint8Array): void {
    this.#meter?.push(chunk);
    this.#laterReader?.push(chunk);
  }

  /** Answers in which the usage of earlier calls comes back: what they tell is recorded once, beside this call's own event. */
  #readLaterUsage(head: UpstreamHead): void {
    if (this.#endpoint.class === "priced" && this.#facts?.background !== true) return;
    this.#laterReader = laterUsageReader({ provider: this.#provider, endpoint: this.#endpoint, contentType: head.contentType }, (usage) => {
      const settled = this.#settleLater(usage);
      this.#laterSettled.push(
        settled.catch((error: unknown) => this.#gateway.log.error({ requestId: this.requestId, err: error }, "usage told later was lost")),
      );
    });
  }

  onData(chunk: Buffer): boolean {
    if (this.#decoder) this.#decoder.push(chunk);
    else this.#read(chunk);
    let out = this.#remover ? this.#remover.push(chunk) : chunk;
    if (this.#boundary && out.length > 0) out = this.#boundary.push(out);
    const flows = this.#handOn(out);
    failpoint("after-piece");
    if (this.#cutAtBoundary && out.length > 0) this.#endWith(this.#cutAtBoundary);
    // Looked at after what was read is handed on: the money for that is held already.
    const hasRoom = this.#guard === undefined || this.#isCut || this.#hasRoom(this.#guard);
    return flows && hasRoom;
  }

  #hasRoom(guard: StreamGuard): boolean {
    if (this.#meter?.terminal) guard.end();
    return guard.check();
  }

  #handOn(out: Uint8Array): boolean {
    if (this.#callerGone || !this.#answered || this.#isCut || out.length === 0) return true;
    this.#tail = tailOf(this.#tail, out);
    if (this.#exchange.write(out)) return true;
    this.#timer = setTimeout(() => this.#exchange.destroy(), this.#gateway.limits.stallMs);
    this.#exchange.onDrain(() => {
      clearTimeout(this.#timer);
      this.#forwarded!.resume();
    });
    return false;
  }

  onEnd(): void {
    this.#upstreamEndedAt = this.#gateway.clock.monotonic();
    clearTimeout(this.#timer);
    try {
      if (this.#answered && !this.#callerGone && !this.#isCut) {
        const rest = this.#rest();
        this.#exchange.end(rest.length > 0 ? rest : undefined);
      }
    } finally {
      // Whatever breaks here, the call must end: its slot and its event hang on it.
      this.#finish();
    }
  }

  onFailure(failure: ForwardFailure): void {
    this.#upstreamEndedAt = this.#gateway.clock.monotonic();
    clearTimeout(this.#timer);
    try {
      if (!this.#callerGone && !this.#ending) this.#answerFailure(failure);
    } finally {
      this.#finish();
    }
  }

  /** What was held back on its way to the caller. */
  #rest(): Buffer {
    const rest = this.#remover?.end() ?? EMPTY;
    return this.#boundary ? Buffer.concat([this.#boundary.push(rest), this.#boundary.end()]) : rest;
  }

  #answerFailure(failure: ForwardFailure): void {
    const { log } = this.#gateway;
    log.warn(
      { requestId: this.requestId, provider: this.#upstream?.name, endpoint: this.#endpoint.name, err: failure.error },
      `upstream ${failure.kind}`,
    );
    if (this.#answered) {
      const rest = this.#rest();
      if (rest.length > 0) this.#exchange.write(rest);
      this.#exchange.destroy();
      this.#ending = { status: "interrupted", denialCode: null, httpStatus: this.#upstreamStatus ?? null };
      return;
    }
    const refused = this.#refusalOf(failure);
    this.#refuse(refused);
    const status = NOT_THE_PROVIDER.has(refused.code) ? "denied" : "upstream_error";
    this.#ending = { status, denialCode: refused.code, httpStatus: refused.status };
  }

  #refusalOf(failure: ForwardFailure): Refusal {
    if (failure.error.name === "BodyTooLarge") return this.#uploadTooLarge();
    if (failure.error.name === "BodyTooSlow") return bodyTooSlow();
    if (failure.kind === "timeout") {
      return refusal(
        "upstream_timeout",
        "the provider did not answer in time; the call may have been billed and is counted at its upper bound.",
      );
    }
    const message = this.#sent
      ? "the connection to the provider broke before it answered."
      : "the provider cannot be reached; nothing was sent and nothing is charged.";
    return refusal("upstream_unreachable", message);
  }

  #onCallerGone(): void {
    if (this.#callerGone) return;
    this.#callerGone = true;
    clearTimeout(this.#timer);
    const forwarded = this.#forwarded;
    if (!forwarded) return;
    if (!this.#drainCanBringUsage()) {
      forwarded.abort();
      return;
    }
    const { drainMs } = this.#gateway.limits;
    this.#timer = setTimeout(() => forwarded.abort(), this.#facts!.stream ? drainMs.stream : drainMs.whole);
    forwarded.resume();
  }

  #drainCanBringUsage(): boolean {
    if (!this.#sent || !this.#facts || this.#endpoint.class !== "priced") return false;
    const usageComes = !this.#facts.stream || this.#endpoint.name !== "chat/completions" || this.#facts.asksStreamUsage || this.#usageAdded;
    return usageComes && (this.#upstreamStatus === undefined || this.#upstreamStatus < 300);
  }

  // What the caller is told by us.

  #refuse(refused: Refusal): void {
    if (this.#exchange.aborted || this.#answered) return;
    this.#answered = true;
    if (this.#dispatchedAt === undefined) this.#ownMs += this.#gateway.clock.monotonic() - this.#arrivedAt;
    const body = refusalBody(this.#provider, refused, this.requestId);
    const headers = ["content-type", "application/json", "content-length", String(body.length), ...refusalHeaders(refused)];
    this.#exchange.writeHead(refused.status, headers.concat(this.#ownHeaders(undefined)));
    this.#exchange.end(body);
  }

  #ownHeaders(providerTiming: string | undefined): string[] {
    const { traceId } = this.#trace ?? { traceId: "" };
    const ttfb = this.#firstByteAt !== undefined ? this.#firstByteAt - this.#dispatchedAt! : 0;
    const timing = `auth;dur=${this.#authMs.toFixed(2)}, parse;dur=${this.#parseMs.toFixed(2)}, reserve;dur=${this.#reserveMs.toFixed(2)}, ttfb;dur=${ttfb.toFixed(2)}`;
    const headers = [
      "X-NullSpend-Trace-Id",
      traceId,
      "X-NullSpend-Request-Id",
      this.requestId,
      "NullSpend-Version",
      API_VERSION,
      "X-NullSpend-Overhead-Ms",
      Math.max(0, this.#ownMs).toFixed(2),
      "Server-Timing",
      providerTiming === undefined ? timing : `${timing}, ${providerTiming}`,
    ];
    if (this.#budgetHeaders.length > 0) headers.push(...this.#budgetHeaders);
    const attribution = this.#attribution;
    if (!attribution) return headers;
    if (attribution.sessionEcho !== null) headers.push("X-NullSpend-Session", attribution.sessionEcho);
    if (attribution.warnings.length > 0) headers.push("X-NullSpend-Warning", attribution.warnings.join(", "));
    if (attribution.hasTags) {
      const tags = asciiJson(attribution.tags);
      if (tags.length <= 4096) headers.push("X-NullSpend-Effective-Tags", tags);
    }
    return headers;
  }

  // What it cost.

  async #settle(): Promise<Settling | undefined> {
    clearTimeout(this.#timer);
    if (this.#live) this.#gateway.liveCalls.remove(this.#live);
    const identity = this.#identity;
    if (!identity) return undefined;
    if (this.#holdsSlot) this.#releaseSlot(identity.keyId);
    const metered = await this.#metered();
    failpoint("after-usage");
    const ending = this.#ending ?? this.#endingOfAnswer(metered);
    const pricing = this.#chargeOf(await this.#price(metered, identity, ending), metered);
    const event = this.#event({ identity, metered, ending, pricing });
    this.#gateway.metrics.observeCall(event);
    const { ledger } = this.#gateway.budgets;
    ledger.forget(this.#eventId);
    const isWrittenDown = ledger.unwatch(this.#eventId);
    const durable = this.#gateway.settleDoor.settle({
      event,
      ...((this.#held || isWrittenDown) && { budgets: { held: true } }),
      ...(this.#denial && { denial: this.#denial }),
    });
    const actionId = this.#approvedActionId;
    if (actionId !== undefined) {
      this.#gateway.approvals.finish({ orgId: identity.orgId, actionId, eventId: publicId("event", this.#eventId), wasSent: this.#sent });
    }
    return { durable: this.#laterSettled.length === 0 ? durable : Promise.all([durable, ...this.#laterSettled]) };
  }

  /** What budgets are charged, where that is not simply the cost. */
  #chargeOf(pricing: PricedCall, metered: Metered | undefined): PricedCall {
    const held = this.#held;
    if (!held) return pricing;
    // The provider may have made more than was read before it was stopped: all that is charged, and it was held.
    const stoppedAt = this.#costOfStopped(held, pricing, metered);
    if (stoppedAt !== undefined) {
      return { ...pricing, costNano: stoppedAt, chargedNano: stoppedAt, costBasis: "bounded", costBreakdown: null, lines: null };
    }
    if (pricing.costNano === null && held.ceiling !== null) return { ...pricing, chargedNano: held.ceiling };
    if (pricing.costBasis !== "bounded" || pricing.costNano === null || pricing.costNano <= held.estimate || held.reduced) return pricing;
    // Two upper bounds of one call: the one that was held is the closer one.
    return { ...pricing, costNano: held.estimate, chargedNano: held.estimate, costBreakdown: null, lines: null };
  }

  /** The most that a stream costs which ended before its end was read; undefined where it did not, or its usage is known all the same. */
  #costOfStopped(held: HeldCall, { costBasis, costNano, outputTokens }: PricedCall, metered: Metered | undefined): NanoUsd | undefined {
    if (this.#isCut && this.#guard) return this.#guard.costUpperBound;
    const hasEnded = metered !== undefined && (metered.terminal || metered.usageComplete || metered.inBandError !== undefined);
    if (costBasis !== "bounded" || costNano === null || hasEnded || !held.hold || !this.#facts?.stream) return undefined;
    const readForMs = Math.max(1, (this.#upstreamEndedAt ?? 0) - (this.#firstByteAt ?? 0));
    const ahead = BigInt(tokensAheadAtMost((outputTokens ?? 0) / readForMs)) * held.hold.perOutputTokenPico;
    const counted = nanoUsd(costNano + picoToNanoCeil(picoUsd(ahead)));
    // Two upper bounds of one call.
    const bound = this.#guard?.costUpperBound ?? held.estimate;
    return counted < bound ? counted : bound;
  }

  /** An event of its own, whose id makes it the only one of its kind: whoever asks again, here or elsewhere, changes nothing. */
  async #settleLater({ providerId, endpoint, metered }: LaterUsage): Promise<void> {
    const identity = this.#identity!;
    const provider = this.#upstream!.name;
    const pricing = await this.#priceOf({
      orgId: identity.orgId,
      configVersion: identity.org.configVersion,
      provider,
      dialect: this.#upstream!.dialect,
      endpoint,
      method: "POST",
      facts: undefined,
      requestBody: undefined,
      metered,
      callerLeft: false,
      startedAtMs: this.#createdAtMs,
    });
    const ending: Ending = { status: "ok", denialCode: null, httpStatus: this.#upstreamStatus ?? null };
    const event: CostEventRecord = {
      ...this.#event({ identity, metered, ending, pricing }),
      id: laterEventId({ orgId: identity.orgId, provider, providerId }),
      requestId: providerId,
      endpoint: endpoint.name,
      requestedModel: null,
    };
    const charges = this.#laterCharged.then(() => this.#chargesOfLater(event, identity));
    this.#laterCharged = charges.catch(noResult);
    await this.#gateway.settleDoor.settle({ event, budgets: await charges });
  }

  /** Tried until the database answers, as all settlements are. A process that stops gives up: the provider tells it again when asked again. */
  async #chargesOfLater(event: CostEventRecord, identity: KeyIdentity): Promise<Settlement["budgets"]> {
    const gateway = this.#gateway;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await gateway.budgets.chargesOfLater(event, identity.org.configVersion);
      } catch (error) {
        if (gateway.isShuttingDown()) throw error;
        if (attempt === 1) gateway.log.warn({ requestId: this.requestId, err: error }, "usage told later waits for the database");
        await sleep(LATER_RETRY_MS, undefined, { ref: false });
      }
    }
  }

  #releaseSlot(keyId: string): void {
    this.#holdsSlot = false;
    const open = this.#gateway.openCalls.get(keyId)! - 1;
    if (open === 0) this.#gateway.openCalls.delete(keyId);
    else this.#gateway.openCalls.set(keyId, open);
  }

  async #metered(): Promise<Metered | undefined> {
    if (this.#decoder) await this.#decoder.finish();
    this.#laterReader?.end();
    if (!this.#meter) return undefined;
    this.#meter.end();
    return this.#meter.result();
  }

  #endingOfAnswer(metered: Metered | undefined): Ending {
    const httpStatus = this.#upstreamStatus ?? null;
    if (this.#callerGone) return { status: "cancelled", denialCode: null, httpStatus };
    if (httpStatus !== null && httpStatus >= 300 && httpStatus !== 304) return { status: "upstream_error", denialCode: null, httpStatus };
    if (metered?.inBandError !== undefined) return { status: "upstream_error", denialCode: null, httpStatus };
    if (metered && !metered.terminal) return { status: "interrupted", denialCode: null, httpStatus };
    return { status: "ok", denialCode: null, httpStatus };
  }

  async #price(metered: Metered | undefined, identity: KeyIdentity, ending: Ending): Promise<PricedCall> {
    const answeredWithError = this.#upstreamStatus !== undefined && this.#upstreamStatus >= 300;
    if (!this.#sent || ending.status === "denied" || answeredWithError) return UNCHARGED;
    return this.#priceOf({
      orgId: identity.orgId,
      configVersion: identity.org.configVersion,
      provider: this.#upstream!.name,
      dialect: this.#upstream!.dialect,
      endpoint: this.#endpoint,
      method: this.#exchange.method,
      facts: this.#facts,
      requestBody: this.#requestBody,
      metered,
      callerLeft: ending.status === "cancelled" || this.#isCut,
      startedAtMs: this.#createdAtMs,
    });
  }

  async #priceOf(call: CallToPrice): Promise<PricedCall> {
    const { pricing, log } = this.#gateway;
    for (let failures = 0; failures < PRICE_FAILURES_MAX;) {
      let loaded = false;
      try {
        const loading = pricing.prepare(this.#identity!);
        if (loading) await loading;
        loaded = true;
        const priced = pricing.price(call);
        return isPromise(priced) ? await priced : priced;
      } catch (error) {
        // The organisation's own prices could not be read. The money is spent: the call waits until its price is known. What fails
        // although they are at hand would fail for ever.
        if (loaded) failures += 1;
        log.warn({ requestId: this.requestId, err: error }, "a call waits for its price");
        await sleep(PRICE_RETRY_MS);
      }
    }
    log.error({ requestId: this.requestId, provider: call.provider, endpoint: call.endpoint.name }, "a call could not be priced");
    return UNPRICED;
  }

  #event(input: { identity: KeyIdentity; metered: Metered | undefined; ending: Ending; pricing: PricedCall }): CostEventRecord {
    const { identity, metered, ending, pricing } = input;
    const attribution = this.#attribution;
    const now = this.#gateway.clock.monotonic();
    const requestedModel = this.#facts?.model ?? null;
    return {
      orgId: identity.orgId,
      id: this.#eventId,
      requestId: this.#head?.requestId ?? metered?.requestId ?? metered?.responseId ?? this.requestId,
      createdAtMs: this.#createdAtMs,
      status: ending.status,
      denialCode: ending.denialCode,
      httpStatus: ending.httpStatus,
      source: "proxy",
      eventType: "llm",
      provider: this.#upstream?.name ?? this.#provider.name,
      model: metered?.usage?.model ?? metered?.model ?? requestedModel ?? NO_MODEL,
      requestedModel,
      serviceTier: metered?.usage?.serviceTier ?? metered?.serviceTier ?? this.#facts?.serviceTier ?? null,
      endpoint: this.#endpoint.name,
      ...pricing,
      estimatedNano: this.#estimate,
      budgetStatus: this.#held ? "approved" : this.#estimate !== null ? "denied" : "none",
      stopReason: metered?.stopReason ?? null,
      toolCalls: metered && metered.toolCalls.length > 0 ? metered.toolCalls : null,
      toolName: null,
      toolServer: null,
      durationMs: now - this.#arrivedAt,
      upstreamDurationMs:
        this.#dispatchedAt === undefined || this.#upstreamEndedAt === undefined ? null : this.#upstreamEndedAt - this.#dispatchedAt,
      timeToFirstByteMs:
        this.#dispatchedAt === undefined || this.#firstByteAt === undefined ? null : this.#firstByteAt - this.#dispatchedAt,
      overheadMs: Math.max(0, this.#ownMs),
      sessionId: attribution?.sessionId ?? null,
      traceId: this.#trace!.traceId,
      spanId: this.#spanId,
      parentSpanId: this.#trace!.parentSpanId,
      actionId: this.#approvedActionId ?? attribution?.actionId ?? null,
      customerId: attribution?.customerId ?? null,
      tags: attribution?.tags ?? {},
      apiKeyId: identity.keyId,
      keyName: identity.keyName,
      userId: identity.userId,
    };
  }

  /** Something of ours broke. The caller gets an answer if it has none, and what was forwarded still gets its event. */
  async fail(): Promise<Settling | undefined> {
    this.#forwarded?.abort();
    try {
      if (this.#answered) this.#exchange.destroy();
      else this.#refuse(refusal("internal_error", `something went wrong here; the reference is ${this.requestId}.`));
    } catch (error) {
      this.#gateway.log.error({ requestId: this.requestId, err: error }, "the failure of a call could not be told");
      this.#exchange.destroy();
    }
    this.#ending = { status: this.#sent ? "interrupted" : "denied", denialCode: "internal_error", httpStatus: 500 };
    try {
      return await this.#settle();
    } catch (error) {
      this.#gateway.log.error({ requestId: this.requestId, err: error }, "event lost");
      // What was held or written down of it expires, and is recorded then.
      this.#gateway.budgets.ledger.forget(this.#eventId);
      this.#gateway.budgets.ledger.unwatch(this.#eventId);
      return undefined;
    }
  }
}

/** How the failure of an upload is the caller's own. */
const NOT_THE_PROVIDER: ReadonlySet<ErrorCode> = new Set(["payload_too_large", "bad_request"]);

/** A body read here as UTF-8 must not be read otherwise by the provider. */
function isJsonContentType(contentType: string): boolean {
  const [mediaType = "", ...parameters] = contentType.toLowerCase().split(";");
  if (!/^\s*(?:application\/(?:[\w.+-]+\+)?json|text\/plain|\*\/\*)?\s*$/.test(mediaType)) return false;
  return parameters.every((parameter) => !/^\s*charset\s*=/.test(parameter) || /^\s*charset\s*=\s*"?utf-?8"?\s*$/.test(parameter));
}

/** Beyond ASCII the bytes of a reason phrase are no longer known, and control characters Node would refuse; no client needs either. */
const sendable = (statusText: string): string | undefined => (/^[\t\x20-\x7e]*$/.test(statusText) ? statusText : undefined);

const EMPTY = Buffer.alloc(0);
/** As many bytes as the longest end of an event has. */
const TAIL_BYTES = 4;

function tailOf(before: Buffer, out: Uint8Array): Buffer {
  const last = Buffer.from(out.buffer, out.byteOffset, out.byteLength).subarray(-TAIL_BYTES);
  return last.length === TAIL_BYTES ? last : Buffer.concat([before, last]).subarray(-TAIL_BYTES);
}

/** Nothing has been sent yet, or an empty line was the last. */
const endsEvent = (tail: Buffer): boolean => tail.length === 0 || /(?:\n\n|\r\r|\n\r\n)$/.test(tail.toString("latin1"));
/** How long the rest of an event is waited for before the connection is closed without a word. */
const REST_OF_EVENT_MS = 300;
/** Of calls whose body is not read. */
const NO_FACTS: RequestFacts = { stream: false, choices: 1, asksStreamUsage: false, thinksUnseen: false, background: false };
/** How a call stands until it is settled: what its hold's draft says. */
const UNDER_WAY: Ending = { status: "interrupted", denialCode: null, httpStatus: null };
const PRICE_RETRY_MS = 1_000;
const PRICE_FAILURES_MAX = 3;
/** Stands for the model of calls that name none. */
const NO_MODEL = "(none)";
