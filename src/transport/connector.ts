import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { PinfetchError, TlsError, TransportError, TrustError } from '../errors/errors.ts'
import type { EventOf } from '../events/events.ts'
import { TRACES, tracedCall } from '../events/tracing.ts'
import type { Runtime } from '../ports/runtime.ts'
import { inLaterTurn } from '../ports/turn.ts'
import { createEvaluator, describePath, type EvidenceSource, type TrustInput } from '../trust/evaluate.ts'
import type { ReferenceIdentity } from '../trust/identity.ts'
import type { CertificationPath } from '../trust/path/path.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { RevocationPolicy } from '../trust/revocation/policy.ts'
import { tellTransparency } from '../trust/transparency/tell.ts'
import type { TrustVerdict, VerifiedPeer } from '../trust/verdict.ts'
import {
  type ClientIdentity,
  certificateFailure,
  hasAskedForCertificate,
  rememberPresentation,
} from './client-certificate.ts'
import { contextFor, isOffered, offerOf } from './contexts.ts'
import { connectFailure } from './failure.ts'
import { describeConnection, describeRevocation, HandshakeRecord } from './handshake-record.ts'
import type { Http2, Timeouts } from './limits.ts'
import { noteOwn } from './own.ts'
import { afterPatience } from './patience.ts'
import { readPresented } from './peer.ts'
import { createTunnels, type ProxyServer, type Tunnel, type Tunnels } from './proxy.ts'
import { createRoutes, type RouteOptions } from './route.ts'
import { createSessions, isOfferable, type Session } from './sessions.ts'

export interface ConnectorOptions extends RouteOptions {
  /** The policy in force for an origin at this moment. Throws a PinfetchError where there is none. */
  readonly policyOf: (origin: CanonicalOrigin) => HostPolicy
  readonly runtime: Runtime
  readonly timeouts: Pick<Timeouts, 'connectMs' | 'tlsMs'>
  /** What single origins get in place of `timeouts`. Default: none get anything else. */
  readonly timeoutsOf?: ((origin: CanonicalOrigin) => Timeouts | undefined) | undefined
  /** Default `never`. */
  readonly http2?: Http2
  /** What ALPN (RFC 7301) offers. Default: what `http2` says. */
  readonly protocols?: readonly string[]
  /** The client's certificate that new connections are made with. Throws a PinfetchError while there is none. */
  readonly certificate?: () => ClientIdentity
  /** Connections go through it, but for those that it is not for. Default: none, and the environment has no say. */
  readonly proxy?: ProxyServer
  /** The policy for the proxy's own certificate. Default: `policyOf`. */
  readonly proxyPolicyOf?: (origin: CanonicalOrigin) => HostPolicy
  /** Lists and responses that are fetched beside the connections. Default: none, and staples alone count. */
  readonly evidence?: Evidence
}

export interface Evidence {
  readonly source: EvidenceSource
  /** Told of every path that was verified and lacks nothing else: what it takes is fetched for the next connection. */
  readonly want: (path: CertificationPath, policy: RevocationPolicy) => void
  /** For policies that wait: resolves when what the path takes has arrived or failed, or the time for it is over. */
  readonly gather: (path: CertificationPath, policy: RevocationPolicy) => Promise<void>
}

export interface Connection {
  readonly socket: tls.TLSSocket
  readonly peer: VerifiedPeer
  /** The client's certificate it was made with. */
  readonly identity: ClientIdentity | undefined
}

