export { deleteAccount } from "./delete-account";
export { normaliseEmail } from "./email-address";
export { authenticatePassword, changePassword, ChangePasswordInput, requestPasswordReset, resetPassword } from "./password";
export { getProfile, Preferences, updateProfile, UpdateProfileInput, type Profile } from "./profile";
export {
  createSession,
  findLiveSession,
  listSessions,
  revokeSession,
  signOutEverywhere,
  type LiveSession,
  type SessionRecord,
} from "./sessions";
export { assertMaySignUp, createUser, PASSWORD_LENGTH_LEAST, signUp, SignUpInput, type AccountCtx } from "./sign-up";
export { resendVerification, verifyEmail } from "./verify-email";
