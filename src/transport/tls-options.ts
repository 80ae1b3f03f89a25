import { X509Certificate } from 'node:crypto'
import type { LookupFunction } from 'node:net'
import type { PeerCertificate, SecureContext } from 'node:tls'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { PinfetchError, TlsError } from '../errors/errors.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { ClientIdentity } from './client-certificate.ts'
import { type Connector, secondOpinion } from './connector.ts'
import { contextFor, type Offer, offerOf } from './contexts.ts'
import { createRoutes, lookupBy, type RouteOptions } from './route.ts'

/** What `tls.connect` takes, for clients that call it themselves. */
export interface VerifyingTlsOptions {
  readonly host: string
  readonly port: number
  /** By `resolver` and `addresses`: permitted addresses alone. Absent for an IP address, which was judged when this was made. */
  readonly lookup?: LookupFunction
  readonly localAddress?: string
  /** The Unix socket that stands for the host. */
  readonly path?: string
  /** Absent for an IP address: RFC 6066 §3. */
  readonly servername?: string
  readonly rejectUnauthorized: true
  /** Anchors, versions, suites and the client certificate. */
  readonly secureContext: SecureContext
  /** Named, so that an agent of node:https offers none of those that it keeps: who resumes a session asks for no verdict. */
  readonly session: undefined
  /** The verdict, given when the handshake is finished and before anything is written. */
  readonly checkServerIdentity: (hostname: string, certificate: PeerCertificate) => Error | undefined
}

/**
 * The verdict for a client that makes its own connections and takes nothing but a synchronous check. It is given later than on ours:
 * the handshake is finished, so under TLS 1.2 a peer that is refused has seen the client certificate, and a staple is not seen. Where
 * a policy needs what is not at hand here, the answer is a refusal.
 *
 * Node asks `checkServerIdentity` of no session that is resumed, and heeds no answer under `rejectUnauthorized: false`: a caller who sets
 * `session` or that beside these has no verdict. Who opens the socket, or names another `host`, has no address judged either, and no
 * such connection goes through the client's proxy.
 *
 * @throws PinfetchError where no policy covers the origin, or it is an address that may not be connected to.
 */
export function verifyingTlsOptions(origin: CanonicalOrigin, options: Judging): VerifyingTlsOptions {
  const { judge, policyOf, certificate } = options
  const policy = policyOf(origin)
  const routes = createRoutes(options)
  const { settings } = routes.to(origin, policy)
  const permitted = async (): Promise<readonly string[]> => routes.permitted(origin, policyOf(origin)) // another one perhaps by then
  const checkServerIdentity = (_: string, shown: PeerCertificate): Error | undefined => {
    try {
      const presented = presentedIn(shown)
      const [endEntity] = presented
      if (endEntity === undefined) throw noCertificate(origin)
      return judge(origin, { presented }, (peer) => {
        const isOutdated = OFFERS.indexOf(offerOf(policy)) > OFFERS.indexOf(offerOf(peer.policy))
        return isOutdated ? outdated(origin) : secondOpinion(origin, peer, new X509Certificate(endEntity))
      })
    } catch (error) {
      return error instanceof PinfetchError ? error : noCertificate(origin, error)
    }
  }
  return Object.freeze({
    ...settings,
    ...(settings.lookup === undefined ? {} : { lookup: lookupBy(permitted) }),
    ...(origin.kind === 'dns' ? { servername: origin.host } : {}),
    rejectUnauthorized: true,
    secureContext: contextFor(policy, certificate?.()),
    session: undefined,
    checkServerIdentity,
  })
}

export interface Judging extends RouteOptions {
  readonly judge: Connector['judge']
  readonly policyOf: (origin: CanonicalOrigin) => HostPolicy
  readonly certificate?: (() => ClientIdentity) | undefined
}

/** DER as it was presented, as far as one names the next; a resumed session shows none. */
function presentedIn(shown: Partial<PeerCertificate>): readonly Uint8Array[] {
  const presented: Uint8Array[] = []
  const seen = new Set<unknown>()
  let at: unknown = shown
  while (typeof at === 'object' && at !== null && !seen.has(at) && presented.length <= MAX_PRESENTED) {
    seen.add(at)
    const { raw, issuerCertificate } = at as { readonly raw?: Uint8Array; readonly issuerCertificate?: unknown }
    if (raw === undefined) break
    presented.push(new Uint8Array(raw))
    at = issuerCertificate
  }
  return presented
}

function noCertificate({ text }: CanonicalOrigin, cause?: unknown): TlsError {
  const message = `${text}: the handshake showed no certificate that could be judged, so there is no verdict`
  return new TlsError('ERR_TLS_NO_VERDICT', message, { host: text, cause })
}

function outdated({ text }: CanonicalOrigin): TlsError {
  const message = `${text}: the policy allows less of TLS by now; expected options of a new call of tlsOptions`
  return new TlsError('ERR_TLS_VERSION', message, { host: text })
}

/** The strictest first. */
const OFFERS: readonly Offer[] = ['1.3', '1.2', 'legacy']
const MAX_PRESENTED = 64 // the path search refuses a list by its size
