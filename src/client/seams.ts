import type { Agent } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { ConfigurationError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import { PinnedAgent } from '../transport/agent.ts'
import type { DispatcherOptions, PinnedDispatcher } from '../transport/dispatcher.ts'
import { SeamDispatcher, type UndiciDispatcher } from '../transport/seam-dispatcher.ts'
import type { VerifyingTlsOptions } from '../transport/tls-options.ts'

/** Everyone else's client through ours: the same verdict, before that client has written a byte. */
export interface Seams {
  /** For undici's own functions and for whatever takes a dispatcher. The connections are those of `fetch`. */
  readonly dispatcher: UndiciDispatcher
  /** For node:https and the clients that are built on it: axios, got, node-fetch, ws, the handlers of the AWS SDK. */
  readonly agent: Agent
  /**
   * A verified TLS connection for any other protocol, HTTP/2 and gRPC included. Rejects with a PinfetchError, or with the reason of
   * the signal. It ends when the policy changes and refuses its peer, and with the client.
   */
  readonly connect: (target: ConnectTarget, options?: ConnectOptions) => Promise<TLSSocket>
  /**
   * For clients that call `tls.connect` themselves and take its options: databases, brokers, gRPC. The verdict is the same, given when
   * the handshake is finished: under TLS 1.2 a refused peer has seen the client certificate by then. Such a connection is judged when
   * it is made, and not again. Call it anew for each target, after `ready()`.
   *
   * @throws PinfetchError where no policy covers the target.
   */
  readonly tlsOptions: (target: ConnectTarget) => VerifyingTlsOptions
}

/** An https or other URL with a host, or host and port. */
export type ConnectTarget = string | URL | { readonly host: string; readonly port: number }

export interface ConnectOptions {
  /** For ALPN (RFC 7301), the favourite first. A peer that chooses another is refused, and for `h2` alone one that chooses none. Default: none is offered. */
  readonly protocols?: readonly string[]
  readonly signal?: AbortSignal
}

export interface SeamsOptions {
  readonly dispatcher: PinnedDispatcher
  readonly runtime: Runtime
  readonly gate: (origin: CanonicalOrigin, signal: AbortSignal | null) => Promise<void> | undefined
  /** Nobody knows what goes over a connection in other hands: it takes a rule for its origin that allows `CONNECT`, and every path. */
  readonly egress: DispatcherOptions['egress']
}

/** Made when they are asked for: a client that only fetches has none. */
export function createSeams({ dispatcher, runtime, gate, egress }: SeamsOptions): Seams {
  const open = (origin: CanonicalOrigin) => gate(origin, null)
  let seam: UndiciDispatcher | undefined
  let agent: Agent | undefined
  return {
    get dispatcher() {
      seam ??= new SeamDispatcher(dispatcher, open)
      return seam
    },
    get agent() {
      agent ??= new PinnedAgent({ lent: dispatcher.lent, runtime, gate: open, egress })
      return agent
    },
    connect: async (target, { protocols, signal } = {}) => {
      const origin = originOf(target)
      egress?.(origin, 'CONNECT', '*')
      await gate(origin, signal ?? null)
      return dispatcher.lent.lend(origin, { protocols: checked(protocols), signal })
    },
    tlsOptions: (target) => {
      const origin = originOf(target)
      egress?.(origin, 'CONNECT', '*')
      return dispatcher.tlsOptions(origin)
    },
  }
}

/** @throws ConfigurationError */
function originOf(target: ConnectTarget): CanonicalOrigin {
  const isText = typeof target === 'string' || target instanceof URL
  const url = isText ? schemeless(String(target)) : ofParts(target ?? {})
  const origin = url === undefined || url.username !== '' || url.password !== '' ? undefined : canonicalOrigin(url)
  if (origin !== undefined) return origin
  const message = 'connect: expected https://host:port, or { host, port } with a valid host and port'
  throw new ConfigurationError('ERR_CONFIG_URL', message)
}

/** Whatever the scheme, 443 is the port where there is none: the others have defaults that nobody here knows. */
function schemeless(text: string): URL | undefined {
  const authority = /^(?:[a-z][a-z0-9+.-]*:)?\/\/([^/?#]*)/i.exec(text)?.[1] ?? text
  return parsed(`https://${authority}/`)
}

function ofParts({ host, port }: { readonly host?: unknown; readonly port?: unknown }): URL | undefined {
  if (typeof host !== 'string' || typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535)
    return undefined
  return parsed(`https://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}/`)
}

function parsed(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.pathname === '/' && url.search === '' && url.hash === '' ? url : undefined
}

function checked(protocols: readonly string[] = []): readonly string[] {
  if (
    Array.isArray(protocols) &&
    protocols.every((name) => typeof name === 'string' && /^[\x21-\x7e]{1,255}$/.test(name))
  )
    return protocols
  throw new ConfigurationError(
    'ERR_CONFIG_INVALID',
    'connect.protocols: expected names for ALPN, such as h2 or http/1.1',
  )
}
