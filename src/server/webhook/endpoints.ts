import { randomUUID } from "node:crypto";
import type { Prisma } from "@/generated/prisma/client";
import { ServiceError } from "@/lib/errors";
import { parsePublicId } from "@/lib/ids";
import { assertAllowed } from "@/server/access";
import { recordChange } from "@/server/audit";
import { invalid, parsed } from "@/server/budget";
import type { Ctx } from "@/server/context";
import { ROTATION_OVERLAP_MS, secretContext, type WebhookDeps } from "./deps";
import { syncCostEventFlag } from "./deliver";
import { CreateWebhookInput, UpdateWebhookInput } from "./input";
import { toPublicWebhook, WEBHOOK_SELECT, type NewWebhook, type PublicWebhook, type WebhookRow } from "./public-webhook";
import { newSigningSecret } from "./sign";
import { webhookUrlProblem } from "./url-policy";

export const READ = { key: ["read"], user: "viewer" } as const;
export const CHANGE = { key: ["manage"], user: "admin" } as const;

/** A bound on what one event can cause, whatever the plan says. */
const ENDPOINTS_MAX = 100;

type Tx = Prisma.TransactionClient;
type WebhookId = { webhookId: string };

/** All of the organisation's, newest first: there are few. */
export async function listWebhooks({ ctx }: { ctx: Ctx }): Promise<PublicWebhook[]> {
  assertAllowed(ctx.principal, READ);
  const rows = await ctx.prisma.webhookEndpoint.findMany({
    where: { orgId: ctx.principal.orgId, deletedAt: null },
    orderBy: [{ createdAt: "desc" }, { id: "desc" }],
    take: ENDPOINTS_MAX,
    select: WEBHOOK_SELECT,
  });
  return rows.map(toPublicWebhook);
}

export async function getWebhook({ ctx, webhookId }: { ctx: Ctx } & WebhookId): Promise<PublicWebhook> {
  assertAllowed(ctx.principal, READ);
  return toPublicWebhook(await findRow(ctx.prisma, ctx, webhookId));
}

/** The secret is in the answer and, encrypted, in the row. */
export async function createWebhook({ ctx, deps, input }: { ctx: Ctx; deps: WebhookDeps; input: CreateWebhookInput }): Promise<NewWebhook> {
  assertAllowed(ctx.principal, CHANGE);
  const { url, description, eventTypes, payloadMode } = parsed(CreateWebhookInput, input);
  assertUrl(deps, url);
  const { orgId } = ctx.principal;
  const id = randomUUID();
  const signingSecret = newSigningSecret();
  return ctx.prisma.$transaction(async (tx) => {
    // Locked before counting: two at once would both find room.
    await tx.$queryRaw`SELECT 1 FROM organisation WHERE id = ${orgId}::uuid FOR NO KEY UPDATE`;
    if ((await tx.webhookEndpoint.count({ where: { orgId, deletedAt: null } })) >= ENDPOINTS_MAX) {
      throw new ServiceError("limit_exceeded", `An organisation has at most ${ENDPOINTS_MAX} webhook endpoints.`);
    }
    const now = new Date(ctx.clock.now());
    const row = await tx.webhookEndpoint.create({
      data: {
        id,
        orgId,
        url,
        description,
        eventTypes,
        payloadMode,
        secretEncrypted: deps.encryption.encrypt(signingSecret, secretContext(orgId, id)),
        createdAt: now,
        updatedAt: now,
      },
      select: WEBHOOK_SELECT,
    });
    await syncCostEventFlag(tx, orgId);
    const webhook = toPublicWebhook(row);
    await record(tx, ctx, { action: "webhook.created", webhook, before: null, after: audited(webhook) });
    return { ...webhook, signingSecret };
  });
}

/** What is queued goes to the new address; an address that is new has failed nothing yet. */
export async function updateWebhook({
  ctx,
  deps,
  webhookId,
  input,
}: { ctx: Ctx; deps: WebhookDeps; input: UpdateWebhookInput } & WebhookId): Promise<PublicWebhook> {
  assertAllowed(ctx.principal, CHANGE);
  const { enabled, ...changes } = parsed(UpdateWebhookInput, input);
  if (changes.url !== undefined) assertUrl(deps, changes.url);
  const { orgId } = ctx.principal;
  const webhook = await ctx.prisma.$transaction(async (tx) => {
    const before = await lockRow(tx, ctx, webhookId);
    const now = new Date(ctx.clock.now());
    const isNewUrl = changes.url !== undefined && changes.url !== before.url;
    const row = await tx.webhookEndpoint.update({
      where: { id: before.id, orgId },
      data: {
        ...changes,
        ...(isNewUrl && { failingSince: null }),
        ...(enabled === true && before.disabledAt !== null && { disabledAt: null, disabledReason: null, failingSince: null }),
        ...(enabled === false && before.disabledAt === null && { disabledAt: now, disabledReason: "manual" }),
        updatedAt: now,
      },
      select: WEBHOOK_SELECT,
    });
    await syncCostEventFlag(tx, orgId);
    const after = toPublicWebhook(row);
    await record(tx, ctx, { action: "webhook.updated", webhook: after, before: audited(toPublicWebhook(before)), after: audited(after) });
    return after;
  });
  deps.wake();
  return webhook;
}

