import { z } from "zod";
import { ServiceError } from "@/lib/errors";
import { publicId } from "@/lib/ids";
import type { Ctx } from "@/server/context";
import {
  changeRole,
  ChangeRoleInput,
  createOrganisation,
  CreateOrganisationInput,
  deleteOrganisation,
  DeleteOrganisationInput,
  getOrganisationSettings,
  leaveOrganisation,
  listMembers,
  listOrganisationsOfUser,
  removeMember,
  setApprover,
  transferOwnership,
  updateOrganisation,
  UpdateOrganisationInput,
  UpgradeUrlInput,
  type MemberRecord,
  type OrganisationSettings,
} from "@/server/org";
import { created, ok, route } from "../route";
import { dataOf, idOf, idParam, timestamp } from "../schemas";

const Role = z.enum(["viewer", "member", "admin", "owner"]);

const Organisation = z
  .object({
    id: idOf("org"),
    name: z.string(),
    slug: z.string().meta({ description: "In the dashboard's addresses." }),
    isPersonal: z.boolean(),
    isDemo: z.boolean(),
    timezone: z.string().meta({ description: "IANA. Periods of budgets and days of charts begin by it, where they say nothing else." }),
    addStreamUsage: z
      .boolean()
      .meta({ description: "Whether streaming chat completions that ask for no usage get `stream_options.include_usage` added." }),
    assumedServiceTier: z.string().nullable().meta({ description: "Tier an OpenAI call that names none is held at; null: the dearest." }),
    upgradeUrl: z.string().nullable().meta({ description: "Where denials send callers; `{customer_id}` is replaced." }),
    linkLimitMicrodollars: z.number().meta({ description: "What one approver may decide per day by a mailed code without signing in." }),
    createdAt: timestamp,
    updatedAt: timestamp,
  })
  .meta({ id: "Organisation" });

const OrganisationOfUser = z
  .object({
    id: idOf("org"),
    name: z.string(),
    slug: z.string(),
    isPersonal: z.boolean(),
    timezone: z.string(),
    role: Role.nullable().meta({ description: "The person's; null for a key." }),
    createdAt: timestamp,
  })
  .meta({ id: "OrganisationOfUser" });

const Member = z
  .object({
    userId: idOf("user"),
    name: z.string().nullable(),
    email: z.string().nullable(),
    image: z.string().nullable(),
    role: Role,
    isApprover: z.boolean().meta({ description: "A member who decides approvals; admins and owners may anyway." }),
    joinedAt: timestamp,
    lastSeenAt: timestamp.nullable(),
    keys: z.int().meta({ description: "Keys that still work." }),
  })
  .meta({ id: "Member" });

const ChangedMember = z.object({ userId: idOf("user"), role: Role, isApprover: z.boolean() }).meta({ id: "ChangedMember" });
const Seats = z
  .object({
    used: z.int().meta({ description: "Members and pending invitations; viewers are free." }),
    max: z.int().nullable().meta({ description: "Null: as many as wanted." }),
  })
  .meta({ id: "Seats" });

export const orgParams = z.strictObject({ id: idParam("org") });
const memberParams = z.strictObject({ id: idParam("org"), userId: idParam("user") });

const MemberPatch = z
  .strictObject({ role: ChangeRoleInput.shape.role.optional(), isApprover: z.boolean().optional() })
  .refine(({ role, isApprover }) => (role === undefined) !== (isApprover === undefined), "must be either role or isApprover");

const tag = "Organisations";
const SESSION = { key: "session_only", user: "viewer" } as const;
/** Of the organisation's role, not of the one the session happens to be in: the verb looks. */
const needs = (role: string): string => `Session only; needs the role ${role} in that organisation.`;