export interface Connector {
  /** The verdict about certificates under a policy, without telling anybody. */
  readonly evaluate: (origin: CanonicalOrigin, sent: Sent, policy: HostPolicy, mayWait?: boolean) => TrustVerdict
  /**
   * Calls back exactly once, with a connection whose peer was judged under the policy in force now, or with the reason.
   * Answers the function that ends the attempt, which is `done` with the reason given.
   *
   * @param protocols What ALPN offers in place of what it usually does; an empty list offers nothing.
   */
  readonly connect: (
    origin: CanonicalOrigin,
    done: (result: Connection | PinfetchError) => void,
    protocols?: readonly string[],
  ) => (reason: PinfetchError) => void
  /**
   * The verdict under the policy in force, told to whoever listens, for a connection that somebody else makes.
   *
   * @param objection Asked of an accepted peer: why the connection is refused all the same.
   * @throws TrustError
   */
  readonly judge: (
    origin: CanonicalOrigin,
    sent: Sent,
    objection: (peer: VerifiedPeer) => Error | undefined,
  ) => Error | undefined
  /** Judges a live connection again: its version of TLS, its address, and its peer from what it presented. */
  readonly reevaluate: (
    origin: CanonicalOrigin,
    connection: Pick<Connection, 'socket' | 'peer'>,
    policy: HostPolicy,
  ) => VerifiedPeer | PinfetchError
  /** Tells, once a connection, that it is ended for this reason. `reevaluate` does so by itself. */
  readonly cut: (
    origin: CanonicalOrigin,
    connection: Pick<Connection, 'socket' | 'peer'>,
    reason: PinfetchError,
  ) => void
  /** Call when policies or evidence changed: drops the TLS sessions whose verdict may be another one now. */
  readonly reviewSessions: () => void
  /** Frees all TLS sessions; none is kept from here on. */
  readonly closeSessions: () => void
}

/**
 * Makes TLS connections that carry a verdict. The verdict is given in the `OCSPResponse` event, which fires in every full
 * handshake after the server's certificates arrived and before the client sent more than its ClientHello: a refused peer
 * sees neither a byte of the request nor the client certificate, under TLS 1.2 and 1.3 alike. The event only refuses;
 * acceptance waits for the finished handshake, which proves possession of the key. Node's own verification stays on, and
 * a connection needs both.
 *
 * A resumed session shows no certificate. One is offered only while the verdict that released its connection holds, and
 * the certificates behind it are judged again when the handshake is finished, before the connection is released.
 */
