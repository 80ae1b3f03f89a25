import { DEFAULT_LIMITS, type EvidenceLimits } from './evidence.ts'

/** How a host's revocation status is found out, and what happens when it cannot be. */
export interface RevocationPolicy {
  /**
   * What an undetermined status means. `soft-fail`: the peer passes, with an event that names every cause. `hard-fail`:
   * it is refused. `report`: even a revoked one passes. `off`: nobody looks.
   */
  readonly mode: RevocationMode
  /** Where to look, the preferred one first. All that is at hand is looked at: one that says revoked is enough. */
  readonly sources: readonly RevocationSource[]
  /** `chain`: every certificate but the anchor. */
  readonly depth: 'endEntity' | 'chain'
  /** When a connection without a good staple is refused, whatever other sources say. */
  readonly staple: StapleRequirement
  /** What a responder that does not know the certificate means: a CA knows what it issued. */
  readonly ocspUnknown: 'reject' | 'undetermined'
  /** `background`: lists are fetched beside the requests, and the next connection is judged by them. */
  readonly fetch: 'never' | 'background' | 'blocking'
  readonly limits: EvidenceLimits
}

export type RevocationMode = 'off' | 'report' | 'soft-fail' | 'hard-fail'
export type StapleRequirement = 'never' | 'if-must-staple' | 'always'

/**
 * `cache`: OCSP responses that were fetched before. `short-lived`: a certificate that ends before a revocation could arrive.
 * `crlite`: filters that the application has.
 */
export type RevocationSource = 'short-lived' | 'staple' | 'cache' | 'crlite' | 'crl' | 'ocsp'

/** Soft-fail lets a peer pass of which nothing is known: a known fail-open, said in SECURITY.md. */
export const DEFAULT_REVOCATION: RevocationPolicy = {
  mode: 'soft-fail',
  sources: ['short-lived', 'staple', 'cache', 'crl'],
  depth: 'endEntity',
  staple: 'if-must-staple',
  ocspUnknown: 'reject',
  fetch: 'background',
  limits: DEFAULT_LIMITS,
}
