-- The ledger's half in the database. src/server/ledger is its only caller.
--
-- Locks are taken in one order everywhere, so that processes queue instead of deadlocking: reservations by call id; events, roll-ups
-- and sessions in key order; balances by id; velocity windows by budget id. Balances come late because everybody wants them: the
-- shorter they are locked, the better. Locking, reading and writing are statements of their own: folded into one, Postgres would
-- test the CHECK constraints against rows as they were before the lock.

-- Nothing is held or spent past a hard limit, unless a row of budget_excess says why.
ALTER TABLE "budget_balance"
  ADD CONSTRAINT "budget_balance_amounts" CHECK ("reserved_nano" >= 0 AND "spent_nano" >= 0 AND "excess_nano" >= 0 AND "limit_nano" >= 0),
  ADD CONSTRAINT "budget_balance_limit" CHECK (
    "kind" NOT IN (0, 3) OR "spent_nano"::numeric + "reserved_nano" <= "limit_nano"::numeric + "excess_nano"
  );
-- Balances and windows are updated at every call; a page with room keeps the new version beside the old one.
ALTER TABLE "budget_balance" SET (fillfactor = 50);
ALTER TABLE "budget_velocity" SET (fillfactor = 50);
ALTER TABLE "reservation"
  ADD CONSTRAINT "reservation_state" CHECK ("state" IN ('held', 'expired')),
  ADD CONSTRAINT "reservation_lines" CHECK (cardinality("amounts") = cardinality("balance_ids") + cardinality("velocity_budget_ids"));
ALTER TABLE "budget" ADD CONSTRAINT "budget_max_positive" CHECK ("max_nano" > 0);

-- One balance of a budget starts at an instant; one belongs to a session.
CREATE UNIQUE INDEX "budget_balance_period_key" ON "budget_balance" ("budget_id", "starts_at") WHERE "session_id" IS NULL;
CREATE UNIQUE INDEX "budget_balance_session_key" ON "budget_balance" ("budget_id", "session_id") WHERE "session_id" IS NOT NULL;
CREATE INDEX "reservation_lease" ON "reservation" ("lease_until") WHERE "state" = 'held';
CREATE INDEX "outbox_event_unsent" ON "outbox_event" ("created_at") WHERE "sent_at" IS NULL;

CREATE FUNCTION "budget_kind"("policy" text) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE "policy" WHEN 'strict_block' THEN 0 WHEN 'soft_block' THEN 1 ELSE 2 END::smallint;

-- What everything that is told about a budget says of it (CONTRACT §9). Ids get their prefix here: nothing after this needs them bare.
CREATE FUNCTION "budget_payload"("of_budget" uuid) RETURNS jsonb LANGUAGE sql STABLE
RETURN (
  SELECT jsonb_build_object(
    'budget_id', 'ns_bgt_' || "id",
    'budget_entity_type', "entity_type",
    'budget_entity_id', CASE "entity_type" WHEN 'user' THEN 'ns_usr_' WHEN 'api_key' THEN 'ns_key_' ELSE '' END || "entity_id"
  ) || CASE "entity_type"
    WHEN 'customer' THEN jsonb_build_object('customer_id', "entity_id")
    WHEN 'tag' THEN jsonb_build_object('tag_key', split_part("entity_id", '=', 1), 'tag_value', substr("entity_id", strpos("entity_id", '=') + 1))
    ELSE '{}'
  END
  FROM "budget" WHERE "id" = "of_budget"
);

CREATE FUNCTION "balance_payload"("of_balance" bigint) RETURNS jsonb LANGUAGE sql STABLE
RETURN (
  SELECT "budget_payload"("budget_id") || CASE
    WHEN "session_id" IS NULL THEN jsonb_build_object(
      'budget_limit_microdollars', "limit_nano"::numeric / 1000,
      'budget_spend_microdollars', "spent_nano"::numeric / 1000,
      'budget_remaining_microdollars', greatest(0, "limit_nano"::numeric - "spent_nano" - "reserved_nano") / 1000,
      'period_start', "starts_at",
      'period_end', "ends_at"
    )
    ELSE jsonb_build_object(
      'session_id', "session_id",
      'session_limit_microdollars', "limit_nano"::numeric / 1000,
      'session_spend_microdollars', "spent_nano"::numeric / 1000
    )
  END
  FROM "budget_balance" WHERE "id" = "of_balance"
);

-- Percentages that are still to be announced: those above what is spent of the limit.
CREATE FUNCTION "thresholds_ahead"("thresholds" integer[], "spent" bigint, "limit_of" bigint) RETURNS integer[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT "percent" FROM unnest("thresholds") AS "percent" WHERE "spent"::numeric * 100 < "limit_of"::numeric * "percent" ORDER BY "percent");

