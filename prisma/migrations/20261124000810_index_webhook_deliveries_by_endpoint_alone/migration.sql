-- DropIndex
DROP INDEX "webhook_delivery_state_next_attempt_at_idx";

-- CreateIndex
CREATE INDEX "webhook_delivery_finished_at_idx" ON "webhook_delivery"("finished_at");
