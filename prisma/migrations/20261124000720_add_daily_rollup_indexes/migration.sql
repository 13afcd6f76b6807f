-- Rows by day are written once, so their indexes may hold sums: which customers were dearest is then read from the index alone.
CREATE INDEX "cost_rollup_day_ranked" ON "cost_rollup_day" ("org_id", "dimension", "day")
  INCLUDE ("value", "cost_nano", "calls", "denied_calls", "input_tokens", "output_tokens");
CREATE INDEX "cost_rollup_day_value" ON "cost_rollup_day" ("org_id", "dimension", "value", "day");
