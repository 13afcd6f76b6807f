-- What denied calls would have cost, by time: the overview sums a month of it, from the index alone.
CREATE INDEX "cost_event_denied" ON "cost_event" ("org_id", "created_at") INCLUDE ("estimated_nano") WHERE "status" = 'denied';
