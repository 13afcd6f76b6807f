import ipaddr from "ipaddr.js";
import { z } from "zod";
import { parseEncryptionKey, secretProblem, type SecretName } from "./secrets";

/**
 * The whole environment (CONTRACT §14), parsed once at boot and passed on from there; nothing else reads `process.env`.
 * What is optional and not given is undefined.
 */
export type Env = {
  nodeEnv: "production" | "development" | "test";
  /** 0 takes any free port. */
  port: number;
  /** The origin people and links use, without a slash at the end. Undefined: `http://localhost` and the port. */
  publicUrl?: string;
  signup: "open" | "invite";
  database: { kind: "embedded"; dataDir: string } | { kind: "external"; url: string };
  redisUrl?: string;
  /** As given; `loadSecrets` makes what is missing on the embedded database. */
  secrets: { nextAuthSecret?: string; encryptionKey?: Buffer };
  gateway: {
    /** Without a slash or `/v1` at the end: the call's own path follows. */
    openaiUpstreamUrl: string;
    anthropicUpstreamUrl: string;
    upstreamAllowlist: readonly NamedUpstream[];
    /** CIDR ranges of the proxies whose `X-Forwarded-For` is believed. */
    trustedProxies: readonly string[];
    bodyBytesMax: number;
    authFailuresPerMinuteMax: number;
    callsPerKeyPerMinuteMax: number;
  };
  mail: {
    delivery:
      | { via: "resend"; apiKey: string; from: string; apiUrl?: string }
      | { via: "smtp"; url: string; from: string }
      | { via: "mailbox" };
    /** Serve `/dev/mailbox` although the database is not the embedded one. */
    devMailbox: boolean;
  };
  slack: { apiUrl: string; signingSecret?: string; oauth?: { clientId: string; clientSecret: string } };
  /** Undefined: self-hosted without plans. */
  stripe?: { secretKey: string; webhookSecret: string; proPriceId: string; apiUrl: string };
  /** Where opted-in request bodies go; undefined: into the database. */
  s3?: { endpoint?: string; region: string; bucket: string; accessKeyId: string; secretAccessKey: string; forcePathStyle: boolean };
  signIn: { github?: OAuthClient; google?: OAuthClient };
  /** Undefined: `/metrics` is off. */
  metricsToken?: string;
  /** Undefined: no spans are made. */
  telemetry?: { tracesUrl: string; headers: Readonly<Record<string, string>>; serviceName: string };
  /** Whether the published price list is read from the internet once a night. */
  refreshPrices: boolean;
  logLevel: LogLevel;
  webhook: { allowPrivate: boolean };
  /** The headless first run. */
  init: { userEmail?: string; userPassword?: string; orgName?: string; apiKey?: string; adminKey?: string };
};

/** An upstream a caller may name with `X-NullSpend-Upstream`; `name` says whose prices it has. */
export type NamedUpstream = { name: string; url: string };
export type OAuthClient = { clientId: string; clientSecret: string };
export type LogLevel = (typeof logLevels)[number];

export type EnvProblem = { name: string; problem: string };

/** Everything that is wrong with the environment, by name, without any of its values. */
export class EnvError extends Error {
  override readonly name = "EnvError";
  readonly problems: readonly EnvProblem[];

  constructor(problems: readonly EnvProblem[]) {
    const lines = problems.map(({ name, problem }) => `  ${name} ${problem}`);
    super(["NullSpend cannot start with this environment:", ...lines].join("\n"));
    this.problems = problems;
  }
}

const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

/** A variable that may be absent. `parse` answers undefined where the text is not what is expected. */
function variable<T>(expected: string, parse: (text: string) => T | undefined) {
  return z
    .string()
    .transform((text, context): T => {
      const value = parse(text.trim());
      if (value !== undefined) return value;
      context.issues.push({ code: "custom", message: `is not usable, expected ${expected}`, input: undefined });
      return z.NEVER;
    })
    .optional();
}

const anyText = () => variable("text", (text) => text);

function oneOf<const T extends string>(values: readonly T[]) {
  return variable(`one of ${values.join(", ")}`, (text) => values.find((value) => value === text));
}