export const orgRoutes = [
  route({
    method: "GET",
    path: "/api/orgs",
    operationId: "listOrganisations",
    tag,
    summary: "The organisations of whoever asks",
    description: "A key has one.",
    access: { key: ["read", "self"], user: "viewer" },
    answers: [
      { status: 200, description: "All of them, oldest membership first.", schema: z.object({ data: z.array(OrganisationOfUser) }) },
    ],
    async handle({ ctx }) {
      if (ctx.principal.type !== "user") return ok({ data: [presentOfUser({ ...(await getOrganisationSettings({ ctx })), role: null })] });
      const organisations = await listOrganisationsOfUser({ prisma: ctx.prisma, userId: ctx.principal.userId });
      return ok({ data: organisations.map(presentOfUser) });
    },
  }),
  route({
    method: "POST",
    path: "/api/orgs",
    operationId: "createOrganisation",
    tag,
    summary: "Make a team organisation",
    description: "Session only. Whoever asks is its owner. Without a `slug` one is made of the name.",
    access: SESSION,
    body: CreateOrganisationInput,
    answers: [{ status: 201, description: "The organisation.", schema: dataOf(Organisation) }],
    async handle({ ctx, body }) {
      if (ctx.principal.type !== "user") throw new ServiceError("bad_request", "An organisation belongs to a person.");
      return created({ data: presentOrganisation(await createOrganisation({ ctx, userId: ctx.principal.userId, input: body })) });
    },
  }),
  route({
    method: "GET",
    path: "/api/orgs/{id}",
    operationId: "getOrganisation",
    tag,
    summary: "Get an organisation with its settings",
    access: { key: ["read", "self"], user: "viewer" },
    params: orgParams,
    answers: [{ status: 200, description: "The organisation.", schema: dataOf(Organisation) }],
    handle: async ({ ctx, params }) =>
      ok({ data: presentOrganisation(await getOrganisationSettings({ ctx: await inOrganisation(ctx, params.id) })) }),
  }),
  route({
    method: "PATCH",
    path: "/api/orgs/{id}",
    operationId: "updateOrganisation",
    tag,
    summary: "Change name, slug, time zone and settings",
    description: `${needs("admin")} \`upgradeUrl\` is for owners. Only what is sent changes.`,
    access: SESSION,
    params: orgParams,
    body: UpdateOrganisationInput,
    answers: [{ status: 200, description: "The organisation.", schema: dataOf(Organisation) }],
    async handle({ ctx, deps, params, body }) {
      const settings = await updateOrganisation({ ctx: await inOrganisation(ctx, params.id), input: body, deps: deps.orgs });
      return ok({ data: presentOrganisation(settings) });
    },
  }),
  route({
    method: "DELETE",
    path: "/api/orgs/{id}",
    operationId: "deleteOrganisation",
    tag,
    summary: "Delete an organisation",
    description: `${needs("owner")} \`name\` repeats the organisation's name. Its keys are unknown within a second; calls that run are settled.`,
    access: SESSION,
    params: orgParams,
    query: DeleteOrganisationInput,
    answers: [{ status: 200, description: "When it ended.", schema: dataOf(z.object({ id: idOf("org"), deletedAt: timestamp })) }],
    async handle({ ctx, deps, params, query }) {
      const { id, deletedAt } = await deleteOrganisation({ ctx: await inOrganisation(ctx, params.id), input: query, deps: deps.orgs });
      return ok({ data: { id: publicId("org", id), deletedAt: deletedAt.toISOString() } });
    },
  }),
  route({
    method: "GET",
    path: "/api/orgs/{id}/members",
    operationId: "listMembers",
    tag,
    summary: "Who belongs to an organisation",
    access: { key: ["read"], user: "viewer" },
    params: orgParams,
    answers: [{ status: 200, description: "Owners first, then by joining.", schema: z.object({ data: z.array(Member), seats: Seats }) }],
    async handle({ ctx, params }) {
      const { members, seats } = await listMembers({ ctx: await inOrganisation(ctx, params.id) });
      return ok({ data: members.map(presentMember), seats });
    },
  }),
  route({
    method: "PATCH",
    path: "/api/orgs/{id}/members/{userId}",
    operationId: "updateMember",
    tag,
    summary: "Change a member's role, or whether they decide approvals",
    description: `${needs("admin")} Admins change members and viewers; owners everybody. In force with the next request.`,
    access: SESSION,
    params: memberParams,
    body: MemberPatch,
    answers: [{ status: 200, description: "The member.", schema: dataOf(ChangedMember) }],
    async handle({ ctx: asked, deps, params: { id, userId }, body: { role, isApprover } }) {
      const ctx = await inOrganisation(asked, id);
      const member =
        role === undefined
          ? await setApprover({ ctx, input: { userId, isApprover: isApprover === true }, deps: deps.orgs })
          : await changeRole({ ctx, input: { userId, role }, deps: deps.orgs });
      return ok({ data: presentChangedMember(member) });
    },
  }),
  route({
    method: "DELETE",
    path: "/api/orgs/{id}/members/{userId}",
    operationId: "removeMember",
    tag,
    summary: "Remove a member",
    description: `${needs("admin")} Their keys are revoked and what they see of the organisation ends within a second.`,
    access: SESSION,
    params: memberParams,
    answers: [{ status: 200, description: "Who was removed.", schema: dataOf(z.object({ userId: idOf("user") })) }],
    async handle({ ctx, deps, params: { id, userId } }) {
      await removeMember({ ctx: await inOrganisation(ctx, id), input: { userId }, deps: deps.orgs });
      return ok({ data: { userId: publicId("user", userId) } });
    },
  }),
  route({
    method: "POST",
    path: "/api/orgs/{id}/transfer",
    operationId: "transferOwnership",
    tag,
    summary: "Make another member the owner",
    description: `${needs("owner")} Whoever gives it away stays as an admin.`,
    access: SESSION,
    params: orgParams,
    body: z.strictObject({ userId: idParam("user") }),
    answers: [{ status: 200, description: "The new owner.", schema: dataOf(ChangedMember) }],
    async handle({ ctx, deps, params, body }) {
      const member = await transferOwnership({ ctx: await inOrganisation(ctx, params.id), input: body, deps: deps.orgs });
      return ok({ data: presentChangedMember(member) });
    },
  }),
  route({
    method: "POST",
    path: "/api/orgs/{id}/leave",
    operationId: "leaveOrganisation",
    tag,
    summary: "Leave an organisation",
    description: "Session only. The last owner cannot leave.",
    access: SESSION,
    params: orgParams,
    answers: [{ status: 200, description: "Which was left.", schema: dataOf(z.object({ id: idOf("org") })) }],
    async handle({ ctx, deps, params }) {
      await leaveOrganisation({ ctx: await inOrganisation(ctx, params.id), deps: deps.orgs });
      return ok({ data: { id: publicId("org", params.id) } });
    },
  }),
  route({
    method: "GET",
    path: "/api/orgs/{id}/upgrade-url",
    operationId: "getUpgradeUrl",
    tag,
    summary: "Where denials send callers who want to buy more",
    access: { key: ["read"], user: "viewer" },
    params: orgParams,
    answers: [{ status: 200, description: "The address.", schema: dataOf(z.object({ upgradeUrl: z.string().nullable() })) }],
    async handle({ ctx, params }) {
      const { upgradeUrl } = await getOrganisationSettings({ ctx: await inOrganisation(ctx, params.id) });
      return ok({ data: { upgradeUrl } });
    },
  }),
  route({
    method: "PATCH",
    path: "/api/orgs/{id}/upgrade-url",
    operationId: "setUpgradeUrl",
    tag,
    summary: "Set where denials send callers who want to buy more",
    description: `${needs("owner")} \`{customer_id}\` is replaced; null: none is told.`,
    access: SESSION,
    params: orgParams,
    body: UpgradeUrlInput,
    answers: [{ status: 200, description: "The address.", schema: dataOf(z.object({ upgradeUrl: z.string().nullable() })) }],
    async handle({ ctx, deps, params, body }) {
      const { upgradeUrl } = await updateOrganisation({ ctx: await inOrganisation(ctx, params.id), input: body, deps: deps.orgs });
      return ok({ data: { upgradeUrl } });
    },
  }),
];

