import { setTimeout as sleep } from "node:timers/promises";
import type { Product } from "./server";

/** A cost event as REST shows it (CONTRACT §7), as far as tests look at it. */
export type ShownEvent = {
  id: string;
  requestId: string;
  status: string;
  denialCode: string | null;
  httpStatus: number | null;
  provider: string;
  model: string;
  requestedModel: string | null;
  endpoint: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  cachedInputTokens: number | null;
  cacheWriteTokens: number | null;
  reasoningTokens: number | null;
  costMicrodollars: number | null;
  costBasis: string;
  sessionId: string | null;
  toolCalls: { name: string; id: string | null }[] | null;
};

const WAIT_MS_MAX = 20_000;

/** The event of a call by its `X-NullSpend-Request-Id`; waits until it is settled. */
export async function settledEvent(product: Product, requestId: string): Promise<ShownEvent> {
  const deadline = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const answer = await fetch(`${product.origin}/api/cost-events/${requestId}`, { headers: { "x-nullspend-key": product.adminKey } });
    const body = (await answer.json()) as { data: ShownEvent };
    if (answer.status === 200) return body.data;
    if (answer.status !== 404 || performance.now() > deadline) {
      throw new Error(`no event ${requestId}: ${answer.status} ${JSON.stringify(body)}`);
    }
    await sleep(20);
  }
}

/** One event as the database holds it; money in nanodollars. */
export type StoredEvent = {
  requestId: string;
  sessionId: string | null;
  status: string;
  costBasis: string;
  costNano: bigint | null;
  inputTokens: number | null;
  outputTokens: number | null;
};

/** Every event of a product that has a database of its own, in order; waits until there are `count`, and throws if they do not come. */
export async function storedEvents(product: Pick<Product, "database">, count: number): Promise<StoredEvent[]> {
  const deadline = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const { rows } = await product.database.pool.query<Omit<StoredEvent, "costNano"> & { costNano: string | null }>(
      `select request_id as "requestId", session_id as "sessionId", status, cost_basis as "costBasis", cost_nano::text as "costNano",
              input_tokens::int as "inputTokens", output_tokens::int as "outputTokens"
       from cost_event order by created_at, id`,
    );
    if (rows.length >= count) return rows.map((row) => ({ ...row, costNano: row.costNano === null ? null : BigInt(row.costNano) }));
    if (performance.now() > deadline) throw new Error(`${rows.length} events after ${WAIT_MS_MAX / 1000} s, expected ${count}`);
    await sleep(50);
  }
}
