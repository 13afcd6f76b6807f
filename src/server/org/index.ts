// init.ts is not exported here: it makes keys, and the api-key domain stands on this one.
export { bumpConfigVersion } from "./bump-config-version";
export { assertAllowed, hasRole, isAllowed, type AccessRule } from "./access";