export function createConnector(options: ConnectorOptions): Connector {
  const { certificate, policyOf, runtime, emit, hasListeners, isAwaited, evidence, http2 = 'never' } = options
  const { timeouts, timeoutsOf, protocols: usual = ALPN[http2], later = inLaterTurn } = options
  const routes = createRoutes(options)
  const { proxy, proxyPolicyOf = policyOf } = options
  const tunnels = proxy && createTunnels(proxy, { ...options, proxyPolicyOf }, createConnector)
  const tunnelOf = new WeakMap<tls.TLSSocket, Tunnel>()

  const evaluator = createEvaluator()
  const inputOf = (origin: CanonicalOrigin, { presented, staple }: Sent, policy: HostPolicy, mayWait = false) => {
    const identity = identityOf(origin, policy)
    const now = runtime.clock.now()
    return { presented, staple, identity, policy, evidence: evidence?.source, mayWait, now } satisfies TrustInput
  }
  const evaluate: Connector['evaluate'] = (...about) => evaluator(inputOf(...about))

  const recordOf = (origin: CanonicalOrigin): HandshakeRecord | undefined =>
    hasListeners?.('tls.handshake') === true ? new HandshakeRecord(origin, runtime.clock) : undefined
  const tell = (record: HandshakeRecord | undefined, error?: PinfetchError): void => {
    const event = record?.told(error)
    if (event !== undefined) emit(event)
  }

  const tellLater = (record: HandshakeRecord): void => {
    record.ended()
    later(() => tell(record))
  }

  /** Judges and tells; the verdict's one way into an exception. */
  const judge = (
    origin: CanonicalOrigin,
    sent: Sent,
    policy: HostPolicy,
    record: HandshakeRecord | undefined,
    mayWait = false,
  ): VerifiedPeer => {
    const input = inputOf(origin, sent, policy, mayWait)
    const verdict = record === undefined ? evaluator(input) : record.judged(input, evaluator)
    const { manifestVersion } = policy
    const { interception } = verdict.kind === 'trusted' ? verdict.peer : verdict
    if (interception !== undefined) {
      const outcome = verdict.kind === 'trusted' ? 'accepted' : 'refused'
      const { spki, isVerified: verified } = interception
      emit({ type: 'tls.interception', host: origin.text, spki, verified, outcome, manifestVersion })
    }
    if (verdict.kind === 'rejected') {
      const { findings, chain, refusedPath } = verdict
      const lacksEvidence = findings[0].code === 'ERR_TRUST_REVOCATION_UNDETERMINED'
      if (lacksEvidence && refusedPath !== undefined) evidence?.want(refusedPath, policy.revocation)
      emit({ type: 'tls.rejected', host: origin.text, code: findings[0].code, findings, chain, manifestVersion })
      throw refusal(origin, policy, verdict)
    }
    const [reported] = verdict.peer.reported
    if (reported !== undefined) {
      const chain = describePath(verdict.peer.path)
      const findings = verdict.peer.reported
      emit({ type: 'tls.reported', host: origin.text, code: reported.code, findings, chain, manifestVersion })
    }
    const { fragility, path } = verdict.peer
    if (fragility !== undefined) {
      emit({ type: 'tls.fragile', host: origin.text, message: fragility, chain: describePath(path), manifestVersion })
    }
    return verdict.peer
  }

  const tellLogged = ({ text: host }: CanonicalOrigin, { transparency }: VerifiedPeer): void => {
    if (transparency !== undefined && (transparency.status !== 'compliant' || hasListeners?.('ct.checked') === true))
      emit({ type: 'ct.checked', host, ...tellTransparency(transparency) })
  }

  const judgeElsewhere: Connector['judge'] = (origin, sent, objection) => {
    const record = recordOf(origin)
    try {
      const policy = policyOf(origin)
      record?.begun(policy)
      const peer = judge(origin, sent, policy, record)
      tellLogged(origin, peer)
      const found = objection(peer)
      const refused = found === undefined || found instanceof PinfetchError ? found : nodeRefused(origin, found)
      tell(record, refused)
      return refused
    } catch (error) {
      tell(record, connectFailure(error, origin.text))
      throw error
    }
  }

  const evidenceVersion = (): number => evidence?.source.version ?? 0
  const sessions = createSessions({
    clock: runtime.clock,
    evidenceVersion,
    identity: () => certificate?.(),
    isTrusted: (origin, peer, policy) => evaluate(origin, peer, policy).kind === 'trusted',
  })

  const connect: Connector['connect'] = (origin, done, protocols) => {
    let socket: Socket | undefined
    let giveUpTunnel: ((reason: PinfetchError) => void) | undefined
    let identity: ClientIdentity | undefined
    let peer: VerifiedPeer | undefined
    let judged: X509Certificate | undefined
    let judgedBy: number | undefined // version of the evidence: what arrives during the handshake counts too
    let hasShown = false
    let offered: Session | undefined
    let asked: readonly string[] = []
    let keepSession: ((bytes: Buffer) => void) | undefined // once the connection is released
    let settled = false
    const hasSessions = protocols === undefined || String(protocols) === String(usual) // one list of protocols has all
    const record = recordOf(origin)

    const settle = (result: Connection | PinfetchError): void => {
      if (settled) return
      settled = true
      cancelTimeout()
      judged = undefined // Node's view holds copies of what was sent, as long as the connection lives
      if (result instanceof PinfetchError) {
        giveUpTunnel?.(result)
        socket?.destroy()
        if (offered !== undefined) sessions.forget(origin) // the next attempt shows whether the session was to blame
        tell(record, result)
        done(result)
        return
      }
      // A resumed session shows nothing that is new: where nobody can act on it, it is told while the request is under way.
      const isLate = result.socket.isSessionReused() && isAwaited?.('tls.handshake') === false
      if (isLate && record !== undefined) tellLater(record)
      else tell(record)
      done(asOfNow(result))
    }
    /** Who was told meanwhile may have changed the policy. */
    const asOfNow = (made: Connection): Connection | PinfetchError => {
      let refused: PinfetchError
      try {
        const policy = policyOf(origin)
        if (policy.generation === made.peer.policy.generation) return made
        const again = reevaluate(origin, made, policy)
        if (!(again instanceof PinfetchError)) return { ...made, peer: again }
        refused = again
      } catch (error) {
        refused = connectFailure(error, origin.text)
        cut(origin, made, refused)
      }
      made.socket.destroy()
      return refused
    }
    const fail = (error: unknown): void => {
      if (!settled) settle(connectFailure(error, origin.text))
    }
    const attempt = (step: () => void): void => {
      try {
        step()
      } catch (error) {
        fail(error) // the socket is destroyed in this very tick
      }
    }
    const within = (option: 'connectMs' | 'tlsMs', what: string): (() => void) => {
      const limit = (timeoutsOf?.(origin) ?? timeouts)[option]
      return afterPatience(runtime, limit, () => {
        const message = `${origin.text}: ${what} within ${limit} ms (timeouts.${option})`
        fail(new TransportError('ERR_TRANSPORT_TIMEOUT', message, { host: origin.text }))
      })
    }
    const through = tunnels?.lead(origin) === true ? tunnels : undefined
    const begun = through === undefined ? 'no TCP connection' : `no tunnel through the proxy ${proxy?.text}`
    let cancelTimeout = within('connectMs', begun)

    const onCertificates = (tlsSocket: tls.TLSSocket, staple: Buffer | null): void => {
      const { certificates: presented, endEntity } = readPresented(tlsSocket)
      if (endEntity === undefined) return // a resumed session shows none; onSecure judges what stands behind it
      rememberPresentation(tlsSocket, { host: origin.text, asked: hasAskedForCertificate(tlsSocket), identity })
      judgedBy = evidenceVersion()
      peer = judge(
        origin,
        staple === null ? { presented } : { presented, staple: new Uint8Array(staple) },
        policyOf(origin),
        record,
        true,
      )
      judged = endEntity
    }
    const onSecure = (tlsSocket: tls.TLSSocket): void => {
      hasShown = true // a resumption under TLS 1.2 raises no event: the next handshake’s would be taken for the first
      record?.secured(tlsSocket)
      const { alpnProtocol, authorized } = tlsSocket
      if (!isSpoken(asked, alpnProtocol)) throw wrongProtocol(origin, asked, alpnProtocol)
      const resumed = tlsSocket.isSessionReused()
      if (!resumed && offered !== undefined) sessions.drop(offered)
      const admitted = admit(origin, { authorized, resumed, peer: resumed ? offered?.peer : peer })
      const { revocation } = admitted.policy
      const waits = revocation.fetch === 'blocking' && admitted.revocation.status === 'undetermined'
      if (evidence === undefined || !waits) {
        release(tlsSocket, admitted)
        return
      }
      evidence.gather(admitted.path, revocation).then(() => attempt(() => release(tlsSocket, admitted)), fail)
    }
    const release = (tlsSocket: tls.TLSSocket, admitted: VerifiedPeer): void => {
      const policy = policyOf(origin)
      const known = sessions.now()
      const resumed = tlsSocket.isSessionReused()
      const isFinal =
        !resumed && // what stands behind a session is judged here and now
        policy.revocation.fetch !== 'blocking' &&
        judgedBy === known.evidenceVersion &&
        isCurrent(admitted, policy, known.at.wall)
      const current = isFinal ? admitted : judge(origin, admitted, policy, record)
      const tooOld = refuseVersion(origin, tlsSocket, policy)
      if (tooOld !== undefined) throw tooOld
      if (tlsSocket.destroyed) throw closedEarly(origin) // handed over, undici would reconnect for ever
      noteOwn(tlsSocket)
      emit({
        type: 'revocation.checked',
        host: origin.text,
        ...describeRevocation(current),
        ...(resumed ? { resumed } : {}),
      })
      tellLogged(origin, current)
      if (hasListeners?.('tls.connected') === true) {
        emit({ ...connectedTo(origin, tlsSocket), ...(tunnelOf.has(tlsSocket) ? { proxy: proxy?.text ?? '' } : {}) })
      }
      evidence?.want(current.path, policy.revocation)
      settle({ socket: tlsSocket, peer: current, identity })
      const shownAt = resumed && offered !== undefined ? offered.shownAt : known.at
      const protocol = tlsSocket.getProtocol() ?? ''
      const behind = { origin, peer: current, evidenceVersion: known.evidenceVersion, identity, protocol, shownAt }
      if (!hasSessions || tlsSocket.destroyed || !isOfferable(behind, policy, known)) return
      keepSession = (bytes) => sessions.keep({ ...behind, bytes })
    }

    const onEnd = (tlsSocket: tls.TLSSocket, error?: Error): void => {
      if (settled) return // every connection ends some time, and an error with its stack costs more than a verdict
      const refusal = error === undefined ? undefined : nodeRefusal(tlsSocket, origin, error)
      fail(refusal ?? certificateFailure(tlsSocket, error, 'no') ?? error ?? closedEarly(origin))
    }

    const onConnected = (tlsSocket: tls.TLSSocket): void => {
      cancelTimeout()
      if (!settled) cancelTimeout = within('tlsMs', 'no finished handshake')
      // Not sooner: where the first of several addresses fails, Node asks for sessions on the handle that failed.
      tlsSocket.on('session', (bytes) => keepSession?.(bytes)) // Node holds back what comes before secureConnect
    }

    /** Speaks TLS over `way`: to an address, or inside of a tunnel. */
    const begin = (policy: HostPolicy, way: tls.ConnectionOptions): tls.TLSSocket => {
      identity = certificate?.()
      asked = protocols ?? usual
      if (policy.profile !== undefined) asked = withoutHttp2(origin, asked)
      offered = hasSessions ? sessions.offer(origin, policy) : undefined
      const settings: tls.ConnectionOptions & Pick<tls.TLSSocketOptions, 'requestOCSP'> & SocketOptions = {
        ...way,
        servername: origin.kind === 'dns' ? origin.host : '', // RFC 6066 §3: no address in SNI
        secureContext: contextFor(policy, identity),
        rejectUnauthorized: true, // explicit: NODE_TLS_REJECT_UNAUTHORIZED=0 must not reach it
        requestOCSP: true, // makes the event of the verdict fire, staple or not
        ...(asked.length === 0 ? {} : { ALPNProtocols: [...asked] }),
        checkServerIdentity: () => secondOpinion(origin, peer, judged),
        highWaterMark: 16_384, // one TLS record, RFC 8446 §5.1
        ...(offered === undefined ? {} : { session: offered.bytes }),
      }
      const tlsSocket = tls.connect(settings)
      socket = tlsSocket
      Object.defineProperty(tlsSocket, 'getPeerCertificate', { value: noLegacyView })
      tlsSocket.removeAllListeners('keylog') // --tls-keylog adds one that writes the session's secrets to a file
      tlsSocket.on('OCSPResponse', (staple) => {
        if (!hasShown) attempt(() => onCertificates(tlsSocket, staple))
        else tlsSocket.destroy(secondHandshake(origin)) // whoever uses the socket by then
        hasShown = true
      })
      tlsSocket.once('secureConnect', () => attempt(() => onSecure(tlsSocket)))
      tlsSocket.on('error', (error) => onEnd(tlsSocket, error))
      tlsSocket.once('close', () => onEnd(tlsSocket))
      return tlsSocket
    }

    const goDirectly = (policy: HostPolicy): void => {
      const route = routes.to(origin, policy, record && ((addresses) => record.resolved(addresses)))
      const tlsSocket = begin(policy, route.settings)
      tlsSocket.setNoDelay(true)
      tlsSocket.setKeepAlive(true, TCP_KEEP_ALIVE_MS)
      // Before Node's own listener, which sends the ClientHello.
      tlsSocket.prependOnceListener('connect', () => {
        record?.connected(tlsSocket.remoteAddress)
        attempt(() => route.arrivedAt(tlsSocket.remoteAddress))
      })
      if (record !== undefined) tlsSocket.on('connectionAttempt', (address) => record.tried(address))
      tlsSocket.once('connect', () => onConnected(tlsSocket))
    }

    const goThrough = (tunnels: Tunnels, asked: HostPolicy): void => {
      giveUpTunnel = tunnels.open(origin, asked, (tunnel) =>
        attempt(() => {
          if (tunnel instanceof PinfetchError) throw tunnel
          socket = tunnel.socket
          record?.connected(socket.remoteAddress)
          const policy = policyOf(origin) // another one perhaps by now
          const refusal = tunnels.refusalOf(origin, tunnel, policy)
          if (refusal !== undefined) throw refusal
          const tlsSocket = begin(policy, { socket: tunnel.socket })
          tunnelOf.set(tlsSocket, tunnel)
          onConnected(tlsSocket)
        }),
      )
    }

    attempt(() => {
      const policy = policyOf(origin)
      record?.begun(policy, through && proxy?.text)
      if (through === undefined) goDirectly(policy)
      else goThrough(through, policy)
    })
    return settle
  }

  const told = new WeakSet<tls.TLSSocket>()
  const cut = (
    origin: CanonicalOrigin,
    { socket, peer }: Pick<Connection, 'socket' | 'peer'>,
    reason: PinfetchError,
    policy = peer.policy,
    verdict: TrustVerdict = { kind: 'trusted', peer },
  ): void => {
    if (socket.destroyed || told.has(socket)) return
    told.add(socket)
    const record = recordOf(origin)
    if (record === undefined) return
    record.begun(policy, tunnelOf.has(socket) ? proxy?.text : undefined)
    record.cut(socket, verdict, inputOf(origin, peer, policy))
    tell(record, reason)
  }
  const reevaluate: Connector['reevaluate'] = (origin, connection, policy) => {
    let verdict: TrustVerdict | undefined
    const refuse = (reason: PinfetchError): PinfetchError => {
      cut(origin, connection, reason, policy, verdict)
      return reason
    }
    const { socket, peer } = connection
    const tooOld = refuseVersion(origin, socket, policy)
    if (tooOld !== undefined) return refuse(tooOld)
    const tunnel = tunnelOf.get(socket) // its remoteAddress is the proxy's
    const elsewhere =
      tunnel === undefined
        ? routes.refusalOf(origin, socket.remoteAddress, policy)
        : tunnels?.refusalOf(origin, tunnel, policy)
    if (elsewhere !== undefined) return refuse(elsewhere)
    verdict = evaluate(origin, peer, policy)
    return verdict.kind === 'trusted' ? verdict.peer : refuse(refusal(origin, policy, verdict, 'maybe'))
  }

  const reviewSessions = (): void => {
    sessions.review(policyOf)
    tunnels?.reviewSessions()
  }
  const closeSessions = (): void => {
    sessions.close()
    tunnels?.closeSessions()
  }

  return {
    evaluate,
    connect: (origin, done, protocols) =>
      tracedCall(
        TRACES.connect,
        () => ({ host: origin.text }),
        (ended) => connect(origin, ended, protocols),
        done,
      ),
    judge: judgeElsewhere,
    reevaluate,
    cut: (origin, connection, reason) => cut(origin, connection, reason),
    reviewSessions,
    closeSessions,
  }
}

