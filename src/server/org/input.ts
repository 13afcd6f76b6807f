import { z } from "zod";
import { isTimezone } from "@/lib/timezone";
import { microdollarsToNano } from "@/lib/money";
import { CUSTOMER_ID } from "@/server/events/attribution";

export const ORGANISATION_NAME_LENGTH_MAX = 50;
const SLUG = /^[a-z0-9](?:[a-z0-9-]{1,48})[a-z0-9]$/;
const UPGRADE_URL_LENGTH_MAX = 2_048;
/** One day's worth of what approvers decide by code; above it, people sign in. */
const LINK_LIMIT_MICRODOLLARS_MAX = 1_000_000_000_000;

/** One visible line: it stands in subjects of mails and in titles, where control and direction characters would lie. */
export const OrganisationName = z
  .string()
  .trim()
  .min(1, "must not be empty")
  .max(ORGANISATION_NAME_LENGTH_MAX, `must have at most ${ORGANISATION_NAME_LENGTH_MAX} characters`)
  .refine((text) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text), "must be one line of visible characters");

/** ASCII alone, so that no two look alike; letters are written small before they are compared. */
export const Slug = z
  .string()
  .trim()
  .toLowerCase()
  .regex(SLUG, "must be 3 to 50 letters, digits and hyphens, with a letter or digit at both ends");

export const Timezone = z.string().max(64).refine(isZoneName, "must be an IANA time zone like Europe/Berlin");

/** Offsets like +01:00 know no summer time. */
function isZoneName(text: string): boolean {
  return /^[A-Za-z]/.test(text) && isTimezone(text);
}

/** Where a denied caller can buy more; `{customer_id}` is replaced. Only http(s): it becomes a link that people follow. */
export const UpgradeUrl = z
  .string()
  .trim()
  .max(UPGRADE_URL_LENGTH_MAX)
  .refine(isWebAddress, "must be an address like https://example.com/upgrade?customer={customer_id}, without credentials");

function isWebAddress(text: string): boolean {
  const example = text.replaceAll("{customer_id}", "customer");
  if (/[\s<>"'`{}\\]/.test(example) || !URL.canParse(example)) return false;
  const url = new URL(example);
  return (url.protocol === "https:" || url.protocol === "http:") && url.username === "" && url.password === "";
}

export const CreateOrganisationInput = z.strictObject({
  name: OrganisationName,
  slug: Slug.optional(),
  timezone: Timezone.default("UTC"),
});
export type CreateOrganisationInput = z.output<typeof CreateOrganisationInput>;

const LinkLimit = z
  .number()
  .min(0)
  .max(LINK_LIMIT_MICRODOLLARS_MAX)
  .refine((value) => microdollarsToNano(value) !== undefined, "must have at most three decimals");

/** Only what is sent changes. */
export const UpdateOrganisationInput = z
  .strictObject({
    name: OrganisationName,
    slug: Slug,
    timezone: Timezone,
    addStreamUsage: z.boolean(),
    assumedServiceTier: z.enum(["default", "flex", "priority"]).nullable(),
    /** Owners alone. */
    upgradeUrl: UpgradeUrl.nullable(),
    linkLimitMicrodollars: LinkLimit,
  })
  .partial()
  .refine((changes) => Object.keys(changes).length > 0, "must change something");
export type UpdateOrganisationInput = z.output<typeof UpdateOrganisationInput>;

export const UpgradeUrlInput = z.strictObject({ upgradeUrl: UpgradeUrl.nullable() });

export const CustomerId = z.string().regex(CUSTOMER_ID, "must be a customer's id");
export const UpdateCustomerInput = UpgradeUrlInput.extend({ id: CustomerId });
export type UpdateCustomerInput = z.output<typeof UpdateCustomerInput>;

/** `name` is typed by whoever deletes, so that nothing goes by a click in the wrong window. */
export const DeleteOrganisationInput = z.strictObject({ name: z.string().max(200) });

const MemberId = { userId: z.uuid() };
export const ChangeRoleInput = z.strictObject({ ...MemberId, role: z.enum(["viewer", "member", "admin", "owner"]) });
export type ChangeRoleInput = z.output<typeof ChangeRoleInput>;
export const SetApproverInput = z.strictObject({ ...MemberId, isApprover: z.boolean() });
export type SetApproverInput = z.output<typeof SetApproverInput>;
export const MemberInput = z.strictObject(MemberId);
export type MemberInput = z.output<typeof MemberInput>;

/** Owners are made by transfer, or by an owner among the members. */
export const InvitationRole = z.enum(["viewer", "member", "admin"]);
export const InviteMembersInput = z.strictObject({
  /** Addresses as pasted: lines, commas, semicolons, `Name <address>`. */
  emails: z.union([z.string().max(100_000), z.array(z.string().max(1_000)).max(1_000)]),
  role: InvitationRole.default("member"),
});
export type InviteMembersInput = z.output<typeof InviteMembersInput>;
