export { createAccounts, type Accounts, type Visitor } from "./accounts";
export { normaliseEmail } from "./email-address";
export { ChangePasswordInput } from "./password";
export { Preferences, UpdateProfileInput, type Profile } from "./profile";
export { SESSION_MS, type LiveSession, type SessionRecord } from "./sessions";
export { PASSWORD_LENGTH_LEAST, SignUpInput } from "./sign-up";
