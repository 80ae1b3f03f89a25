import type { AuthScheme } from '../auth/scheme.ts'
import { createAuthorization } from '../client/authorize.ts'
import { createContainments } from '../client/containment.ts'
import type { Client, ClientHealth } from '../client/create-client.ts'
import { createFetch, type FetchOptions } from '../client/fetch.ts'
import { type OperationOption, OperationsSchema } from '../client/operation-options.ts'
import { createOperations } from '../client/operations.ts'
import { createSigning } from '../client/sign.ts'
import { hostIndex, parseHostPattern } from '../encoding/host-pattern.ts'
import { parseOptions } from '../encoding/options.ts'
import type { OriginPattern } from '../encoding/origin-pattern.ts'
import type { CodeIn } from '../errors/codes.ts'
import { ConfigurationError, TrustError } from '../errors/errors.ts'
import { createEmitter } from '../events/emitter.ts'
import type { ClientEvent } from '../events/events.ts'
import { systemRuntime } from '../ports/system.ts'
import type { RequestSigner } from '../signing/signing.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../transport/limits.ts'

/** Who answers in place of servers, and what is refused. */
export interface FakeClientOptions {
  /** Answers the requests. Default: `globalThis.fetch` as it is at each call, so that msw and other patches of it work. */
  readonly fetch?: typeof globalThis.fetch
  /** Hosts that are covered; others are refused with `ERR_TRUST_HOST_NOT_COVERED`. Default: every host. */
  readonly covers?: readonly string[]
  /** Hosts whose peer is refused, with the code: `{ 'api.example.com': 'ERR_TRUST_PIN_MISMATCH' }`. */
  readonly refuses?: Readonly<Record<string, CodeIn<'TRUST'>>>
  /** As of `createClient`. Token endpoint, discovery and JWKS are asked through the same injected fetch. */
  readonly auth?: AuthScheme | readonly AuthScheme[]
  readonly withoutAuth?: readonly OriginPattern[]
  /** As of `createClient`; of what a fetch adds to a request only what belongs to its body is known, and can be covered. */
  readonly sign?: RequestSigner | readonly RequestSigner[]
  /** As of `createClient`. */
  readonly operations?: OperationOption
  readonly health?: Partial<ClientHealth>
}

/** A Client without sockets. */
export interface FakeClient extends Client {
  /** Delivers an event to the listeners, as the real client would. */
  readonly emit: (event: ClientEvent) => void
}

/**
 * A client for unit tests of the code that uses one: the real fetch contract (https only, redirects refused, typed errors)
 * over an injected fetch. There is no TLS in it and nothing is pinned: whether pins hold is tested on loopback servers,
 * with `startPinnedServer` and the real `createClient`.
 *
 * @example
 * // With msw, which patches `globalThis.fetch`:
 * world.use(http.get('https://api.example.com/orders', () => HttpResponse.json([])))
 * const orders = await listOrders(fakeClient())
 *
 * @example
 * // Without: what the service does when the peer is refused.
 * const client = fakeClient({ refuses: { 'api.example.com': 'ERR_TRUST_PIN_MISMATCH' } })
 * await assert.rejects(listOrders(client), { code: 'ERR_TRUST_PIN_MISMATCH' })
 */
export function fakeClient(options: FakeClientOptions = {}): FakeClient {
  const { covers, refuses = {}, auth = [], withoutAuth = [], sign = [], health = {} } = options
  const { emit, on } = createEmitter()
  const judged =
    options.operations &&
    createOperations(parseOptions('operations', OperationsSchema, options.operations), systemRuntime)
  const covered = covers === undefined ? () => true : indexOf(covers.map((pattern) => [pattern, true]))
  const refused = indexOf(Object.entries(refuses))
  const send: typeof globalThis.fetch = (input, init) => (options.fetch ?? globalThis.fetch)(input, init)
  const gate: FetchOptions['gate'] = ({ host, text }) => {
    if (covered(host) === undefined) {
      throw new TrustError('ERR_TRUST_HOST_NOT_COVERED', `${text}: not covered by the fake client`, { host: text })
    }
    const code = refused(host)
    if (code !== undefined) throw new TrustError(code, `${text}: refused by the fake client`, { host: text })
    return undefined
  }
  const schemes = [auth].flat()
  const host = { fetch: createFetch({ send, gate }), runtime: systemRuntime, emit }
  const authorization = schemes.length === 0 ? undefined : createAuthorization({ schemes, withoutAuth, host })
  const ended = new AbortController()
  const signers = [sign].flat()
  const surroundings = { runtime: systemRuntime, emit, timeouts: DEFAULT_TIMEOUTS, limits: DEFAULT_LIMITS }
  const signing = signers.length === 0 ? undefined : createSigning({ ...surroundings, signers, defaults: () => [] })
  const signed = signing?.signed(send) ?? send
  const close = async (): Promise<void> => {
    await authorization?.close(ended.signal)
    signing?.close()
  }
  const destroy = async (): Promise<void> => {
    ended.abort()
    await close()
  }
  const containments = createContainments({
    runtime: systemRuntime,
    emit,
    changed: () => undefined,
    revoke: async (matches, signal) => authorization?.revoke(matches, signal),
    isTokenServer: () => false,
  })
  const open: FetchOptions['gate'] = (origin, signal) => {
    const refusal = containments.refusalOf(origin)
    return refusal === undefined ? gate(origin, signal) : Promise.reject(refusal)
  }
  const { watched } = containments
  const fetch = createFetch({ send: authorization?.authorized(signed) ?? signed, gate: open, watched })
  return {
    get dispatcher() {
      return noConnections()
    },
    get agent() {
      return noConnections()
    },
    connect: async () => noConnections(),
    tlsOptions: noConnections,
    fetch: judged === undefined ? fetch : judged(fetch),
    ready: async () => undefined,
    health: () => ({
      state: 'ready',
      revocation: { handshakes: 0, good: 0 },
      expiries: [],
      pins: [],
      connections: [],
      ...health,
    }),
    manifest: { refresh: async () => undefined, version: 1, pins: () => [] },
    on,
    contain: containments.contain,
    emit,
    close,
    destroy,
    [Symbol.asyncDispose]: close,
  }
}

/** What tests of TLS need is a server: `startTlsServer`. */
function noConnections(): never {
  throw new ConfigurationError('ERR_CONFIG_INVALID', 'fakeClient: it makes no connections, so it can lend none')
}

function indexOf<Rule>(entries: readonly (readonly [string, Rule])[]) {
  return hostIndex(
    entries.map(([text, rule]) => {
      const pattern = parseHostPattern(text)
      if (pattern === undefined) throw new TypeError(`fakeClient: ${JSON.stringify(text)} is no host pattern`)
      return [pattern, rule] as const
    }),
  )
}
