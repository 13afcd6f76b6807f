export { deleteExpiredIdempotencyRecords, withIdempotency, type IdempotentAnswer, type IdempotentAttempt } from "./with-idempotency";
