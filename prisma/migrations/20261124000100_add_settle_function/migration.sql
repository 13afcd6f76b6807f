-- The settle door's half in the database. src/server/ledger/settle.ts is its only caller.

-- A cost reported to us counts once per organisation, source, provider and request id. Proxied calls are not in this index: they are
-- unique by our own id, so that nobody can make one disappear by reporting a cost under its request id.
CREATE UNIQUE INDEX "cost_event_reported_key" ON "cost_event" ("org_id", "source", "provider", "request_id")
  WHERE "source" IN ('api', 'mcp');

-- JSON that was encoded twice arrives as a string, and every query by tag would then find nothing without failing.
ALTER TABLE "cost_event" ADD CONSTRAINT "cost_event_tags_is_object" CHECK (jsonb_typeof("tags") = 'object');

-- Sums of hostile amounts must not overflow: a sum that cannot be stored would refuse every later event of its hour.
CREATE FUNCTION "saturated"("amount" numeric) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN least("amount", 9223372036854775807)::bigint;

-- Records a batch of calls in one transaction: the events, and what they add to the sums per hour and per session.
--
-- `events` is an array of `events_count` objects whose keys are columns of cost_event; an absent key is NULL. The caller sorts it so
-- that events which could collide (same id, or same reported request) come in the same order in every process: inserting waits for
-- a transaction that is inserting the same key, and two batches in opposite orders would wait for each other.
--
-- Returns one row per reported event that had been told before, with the id under which it is stored. Every other event is durable
-- under its own id once the transaction commits, whether this call wrote it or an earlier one did.
--
-- Sums are made of what was truly inserted, so that a batch sent twice changes nothing. Their rows are written in key order, and
-- the tables always in the same order, so that processes queue instead of deadlocking.
CREATE FUNCTION "settle_calls"("events" json, "events_count" integer) RETURNS TABLE ("event_id" uuid, "stored_id" uuid)
LANGUAGE plpgsql VOLATILE
-- Fresh tables have no statistics, and plans are kept while tables grow a thousandfold: only plans that look rows up by index may be
-- chosen. Planning anew for every call would cost more than the call.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  "inserted_count" bigint;
  "org_ids" uuid[];
  "key_ids" uuid[];
