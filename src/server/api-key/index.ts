export { createKeyAuthenticator, type KeyAuthenticatorOptions, type PollingKeyAuthenticator } from "./authenticator";
export { SCOPES, type Authentication, type KeyAuthenticator, type KeyIdentity, type KeyRestrictions, type Scope } from "./identity";
export { hashRawKey, isRawKey } from "./raw-key";
export { parseStoredRestrictions, RestrictionsInput } from "./restrictions";
export { DEFAULT_SCOPES, effectiveScopes } from "./scopes";
