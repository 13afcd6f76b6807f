import { setTimeout as sleep } from "node:timers/promises";
import { parsePublicId } from "@/lib/ids";
import type { Product } from "./server";

/** One event as the database holds it, as far as tests look at it; money in nanodollars. */
export type StoredEvent = {
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
  costNano: bigint | null;
  chargedNano: bigint;
  costBasis: string;
  sessionId: string | null;
  toolCalls: { name: string; id: string | null }[] | null;
};

type Source = Pick<Product, "database">;

const WAIT_MS_MAX = 10_000;

const COLUMNS = `id, request_id as "requestId", status, denial_code as "denialCode", http_status as "httpStatus", provider, model,
  requested_model as "requestedModel", endpoint, input_tokens as "inputTokens", output_tokens as "outputTokens",
  cached_input_tokens as "cachedInputTokens", cache_write_tokens as "cacheWriteTokens", reasoning_tokens as "reasoningTokens",
  cost_nano::text as "costNano", charged_nano::text as "chargedNano", cost_basis as "costBasis", session_id as "sessionId",
  tool_calls as "toolCalls"`;

type Row = Omit<StoredEvent, "costNano" | "chargedNano"> & { costNano: string | null; chargedNano: string };

async function read({ database }: Source, where: string, values: unknown[]): Promise<StoredEvent[]> {
  const { rows } = await database.pool.query<Row>(`select ${COLUMNS} from cost_event where ${where} order by id`, values);
  return rows.map((row) => ({
    ...row,
    costNano: row.costNano === null ? null : BigInt(row.costNano),
    chargedNano: BigInt(row.chargedNano),
  }));
}

/** The event of a call by its `X-NullSpend-Request-Id`; waits until it is settled. */
export async function settledEvent(product: Source, requestId: string | null | undefined): Promise<StoredEvent> {
  const id = parsePublicId("event", requestId ?? "");
  if (id === undefined) throw new Error(`not a request id of ours: ${requestId}`);
  const deadline = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const [event] = await read(product, "id = $1", [id]);
    if (event) return event;
    if (performance.now() > deadline) throw new Error(`no event ${requestId} after ${WAIT_MS_MAX / 1000} s`);
    await sleep(20);
  }
}

/** The same event as REST shows it to a key that may read. */
export async function shownEvent(
  product: Pick<Product, "origin" | "adminKey">,
  requestId: string | null | undefined,
): Promise<Record<string, unknown>> {
  const answer = await fetch(`${product.origin}/api/cost-events/${requestId}`, { headers: { "x-nullspend-key": product.adminKey } });
  const body = (await answer.json()) as { data?: Record<string, unknown> };
  if (answer.status !== 200 || !body.data) throw new Error(`GET /api/cost-events/${requestId}: ${answer.status} ${JSON.stringify(body)}`);
  return body.data;
}

/** Every event of a product that has a database of its own, in order; waits until there are `count`, and throws if they do not come. */
export async function storedEvents(product: Source, count: number): Promise<StoredEvent[]> {
  const deadline = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const events = await read(product, "true", []);
    if (events.length >= count) return events;
    if (performance.now() > deadline) throw new Error(`${events.length} events after ${WAIT_MS_MAX / 1000} s, expected ${count}`);
    await sleep(50);
  }
}
