-- Reports over long ranges. Nothing of what calls write changes but for the new indexes; sums by day are made by a job.

-- CreateTable
CREATE TABLE "cost_rollup_day" (
    "org_id" UUID NOT NULL,
    "day" DATE NOT NULL,
    "dimension" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "calls" BIGINT NOT NULL,
    "denied_calls" BIGINT NOT NULL,
    "failed_calls" BIGINT NOT NULL,
    "unpriced_calls" BIGINT NOT NULL,
    "cost_nano" BIGINT NOT NULL,
    "input_cost_nano" BIGINT NOT NULL,
    "cached_cost_nano" BIGINT NOT NULL,
    "cache_write_cost_nano" BIGINT NOT NULL,
    "output_cost_nano" BIGINT NOT NULL,
    "reasoning_cost_nano" BIGINT NOT NULL,
    "tools_cost_nano" BIGINT NOT NULL,
    "input_tokens" BIGINT NOT NULL,
    "output_tokens" BIGINT NOT NULL,
    "cached_input_tokens" BIGINT NOT NULL,
    "cache_write_tokens" BIGINT NOT NULL,
    "reasoning_tokens" BIGINT NOT NULL,
    "duration_ms" BIGINT NOT NULL,

    CONSTRAINT "cost_rollup_day_pkey" PRIMARY KEY ("org_id","dimension","day","value")
);

-- CreateTable
CREATE TABLE "cost_rollup_day_made" (
    "org_id" UUID NOT NULL,
    "day" DATE NOT NULL,

    CONSTRAINT "cost_rollup_day_made_pkey" PRIMARY KEY ("org_id","day")
);

-- CreateIndex
CREATE INDEX "cost_event_org_id_api_key_id_id_idx" ON "cost_event"("org_id", "api_key_id", "id");

-- CreateIndex
CREATE INDEX "cost_event_org_id_customer_id_id_idx" ON "cost_event"("org_id", "customer_id", "id");

-- CreateIndex
CREATE INDEX "cost_event_org_id_model_id_idx" ON "cost_event"("org_id", "model", "id");

-- CreateIndex
CREATE INDEX "cost_rollup_org_id_dimension_value_hour_idx" ON "cost_rollup"("org_id", "dimension", "value", "hour");

-- What went wrong is rare, and looked for first.
CREATE INDEX "cost_event_not_ok" ON "cost_event" ("org_id", "id") WHERE "status" <> 'ok';

-- One lock for each day of an organisation: shared by whoever changes an hour of it, alone for whoever sums it up.
CREATE FUNCTION "rollup_day_lock"("org_id" uuid, "day" date) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtextextended('cost_rollup_day ' || "org_id" || "day", 0);

-- A call that is settled late, or a hold that is corrected after days, changes an hour of a day that was summed up already. That sum
-- counts no longer from this transaction on; the job makes it again. The hours themselves are always right.
CREATE FUNCTION "unmake_rollup_day"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared("rollup_day_lock"(NEW."org_id", (NEW."hour" AT TIME ZONE 'UTC')::date));
  DELETE FROM "cost_rollup_day_made" WHERE "org_id" = NEW."org_id" AND "day" = (NEW."hour" AT TIME ZONE 'UTC')::date;
  RETURN NULL;
END
$$;

-- Tested beside every call's update, so it looks at nothing but the clock. Days are summed up when they are over for 26 hours: no
-- transaction lasts so long that it could find its hour young and the day's sum already made.
CREATE TRIGGER "cost_rollup_late" AFTER INSERT OR UPDATE ON "cost_rollup"
FOR EACH ROW WHEN (NEW."hour" < now() - interval '25 hours') EXECUTE FUNCTION "unmake_rollup_day"();

-- Sums up one day of one organisation. Returns false where that was done already, or the day is too young.
CREATE FUNCTION "make_rollup_day"("of_org" uuid, "of_day" date) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF "of_day" + 1 > (now() - interval '26 hours') AT TIME ZONE 'UTC' THEN
    RETURN false;
  END IF;
  -- Whoever is changing an hour of the day commits first; whoever comes later takes the sum away again.
  PERFORM pg_advisory_xact_lock("rollup_day_lock"("of_org", "of_day"));
  IF EXISTS (SELECT FROM "cost_rollup_day_made" WHERE "org_id" = "of_org" AND "day" = "of_day") THEN
    RETURN false;
  END IF;
  DELETE FROM "cost_rollup_day" WHERE "org_id" = "of_org" AND "day" = "of_day";
  INSERT INTO "cost_rollup_day" (
    "org_id", "day", "dimension", "value", "calls", "denied_calls", "failed_calls", "unpriced_calls", "cost_nano", "input_cost_nano",
    "cached_cost_nano", "cache_write_cost_nano", "output_cost_nano", "reasoning_cost_nano", "tools_cost_nano", "input_tokens",
    "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "duration_ms"
  )
  SELECT
    "of_org", "of_day", "dimension", "value", "saturated"(sum("calls")), "saturated"(sum("denied_calls")), "saturated"(sum("failed_calls")),
    "saturated"(sum("unpriced_calls")), "saturated"(sum("cost_nano")), "saturated"(sum("input_cost_nano")),
    "saturated"(sum("cached_cost_nano")), "saturated"(sum("cache_write_cost_nano")), "saturated"(sum("output_cost_nano")),
    "saturated"(sum("reasoning_cost_nano")), "saturated"(sum("tools_cost_nano")), "saturated"(sum("input_tokens")),
    "saturated"(sum("output_tokens")), "saturated"(sum("cached_input_tokens")), "saturated"(sum("cache_write_tokens")),
    "saturated"(sum("reasoning_tokens")), "saturated"(sum("duration_ms"))
  FROM "cost_rollup"
  WHERE "org_id" = "of_org" AND "hour" >= "of_day"::timestamp AT TIME ZONE 'UTC' AND "hour" < ("of_day" + 1)::timestamp AT TIME ZONE 'UTC'
  GROUP BY "dimension", "value"
  ORDER BY "dimension", "value";
  INSERT INTO "cost_rollup_day_made" ("org_id", "day") VALUES ("of_org", "of_day");
  RETURN true;
END
$$;
