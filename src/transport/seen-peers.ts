import { BoundedMap } from '../encoding/bounded-map.ts'
import type { CanonicalOrigin } from '../encoding/host.ts'
import type { ErrorCode } from '../errors/codes.ts'
import { PinfetchError } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { matchPins } from '../trust/pins.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { TrustVerdict, VerifiedPeer } from '../trust/verdict.ts'

export interface RefusedHost {
  /** Canonical host, with the port where it is not 443. */
  readonly host: string
  readonly code: ErrorCode
}

export interface SeenPeers {
  readonly remember: (origin: CanonicalOrigin, peer: VerifiedPeer) => void
  /** The origins whose newest peer these policies would refuse, each with the first reason. */
  readonly refusedUnder: (policyOf: (origin: CanonicalOrigin) => HostPolicy, now: UnixMs) => readonly RefusedHost[]
}

/** The newest verified peer of each of the last origins, connected or not: what a policy to come can be tried on. */
export function createSeenPeers(
  evaluate: (origin: CanonicalOrigin, peer: VerifiedPeer, policy: HostPolicy) => TrustVerdict,
): SeenPeers {
  const peers = new BoundedMap<string, { readonly origin: CanonicalOrigin; readonly peer: VerifiedPeer }>(MAX_ORIGINS)

  const refusal = (origin: CanonicalOrigin, peer: VerifiedPeer, policy: HostPolicy, now: UnixMs) => {
    const { expectedUri, anchors } = peer.policy
    const isAboutPins = policy.expectedUri === expectedUri && policy.anchors.digest === anchors.digest
    if (isAboutPins && matchPins(peer.path, policy, now).kind === 'match') return undefined
    const verdict = evaluate(origin, peer, policy) // another path of the same certificates may hold
    return verdict.kind === 'rejected' ? verdict.findings[0].code : undefined
  }

  return {
    remember: (origin, peer) => peers.set(origin.text, { origin, peer }),
    refusedUnder: (policyOf, now) =>
      [...peers.values()].flatMap(({ origin, peer }) => {
        const code = codeOf(() => refusal(origin, peer, policyOf(origin), now))
        return code === undefined ? [] : [{ host: origin.text, code }]
      }),
  }
}

/** That no policy covers a host any longer is a refusal too. */
function codeOf(judge: () => ErrorCode | undefined): ErrorCode | undefined {
  try {
    return judge()
  } catch (error) {
    if (error instanceof PinfetchError) return error.code
    throw error
  }
}

const MAX_ORIGINS = 256 // judged in one tick when a manifest arrives
