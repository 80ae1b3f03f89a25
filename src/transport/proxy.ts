import { connect as connectTcp, type Socket } from 'node:net'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { PinfetchError, PolicyError, TransportError } from '../errors/errors.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { Connector, ConnectorOptions } from './connector.ts'
import { connectFailure } from './failure.ts'
import { isRefusalOfTarget, type ProxyCredentials, ProxyRefusal } from './proxy-dialogue.ts'
import { type AddressRule, createRoutes, isPlainPolicy, type Route } from './route.ts'
import { openSocksTunnel } from './socks.ts'
import { openHttpTunnel } from './tunnel.ts'

/** The proxy that connections go through, as the options name it. */
export interface ProxyServer {
  /** `socks5` is asked for addresses, `socks5h` for names. */
  readonly scheme: 'http' | 'https' | 'socks5' | 'socks5h'
  readonly origin: CanonicalOrigin
  /** For messages: scheme, host and port. */
  readonly text: string
  /** Secret, and behind a function, so that nothing which prints this prints it. */
  readonly credentials?: (() => ProxyCredentials) | undefined
  /** Origins that are connected to directly. */
  readonly bypasses: (origin: CanonicalOrigin) => boolean
}

/** TCP to a server by way of a proxy: nothing was said on it to the server. */
export interface Tunnel {
  readonly socket: Socket
  /** The address that the proxy was asked for, permitted; `undefined` where it was asked for a name. */
  readonly address: string | undefined
}

export interface Tunnels {
  /** Whether connections to an origin go through the proxy. */
  readonly lead: (origin: CanonicalOrigin) => boolean
  /** Calls back once. Answers the function that gives up, which calls back no more. */
  readonly open: (
    origin: CanonicalOrigin,
    policy: AddressRule,
    done: (result: Tunnel | PinfetchError) => void,
  ) => (reason: PinfetchError) => void
  /** A connection to the proxy itself: for requests that it is to make in the clear, such as for revocation lists. */
  readonly dial: (signal: AbortSignal) => Promise<Socket>
  /** Why a live tunnel may not go on under another policy. */
  readonly refusalOf: (origin: CanonicalOrigin, tunnel: Tunnel, policy: AddressRule) => PolicyError | undefined
  readonly reviewSessions: () => void
  readonly closeSessions: () => void
}

export interface TunnelOptions extends ConnectorOptions {
  /** The policy for the proxy's own certificate. */
  readonly proxyPolicyOf: (origin: CanonicalOrigin) => HostPolicy
}

/**
 * Connections to servers through a proxy. Whoever runs it is one more attacker in between: it gets to know hosts and ports, and
 * TLS to the server is spoken and judged inside of the tunnel as without it. A proxy that is itself reached by TLS is judged by
 * its own policy before it learns as much, and is shown no client certificate.
 *
 * Where addresses are judged, the server's name is resolved here and the proxy asked for a permitted address. Otherwise it is
 * asked for the name: behind many a proxy nobody else can resolve one.
 *
 * The proxy's own address is the operator's choice and not a caller's, so `addresses.allow` and `addresses.private` do not speak
 * of it; denied and special ones are refused all the same.
 */
