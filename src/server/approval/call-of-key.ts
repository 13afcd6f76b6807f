import type { NewAction } from "./create";

/** A call that a person is asked about, as far as every question needs it. */
export type CallOfKey = {
  orgId: string;
  keyId: string;
  userId: string;
  keyName: string;
  provider: string;
  model: string | null;
  sessionId: string | null;
  traceId: string;
  tags: Readonly<Record<string, string>>;
};

/** As long as a person may be expected to need, which is more than any call waits: the next call joins it. */
const EXPIRES_IN_SECONDS = 3_600;

/** The question, in the name of the key; `specifics` is what it is about. */
export function actionOfCall(
  call: CallOfKey,
  specifics: Pick<NewAction, "actionType" | "payload" | "budgetId" | "joinKey" | "requestedNano" | "model">,
): NewAction {
  return {
    ...specifics,
    agentId: call.keyName,
    metadata: {},
    expiresInSeconds: EXPIRES_IN_SECONDS,
    requesterId: call.userId,
    apiKeyId: call.keyId,
    sessionId: call.sessionId,
    traceId: call.traceId,
    tags: call.tags,
  };
}
