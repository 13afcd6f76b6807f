import { z } from "zod";
import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { ID_PREFIX, publicId } from "@/lib/ids";
import { microdollarsToNano, nanoToMicrodollars, nanoUsd, type NanoUsd } from "@/lib/money";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { invalid, parsed } from "@/server/budget";
import { bumpConfigVersion } from "@/server/config-version";
import type { Ctx } from "@/server/context";
import { DeleteToolCostInput, DiscoverToolsInput, ListToolCostsInput, PutToolCostInput } from "./input";

const timestamp = z.string().meta({ format: "date-time", description: "ISO 8601, UTC." });

export const PublicToolCost = z
  .object({
    id: z.string().meta({ examples: [`${ID_PREFIX.toolCost}0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071`] }),
    serverName: z.string(),
    toolName: z.string(),
    costMicrodollars: z.number().meta({ description: "What one call is taken to cost." }),
    suggestedCostMicrodollars: z.number().nullable(),
    source: z.enum(["discovered", "manual"]).meta({ description: "`manual`: an admin set it, and it wins over what is reported." }),
    description: z.string().nullable(),
    lastSeenAt: timestamp.nullable(),
    createdAt: timestamp,
    updatedAt: timestamp,
  })
  .meta({ id: "ToolCost" });
export type PublicToolCost = z.infer<typeof PublicToolCost>;

const SELECT = {
  id: true,
  serverName: true,
  toolName: true,
  costNano: true,
  suggestedNano: true,
  source: true,
  description: true,
  lastSeenAt: true,
  createdAt: true,
  updatedAt: true,
} as const satisfies Prisma.ToolCostSelect;
type Row = Prisma.ToolCostGetPayload<{ select: typeof SELECT }>;

