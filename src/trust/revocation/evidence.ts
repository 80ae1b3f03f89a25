import type { CodeIn } from '../../errors/codes.ts'
import type { Certificate } from '../../x509/certificate.ts'

/** What a signed statement about one certificate says: OCSP and CRL alike. `validUntil` is when it stops counting. */
export type Evidence =
  | { readonly status: 'good' | 'unknown'; readonly thisUpdate: number; readonly validUntil: number }
  | {
      readonly status: 'revoked'
      readonly thisUpdate: number
      readonly validUntil: number
      /** Informational: being listed is what counts, a date in the future included (RFC 5280 §6.3.3). */
      readonly revokedAt: number
      /** CRLReason (RFC 5280 §5.3.1). */
      readonly reason?: number
    }
  | { readonly status: 'undetermined'; readonly code: CodeIn<'TRUST'>; readonly message: string }

export interface EvidenceLimits {
  /** How far the clocks of signer and client may be apart, milliseconds. */
  readonly clockSkewMs: number
  /** How old a statement about an end entity may be, whatever end it gives itself, milliseconds. */
  readonly maxAgeMs: number
  /** The same about a CA: roots are offline, and sign such statements a few times a year. */
  readonly maxAgeOfCaMs: number
  readonly minRsaBits: number
  /** For suites of old test data alone: no option reaches it. */
  readonly allowSha1?: true
}

/** Why a statement does not count. Thrown inside this folder and answered as `undetermined` at its doors. */
export class EvidenceError extends Error {
  override readonly name = 'EvidenceError'
  readonly code: CodeIn<'TRUST'>

  constructor(code: CodeIn<'TRUST'>, message: string) {
    super(message)
    this.code = code
  }
}

/** What the work gives, or why the statement does not count. */
export function attempt<T>(work: () => T): T | EvidenceError {
  try {
    return work()
  } catch (error) {
    if (error instanceof EvidenceError) return error
    throw error
  }
}

export const DEFAULT_LIMITS: EvidenceLimits = {
  clockSkewMs: 5 * 60_000,
  maxAgeMs: 10 * 86_400_000, // CA/B Forum BR §4.9.7, §4.9.10: at most ten days
  maxAgeOfCaMs: 366 * 86_400_000, // the same sections: at least every twelve months
  minRsaBits: 2048,
}

export function maxAgeFor({ decoded }: Pick<Certificate, 'decoded'>, limits: EvidenceLimits): number {
  return decoded.basicConstraints?.ca === true ? limits.maxAgeOfCaMs : limits.maxAgeMs
}