/** What a server sent that a verdict is about. */
export type Sent = Pick<TrustInput, 'presented' | 'staple'>

/** Passed on to the stream; the typings of `tls.connect` leave it out. */
type SocketOptions = { readonly highWaterMark: number }

/** Whether a verdict still holds: same policy, nothing of it expired. */
function isCurrent(peer: VerifiedPeer, policy: HostPolicy, now: number): boolean {
  return peer.policy.generation === policy.generation && now < peer.validUntil
}

/** The last gate: Node's verdict and ours, on the certificates that were shown, or on those behind the session offered. */
export function admit(
  origin: CanonicalOrigin,
  handshake: { readonly authorized: boolean; readonly resumed: boolean; readonly peer: VerifiedPeer | undefined },
): VerifiedPeer {
  const { authorized, resumed, peer } = handshake
  const details = { host: origin.text }
  if (resumed && peer === undefined) {
    const message = `${origin.text}: a session was resumed that was not offered, so no verdict stands behind it`
    throw new TlsError('ERR_TLS_RESUMED', message, details)
  }
  if (peer === undefined || !authorized) {
    const message = `${origin.text}: the handshake finished without a verdict (Node authorized: ${authorized})`
    throw new TlsError('ERR_TLS_NO_VERDICT', message, details)
  }
  return peer
}

