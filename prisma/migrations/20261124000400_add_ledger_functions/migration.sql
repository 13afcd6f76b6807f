-- The ledger's half in the database: src/server/ledger is its only caller. Every function takes its locks in the same order
-- (reservations by call id, events and sums in key order, balances by id, velocity windows by budget id), so that processes queue
-- instead of deadlocking, and each locks, then reads, then writes in separate statements: folded into one, Postgres would test the
-- CHECK constraints against rows as they were before the lock.

-- Nothing is held or spent past a hard limit, unless a row of budget_excess says why.
ALTER TABLE "budget_balance"
  ADD CONSTRAINT "budget_balance_amounts" CHECK ("reserved_nano" >= 0 AND "spent_nano" >= 0 AND "excess_nano" >= 0 AND "limit_nano" >= 0),
  ADD CONSTRAINT "budget_balance_limit" CHECK (
    "kind" NOT IN (0, 3) OR "spent_nano"::numeric + "reserved_nano" <= "limit_nano"::numeric + "excess_nano"
  ),
  -- Balances are updated at every call; a page with room keeps the new version beside the old one.
  SET (fillfactor = 50);
ALTER TABLE "reservation"
  ADD CONSTRAINT "reservation_state" CHECK ("state" IN ('held', 'expired')),
  ADD CONSTRAINT "reservation_lines" CHECK (cardinality("balance_ids") = cardinality("amounts"));
ALTER TABLE "budget" ADD CONSTRAINT "budget_max_positive" CHECK ("max_nano" > 0);

-- One balance of a budget starts at an instant; one belongs to a session.
CREATE UNIQUE INDEX "budget_balance_period_key" ON "budget_balance" ("budget_id", "starts_at") WHERE "session_id" IS NULL;
CREATE UNIQUE INDEX "budget_balance_session_key" ON "budget_balance" ("budget_id", "session_id") WHERE "session_id" IS NOT NULL;
-- Two budgets of the same scope would only be confusing.
CREATE UNIQUE INDEX "budget_scope_key" ON "budget" ("org_id", "entity_type", "entity_id", "models", "providers", "reset_interval")
  WHERE "deleted_at" IS NULL;
CREATE INDEX "reservation_lease" ON "reservation" ("lease_until") WHERE "state" = 'held';
CREATE INDEX "outbox_event_unsent" ON "outbox_event" ("created_at") WHERE "sent_at" IS NULL;

CREATE FUNCTION "budget_kind"("policy" text) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE "policy" WHEN 'strict_block' THEN 0 WHEN 'soft_block' THEN 1 ELSE 2 END::smallint;

-- What webhooks about a balance carry (CONTRACT §9). Ids get their prefix here, since nothing after this needs them bare.
CREATE FUNCTION "budget_payload"("of_balance" bigint) RETURNS jsonb LANGUAGE sql STABLE
RETURN (
  SELECT jsonb_build_object(
    'budget_id', 'ns_bgt_' || "budget"."id",
    'budget_entity_type', "budget"."entity_type",
    'budget_entity_id', CASE "budget"."entity_type"
      WHEN 'user' THEN 'ns_usr_' || "budget"."entity_id" WHEN 'api_key' THEN 'ns_key_' || "budget"."entity_id" ELSE "budget"."entity_id" END,
    'budget_limit_microdollars', "balance"."limit_nano"::numeric / 1000,
    'budget_spend_microdollars', "balance"."spent_nano"::numeric / 1000,
    'period_start', "balance"."starts_at",
    'period_end', "balance"."ends_at"
  ) || CASE WHEN "balance"."session_id" IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('session_id', "balance"."session_id") END
  FROM "budget_balance" AS "balance" JOIN "budget" ON "budget"."id" = "balance"."budget_id"
  WHERE "balance"."id" = "of_balance"
);

