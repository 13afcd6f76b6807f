/**
 * Fills a database of its own with a long history, as SQL, and with the sums that the settle door would have made of it. Times end
 * now; ids are UUIDv7 of their times, as the gateway makes them.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Client } from "pg";
import { migrate } from "@/lib/db/migrate";
import { SEED_ORG_ID, SEED_USER_ID, seedKeyId } from "./seed-names";

const { values } = parseArgs({
  options: {
    database: { type: "string", default: "postgres://postgres@127.0.0.1:5432/nullspend_seed" },
    events: { type: "string", default: "10000000" },
    days: { type: "string", default: "90" },
  },
});
const EVENTS = Number(values.events);
const DAYS = Number(values.days);
const KEYS = 40;
const CUSTOMERS = 2_000;
/** Events per statement: memory stays bounded, and progress can be told. */
const CHUNK = 1_000_000;
const startedAt = performance.now();
const say = (text: string): void => console.log(`${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${text}`);

const url = new URL(values.database);
const name = url.pathname.slice(1);
if (!/^[a-z][a-z0-9_]*$/.test(name) || name === "postgres") throw new Error("--database needs a name of its own");

const admin = new Client({ connectionString: new URL("/postgres", url).href });
await admin.connect();
await admin.query(`drop database if exists ${name} with (force)`);
await admin.query(`create database ${name} template template0`);
await admin.end();
await migrate({ connectionString: url.href, migrationsDir: join(process.cwd(), "prisma/migrations") });
say(`${name} is made`);

const db = new Client({ connectionString: url.href });
await db.connect();
for (const setting of ["synchronous_commit = off", "work_mem = '512MB'", "maintenance_work_mem = '1GB'", "jit = off"]) {
  await db.query(`set ${setting}`);
}

await db.query(`insert into organisation (id, name, slug, timezone) values ($1, 'Long history', 'long-history', 'Europe/Berlin')`, [
  SEED_ORG_ID,
]);
await db.query(`insert into app_user (id, name, email, email_verified) values ($1, 'Owner', 'owner@example.com', now())`, [SEED_USER_ID]);
await db.query(`insert into membership (org_id, user_id, role) values ($1, $2, 'owner')`, [SEED_ORG_ID, SEED_USER_ID]);
for (let key = 0; key < KEYS; key += 1) {
  await db.query(`insert into api_key (id, org_id, user_id, name, scopes) values ($1, $2, $3, $4, '{proxy,ingest,self}')`, [
    seedKeyId(key),
    SEED_ORG_ID,
    SEED_USER_ID,
    `agent-${key}`,
  ]);
}

// What sums are made of stays narrow: a dozen passes over it are cheaper than over the events themselves. Squared and cubed random
// numbers make a few keys, customers and models common and most of them rare.
await db.query(`
  create unlogged table seed_fact (
    n integer, at timestamptz(3), key smallint, customer smallint, model smallint, team smallint, feature smallint, tool smallint,
    status smallint, input integer, cached integer, output integer, reasoning integer, input_nano bigint, cached_nano bigint,
    output_nano bigint, session text
  )`);
for (let from = 0; from < EVENTS; from += CHUNK) {
  const to = Math.min(from + CHUNK, EVENTS);
  await db.query(`select setseed($1)`, [from / CHUNK / 1_000]);
  await db.query(
    `insert into seed_fact
     select n, at, key, customer, model, team, feature, tool, status,
       case when status < 4 then input end, case when status < 4 then cached end, case when status < 4 then output end,
       case when status < 4 and model % 4 = 0 then output / 3 else 0 end,
       case when status < 4 then (input - cached) * rate else 0 end, case when status < 4 then cached * rate / 10 else 0 end,
       case when status < 4 then output * rate * 4 else 0 end,
       -- Twenty calls of a session lie among those of ninety-nine others.
       'run-' || (n / 2000) || '-' || (n % 100)
     from (
       select n, date_trunc('milliseconds', now() - $3::int * interval '1 day' + (n::float8 / $4 * $3::int) * interval '1 day') as at,
         floor(${KEYS} * power(random(), 2))::smallint as key, floor(${CUSTOMERS} * power(random(), 3))::smallint as customer,
         floor(20 * power(random(), 2))::smallint as model, floor(12 * random())::smallint as team, floor(60 * power(random(), 2))::smallint as feature,
         case when random() < 0.1 then floor(30 * random())::smallint end as tool,
         case when random() < 0.96 then 0 when random() < 0.5 then 4 else 1 end::smallint as status,
         (200 + power(random(), 3) * 20000)::int as input, (power(random(), 4) * 200)::int as cached, (20 + power(random(), 3) * 4000)::int as output,
         (array[150, 250, 400, 1000, 3000, 5000])[1 + floor(6 * random())::int]::bigint as rate
       from generate_series($1::int, $2::int - 1) as n
     ) as drawn`,
    [from, to, DAYS, EVENTS],
  );
  say(`${to.toLocaleString("en-US")} facts`);
}

const PROVIDER = "case when model % 2 = 0 then 'openai' else 'anthropic' end";
const MODEL = "(case when model % 2 = 0 then 'gpt-bench-' else 'claude-bench-' end || model)";
const KEY = "('00000000-0000-7000-8000-' || lpad(to_hex(4096 + key), 12, '0'))";
const STATUS = "(array['ok', 'upstream_error', 'cancelled', 'interrupted', 'denied'])[1 + status]";
const COST = "(input_nano + cached_nano + output_nano)";

