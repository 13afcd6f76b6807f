import { initTRPC } from "@trpc/server";
import superjson from "superjson";
import { z } from "zod";
import type { Role } from "@/generated/prisma/enums";
import { ServiceError } from "@/lib/errors";
import type { Ctx } from "@/server/context";
import type { TrpcContext } from "./context";
import { describeError, toTrpcError } from "./errors";

const t = initTRPC.context<TrpcContext>().create({
  transformer: superjson,
  // Stacks are for our log alone.
  isDev: false,
  errorFormatter({ error, shape, path, ctx }) {
    const { message, data } = describeError(error, ctx?.reference ?? "unknown");
    return { code: shape.code, message, data: { ...data, path } };
  },
});

const translated = t.procedure.use(async ({ next }) => {
  const result = await next();
  if (!result.ok) throw toTrpcError(result.error);
  return result;
});

export const { router, createCallerFactory } = t;

/** Anybody, signed in or not. */
export const publicProcedure = translated;

/** Somebody who is signed in; `ctx.user`. */
export const userProcedure = translated.use(({ ctx, next }) => {
  if (!ctx.user) throw new ServiceError("unauthorized", "Sign in to go on.");
  return next({ ctx: { ...ctx, user: ctx.user } });
});

/** A member of the organisation that the request names. `ctx.verb` is what verbs take, with the role that the database says now. */
export const orgProcedure = userProcedure.use(async ({ ctx, next, type }) => {
  const { runtime, user, orgId, ip } = ctx;
  const role = await findRole(runtime.prisma, { orgId, userId: user.userId });
  // One answer for an organisation that is not theirs and for one that does not exist.
  if (orgId === undefined || role === undefined) throw new ServiceError("not_found", "There is no such organisation.");
  const verb: Ctx = { prisma: runtime.prisma, clock: runtime.clock, principal: { type: "user", orgId, userId: user.userId, role }, ip };
  const result = await next({ ctx: { ...ctx, orgId, role, verb } });
  if (type === "mutation") runtime.authenticator.invalidate(orgId);
  return result;
});

async function findRole(
  prisma: Ctx["prisma"],
  { orgId, userId }: { orgId: string | undefined; userId: string },
): Promise<Role | undefined> {
  if (orgId === undefined || !z.guid().safeParse(orgId).success) return undefined;
  const membership = await prisma.membership.findFirst({
    where: { orgId, userId, organisation: { deletedAt: null } },
    select: { role: true },
  });
  return membership?.role;
}

/**
 * For lists that a page reads on: TanStack Query's infinite queries add a `direction`, and start with a null cursor, which a strict
 * schema would refuse.
 */
export function paged<S extends z.ZodObject | z.ZodType<{ cursor?: string | undefined }>>(schema: S) {
  const withoutDirection = (input: unknown): unknown => {
    if (typeof input !== "object" || input === null || Array.isArray(input)) return input;
    const { direction: _, cursor, ...rest } = input as Record<string, unknown>;
    return cursor === null || cursor === undefined ? rest : { ...rest, cursor };
  };
  // The preprocessing takes away what the schema does not know and changes nothing else, so the schema's input type is the true one.
  return z.preprocess(withoutDirection, schema) as unknown as z.ZodType<z.output<S>, z.input<S>>;
}
