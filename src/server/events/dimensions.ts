import { Prisma } from "@/generated/prisma/client";
import { parsePublicId, publicId } from "@/lib/ids";
import type { Ctx } from "@/server/context";
import { namesOfKeys } from "./get-cost-summary";
import { invalid } from "./parse-input";

/** How a dimension's values are called outside: ids with their prefix, everything else as it is stored. */
export function publicValueOf(dimension: string, value: string): string {
  if (dimension === "api_key") return publicId("key", value);
  return dimension === "user" ? publicId("user", value) : value;
}

/** @throws ServiceError `bad_request` for what cannot be a value of the dimension. */
export function storedValueOf(dimension: string, value: string): string {
  if (dimension !== "api_key" && dimension !== "user") return value;
  const id = parsePublicId(dimension === "api_key" ? "key" : "user", value);
  if (id === undefined) throw invalid({ path: "value", message: "is not the id of a group" });
  return id;
}

/** The column of cost_event that holds a dimension's value, as text. */
export function columnOf(dimension: string): Prisma.Sql {
  switch (dimension) {
    case "api_key":
      return Prisma.sql`api_key_id::text`;
    case "user":
      return Prisma.sql`user_id::text`;
    case "customer":
      return Prisma.sql`customer_id`;
    case "source":
      return Prisma.sql`source`;
    case "tool":
      return Prisma.sql`tool_name`;
    case "provider":
      return Prisma.sql`provider`;
    case "model":
      return Prisma.sql`provider || '/' || model`;
    case "session":
      return Prisma.sql`session_id`;
    default:
      return Prisma.sql`tags ->> ${dimension.slice("tag:".length)}`;
  }
}

/** `dimension = value`, so that the indexes by key, customer and model are found. Values are the stored ones. */
export function equalsIn(dimension: string, value: string): Prisma.Sql {
  switch (dimension) {
    case "api_key":
      return Prisma.sql`api_key_id = ${value}::uuid`;
    case "user":
      return Prisma.sql`user_id = ${value}::uuid`;
    case "model": {
      const slash = value.indexOf("/");
      return Prisma.sql`provider = ${value.slice(0, slash)} AND model = ${value.slice(slash + 1)}`;
    }
    default:
      return Prisma.sql`${columnOf(dimension)} = ${value}`;
  }
}

/** What people call keys and members; values without a name are missing. */
export async function namesOfValues({
  ctx,
  dimension,
  values,
}: {
  ctx: Ctx;
  dimension: string;
  values: string[];
}): Promise<Map<string, string>> {
  if (dimension === "api_key") return namesOfKeys({ ctx, keyIds: values });
  if (dimension !== "user" || values.length === 0) return new Map();
  const where = { orgId: ctx.principal.orgId, userId: { in: values } };
  const rows = await ctx.prisma.membership.findMany({ where, select: { user: { select: { id: true, name: true, email: true } } } });
  return new Map(rows.map(({ user }) => [user.id, user.name ?? user.email ?? user.id]));
}
