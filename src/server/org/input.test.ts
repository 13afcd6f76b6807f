import { describe, expect, test } from "vitest";
import { CreateOrganisationInput, InviteMembersInput, UpdateOrganisationInput, UpgradeUrlInput } from "./input";
import { readAddresses } from "./read-addresses";

describe("names and slugs that look alike (I11)", () => {
  test.each([
    ["Acme", "acme"],
    [" ACME-Prod ", "acme-prod"],
    ["a1b", "a1b"],
  ])("the slug %j is %j", (written, slug) => {
    expect(CreateOrganisationInput.parse({ name: "Acme", slug: written }).slug).toBe(slug);
  });
  // Cyrillic а, full-width, ligature, zero width, right to left, dotless i: each is another character that reads like one of ours.
  test.each([
    "аcme",
    "ａｃｍｅ",
    "ﬁrst",
    "ac\u200bme",
    "ac\u202eme",
    "acmı",
    "ac me",
    "-acme",
    "acme-",
    "ac",
    "a".repeat(51),
    "acme/x",
    "",
  ])("the slug %j is refused", (slug) => expect(CreateOrganisationInput.safeParse({ name: "Acme", slug }).success).toBe(false));
  test.each(["", "  ", "a\nb", "a\r\nBcc: x@example.com", "a\u0000b", "a\u202eb", "a\u2028b", "a\u200bb", "x".repeat(51)])(
    "the name %j is refused",
    (name) => expect(CreateOrganisationInput.safeParse({ name }).success).toBe(false),
  );
  test.each(["Ærø & Söhne", "株式会社", 'O\'Neil "Labs"'])("the name %j is taken as it is", (name) => {
    expect(CreateOrganisationInput.parse({ name }).name).toBe(name);
  });
});

describe("settings", () => {
  test.each([
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "https://a:b@example.com",
    "https://x.example/ y",
    "ftp://x",
    'https://x.example/"><script>',
  ])("the upgrade URL %j is refused", (upgradeUrl) => expect(UpgradeUrlInput.safeParse({ upgradeUrl }).success).toBe(false));
  test.each(["https://shop.example/buy?c={customer_id}", "https://{customer_id}.shop.example/", null])(
    "the upgrade URL %j is taken",
    (upgradeUrl) => {
      expect(UpgradeUrlInput.parse({ upgradeUrl })).toEqual({ upgradeUrl });
    },
  );
  test.each([
    {},
    { orgId: "x" },
    { isPersonal: false },
    { configVersion: 1 },
    { deletedAt: null },
    { timezone: "Mars/Olympus" },
    { timezone: "+01:00" },
    { linkLimitMicrodollars: -1 },
    { linkLimitMicrodollars: 0.0001 },
    { linkLimitMicrodollars: Number.POSITIVE_INFINITY },
    { assumedServiceTier: "cheapest" },
  ])("%j is no change", (changes) => expect(UpdateOrganisationInput.safeParse(changes).success).toBe(false));
  test("nobody is invited as an owner", () => {
    expect(InviteMembersInput.safeParse({ emails: "a@example.com", role: "owner" }).success).toBe(false);
  });
});

describe("pasted addresses", () => {
  const read = (text: string | string[]) => readAddresses(text).map(({ written, email }) => email ?? [written]);

  test.each([
    ["a@example.com", ["a@example.com"]],
    [
      "a@example.com, b@example.com;c@example.com\nd@example.com\r\n\te@example.com f@example.com",
      "abcdef".split("").map((c) => `${c}@example.com`),
    ],
    ["Ada Lovelace <ada@example.com>, Bob <BOB@Example.com>", ["ada@example.com", "bob@example.com"]],
    ['"Lovelace, Ada" <ada@example.com>; "B; ob" <b@example.com>', ["ada@example.com", "b@example.com"]],
    ["A@example.com a@EXAMPLE.com a@example.com", ["a@example.com"]],
    // Another inbox to some, the same to others: two addresses, and each has to prove its own.
    ["ada+test@example.com ada@example.com", ["ada+test@example.com", "ada@example.com"]],
    ["", []],
    [" ,;\n", []],
  ])("%j", (text, expected) => expect(read(text)).toEqual(expected));

  test.each([
    "not an address",
    "a@b",
    "a@example.com\u0000",
    "аda@exаmple.com",
    "Ada <ada@example.com> <bob@example.com>",
    "a@example.com%0aBcc:b@example.com",
    "<script>@example.com",
    "a@example.com>",
    "@example.com",
    "a..b@example.com",
  ])("%j holds no address that is mailed to", (text) => {
    expect(readAddresses(text).filter(({ email }) => email !== undefined)).toEqual([]);
  });

  test("a line break ends an address and begins no header", () => {
    expect(read("a@example.com\r\nBcc: b@example.com")).toEqual(["a@example.com", ["Bcc:"], "b@example.com"]);
  });

  test("a hundred thousand characters of quotes are read in a moment", () => {
    const startedAt = performance.now();
    readAddresses('"'.repeat(100_000));
    readAddresses("<".repeat(100_000));
    readAddresses(`${"a".repeat(50_000)}@${"b.".repeat(25_000)}`);
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});