function wholeNumber(min: number, max: number) {
  return variable(`a whole number from ${min} to ${max}`, (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  });
}

function flag() {
  return variable("1 or 0 (also true, false, yes, no, on, off)", (text) => {
    if (/^(1|true|yes|on)$/i.test(text)) return true;
    if (/^(0|false|no|off)$/i.test(text)) return false;
    return undefined;
  });
}

function secret(name: SecretName) {
  return z
    .string()
    .trim()
    .superRefine((value, context) => {
      const problem = secretProblem(name, value);
      if (problem) context.addIssue({ code: "custom", message: problem });
    });
}

function address(protocols: readonly string[], example: string) {
  return variable(`an address like ${example}`, (text) => (parseUrl(text, protocols) ? text : undefined));
}

function parseUrl(text: string, protocols: readonly string[]): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url && protocols.includes(url.protocol) ? url : undefined;
}

/** A base address that a path can be appended to. Credentials in it would end up in messages, and a query in the middle of the path. */
function parseBaseUrl(text: string): string | undefined {
  const url = parseUrl(text, ["https:", "http:"]);
  if (!url || url.username || url.password || url.search || url.hash) return undefined;
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

const expectedBaseUrl = "a base address like https://api.example.com, without credentials or query";

function baseUrl() {
  return variable(expectedBaseUrl, parseBaseUrl);
}

/** Providers' own pages print the base with `/v1`, which the call's path brings along. */
const parseUpstreamUrl = (text: string) => parseBaseUrl(text)?.replace(/\/v1$/, "");

function parseList<T>(text: string, parse: (item: string) => T | undefined): T[] | undefined {
  const items = text.split(",").map((item) => item.trim());
  const values = items.filter((item) => item !== "").map(parse);
  return values.includes(undefined) ? undefined : values.filter((value) => value !== undefined);
}

function parseNamedUpstreams(text: string): NamedUpstream[] | undefined {
  const upstreams = parseList(text, (item): NamedUpstream | undefined => {
    const match = /^([a-z0-9][a-z0-9._-]{0,63})=(.+)$/.exec(item);
    const name = match?.[1];
    const url = parseUpstreamUrl(match?.[2] ?? "");
    return name !== undefined && url !== undefined ? { name, url } : undefined;
  });
  // One address under two names would have two prices.
  return upstreams && new Set(upstreams.map(({ url }) => url)).size === upstreams.length ? upstreams : undefined;
}

/** As the OpenTelemetry specification has it: values may be percent-encoded. */
function parseHeaders(text: string): Readonly<Record<string, string>> | undefined {
  const headers = parseList(text, (item) => {
    const [, name, value] = /^([\w!#$%&'*+.^`|~-]+)\s*=\s*(.*)$/.exec(item) ?? [];
    const decoded = value === undefined ? undefined : decodeOrUndefined(value);
    return name === undefined || decoded === undefined || /[^\t\x20-\x7e]/.test(decoded) ? undefined : ([name, decoded] as const);
  });
  return headers && Object.fromEntries(headers);
}

function decodeOrUndefined(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function parseCidr(text: string): string | undefined {
  if (ipaddr.isValidCIDR(text)) return text;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return `${text}/32`;
  return ipaddr.IPv6.isValid(text) ? `${text}/128` : undefined;
}

const nullSpendKey = () =>
  variable("ns_live_sk_ followed by 32 lowercase hex characters", (text) => (/^ns_live_sk_[0-9a-f]{32}$/.test(text) ? text : undefined));

const Variables = z.object({
  NODE_ENV: oneOf(["production", "development", "test"]),
  PORT: wholeNumber(0, 65_535),
  NEXTAUTH_URL: variable("an origin like https://nullspend.example.com, without a path", (text) => {
    const url = parseBaseUrl(text);
    return url !== undefined && new URL(url).pathname === "/" ? url : undefined;
  }),
  SIGNUP: oneOf(["open", "invite"]),

  DATABASE_URL: address(["postgres:", "postgresql:"], "postgres://user:password@host:5432/database"),
  DATA_DIR: anyText(),
  REDIS_URL: address(["redis:", "rediss:"], "redis://host:6379"),
  NEXTAUTH_SECRET: secret("NEXTAUTH_SECRET").optional(),
  ENCRYPTION_KEY: secret("ENCRYPTION_KEY").optional(),

  OPENAI_UPSTREAM_URL: variable(expectedBaseUrl, parseUpstreamUrl),
  ANTHROPIC_UPSTREAM_URL: variable(expectedBaseUrl, parseUpstreamUrl),
  UPSTREAM_ALLOWLIST: variable("pairs like name=https://host, separated by commas, each address once", parseNamedUpstreams),
  TRUSTED_PROXIES: variable("addresses or ranges like 10.0.0.0/8, separated by commas", (text) => parseList(text, parseCidr)),
  BODY_MAX_MIB: wholeNumber(1, 1_024),
  RATE_LIMIT_AUTH_FAILURES_PER_MINUTE: wholeNumber(1, 1_000_000),
  RATE_LIMIT_CALLS_PER_KEY_PER_MINUTE: wholeNumber(1, 100_000_000),

  RESEND_API_KEY: anyText(),
  RESEND_API_URL: baseUrl(),
  EMAIL_FROM: variable("a sender like NullSpend <billing@example.com>", (text) =>
    /^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$/.test(text) ? text : undefined,
  ),
  SMTP_URL: address(["smtp:", "smtps:"], "smtp://user:password@host:587"),
  DEV_MAILBOX: flag(),

  SLACK_CLIENT_ID: anyText(),
  SLACK_CLIENT_SECRET: anyText(),
  SLACK_SIGNING_SECRET: anyText(),
  SLACK_API_URL: baseUrl(),

  STRIPE_SECRET_KEY: anyText(),
  STRIPE_WEBHOOK_SECRET: anyText(),
  STRIPE_PRO_PRICE_ID: anyText(),
  STRIPE_API_URL: baseUrl(),

  S3_ENDPOINT: baseUrl(),
  S3_REGION: anyText(),
  S3_BUCKET: anyText(),
  S3_ACCESS_KEY_ID: anyText(),
  S3_SECRET_ACCESS_KEY: anyText(),
  S3_FORCE_PATH_STYLE: flag(),

  GITHUB_ID: anyText(),
  GITHUB_SECRET: anyText(),
  GOOGLE_CLIENT_ID: anyText(),
  GOOGLE_CLIENT_SECRET: anyText(),

  METRICS_TOKEN: anyText(),
  OTEL_EXPORTER_OTLP_ENDPOINT: baseUrl(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: baseUrl(),
  OTEL_EXPORTER_OTLP_HEADERS: variable("pairs like name=value, separated by commas", parseHeaders),
  OTEL_SERVICE_NAME: variable("1 to 200 characters", (text) => (text.length <= 200 ? text : undefined)),
  PRICE_REFRESH: flag(),
  LOG_LEVEL: oneOf(logLevels),
  WEBHOOK_ALLOW_PRIVATE: flag(),

  NULLSPEND_INIT_USER_EMAIL: variable("an e-mail address", (text) => (z.email().safeParse(text).success ? text.toLowerCase() : undefined)),
  NULLSPEND_INIT_USER_PASSWORD: variable("at least 8 characters", (text) => (text.length >= 8 ? text : undefined)),
  NULLSPEND_INIT_ORG_NAME: variable("1 to 100 characters", (text) => (text.length <= 100 ? text : undefined)),
  NULLSPEND_INIT_API_KEY: nullSpendKey(),
  NULLSPEND_INIT_ADMIN_KEY: nullSpendKey(),
});

/** Every variable there is, for the documentation's test. */
export const variableNames: readonly string[] = Object.keys(Variables.shape);

/** Variables that only mean something together: with any of the first, all of the second must be there. */
const belongTogether: readonly { any: readonly string[]; need: readonly string[] }[] = [
  { any: ["RESEND_API_KEY", "SMTP_URL"], need: ["EMAIL_FROM"] },
  { any: ["SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"], need: ["SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"] },
  {
    any: ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_PRO_PRICE_ID"],
    need: ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_PRO_PRICE_ID"],
  },
  {
    any: ["S3_BUCKET", "S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"],
    need: ["S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"],
  },
  { any: ["GITHUB_ID", "GITHUB_SECRET"], need: ["GITHUB_ID", "GITHUB_SECRET"] },
  { any: ["GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"], need: ["GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"] },
  { any: ["NULLSPEND_INIT_USER_PASSWORD"], need: ["NULLSPEND_INIT_USER_EMAIL"] },
];

/** Parses the environment, or throws an `EnvError` with all that is wrong at once. An empty value counts as absent. */
export function readEnv(source: Readonly<Record<string, string | undefined>>): Env {
  const given = Object.fromEntries(variableNames.map((name) => [name, source[name]]).filter(([, value]) => value?.trim()));
  const parsed = Variables.safeParse(given);
  const problems = [
    ...(parsed.error?.issues ?? []).map((issue): EnvProblem => ({ name: String(issue.path[0]), problem: issue.message })),
    ...problemsAcross(given),
  ];
  if (!parsed.success || problems.length > 0) throw new EnvError(problems);
  return group(parsed.data);
}

function problemsAcross(given: Readonly<Record<string, string | undefined>>): EnvProblem[] {
  const problems: EnvProblem[] = [];
  const missing = (name: string, why: string) => {
    if (given[name] === undefined && !problems.some((other) => other.name === name)) problems.push({ name, problem: `is missing: ${why}` });
  };
  if (given.DATABASE_URL !== undefined) {
    missing("NEXTAUTH_SECRET", "with DATABASE_URL it must be given (openssl rand -base64 32)");
    missing("ENCRYPTION_KEY", "with DATABASE_URL it must be given (openssl rand -hex 32)");
  }
  for (const { any, need } of belongTogether) {
    const present = any.filter((name) => given[name] !== undefined);
    if (present.length > 0) for (const name of need) missing(name, `${present.join(" and ")} cannot be used without it`);
  }
  if (given.RESEND_API_KEY !== undefined && given.SMTP_URL !== undefined) {
    problems.push({ name: "SMTP_URL", problem: "is one too many: mail goes through Resend or SMTP, and RESEND_API_KEY is set too" });
  }
  if (given.NULLSPEND_INIT_ADMIN_KEY !== undefined && given.NULLSPEND_INIT_ADMIN_KEY === given.NULLSPEND_INIT_API_KEY) {
    problems.push({ name: "NULLSPEND_INIT_ADMIN_KEY", problem: "is the same as NULLSPEND_INIT_API_KEY: agents would hold all rights" });
  }
  return problems;
}

/** By who uses it. Which variables come together has been checked before. */
function group(v: z.output<typeof Variables>): Env {
  return {
    nodeEnv: v.NODE_ENV ?? "production",
    port: v.PORT ?? 3000,
    publicUrl: v.NEXTAUTH_URL,
    signup: v.SIGNUP ?? "open",
    database:
      v.DATABASE_URL === undefined ? { kind: "embedded", dataDir: v.DATA_DIR ?? ".data" } : { kind: "external", url: v.DATABASE_URL },
    redisUrl: v.REDIS_URL,
    secrets: {
      nextAuthSecret: v.NEXTAUTH_SECRET,
      encryptionKey: v.ENCRYPTION_KEY === undefined ? undefined : parseEncryptionKey(v.ENCRYPTION_KEY),
    },
    gateway: {
      openaiUpstreamUrl: v.OPENAI_UPSTREAM_URL ?? "https://api.openai.com",
      anthropicUpstreamUrl: v.ANTHROPIC_UPSTREAM_URL ?? "https://api.anthropic.com",
      upstreamAllowlist: v.UPSTREAM_ALLOWLIST ?? [],
      trustedProxies: v.TRUSTED_PROXIES ?? [],
      bodyBytesMax: (v.BODY_MAX_MIB ?? 64) * 1_048_576,
      authFailuresPerMinuteMax: v.RATE_LIMIT_AUTH_FAILURES_PER_MINUTE ?? 30,
      callsPerKeyPerMinuteMax: v.RATE_LIMIT_CALLS_PER_KEY_PER_MINUTE ?? 60_000,
    },
    mail: { delivery: mailDelivery(v), devMailbox: v.DEV_MAILBOX ?? false },
    slack: {
      apiUrl: v.SLACK_API_URL ?? "https://slack.com/api",
      signingSecret: v.SLACK_SIGNING_SECRET,
      oauth: oauthClient(v.SLACK_CLIENT_ID, v.SLACK_CLIENT_SECRET),
    },
    stripe:
      v.STRIPE_SECRET_KEY !== undefined && v.STRIPE_WEBHOOK_SECRET !== undefined && v.STRIPE_PRO_PRICE_ID !== undefined
        ? {
            secretKey: v.STRIPE_SECRET_KEY,
            webhookSecret: v.STRIPE_WEBHOOK_SECRET,
            proPriceId: v.STRIPE_PRO_PRICE_ID,
            apiUrl: v.STRIPE_API_URL ?? "https://api.stripe.com",
          }
        : undefined,
    s3:
      v.S3_BUCKET !== undefined && v.S3_ACCESS_KEY_ID !== undefined && v.S3_SECRET_ACCESS_KEY !== undefined
        ? {
            endpoint: v.S3_ENDPOINT,
            region: v.S3_REGION ?? "us-east-1",
            bucket: v.S3_BUCKET,
            accessKeyId: v.S3_ACCESS_KEY_ID,
            secretAccessKey: v.S3_SECRET_ACCESS_KEY,
            forcePathStyle: v.S3_FORCE_PATH_STYLE ?? v.S3_ENDPOINT !== undefined,
          }
        : undefined,
    signIn: { github: oauthClient(v.GITHUB_ID, v.GITHUB_SECRET), google: oauthClient(v.GOOGLE_CLIENT_ID, v.GOOGLE_CLIENT_SECRET) },
    metricsToken: v.METRICS_TOKEN,
    telemetry: telemetry(v),
    refreshPrices: v.PRICE_REFRESH ?? false,
    logLevel: v.LOG_LEVEL ?? "info",
    webhook: { allowPrivate: v.WEBHOOK_ALLOW_PRIVATE ?? false },
    init: {
      userEmail: v.NULLSPEND_INIT_USER_EMAIL,
      userPassword: v.NULLSPEND_INIT_USER_PASSWORD,
      orgName: v.NULLSPEND_INIT_ORG_NAME,
      apiKey: v.NULLSPEND_INIT_API_KEY,
      adminKey: v.NULLSPEND_INIT_ADMIN_KEY,
    },
  };
}

function mailDelivery(v: z.output<typeof Variables>): Env["mail"]["delivery"] {
  if (v.EMAIL_FROM === undefined) return { via: "mailbox" };
  if (v.RESEND_API_KEY !== undefined) {
    return {
      via: "resend",
      apiKey: v.RESEND_API_KEY,
      from: v.EMAIL_FROM,
      ...(v.RESEND_API_URL !== undefined && { apiUrl: v.RESEND_API_URL }),
    };
  }
  if (v.SMTP_URL !== undefined) return { via: "smtp", url: v.SMTP_URL, from: v.EMAIL_FROM };
  return { via: "mailbox" };
}

/** The general address is a base, the one for traces is whole. */
function telemetry(v: z.output<typeof Variables>): Env["telemetry"] {
  const base = v.OTEL_EXPORTER_OTLP_ENDPOINT;
  const tracesUrl = v.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === undefined ? undefined : `${base}/v1/traces`);
  if (tracesUrl === undefined) return undefined;
  return { tracesUrl, headers: v.OTEL_EXPORTER_OTLP_HEADERS ?? {}, serviceName: v.OTEL_SERVICE_NAME ?? "nullspend" };
}

function oauthClient(clientId: string | undefined, clientSecret: string | undefined): OAuthClient | undefined {
  return clientId !== undefined && clientSecret !== undefined ? { clientId, clientSecret } : undefined;
}