BEGIN
  WITH "inserted" AS (
    INSERT INTO "cost_event" (
      "org_id", "id", "request_id", "created_at", "status", "denial_code", "http_status", "source", "event_type", "provider", "model",
      "requested_model", "service_tier", "endpoint", "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens",
      "reasoning_tokens", "cost_nano", "charged_nano", "cost_basis", "cost_breakdown", "lines", "price_version", "estimated_nano",
      "budget_status", "stop_reason", "tool_calls", "tool_name", "tool_server", "duration_ms", "upstream_duration_ms",
      "time_to_first_byte_ms", "overhead_ms", "session_id", "trace_id", "span_id", "parent_span_id", "action_id", "customer_id",
      "tags", "api_key_id", "key_name", "user_id"
    )
    SELECT
      "org_id", "id", "request_id", "created_at", "status", "denial_code", "http_status", "source", "event_type", "provider", "model",
      "requested_model", "service_tier", "endpoint", "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens",
      "reasoning_tokens", "cost_nano", "charged_nano", "cost_basis", "cost_breakdown", "lines", "price_version", "estimated_nano",
      "budget_status", "stop_reason", "tool_calls", "tool_name", "tool_server", "duration_ms", "upstream_duration_ms",
      "time_to_first_byte_ms", "overhead_ms", "session_id", "trace_id", "span_id", "parent_span_id", "action_id", "customer_id",
      coalesce("tags", '{}'), "api_key_id", "key_name", "user_id"
    FROM json_to_recordset("events") AS "event" (
      "org_id" uuid, "id" uuid, "request_id" text, "created_at" timestamptz, "status" text, "denial_code" text, "http_status" smallint,
      "source" text, "event_type" text, "provider" text, "model" text, "requested_model" text, "service_tier" text, "endpoint" text,
      "input_tokens" integer, "output_tokens" integer, "cached_input_tokens" integer, "cache_write_tokens" integer,
      "reasoning_tokens" integer, "cost_nano" bigint, "charged_nano" bigint, "cost_basis" text, "cost_breakdown" jsonb, "lines" jsonb,
      "price_version" text, "estimated_nano" bigint, "budget_status" text, "stop_reason" text, "tool_calls" jsonb, "tool_name" text,
      "tool_server" text, "duration_ms" real, "upstream_duration_ms" real, "time_to_first_byte_ms" real, "overhead_ms" real,
      "session_id" text, "trace_id" text, "span_id" text, "parent_span_id" text, "action_id" uuid, "customer_id" text, "tags" jsonb,
      "api_key_id" uuid, "key_name" text, "user_id" uuid
    )
    ON CONFLICT DO NOTHING
    RETURNING *
  ),
  "fact" AS (
    SELECT
      "org_id", date_trunc('hour', "created_at", 'UTC') AS "hour", "created_at", "api_key_id", "user_id", "provider", "model",
      "customer_id", "source", "tool_name", "tags", "session_id",
      ("status" = 'denied')::int AS "denied",
      ("status" NOT IN ('ok', 'denied'))::int AS "failed",
      ("cost_basis" = 'unpriced')::int AS "unpriced",
      coalesce("cost_nano", 0) AS "cost",
      coalesce(("cost_breakdown"->>'input')::bigint, 0) AS "input_cost",
      coalesce(("cost_breakdown"->>'cached')::bigint, 0) AS "cached_cost",
      coalesce(("cost_breakdown"->>'cacheWrite')::bigint, 0) AS "cache_write_cost",
      coalesce(("cost_breakdown"->>'output')::bigint, 0) AS "output_cost",
      coalesce(("cost_breakdown"->>'reasoning')::bigint, 0) AS "reasoning_cost",
      coalesce(("cost_breakdown"->>'tools')::bigint, 0) AS "tools_cost",
      coalesce("input_tokens", 0)::bigint AS "input_tokens",
      coalesce("output_tokens", 0)::bigint AS "output_tokens",
      coalesce("cached_input_tokens", 0)::bigint AS "cached_input_tokens",
      coalesce("cache_write_tokens", 0)::bigint AS "cache_write_tokens",
      coalesce("reasoning_tokens", 0)::bigint AS "reasoning_tokens",
      coalesce(round("duration_ms"), 0)::bigint AS "duration"
    FROM "inserted"
  ),
  "rolled_up" AS (
    INSERT INTO "cost_rollup" AS "rollup" (
      "org_id", "dimension", "hour", "value", "calls", "denied_calls", "failed_calls", "unpriced_calls", "cost_nano", "input_cost_nano",
      "cached_cost_nano", "cache_write_cost_nano", "output_cost_nano", "reasoning_cost_nano", "tools_cost_nano", "input_tokens",
      "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "duration_ms"
    )
    SELECT
      "org_id", "dimension", "hour", "value", count(*), sum("denied"), sum("failed"), sum("unpriced"), "saturated"(sum("cost")),
      "saturated"(sum("input_cost")), "saturated"(sum("cached_cost")), "saturated"(sum("cache_write_cost")),
      "saturated"(sum("output_cost")), "saturated"(sum("reasoning_cost")), "saturated"(sum("tools_cost")), sum("input_tokens"),
      sum("output_tokens"), sum("cached_input_tokens"), sum("cache_write_tokens"), sum("reasoning_tokens"), sum("duration")
    FROM "fact", LATERAL (
      VALUES ('total', 'all'), ('api_key', "api_key_id"::text), ('user', "user_id"::text), ('provider', "provider"),
        ('model', "provider" || '/' || "model"), ('customer', "customer_id"), ('source', "source"), ('tool', "tool_name")
      UNION ALL
      SELECT 'tag:' || "key", "value" FROM jsonb_each_text("tags")
    ) AS "part" ("dimension", "value")
    WHERE "value" IS NOT NULL
    GROUP BY "org_id", "dimension", "hour", "value"
    ORDER BY "org_id", "dimension", "hour", "value"
    ON CONFLICT ("org_id", "dimension", "hour", "value") DO UPDATE SET
      "calls" = "rollup"."calls" + excluded."calls",
      "denied_calls" = "rollup"."denied_calls" + excluded."denied_calls",
      "failed_calls" = "rollup"."failed_calls" + excluded."failed_calls",
      "unpriced_calls" = "rollup"."unpriced_calls" + excluded."unpriced_calls",
      "cost_nano" = "saturated"("rollup"."cost_nano"::numeric + excluded."cost_nano"),
      "input_cost_nano" = "saturated"("rollup"."input_cost_nano"::numeric + excluded."input_cost_nano"),
      "cached_cost_nano" = "saturated"("rollup"."cached_cost_nano"::numeric + excluded."cached_cost_nano"),
      "cache_write_cost_nano" = "saturated"("rollup"."cache_write_cost_nano"::numeric + excluded."cache_write_cost_nano"),
      "output_cost_nano" = "saturated"("rollup"."output_cost_nano"::numeric + excluded."output_cost_nano"),
      "reasoning_cost_nano" = "saturated"("rollup"."reasoning_cost_nano"::numeric + excluded."reasoning_cost_nano"),
      "tools_cost_nano" = "saturated"("rollup"."tools_cost_nano"::numeric + excluded."tools_cost_nano"),
      "input_tokens" = "rollup"."input_tokens" + excluded."input_tokens",
      "output_tokens" = "rollup"."output_tokens" + excluded."output_tokens",
      "cached_input_tokens" = "rollup"."cached_input_tokens" + excluded."cached_input_tokens",
      "cache_write_tokens" = "rollup"."cache_write_tokens" + excluded."cache_write_tokens",
      "reasoning_tokens" = "rollup"."reasoning_tokens" + excluded."reasoning_tokens",
      "duration_ms" = "rollup"."duration_ms" + excluded."duration_ms"
  ),
  "in_session" AS (
    INSERT INTO "cost_session" AS "session" (
      "org_id", "session_id", "first_event_at", "last_event_at", "calls", "denied_calls", "cost_nano", "input_tokens", "output_tokens",
      "duration_ms"
    )
    SELECT
      "org_id", "session_id", min("created_at"), max("created_at"), count(*), sum("denied"), "saturated"(sum("cost")),
      sum("input_tokens"), sum("output_tokens"), sum("duration")
    FROM "fact"
    WHERE "session_id" IS NOT NULL
    GROUP BY "org_id", "session_id"
    ORDER BY "org_id", "session_id"
    ON CONFLICT ("org_id", "session_id") DO UPDATE SET
      "first_event_at" = least("session"."first_event_at", excluded."first_event_at"),
      "last_event_at" = greatest("session"."last_event_at", excluded."last_event_at"),
      "calls" = "session"."calls" + excluded."calls",
      "denied_calls" = "session"."denied_calls" + excluded."denied_calls",
      "cost_nano" = "saturated"("session"."cost_nano"::numeric + excluded."cost_nano"),
      "input_tokens" = "session"."input_tokens" + excluded."input_tokens",
      "output_tokens" = "session"."output_tokens" + excluded."output_tokens",
      "duration_ms" = "session"."duration_ms" + excluded."duration_ms"
  )
  SELECT
    count(*), array_agg(DISTINCT "org_id"), array_agg(DISTINCT "api_key_id") FILTER (WHERE "api_key_id" IS NOT NULL)
  INTO "inserted_count", "org_ids", "key_ids"
  FROM "fact";

  -- Rows that somebody else holds are skipped: money must not wait for a change of a key, and another batch is soon to follow.
  UPDATE "api_key" SET "last_used_at" = now()
  WHERE "id" = ANY (ARRAY(
    SELECT "id" FROM "api_key"
    WHERE "id" = ANY ("key_ids") AND "org_id" = ANY ("org_ids")
      AND ("last_used_at" IS NULL OR "last_used_at" < now() - interval '1 minute')
    ORDER BY "id"
    FOR NO KEY UPDATE SKIP LOCKED
  ));

  IF "inserted_count" = "events_count" THEN
    RETURN;
  END IF;

  -- A statement of its own, for a snapshot that sees what the insert collided with.
  RETURN QUERY
  SELECT "event"."id", (
    SELECT "stored"."id" FROM "cost_event" AS "stored"
    WHERE "stored"."org_id" = "event"."org_id" AND "stored"."source" = "event"."source" AND "stored"."source" IN ('api', 'mcp')
      AND "stored"."provider" = "event"."provider" AND "stored"."request_id" = "event"."request_id"
  )
  FROM json_to_recordset("events") AS "event" ("org_id" uuid, "id" uuid, "source" text, "provider" text, "request_id" text)
  WHERE NOT EXISTS (
    SELECT FROM "cost_event" AS "own" WHERE "own"."org_id" = "event"."org_id" AND "own"."id" = "event"."id"
  );
END
$$;
