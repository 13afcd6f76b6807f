export { assertAllowed, hasRole, isAllowed, type AccessRule } from "@/server/access";
export { bumpConfigVersion } from "@/server/config-version";
export { createOrganisationWithOwner } from "./create-organisation";
export { getOrganisation, listOrganisationsOfUser, type OrganisationRecord } from "./get-organisation";
export { initFromEnv, type InitOutcome } from "./init";
export { findShellOfUser, type Shell, type ShellOrganisation } from "./shell-of-user";
