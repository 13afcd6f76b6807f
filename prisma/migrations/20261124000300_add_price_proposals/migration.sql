-- CreateTable
CREATE TABLE "price_proposal" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "provider" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "rates" JSONB NOT NULL,
    "rates_hash" TEXT NOT NULL,
    "reasons" TEXT[],
    "source" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "decision" TEXT,
    "decided_at" TIMESTAMPTZ(3),
    "price_id" UUID,

    CONSTRAINT "price_proposal_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "price_proposal_provider_model_rates_hash_key" ON "price_proposal"("provider", "model", "rates_hash");
