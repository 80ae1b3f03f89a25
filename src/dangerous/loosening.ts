import { parseHostPattern } from '../encoding/host-pattern.ts'
import { ConfigurationError } from '../errors/errors.ts'

/** What every loosening carries. */
export interface Why {
  /** Why the loosening is acceptable here: read by reviewers, repeated in the `posture` event at every start. */
  readonly reason: string
}

/** Hosts that may be requested without pins. Chain, name and denied keys are checked all the same. */
export interface UnpinnedHost extends Why {
  readonly kind: 'unpinnedHost'
  readonly pattern: string
}

/** Hosts that may be reached over TLS 1.2: ECDHE with AES-GCM or ChaCha20-Poly1305, nothing weaker. */
export interface Tls12Host extends Why {
  readonly kind: 'tls12Host'
  readonly pattern: string
  /** From then on the `posture` event asks for a review. */
  readonly reviewBy?: Date
}

/** Hosts that have nothing better than TLS 1.2 with ECDHE and CBC suites. They are refused from the sunset on. */
export interface LegacyHost extends Why {
  readonly kind: 'legacyHost'
  readonly pattern: string
  readonly sunset: Date
  /** In place of the client's own, and longer. */
  readonly timeouts?: LegacyTimeouts
}

/** Milliseconds, each as the member of the option `timeouts` that has its name, and no shorter than that. */
export interface LegacyTimeouts {
  readonly totalMs?: number
  readonly connectMs?: number
  readonly tlsMs?: number
  readonly headersMs?: number
  readonly bodyMs?: number
}

/** What a signed manifest may loosen. Whatever is not named is read strictly, and an event says so. */
export interface ManifestMay extends Why {
  readonly kind: 'manifestMay'
  readonly loosenings: readonly ManifestLoosening[]
  /** For `anchors`: the host patterns whose entries may bring trust anchors. */
  readonly anchorHosts: readonly string[]
}

/**
 * `report`: mode report. `stale`: report mode past expiry. `tls12`: TLS 1.2 with a reason. `legacy`: also CBC suites, until a
 * sunset. `anchors`: further trust anchors, for the hosts that the application names.
 */
export type ManifestLoosening = 'report' | 'stale' | 'tls12' | 'legacy' | 'anchors'

/** Connections to certificates that may be, or are, revoked. */
export interface RelaxedRevocation extends Why {
  readonly kind: 'relaxedRevocation'
  readonly mode: 'off' | 'report'
}

/** Certificates that need not be logged, whatever the manifest asks for. */
export interface RelaxedTransparency extends Why {
  readonly kind: 'relaxedTransparency'
  readonly mode: 'off' | 'report'
}

/** A secret of 8 to 15 bytes, from a partner that has no longer one. */
export interface ShortSecret extends Why {
  readonly kind: 'shortSecret'
}

export type Loosening =
  | UnpinnedHost
  | Tls12Host
  | LegacyHost
  | ManifestMay
  | RelaxedRevocation
  | RelaxedTransparency
  | ShortSecret

/** Options take loosenings made here and no look-alikes, so that every one of them is an import a reviewer can find. */
export function mint<Kind extends Loosening>(loosening: Kind): Kind {
  const { reason } = loosening
  if (typeof reason !== 'string' || reason.trim() === '') {
    throw new ConfigurationError('ERR_CONFIG_REASON', `${loosening.kind}: a reason is required, and must not be blank`)
  }
  for (const pattern of patternsOf(loosening)) {
    if (parseHostPattern(pattern) !== undefined) continue
    const message = `${loosening.kind}: expected a host, *.host or **.host, got ${JSON.stringify(pattern)}`
    throw new ConfigurationError('ERR_CONFIG_HOST', message)
  }
  for (const [name, date] of datesOf(loosening)) {
    if (date instanceof Date && !Number.isNaN(date.getTime())) continue
    throw new ConfigurationError('ERR_CONFIG_INVALID', `${loosening.kind}: ${name}: expected a valid Date`)
  }
  const made = { ...loosening }
  minted.add(Object.freeze(made))
  return made
}

function patternsOf(loosening: Loosening): readonly string[] {
  if ('pattern' in loosening) return [loosening.pattern]
  return 'anchorHosts' in loosening ? loosening.anchorHosts : []
}

/** From callers without types they may be anything; a date that is none would never come. */
function datesOf(loosening: Loosening): readonly (readonly [string, unknown])[] {
  if (loosening.kind === 'legacyHost') return [['sunset', loosening.sunset]]
  return loosening.kind === 'tls12Host' && loosening.reviewBy !== undefined ? [['reviewBy', loosening.reviewBy]] : []
}

export function isMinted<Kind extends Loosening['kind']>(
  value: unknown,
  kind: Kind,
): value is Extract<Loosening, { readonly kind: Kind }> {
  return typeof value === 'object' && value !== null && minted.has(value) && (value as Loosening).kind === kind
}

const minted = new WeakSet<object>()
