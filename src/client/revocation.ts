import * as z from 'zod'
import { isMinted, type RelaxedRevocation } from '../dangerous/loosening.ts'
import type { CanonicalHost } from '../encoding/host.ts'
import { hostIndex, type ParsedHostPattern } from '../encoding/host-pattern.ts'
import type { HostEntry } from '../manifest/schema.ts'
import type { EvidenceNetwork } from '../transport/evidence-fetch.ts'
import {
  DEFAULT_REVOCATION,
  type RevocationMode,
  type RevocationPolicy,
  type RevocationSource,
  type StapleRequirement,
} from '../trust/revocation/policy.ts'

export interface RevocationOptions {
  /**
   * What an undetermined status means. `'soft-fail'`, the default, lets the peer pass with an event that names every cause;
   * `'hard-fail'` refuses. A certificate that is known to be revoked is refused in both.
   */
  readonly mode?: 'soft-fail' | 'hard-fail'
  /**
   * Default `['short-lived', 'staple', 'cache', 'crl']`; `'ocsp'` also asks the CA's responders, `'crlite'` looks into
   * `crliteFilters`.
   */
  readonly sources?: readonly RevocationSource[]
  /** Default `'endEntity'`. `'chain'` looks at intermediates too. */
  readonly depth?: 'endEntity' | 'chain'
  /** When a connection without a good staple is refused. Default `'if-must-staple'`: where the certificate says so. */
  readonly staple?: StapleRequirement
  /** What a responder means that does not know the certificate. Default `'reject'`. */
  readonly ocspUnknown?: 'reject' | 'undetermined'
  /** Default `'background'`: lists are fetched beside the requests. `'blocking'` waits for them, up to `budgetMs`. */
  readonly fetch?: 'never' | 'background' | 'blocking'
}

export interface RevocationNetworkOptions {
  /** Internal hosts that CRLs and OCSP responses may come from; all others must have public addresses. Default none. */
  readonly allowPrivateHosts?: readonly string[]
  /** Default 80 and 443. */
  readonly ports?: readonly number[]
  /**
   * An HTTP proxy for these requests. Default: the option `proxy`. An HTTP proxy then decides on addresses; no pins are asked of this
   * one.
   */
  readonly proxy?: string
  /** Longest list. Default 16 MiB. */
  readonly maxBytes?: number
  /** For one list or response. Default 5 000. */
  readonly timeoutMs?: number
  /** For all that a connection waits for under `fetch: 'blocking'`. Default 3 000. */
  readonly budgetMs?: number
}

export type RevocationOption = 'soft-fail' | 'hard-fail' | RevocationOptions | RelaxedRevocation

export interface ResolvedRevocation {
  readonly everywhere: RevocationPolicy
  readonly byHost: readonly { readonly pattern: ParsedHostPattern; readonly policy: RevocationPolicy }[]
  /** What `pinfetch/dangerous` loosened, for the posture events. */
  readonly loosened: readonly { readonly subject: string; readonly mode: string; readonly reason: string }[]
  readonly network: EvidenceNetwork & {
    readonly maxBytes: number
    readonly timeoutMs: number
    readonly budgetMs: number
  }
}

export function createRevocationLookup({
  everywhere,
  byHost,
}: ResolvedRevocation): (host: CanonicalHost) => RevocationPolicy {
  const own = hostIndex(byHost.map(({ pattern, policy }) => [pattern, policy] as const))
  return (host) => own(host) ?? everywhere
}

export function revocationPolicyOf(option: RevocationOption): RevocationPolicy {
  if (typeof option === 'string') return { ...DEFAULT_REVOCATION, mode: option }
  if ('kind' in option) return { ...DEFAULT_REVOCATION, mode: option.mode }
  const given = Object.fromEntries(Object.entries(option).filter(([, value]) => value !== undefined))
  return { ...DEFAULT_REVOCATION, ...given }
}

/**
 * A host entry of the manifest beside the client's own policy: the stricter of both in every respect, so that neither can
 * undo the other.
 *
 * @param mayReport Whether a manifest’s `report` counts; it never goes below a mode that was chosen in code.
 */
export function withManifestRevocation(
  own: RevocationPolicy,
  { revocation: entry }: HostEntry,
  mayReport: () => boolean,
): RevocationPolicy {
  if (entry === undefined) return own
  const reports = entry.mode === 'report' && own.mode === DEFAULT_REVOCATION.mode && mayReport()
  return {
    ...own,
    mode: reports ? 'report' : strictest(MODES, own.mode, entry.mode),
    sources: [...new Set([...(entry.sources ?? []).filter(addsEvidence), ...own.sources])],
    depth: entry.depth === 'chain' ? 'chain' : own.depth,
    staple: strictest(STAPLES, own.staple, entry.staple ?? own.staple),
    fetch: strictest(FETCHES, own.fetch, entry.fetch ?? own.fetch),
  }
}

/** All others can show a revocation; this one waives asking, so it is the client’s own to allow. */
const addsEvidence = (source: RevocationSource): boolean => source !== 'short-lived'

/** A handshake is complete, client certificate included, before anything can be waited for. */
export const showsFirst = ({ mode, fetch }: RevocationPolicy): boolean => mode === 'hard-fail' && fetch === 'blocking'

function strictest<Choice extends string>(order: readonly Choice[], a: Choice, b: Choice): Choice {
  return order.indexOf(a) > order.indexOf(b) ? a : b
}

const MODES: readonly RevocationMode[] = ['off', 'report', 'soft-fail', 'hard-fail']
const STAPLES: readonly StapleRequirement[] = ['never', 'if-must-staple', 'always']
const FETCHES: readonly RevocationPolicy['fetch'][] = ['never', 'background', 'blocking']

const milliseconds = (fallback: number) => z.int().min(1).max(600_000).default(fallback)

export const RevocationOptionSchema = z.union([
  z.enum(['soft-fail', 'hard-fail']),
  z.custom<RelaxedRevocation>((value) => isMinted(value, 'relaxedRevocation')),
  z.strictObject({
    mode: z.enum(['soft-fail', 'hard-fail']).exactOptional(),
    sources: z.array(z.enum(['short-lived', 'staple', 'cache', 'crlite', 'crl', 'ocsp'])).exactOptional(),
    depth: z.enum(['endEntity', 'chain']).exactOptional(),
    staple: z.enum(['never', 'if-must-staple', 'always']).exactOptional(),
    ocspUnknown: z.enum(['reject', 'undetermined']).exactOptional(),
    fetch: z.enum(['never', 'background', 'blocking']).exactOptional(),
  }),
])

export const RevocationNetworkSchema = z.strictObject({
  allowPrivateHosts: z.array(z.string().min(1)).default([]),
  ports: z.array(z.int().min(1).max(65_535)).min(1).default([80, 443]),
  proxy: z.url({ protocol: /^https?$/ }).exactOptional(),
  maxBytes: z
    .int()
    .min(1)
    .max(1024 ** 3)
    .default(16 * 1024 ** 2),
  timeoutMs: milliseconds(5_000),
  budgetMs: milliseconds(3_000),
})
