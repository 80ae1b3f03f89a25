import { BoundedMap } from '../encoding/bounded-map.ts'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { PinfetchError } from '../errors/errors.ts'
import type { Runtime, UnixMs } from '../ports/runtime.ts'
import { unchangedUntil } from '../trust/evaluate.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { VerifiedPeer } from '../trust/verdict.ts'
import type { ClientIdentity } from './client-certificate.ts'

/** What stands behind the TLS sessions of a released connection. */
export interface Shown {
  readonly origin: CanonicalOrigin
  readonly peer: VerifiedPeer
  /** What was known of revocations when `peer` was judged. */
  readonly evidenceVersion: number
  /** The version of TLS, as Node names it. */
  readonly protocol: string
  /** The client certificate that the server may have been shown, and takes a resumed client for. */
  readonly identity?: ClientIdentity | undefined
  /** When the peer showed its certificates. A resumption does not renew it. */
  readonly shownAt: Moment
}

export interface Session extends Shown {
  /** As Node serialises it. Secret: whoever has it can resume. */
  readonly bytes: Buffer
}

/** Both clocks: the monotonic one cannot be set back, the other one does not stand still while the machine sleeps. */
export interface Moment {
  readonly wall: UnixMs
  readonly monotonic: number
}

export interface Sessions {
  /** The session to resume with: the newest that was not used yet; when all were, the last one again. */
  readonly offer: (origin: CanonicalOrigin, policy: HostPolicy) => Session | undefined
  readonly keep: (session: Session) => void
  /** The server did not take it. */
  readonly drop: (session: Session) => void
  readonly forget: (origin: CanonicalOrigin) => void
  /** Drops what no longer holds. */
  readonly review: (policyOf: (origin: CanonicalOrigin) => HostPolicy) => void
  /** Frees all; nothing is kept from here on. */
  readonly close: () => void
  readonly now: () => Known
}

/** What a session is compared with. */
export interface Known {
  readonly evidenceVersion: number
  readonly identity?: ClientIdentity | undefined
  readonly at: Moment
}

/**
 * Sessions by canonical origin, host and port together, so that none is ever offered under another name (CVE-2026-48934).
 * Belongs to one connector, which has one list of ALPN protocols. Held strongly: behind weak references they are gone at
 * the next collection.
 *
 * A TLS 1.3 ticket is used once where there is another, since an observer links the connections that share one (RFC 8446
 * §C.4). The last one stays: a burst of new connections is resumed as a whole, and a session of TLS 1.2 serves all of them.
 */
export function createSessions(options: {
  readonly clock: Runtime['clock']
  readonly evidenceVersion: () => number
  readonly identity?: () => ClientIdentity | undefined
  /** The verdict of today about a peer that was accepted before. */
  readonly isTrusted: (origin: CanonicalOrigin, peer: VerifiedPeer, policy: HostPolicy) => boolean
}): Sessions {
  const { clock, evidenceVersion, identity, isTrusted } = options
  let origins = new BoundedMap<string, Kept>(MAX_ORIGINS)
  let isClosed = false

  const now = (): Known => ({
    evidenceVersion: evidenceVersion(),
    identity: identity?.(),
    at: { wall: clock.now(), monotonic: clock.monotonic() },
  })
  const holds = (session: Session, policy: HostPolicy): boolean =>
    isOfferable(session, policy, now()) && isTrusted(session.origin, session.peer, policy)
  const isHeld = (session: Session, policyOf: (origin: CanonicalOrigin) => HostPolicy): boolean => {
    try {
      return holds(session, policyOf(session.origin))
    } catch (error) {
      if (error instanceof PinfetchError) return false // no policy covers the origin any longer, or no certificate is there
      throw error
    }
  }
  const forget: Sessions['forget'] = ({ text }) => origins.delete(text)

  return {
    now,
    forget,
    offer: (origin, policy) => {
      const { unused, used } = origins.get(origin.text) ?? NONE
      const session = unused.at(-1) ?? used
      if (session === undefined) return undefined
      if (!holds(session, policy)) {
        forget(origin)
        return undefined
      }
      origins.set(origin.text, { unused: unused.slice(0, -1), used: session })
      return session
    },
    keep: (session) => {
      if (isClosed) return
      const { text } = session.origin
      const { unused, used } = origins.get(text) ?? NONE
      origins.set(text, { unused: [...unused, session].slice(-MAX_UNUSED), used })
    },
    drop: (session) => {
      const { text } = session.origin
      const { unused, used } = origins.get(text) ?? NONE
      if (used === session) origins.set(text, { unused, used: undefined })
    },
    review: (policyOf) => {
      for (const { unused, used } of [...origins.values()]) {
        const all = used === undefined ? unused : [...unused, used]
        const [first] = all
        if (first !== undefined && !all.every((session) => isHeld(session, policyOf))) forget(first.origin)
      }
    },
    close: () => {
      isClosed = true
      origins = new BoundedMap(1)
    },
  }
}

/**
 * Whether a session may stand in for showing certificates: nothing changed since its peer was accepted, nothing of that
 * ended, and its certificates were shown a short while ago. Resuming proves that the peer holds the keys of a session with
 * whoever was verified then; a server that moved to another certificate behind the same ticket keys is not noticed. So the
 * certificates are looked at again after `MAX_AGE_MS`, however often the session was resumed meanwhile. RFC 8446 §4.6.1
 * allows seven days; here it is the default age of a connection, so that no request relies on a look older than both
 * together.
 *
 * A peer that waits for evidence, or was only reported, shows its certificates anew every time.
 */
export function isOfferable(
  { peer, protocol, evidenceVersion, identity, shownAt }: Shown,
  policy: HostPolicy,
  known: Known,
): boolean {
  const { wall, monotonic } = known.at
  return (
    peer.policy.generation === policy.generation &&
    evidenceVersion === known.evidenceVersion &&
    identity === known.identity &&
    (protocol === 'TLSv1.3' || policy.minTlsVersion === '1.2') &&
    policy.profile === undefined && // a ticket of TLS 1.2 carries the keys, and these are the servers that never change theirs
    policy.revocation.fetch !== 'blocking' &&
    peer.reported.length === 0 &&
    wall >= shownAt.wall &&
    wall < shownAt.wall + MAX_AGE_MS &&
    monotonic < shownAt.monotonic + MAX_AGE_MS &&
    wall < unchangedUntil(peer)
  )
}

interface Kept {
  /** The newest last. */
  readonly unused: readonly Session[]
  readonly used: Session | undefined
}

const NONE: Kept = { unused: [], used: undefined }
const MAX_AGE_MS = 600_000
const MAX_ORIGINS = 256
const MAX_UNUSED = 8 // one to three kilobytes each; a server sends one or two for every connection
