import type { TLSSocket } from 'node:tls'
import type { Dispatcher as UndiciDispatcher, Pool as UndiciPool } from 'undici'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import type { ErrorCode } from '../errors/codes.ts'
import { PinfetchError, PolicyError, TransportError } from '../errors/errors.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { VerifiedPeer } from '../trust/verdict.ts'
import { type Connection, type ConnectorOptions, createConnector } from './connector.ts'
import type { Limits, Timeouts } from './limits.ts'
import { createSeenPeers, type SeenPeers } from './seen-peers.ts'
import { Dispatcher, Pool } from './undici.ts'

export interface DispatcherOptions extends ConnectorOptions {
  readonly timeouts: Timeouts
  readonly limits: Limits
}

/** The live connections of one origin, all judged under `policy`. */
interface OriginPool {
  readonly origin: CanonicalOrigin
  readonly pool: UndiciPool
  readonly peers: Map<TLSSocket, VerifiedPeer>
  policy: HostPolicy
  /** The earliest `validUntil` among the peers: from then on they are judged again before the next request. */
  validUntil: number
}

/**
 * An undici dispatcher with one pool per origin. A request reaches a connection only while the policy its peer was judged
 * under is the policy in force; when the policy changes, live peers are judged again from what they presented, and an
 * origin with a refused one gets a new pool.
 *
 * Refuses before any packet: other schemes than https, a Host header that names another host, origins without policy.
 */
export class PinnedDispatcher extends Dispatcher {
  readonly #options: DispatcherOptions
  readonly #connector: ReturnType<typeof createConnector>
  /** What a policy to come can be tried on. */
  readonly seen: SeenPeers
  readonly #origins = new Map<string, CanonicalOrigin>()
  readonly #pools = new Map<string, OriginPool>()
  /** Drained, and still with a request in flight: a key denied meanwhile is cut here too. */
  readonly #retiring = new Set<OriginPool>()
  #closed = false

