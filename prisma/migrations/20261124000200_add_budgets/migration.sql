-- AlterTable
ALTER TABLE "cost_event" ADD COLUMN     "balance_ids" BIGINT[] DEFAULT ARRAY[]::BIGINT[],
ADD COLUMN     "provisional" BOOLEAN NOT NULL DEFAULT false;

-- CreateTable
CREATE TABLE "budget" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "org_id" UUID NOT NULL,
    "entity_type" TEXT NOT NULL,
    "entity_id" TEXT NOT NULL,
    "models" TEXT[],
    "providers" TEXT[],
    "max_nano" BIGINT NOT NULL,
    "policy" TEXT NOT NULL DEFAULT 'strict_block',
    "reset_interval" TEXT NOT NULL DEFAULT 'none',
    "timezone" TEXT,
    "anchor_day" SMALLINT,
    "thresholds" INTEGER[] DEFAULT ARRAY[50, 80, 90, 95]::INTEGER[],
    "velocity_limit_nano" BIGINT,
    "velocity_window_seconds" INTEGER NOT NULL DEFAULT 60,
    "velocity_cooldown_seconds" INTEGER NOT NULL DEFAULT 60,
    "session_limit_nano" BIGINT,
    "holds" TEXT NOT NULL DEFAULT 'bound',
    "unpriced_policy" TEXT NOT NULL DEFAULT 'ceiling',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "budget_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "budget_balance" (
    "id" BIGSERIAL NOT NULL,
    "org_id" UUID NOT NULL,
    "budget_id" UUID NOT NULL,
    "session_id" TEXT,
    "starts_at" TIMESTAMPTZ(3) NOT NULL,
    "ends_at" TIMESTAMPTZ(3),
    "kind" SMALLINT NOT NULL,
    "limit_nano" BIGINT NOT NULL,
    "spent_nano" BIGINT NOT NULL DEFAULT 0,
    "reserved_nano" BIGINT NOT NULL DEFAULT 0,
    "excess_nano" BIGINT NOT NULL DEFAULT 0,
    "thresholds" INTEGER[] DEFAULT ARRAY[]::INTEGER[],
    "denied_at" TIMESTAMPTZ(3),
    "opened_by" TEXT NOT NULL,

    CONSTRAINT "budget_balance_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "reservation" (
    "call_id" UUID NOT NULL,
    "org_id" UUID NOT NULL,
    "balance_ids" BIGINT[],
    "amounts" BIGINT[],
    "velocity_budget_ids" UUID[] DEFAULT ARRAY[]::UUID[],
    "velocity_bucket" BIGINT NOT NULL DEFAULT 0,
    "state" TEXT NOT NULL DEFAULT 'held',
    "lease_until" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "draft" TEXT NOT NULL,

    CONSTRAINT "reservation_pkey" PRIMARY KEY ("call_id")
);

-- CreateTable
CREATE TABLE "budget_excess" (
    "id" BIGSERIAL NOT NULL,
    "org_id" UUID NOT NULL,
    "balance_id" BIGINT NOT NULL,
    "reason" TEXT NOT NULL,
    "event_id" UUID,
    "amount_nano" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "budget_excess_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "budget_velocity" (
    "budget_id" UUID NOT NULL,
    "org_id" UUID NOT NULL,
    "limit_nano" BIGINT NOT NULL,
    "window_seconds" INTEGER NOT NULL,
    "cooldown_seconds" INTEGER NOT NULL,
    "buckets" BIGINT[],
    "head" BIGINT NOT NULL DEFAULT 0,
    "tripped_at" TIMESTAMPTZ(3),
    "cool_until" TIMESTAMPTZ(3),

    CONSTRAINT "budget_velocity_pkey" PRIMARY KEY ("budget_id")
);

-- CreateTable
CREATE TABLE "outbox_event" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "org_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "payload" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "sent_at" TIMESTAMPTZ(3),

    CONSTRAINT "outbox_event_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "freeze" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "org_id" UUID NOT NULL,
    "entity_type" TEXT NOT NULL,
    "entity_id" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lifted_at" TIMESTAMPTZ(3),

    CONSTRAINT "freeze_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "budget_decision" (
    "id" UUID NOT NULL,
    "org_id" UUID NOT NULL,
    "event_id" UUID NOT NULL,
    "snapshot" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "budget_decision_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "tool_cost" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "org_id" UUID NOT NULL,
    "server_name" TEXT NOT NULL,
    "tool_name" TEXT NOT NULL,
    "cost_nano" BIGINT NOT NULL,
    "suggested_nano" BIGINT,
    "source" TEXT NOT NULL,
    "description" TEXT,
    "last_seen_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tool_cost_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "budget_org_id_entity_type_entity_id_idx" ON "budget"("org_id", "entity_type", "entity_id");

-- CreateIndex
CREATE INDEX "budget_balance_org_id_budget_id_starts_at_idx" ON "budget_balance"("org_id", "budget_id", "starts_at");

-- CreateIndex
CREATE INDEX "reservation_org_id_idx" ON "reservation"("org_id");

-- CreateIndex
CREATE INDEX "budget_excess_balance_id_idx" ON "budget_excess"("balance_id");

-- CreateIndex
CREATE INDEX "budget_velocity_cool_until_idx" ON "budget_velocity"("cool_until");

-- CreateIndex
CREATE INDEX "outbox_event_org_id_created_at_idx" ON "outbox_event"("org_id", "created_at");

-- CreateIndex
CREATE INDEX "freeze_org_id_entity_type_entity_id_idx" ON "freeze"("org_id", "entity_type", "entity_id");

-- CreateIndex
CREATE INDEX "budget_decision_org_id_created_at_idx" ON "budget_decision"("org_id", "created_at");

-- CreateIndex
CREATE UNIQUE INDEX "tool_cost_org_id_server_name_tool_name_key" ON "tool_cost"("org_id", "server_name", "tool_name");

-- AddForeignKey
ALTER TABLE "budget" ADD CONSTRAINT "budget_org_id_fkey" FOREIGN KEY ("org_id") REFERENCES "organisation"("id") ON DELETE CASCADE ON UPDATE CASCADE;