function connectedTo({ text }: CanonicalOrigin, socket: tls.TLSSocket): EventOf<'tls.connected'> {
  const { resumed, ...connection } = describeConnection(socket)
  return { type: 'tls.connected', host: text, ...connection, ...(resumed ? { resumed } : {}) }
}

function identityOf({ kind, host }: CanonicalOrigin, { expectedUri }: HostPolicy): ReferenceIdentity {
  if (expectedUri !== undefined) return { kind: 'spiffe', id: expectedUri }
  return kind === 'dns' ? { kind, name: host } : { kind, address: host }
}

/** The handshake keeps to the policy it began under; the one in force now may have taken TLS 1.2 or its CBC suites back. */
function refuseVersion({ text }: CanonicalOrigin, socket: tls.TLSSocket, policy: HostPolicy): TlsError | undefined {
  const version = socket.getProtocol()
  if (version === 'TLSv1.3') return undefined
  if (version === 'TLSv1.2' && policy.minTlsVersion === '1.2') {
    const { name } = socket.getCipher()
    if (isOffered(name, offerOf(policy))) return undefined
    const message = `${text}: expected a suite with authenticated encryption, the connection speaks ${name}`
    return new TlsError('ERR_TLS_VERSION', message, { host: text })
  }
  const message = `${text}: expected TLS ${policy.minTlsVersion} or later, the connection speaks ${version ?? 'none any longer'}`
  return new TlsError('ERR_TLS_VERSION', message, { host: text })
}

