import { setTimeout as sleep } from "node:timers/promises";
import { violationsOf } from "@/server/ledger/integrity";
import { createApiKey } from "@/testing/factories";
import { scenarioHeader, type Scenario } from "@/testing/fake-provider";
import { headerList, RawConnection, rawRequest, requestBytes, type RawRequest, type RawResponse } from "@/testing/raw-http";
import type { Product } from "@/testing/server";
import type { KeyRestrictions } from "@/server/api-key/identity";

/** What changes anywhere is in force everywhere after this (CONTRACT §2). */
const IN_FORCE_MS = 1_000;

/** A key of its own and the budget that it has, in an organisation that others share. */
export type Spender = {
  orgId: string;
  key: string;
  /** Bare. */
  keyId: string;
  budgetId: string;
  headers(...more: string[]): string[];
};

/** The built product, or its gateway in the test's own process. */
type Target = Pick<Product, "origin" | "adminKey" | "database">;
type Answer = { status: number; data: Record<string, unknown> };

/** REST by the admin key. */
export async function rest(product: Pick<Product, "origin" | "adminKey">, method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await fetch(`${product.origin}${path}`, {
    method,
    headers: { "x-nullspend-key": product.adminKey, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const json = (await answer.json()) as { data?: Record<string, unknown> };
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(json)}`);
  return { status: answer.status, data: json.data! };
}

export async function orgOf(product: Target): Promise<string> {
  const { id } = await product.database.prisma.organisation.findFirstOrThrow({ select: { id: true } });
  return id;
}

/** A model that costs the same for every call, so that the bound and the cost are one. */
export async function priceByCall(product: Target, model: string, usd: string): Promise<void> {
  await rest(product, "PUT", `/api/prices/openai/${model}`, { inputUsdPerMTok: 0, outputUsdPerMTok: 0, perCallUsd: usd });
  await sleep(IN_FORCE_MS);
}

export async function createSpender(
  product: Target,
  {
    limitMicrodollars,
    restrictions,
    ...more
  }: { limitMicrodollars: number; restrictions?: Partial<KeyRestrictions> } & Record<string, unknown>,
): Promise<Spender> {
  const { prisma } = product.database;
  const orgId = await orgOf(product);
  const { id: userId } = await prisma.user.findFirstOrThrow({ select: { id: true } });
  const { rawKey: key, keyId } = await createApiKey({ prisma, org: { orgId, userId }, ...(restrictions && { restrictions }) });
  const { data } = await rest(product, "POST", "/api/budgets", {
    entityType: "api_key",
    entityId: `ns_key_${keyId}`,
    maxBudgetMicrodollars: limitMicrodollars,
    ...more,
  });
  await sleep(IN_FORCE_MS);
  const headers = (...lines: string[]): string[] =>
    headerList(`X-NullSpend-Key: ${key}`, "Authorization: Bearer sk-provider", "Content-Type: application/json", ...lines);
  return { orgId, key, keyId, budgetId: String(data["id"]), headers };
}

export type Call = { body: object; target?: string; scenario?: Scenario; headers?: readonly string[] };

export function requestOf(product: Pick<Product, "port">, spender: Spender, call: Call): RawRequest {
  return {
    port: product.port,
    target: call.target ?? "/v1/chat/completions",
    headers: [...spender.headers(), ...(call.headers ?? []), ...Object.entries(scenarioHeader(call.scenario ?? {})).flat()],
    body: JSON.stringify(call.body),
  };
}

export const send = (product: Pick<Product, "port">, spender: Spender, call: Call): Promise<RawResponse> =>
  rawRequest(requestOf(product, spender, call));

/** A stream that is read on while the test does something else. */
export async function openStream(
  product: Pick<Product, "port">,
  spender: Spender,
  call: Call,
): Promise<{ connection: RawConnection; answer: Promise<RawResponse> }> {
  const connection = await RawConnection.connect({ port: product.port });
  void connection.send(requestBytes(requestOf(product, spender, call)));
  const answer = connection.response({ method: "POST" }).finally(() => connection.socket.destroy());
  return { connection, answer };
}

export type Balance = { spentNano: bigint; reservedNano: bigint; limitNano: bigint; excessNano: bigint };

/** The budget as the ledger has it, once nothing is held any more. */
export async function settledBalance(product: Target, spender: Spender): Promise<Balance> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const { rows } = await product.database.pool.query<{ spent: string; reserved: string; limit: string; excess: string }>(
      `select spent_nano::text as spent, reserved_nano::text as reserved, limit_nano::text as limit, excess_nano::text as excess
         from budget_balance where budget_id = $1 and session_id is null`,
      [spender.budgetId.replace("ns_bgt_", "")],
    );
    const [row] = rows;
    if (row && row.reserved === "0") {
      return { spentNano: BigInt(row.spent), reservedNano: 0n, limitNano: BigInt(row.limit), excessNano: BigInt(row.excess) };
    }
    if (performance.now() > deadline) throw new Error(`the budget is not settled: ${JSON.stringify(row)}`);
    await sleep(50);
  }
}

export const violations = (product: Target, spender: Pick<Spender, "orgId">) => violationsOf(product.database.prisma, spender.orgId);

export const USD = 1_000_000_000n;
