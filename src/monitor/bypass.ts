import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ClientRequest } from 'node:http'
import { isIPv6 } from 'node:net'
import { BoundedMap } from '../encoding/bounded-map.ts'
import { PinfetchError } from '../errors/errors.ts'
import { isOwn } from '../transport/own.ts'

/** Something in this process that talks to a pinned host by itself. */
export interface Bypass {
  /** With its port where that is not 443. */
  readonly host: string
  /** `undici`: the runtime's own fetch, too. `node:http`: node:https as well. */
  readonly via: 'undici' | 'node:http'
}

/** What is asked of a client. */
export interface KnowsPinnedHosts {
  readonly manifest: { readonly pins: (host: string) => readonly string[] }
}

/**
 * Tells who goes around the client: a request to a host that it has pins for, or that is contained, by the runtime's own fetch,
 * another undici, or node:http and node:https with another agent. Such a request has no verdict, and a package that brings its own
 * client makes one in silence. It is told and not stopped, once for each host and way.
 *
 * Not seen are `tls.connect` and node:http2, of which Node tells nobody. Two are told that should not be: an agent of node:https that
 * was made of `tlsOptions`, and lists of revoked certificates, which the client fetches without pins, where a pattern of the pins
 * covers their host.
 */
export function watchBypasses(
  client: KnowsPinnedHosts,
  tell: (bypass: Bypass) => void,
): { readonly close: () => void } {
  const told = new BoundedMap<string, true>(MAX_TOLD)
  const look = (via: Bypass['via'], target: Target): void => {
    const host = textOf(target)
    if (told.get(`${via} ${host}`) === true || !isPinned(client, host)) return
    told.set(`${via} ${host}`, true)
    tell({ host, via })
  }
  const onConnect = (message: unknown): void => {
    const { connectParams, socket, error } = message as UndiciConnected
    if (!isOwn(socket) && !(error instanceof PinfetchError)) look('undici', connectParams)
  }
  const onRequest = (message: unknown): void => {
    const { request } = message as { readonly request: ClientRequest & { readonly agent?: unknown } }
    if (!isOwn(request.agent)) look('node:http', targetOf(request))
  }
  for (const name of CONNECTIONS) subscribe(name, onConnect)
  subscribe(REQUESTS, onRequest)
  return {
    close: () => {
      for (const name of CONNECTIONS) unsubscribe(name, onConnect)
      unsubscribe(REQUESTS, onRequest)
    },
  }
}

function isPinned({ manifest }: KnowsPinnedHosts, host: string): boolean {
  try {
    return manifest.pins(host).length > 0
  } catch (error) {
    return error instanceof PinfetchError && !UNKNOWN.has(error.code) // contained, or its pins have expired
  }
}

interface Target {
  readonly protocol: string
  /** An IPv6 address without brackets. */
  readonly hostname: string
  /** Empty for that of the protocol. */
  readonly port: string | number
}

interface UndiciConnected {
  readonly connectParams: Target
  /** Absent where the connection failed. */
  readonly socket?: object
  readonly error?: unknown
}

/** The port stands in the Host field alone, which may be the caller's own: it counts where it names the host. */
function targetOf(request: ClientRequest): Target {
  const { protocol, host: hostname } = request
  const field = String(request.getHeader('host') ?? '')
  const url = URL.canParse(`${protocol}//${field}`) ? new URL(`${protocol}//${field}`) : undefined
  const isOwn = url !== undefined && url.hostname.replace(/^\[|\]$/g, '') === hostname.toLowerCase()
  return { protocol, hostname, port: isOwn ? url.port : '' }
}

function textOf({ protocol, hostname, port }: Target): string {
  const bracketed = isIPv6(hostname) ? `[${hostname}]` : hostname
  const number = Number(port === '' ? (protocol === 'http:' ? 80 : 443) : port)
  return number === 443 ? bracketed : `${bracketed}:${number}`
}

/** Nobody knows the host, so nobody is gone around. */
const UNKNOWN: ReadonlySet<string> = new Set([
  'ERR_TRUST_HOST_NOT_COVERED',
  'ERR_TRUST_NO_TRUSTED_MANIFEST',
  'ERR_CONFIG_INVALID',
])
const CONNECTIONS = ['undici:client:connected', 'undici:client:connectError'] as const
const REQUESTS = 'http.client.request.start'
const MAX_TOLD = 1_000
