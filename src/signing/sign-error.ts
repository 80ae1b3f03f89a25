import { SignError } from '../errors/errors.ts'
import { MessageRefusal, type RefusalReason } from './refusal.ts'

/** What a signer throws for a message that has no signature base; any other error stays what it is. */
export function signError(error: unknown, subject: string): unknown {
  if (!(error instanceof MessageRefusal)) return error
  return new SignError(CODES[error.reason], `${subject}: ${error.message}; nothing was sent`)
}

const CODES = {
  missing: 'ERR_SIGN_COMPONENT_MISSING',
  invalid: 'ERR_SIGN_COMPONENT_INVALID',
  malformed: 'ERR_SIGN_COMPONENT_INVALID',
  ambiguous: 'ERR_SIGN_COMPONENT_AMBIGUOUS',
  'not-ascii': 'ERR_SIGN_VALUE_NOT_ASCII',
} as const satisfies Record<RefusalReason, SignError['code']>