export function createTunnels(
  proxy: ProxyServer,
  options: TunnelOptions,
  createConnector: (options: ConnectorOptions) => Connector,
): Tunnels {
  const targets = createRoutes(options)
  const { proxy: _, certificate: _shown, unixSocketOf, addresses, proxyPolicyOf, ...network } = options
  const own: ConnectorOptions = {
    ...network,
    http2: 'never',
    addresses: { deny: addresses?.deny ?? [], private: 'allow' },
    policyOf: proxyPolicyOf,
  }
  const routes = createRoutes(own)
  const tls = proxy.scheme === 'https' ? createConnector(own) : undefined
  const handshake = proxy.scheme.startsWith('socks') ? openSocksTunnel : openHttpTunnel

  const judges = (policy: AddressRule): boolean => proxy.scheme === 'socks5' || !isPlainPolicy(options, policy)

  /** Addresses or, where none is judged, the name. */
  const targetsOf = async (origin: CanonicalOrigin, policy: AddressRule): Promise<readonly string[]> => {
    if (origin.kind === 'dns' && !judges(policy)) return [origin.host]
    if (origin.kind === 'dns' && proxy.scheme === 'socks5h') throw unjudged(origin, proxy)
    try {
      return await targets.permitted(origin, policy)
    } catch (error) {
      throw connectFailure(error, origin.text)
    }
  }

  const dial = async (signal: AbortSignal): Promise<Socket> => {
    signal.throwIfAborted() // while the server's name was looked up, perhaps
    return tls === undefined ? overTcp(routes.to(proxy.origin, NO_RULE), signal) : overTls(tls, proxy.origin, signal)
  }

  const openTo = async (origin: CanonicalOrigin, host: string, signal: AbortSignal): Promise<Socket> => {
    try {
      const socket = await dial(signal)
      await whileUnaborted(socket, signal, () =>
        handshake({ socket, host, port: origin.port, credentials: proxy.credentials?.() }),
      )
      return socket
    } catch (error) {
      throw asFailure(error, origin, proxy)
    }
  }

  const openAny = async (origin: CanonicalOrigin, policy: AddressRule, signal: AbortSignal): Promise<Tunnel> => {
    let failure: unknown
    const hosts = await targetsOf(origin, policy)
    const areAddresses = origin.kind === 'ip' || judges(policy)
    for (const host of hosts.slice(0, MAX_TARGETS)) {
      try {
        return { socket: await openTo(origin, host, signal), address: areAddresses ? host : undefined }
      } catch (error) {
        if (!isRefusalOfTarget(error)) throw error
        failure ??= error // the proxy may reach another of the addresses
      }
    }
    throw failure
  }

  return {
    lead: (origin) => unixSocketOf?.(origin) === undefined && !proxy.bypasses(origin),
    open: (origin, policy, done) => {
      const attempt = new AbortController()
      const { signal } = attempt
      const finish = (result: Tunnel | PinfetchError): void => {
        if (!signal.aborted) done(result)
        else if (!(result instanceof PinfetchError)) result.socket.destroy()
      }
      openAny(origin, policy, signal).then(finish, (error: unknown) => finish(asFailure(error, origin, proxy)))
      return (reason) => attempt.abort(reason)
    },
    dial,
    refusalOf: (origin, { address }, policy) => {
      if (address !== undefined) return targets.refusalOf(origin, address, policy)
      return isPlainPolicy(options, policy) ? undefined : unjudged(origin, proxy)
    },
    reviewSessions: () => tls?.reviewSessions(),
    closeSessions: () => tls?.closeSessions(),
  }
}

function overTcp(route: Route, signal: AbortSignal): Promise<Socket> {
  const socket = connectTcp({ ...route.settings, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS })
  return whileUnaborted(
    socket,
    signal,
    () =>
      new Promise((resolve, reject) => {
        socket.on('error', reject) // for good: who takes over hears of the end by `close`
        socket.once('connect', () => {
          try {
            route.arrivedAt(socket.remoteAddress)
            resolve(socket)
          } catch (error) {
            reject(error)
          }
        })
      }),
  )
}

function overTls(connector: Connector, origin: CanonicalOrigin, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let stop: (reason: PinfetchError) => void = () => undefined
    const abort = (): void => stop(asFailure(signal.reason, origin))
    signal.addEventListener('abort', abort, { once: true })
    stop = connector.connect(origin, (result) => {
      signal.removeEventListener('abort', abort)
      if (result instanceof PinfetchError) reject(result)
      else resolve(result.socket)
    })
  })
}

/** Whoever gives up, or fails, leaves no socket behind. */
async function whileUnaborted<T>(socket: Socket, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const abort = (): void => void socket.destroy(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    return await work()
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** The proxy's own certificate or address may be what was refused; that error names the proxy by itself. */
function asFailure(error: unknown, origin: CanonicalOrigin, proxy?: ProxyServer): PinfetchError {
  const isOfNetwork = error instanceof TransportError && UNREACHABLE.has(error.code)
  if (error instanceof PinfetchError && !isOfNetwork) return error
  const details = { host: origin.text, cause: error }
  const subject = `${origin.text}: the proxy ${proxy?.text ?? ''}`
  if (error instanceof ProxyRefusal) return new TransportError(error.code, `${subject} ${error.message}`, details)
  const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown cause'
  return new TransportError('ERR_TRANSPORT_PROXY_CONNECT', `${subject} cannot be reached (${reason})`, details)
}

function unjudged({ text }: CanonicalOrigin, proxy: ProxyServer): PolicyError {
  const message = `${text}: the proxy ${proxy.text} finds the address by itself, where it cannot be judged, so nothing was sent`
  return new PolicyError('ERR_POLICY_ADDRESS_DENIED', message, { host: text })
}

const NO_RULE: AddressRule = {}
const KEEP_ALIVE_MS = 60_000
const MAX_TARGETS = 4 // addresses of one name that a proxy is asked for, one after the other
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ERR_TRANSPORT_CONNECT',
  'ERR_TRANSPORT_RESOLVE',
  'ERR_TRANSPORT_CLOSED',
])
