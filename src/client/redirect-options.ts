import * as z from 'zod'
import type { OriginPattern } from '../encoding/origin-pattern.ts'
import { OriginPatternSchema } from './egress.ts'

/**
 * What becomes of a redirect that a call asks to have followed, as `fetch` does unless told otherwise:
 * - `'error'`: it is refused, whatever its target.
 * - `'same-origin'`: it is followed where scheme, host and port stay, over five hops at most.
 * - `{ follow }`: to these origins as well. The origin that a redirect comes from is one of them or is left for good.
 */
export type RedirectOption =
  | 'error'
  | 'same-origin'
  | {
      /** Host patterns, with a port where it is not 443: `files.example.com`, `*.example.com:8443`, `[::1]:*` for every port. */
      readonly follow: readonly OriginPattern[]
      /** Redirects in one call. Default 5, above what APIs need; at most 20, the bound of WHATWG Fetch. */
      readonly maxHops?: number
    }

export interface RedirectRules {
  /** Origins beside the one that a redirect comes from. */
  readonly follow: readonly OriginPattern[]
  readonly maxHops: number
}

const maxHops = z.int().min(1).max(20)
const DEFAULT_HOPS = 5
const Follow = z.strictObject({
  follow: z.array(OriginPatternSchema).max(1_000),
  maxHops: maxHops.default(DEFAULT_HOPS),
})

/** `undefined` where nothing is followed. */
export const RedirectSchema = z
  .union([z.enum(['error', 'same-origin']), Follow])
  .default('error')
  .transform((option): RedirectRules | undefined => {
    if (option === 'error') return undefined
    return option === 'same-origin' ? { follow: [], maxHops: DEFAULT_HOPS } : option
  })

/** The shape alone; the options are checked when a client is made. */
export const RedirectInFile = z.union([
  z.enum(['error', 'same-origin']),
  z.strictObject({ follow: z.array(z.string()), maxHops: maxHops.exactOptional() }),
])
