-- Yesterday by the hour is the dearest part of a month's report, so a day is summed up when it is over for three hours instead of 26.
-- What comes later is found by the trigger. A day's last hour began four hours before, the trigger looks from two and a half on: no
-- transaction lasts so long that it could find its hour young and the day summed up already.
DROP TRIGGER "cost_rollup_late" ON "cost_rollup";
CREATE TRIGGER "cost_rollup_late" AFTER INSERT OR UPDATE ON "cost_rollup"
FOR EACH ROW WHEN (NEW."hour" < now() - interval '150 minutes') EXECUTE FUNCTION "unmake_rollup_day"();

CREATE OR REPLACE FUNCTION "make_rollup_day"("of_org" uuid, "of_day" date) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF "of_day" + 1 > (now() - interval '3 hours') AT TIME ZONE 'UTC' THEN
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