/** What was queued is never sent. */
export async function deleteWebhook({ ctx, webhookId }: { ctx: Ctx } & WebhookId): Promise<{ id: string }> {
  assertAllowed(ctx.principal, CHANGE);
  const { orgId } = ctx.principal;
  return ctx.prisma.$transaction(async (tx) => {
    const before = await lockRow(tx, ctx, webhookId);
    const now = new Date(ctx.clock.now());
    await tx.webhookEndpoint.update({ where: { id: before.id, orgId }, data: { deletedAt: now, updatedAt: now }, select: { id: true } });
    await tx.webhookDelivery.updateMany({
      where: { orgId, endpointId: before.id, state: "pending" },
      data: { state: "cancelled", finishedAt: now, lockedUntil: null },
    });
    await syncCostEventFlag(tx, orgId);
    const webhook = toPublicWebhook(before);
    await record(tx, ctx, { action: "webhook.deleted", webhook, before: audited(webhook), after: null });
    return { id: webhook.id };
  });
}

/** Both secrets sign for 24 hours. A second rotation within them ends the oldest. */
export async function rotateWebhookSecret({ ctx, deps, webhookId }: { ctx: Ctx; deps: WebhookDeps } & WebhookId): Promise<NewWebhook> {
  assertAllowed(ctx.principal, CHANGE);
  const { orgId } = ctx.principal;
  const signingSecret = newSigningSecret();
  return ctx.prisma.$transaction(async (tx) => {
    const before = await lockRow(tx, ctx, webhookId);
    const { secretEncrypted } = await tx.webhookEndpoint.findFirstOrThrow({
      where: { id: before.id, orgId },
      select: { secretEncrypted: true },
    });
    const now = ctx.clock.now();
    const row = await tx.webhookEndpoint.update({
      where: { id: before.id, orgId },
      data: {
        secretEncrypted: deps.encryption.encrypt(signingSecret, secretContext(orgId, before.id)),
        previousSecretEncrypted: secretEncrypted,
        previousSecretUntil: new Date(now + ROTATION_OVERLAP_MS),
        updatedAt: new Date(now),
      },
      select: WEBHOOK_SELECT,
    });
    const webhook = toPublicWebhook(row);
    const after = { previousSecretUntil: webhook.previousSecretUntil };
    await record(tx, ctx, { action: "webhook.secret_rotated", webhook, before: null, after });
    return { ...webhook, signingSecret };
  });
}

function assertUrl({ policy }: WebhookDeps, url: string): void {
  const problem = webhookUrlProblem(url, policy);
  if (problem !== undefined) throw invalid({ path: "url", message: problem });
}

const noSuchWebhook = () => new ServiceError("not_found", "There is no such webhook endpoint.");

export async function findRow(db: Tx, { principal: { orgId } }: Ctx, webhookId: string): Promise<WebhookRow> {
  const id = parsePublicId("webhook", webhookId);
  const row =
    id === undefined ? null : await db.webhookEndpoint.findFirst({ where: { id, orgId, deletedAt: null }, select: WEBHOOK_SELECT });
  if (!row) throw noSuchWebhook();
  return row;
}

/** Organisation before endpoint, as everybody locks: the flag of cost events follows from all endpoints. */
async function lockRow(tx: Tx, ctx: Ctx, webhookId: string): Promise<WebhookRow> {
  const { orgId } = ctx.principal;
  const id = parsePublicId("webhook", webhookId);
  if (id === undefined) throw noSuchWebhook();
  await tx.$queryRaw`SELECT 1 FROM organisation WHERE id = ${orgId}::uuid FOR NO KEY UPDATE`;
  await tx.$queryRaw`SELECT 1 FROM webhook_endpoint WHERE id = ${id}::uuid AND org_id = ${orgId}::uuid FOR UPDATE`;
  return findRow(tx, ctx, webhookId);
}

const audited = ({ url, description, eventTypes, payloadMode, enabled }: PublicWebhook) => ({
  url,
  description,
  eventTypes,
  payloadMode,
  enabled,
});

const record = (
  tx: Tx,
  ctx: Ctx,
  change: { action: string; webhook: { id: string }; before: Prisma.InputJsonObject | null; after: Prisma.InputJsonObject | null },
): Promise<void> =>
  recordChange(tx, {
    ctx,
    action: change.action,
    resourceType: "webhook",
    resourceId: change.webhook.id,
    before: change.before,
    after: change.after,
  });
