import { BoundedMap } from '../encoding/bounded-map.ts'
import type { CanonicalOrigin } from '../encoding/host.ts'
import type { PinText } from '../encoding/pin.ts'
import type { ErrorCode } from '../errors/codes.ts'
import { PinfetchError } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { matchPins, pinOf } from '../trust/pins.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { TrustVerdict, VerifiedPeer } from '../trust/verdict.ts'

export interface RefusedHost {
  /** Canonical host, with the port where it is not 443. */
  readonly host: string
  readonly code: ErrorCode
}

/** Pins of end-entity keys. */
export interface KeyChange {
  readonly before: PinText
  readonly after: PinText
}

export interface SeenPeers {
  /** Answers where the origin is known, and its key is not. */
  readonly remember: (origin: CanonicalOrigin, peer: VerifiedPeer) => KeyChange | undefined
  /** The origins whose newest peer these policies would refuse, each with the first reason. */
  readonly refusedUnder: (policyOf: (origin: CanonicalOrigin) => HostPolicy, now: UnixMs) => readonly RefusedHost[]
}

/** The newest verified peer of each of the last origins, connected or not: what a policy to come can be tried on. */
export function createSeenPeers(
  evaluate: (origin: CanonicalOrigin, peer: VerifiedPeer, policy: HostPolicy) => TrustVerdict,
): SeenPeers {
  const peers = new BoundedMap<string, Seen>(MAX_ORIGINS)

  const remember: SeenPeers['remember'] = (origin, peer) => {
    const known = peers.get(origin.text)
    const after = keyOf(peer)
    const { keys = [after] } = known ?? {}
    const isNew = !keys.includes(after)
    peers.set(origin.text, { origin, peer, keys: isNew ? [...keys, after].slice(-MAX_KEYS) : keys })
    return isNew && known !== undefined ? { before: keyOf(known.peer), after } : undefined
  }

  const refusal = (origin: CanonicalOrigin, peer: VerifiedPeer, policy: HostPolicy, now: UnixMs) => {
    const { expectedUri, anchors, transparency } = peer.policy
    const isAboutPins =
      policy.expectedUri === expectedUri &&
      policy.anchors.digest === anchors.digest &&
      policy.transparency?.id === transparency?.id &&
      policy.revoked?.distrusted.some((rule) => 'sctNotAfter' in rule) !== true
    if (isAboutPins && matchPins(peer.path, policy, now).kind === 'match') return undefined
    const verdict = evaluate(origin, peer, policy) // another path of the same certificates may hold
    return verdict.kind === 'rejected' ? verdict.findings[0].code : undefined
  }

  return {
    remember,
    refusedUnder: (policyOf, now) =>
      [...peers.values()].flatMap(({ origin, peer }) => {
        const code = codeOf(() => refusal(origin, peer, policyOf(origin), now))
        return code === undefined ? [] : [{ host: origin.text, code }]
      }),
  }
}

interface Seen {
  readonly origin: CanonicalOrigin
  readonly peer: VerifiedPeer
  /** Of end entities, the newest last. */
  readonly keys: readonly PinText[]
}

const keyOf = ({ path }: VerifiedPeer): PinText => pinOf(path.certificates[0])

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
const MAX_KEYS = 8 // several algorithms at once, and a rotation of each