/**
 * Node builds the legacy view of the whole chain before it asks for the name check, whether anybody reads it or not. Nothing here
 * does: it costs more than the verdict, and a certificate whose curve has no NIST name ends the process in it on Node 26.
 */
const noLegacyView = (): object => ({})

/** Node's name check on the certificate that was judged: its own reads a view that is empty by now, and falls back to the CN. */
export function secondOpinion(
  origin: CanonicalOrigin,
  peer: VerifiedPeer | undefined,
  endEntity: X509Certificate | undefined,
): Error | undefined {
  if (peer === undefined || endEntity === undefined) return new Error('no certificate was judged')
  if (peer.policy.expectedUri !== undefined) return undefined // Node knows no SPIFFE IDs; the host name is not the identity
  const matched =
    origin.kind === 'ip'
      ? endEntity.checkIP(origin.host)
      : endEntity.checkHost(origin.host, { subject: 'never', partialWildcards: false })
  return matched === undefined ? new Error(`the certificate does not name ${origin.host}`) : undefined
}

/** Our verdict was yes, OpenSSL's no: both are needed, so its refusal stands. */
function nodeRefusal(socket: tls.TLSSocket, origin: CanonicalOrigin, error: Error): TrustError | undefined {
  const { authorizationError } = socket
  return authorizationError === undefined || authorizationError === null
    ? undefined
    : nodeRefused(origin, error, String(authorizationError))
}

