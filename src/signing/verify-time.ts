import type { UnixMs } from '../ports/runtime.ts'
import type { SignatureParameters } from './signature-fields.ts'

export interface Ages {
  /** Since `created`. */
  readonly maxAgeSec: number
  /** How far the clocks may be apart. It makes the limits wider, never narrower. */
  readonly clockSkewSec: number
}

/** Why a signature is not of now; `undefined` where it is. A signature that does not say when it was made may be of any time. */
export function timeProblem(
  { created, expires = Number.POSITIVE_INFINITY }: SignatureParameters,
  { maxAgeSec, clockSkewSec }: Ages,
  now: UnixMs,
): string | undefined {
  if (created === undefined) return 'expected `created`, the signature does not say when it was made'
  const seconds = now / 1_000
  const seen = `created ${created}, now ${Math.floor(seconds)}, skew ${clockSkewSec}`
  if (created > seconds + clockSkewSec) return `signed in the future (${seen})`
  if (seconds > created + maxAgeSec + clockSkewSec) return `older than ${maxAgeSec} seconds (${seen})`
  if (expires < created) return `ends before it begins (expires ${expires}, ${seen})`
  return seconds >= expires + clockSkewSec ? `has expired (expires ${expires}, ${seen})` : undefined
}
