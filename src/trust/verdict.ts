import type { ChainEntry, Finding } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { Interception } from './interception.ts'
import type { CertificationPath } from './path/path.ts'
import type { HostPolicy } from './policy.ts'
import type { RevocationVerdict } from './revocation/check.ts'
import type { TransparencyVerdict } from './transparency/check.ts'

declare const proof: unique symbol

/** What was found about a peer, before it counts as verified. */
export interface PeerFacts {
  readonly path: CertificationPath
  /** DER certificates as presented: the same peer is judged again from them when the policy changes. */
  readonly presented: readonly Uint8Array[]
  /** The OCSP response that came with them. */
  readonly staple?: Uint8Array
  readonly policy: HostPolicy
  /** From this instant on the verdict no longer holds: a certificate of the path or the matched pin ends. */
  readonly validUntil: UnixMs
  /** What is known of the path’s revocation status. */
  readonly revocation: RevocationVerdict
  /** What is known of the logs that took the end entity; absent where nobody looked. */
  readonly transparency?: TransparencyVerdict
  /** What report mode let through; empty under enforcement. */
  readonly reported: readonly Finding[]
  /** A key of a known interception product that was let through, or that was presented beside the path. */
  readonly interception?: Interception
  /** Why the pinned key may soon no longer be on a path, although it is now. */
  readonly fragility?: string
}

/**
 * A peer that met every rule of a policy. Made only by `trust/evaluate.ts`; a connection is released to a request only
 * together with one, so no socket escapes unjudged.
 */
export interface VerifiedPeer extends PeerFacts {
  readonly [proof]: true
}

export type TrustVerdict =
  | { readonly kind: 'trusted'; readonly peer: VerifiedPeer }
  | {
      readonly kind: 'rejected'
      /** Most specific first. */
      readonly findings: readonly [Finding, ...Finding[]]
      /** The verified path that the policy refused; empty when none verified. */
      readonly chain: readonly ChainEntry[]
      /** The same as it was verified. */
      readonly refusedPath?: CertificationPath
      /** A key of a known interception product was among what the peer presented; the last of the findings says so too. */
      readonly interception?: Interception
    }
