import type { Socket } from 'node:net'
import tls from 'node:tls'
import type { Client as UndiciClient } from 'undici'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { PinfetchError } from '../errors/errors.ts'
import type { AddressPolicy } from './address-policy.ts'
import { type ConnectorOptions, createConnector } from './connector.ts'
import { createTunnels, type ProxyServer, type Tunnels } from './proxy.ts'
import { basic } from './tunnel.ts'
import { Client } from './undici.ts'

/** The way of one request for evidence through the client's proxy. */
export interface EvidenceRoad {
  readonly client: UndiciClient
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** `undefined` for what is fetched directly. The client that is answered ends with the signal. */
export type EvidenceRoads = (url: URL, signal: AbortSignal) => EvidenceRoad | undefined

/**
 * Evidence by way of a proxy. An HTTP proxy is asked for http URLs themselves (RFC 9112 §3.2.2): many make no tunnel to port 80.
 * It then decides on addresses. Where SOCKS leaves that here, only public ones are asked for, but of hosts that may have others.
 */
export function createEvidenceRoads(
  proxy: ProxyServer,
  options: Omit<ConnectorOptions, 'addresses' | 'proxyPolicyOf'> & {
    readonly deny: AddressPolicy['deny']
    readonly allowPrivateHosts: readonly string[]
  },
): EvidenceRoads {
  const { deny, allowPrivateHosts, policyOf, ...rest } = options
  const tunnelsWith = (addresses: AddressPolicy): Tunnels =>
    createTunnels(proxy, { ...rest, addresses, policyOf, proxyPolicyOf: policyOf }, createConnector)
  const anywhere = tunnelsWith({ deny, private: 'allow' })
  const publicOnly = proxy.scheme === 'socks5' ? tunnelsWith({ deny, private: 'refuse' }) : anywhere
  const forwards = proxy.scheme === 'http' || proxy.scheme === 'https'

  return (url, signal) => {
    const origin = originOf(url)
    if (origin === undefined || !anywhere.lead(origin)) return undefined
    const isForwarded = forwards && url.protocol === 'http:'
    const tunnels = allowPrivateHosts.includes(origin.host) ? anywhere : publicOnly
    const connect = async (): Promise<Socket> => {
      signal.throwIfAborted()
      if (isForwarded) return anywhere.dial(signal)
      const socket = await openTunnel(tunnels, origin, signal)
      return url.protocol === 'https:' ? secured(socket, origin, signal) : socket
    }
    const client = new Client(url.origin, {
      connect: (_, callback) =>
        void connect().then(
          (socket) => callback(null, socket),
          (error) => callback(error, null),
        ),
    })
    signal.addEventListener('abort', () => void client.destroy(), { once: true })
    const target = `${url.pathname}${url.search}`
    const credentials = isForwarded ? proxy.credentials?.() : undefined
    return {
      client,
      path: isForwarded ? `${url.origin}${target}` : target,
      headers: credentials === undefined ? {} : { 'proxy-authorization': basic(credentials) },
    }
  }
}

function openTunnel(tunnels: Tunnels, origin: CanonicalOrigin, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const giveUp = tunnels.open(origin, {}, (result) =>
      result instanceof PinfetchError ? reject(result) : resolve(result.socket),
    )
    signal.addEventListener(
      'abort',
      () => {
        giveUp(signal.reason)
        reject(signal.reason)
      },
      { once: true },
    )
  })
}

/** As without a proxy: lists are signed, so any server that Node trusts may serve them. */
function secured(socket: Socket, { kind, host }: CanonicalOrigin, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const settings = { socket, host, servername: kind === 'dns' ? host : '', rejectUnauthorized: true }
    const secure = tls.connect(settings, () => resolve(secure))
    secure.on('error', reject)
    signal.addEventListener('abort', () => void secure.destroy(), { once: true }) // nobody else knows it yet
    if (signal.aborted) secure.destroy()
    secure.once('close', () => reject(new Error('closed before the handshake was complete')))
  })
}

/** The port of http, where the URL names none. */
function originOf(url: URL): CanonicalOrigin | undefined {
  const port = url.port === '' && url.protocol === 'http:' ? '80' : url.port
  return canonicalOrigin(new URL(`https://${url.hostname}:${port}`))
}
