-- Tells `cost_event.created` where an organisation has an endpoint that wants it (organisation.cost_event_webhooks).
--
-- A trigger on the statement, in the settlement's own transaction: the event and what is told of it commit together, and where nobody
-- listens a batch pays for one look at a partial index that is empty.

CREATE INDEX "organisation_cost_event_webhooks" ON "organisation" ("id") WHERE "cost_event_webhooks";

-- The outbox row has the event's own id: one that is corrected after its process died is told once, under one id.
CREATE FUNCTION "tell_cost_events"() RETURNS trigger LANGUAGE plpgsql
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM "organisation" WHERE "cost_event_webhooks") THEN
    RETURN NULL;
  END IF;
  INSERT INTO "outbox_event" ("id", "org_id", "type", "payload")
  SELECT "event"."id", "event"."org_id", 'cost_event.created', jsonb_build_object(
    'id', 'ns_evt_' || "event"."id",
    'request_id', "event"."request_id",
    'created_at', "event"."created_at",
    'status', "event"."status",
    'denial_code', "event"."denial_code",
    'http_status', "event"."http_status",
    'source', "event"."source",
    'event_type', "event"."event_type",
    'provider', "event"."provider",
    'model', "event"."model",
    'requested_model', "event"."requested_model",
    'input_tokens', "event"."input_tokens",
    'output_tokens', "event"."output_tokens",
    'cached_input_tokens', "event"."cached_input_tokens",
    'cache_write_tokens', "event"."cache_write_tokens",
    'reasoning_tokens', "event"."reasoning_tokens",
    'cost_microdollars', "event"."cost_nano"::numeric / 1000,
    'charged_microdollars', "event"."charged_nano"::numeric / 1000,
    'cost_basis', "event"."cost_basis",
    'budget_status', "event"."budget_status",
    'stop_reason', "event"."stop_reason",
    'duration_ms', "event"."duration_ms",
    'upstream_duration_ms', "event"."upstream_duration_ms",
    'session_id', "event"."session_id",
    'trace_id', "event"."trace_id",
    'tool_name', "event"."tool_name",
    'tool_server', "event"."tool_server",
    'tool_calls_requested', "event"."tool_calls",
    'customer_id', "event"."customer_id",
    'api_key_id', 'ns_key_' || "event"."api_key_id",
    'user_id', 'ns_usr_' || "event"."user_id",
    'action_id', 'ns_act_' || "event"."action_id",
    'tags', "event"."tags"
  )
  FROM "inserted" AS "event"
  JOIN "organisation" ON "organisation"."id" = "event"."org_id" AND "organisation"."cost_event_webhooks"
  ORDER BY "event"."id"
  ON CONFLICT ("id") DO NOTHING;
  RETURN NULL;
END
$$;

CREATE TRIGGER "cost_event_told" AFTER INSERT ON "cost_event"
REFERENCING NEW TABLE AS "inserted"
FOR EACH STATEMENT EXECUTE FUNCTION "tell_cost_events"();