  constructor(options: DispatcherOptions) {
    super()
    this.#options = options
    this.#connector = createConnector(options)
    this.seen = createSeenPeers(this.#connector.evaluate)
  }

  override dispatch(options: UndiciDispatcher.DispatchOptions, handler: UndiciDispatcher.DispatchHandler): boolean {
    const origin = this.#originOf(options.origin)
    if (this.#closed) {
      const message = `${origin.text}: the client was closed`
      throw new TransportError('ERR_TRANSPORT_CLIENT_CLOSED', message, { host: origin.text })
    }
    const headers = checkedHeaders(options.headers, origin)
    const { pool } = this.#poolOf(origin)
    // An explicit servername, so that no header steers which connection undici takes.
    const servername = origin.kind === 'dns' ? origin.host : null
    return pool.dispatch({ ...options, headers, servername } as UndiciDispatcher.DispatchOptions, handler)
  }

  /** Call when the policies changed: every live connection is judged again, in this tick. */
  policyChanged(): void {
    for (const entry of [...this.#pools.values(), ...this.#retiring]) {
      try {
        const policy = this.#options.policyOf(entry.origin)
        if (isFit(entry, policy, this.#options.runtime.clock.now())) continue
        this.#judgeAgain(entry, policy)
      } catch (error) {
        if (!(error instanceof PinfetchError)) throw error
        this.#retire(entry, error) // no policy covers the origin any longer
      }
    }
  }

  /** Call when fetched evidence changed: live connections whose certificate turns out to be revoked end in this tick. */
  evidenceChanged(): void {
    for (const entry of [...this.#pools.values(), ...this.#retiring]) this.#judgeAgain(entry, entry.policy)
  }

  /** Origins with a pool, connected or not. */
  get origins(): number {
    return this.#pools.size
  }

  override close(): Promise<void>
  override close(callback: () => void): void
  override close(callback?: () => void): Promise<void> | undefined {
    return settle(
      this.#end((pool) => pool.close()),
      callback,
    )
  }

  override destroy(error?: Error | null): Promise<void>
  override destroy(callback: () => void): void
  override destroy(error: Error | null, callback: () => void): void
  override destroy(first?: Error | null | (() => void), second?: () => void): Promise<void> | undefined {
    const error = first instanceof Error ? first : null
    return settle(
      this.#end((pool) => pool.destroy(error)),
      typeof first === 'function' ? first : second,
    )
  }

  async #end(end: (pool: UndiciPool) => Promise<void>): Promise<void> {
    this.#closed = true
    const entries = [...this.#pools.values(), ...this.#retiring]
    this.#pools.clear()
    await Promise.all(entries.map(({ pool }) => (pool.destroyed ? undefined : end(pool))))
  }

  #originOf(origin: string | URL | undefined): CanonicalOrigin {
    const text = String(origin ?? '')
    const known = this.#origins.get(text)
    if (known !== undefined) return known
    const url = URL.canParse(text) ? new URL(text) : undefined
    const canonical = url?.protocol === 'https:' ? canonicalOrigin(url) : undefined
    if (canonical === undefined) {
      const message = `${url?.origin ?? 'request'}: only https URLs are requested`
      throw new PolicyError('ERR_POLICY_PLAINTEXT', message)
    }
    if (this.#origins.size >= MAX_SPELLINGS) this.#origins.clear()
    this.#origins.set(text, canonical)
    return canonical
  }

  #poolOf(origin: CanonicalOrigin): OriginPool {
    const policy = this.#options.policyOf(origin)
    const known = this.#pools.get(origin.text)
    if (known !== undefined) {
      if (isFit(known, policy, this.#options.runtime.clock.now())) return known
      if (this.#judgeAgain(known, policy)) return known
    }
    const entry = this.#createPool(origin, policy)
    if (this.#pools.size >= MAX_IDLE_POOLS) this.#closeIdlePools()
    this.#pools.set(origin.text, entry)
    return entry
  }

  /** Under a wildcard, callers choose the hosts; what they no longer talk to must not add up. */
  #closeIdlePools(): void {
    for (const [key, { pool, peers }] of this.#pools) {
      if (peers.size > 0) continue
      this.#pools.delete(key)
      pool.close().catch(() => undefined) // a connection under way finishes its request first
    }
  }

  #createPool(origin: CanonicalOrigin, policy: HostPolicy): OriginPool {
    const { timeouts } = this.#options
    const pool = new Pool(`https://${origin.text}`, {
      connect: (_, callback) => {
        this.#connector.connect(origin, (result) => {
          if (result instanceof PinfetchError) return callback(result, null)
          this.#admit(entry, result)
          callback(null, result.socket)
        })
      },
      allowH2: false,
      headersTimeout: timeouts.headersMs,
      bodyTimeout: timeouts.bodyMs,
    })
    const entry: OriginPool = { origin, pool, peers: new Map(), policy, validUntil: Number.POSITIVE_INFINITY }
    return entry
  }

  #admit(entry: OriginPool, { socket, peer }: Connection): void {
    entry.peers.set(socket, peer)
    this.seen.remember(entry.origin, peer)
    entry.validUntil = Math.min(entry.validUntil, peer.validUntil)
    socket.once('close', () => entry.peers.delete(socket))
  }

  /** Judges every live peer of an origin under `policy`. False when one was refused and the pool is being drained. */
  #judgeAgain(entry: OriginPool, policy: HostPolicy): boolean {
    let refusal: PinfetchError | undefined
    for (const [socket, peer] of entry.peers) {
      const result = this.#connector.reevaluate(entry.origin, { socket, peer }, policy)
      if (!(result instanceof PinfetchError)) {
        entry.peers.set(socket, result)
        continue
      }
      refusal ??= result
      // A key that was reported as leaked may be in hostile hands at the other end: nothing in flight is finished.
      if (COMPROMISED.has(result.code)) socket.destroy(result)
    }
    if (refusal !== undefined) {
      this.#retire(entry, refusal)
      return false
    }
    entry.policy = policy
    entry.validUntil = Math.min(...[...entry.peers.values()].map(({ validUntil }) => validUntil))
    return true
  }

  /** Idle connections close now, requests in flight finish within the grace; nothing new is sent on any of them. */
  #retire(entry: OriginPool, { code }: PinfetchError): void {
    if (this.#retiring.has(entry)) return
    const { origin, pool, peers } = entry
    this.#pools.delete(origin.text)
    this.#retiring.add(entry)
    if (peers.size > 0) this.#options.emit({ type: 'tls.retired', host: origin.text, connections: peers.size, code })
    const cancel = this.#options.runtime.schedule(GRACE_MS, () => void pool.destroy())
    const forget = (): void => {
      cancel()
      this.#retiring.delete(entry)
    }
    pool.close().then(forget, forget)
  }
}

/** A dispatcher that refuses everything and remembers whether it was asked. */
export function createProbe(): { readonly dispatcher: object; readonly wasAsked: () => boolean } {
  let asked = false
  const dispatcher = new (class extends Dispatcher {
    override dispatch(): boolean {
      asked = true
      throw new TypeError('only a probe')
    }
  })()
  return { dispatcher, wasAsked: () => asked }
}

function isFit({ policy: known, validUntil }: OriginPool, policy: HostPolicy, now: number): boolean {
  return (known === policy || known.generation === policy.generation) && now < validUntil
}

type Headers = UndiciDispatcher.DispatchOptions['headers']

/**
 * One pass over the headers. RFC 9110 §7.2: the Host field names the authority of the URL; another one would ask this peer
 * for another's data. And Node 20 and 22's own fetch joins a caller's Content-Length with its own, `5, 5`, which undici 7
 * refuses and §8.6 allows to fold.
 */
function checkedHeaders(headers: Headers, origin: CanonicalOrigin): Headers {
  let length: string | undefined
  eachHeader(headers, (name, value) => {
    if (name.length === 4 && name.toLowerCase() === 'host') requireOwnHost(String(value), origin)
    if (isContentLength(name) && String(value).includes(',')) length = foldedLength(String(value))
  })
  if (length === undefined) return headers
  const folded: unknown[] = []
  eachHeader(headers, (name, value) => folded.push(name, isContentLength(name) ? length : value))
  return folded as string[]
}

const isContentLength = (name: string): boolean => name.length === 14 && name.toLowerCase() === 'content-length'

/** The one value that a list repeats; `undefined` for a list that disagrees with itself, which undici then refuses. */
function foldedLength(list: string): string | undefined {
  const [length, ...others] = new Set(list.split(',').map((part) => part.trim()))
  return others.length === 0 ? length : undefined
}

function requireOwnHost(host: string, origin: CanonicalOrigin): void {
  const url = `https://${host}/`
  if (!/[\s/?#@\\]/.test(host) && URL.canParse(url) && canonicalOrigin(new URL(url))?.text === origin.text) return
  const message = `${origin.text}: the Host header names ${JSON.stringify(host)}, not the host of the URL`
  throw new PolicyError('ERR_POLICY_HOST_HEADER', message, { host: origin.text })
}

/** undici takes headers as a flat list, as pairs, or as an object. */
function eachHeader(headers: Headers, visit: (name: string, value: unknown) => void): void {
  if (headers === null || headers === undefined) return
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    for (let i = 0; i + 1 < headers.length; i += 2) visit(String(headers[i]), headers[i + 1])
  } else if (Symbol.iterator in headers) {
    for (const [name, value] of headers as Iterable<readonly [string, unknown]>) visit(String(name), value)
  } else {
    for (const name in headers) visit(name, headers[name])
  }
}

function settle(ended: Promise<void>, callback: (() => void) | undefined): Promise<void> | undefined {
  if (callback === undefined) return ended
  void ended.then(callback)
  return undefined
}

const COMPROMISED: ReadonlySet<ErrorCode> = new Set([
  'ERR_TRUST_PIN_DENIED',
  'ERR_TRUST_CERT_REVOKED',
  'ERR_TRUST_CA_DISTRUSTED',
])
const MAX_IDLE_POOLS = 1_000 // a pool without a connection holds some 20 kB
const GRACE_MS = 30_000 // undici's own default for a slow body is far longer; a rotated key should be gone within a minute
const MAX_SPELLINGS = 1_000 // origins are few; the cap stops a caller who feeds random hosts
