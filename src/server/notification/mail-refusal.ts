/** Why a mail was not taken, and what that means for the next attempt. Any other error counts as one to try again after. */
export class MailRefusal extends Error {
  override readonly name = "MailRefusal";
  /** It would be refused again however often it is tried: the address does not exist, for example. */
  readonly isFinal: boolean;
  /** When the provider wants to be asked again. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { isFinal = false, retryAfterMs }: { isFinal?: boolean; retryAfterMs?: number | undefined } = {}) {
    super(message);
    this.isFinal = isFinal;
    this.retryAfterMs = retryAfterMs;
  }
}

export const isMailRefusal = (error: unknown): error is MailRefusal => error instanceof Error && error.name === "MailRefusal";
