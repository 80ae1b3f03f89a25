/**
 * Why a message has no signature base. Neither side's fault yet: a signer says that nothing was sent, a verifier refuses
 * what it received, each with a code of its own.
 */
export type RefusalReason = 'missing' | 'invalid' | 'ambiguous' | 'not-ascii' | 'malformed'

/** Never leaves this folder: `signError` and the verifier give it a code. */
export class MessageRefusal extends Error {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string) {
    super(message)
    this.reason = reason
  }
}