function present(row: Row): PublicToolCost {
  return {
    id: publicId("toolCost", row.id),
    serverName: row.serverName,
    toolName: row.toolName,
    costMicrodollars: nanoToMicrodollars(nanoUsd(row.costNano)),
    suggestedCostMicrodollars: row.suggestedNano === null ? null : nanoToMicrodollars(nanoUsd(row.suggestedNano)),
    source: row.source === "manual" ? "manual" : "discovered",
    description: row.description,
    lastSeenAt: row.lastSeenAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

/** A key that announces tools in a loop must not fill the table. */
const TOOLS_MAX = 10_000;

/** By server and tool. Whoever calls tools with a key may know what they cost. */
export async function listToolCosts({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: ListToolCostsInput;
}): Promise<{ data: PublicToolCost[]; cursor: string | null }> {
  assertAllowed(ctx.principal, { key: ["read", "self", "ingest", "proxy"], user: "viewer" });
  const { limit, cursor, serverName } = parsed(ListToolCostsInput, input);
  const after = cursor === undefined ? undefined : decodeCursor(cursor);
  const rows = await ctx.prisma.toolCost.findMany({
    where: {
      orgId: ctx.principal.orgId,
      serverName,
      ...(after && { OR: [{ serverName: { gt: after[0] } }, { serverName: after[0], toolName: { gt: after[1] } }] }),
    },
    orderBy: [{ serverName: "asc" }, { toolName: "asc" }],
    take: limit + 1,
    select: SELECT,
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { data: page.map(present), cursor: rows.length > page.length && last ? encodeCursor(last) : null };
}

const Cursor = z.tuple([z.string().min(1).max(200), z.string().min(1).max(200)]);
const encodeCursor = ({ serverName, toolName }: Row): string => Buffer.from(JSON.stringify([serverName, toolName])).toString("base64url");
function decodeCursor(cursor: string): z.infer<typeof Cursor> {
  try {
    const result = Cursor.safeParse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
    if (result.success && !result.data.some((name) => name.includes("\0"))) return result.data;
  } catch {
    // Told below, together with what is JSON and no cursor.
  }
  throw invalid({ path: "cursor", message: "is not one of ours" });
}

/** An admin's word on what a call of a tool costs. It wins over what tools announce and what is reported. */
export async function putToolCost({ ctx, input }: { ctx: Ctx; input: PutToolCostInput }): Promise<PublicToolCost> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const { serverName, toolName, costMicrodollars } = parsed(PutToolCostInput, input);
  const { orgId } = ctx.principal;
  const costNano = nanoOf(costMicrodollars);
  return ctx.prisma.$transaction(async (tx) => {
    await bumpConfigVersion(tx, orgId);
    const before = await tx.toolCost.findUnique({ where: { orgId_serverName_toolName: { orgId, serverName, toolName } }, select: SELECT });
    if (!before) await assertRoom(tx, orgId, 1);
    const row = await tx.toolCost.upsert({
      where: { orgId_serverName_toolName: { orgId, serverName, toolName } },
      create: { orgId, serverName, toolName, costNano, source: "manual" },
      update: { costNano, source: "manual" },
      select: SELECT,
    });
    await recordChange(tx, {
      ctx,
      action: before ? "tool_cost.updated" : "tool_cost.created",
      resourceType: "tool_cost",
      resourceId: publicId("toolCost", row.id),
      before: before && auditOf(before),
      after: auditOf(row),
    });
    return present(row);
  });
}

/** Takes an admin's word back: the tool costs again what it announced, or nothing where it announced nothing. */
export async function deleteToolCost({ ctx, input }: { ctx: Ctx; input: DeleteToolCostInput }): Promise<PublicToolCost> {
  assertAllowed(ctx.principal, { key: ["manage"], user: "admin" });
  const { serverName, toolName } = parsed(DeleteToolCostInput, input);
  const { orgId } = ctx.principal;
  return ctx.prisma.$transaction(async (tx) => {
    await bumpConfigVersion(tx, orgId);
    const before = await tx.toolCost.findUnique({ where: { orgId_serverName_toolName: { orgId, serverName, toolName } }, select: SELECT });
    if (!before) throw new ServiceError("not_found", "There is no cost of such a tool.");
    const row = await tx.toolCost.update({
      where: { id: before.id, orgId },
      data: { costNano: before.suggestedNano ?? 0n, source: "discovered" },
      select: SELECT,
    });
    await recordChange(tx, {
      ctx,
      action: "tool_cost.deleted",
      resourceType: "tool_cost",
      resourceId: publicId("toolCost", row.id),
      before: auditOf(before),
      after: auditOf(row),
    });
    return present(row);
  });
}

/**
 * What an MCP proxy found a server to offer. A new tool is taken to cost what it announces; one that is known keeps its cost, so
 * that an agent's key cannot reprice a tool by announcing it again.
 */
export async function discoverTools({
  ctx,
  input,
}: {
  ctx: Ctx;
  input: DiscoverToolsInput;
}): Promise<{ discovered: number; known: number }> {
  assertAllowed(ctx.principal, { key: ["ingest", "proxy", "manage"], user: "admin" });
  const { serverName, tools } = parsed(DiscoverToolsInput, input);
  const { orgId } = ctx.principal;
  return ctx.prisma.$transaction(async (tx) => {
    // Not the version of the configuration: nothing that decides calls is held in memory of tools, and agents announce at every start.
    const known = new Set(
      (await tx.toolCost.findMany({ where: { orgId, serverName }, select: { toolName: true } })).map(({ toolName }) => toolName),
    );
    const found = tools.filter((tool) => !known.has(tool.name));
    if (found.length > 0) await assertRoom(tx, orgId, found.length);
    const lastSeenAt = new Date(ctx.clock.now());
    const names = tools.map((tool) => tool.name).filter((toolName) => known.has(toolName));
    await tx.toolCost.updateMany({ where: { orgId, serverName, toolName: { in: names } }, data: { lastSeenAt } });
    const { count } = await tx.toolCost.createMany({
      data: found.map((tool) => {
        const suggested = tool.suggestedCostMicrodollars ?? tool.tierCostMicrodollars ?? null;
        const suggestedNano = suggested === null ? null : nanoOf(suggested);
        const costNano = suggestedNano ?? nanoUsd(0n);
        return {
          orgId,
          serverName,
          toolName: tool.name,
          costNano,
          suggestedNano,
          source: "discovered",
          description: tool.description,
          lastSeenAt,
        };
      }),
      // Two proxies that start at once announce the same tools.
      skipDuplicates: true,
    });
    if (count > 0) {
      await recordChange(tx, {
        ctx,
        action: "tool_cost.discovered",
        resourceType: "tool_cost",
        resourceId: serverName,
        before: null,
        after: { serverName, tools: found.map((tool) => tool.name) },
      });
    }
    return { discovered: count, known: tools.length - count };
  });
}

async function assertRoom(tx: Prisma.TransactionClient, orgId: string, added: number): Promise<void> {
  if ((await tx.toolCost.count({ where: { orgId } })) + added > TOOLS_MAX) {
    throw new ServiceError("limit_exceeded", `An organisation can have costs of ${TOOLS_MAX} tools.`);
  }
}

export type KnownToolCost = { costNano: NanoUsd; isManual: boolean };

/** The costs of the tools that are named, by {@link toolKey}; a tool that nobody has priced or announced is missing. */
export async function findToolCosts(
  { prisma, principal }: Pick<Ctx, "prisma" | "principal">,
  tools: readonly { serverName: string; toolName: string }[],
): Promise<Map<string, KnownToolCost>> {
  const rows = await prisma.toolCost.findMany({
    where: { orgId: principal.orgId, OR: tools.map(({ serverName, toolName }) => ({ serverName, toolName })) },
    select: { serverName: true, toolName: true, costNano: true, suggestedNano: true, source: true },
  });
  // One that was only seen, and says nothing of its cost, is not known to be free.
  const priced = rows.filter(({ source, suggestedNano }) => source === "manual" || suggestedNano !== null);
  return new Map(priced.map((row) => [toolKey(row), { costNano: nanoUsd(row.costNano), isManual: row.source === "manual" }]));
}

export const toolKey = ({ serverName, toolName }: { serverName: string; toolName: string }): string => `${serverName}\n${toolName}`;

function auditOf(row: Row): Prisma.InputJsonObject {
  const { serverName, toolName, costMicrodollars, source } = present(row);
  return { serverName, toolName, costMicrodollars, source };
}

/** The schema has refused what is no amount. */
function nanoOf(microdollars: number): NanoUsd {
  const nano = microdollarsToNano(microdollars);
  if (nano === undefined) throw new Error(`not an amount: ${microdollars}`);
  return nano;
}