// Made again when the rows are there: a tree that is built at once is packed, and takes a tenth of the time.
const { rows: indexes } = await db.query<{ name: string; definition: string }>(
  `select indexname as name, indexdef as definition from pg_indexes where tablename = 'cost_event' and indexname <> 'cost_event_pkey'`,
);
for (const index of indexes) await db.query(`drop index "${index.name}"`);
await db.query(`alter table cost_event drop constraint cost_event_pkey`);
for (let from = 0; from < EVENTS; from += CHUNK) {
  await db.query(
    `insert into cost_event (
       org_id, id, request_id, created_at, status, denial_code, http_status, source, event_type, provider, model, requested_model, endpoint,
       input_tokens, output_tokens, cached_input_tokens, cache_write_tokens, reasoning_tokens, cost_nano, charged_nano, cost_basis,
       cost_breakdown, price_version, estimated_nano, budget_status, duration_ms, upstream_duration_ms, time_to_first_byte_ms, overhead_ms,
       session_id, trace_id, span_id, parent_span_id, customer_id, tags, api_key_id, key_name, user_id, tool_name
     )
     select $1::uuid,
       (substr(time, 1, 8) || '-' || substr(time, 9, 4) || '-7' || substr(hash, 1, 3) || '-8' || substr(hash, 4, 3) || '-' || substr(hash, 7, 12))::uuid,
       'req_' || substr(hash, 1, 24), at, ${STATUS}, case when status = 4 then 'budget_exceeded' end,
       case status when 0 then 200 when 4 then 429 else 500 end, 'proxy', 'llm', ${PROVIDER}, ${MODEL}, ${MODEL}, 'chat/completions',
       input, output, cached, 0, reasoning, ${COST}, ${COST}, 'reported',
       jsonb_build_object('input', input_nano, 'cached', cached_nano, 'cacheWrite', 0, 'output', output_nano, 'reasoning', 0, 'tools', 0),
       'bench', ${COST} + 1000000, case when status = 4 then 'denied' else 'approved' end, 900, 880, 210, 0.6,
       session, md5('trace ' || n / 4000 || ' ' || n % 100 || ' ' || (n / 1000) % 4), substr(hash, 1, 16),
       case when (n / 100) % 5 > 0 then substr(md5((n - 100)::text), 1, 16) end,
       'customer-' || customer, jsonb_build_object('team', 'team-' || team, 'feature', 'feature-' || feature, 'env', case when team < 9 then 'prod' else 'dev' end),
       ${KEY}::uuid, 'agent-' || key, $2::uuid, 'tool-' || tool
     from (select *, lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') as time, md5(n::text) as hash
       from seed_fact where n >= $3 and n < $4) as fact
     order by n`,
    [SEED_ORG_ID, SEED_USER_ID, from, Math.min(from + CHUNK, EVENTS)],
  );
  say(`${Math.min(from + CHUNK, EVENTS).toLocaleString("en-US")} events`);
}
await db.query(`alter table cost_event add constraint cost_event_pkey primary key (org_id, id)`);
for (const { definition } of indexes) await db.query(definition);
say("indexes of the events");

const DIMENSIONS: Readonly<Record<string, string>> = {
  total: "'all'",
  api_key: KEY,
  user: `'${SEED_USER_ID}'`,
  provider: PROVIDER,
  model: `${PROVIDER} || '/' || ${MODEL}`,
  customer: "'customer-' || customer",
  source: "'proxy'",
  tool: "'tool-' || tool",
  "tag:team": "'team-' || team",
  "tag:feature": "'feature-' || feature",
  "tag:env": "case when team < 9 then 'prod' else 'dev' end",
};
for (const [dimension, value] of Object.entries(DIMENSIONS)) {
  await db.query(
    `insert into cost_rollup (org_id, hour, dimension, value, calls, denied_calls, failed_calls, unpriced_calls, cost_nano, input_cost_nano,
       cached_cost_nano, cache_write_cost_nano, output_cost_nano, reasoning_cost_nano, tools_cost_nano, input_tokens, output_tokens,
       cached_input_tokens, cache_write_tokens, reasoning_tokens, duration_ms)
     select $1::uuid, date_trunc('hour', at, 'UTC'), $2, value, count(*), count(*) filter (where status = 4),
       count(*) filter (where status between 1 and 3), 0, sum(${COST}), sum(input_nano), sum(cached_nano), 0, sum(output_nano), 0, 0,
       coalesce(sum(input), 0), coalesce(sum(output), 0), coalesce(sum(cached), 0), 0, coalesce(sum(reasoning), 0), count(*) * 900
     from (select *, ${value} as value from seed_fact) as fact
     where value is not null
     group by 2, 4
     order by 2, 4`,
    [SEED_ORG_ID, dimension],
  );
  say(`sums by ${dimension}`);
}
await db.query(
  `insert into cost_session (org_id, session_id, first_event_at, last_event_at, calls, denied_calls, cost_nano, input_tokens, output_tokens, duration_ms)
   select $1::uuid, session, min(at), max(at), count(*), count(*) filter (where status = 4), sum(${COST}), coalesce(sum(input), 0),
     coalesce(sum(output), 0), count(*) * 900
   from seed_fact group by session`,
  [SEED_ORG_ID],
);
say("sessions");
await db.query(`drop table seed_fact`);
await db.query(`vacuum (analyze) cost_event, cost_rollup, cost_session`);
const { rows: sizes } = await db.query<{ size: string }>(`select pg_size_pretty(pg_database_size(current_database())) as size`);
say(`done: ${EVENTS.toLocaleString("en-US")} events over ${DAYS} days, ${sizes[0]!.size}`);
await db.end();