-- Finds the balances that calls count against now, and opens those that are not there yet: of a new period, or of a session's
-- first call. Which period it would be was computed by the caller, from the budget's calendar; whether it has come is this clock's
-- word.
--
-- Returns a row per request, by its place, with Unix milliseconds of the period's end (null: none). `balance_id` null: the budget is
-- gone or the organisation's configuration is not of this version (null: not asked), then `is_stale`; or the period is not the
-- current one, and the caller computes it again for `now_ms`, this clock's time.
CREATE FUNCTION "open_balances"(
  "budget_ids" uuid[], "session_ids" text[], "period_starts" timestamptz[], "period_ends" timestamptz[], "org_versions" bigint[]
) RETURNS TABLE ("place" integer, "balance_id" bigint, "ends_at_ms" bigint, "is_stale" boolean, "now_ms" bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
  "wanted" record;
  "of_budget" "budget";
  "opens_at" timestamptz;
  "opened" bigint;
  "is_first" boolean;
BEGIN
  FOR "wanted" IN
    SELECT * FROM unnest("budget_ids", "session_ids", "period_starts", "period_ends", "org_versions")
      WITH ORDINALITY AS "each" ("id", "session_id", "period_start", "period_end", "org_version", "place")
    ORDER BY "id", "place"
  LOOP
    "place" := "wanted"."place";
    "balance_id" := NULL;
    "ends_at_ms" := NULL;
    "is_stale" := false;
    "now_ms" := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    -- A limit or calendar that is being edited is waited for: the balance opens with what it is afterwards.
    SELECT * INTO "of_budget" FROM "budget" WHERE "id" = "wanted"."id" AND "deleted_at" IS NULL FOR SHARE;
    IF NOT FOUND OR NOT EXISTS (
      SELECT FROM "organisation"
      WHERE "id" = "of_budget"."org_id" AND ("wanted"."org_version" IS NULL OR "config_version" = "wanted"."org_version")
    ) THEN
      "is_stale" := true;
      RETURN NEXT;
      CONTINUE;
    END IF;

    IF "wanted"."session_id" IS NOT NULL THEN
      SELECT "id" INTO "balance_id" FROM "budget_balance"
      WHERE "budget_id" = "of_budget"."id" AND "session_id" = "wanted"."session_id";
      IF NOT FOUND AND "of_budget"."session_limit_nano" IS NOT NULL THEN
        INSERT INTO "budget_balance" ("org_id", "budget_id", "session_id", "starts_at", "kind", "limit_nano", "opened_by")
        VALUES (
          "of_budget"."org_id", "of_budget"."id", "wanted"."session_id", date_trunc('milliseconds', clock_timestamp()), 3,
          "of_budget"."session_limit_nano", 'session'
        )
        ON CONFLICT DO NOTHING;
        SELECT "id" INTO "balance_id" FROM "budget_balance"
        WHERE "budget_id" = "of_budget"."id" AND "session_id" = "wanted"."session_id";
      END IF;
      RETURN NEXT;
      CONTINUE;
    END IF;

    "balance_id" := "current_balance"("of_budget"."org_id", "of_budget"."id");
    IF "balance_id" IS NULL THEN
      -- After an edit of the calendar or a reset, the period that runs began when the one before it ended.
      SELECT greatest("wanted"."period_start", CASE "of_budget"."reset_interval" WHEN 'none' THEN "of_budget"."created_at" END, max("ends_at")), count(*) = 0
      INTO "opens_at", "is_first"
      FROM "budget_balance"
      WHERE "org_id" = "of_budget"."org_id" AND "budget_id" = "of_budget"."id" AND "session_id" IS NULL;
      IF "opens_at" <= clock_timestamp() AND ("wanted"."period_end" IS NULL OR clock_timestamp() < "wanted"."period_end") THEN
        INSERT INTO "budget_balance" ("org_id", "budget_id", "starts_at", "ends_at", "kind", "limit_nano", "thresholds", "opened_by")
        VALUES (
          "of_budget"."org_id", "of_budget"."id", "opens_at", "wanted"."period_end", "budget_kind"("of_budget"."policy"),
          "of_budget"."max_nano", "of_budget"."thresholds", CASE WHEN "is_first" THEN 'created' ELSE 'rolled_over' END
        )
        ON CONFLICT DO NOTHING
        RETURNING "id" INTO "opened";
        IF FOUND AND NOT "is_first" THEN
          PERFORM "tell_reset"("opened");
        END IF;
        "balance_id" := "current_balance"("of_budget"."org_id", "of_budget"."id");
      END IF;
    END IF;
    SELECT floor(extract(epoch FROM "ends_at") * 1000)::bigint INTO "ends_at_ms" FROM "budget_balance" WHERE "id" = "balance_id";
    RETURN NEXT;
  END LOOP;
END
$$;

-- The balance of the period that runs, if it is open.
CREATE FUNCTION "current_balance"("of_org" uuid, "of_budget" uuid) RETURNS bigint LANGUAGE sql VOLATILE
AS $$
  SELECT "id" FROM "budget_balance"
  WHERE "org_id" = "of_org" AND "budget_id" = "of_budget" AND "session_id" IS NULL
    AND "starts_at" <= clock_timestamp() AND ("ends_at" IS NULL OR clock_timestamp() < "ends_at")
  ORDER BY "starts_at" DESC LIMIT 1
$$;

-- Tells that a budget's counting began anew with this balance.
CREATE FUNCTION "tell_reset"("opened" bigint) RETURNS void LANGUAGE sql VOLATILE
AS $$
  INSERT INTO "outbox_event" ("org_id", "type", "payload")
  SELECT "new"."org_id", 'budget.reset', "balance_payload"("new"."id") || jsonb_build_object(
    'previous_spend_microdollars', coalesce("old"."spent_nano", 0)::numeric / 1000,
    'new_period_start', "new"."starts_at",
    'reset_interval', "budget"."reset_interval",
    'by', "new"."opened_by"
  )
  FROM "budget_balance" AS "new"
  JOIN "budget" ON "budget"."id" = "new"."budget_id"
  LEFT JOIN LATERAL (
    SELECT "spent_nano" FROM "budget_balance"
    WHERE "org_id" = "new"."org_id" AND "budget_id" = "new"."budget_id" AND "session_id" IS NULL AND "starts_at" < "new"."starts_at"
    ORDER BY "starts_at" DESC LIMIT 1
  ) AS "old" ON true
  WHERE "new"."id" = "opened"
$$;

-- Velocity is counted in a ring of sixty buckets, each a fifty-ninth of the window wide: the sixty that end with now always cover the
-- whole window, so that no window of that length ever holds more than the limit. With sixty sixtieths the oldest sixtieth would
-- already be forgotten, and two bursts could meet in one window.

-- The number of the bucket that an instant (Unix milliseconds) falls in. Bucket n of time is at n mod 60 of the ring.
CREATE FUNCTION "velocity_bucket"("at_ms" bigint, "window_seconds" integer) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN "at_ms" * 59 / ("window_seconds"::bigint * 1000);

-- What a window holds when `now_bucket` is the newest: the sixty buckets that end with it.
CREATE FUNCTION "velocity_sum"("buckets" bigint[], "head" bigint, "now_bucket" bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
  SELECT coalesce(sum("buckets"[("bucket" % 60) + 1]), 0)::bigint
  FROM generate_series(greatest("now_bucket", "head") - 59, "head") AS "bucket"
);

-- A ring turned on until `now_bucket` is its newest: the buckets that it passes over held nothing.
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

CREATE FUNCTION "velocity_payload"("of_budget" uuid, "current_nano" bigint) RETURNS jsonb LANGUAGE sql STABLE
RETURN (
  SELECT "budget_payload"("budget_id") || jsonb_build_object(
    'velocity_limit_microdollars', "limit_nano"::numeric / 1000,
    'velocity_window_seconds', "window_seconds",
    'velocity_cooldown_seconds', "cooldown_seconds",
    'velocity_current_microdollars', "current_nano"::numeric / 1000
  )
  FROM "budget_velocity" WHERE "budget_id" = "of_budget"
);

-- Counts what a batch holds into its windows and opens the breakers that tripped. The caller holds their locks.
CREATE FUNCTION "add_velocity"("velocity_ids" uuid[], "amounts" bigint[], "is_tripped" boolean[], "at_ms" bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "of_window" record;
  "newest" bigint;
  "ring" bigint[];
BEGIN
  FOR "of_window" IN
    SELECT "velocity".*, "more"."amount", "more"."trips"
    FROM unnest("velocity_ids", "amounts", "is_tripped") AS "more" ("id", "amount", "trips")
    JOIN "budget_velocity" AS "velocity" ON "velocity"."budget_id" = "more"."id"
    WHERE "more"."amount" > 0 OR "more"."trips"
  LOOP
    "newest" := greatest("of_window"."head", "velocity_bucket"("at_ms", "of_window"."window_seconds"));
    "ring" := "velocity_turned"("of_window"."buckets", "of_window"."head", "newest");
    "ring"[("newest" % 60) + 1] := "ring"[("newest" % 60) + 1] + "of_window"."amount";
    UPDATE "budget_velocity" AS "velocity" SET
      "buckets" = "ring",
      "head" = "newest",
      "tripped_at" = CASE WHEN "of_window"."trips" THEN to_timestamp("at_ms" / 1000.0) ELSE "velocity"."tripped_at" END,
      "cool_until" = CASE
        WHEN "of_window"."trips" THEN to_timestamp("at_ms" / 1000.0) + make_interval(secs => "velocity"."cooldown_seconds")
        ELSE "velocity"."cool_until"
      END
    WHERE "velocity"."budget_id" = "of_window"."budget_id";
    IF "of_window"."trips" THEN
      -- A breaker whose cooldown is over and that nobody has announced as recovered was recovered all the same before it trips again.
      INSERT INTO "outbox_event" ("org_id", "type", "payload")
      SELECT "of_window"."org_id", 'velocity.recovered',
        "velocity_payload"("of_window"."budget_id", 0) || jsonb_build_object('recovered_at', "of_window"."cool_until")
      WHERE "of_window"."tripped_at" IS NOT NULL;
      INSERT INTO "outbox_event" ("org_id", "type", "payload")
      VALUES ("of_window"."org_id", 'velocity.exceeded', "velocity_payload"(
        "of_window"."budget_id", "velocity_sum"("ring", "newest", "newest")
      ) || jsonb_build_object('triggered_at', to_timestamp("at_ms" / 1000.0)));
    END IF;
  END LOOP;
END
$$;

-- Closes the breakers whose cooldown is over and tells so, each trip once. Returns how many.
CREATE FUNCTION "recover_velocity"("most" integer) RETURNS integer
LANGUAGE sql VOLATILE
AS $$
  WITH "recovered" AS (
    UPDATE "budget_velocity" SET "tripped_at" = NULL, "cool_until" = NULL
    WHERE "budget_id" = ANY (ARRAY(
      SELECT "budget_id" FROM "budget_velocity" WHERE "cool_until" <= clock_timestamp() ORDER BY "budget_id" LIMIT "most"
      FOR NO KEY UPDATE SKIP LOCKED
    ))
    RETURNING "budget_id", "org_id", "buckets", "head", "window_seconds"
  ),
  "told" AS (
    INSERT INTO "outbox_event" ("org_id", "type", "payload")
    SELECT "org_id", 'velocity.recovered', "velocity_payload"("budget_id", "velocity_sum"("buckets", "head",
      "velocity_bucket"(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, "window_seconds")
    )) || jsonb_build_object('recovered_at', clock_timestamp())
    FROM "recovered"
    RETURNING 1
  )
  SELECT count(*)::integer FROM "told"
$$;

-- A session that spent before has the tolerance of `soft_block`.
CREATE FUNCTION "is_running_session"("of_org" uuid, "session" text) RETURNS boolean LANGUAGE sql STABLE
RETURN "session" IS NOT NULL AND EXISTS (
  SELECT FROM "cost_session" WHERE "org_id" = "of_org" AND "session_id" = "session" AND "calls" > "denied_calls"
);

-- Decides a batch of calls in the order of arrival and holds money for those that fit, all of a call's balances together or none.
--
-- The things that limit a call are numbered through from 1, its places: first `balance_ids`, then `velocity_ids`. `line_counts` says
-- how many lines each call has, `line_places` which limit each line is about, `line_bounds` the upper bound of the call as that limit
-- sees it. A call that does not fit with its bounds is held with `call_floors[i]` in each balance where that is less, if it has a
-- floor (a stream that can be extended and cut). What its reservation stores comes as array literals: the balances, the windows, and
-- for both of them together the amounts with the bounds and with the floor. `drafts` has a line of JSON per call.
--
-- Returns, by call, `held` (0 nothing, 1 the bounds, 2 the floor; null: every call its bounds), `refused_place`, the limit that
-- refused it (0 none, -1 the organisation's configuration is not of the version that the caller knows, -2 one of its periods is not
-- the current one; null: nothing was refused) and `room`, what that limit had left. By place: its amounts before this batch,
-- Unix milliseconds when its period ends, and until when a velocity window is closed.
CREATE FUNCTION "reserve_calls"(
  "org_ids" uuid[], "org_versions" bigint[],
  "balance_ids" bigint[], "velocity_ids" uuid[],
  "call_ids" uuid[], "call_orgs" integer[], "call_sessions" text[], "call_floors" bigint[], "call_leases" integer[],
  "call_balances" text[], "call_velocities" text[], "call_bound_amounts" text[], "call_floor_amounts" text[], "drafts" text,
  "line_counts" integer[], "line_places" integer[], "line_bounds" bigint[]
) RETURNS TABLE (
  "held" smallint[], "refused_place" integer[], "room" bigint[],
  "limits" bigint[], "spent" bigint[], "reserved" bigint[], "ends_at_ms" bigint[], "cool_until_ms" bigint[]
)
LANGUAGE plpgsql VOLATILE
-- Fresh tables have no statistics, and plans are kept while tables grow a thousandfold: only plans that look rows up by index may be
-- chosen. Planning anew for every call would cost more than the call.
SET enable_seqscan = off
SET enable_bitmapscan = off
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
  -- By place. `free` null: not a limit of now.
  "free" bigint[] := array_fill(NULL::bigint, ARRAY["places"]);
  "added" bigint[] := array_fill(0::bigint, ARRAY["places"]);
  "kinds" smallint[] := array_fill(NULL::smallint, ARRAY["places"]);
  "excess" bigint[] := array_fill(0::bigint, ARRAY["places"]);
  "tripped" boolean[] := array_fill(false, ARRAY["places"]);
  "is_current" boolean[];
  "of_limit" record;
  "at_ms" bigint;
  "at" timestamptz;
  "is_any_held" boolean := false;
  "is_any_refused" boolean := false;
  "is_any_floor" boolean := false;
  "line" integer := 1;
  "last_line" integer;
  "line_place" integer;
  "line_room" bigint;
  "needed" bigint;
  "decided" smallint;
  -- The limit that refuses: sessions before velocity before budgets, the tightest of its kind.
  "worst_rank" integer;
  "worst_place" integer;
  "worst_room" bigint;
  "rank" integer;
  "fits_bound" boolean;
  -- What soft limits were taken over by, a row each.
  "over_balances" bigint[];
  "over_calls" uuid[];
  "over_amounts" bigint[];
BEGIN
  "held" := array_fill(0::smallint, ARRAY["calls"]);
  "refused_place" := array_fill(0, ARRAY["calls"]);
  "room" := array_fill(NULL::bigint, ARRAY["calls"]);
  "limits" := array_fill(NULL::bigint, ARRAY["places"]);
  "spent" := "limits";
  "reserved" := "limits";
  "ends_at_ms" := "limits";
  "cool_until_ms" := "limits";

  FOR "of_limit" IN
    SELECT "wanted"."place", "balance"."kind", "balance"."limit_nano", "balance"."spent_nano", "balance"."reserved_nano",
      "balance"."excess_nano", "balance"."starts_at", "balance"."ends_at"
    FROM unnest("balance_ids") WITH ORDINALITY AS "wanted" ("id", "place")
    JOIN "budget_balance" AS "balance" ON "balance"."id" = "wanted"."id"
    ORDER BY "balance"."id"
    FOR NO KEY UPDATE OF "balance"
  LOOP
    "limits"["of_limit"."place"] := "of_limit"."limit_nano";
    "spent"["of_limit"."place"] := "of_limit"."spent_nano";
    "reserved"["of_limit"."place"] := "of_limit"."reserved_nano";
    "excess"["of_limit"."place"] := "of_limit"."excess_nano";
    "kinds"["of_limit"."place"] := "of_limit"."kind";
    IF "of_limit"."ends_at" IS NOT NULL THEN
      "ends_at_ms"["of_limit"."place"] := floor(extract(epoch FROM "of_limit"."ends_at") * 1000)::bigint;
      -- The clock is read behind the lock: who waits for it may wait into the next period.
      CONTINUE WHEN clock_timestamp() >= "of_limit"."ends_at";
    END IF;
    CONTINUE WHEN clock_timestamp() < "of_limit"."starts_at";
    "free"["of_limit"."place"] := CASE "of_limit"."kind"
      WHEN 2 THEN 9223372036854775807
      ELSE "of_limit"."limit_nano" - "of_limit"."spent_nano" - "of_limit"."reserved_nano"
    END;
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
      "at_ms" := floor(extract(epoch FROM "at") * 1000)::bigint;
      "limits"["of_limit"."place"] := "of_limit"."limit_nano";
      "kinds"["of_limit"."place"] := 4;
      "reserved"["of_limit"."place"] := 0;
      "spent"["of_limit"."place"] :=
        "velocity_sum"("of_limit"."buckets", "of_limit"."head", "velocity_bucket"("at_ms", "of_limit"."window_seconds"));
      "free"["of_limit"."place"] := "of_limit"."limit_nano" - "spent"["of_limit"."place"];
      -- Until when it would be closed, should it trip now.
      "excess"["of_limit"."place"] := "at_ms" + "of_limit"."cooldown_seconds" * 1000;
      IF "of_limit"."cool_until" > "at" THEN
        "cool_until_ms"["of_limit"."place"] := ceil(extract(epoch FROM "of_limit"."cool_until") * 1000)::bigint;
        "free"["of_limit"."place"] := 0;
      END IF;
    END LOOP;
  END IF;

  -- Behind the locks as well: a change of configuration that committed while we waited is seen.
  SELECT array_agg(coalesce("org"."config_version" = "known"."version", false) ORDER BY "known"."place") INTO "is_current"
  FROM unnest("org_ids", "org_versions") WITH ORDINALITY AS "known" ("id", "version", "place")
  LEFT JOIN "organisation" AS "org" ON "org"."id" = "known"."id";

  FOR "i" IN 1 .. "calls" LOOP
    "last_line" := "line" + "line_counts"["i"] - 1;
    "worst_place" := 0;
    "fits_bound" := true;
    IF NOT "is_current"["call_orgs"["i"]] THEN
      "worst_place" := -1;
      "last_line" := "line" - 1;
    END IF;
    FOR "l" IN "line" .. "last_line" LOOP
      "line_place" := "line_places"["l"];
      "line_room" := "free"["line_place"];
      IF "line_room" IS NULL THEN
        "worst_place" := -2;
        EXIT;
      END IF;
      "needed" := "line_bounds"["l"];
      CONTINUE WHEN "needed" <= "line_room" OR "needed" = 0;
      IF "kinds"["line_place"] = 1 AND "is_running_session"("org_ids"["call_orgs"["i"]], "call_sessions"["i"]) THEN
        "line_room" := "line_room" + "limits"["line_place"] / 10;
        CONTINUE WHEN "needed" <= "line_room";
      END IF;
      "fits_bound" := false;
      CONTINUE WHEN "kinds"["line_place"] <> 4 AND "call_floors"["i"] <= "line_room";
      "rank" := CASE "kinds"["line_place"] WHEN 3 THEN 1 WHEN 4 THEN 2 ELSE 3 END;
      IF "worst_place" = 0 OR "rank" < "worst_rank" OR ("rank" = "worst_rank" AND "line_room" < "worst_room") THEN
        "worst_rank" := "rank";
        "worst_place" := "line_place";
        "worst_room" := "line_room";
      END IF;
    END LOOP;
    "last_line" := "line" + "line_counts"["i"] - 1;

    IF "worst_place" <> 0 THEN
      "is_any_refused" := true;
      "refused_place"["i"] := "worst_place";
      "room"["i"] := CASE WHEN "worst_place" > 0 THEN "worst_room" END;
      IF "worst_place" > "balances" AND "cool_until_ms"["worst_place"] IS NULL THEN
        "needed" := 0;
        FOR "l" IN "line" .. "last_line" LOOP
          IF "line_places"["l"] = "worst_place" THEN
            "needed" := "line_bounds"["l"];
          END IF;
        END LOOP;
        -- A burst trips the breaker; a single call that is larger than the whole window is only refused.
        IF "needed" <= "limits"["worst_place"] THEN
          "tripped"["worst_place"] := true;
          "free"["worst_place"] := 0;
          "cool_until_ms"["worst_place"] := "excess"["worst_place"];
        END IF;
      END IF;
    ELSE
      "decided" := CASE WHEN "fits_bound" THEN 1 ELSE 2 END;
      "held"["i"] := "decided";
      "is_any_held" := true;
      "is_any_floor" := "is_any_floor" OR NOT "fits_bound";
      FOR "l" IN "line" .. "last_line" LOOP
        "line_place" := "line_places"["l"];
        "needed" := "line_bounds"["l"];
        IF NOT "fits_bound" AND "line_place" <= "balances" THEN
          "needed" := least("call_floors"["i"], "needed");
        END IF;
        "added"["line_place"] := "added"["line_place"] + "needed";
        CONTINUE WHEN "kinds"["line_place"] = 2;
        "free"["line_place"] := "free"["line_place"] - "needed";
        IF "kinds"["line_place"] = 1 AND - "free"["line_place"] > "excess"["line_place"] THEN
          "over_balances" := "over_balances" || "balance_ids"["line_place"];
          "over_calls" := "over_calls" || "call_ids"["i"];
          "over_amounts" := "over_amounts" || (- "free"["line_place"] - "excess"["line_place"]);
          "excess"["line_place"] := - "free"["line_place"];
        END IF;
      END LOOP;
    END IF;
    "line" := "last_line" + 1;
  END LOOP;

  IF "is_any_held" THEN
    UPDATE "budget_balance" AS "balance" SET
      "reserved_nano" = "balance"."reserved_nano" + "more"."amount",
      "excess_nano" = "more"."excess"
    FROM unnest("balance_ids", "added"[1 : "balances"], "excess"[1 : "balances"]) AS "more" ("id", "amount", "excess")
    WHERE "balance"."id" = "more"."id" AND "more"."amount" > 0;

    INSERT INTO "reservation" (
      "call_id", "org_id", "balance_ids", "amounts", "velocity_budget_ids", "velocity_bucket", "lease_until", "draft"
    )
    SELECT
      "call"."id", "org_ids"["call"."org"], "call"."balances"::bigint[],
      CASE "call"."decided" WHEN 1 THEN "call"."bounds" ELSE "call"."floors" END::bigint[],
      "call"."velocities"::uuid[], coalesce("at_ms", 0), clock_timestamp() + make_interval(secs => "call"."lease"), "call"."draft"
    FROM unnest(
      "call_ids", "call_orgs", "held", "call_leases", "call_balances", "call_velocities", "call_bound_amounts", "call_floor_amounts",
      string_to_array("drafts", E'\n')
    ) AS "call" ("id", "org", "decided", "lease", "balances", "velocities", "bounds", "floors", "draft")
    WHERE "call"."decided" > 0;

    IF "over_balances" IS NOT NULL THEN
      INSERT INTO "budget_excess" ("org_id", "balance_id", "reason", "event_id", "amount_nano")
      SELECT "balance"."org_id", "balance"."id", 'soft', "over"."call_id", "over"."amount"
      FROM unnest("over_balances", "over_calls", "over_amounts") AS "over" ("balance_id", "call_id", "amount")
      JOIN "budget_balance" AS "balance" ON "balance"."id" = "over"."balance_id";
    END IF;
  END IF;

  IF "places" > "balances" THEN
    PERFORM "add_velocity"("velocity_ids", "added"["balances" + 1 : "places"], "tripped"["balances" + 1 : "places"], "at_ms");
  END IF;
  IF NOT "is_any_refused" THEN
    "refused_place" := NULL;
    "room" := NULL;
    IF NOT "is_any_floor" THEN
      "held" := NULL;
    END IF;
  END IF;
  RETURN NEXT;
END
$$;

-- Grows the holds of streams until each of a call's balances holds at least `totals[i]`: all of them, or none. Saying the same twice
-- changes nothing. Returns by call: `is_held`, false where its process has lost it; `is_extended`; `room`, by how much the tightest
-- of its balances could still be grown.
CREATE FUNCTION "extend_reservations"("call_ids" uuid[], "totals" bigint[], "lease" interval)
RETURNS TABLE ("is_held" boolean[], "is_extended" boolean[], "room" bigint[])
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  "calls" constant integer := cardinality("call_ids");
  -- By line, in the order of the calls.
  "line_calls" integer[];
  "line_balances" bigint[];
  "line_held" bigint[];
  "line_places" integer[];
  -- By balance, in the order of ids.
  "ids" bigint[];
  "free" bigint[];
  "added" bigint[];
  "kinds" smallint[];
  "excess" bigint[];
  "of_balance" record;
  "place" integer := 0;
  "line" integer := 1;
  "first_line" integer;
  "missing" bigint;
  "is_short" boolean;
  "least_room" bigint;
  "over_balances" bigint[];
  "over_calls" uuid[];
  "over_amounts" bigint[];
BEGIN
  "is_held" := array_fill(false, ARRAY["calls"]);
  "is_extended" := array_fill(false, ARRAY["calls"]);
  "room" := array_fill(NULL::bigint, ARRAY["calls"]);
  PERFORM FROM "reservation" WHERE "call_id" = ANY ("call_ids") AND "state" = 'held' ORDER BY "call_id" FOR NO KEY UPDATE;
  SELECT
    array_agg("wanted"."place" ORDER BY "wanted"."place", "line"."n"), array_agg("line"."id" ORDER BY "wanted"."place", "line"."n"),
    array_agg("line"."amount" ORDER BY "wanted"."place", "line"."n")
  INTO "line_calls", "line_balances", "line_held"
  FROM unnest("call_ids") WITH ORDINALITY AS "wanted" ("id", "place")
  JOIN "reservation" ON "reservation"."call_id" = "wanted"."id" AND "reservation"."state" = 'held',
  LATERAL unnest("balance_ids", "amounts"[1 : cardinality("balance_ids")]) WITH ORDINALITY AS "line" ("id", "amount", "n");
  IF "line_calls" IS NULL THEN
    RETURN NEXT;
    RETURN;
  END IF;

  FOR "of_balance" IN
    SELECT "id", "kind", "limit_nano", "spent_nano", "reserved_nano", "excess_nano" FROM "budget_balance"
    WHERE "id" = ANY ("line_balances") ORDER BY "id" FOR NO KEY UPDATE
  LOOP
    "place" := "place" + 1;
    "ids"["place"] := "of_balance"."id";
    "kinds"["place"] := "of_balance"."kind";
    "excess"["place"] := "of_balance"."excess_nano";
    "added"["place"] := 0;
    -- A stream that runs has the tolerance of a session that runs.
    "free"["place"] := CASE "of_balance"."kind"
      WHEN 2 THEN 9223372036854775807
      ELSE "of_balance"."limit_nano" + CASE "of_balance"."kind" WHEN 1 THEN "of_balance"."limit_nano" / 10 ELSE 0 END
        - "of_balance"."spent_nano" - "of_balance"."reserved_nano"
    END;
  END LOOP;
  SELECT array_agg(array_position("ids", "id") ORDER BY "n") INTO "line_places"
  FROM unnest("line_balances") WITH ORDINALITY AS "line" ("id", "n");

  WHILE "line" <= cardinality("line_calls") LOOP
    "first_line" := "line";
    "is_short" := false;
    "least_room" := 9223372036854775807;
    WHILE "line" <= cardinality("line_calls") AND "line_calls"["line"] = "line_calls"["first_line"] LOOP
      "missing" := greatest(0, "totals"["line_calls"["line"]] - "line_held"["line"]);
      "is_short" := "is_short" OR ("missing" > 0 AND "missing" > "free"["line_places"["line"]]);
      "least_room" := least("least_room", greatest(0, "free"["line_places"["line"]]));
      "line" := "line" + 1;
    END LOOP;
    "is_held"["line_calls"["first_line"]] := true;
    "room"["line_calls"["first_line"]] := "least_room";
    CONTINUE WHEN "is_short";
    "is_extended"["line_calls"["first_line"]] := true;
    FOR "l" IN "first_line" .. "line" - 1 LOOP
      "place" := "line_places"["l"];
      "missing" := greatest(0, "totals"["line_calls"["l"]] - "line_held"["l"]);
      "added"["place"] := "added"["place"] + "missing";
      CONTINUE WHEN "kinds"["place"] = 2;
      "free"["place"] := "free"["place"] - "missing";
    END LOOP;
  END LOOP;

  UPDATE "budget_balance" AS "balance" SET
    "reserved_nano" = "balance"."reserved_nano" + "more"."amount",
    "excess_nano" = CASE "balance"."kind"
      WHEN 1 THEN greatest("balance"."excess_nano",
        "balance"."spent_nano" + "balance"."reserved_nano" + "more"."amount" - "balance"."limit_nano")
      ELSE "balance"."excess_nano"
    END
  FROM unnest("ids", "added") AS "more" ("id", "amount")
  WHERE "balance"."id" = "more"."id" AND "more"."amount" > 0;

  INSERT INTO "budget_excess" ("org_id", "balance_id", "reason", "amount_nano")
  SELECT "balance"."org_id", "balance"."id", 'soft', "balance"."excess_nano" - "before"."excess"
  FROM unnest("ids", "kinds", "excess") AS "before" ("id", "kind", "excess")
  JOIN "budget_balance" AS "balance" ON "balance"."id" = "before"."id"
  WHERE "before"."kind" = 1 AND "balance"."excess_nano" > "before"."excess";

  UPDATE "reservation" SET
    "amounts" = ARRAY(
      SELECT CASE WHEN "n" <= cardinality("balance_ids") THEN greatest("held", "wanted"."total") ELSE "held" END
      FROM unnest("amounts") WITH ORDINALITY AS "line" ("held", "n") ORDER BY "n"
    ),
    "lease_until" = greatest("lease_until", clock_timestamp() + "lease")
  FROM unnest("call_ids", "totals", "is_extended") AS "wanted" ("id", "total", "is_wanted")
  WHERE "call_id" = "wanted"."id" AND "wanted"."is_wanted";
  RETURN NEXT;
END
$$;

-- Puts off the expiry of calls that live. Returns those that are not held any more: their process has lost them.
CREATE FUNCTION "renew_reservations"("call_ids" uuid[], "lease" interval) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  "renewed" uuid[];
BEGIN
  WITH "still_held" AS (
    UPDATE "reservation" SET "lease_until" = greatest("lease_until", clock_timestamp() + "lease")
    WHERE "call_id" = ANY (ARRAY(
      SELECT "call_id" FROM "reservation" WHERE "call_id" = ANY ("call_ids") AND "state" = 'held' ORDER BY "call_id" FOR NO KEY UPDATE
    ))
    RETURNING "call_id"
  )
  SELECT array_agg("call_id") INTO "renewed" FROM "still_held";
  IF cardinality("renewed") = cardinality("call_ids") THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT unnest("call_ids") EXCEPT SELECT unnest("renewed");
END
$$;

-- Moves money in balances: what was charged and what is no longer held, each as pairs of balance and amount in any order. `calls`,
-- `call_balances` and `call_amounts` are the lines of the holds that ended; with `event_ids`, the events that were charged, they
-- tell why a balance stands above its limit. `denied_balances` are told as exceeded, if that is their first denial, for the event
-- beside each.
CREATE FUNCTION "change_balances"(
  "charged_balances" bigint[], "charges" numeric[],
  "calls" uuid[], "call_balances" bigint[], "call_amounts" bigint[], "is_held" boolean[],
  "event_ids" uuid[], "denied_balances" bigint[], "denied_events" uuid[]
) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
  "ids" bigint[];
  "add" numeric[];
  "sub" numeric[];
  "of_balance" record;
  "spent_after" numeric;
  "over" numeric;
  "over_ids" bigint[];
  "over_amounts" numeric[];
  "crossing" bigint[];
  "first_denied" bigint[];
BEGIN
  SELECT array_agg("id"), array_agg("charge"), array_agg("released") INTO "ids", "add", "sub"
  FROM (
    SELECT "id", sum("charge") AS "charge", sum("released") AS "released"
    FROM (
      SELECT "id", "charge", 0::numeric AS "released" FROM unnest("charged_balances", "charges") AS "charged" ("id", "charge")
      UNION ALL
      SELECT "id", 0, "amount" FROM unnest("call_balances", "call_amounts", "is_held") AS "line" ("id", "amount", "is_held")
      WHERE "is_held" AND "id" IS NOT NULL
      UNION ALL
      SELECT "id", 0, 0 FROM unnest("denied_balances") AS "denied" ("id")
    ) AS "line"
    GROUP BY "id"
    ORDER BY "id"
  ) AS "total";
  IF "ids" IS NULL THEN
    RETURN;
  END IF;

  FOR "of_balance" IN
    SELECT "balance"."id", "balance"."kind", "balance"."limit_nano", "balance"."spent_nano", "balance"."reserved_nano",
      "balance"."excess_nano", "balance"."thresholds", "balance"."denied_at", "total"."add", "total"."sub"
    FROM unnest("ids", "add", "sub") AS "total" ("id", "add", "sub")
    JOIN "budget_balance" AS "balance" ON "balance"."id" = "total"."id"
    ORDER BY "balance"."id"
    FOR NO KEY UPDATE OF "balance"
  LOOP
    "spent_after" := "of_balance"."spent_nano" + "of_balance"."add";
    IF "of_balance"."kind" <> 2 THEN
      "over" := "spent_after" + "of_balance"."reserved_nano" - "of_balance"."sub" - "of_balance"."limit_nano" - "of_balance"."excess_nano";
      IF "over" > 0 THEN
        "over_ids" := "over_ids" || "of_balance"."id";
        "over_amounts" := "over_amounts" || "over";
      END IF;
    END IF;
    IF "of_balance"."add" > 0 AND "of_balance"."thresholds"[1] IS NOT NULL
      AND "spent_after" * 100 >= "of_balance"."limit_nano"::numeric * "of_balance"."thresholds"[1]
    THEN
      "crossing" := "crossing" || "of_balance"."id";
    END IF;
    IF "of_balance"."denied_at" IS NULL AND "of_balance"."id" = ANY ("denied_balances") THEN
      "first_denied" := "first_denied" || "of_balance"."id";
    END IF;
  END LOOP;

  -- Amounts come from the world outside: a sum that cannot be stored must not refuse every later event of its balance.
  UPDATE "budget_balance" AS "balance" SET
    "spent_nano" = least("balance"."spent_nano" + "total"."add", 4611686018427387904)::bigint,
    "reserved_nano" = ("balance"."reserved_nano" - "total"."sub")::bigint,
    "excess_nano" = CASE
      WHEN "balance"."kind" = 2 THEN "balance"."excess_nano"
      ELSE greatest("balance"."excess_nano", least(
        least("balance"."spent_nano" + "total"."add", 4611686018427387904) + "balance"."reserved_nano" - "total"."sub" - "balance"."limit_nano",
        9223372036854775807
      )::bigint)
    END
  FROM unnest("ids", "add", "sub") AS "total" ("id", "add", "sub")
  WHERE "balance"."id" = "total"."id" AND ("total"."add" <> 0 OR "total"."sub" <> 0);

  IF "over_ids" IS NOT NULL THEN
    PERFORM "explain_excess"("over_ids", "over_amounts", "calls", "call_balances", "call_amounts", "event_ids");
  END IF;
  IF "crossing" IS NOT NULL THEN
    PERFORM "tell_thresholds"("crossing", "event_ids");
  END IF;
  IF "first_denied" IS NOT NULL THEN
    PERFORM "tell_exceeded"("first_denied", "denied_balances", "denied_events");
  END IF;
END
$$;

-- Why balances went above their limits: the events that were charged more than was held for them, in the order of their ids.
CREATE FUNCTION "explain_excess"(
  "over_ids" bigint[], "over_amounts" numeric[], "calls" uuid[], "call_balances" bigint[], "call_amounts" bigint[], "event_ids" uuid[]
) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "of_balance" record;
  "of_event" record;
  "left_over" numeric;
  "part" numeric;
BEGIN
  FOR "of_balance" IN
    SELECT "balance"."id", "balance"."org_id", "balance"."session_id", "budget"."holds", "over"."amount"
    FROM unnest("over_ids", "over_amounts") AS "over" ("id", "amount")
    JOIN "budget_balance" AS "balance" ON "balance"."id" = "over"."id"
    LEFT JOIN "budget" ON "budget"."id" = "balance"."budget_id"
  LOOP
    "left_over" := "of_balance"."amount";
    FOR "of_event" IN
      SELECT "event"."id", "line"."amount" AS "held", "event"."charged_nano" - coalesce("line"."amount", 0) AS "above"
      FROM "cost_event" AS "event"
      LEFT JOIN unnest("calls", "call_balances", "call_amounts") AS "line" ("call_id", "balance_id", "amount")
        ON "line"."call_id" = "event"."id" AND "line"."balance_id" = "of_balance"."id"
      WHERE "event"."org_id" = "of_balance"."org_id" AND "event"."id" = ANY ("event_ids")
        AND "of_balance"."id" = ANY ("event"."balance_ids") AND "event"."charged_nano" > coalesce("line"."amount", 0)
      ORDER BY "event"."id"
    LOOP
      EXIT WHEN "left_over" <= 0;
      "part" := least("left_over", "of_event"."above");
      "left_over" := "left_over" - "part";
      INSERT INTO "budget_excess" ("org_id", "balance_id", "reason", "event_id", "amount_nano")
      VALUES (
        "of_balance"."org_id", "of_balance"."id",
        CASE
          WHEN "of_event"."held" IS NULL THEN 'reported'
          WHEN "of_balance"."holds" = 'expected' THEN 'expected'
          ELSE 'provider'
        END,
        "of_event"."id", least("part", 9223372036854775807)::bigint
      );
    END LOOP;
  END LOOP;
END
$$;

-- Announces the percentages that settled spend has reached. They leave the balance's list, so that each is told once, whatever spend
-- does afterwards. The caller holds the locks.
CREATE FUNCTION "tell_thresholds"("crossing" bigint[], "event_ids" uuid[]) RETURNS void
LANGUAGE sql VOLATILE
AS $$
  INSERT INTO "outbox_event" ("org_id", "type", "payload")
  SELECT
    "balance"."org_id",
    CASE WHEN "percent" >= 90 OR "percent" = (SELECT max("each") FROM unnest("balance"."thresholds") AS "each")
      THEN 'budget.threshold.critical' ELSE 'budget.threshold.warning' END,
    "balance_payload"("balance"."id") || jsonb_build_object(
      'threshold_percent', "percent",
      'triggered_by_request_id', (
        SELECT 'ns_evt_' || "event"."id" FROM "cost_event" AS "event"
        WHERE "event"."org_id" = "balance"."org_id" AND "event"."id" = ANY ("event_ids") AND "balance"."id" = ANY ("event"."balance_ids")
        ORDER BY "event"."id" DESC LIMIT 1
      )
    )
  FROM "budget_balance" AS "balance", unnest("balance"."thresholds") AS "percent"
  WHERE "balance"."id" = ANY ("crossing") AND "balance"."spent_nano"::numeric * 100 >= "balance"."limit_nano"::numeric * "percent"
  ORDER BY "balance"."id", "percent";

  UPDATE "budget_balance" SET "thresholds" = "thresholds_ahead"("thresholds", "spent_nano", "limit_nano")
  WHERE "id" = ANY ("crossing");
$$;

-- Tells the first denial of balances. The caller holds the locks.
CREATE FUNCTION "tell_exceeded"("first_denied" bigint[], "denied_balances" bigint[], "denied_events" uuid[]) RETURNS void
LANGUAGE sql VOLATILE
AS $$
  UPDATE "budget_balance" SET "denied_at" = clock_timestamp() WHERE "id" = ANY ("first_denied");

  INSERT INTO "outbox_event" ("org_id", "type", "payload")
  SELECT
    "balance"."org_id",
    CASE
      WHEN "balance"."session_id" IS NOT NULL THEN 'session.limit_exceeded'
      WHEN "budget"."entity_type" = 'tag' THEN 'tag_budget.exceeded'
      WHEN "budget"."entity_type" = 'customer' THEN 'customer_budget.exceeded'
      ELSE 'budget.exceeded'
    END,
    "balance_payload"("balance"."id") || "denied"."of_event"
  FROM "budget_balance" AS "balance"
  JOIN "budget" ON "budget"."id" = "balance"."budget_id"
  JOIN LATERAL (
    SELECT jsonb_build_object(
      'estimated_request_cost_microdollars', "event"."estimated_nano"::numeric / 1000,
      'provider', "event"."provider",
      'model', "event"."model",
      'request_id', 'ns_evt_' || "event"."id",
      'blocked_at', "event"."created_at"
    ) AS "of_event"
    FROM unnest("denied_balances", "denied_events") AS "denial" ("balance_id", "event_id")
    JOIN "cost_event" AS "event" ON "event"."org_id" = "balance"."org_id" AND "event"."id" = "denial"."event_id"
    WHERE "denial"."balance_id" = "balance"."id"
    ORDER BY "event"."id" LIMIT 1
  ) AS "denied" ON true
  WHERE "balance"."id" = ANY ("first_denied")
  ORDER BY "balance"."id";
$$;

-- Corrects velocity windows by what calls were charged less than was counted for them, or more, in the bucket where it was counted.
CREATE FUNCTION "correct_velocity"("velocity_ids" uuid[], "corrections" bigint[], "counted_at_ms" bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "of_window" record;
  "of_call" record;
  "newest" bigint;
  "bucket" bigint;
  "ring" bigint[];
BEGIN
  FOR "of_window" IN
    SELECT * FROM "budget_velocity" WHERE "budget_id" = ANY ("velocity_ids") ORDER BY "budget_id" FOR NO KEY UPDATE
  LOOP
    "newest" := greatest("of_window"."head",
      "velocity_bucket"(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, "of_window"."window_seconds"));
    "ring" := "velocity_turned"("of_window"."buckets", "of_window"."head", "newest");
    FOR "of_call" IN
      SELECT * FROM unnest("velocity_ids", "corrections", "counted_at_ms") AS "each" ("id", "amount", "at_ms")
      WHERE "id" = "of_window"."budget_id"
    LOOP
      "bucket" := "velocity_bucket"("of_call"."at_ms", "of_window"."window_seconds");
      CONTINUE WHEN "bucket" <= "newest" - 60 OR "bucket" > "newest";
      "ring"[("bucket" % 60) + 1] :=
        least(greatest(0, "ring"[("bucket" % 60) + 1]::numeric + "of_call"."amount"), 72057594037927936)::bigint;
    END LOOP;
    UPDATE "budget_velocity" SET "buckets" = "ring", "head" = "newest" WHERE "budget_id" = "of_window"."budget_id";
  END LOOP;
END
$$;

-- Settles a batch of calls in one transaction: the events, what they add to the sums per hour and per session, the holds that end,
-- what balances are charged, and what others are told of it.
--
-- `events` is an array of `events_count` objects whose keys are columns of cost_event; an absent key is NULL. The caller sorts it so
-- that events which could collide (same id, or same reported request) come in the same order in every process: inserting waits for
-- a transaction that is inserting the same key, and two batches in opposite orders would wait for each other. An event that is
-- `held` is charged to the balances of its reservation, any other to its `balance_ids`.
-- `hold_ids` are the calls whose holds end here; one that holds nothing may be among them. `denials` says of denied events which
-- balance refused them: [{org_id, event_id, balance_id, details}]. `is_expiry` is the sweeper's: the events are provisional, and the
-- reservations stay, as expired, for a settlement that still comes.
--
-- Returns one row per reported event that had been told before, with the id under which it is stored. Every other event is durable
-- under its own id once the transaction commits, whether this call wrote it or an earlier one did.
--
-- Everything is made of what was truly inserted, so that a batch sent twice changes nothing. A provisional event gives way to a
-- settlement of the same call, once: it is taken out of every sum that it is in.
DROP FUNCTION "settle_calls"(json, integer);
CREATE FUNCTION "settle_calls"(
  "events" json, "events_count" integer,
  "hold_ids" uuid[] DEFAULT '{}', "denials" json DEFAULT NULL, "is_expiry" boolean DEFAULT false
) RETURNS TABLE ("event_id" uuid, "stored_id" uuid)
LANGUAGE plpgsql VOLATILE
-- Fresh tables have no statistics, and plans are kept while tables grow a thousandfold: only plans that look rows up by index may be
-- chosen. Planning anew for every call would cost more than the call.
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  -- The lines of the holds that end here: balances first, then velocity windows.
  "calls" uuid[];
  "call_balances" bigint[];
  "call_velocities" uuid[];
  "call_amounts" bigint[];
  "call_counted_at" bigint[];
  "is_held" boolean[];
  "has_velocity" boolean;
  "withdrawn" "cost_event"[] := '{}';
  "inserted_count" bigint := 0;
  "round_ids" uuid[];
  "round_balances" bigint[];
  "round_charges" numeric[];
  "inserted_ids" uuid[] := '{}';
  "charged_balances" bigint[] := '{}';
  "charges" numeric[] := '{}';
  "denied_balances" bigint[];
  "denied_events" uuid[];
  "org_ids" uuid[];
  "key_ids" uuid[];
BEGIN
  IF cardinality("hold_ids") > 0 THEN
    SELECT
      array_agg("call_id"), array_agg("balance_ids"["n"]), array_agg("velocity_budget_ids"["n" - cardinality("balance_ids")]),
      array_agg("amount"), array_agg("velocity_bucket"), array_agg("state" = 'held'), bool_or(cardinality("velocity_budget_ids") > 0)
    INTO "calls", "call_balances", "call_velocities", "call_amounts", "call_counted_at", "is_held", "has_velocity"
    FROM (
      SELECT * FROM "reservation" WHERE "call_id" = ANY ("hold_ids") AND ("state" = 'held' OR NOT "is_expiry")
      ORDER BY "call_id" FOR UPDATE
    ) AS "taken", unnest("amounts") WITH ORDINALITY AS "line" ("amount", "n");
  END IF;

  -- Twice at most: the second time without the provisional events that were in the way.
  FOR "round" IN 1 .. 2 LOOP
    WITH "inserted" AS (
      INSERT INTO "cost_event" (
        "org_id", "id", "request_id", "created_at", "status", "denial_code", "http_status", "source", "event_type", "provider", "model",
        "requested_model", "service_tier", "endpoint", "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens",
        "reasoning_tokens", "cost_nano", "charged_nano", "cost_basis", "cost_breakdown", "lines", "price_version", "estimated_nano",
        "budget_status", "stop_reason", "tool_calls", "tool_name", "tool_server", "duration_ms", "upstream_duration_ms",
        "time_to_first_byte_ms", "overhead_ms", "session_id", "trace_id", "span_id", "parent_span_id", "action_id", "customer_id",
        "tags", "api_key_id", "key_name", "user_id", "balance_ids", "provisional"
      )
      SELECT
        "event"."org_id", "id", "request_id", "event"."created_at", "status", "denial_code", "http_status", "source", "event_type", "provider", "model",
        "requested_model", "service_tier", "endpoint", "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens",
        "reasoning_tokens", "cost_nano", "charged_nano", "cost_basis", "cost_breakdown", "lines", "price_version", "estimated_nano",
        "budget_status", "stop_reason", "tool_calls", "tool_name", "tool_server", "duration_ms", "upstream_duration_ms",
        "time_to_first_byte_ms", "overhead_ms", "session_id", "trace_id", "span_id", "parent_span_id", "action_id", "customer_id",
        coalesce("tags", '{}'), "api_key_id", "key_name", "user_id",
        coalesce("hold"."balance_ids", "event"."balance_ids", '{}'), "is_expiry"
      FROM json_to_recordset("events") AS "event" (
        "org_id" uuid, "id" uuid, "request_id" text, "created_at" timestamptz, "status" text, "denial_code" text, "http_status" smallint,
        "source" text, "event_type" text, "provider" text, "model" text, "requested_model" text, "service_tier" text, "endpoint" text,
        "input_tokens" integer, "output_tokens" integer, "cached_input_tokens" integer, "cache_write_tokens" integer,
        "reasoning_tokens" integer, "cost_nano" bigint, "charged_nano" bigint, "cost_basis" text, "cost_breakdown" jsonb, "lines" jsonb,
        "price_version" text, "estimated_nano" bigint, "budget_status" text, "stop_reason" text, "tool_calls" jsonb, "tool_name" text,
        "tool_server" text, "duration_ms" real, "upstream_duration_ms" real, "time_to_first_byte_ms" real, "overhead_ms" real,
        "session_id" text, "trace_id" text, "span_id" text, "parent_span_id" text, "action_id" uuid, "customer_id" text, "tags" jsonb,
        "api_key_id" uuid, "key_name" text, "user_id" uuid, "balance_ids" bigint[], "held" boolean
      )
      LEFT JOIN "reservation" AS "hold" ON "event"."held" AND "hold"."call_id" = "event"."id" AND "hold"."org_id" = "event"."org_id"
      ON CONFLICT DO NOTHING
      RETURNING *
    ),
    "fact" AS (
      SELECT
        "sign", "id", "balance_ids", "sign" * "charged_nano"::numeric AS "charge",
        "org_id", date_trunc('hour', "created_at", 'UTC') AS "hour", "created_at", "api_key_id", "user_id", "provider", "model",
        "customer_id", "source", "tool_name", "tags", "session_id",
        "sign" * ("status" = 'denied')::int AS "denied",
        "sign" * ("status" NOT IN ('ok', 'denied'))::int AS "failed",
        "sign" * ("cost_basis" = 'unpriced')::int AS "unpriced",
        "sign" * coalesce("cost_nano", 0) AS "cost",
        "sign" * coalesce(("cost_breakdown"->>'input')::bigint, 0) AS "input_cost",
        "sign" * coalesce(("cost_breakdown"->>'cached')::bigint, 0) AS "cached_cost",
        "sign" * coalesce(("cost_breakdown"->>'cacheWrite')::bigint, 0) AS "cache_write_cost",
        "sign" * coalesce(("cost_breakdown"->>'output')::bigint, 0) AS "output_cost",
        "sign" * coalesce(("cost_breakdown"->>'reasoning')::bigint, 0) AS "reasoning_cost",
        "sign" * coalesce(("cost_breakdown"->>'tools')::bigint, 0) AS "tools_cost",
        "sign" * coalesce("input_tokens", 0)::bigint AS "input_tokens",
        "sign" * coalesce("output_tokens", 0)::bigint AS "output_tokens",
        "sign" * coalesce("cached_input_tokens", 0)::bigint AS "cached_input_tokens",
        "sign" * coalesce("cache_write_tokens", 0)::bigint AS "cache_write_tokens",
        "sign" * coalesce("reasoning_tokens", 0)::bigint AS "reasoning_tokens",
        "sign" * coalesce(round("duration_ms"), 0)::bigint AS "duration"
      FROM (
        SELECT 1 AS "sign", * FROM "inserted"
        UNION ALL
        SELECT -1, * FROM unnest("withdrawn")
      ) AS "event"
    ),
    "rolled_up" AS (
      INSERT INTO "cost_rollup" AS "rollup" (
        "org_id", "dimension", "hour", "value", "calls", "denied_calls", "failed_calls", "unpriced_calls", "cost_nano", "input_cost_nano",
        "cached_cost_nano", "cache_write_cost_nano", "output_cost_nano", "reasoning_cost_nano", "tools_cost_nano", "input_tokens",
        "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "duration_ms"
      )
      SELECT
        "org_id", "dimension", "hour", "value", sum("sign"), sum("denied"), sum("failed"), sum("unpriced"), "saturated"(sum("cost")),
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
        "org_id", "session_id", min("created_at"), max("created_at"), sum("sign"), sum("denied"), "saturated"(sum("cost")),
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
    ),
    "charged" AS (
      SELECT "balance_id", sum("charge") AS "charge" FROM "fact", unnest("balance_ids") AS "balance_id" GROUP BY "balance_id"
    )
    SELECT
      "of_events"."ids", "of_events"."org_ids", "of_events"."key_ids", "of_balances"."ids", "of_balances"."charges"
    INTO "round_ids", "org_ids", "key_ids", "round_balances", "round_charges"
    FROM (
      SELECT
        array_agg("id") FILTER (WHERE "sign" = 1) AS "ids", array_agg(DISTINCT "org_id") AS "org_ids",
        array_agg(DISTINCT "api_key_id") FILTER (WHERE "api_key_id" IS NOT NULL) AS "key_ids"
      FROM "fact"
    ) AS "of_events", (SELECT array_agg("balance_id") AS "ids", array_agg("charge") AS "charges" FROM "charged") AS "of_balances";

    "inserted_ids" := "inserted_ids" || "round_ids";
    "charged_balances" := "charged_balances" || "round_balances";
    "charges" := "charges" || "round_charges";
    EXIT WHEN cardinality("inserted_ids") = "events_count" OR "round" = 2 OR "is_expiry";

    WITH "gone" AS (
      DELETE FROM "cost_event" AS "stored"
      USING json_to_recordset("events") AS "event" ("org_id" uuid, "id" uuid)
      WHERE "stored"."org_id" = "event"."org_id" AND "stored"."id" = "event"."id" AND "stored"."provisional"
      RETURNING "stored"
    )
    SELECT coalesce(array_agg("stored"), '{}') INTO "withdrawn" FROM "gone";
    EXIT WHEN cardinality("withdrawn") = 0;
  END LOOP;

  IF cardinality("hold_ids") > 0 THEN
    IF "is_expiry" THEN
      UPDATE "reservation" SET "state" = 'expired' WHERE "call_id" = ANY ("hold_ids") AND "state" = 'held';
    ELSE
      DELETE FROM "reservation" WHERE "call_id" = ANY ("hold_ids");
    END IF;
  END IF;

  -- Rows that somebody else holds are skipped: money must not wait for a change of a key, and another batch is soon to follow.
  UPDATE "api_key" SET "last_used_at" = now()
  WHERE "id" = ANY (ARRAY(
    SELECT "id" FROM "api_key"
    WHERE "id" = ANY ("key_ids") AND "org_id" = ANY ("org_ids")
      AND ("last_used_at" IS NULL OR "last_used_at" < now() - interval '1 minute')
    ORDER BY "id"
    FOR NO KEY UPDATE SKIP LOCKED
  ));

  IF "denials" IS NOT NULL THEN
    INSERT INTO "outbox_event" ("org_id", "type", "payload")
    SELECT
      "event"."org_id", 'request.blocked', jsonb_build_object(
        'reason', "event"."denial_code",
        'request_id', 'ns_evt_' || "event"."id",
        'provider', "event"."provider",
        'model', "event"."model",
        'api_key_id', 'ns_key_' || "event"."api_key_id",
        'session_id', "event"."session_id",
        'customer_id', "event"."customer_id",
        'estimated_request_cost_microdollars', "event"."estimated_nano"::numeric / 1000,
        'blocked_at', "event"."created_at",
        'details', "denial"."details"
      )
    FROM json_to_recordset("denials") AS "denial" ("org_id" uuid, "event_id" uuid, "details" jsonb)
    JOIN "cost_event" AS "event" ON "event"."org_id" = "denial"."org_id" AND "event"."id" = "denial"."event_id"
    WHERE "event"."id" = ANY ("inserted_ids");
    -- Looked at without a lock, so that a runaway loop does not queue for the balance that denies it; seen again under the lock.
    SELECT array_agg("balance"."id"), array_agg("denial"."event_id") INTO "denied_balances", "denied_events"
    FROM json_to_recordset("denials") AS "denial" ("org_id" uuid, "event_id" uuid, "balance_id" bigint)
    JOIN "budget_balance" AS "balance" ON "balance"."id" = "denial"."balance_id" AND "balance"."org_id" = "denial"."org_id"
    WHERE "balance"."denied_at" IS NULL AND "denial"."event_id" = ANY ("inserted_ids");
  END IF;

  IF false = ANY ("is_held") THEN
    -- Of a hold that had expired, what its call was charged then stands for it; the hold of a tool's call was given back.
    SELECT array_agg(CASE WHEN "line"."is_held" THEN "line"."amount" ELSE (
      SELECT "event"."charged_nano" FROM unnest("withdrawn") AS "event" WHERE "event"."id" = "line"."call_id"
    ) END ORDER BY "line"."n")
    INTO "call_amounts"
    FROM unnest("calls", "call_amounts", "is_held") WITH ORDINALITY AS "line" ("call_id", "amount", "is_held", "n");
  END IF;
  IF "calls" IS NOT NULL OR cardinality("charged_balances") > 0 OR "denied_balances" IS NOT NULL THEN
    PERFORM "change_balances"(
      "charged_balances", "charges", "calls", "call_balances", "call_amounts", "is_held", "inserted_ids", "denied_balances", "denied_events"
    );
  END IF;

  IF "has_velocity" THEN
    PERFORM "correct_velocity"(array_agg("line"."velocity_id"), array_agg("line"."correction"), array_agg("line"."counted_at"))
    FROM (
      -- A hold that had expired was corrected then, to what was charged provisionally.
      SELECT "hold"."velocity_id", "hold"."counted_at", coalesce((
        SELECT least("event"."charged_nano", 72057594037927936) FROM "cost_event" AS "event"
        WHERE "event"."org_id" = ANY ("org_ids") AND "event"."id" = "hold"."call_id" AND "event"."id" = ANY ("inserted_ids")
      ), 0) - least(coalesce("hold"."amount", 0), 72057594037927936) AS "correction"
      FROM unnest("calls", "call_velocities", "call_amounts", "call_counted_at")
        AS "hold" ("call_id", "velocity_id", "amount", "counted_at")
      WHERE "hold"."velocity_id" IS NOT NULL
    ) AS "line";
  END IF;

  IF cardinality("inserted_ids") = "events_count" OR "is_expiry" THEN
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

-- Ends holds of calls that were never forwarded because nobody knows whether their hold was made: the statement that was to make it
-- was not answered, and it may still be running. What is held is released; for what is not, a row is left that keeps the hold from
-- being made after this.
CREATE FUNCTION "release_calls"("call_ids" uuid[], "org_ids" uuid[]) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  "held_ids" uuid[];
BEGIN
  INSERT INTO "reservation" ("call_id", "org_id", "balance_ids", "amounts", "state", "lease_until", "draft")
  SELECT "id", "org_id", '{}', '{}', 'expired', clock_timestamp(), '{}'
  FROM unnest("call_ids", "org_ids") AS "call" ("id", "org_id")
  ORDER BY "id"
  ON CONFLICT ("call_id") DO NOTHING;
  SELECT array_agg("call_id") INTO "held_ids" FROM "reservation" WHERE "call_id" = ANY ("call_ids") AND "state" = 'held';
  IF "held_ids" IS NOT NULL THEN
    PERFORM "settle_calls"('[]', 0, "held_ids");
  END IF;
  RETURN coalesce(cardinality("held_ids"), 0);
END
$$;

-- Settles holds whose lease has run out, by this clock: the process that made them is gone, and nobody knows what its calls cost.
-- Calls of models are charged what was held for them, provisionally; calls of tools, which live elsewhere, are released. A row without
-- balances is of a call that no budget limits, written down so that it is not forgotten: it costs what was estimated. Several may do
-- this at once: what one looks at, the others pass over. Returns how many it took.
CREATE FUNCTION "expire_reservations"("most" integer) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
  "overdue" uuid[];
  "call" uuid;
BEGIN
  SELECT array_agg("call_id" ORDER BY "call_id") INTO "overdue"
  FROM (
    SELECT "call_id" FROM "reservation" WHERE "state" = 'held' AND "lease_until" < clock_timestamp()
    ORDER BY "lease_until" LIMIT "most" FOR UPDATE SKIP LOCKED
  ) AS "found";
  IF "overdue" IS NULL THEN
    RETURN 0;
  END IF;
  BEGIN
    PERFORM "expire_calls"("overdue");
  EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
    -- One that cannot be settled must not keep the others held: it stays, and is tried again in an hour.
    FOREACH "call" IN ARRAY "overdue" LOOP
      BEGIN
        PERFORM "expire_calls"(ARRAY["call"]);
      EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
        RAISE WARNING 'the hold of call % could not be settled: %', "call", SQLERRM;
        UPDATE "reservation" SET "lease_until" = clock_timestamp() + interval '1 hour' WHERE "call_id" = "call";
      END;
    END LOOP;
  END;
  RETURN cardinality("overdue");
END
$$;

CREATE FUNCTION "expire_calls"("call_ids" uuid[]) RETURNS void
LANGUAGE sql VOLATILE
AS $$
  SELECT "settle_calls"(
    coalesce(json_agg("event" ORDER BY "call_id") FILTER (WHERE "event" IS NOT NULL), '[]'), count("event")::integer, "call_ids", NULL, true
  )
  FROM (
    SELECT "call_id", CASE WHEN "draft"::jsonb->>'source' <> 'mcp' THEN "draft"::jsonb || jsonb_build_object(
      'status', 'interrupted',
      'budget_status', CASE cardinality("balance_ids") WHEN 0 THEN 'none' ELSE 'approved' END,
      'cost_basis', CASE WHEN "amount" IS NULL THEN 'unpriced' ELSE 'bounded' END,
      'cost_nano', "amount",
      'charged_nano', coalesce("amount", 0),
      'held', true
    ) END AS "event"
    FROM "reservation",
      LATERAL (
        SELECT coalesce(max("line"), ("draft"::jsonb->>'estimated_nano')::bigint) AS "amount"
        FROM unnest("amounts"[1 : cardinality("balance_ids")]) AS "line"
      ) AS "most"
    WHERE "call_id" = ANY ("call_ids") AND "state" = 'held'
  ) AS "expiring"
$$;

-- Writes down calls that no budget limits and that are still under way, so that they are not forgotten when their process dies.
CREATE FUNCTION "journal_calls"("call_ids" uuid[], "org_ids" uuid[], "drafts" text, "lease" interval) RETURNS void
LANGUAGE sql VOLATILE
AS $$
  INSERT INTO "reservation" ("call_id", "org_id", "balance_ids", "amounts", "lease_until", "draft")
  SELECT "id", "org_id", '{}', '{}', clock_timestamp() + "lease", "draft"
  FROM unnest("call_ids", "org_ids", string_to_array("drafts", E'\n')) AS "call" ("id", "org_id", "draft")
  WHERE NOT EXISTS (
    SELECT FROM "cost_event" AS "event" WHERE "event"."org_id" = "call"."org_id" AND "event"."id" = "call"."id"
  )
  ORDER BY "id"
  ON CONFLICT ("call_id") DO NOTHING
$$;

-- Forgets holds that expired so long ago that no settlement is to come.
CREATE FUNCTION "forget_expired"("most" integer) RETURNS integer
LANGUAGE sql VOLATILE
AS $$
  WITH "gone" AS (
    DELETE FROM "reservation" WHERE "call_id" = ANY (ARRAY(
      SELECT "call_id" FROM "reservation" WHERE "state" = 'expired' AND "lease_until" < clock_timestamp() - interval '7 days'
      LIMIT "most" FOR UPDATE SKIP LOCKED
    ))
    RETURNING 1
  )
  SELECT count(*)::integer FROM "gone"
$$;

-- Carries an edited budget over to what it limits, in the edit's own transaction. The period that runs keeps what it has counted and
-- ends at `period_end` (null: never), by the new calendar. `max_before` is the limit before the edit, so that what was approved for
-- this period stays on top of the new one; null for a new budget.
CREATE FUNCTION "apply_budget_change"("of_org" uuid, "of_budget_id" uuid, "max_before" bigint, "period_end" timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "of_budget" "budget";
  "of_balance" "budget_balance";
  "of_window" "budget_velocity";
  "new_kind" smallint;
  "new_limit" bigint;
  "new_excess" bigint;
BEGIN
  -- Waits for a period that is being opened, which is then among those below.
  SELECT * INTO STRICT "of_budget" FROM "budget" WHERE "id" = "of_budget_id" AND "org_id" = "of_org" FOR NO KEY UPDATE;
  FOR "of_balance" IN
    SELECT * FROM "budget_balance"
    WHERE "org_id" = "of_org" AND "budget_id" = "of_budget_id" AND ("ends_at" IS NULL OR clock_timestamp() < "ends_at")
    ORDER BY "id" FOR NO KEY UPDATE
  LOOP
    IF "of_balance"."session_id" IS NULL THEN
      "new_kind" := "budget_kind"("of_budget"."policy");
      "new_limit" := greatest(0, "of_balance"."limit_nano" + "of_budget"."max_nano" - coalesce("max_before", "of_budget"."max_nano"));
    ELSE
      "new_kind" := 3;
      "new_limit" := coalesce("of_budget"."session_limit_nano", "of_balance"."limit_nano");
      CONTINUE WHEN "new_limit" = "of_balance"."limit_nano";
    END IF;
    "new_excess" := CASE "new_kind" WHEN 2 THEN 0
      ELSE greatest(0, "of_balance"."spent_nano" + "of_balance"."reserved_nano" - "new_limit") END;
    UPDATE "budget_balance" SET
      "kind" = "new_kind",
      "limit_nano" = "new_limit",
      "excess_nano" = "new_excess",
      "thresholds" = CASE WHEN "session_id" IS NULL
        THEN "thresholds_ahead"("of_budget"."thresholds", "spent_nano", "new_limit") ELSE "thresholds" END,
      "ends_at" = CASE WHEN "session_id" IS NULL THEN "period_end" END
    WHERE "id" = "of_balance"."id";
    IF "new_excess" > 0 AND ("of_balance"."kind" = 2 OR "new_excess" > "of_balance"."excess_nano") THEN
      INSERT INTO "budget_excess" ("org_id", "balance_id", "reason", "amount_nano")
      VALUES (
        "of_org", "of_balance"."id", CASE WHEN "of_balance"."kind" = 2 THEN 'policy_changed' ELSE 'limit_lowered' END,
        "new_excess" - CASE WHEN "of_balance"."kind" = 2 THEN 0 ELSE "of_balance"."excess_nano" END
      );
    END IF;
  END LOOP;

  SELECT * INTO "of_window" FROM "budget_velocity" WHERE "budget_id" = "of_budget_id" FOR UPDATE;
  IF "of_budget"."velocity_limit_nano" IS NULL THEN
    INSERT INTO "outbox_event" ("org_id", "type", "payload")
    SELECT "of_org", 'velocity.recovered', "velocity_payload"("of_budget_id", 0) || jsonb_build_object('recovered_at', clock_timestamp())
    WHERE "of_window"."tripped_at" IS NOT NULL;
    DELETE FROM "budget_velocity" WHERE "budget_id" = "of_budget_id";
  ELSIF "of_window"."window_seconds" = "of_budget"."velocity_window_seconds" THEN
    UPDATE "budget_velocity" SET
      "limit_nano" = "of_budget"."velocity_limit_nano", "cooldown_seconds" = "of_budget"."velocity_cooldown_seconds"
    WHERE "budget_id" = "of_budget_id";
  ELSE
    -- A ring of another width cannot be told from this one: it begins anew.
    INSERT INTO "budget_velocity" ("budget_id", "org_id", "limit_nano", "window_seconds", "cooldown_seconds", "buckets")
    VALUES (
      "of_budget_id", "of_org", "of_budget"."velocity_limit_nano", "of_budget"."velocity_window_seconds",
      "of_budget"."velocity_cooldown_seconds", array_fill(0::bigint, ARRAY[60])
    )
    ON CONFLICT ("budget_id") DO UPDATE SET
      "limit_nano" = excluded."limit_nano", "window_seconds" = excluded."window_seconds",
      "cooldown_seconds" = excluded."cooldown_seconds", "buckets" = excluded."buckets", "head" = 0;
  END IF;
END
$$;

-- Ends the period that runs and begins the next one now, with nothing spent; it ends when the calendar says. Calls in flight settle
-- into the period in which they were admitted. Returns the new balance.
CREATE FUNCTION "reset_budget"("of_org" uuid, "of_budget_id" uuid, "period_end" timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "of_budget" "budget";
  "running" bigint;
  -- Not after the clock: the new period is the current one at once.
  "new_start" timestamptz := date_trunc('milliseconds', clock_timestamp());
  "last_start" timestamptz;
  "opened" bigint;
BEGIN
  SELECT * INTO STRICT "of_budget" FROM "budget" WHERE "id" = "of_budget_id" AND "org_id" = "of_org" FOR NO KEY UPDATE;
  "running" := "current_balance"("of_org", "of_budget_id");
  SELECT max("starts_at") INTO "last_start" FROM "budget_balance"
  WHERE "org_id" = "of_org" AND "budget_id" = "of_budget_id" AND "session_id" IS NULL;
  "new_start" := greatest("new_start", "last_start" + interval '1 millisecond');
  UPDATE "budget_balance" SET "ends_at" = "new_start" WHERE "id" = "running";
  INSERT INTO "budget_balance" ("org_id", "budget_id", "starts_at", "ends_at", "kind", "limit_nano", "thresholds", "opened_by")
  VALUES (
    "of_org", "of_budget_id", "new_start", CASE WHEN "period_end" IS NOT NULL THEN greatest("period_end", "new_start" + interval '1 millisecond') END,
    "budget_kind"("of_budget"."policy"), "of_budget"."max_nano", "of_budget"."thresholds", 'reset'
  )
  RETURNING "id" INTO "opened";
  PERFORM "tell_reset"("opened");
  RETURN "opened";
END
$$;

-- Adds to the limit of the period that runs. Percentages above what is now spent of it are announced again. Returns the limit, or
-- null where no period runs: it has to be opened first.
CREATE FUNCTION "raise_budget"("of_org" uuid, "of_budget_id" uuid, "by" bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  "of_budget" "budget";
  "running" bigint;
  "raised" bigint;
BEGIN
  SELECT * INTO STRICT "of_budget" FROM "budget" WHERE "id" = "of_budget_id" AND "org_id" = "of_org" FOR NO KEY UPDATE;
  "running" := "current_balance"("of_org", "of_budget_id");
  PERFORM FROM "budget_balance" WHERE "id" = "running" FOR NO KEY UPDATE;
  UPDATE "budget_balance" SET
    "limit_nano" = "limit_nano" + "by",
    "excess_nano" = CASE "kind" WHEN 2 THEN 0 ELSE greatest(0, "spent_nano" + "reserved_nano" - "limit_nano" - "by") END,
    "thresholds" = "thresholds_ahead"("of_budget"."thresholds", "spent_nano", "limit_nano" + "by")
  WHERE "id" = "running"
  RETURNING "limit_nano" INTO "raised";
  RETURN "raised";
END
$$;