/**
 * The context for an organisation named in a path. A person acts there with the role held there, whatever organisation the session is
 * in; a key only in its own.
 */
export async function inOrganisation(ctx: Ctx, orgId: string): Promise<Ctx> {
  const { principal } = ctx;
  if (principal.orgId === orgId) return ctx;
  const membership =
    principal.type === "user"
      ? await ctx.prisma.membership.findFirst({
          where: { orgId, userId: principal.userId, organisation: { deletedAt: null } },
          select: { role: true },
        })
      : null;
  if (principal.type !== "user" || !membership) throw new ServiceError("not_found", "There is no such organisation.");
  return { ...ctx, principal: { ...principal, orgId, role: membership.role } };
}

export function presentOrganisation({ id, createdAt, updatedAt, ...settings }: OrganisationSettings): z.input<typeof Organisation> {
  return { id: publicId("org", id), ...settings, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}

function presentOfUser(organisation: {
  id: string;
  name: string;
  slug: string;
  isPersonal: boolean;
  timezone: string;
  role: z.input<typeof Role> | null;
  createdAt: Date;
}): z.input<typeof OrganisationOfUser> {
  const { id, name, slug, isPersonal, timezone, role, createdAt } = organisation;
  return { id: publicId("org", id), name, slug, isPersonal, timezone, role, createdAt: createdAt.toISOString() };
}

export function presentMember({ userId, joinedAt, lastSeenAt, ...member }: MemberRecord): z.input<typeof Member> {
  return {
    userId: publicId("user", userId),
    ...member,
    joinedAt: joinedAt.toISOString(),
    lastSeenAt: lastSeenAt?.toISOString() ?? null,
  };
}

export function presentChangedMember({ userId, role, isApprover }: z.input<typeof ChangedMember>): z.input<typeof ChangedMember> {
  return { userId: publicId("user", userId), role, isApprover };
}