function nodeRefused({ text }: CanonicalOrigin, cause: Error, reason = cause.message): TrustError {
  const message = `${text}: Node's own verification refused the chain (${reason})`
  const findings = [{ code: 'ERR_TRUST_NODE_REFUSED', certificateIndex: null, message }] as const
  return new TrustError('ERR_TRUST_NODE_REFUSED', message, { cause, host: text, findings })
}

function refusal(
  origin: CanonicalOrigin,
  policy: HostPolicy,
  { findings, chain, interception }: Extract<TrustVerdict, { kind: 'rejected' }>,
  requestSent: 'no' | 'maybe' = 'no',
): TrustError {
  const [{ code, message }] = findings
  const { manifestVersion } = policy
  const outcome = requestSent === 'no' ? '0 bytes of the request were sent' : 'the live connection was cut'
  const lines = [`${origin.text}: ${message}; ${outcome}`]
  if (interception !== undefined) lines.push(`  a key of a known interception product was shown: ${interception.spki}`)
  if (chain.length > 0) {
    lines.push('  verified path, end entity first:')
    for (const { position, spki, subject } of chain) lines.push(`    ${spki}  ${position.padEnd(12)}  ${subject}`)
  }
  return new TrustError(code, lines.join('\n'), { host: origin.text, findings, chain, manifestVersion, requestSent })
}