-- Finds the balances that calls count against now, and opens those that are not there yet: of a new period, or of a session's
-- first call. Which period it is was computed by the caller, from the budget's calendar; whether it has come is this clock's word.
--
-- Returns a row per request, by its place; `balance_id` null where the budget is gone or the period is not the current one (the
-- caller's clock or configuration is behind: it reads both again).
CREATE FUNCTION "open_balances"(
  "budget_ids" uuid[], "session_ids" text[], "period_starts" timestamptz[], "period_ends" timestamptz[]
) RETURNS TABLE ("place" integer, "balance_id" bigint, "starts_at" timestamptz, "ends_at" timestamptz)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
  "of_budget" record;
  "found_balance" record;
  "opening" text;
BEGIN
  FOR "of_budget" IN
    SELECT "wanted"."place", "wanted"."session_id", "wanted"."period_start", "wanted"."period_end", "budget".*,
      -- After an edit of the calendar or a reset, the period that runs began when the one before it ended.
      greatest(CASE "budget"."reset_interval" WHEN 'none' THEN "budget"."created_at" ELSE "wanted"."period_start" END, (
        SELECT max("ends_at") FROM "budget_balance" AS "before"
        WHERE "before"."org_id" = "budget"."org_id" AND "before"."budget_id" = "budget"."id" AND "before"."session_id" IS NULL
          AND "before"."ends_at" <= clock_timestamp()
      )) AS "opens_at"
    FROM unnest("budget_ids", "session_ids", "period_starts", "period_ends")
      WITH ORDINALITY AS "wanted" ("id", "session_id", "period_start", "period_end", "place")
    JOIN "budget" ON "budget"."id" = "wanted"."id" AND "budget"."deleted_at" IS NULL
    -- In one order everywhere; shared, so that a limit being edited is read after it is set.
    ORDER BY "budget"."id", "wanted"."place"
    FOR KEY SHARE OF "budget"
  LOOP
    "place" := "of_budget"."place";
    FOR "attempt" IN 1 .. 2 LOOP
      "balance_id" := NULL;
      IF "of_budget"."session_id" IS NULL THEN
        SELECT "balance"."id", "balance"."starts_at", "balance"."ends_at" INTO "balance_id", "starts_at", "ends_at"
        FROM "budget_balance" AS "balance"
        WHERE "balance"."org_id" = "of_budget"."org_id" AND "balance"."budget_id" = "of_budget"."id" AND "balance"."session_id" IS NULL
          AND "balance"."starts_at" <= clock_timestamp() AND ("balance"."ends_at" IS NULL OR clock_timestamp() < "balance"."ends_at");
      ELSE
        SELECT "balance"."id", "balance"."starts_at", "balance"."ends_at" INTO "balance_id", "starts_at", "ends_at"
        FROM "budget_balance" AS "balance"
        WHERE "balance"."budget_id" = "of_budget"."id" AND "balance"."session_id" = "of_budget"."session_id";
      END IF;
      EXIT WHEN "balance_id" IS NOT NULL OR "attempt" = 2;
      EXIT WHEN "of_budget"."session_id" IS NULL AND NOT (
        "of_budget"."opens_at" <= clock_timestamp()
        AND ("of_budget"."period_end" IS NULL OR clock_timestamp() < "of_budget"."period_end")
      );
      SELECT CASE
        WHEN "of_budget"."session_id" IS NOT NULL THEN 'session'
        WHEN EXISTS (SELECT FROM "budget_balance" AS "earlier" WHERE "earlier"."org_id" = "of_budget"."org_id"
          AND "earlier"."budget_id" = "of_budget"."id" AND "earlier"."session_id" IS NULL) THEN 'rolled_over'
        ELSE 'created'
      END INTO "opening";
      INSERT INTO "budget_balance" (
        "org_id", "budget_id", "session_id", "starts_at", "ends_at", "kind", "limit_nano", "thresholds", "opened_by"
      )
      SELECT
        "of_budget"."org_id", "of_budget"."id", "of_budget"."session_id",
        CASE WHEN "of_budget"."session_id" IS NULL THEN "of_budget"."opens_at" ELSE clock_timestamp() END,
        CASE WHEN "of_budget"."session_id" IS NULL THEN "of_budget"."period_end" END,
        CASE WHEN "of_budget"."session_id" IS NOT NULL THEN 3 ELSE "budget_kind"("of_budget"."policy") END,
        CASE WHEN "of_budget"."session_id" IS NOT NULL THEN "of_budget"."session_limit_nano" ELSE "of_budget"."max_nano" END,
        CASE WHEN "of_budget"."session_id" IS NULL THEN "of_budget"."thresholds" ELSE '{}' END,
        "opening"
      WHERE "of_budget"."session_id" IS NULL OR "of_budget"."session_limit_nano" IS NOT NULL
      ON CONFLICT DO NOTHING
      RETURNING "id", "starts_at", "ends_at" INTO "found_balance";
      IF FOUND AND "opening" = 'rolled_over' THEN
        INSERT INTO "outbox_event" ("org_id", "type", "payload")
        VALUES ("of_budget"."org_id", 'budget.reset', "budget_payload"("found_balance"."id"));
      END IF;
    END LOOP;
    RETURN NEXT;
  END LOOP;
END
$$;

-- The number of the velocity bucket that an instant falls in: sixty to a window.
CREATE FUNCTION "velocity_bucket"("at" timestamptz, "window_seconds" integer) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN floor(extract(epoch FROM "at") * 60 / "window_seconds")::bigint;

-- What a window holds now: the buckets that are not older than it.
CREATE FUNCTION "velocity_sum"("buckets" bigint[], "head" bigint, "now_bucket" bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN "now_bucket" - "head" >= 60 THEN 0 ELSE (
  SELECT coalesce(sum("buckets"[("bucket" % 60) + 1]), 0)::bigint
  FROM generate_series(greatest("now_bucket" - 59, "head" - 59), "head") AS "bucket"
) END;

-- Turns a ring on to a bucket: those that were passed over held nothing.
CREATE FUNCTION "velocity_turned"("buckets" bigint[], "head" bigint, "now_bucket" bigint) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
  IF "now_bucket" - "head" >= 60 THEN
    RETURN array_fill(0::bigint, ARRAY[60]);
  END IF;
  FOR "bucket" IN "head" + 1 .. "now_bucket" LOOP
    "buckets"[("bucket" % 60) + 1] := 0;
  END LOOP;
  RETURN "buckets";
END
$$;

-- A ring turned on to `now_bucket`, with an amount (which may be negative) added to one of its buckets, if it is still there.
CREATE FUNCTION "velocity_with"("buckets" bigint[], "head" bigint, "now_bucket" bigint, "bucket" bigint, "amount" bigint) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
  "buckets" := "velocity_turned"("buckets", "head", "now_bucket");
  IF "bucket" > "now_bucket" - 60 AND "bucket" <= "now_bucket" THEN
    "buckets"[("bucket" % 60) + 1] := greatest(0, "buckets"[("bucket" % 60) + 1] + "amount");
  END IF;
  RETURN "buckets";
END
$$;

-- A session that spent before has the tolerance of `soft_block`.
CREATE FUNCTION "is_running_session"("of_org" uuid, "session" text) RETURNS boolean LANGUAGE sql STABLE
RETURN "session" IS NOT NULL AND EXISTS (
  SELECT FROM "cost_session" WHERE "org_id" = "of_org" AND "session_id" = "session" AND "calls" > "denied_calls"
);

-- Counts what was held into its windows, notes on the reservations which bucket that was, and opens the breakers that tripped.
CREATE FUNCTION "add_velocity"("velocity_ids" uuid[], "amounts" bigint[], "is_tripped" boolean[], "call_ids" uuid[], "held" smallint[])
RETURNS void LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "at" constant timestamptz := clock_timestamp();
  "tripped_window" record;
BEGIN
  UPDATE "budget_velocity" AS "velocity" SET
    "buckets" = "velocity_with"("velocity"."buckets", "velocity"."head", greatest("velocity"."head", "velocity_bucket"("at", "velocity"."window_seconds")),
      greatest("velocity"."head", "velocity_bucket"("at", "velocity"."window_seconds")), "more"."amount"),
    "head" = greatest("velocity"."head", "velocity_bucket"("at", "velocity"."window_seconds")),
    "tripped_at" = CASE WHEN "more"."is_tripped" THEN "at" ELSE "velocity"."tripped_at" END,
    "cool_until" = CASE WHEN "more"."is_tripped" THEN "at" + make_interval(secs => "velocity"."cooldown_seconds") ELSE "velocity"."cool_until" END
  FROM unnest("velocity_ids", "amounts", "is_tripped") AS "more" ("id", "amount", "is_tripped")
  WHERE "velocity"."budget_id" = "more"."id" AND ("more"."amount" > 0 OR "more"."is_tripped");

  -- The instant, in milliseconds, stands for the bucket: each window finds its own from it.
  UPDATE "reservation" SET "velocity_bucket" = floor(extract(epoch FROM "at") * 1000)::bigint
  WHERE "call_id" = ANY (ARRAY(SELECT "id" FROM unnest("call_ids", "held") AS "call" ("id", "decided") WHERE "decided" > 0))
    AND cardinality("velocity_budget_ids") > 0;

  FOR "tripped_window" IN
    SELECT "velocity".*, "budget"."entity_type", "budget"."entity_id"
    FROM unnest("velocity_ids", "is_tripped") AS "trip" ("id", "is_tripped")
    JOIN "budget_velocity" AS "velocity" ON "velocity"."budget_id" = "trip"."id"
    JOIN "budget" ON "budget"."id" = "velocity"."budget_id"
    WHERE "trip"."is_tripped"
  LOOP
    INSERT INTO "outbox_event" ("org_id", "type", "payload")
    VALUES ("tripped_window"."org_id", 'velocity.exceeded', jsonb_build_object(
      'budget_id', 'ns_bgt_' || "tripped_window"."budget_id",
      'budget_entity_type', "tripped_window"."entity_type",
      'budget_entity_id', CASE "tripped_window"."entity_type" WHEN 'user' THEN 'ns_usr_' || "tripped_window"."entity_id"
        WHEN 'api_key' THEN 'ns_key_' || "tripped_window"."entity_id" ELSE "tripped_window"."entity_id" END,
      'velocity_limit_microdollars', "tripped_window"."limit_nano"::numeric / 1000,
      'velocity_window_seconds', "tripped_window"."window_seconds",
      'velocity_current_microdollars', "velocity_sum"("tripped_window"."buckets", "tripped_window"."head", "tripped_window"."head")::numeric / 1000,
      'velocity_cooldown_seconds', "tripped_window"."cooldown_seconds"
    ));
  END LOOP;
END
$$;

-- Decides a batch of calls in the order of arrival and holds money for those that fit, all of a call's balances together or none.
--
-- Places are 1-based. The things that limit a call are numbered through: first `balance_ids`, then `velocity_ids`. `line_counts`
-- says how many lines each call has, `line_places` which limit each line is about, `line_bounds` the upper bound of the call as
-- that limit sees it; `call_balances`, `call_bounds`, `call_floors` and `call_velocities` are what its reservation stores, as array
-- literals. A call that does not fit with its bounds is held with `floors[i]` in each line where that is less, if it has
-- a floor (a stream that can be extended and cut).
--
-- Returns arrays by call: `held` 0 none, 1 the bounds, 2 the floor; `refused_place` the limit that refused it: 0 none, -1 nothing was
-- decided (the organisation's configuration or the period is not the one the caller knows: read again and come back); `room` what
-- that limit had left. By limit: its amounts before this batch, with `cool_until` for velocity windows that are open.
CREATE FUNCTION "reserve_calls"(
  "org_ids" uuid[], "org_versions" bigint[],
  "balance_ids" bigint[], "velocity_ids" uuid[],
  "call_ids" uuid[], "call_orgs" integer[], "call_sessions" text[], "floors" bigint[],
  "call_balances" text[], "call_bounds" text[], "call_floors" text[], "call_velocities" text[], "drafts" text[],
  "line_counts" integer[], "line_places" integer[], "line_bounds" bigint[],
  "lease" interval
) RETURNS TABLE (
  "held" smallint[], "refused_place" integer[], "room" bigint[],
  "limits" bigint[], "spent" bigint[], "reserved" bigint[], "cool_until" timestamptz[]
)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  "calls" constant integer := cardinality("call_ids");
  "balances" constant integer := cardinality("balance_ids");
  "places" constant integer := cardinality("balance_ids") + cardinality("velocity_ids");
  -- By place. `free` null: not a limit of now. 9223372036854775807: no limit.
  "free" bigint[] := array_fill(NULL::bigint, ARRAY["places"]);
  "added" bigint[] := array_fill(0::bigint, ARRAY["places"]);
  "kinds" smallint[] := array_fill(NULL::smallint, ARRAY["places"]);
  "tripped" boolean[] := array_fill(false, ARRAY["places"]);
  "is_current" boolean[];
  "of_limit" record;
  "at" timestamptz;
  "is_any_held" boolean := false;
  "line" integer := 1;
  "last_line" integer;
  "line_room" bigint;
  "decided" smallint;
  -- The limit that refuses: sessions before velocity before budgets, the tightest of its kind.
  "worst_rank" integer;
  "worst_place" integer;
  "worst_room" bigint;
  "rank" integer;
  "needed" bigint;
  "fits_bound" boolean;
  "fits_floor" boolean;
BEGIN
  "held" := array_fill(0::smallint, ARRAY["calls"]);
  "refused_place" := array_fill(0, ARRAY["calls"]);
  "room" := array_fill(NULL::bigint, ARRAY["calls"]);
  "limits" := array_fill(NULL::bigint, ARRAY["places"]);
  "spent" := "limits";
  "reserved" := "limits";
  "cool_until" := array_fill(NULL::timestamptz, ARRAY["places"]);

  FOR "of_limit" IN
    SELECT "wanted"."place", "balance"."kind", "balance"."limit_nano", "balance"."spent_nano", "balance"."reserved_nano",
      "balance"."starts_at", "balance"."ends_at"
    FROM unnest("balance_ids") WITH ORDINALITY AS "wanted" ("id", "place")
    JOIN "budget_balance" AS "balance" ON "balance"."id" = "wanted"."id"
    ORDER BY "balance"."id"
    FOR NO KEY UPDATE OF "balance"
  LOOP
    -- The clock is read behind the lock: who waits for it may wait into the next period.
    "at" := clock_timestamp();
    "limits"["of_limit"."place"] := "of_limit"."limit_nano";
    "spent"["of_limit"."place"] := "of_limit"."spent_nano";
    "reserved"["of_limit"."place"] := "of_limit"."reserved_nano";
    "kinds"["of_limit"."place"] := "of_limit"."kind";
    IF "of_limit"."starts_at" <= "at" AND ("of_limit"."ends_at" IS NULL OR "at" < "of_limit"."ends_at") THEN
      "free"["of_limit"."place"] := CASE "of_limit"."kind"
        WHEN 2 THEN 9223372036854775807
        ELSE "of_limit"."limit_nano" - "of_limit"."spent_nano" - "of_limit"."reserved_nano"
      END;
    END IF;
  END LOOP;

  IF "places" > "balances" THEN
    FOR "of_limit" IN
      SELECT "balances" + "wanted"."place" AS "place", "velocity".*
      FROM unnest("velocity_ids") WITH ORDINALITY AS "wanted" ("id", "place")
      JOIN "budget_velocity" AS "velocity" ON "velocity"."budget_id" = "wanted"."id"
      ORDER BY "velocity"."budget_id"
      FOR NO KEY UPDATE OF "velocity"
    LOOP
      "at" := clock_timestamp();
      "limits"["of_limit"."place"] := "of_limit"."limit_nano";
      "kinds"["of_limit"."place"] := 4;
      "spent"["of_limit"."place"] := "velocity_sum"("of_limit"."buckets", "of_limit"."head", "velocity_bucket"("at", "of_limit"."window_seconds"));
      "reserved"["of_limit"."place"] := 0;
      IF "of_limit"."cool_until" > "at" THEN
        "cool_until"["of_limit"."place"] := "of_limit"."cool_until";
        "free"["of_limit"."place"] := 0;
      ELSE
        "free"["of_limit"."place"] := "of_limit"."limit_nano" - "spent"["of_limit"."place"];
      END IF;
    END LOOP;
  END IF;

  -- Behind the locks as well: a change of configuration that committed while we waited is seen.
  SELECT array_agg(coalesce("org"."config_version" = "known"."version", false) ORDER BY "known"."place") INTO "is_current"
  FROM unnest("org_ids", "org_versions") WITH ORDINALITY AS "known" ("id", "version", "place")
  LEFT JOIN "organisation" AS "org" ON "org"."id" = "known"."id";

  FOR "i" IN 1 .. "calls" LOOP
    "last_line" := "line" + "line_counts"["i"] - 1;
    IF NOT "is_current"["call_orgs"["i"]] THEN
      "refused_place"["i"] := -1;
      "line" := "last_line" + 1;
      CONTINUE;
    END IF;
    "fits_bound" := true;
    "fits_floor" := "floors"["i"] IS NOT NULL;
    "worst_rank" := 4;
    "worst_place" := 0;
    FOR "l" IN "line" .. "last_line" LOOP
      "line_room" := "free"["line_places"["l"]];
      IF "line_room" IS NULL THEN
        "worst_place" := -1;
        EXIT;
      END IF;
      "needed" := "line_bounds"["l"];
      CONTINUE WHEN "needed" <= "line_room";
      IF "kinds"["line_places"["l"]] = 1 AND "is_running_session"("org_ids"["call_orgs"["i"]], "call_sessions"["i"]) THEN
        "line_room" := "line_room" + "limits"["line_places"["l"]] / 10;
        CONTINUE WHEN "needed" <= "line_room";
      END IF;
      "fits_bound" := false;
      CONTINUE WHEN "fits_floor" AND least("floors"["i"], "needed") <= "line_room" AND "kinds"["line_places"["l"]] <> 4;
      "rank" := CASE "kinds"["line_places"["l"]] WHEN 3 THEN 1 WHEN 4 THEN 2 ELSE 3 END;
      IF "worst_place" = 0 OR "rank" < "worst_rank" OR ("rank" = "worst_rank" AND "line_room" < "worst_room") THEN
        "worst_rank" := "rank";
        "worst_place" := "line_places"["l"];
        "worst_room" := "line_room";
      END IF;
    END LOOP;

    IF "worst_place" <> 0 THEN
      "refused_place"["i"] := "worst_place";
      "room"["i"] := CASE WHEN "worst_place" > 0 THEN "worst_room" END;
      -- A burst trips the breaker; a single call that is larger than the whole window is only refused.
      IF "worst_place" > "balances" AND "cool_until"["worst_place"] IS NULL THEN
        "needed" := 0;
        FOR "l" IN "line" .. "last_line" LOOP
          IF "line_places"["l"] = "worst_place" THEN "needed" := "line_bounds"["l"]; END IF;
        END LOOP;
        IF "needed" <= "limits"["worst_place"] THEN
          "tripped"["worst_place"] := true;
          "free"["worst_place"] := 0;
        END IF;
      END IF;
    ELSE
      "decided" := CASE WHEN "fits_bound" THEN 1 ELSE 2 END;
      "held"["i"] := "decided";
      "is_any_held" := true;
      FOR "l" IN "line" .. "last_line" LOOP
        "needed" := CASE "decided" WHEN 1 THEN "line_bounds"["l"] ELSE least("floors"["i"], "line_bounds"["l"]) END;
        IF "free"["line_places"["l"]] <> 9223372036854775807 THEN
          "free"["line_places"["l"]] := "free"["line_places"["l"]] - "needed";
        END IF;
        "added"["line_places"["l"]] := "added"["line_places"["l"]] + "needed";
      END LOOP;
    END IF;
    "line" := "last_line" + 1;
  END LOOP;

  IF "is_any_held" THEN
    UPDATE "budget_balance" AS "balance" SET
      "reserved_nano" = "balance"."reserved_nano" + "more"."amount",
      "excess_nano" = CASE
        WHEN "balance"."kind" = 1 THEN greatest("balance"."excess_nano",
          "balance"."spent_nano" + "balance"."reserved_nano" + "more"."amount" - "balance"."limit_nano")
        ELSE "balance"."excess_nano"
      END
    FROM unnest("balance_ids", "added"[1 : "balances"]) AS "more" ("id", "amount")
    WHERE "balance"."id" = "more"."id" AND "more"."amount" > 0;

    INSERT INTO "reservation" ("call_id", "org_id", "balance_ids", "amounts", "velocity_budget_ids", "lease_until", "draft")
    SELECT
      "call"."id", "org_ids"["call"."org"], "call"."balances"::bigint[],
      CASE "call"."decided" WHEN 1 THEN "call"."bounds" ELSE "call"."floors" END::bigint[], "call"."velocities"::uuid[],
      clock_timestamp() + "lease", "call"."draft"
    FROM unnest("call_ids", "call_orgs", "held", "call_balances", "call_bounds", "call_floors", "call_velocities", "drafts")
      AS "call" ("id", "org", "decided", "balances", "bounds", "floors", "velocities", "draft")
    WHERE "call"."decided" > 0;
  END IF;

  IF "places" > "balances" THEN
    PERFORM "add_velocity"("velocity_ids", "added"["balances" + 1 : "places"], "tripped"["balances" + 1 : "places"], "call_ids", "held");
  END IF;
  RETURN NEXT;
END
$$;

-- Grows the holds of streams: each call by one amount in every balance of its reservation, together or not at all. Answers by call
-- whether it was grown; false also where the reservation is not held any more.
CREATE FUNCTION "extend_reservations"("call_ids" uuid[], "extras" bigint[], "lease" interval) RETURNS boolean[]
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
DECLARE
  "is_extended" boolean[] := array_fill(false, ARRAY[cardinality("call_ids")]);
  "of_call" record;
  "is_short" boolean;
BEGIN
  PERFORM FROM "reservation" WHERE "call_id" = ANY ("call_ids") AND "state" = 'held' ORDER BY "call_id" FOR NO KEY UPDATE;
  PERFORM FROM "budget_balance"
  WHERE "id" = ANY (ARRAY(
    SELECT DISTINCT unnest("balance_ids") FROM "reservation" WHERE "call_id" = ANY ("call_ids") AND "state" = 'held'
  ))
  ORDER BY "id" FOR NO KEY UPDATE;
  FOR "of_call" IN
    SELECT "wanted"."place", "wanted"."amount", "reservation"."call_id", "reservation"."balance_ids"
    FROM unnest("call_ids", "extras") WITH ORDINALITY AS "wanted" ("id", "amount", "place")
    JOIN "reservation" ON "reservation"."call_id" = "wanted"."id" AND "reservation"."state" = 'held'
    ORDER BY "wanted"."place"
  LOOP
    SELECT bool_or("kind" <> 2 AND "limit_nano" + CASE "kind" WHEN 1 THEN "limit_nano" / 10 ELSE 0 END - "spent_nano" - "reserved_nano" < "of_call"."amount")
    INTO "is_short" FROM "budget_balance" WHERE "id" = ANY ("of_call"."balance_ids");
    CONTINUE WHEN "is_short";
    UPDATE "budget_balance" SET
      "reserved_nano" = "reserved_nano" + "of_call"."amount",
      "excess_nano" = CASE WHEN "kind" = 1
        THEN greatest("excess_nano", "spent_nano" + "reserved_nano" + "of_call"."amount" - "limit_nano") ELSE "excess_nano" END
    WHERE "id" = ANY ("of_call"."balance_ids");
    UPDATE "reservation" SET
      "amounts" = ARRAY(SELECT "held" + "of_call"."amount" FROM unnest("amounts") WITH ORDINALITY AS "line" ("held", "n") ORDER BY "n"),
      "lease_until" = clock_timestamp() + "lease"
    WHERE "call_id" = "of_call"."call_id";
    "is_extended"["of_call"."place"] := true;
  END LOOP;
  RETURN "is_extended";
END
$$;

-- Puts off the expiry of calls that live. Answers which of them are no longer held: their process has lost them.
CREATE FUNCTION "renew_reservations"("call_ids" uuid[], "lease" interval) RETURNS SETOF uuid
LANGUAGE sql VOLATILE
AS $$
  WITH "renewed" AS (
    UPDATE "reservation" SET "lease_until" = clock_timestamp() + "lease"
    WHERE "call_id" = ANY (ARRAY(
      SELECT "call_id" FROM "reservation" WHERE "call_id" = ANY ("call_ids") AND "state" = 'held' ORDER BY "call_id" FOR NO KEY UPDATE
    ))
    RETURNING "call_id"
  )
  SELECT "id" FROM unnest("call_ids") AS "call" ("id") WHERE "id" NOT IN (SELECT "call_id" FROM "renewed")
$$;

-- Takes back an event that stood in for the real one: the row goes, and with it what it added to the sums. Its balances are the caller's.
CREATE FUNCTION "withdraw_event"("of_org" uuid, "event_id" uuid) RETURNS void LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "gone" "cost_event"%ROWTYPE;
BEGIN
  DELETE FROM "cost_event" WHERE "org_id" = "of_org" AND "id" = "event_id" AND "provisional" RETURNING * INTO "gone";
  IF NOT FOUND THEN
    RETURN;
  END IF;
  UPDATE "cost_rollup" AS "rollup" SET
    "calls" = "calls" - 1,
    "failed_calls" = "failed_calls" - ("gone"."status" NOT IN ('ok', 'denied'))::int,
    "cost_nano" = "rollup"."cost_nano" - coalesce("gone"."cost_nano", 0),
    "unpriced_calls" = "unpriced_calls" - ("gone"."cost_basis" = 'unpriced')::int,
    "duration_ms" = "rollup"."duration_ms" - coalesce(round("gone"."duration_ms"), 0)::bigint
  FROM (
    SELECT "part"."dimension", "part"."value" FROM (
      VALUES ('total', 'all'), ('api_key', "gone"."api_key_id"::text), ('user', "gone"."user_id"::text), ('provider', "gone"."provider"),
        ('model', "gone"."provider" || '/' || "gone"."model"), ('customer', "gone"."customer_id"), ('source', "gone"."source"),
        ('tool', "gone"."tool_name")
      UNION ALL
      SELECT 'tag:' || "key", "value" FROM jsonb_each_text("gone"."tags")
    ) AS "part" ("dimension", "value")
    WHERE "part"."value" IS NOT NULL
  ) AS "part"
  WHERE "rollup"."org_id" = "of_org" AND "rollup"."hour" = date_trunc('hour', "gone"."created_at", 'UTC')
    AND "rollup"."dimension" = "part"."dimension" AND "rollup"."value" = "part"."value";
  UPDATE "cost_session" SET
    "calls" = "calls" - 1,
    "cost_nano" = "cost_nano" - coalesce("gone"."cost_nano", 0),
    "duration_ms" = "duration_ms" - coalesce(round("gone"."duration_ms"), 0)::bigint
  WHERE "org_id" = "of_org" AND "session_id" = "gone"."session_id";
END
$$;

-- Settles a batch in which money was held or is to be counted against budgets: the events with their sums (settle_calls), then the
-- balances, all in one transaction.
--
-- `call_ids` are the events that concern balances, sorted; beside each what it is charged, the balances it counts against where no
-- reservation says so (as an array literal), and whether it only stands in for a call whose process died. Settling an id twice
-- changes nothing; a settlement that comes after such a stand-in replaces it, once.
CREATE FUNCTION "settle_held_calls"(
  "events" json, "events_count" integer,
  "call_ids" uuid[], "charges" bigint[], "call_balances" text[], "stand_ins" boolean[]
) RETURNS TABLE ("event_id" uuid, "stored_id" uuid)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  "fresh" uuid[];
  "replaced" record;
  "duplicates" uuid[] := '{}';
  -- What earlier stand-ins were charged, to be taken back: balance and amount side by side.
  "back_balances" bigint[] := '{}';
  "back_amounts" bigint[] := '{}';
  "moved" record;
BEGIN
  PERFORM FROM "reservation" WHERE "call_id" = ANY ("call_ids") ORDER BY "call_id" FOR UPDATE;

  FOR "replaced" IN
    SELECT "event"."org_id", "event"."id", "event"."charged_nano", "event"."balance_ids"
    FROM unnest("call_ids", "stand_ins") AS "call" ("id", "is_stand_in")
    JOIN "reservation" ON "reservation"."call_id" = "call"."id" AND "reservation"."state" = 'expired'
    JOIN "cost_event" AS "event" ON "event"."org_id" = "reservation"."org_id" AND "event"."id" = "call"."id" AND "event"."provisional"
    WHERE NOT "call"."is_stand_in"
    ORDER BY "call"."id"
  LOOP
    "back_balances" := "back_balances" || "replaced"."balance_ids";
    "back_amounts" := "back_amounts" || array_fill("replaced"."charged_nano", ARRAY[cardinality("replaced"."balance_ids")]);
    PERFORM "withdraw_event"("replaced"."org_id", "replaced"."id");
  END LOOP;

  SELECT array_agg("call"."id" ORDER BY "call"."id") INTO "fresh"
  FROM unnest("call_ids") AS "call" ("id")
  WHERE NOT EXISTS (
    SELECT FROM json_to_recordset("events") AS "event" ("org_id" uuid, "id" uuid)
    JOIN "cost_event" AS "stored" ON "stored"."org_id" = "event"."org_id" AND "stored"."id" = "event"."id"
    WHERE "event"."id" = "call"."id"
  );

  FOR "event_id", "stored_id" IN SELECT "settled"."event_id", "settled"."stored_id" FROM "settle_calls"("events", "events_count") AS "settled" LOOP
    "duplicates" := "duplicates" || "event_id";
    RETURN NEXT;
  END LOOP;
  "fresh" := ARRAY(SELECT "id" FROM unnest("fresh") AS "id" WHERE "id" <> ALL ("duplicates"));
  IF cardinality("fresh") = 0 THEN
    RETURN;
  END IF;

  UPDATE "cost_event" AS "event" SET "balance_ids" = "call"."balances", "provisional" = "call"."is_stand_in"
  FROM (
    SELECT "call"."id", "call"."is_stand_in", coalesce("reservation"."org_id", "named"."org_id") AS "org_id",
      coalesce("reservation"."balance_ids", "call"."balances"::bigint[], '{}') AS "balances"
    FROM unnest("call_ids", "call_balances", "stand_ins") AS "call" ("id", "balances", "is_stand_in")
    JOIN json_to_recordset("events") AS "named" ("org_id" uuid, "id" uuid) ON "named"."id" = "call"."id"
    LEFT JOIN "reservation" ON "reservation"."call_id" = "call"."id"
    WHERE "call"."id" = ANY ("fresh")
  ) AS "call"
  WHERE "event"."org_id" = "call"."org_id" AND "event"."id" = "call"."id";

  PERFORM FROM "budget_balance"
  WHERE "id" = ANY (ARRAY(
    SELECT unnest("reservation"."balance_ids") FROM "reservation" WHERE "call_id" = ANY ("fresh")
    UNION SELECT unnest("balances"::bigint[]) FROM unnest("call_ids", "call_balances") AS "call" ("id", "balances") WHERE "id" = ANY ("fresh")
    UNION SELECT unnest("back_balances")
  ))
  ORDER BY "id" FOR NO KEY UPDATE;

  FOR "moved" IN
    WITH "line" AS (
      SELECT "balance"."id" AS "balance_id", "call"."id" AS "call_id", "call"."charge" AS "charged",
        CASE WHEN "reservation"."state" = 'held' THEN "balance"."amount" ELSE 0 END AS "released",
        "reservation"."call_id" IS NOT NULL AS "was_held"
      FROM unnest("call_ids", "charges", "call_balances") AS "call" ("id", "charge", "balances")
      LEFT JOIN "reservation" ON "reservation"."call_id" = "call"."id",
      LATERAL unnest(
        coalesce("reservation"."balance_ids", "call"."balances"::bigint[], '{}'),
        coalesce("reservation"."amounts", '{}')
      ) AS "balance" ("id", "amount")
      WHERE "call"."id" = ANY ("fresh")
      UNION ALL
      SELECT "back"."id", NULL, -"back"."amount", 0, true FROM unnest("back_balances", "back_amounts") AS "back" ("id", "amount")
    ),
    "total" AS (
      SELECT "balance_id", sum("charged")::bigint AS "charged", coalesce(sum("released"), 0)::bigint AS "released",
        (array_agg("call_id" ORDER BY "charged" - coalesce("released", 0) DESC) FILTER (WHERE "call_id" IS NOT NULL))[1] AS "largest",
        bool_or(NOT "was_held") AS "has_reported"
      FROM "line" GROUP BY "balance_id"
    ),
    "before" AS (
      SELECT "balance"."id", "balance"."spent_nano", "balance"."excess_nano" FROM "budget_balance" AS "balance" JOIN "total" ON "total"."balance_id" = "balance"."id"
    )
    UPDATE "budget_balance" AS "balance" SET
      "spent_nano" = greatest(0, "balance"."spent_nano" + "total"."charged"),
      "reserved_nano" = "balance"."reserved_nano" - "total"."released",
      "excess_nano" = greatest("balance"."excess_nano",
        "balance"."spent_nano" + "total"."charged" + "balance"."reserved_nano" - "total"."released" - "balance"."limit_nano")
    FROM "total" JOIN "before" ON "before"."id" = "total"."balance_id"
    WHERE "balance"."id" = "total"."balance_id"
    RETURNING "balance"."id", "balance"."org_id", "balance"."budget_id", "balance"."kind", "balance"."limit_nano", "balance"."thresholds",
      "before"."spent_nano" AS "spent_before", "balance"."spent_nano" AS "spent_after",
      "balance"."excess_nano" - "before"."excess_nano" AS "excess_more", "total"."largest", "total"."has_reported"
  LOOP
    IF "moved"."excess_more" > 0 AND "moved"."kind" <> 2 THEN
      INSERT INTO "budget_excess" ("org_id", "balance_id", "reason", "event_id", "amount_nano")
      VALUES ("moved"."org_id", "moved"."id", CASE
        WHEN "moved"."has_reported" THEN 'reported'
        WHEN "moved"."kind" = 1 THEN 'soft'
        WHEN (SELECT "holds" FROM "budget" WHERE "budget"."id" = "moved"."budget_id") = 'expected' THEN 'expected'
        ELSE 'provider'
      END, "moved"."largest", "moved"."excess_more");
    END IF;
    INSERT INTO "outbox_event" ("org_id", "type", "payload")
    SELECT "moved"."org_id",
      CASE WHEN "percentage" >= 90 OR "percentage" = "moved"."thresholds"[cardinality("moved"."thresholds")]
        THEN 'budget.threshold.critical' ELSE 'budget.threshold.warning' END,
      "budget_payload"("moved"."id") || jsonb_build_object('threshold_percent', "percentage")
    FROM unnest("moved"."thresholds") AS "percentage"
    WHERE "moved"."spent_before"::numeric * 100 < "percentage" * "moved"."limit_nano"::numeric
      AND "moved"."spent_after"::numeric * 100 >= "percentage" * "moved"."limit_nano"::numeric
    ORDER BY "percentage";
  END LOOP;

  -- What a window counted was expected; now it is known.
  UPDATE "budget_velocity" AS "velocity" SET "buckets" = "velocity_with"(
    "velocity"."buckets", "velocity"."head", "velocity"."head",
    floor("change"."at_ms"::numeric * 60 / ("velocity"."window_seconds" * 1000))::bigint, "change"."amount")
  FROM (
    SELECT "window"."id", min("reservation"."velocity_bucket") AS "at_ms",
      sum("call"."charge" - "reservation"."amounts"[1])::bigint AS "amount"
    FROM unnest("call_ids", "charges") AS "call" ("id", "charge")
    JOIN "reservation" ON "reservation"."call_id" = "call"."id" AND "reservation"."state" = 'held',
    LATERAL unnest("reservation"."velocity_budget_ids") AS "window" ("id")
    WHERE "call"."id" = ANY ("fresh") AND cardinality("reservation"."velocity_budget_ids") > 0
    GROUP BY "window"."id", "reservation"."velocity_bucket"
    ORDER BY "window"."id"
  ) AS "change"
  WHERE "velocity"."budget_id" = "change"."id";

  UPDATE "reservation" SET "state" = 'expired'
  FROM unnest("call_ids", "stand_ins") AS "call" ("id", "is_stand_in")
  WHERE "reservation"."call_id" = "call"."id" AND "call"."is_stand_in" AND "call"."id" = ANY ("fresh");
  DELETE FROM "reservation" USING unnest("call_ids", "stand_ins") AS "call" ("id", "is_stand_in")
  WHERE "reservation"."call_id" = "call"."id" AND NOT "call"."is_stand_in" AND "call"."id" = ANY ("fresh");
END
$$;

-- Gives back what is held for a call that was never sent. Answers whether it was held.
CREATE FUNCTION "release_reservation"("id_of_call" uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "held" "reservation"%ROWTYPE;
BEGIN
  SELECT * INTO "held" FROM "reservation" WHERE "call_id" = "id_of_call" AND "state" = 'held' FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM FROM "budget_balance" WHERE "id" = ANY ("held"."balance_ids") ORDER BY "id" FOR NO KEY UPDATE;
  UPDATE "budget_balance" AS "balance" SET "reserved_nano" = "balance"."reserved_nano" - "line"."amount"
  FROM unnest("held"."balance_ids", "held"."amounts") AS "line" ("id", "amount") WHERE "balance"."id" = "line"."id";
  DELETE FROM "reservation" WHERE "call_id" = "id_of_call";
  RETURN true;
END
$$;

-- Notes that a balance refused a call. The first time in its period it is told to the outside, once.
CREATE FUNCTION "note_denial"("of_balance" bigint) RETURNS void LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "first" record;
BEGIN
  UPDATE "budget_balance" AS "balance" SET "denied_at" = clock_timestamp() FROM "budget"
  WHERE "balance"."id" = "of_balance" AND "balance"."denied_at" IS NULL AND "budget"."id" = "balance"."budget_id"
  RETURNING "balance"."org_id", "balance"."session_id", "budget"."entity_type" INTO "first";
  IF FOUND THEN
    INSERT INTO "outbox_event" ("org_id", "type", "payload") VALUES ("first"."org_id", CASE
      WHEN "first"."session_id" IS NOT NULL THEN 'session.limit_exceeded'
      WHEN "first"."entity_type" = 'tag' THEN 'tag_budget.exceeded'
      WHEN "first"."entity_type" = 'customer' THEN 'customer_budget.exceeded'
      ELSE 'budget.exceeded'
    END, "budget_payload"("of_balance"));
  END IF;
END
$$;

-- Brings the balances of a budget in line with its row, which was just made or changed in the same transaction: the running period's
-- limit (by the difference, so that what was approved for this period stays), kind and thresholds, open sessions, and the velocity
-- window. `ends_at` is where the running period ends by the budget's calendar as it is now; what it counted so far stays in it.
CREATE FUNCTION "apply_budget_change"("of_budget" uuid, "old_max_nano" bigint, "period_ends_at" timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "budget_row" "budget"%ROWTYPE;
  "changed" record;
BEGIN
  SELECT * INTO "budget_row" FROM "budget" WHERE "id" = "of_budget" FOR NO KEY UPDATE;
  PERFORM FROM "budget_balance" WHERE "org_id" = "budget_row"."org_id" AND "budget_id" = "of_budget"
    AND ("session_id" IS NOT NULL OR ("starts_at" <= clock_timestamp() AND ("ends_at" IS NULL OR clock_timestamp() < "ends_at")))
  ORDER BY "id" FOR NO KEY UPDATE;

  FOR "changed" IN
    WITH "target" AS (
      SELECT "balance"."id", "balance"."excess_nano" AS "excess_before", "balance"."kind" AS "kind_before",
        CASE WHEN "balance"."session_id" IS NULL
          THEN greatest(0, "balance"."limit_nano" + "budget_row"."max_nano" - coalesce("old_max_nano", "budget_row"."max_nano"))
          ELSE coalesce("budget_row"."session_limit_nano", 9000000000000000000) END AS "limit_nano",
        CASE WHEN "balance"."session_id" IS NULL THEN "budget_kind"("budget_row"."policy") ELSE 3 END AS "kind"
      FROM "budget_balance" AS "balance"
      WHERE "balance"."org_id" = "budget_row"."org_id" AND "balance"."budget_id" = "of_budget"
        AND ("balance"."session_id" IS NOT NULL
          OR ("balance"."starts_at" <= clock_timestamp() AND ("balance"."ends_at" IS NULL OR clock_timestamp() < "balance"."ends_at")))
    )
    UPDATE "budget_balance" AS "balance" SET
      "limit_nano" = "target"."limit_nano",
      "kind" = "target"."kind",
      "thresholds" = CASE WHEN "balance"."session_id" IS NULL THEN "budget_row"."thresholds" ELSE '{}' END,
      "ends_at" = CASE WHEN "balance"."session_id" IS NULL THEN "period_ends_at" END,
      "excess_nano" = greatest(0, "balance"."spent_nano" + "balance"."reserved_nano" - "target"."limit_nano")
    FROM "target" WHERE "balance"."id" = "target"."id"
    RETURNING "balance"."id", "balance"."org_id", "balance"."excess_nano" - "target"."excess_before" AS "excess_more",
      "target"."kind" <> "target"."kind_before" AS "is_kind_changed"
  LOOP
    IF "changed"."excess_more" > 0 THEN
      INSERT INTO "budget_excess" ("org_id", "balance_id", "reason", "amount_nano")
      VALUES ("changed"."org_id", "changed"."id", CASE WHEN "changed"."is_kind_changed" THEN 'policy_changed' ELSE 'limit_lowered' END, "changed"."excess_more");
    END IF;
  END LOOP;

  IF "budget_row"."velocity_limit_nano" IS NULL OR "budget_row"."deleted_at" IS NOT NULL THEN
    DELETE FROM "budget_velocity" WHERE "budget_id" = "of_budget";
  ELSE
    INSERT INTO "budget_velocity" ("budget_id", "org_id", "limit_nano", "window_seconds", "cooldown_seconds", "buckets")
    VALUES ("of_budget", "budget_row"."org_id", "budget_row"."velocity_limit_nano", "budget_row"."velocity_window_seconds",
      "budget_row"."velocity_cooldown_seconds", array_fill(0::bigint, ARRAY[60]))
    ON CONFLICT ("budget_id") DO UPDATE SET
      "limit_nano" = excluded."limit_nano", "cooldown_seconds" = excluded."cooldown_seconds",
      -- Buckets of another length mean other times: the window begins anew.
      "buckets" = CASE WHEN "budget_velocity"."window_seconds" = excluded."window_seconds" THEN "budget_velocity"."buckets" ELSE excluded."buckets" END,
      "window_seconds" = excluded."window_seconds";
  END IF;
END
$$;

-- Ends the running period now and begins the next one. Calls in flight settle into the period that held them. Answers the new balance.
CREATE FUNCTION "reset_budget"("of_budget" uuid, "period_ends_at" timestamptz) RETURNS bigint LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "at" constant timestamptz := date_trunc('milliseconds', clock_timestamp());
  "budget_row" "budget"%ROWTYPE;
  "opened" bigint;
BEGIN
  SELECT * INTO "budget_row" FROM "budget" WHERE "id" = "of_budget" AND "deleted_at" IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  UPDATE "budget_balance" SET "ends_at" = greatest("at", "starts_at" + interval '1 millisecond')
  WHERE "org_id" = "budget_row"."org_id" AND "budget_id" = "of_budget" AND "session_id" IS NULL
    AND ("ends_at" IS NULL OR "at" < "ends_at");
  INSERT INTO "budget_balance" ("org_id", "budget_id", "starts_at", "ends_at", "kind", "limit_nano", "thresholds", "opened_by")
  SELECT "budget_row"."org_id", "of_budget", coalesce(max("ends_at"), "at"), "period_ends_at", "budget_kind"("budget_row"."policy"),
    "budget_row"."max_nano", "budget_row"."thresholds", 'reset'
  FROM "budget_balance" WHERE "org_id" = "budget_row"."org_id" AND "budget_id" = "of_budget" AND "session_id" IS NULL
  RETURNING "id" INTO "opened";
  INSERT INTO "outbox_event" ("org_id", "type", "payload") VALUES ("budget_row"."org_id", 'budget.reset', "budget_payload"("opened"));
  RETURN "opened";
END
$$;

-- Closes the breakers whose cooldown is over, and tells it once for each. Any number of processes may run it at once.
CREATE FUNCTION "recover_velocity"() RETURNS integer LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "recovered" record;
  "count" integer := 0;
BEGIN
  FOR "recovered" IN
    UPDATE "budget_velocity" SET "cool_until" = NULL
    WHERE "budget_id" = ANY (ARRAY(
      SELECT "budget_id" FROM "budget_velocity" WHERE "cool_until" <= clock_timestamp() ORDER BY "budget_id" LIMIT 500 FOR UPDATE SKIP LOCKED
    ))
    RETURNING *
  LOOP
    "count" := "count" + 1;
    INSERT INTO "outbox_event" ("org_id", "type", "payload")
    SELECT "recovered"."org_id", 'velocity.recovered', jsonb_build_object(
      'budget_id', 'ns_bgt_' || "budget"."id",
      'budget_entity_type', "budget"."entity_type",
      'budget_entity_id', CASE "budget"."entity_type" WHEN 'user' THEN 'ns_usr_' || "budget"."entity_id"
        WHEN 'api_key' THEN 'ns_key_' || "budget"."entity_id" ELSE "budget"."entity_id" END,
      'velocity_limit_microdollars', "recovered"."limit_nano"::numeric / 1000,
      'velocity_window_seconds', "recovered"."window_seconds",
      'tripped_at', "recovered"."tripped_at"
    ) FROM "budget" WHERE "budget"."id" = "recovered"."budget_id";
  END LOOP;
  RETURN "count";
END
$$;

-- Settles calls whose lease ran out, because their process died or lost them, at what is held for them: an upper bound, until a late
-- settlement says better. Holds of tool calls are given back instead: what was not reported did not happen. Any number of processes may
-- run it at once; each call is settled by one of them. Answers how many.
CREATE FUNCTION "expire_reservations"("calls_max" integer) RETURNS integer LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "overdue" uuid[];
  "stood_in" record;
BEGIN
  "overdue" := ARRAY(
    SELECT "call_id" FROM "reservation" WHERE "state" = 'held' AND "lease_until" < clock_timestamp()
    ORDER BY "lease_until" LIMIT "calls_max" FOR UPDATE SKIP LOCKED
  );
  IF cardinality("overdue") = 0 THEN
    RETURN 0;
  END IF;
  PERFORM "release_reservation"("call_id") FROM (
    SELECT "call_id" FROM "reservation" WHERE "call_id" = ANY ("overdue") AND "draft"::jsonb->>'source' = 'mcp' ORDER BY "call_id"
  ) AS "tool_call";
  SELECT
    json_agg("draft"::jsonb || jsonb_build_object('status', 'interrupted', 'cost_basis', 'bounded', 'cost_nano', "most"::text,
      'charged_nano', "most"::text) ORDER BY "call_id") AS "events",
    count(*)::integer AS "count", array_agg("call_id" ORDER BY "call_id") AS "ids", array_agg("most" ORDER BY "call_id") AS "charges"
  INTO "stood_in"
  FROM (
    SELECT "call_id", "draft", (SELECT max("amount") FROM unnest("amounts") AS "amount") AS "most"
    FROM "reservation" WHERE "call_id" = ANY ("overdue") AND "state" = 'held'
  ) AS "orphan";
  IF "stood_in"."count" > 0 THEN
    PERFORM "settle_held_calls"("stood_in"."events", "stood_in"."count", "stood_in"."ids", "stood_in"."charges",
      array_fill(NULL::text, ARRAY["stood_in"."count"]), array_fill(true, ARRAY["stood_in"."count"]));
  END IF;
  DELETE FROM "reservation" WHERE "state" = 'expired' AND "lease_until" < clock_timestamp() - interval '7 days';
  RETURN cardinality("overdue");
END
$$;
