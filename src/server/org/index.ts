export { assertAllowed, hasRole, isAllowed, type AccessRule } from "@/server/access";
export { bumpConfigVersion } from "@/server/config-version";
export { acceptInvitation, getInvitationByToken, type AcceptedInvitation, type InvitationView } from "./accept-invitation";
export { createOrganisationWithOwner } from "./create-organisation";
export { createOrganisation } from "./create-team";
export { updateCustomer, type CustomerRecord } from "./customer";
export { deleteOrganisation } from "./delete";
export { createOrgDeps, type OrgDeps } from "./deps";
export { getOrganisation, listOrganisationsOfUser, type OrganisationRecord } from "./get-organisation";
export { findHomeOfUser, findPlaceOf } from "./home-of-user";
export { initFromEnv, type InitOutcome } from "./init";
export {
  ChangeRoleInput,
  CreateOrganisationInput,
  CustomerId,
  DeleteOrganisationInput,
  InvitationRole,
  InviteMembersInput,
  MemberInput,
  ORGANISATION_NAME_LENGTH_MAX,
  SetApproverInput,
  UpdateCustomerInput,
  UpdateOrganisationInput,
  UpgradeUrl,
  UpgradeUrlInput,
} from "./input";
export {
  inviteMembers,
  listInvitations,
  resendInvitation,
  revokeInvitation,
  type InvitationOutcome,
  type InvitationRecord,
} from "./invitations";
export {
  changeRole,
  leaveOrganisation,
  listMembers,
  removeMember,
  setApprover,
  transferOwnership,
  type MemberRecord,
  type Seats,
} from "./members";
export type { OrganisationSettings } from "./public-organisation";
export { getOrganisationSettings, updateOrganisation } from "./settings";
export { findShellOfUser, type Shell, type ShellOrganisation } from "./shell-of-user";