function closedEarly({ text }: CanonicalOrigin): TransportError {
  const message = `${text}: the peer closed the connection before the handshake was complete`
  return new TransportError('ERR_TRANSPORT_CLOSED', message, { host: text })
}

function secondHandshake({ text }: CanonicalOrigin): TlsError {
  const message = `${text}: a second handshake on one connection would put another certificate behind the verdict`
  return new TlsError('ERR_TLS_SECOND_HANDSHAKE', message, { host: text, requestSent: 'maybe' })
}

/** HTTP/2 forbids CBC suites (RFC 9113 §9.2.2), so it is not offered beside them. */
function withoutHttp2({ text }: CanonicalOrigin, protocols: readonly string[]): readonly string[] {
  const others = protocols.filter((protocol) => protocol !== 'h2')
  if (others.length > 0 || protocols.length === 0) return others
  const message = `${text}: a legacy host gets HTTP/1.1 alone, and HTTP/2 is required (option http2)`
  throw new TlsError('ERR_TLS_ALPN', message, { host: text })
}

/** A server may choose among what was offered (RFC 7301 §3.2); one that knows nothing of it speaks no HTTP/2. */
function isSpoken(asked: readonly string[], chosen: string | false | null): boolean {
  return typeof chosen === 'string'
    ? asked.includes(chosen)
    : asked.some((protocol) => protocol !== 'h2') || asked.length === 0
}

function wrongProtocol({ text }: CanonicalOrigin, asked: readonly string[], chosen: string | false | null): TlsError {
  const seen = typeof chosen === 'string' ? JSON.stringify(chosen) : 'nothing'
  const message = `${text}: expected the peer to choose ${asked.join(' or ')} (ALPN), it chose ${seen}; 0 bytes of the request were sent`
  return new TlsError('ERR_TLS_ALPN', message, { host: text })
}

/** RFC 7301 §3.1, the client's favourite first. */
const ALPN: Readonly<Record<Http2, readonly string[]>> = {
  never: ['http/1.1'],
  prefer: ['h2', 'http/1.1'],
  require: ['h2'],
}
const TCP_KEEP_ALIVE_MS = 60_000
