import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createBudgetBook } from "@/server/budget";
import { createTestDatabase, type TestDatabase } from "@/testing/database";
import { createMember, createOrganisation, type TestOrganisation } from "@/testing/factories";
import { updateCustomer } from "./customer";
import { updateOrganisation } from "./settings";
import { ctxOf, recordingDeps } from "./testing";

let database: TestDatabase;
let org: TestOrganisation;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  org = await createOrganisation({ prisma: database.prisma });
});

const owner = () => ctxOf(database.prisma, { orgId: org.orgId, userId: org.userId, role: "owner" });
const deps = recordingDeps();

test("a customer's own address wins over the organisation's, from the next version of the configuration on", async () => {
  const book = createBudgetBook({ prisma: database.prisma });
  const urlOf = async (customerId: string | null) => {
    const { configVersion } = await database.prisma.organisation.findUniqueOrThrow({ where: { id: org.orgId } });
    await book.ensureLoaded(org.orgId, configVersion);
    return book.upgradeUrlOf(org.orgId, customerId);
  };
  expect(book.upgradeUrlOf(org.orgId, "acme")).toBeNull();
  expect(await urlOf("acme")).toBeNull();
  await updateOrganisation({ ctx: owner(), input: { upgradeUrl: "https://example.com/{customer_id}", assumedServiceTier: "flex" }, deps });
  expect([await urlOf("acme"), await urlOf(null)]).toEqual(["https://example.com/{customer_id}", "https://example.com/{customer_id}"]);
  expect(book.assumedServiceTierOf(org.orgId)).toBe("flex");

  const acme = await updateCustomer({ ctx: owner(), input: { id: "acme", upgradeUrl: "https://acme.example/more" }, deps });
  expect(acme).toEqual({ id: "acme", upgradeUrl: "https://acme.example/more" });
  expect([await urlOf("acme"), await urlOf("other")]).toEqual(["https://acme.example/more", "https://example.com/{customer_id}"]);

  await updateCustomer({ ctx: owner(), input: { id: "acme", upgradeUrl: null }, deps });
  expect(await urlOf("acme")).toBe("https://example.com/{customer_id}");
  expect(await database.prisma.auditLog.count({ where: { orgId: org.orgId, action: "customer.updated" } })).toBe(2);
});

test("only owners set it", async () => {
  const userId = await createMember({ prisma: database.prisma, orgId: org.orgId, role: "admin" });
  const ctx = ctxOf(database.prisma, { orgId: org.orgId, userId, role: "admin" });
  await expect(updateCustomer({ ctx, input: { id: "acme", upgradeUrl: null }, deps })).rejects.toMatchObject({ code: "forbidden" });
  expect(await database.prisma.customer.count({ where: { orgId: org.orgId } })).toBe(0);
});
