import type { ClientRequest } from 'node:http'
import { Agent } from 'node:https'
import { isIPv6, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { checkServerIdentity, type TLSSocket } from 'node:tls'
import { BoundedMap } from '../encoding/bounded-map.ts'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { ConfigurationError, type PinfetchError } from '../errors/errors.ts'
import type { Cancel, Runtime } from '../ports/runtime.ts'
import { GRACE_MS } from './lane.ts'
import type { LentSockets } from './lent-sockets.ts'
import { noteOwn } from './own.ts'
import { lookAtHead } from './request-head.ts'
import { requireOriginForm, requireOwnHost } from './request-headers.ts'

export interface AgentOptions {
  readonly lent: LentSockets
  readonly runtime: Runtime
  /** Settles when the policy for the origin can be known; `undefined` when it is known. */
  readonly gate: (origin: CanonicalOrigin) => Promise<void> | undefined
  /** Throws a PolicyError for a request that may not leave. */
  readonly egress: ((origin: CanonicalOrigin, method: string, path: string) => void) | undefined
}

/**
 * An agent of node:https whose every connection carries a verdict. `node:https` writes a request once it has a connection, and it has
 * one when the peer was judged; one that is kept alive is looked at again before it gets another request.
 *
 * What a request says of TLS is refused: trust is decided in one place, and an option that is silently left aside looks like one that
 * works.
 */
export class PinnedAgent extends Agent {
  readonly #options: AgentOptions
  /** A request gets its connection a moment before the first byte is written, and the policy may change in that moment. */
  readonly #onSocket: (this: ClientRequest, socket: TLSSocket) => void

  constructor(options: AgentOptions) {
    super({ keepAlive: true, maxCachedSessions: 0, scheduling: 'lifo' })
    this.#options = options
    noteOwn(this)
    // Before Node's own listener, which gives it to a request that waits for one, without asking `keepSocketAlive`.
    this.prependListener('free', (socket: TLSSocket) => {
      if (this.#isAwaited() ? !this.#isFit(socket) : options.lent.knownRefusal(socket) !== undefined) socket.destroy()
    })
    this.#onSocket = function (socket) {
      const refusal = options.lent.knownRefusal(socket)
      if (refusal !== undefined) this.destroy(refusal)
    }
  }

  /** Node calls it for each request, before that has a connection. */
  addRequest(request: ClientRequest, given: RequestOptions): void {
    const options: RequestOptions = { ...given, ...this.options } // as Node does
    try {
      const origin = originOf(options)
      refuseForeign(origin, options)
      options.servername = origin.kind === 'dns' ? origin.host : ''
      options[ORIGIN] = origin
      this.#requireAllowed(origin, request.method, request.path)
      lookAtHead(request, ({ method, target, host }) => {
        this.#requireAllowed(origin, method, target)
        requireOwnHost(host, origin)
      })
      request.prependListener('socket', this.#onSocket as (socket: Socket) => void)
      this.#dropOutdated(options)
    } catch (error) {
      process.nextTick(() => (request as unknown as Waiting).onSocket(null, error as Error))
      return
    }
    own.addRequest.call(this, request, options)
  }

  /** By what Node tells connections apart: of what it looks at, the origin alone is not refused or left aside here. */
  override getName(options: RequestOptions = {}): string {
    return options[ORIGIN]?.text ?? own.getName.call(this, options)
  }

  /** Node leaves a request that waited and gets no connection at the head of its line, where the others wait for ever. */
  createSocket(request: ClientRequest, options: RequestOptions, done: Connected): void {
    own.createSocket.call(this, request, options, (error, socket) => {
      const hasWaited = error && this.#leaveLine(request)
      done(error, socket)
      if (hasWaited) own.removeSocket.call(this, NONE, options) // makes one for the next
    })
  }

  override createConnection(options: RequestOptions, done: Connected): undefined {
    const { gate, lent } = this.#options
    const lend = async (): Promise<TLSSocket> => {
      const origin = originOf(options)
      await gate(origin)
      return lent.lend(origin, { protocols: ['http/1.1'], onRefused: (socket, reason) => this.#retire(socket, reason) })
    }
    lend().then((socket) => done(null, socket), done)
    return undefined
  }

  /** Whether a connection whose response is complete may wait for another request. */
  override keepSocketAlive(socket: Duplex): boolean {
    const isKept = !socket.destroyed && own.keepSocketAlive.call(this, socket) !== false
    if (isKept) socket.on('data', endUnsolicited) // Node 20 reads on, and drops what comes
    return isKept
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    socket.off('data', endUnsolicited)
    own.reuseSocket.call(this, socket, request)
  }

  #requireAllowed(origin: CanonicalOrigin, method: string, target: string): void {
    requireOriginForm(target, origin)
    this.#options.egress?.(origin, method, target)
  }

  #leaveLine(request: ClientRequest): boolean {
    const lines = this.requests as unknown as Record<string, ClientRequest[]> // the lists themselves
    for (const [name, line] of Object.entries(lines)) {
      if (!line.includes(request)) continue
      line.splice(line.indexOf(request), 1)
      if (line.length === 0) delete lines[name]
      return true
    }
    return false
  }

  /** Whether a request waits for a connection. */
  #isAwaited(): boolean {
    for (const _ in this.requests) return true
    return false
  }

  /** What came over it while nobody asked for anything would pass for the answer to what comes next. */
  #isFit(socket: TLSSocket): boolean {
    return socket.readableLength === 0 && this.#options.lent.isCurrent(socket)
  }

  /** Node takes the last of those that wait for a request: it has to be one that may have it. */
  #dropOutdated(options: RequestOptions): void {
    const waiting = (this.freeSockets[this.getName(options)] ?? []) as Socket[] // the list itself
    for (let last = waiting.at(-1); last !== undefined; last = waiting.at(-1)) {
      if (this.#isFit(last as TLSSocket)) return
      waiting.pop()
      last.destroy()
    }
  }

  /** One that waits ends now; one that carries a request may finish that. */
  #retire(socket: TLSSocket, reason: PinfetchError): void {
    if (Object.values(this.freeSockets).some((free) => free?.includes(socket))) {
      socket.destroy()
      return
    }
    const cancel: Cancel = this.#options.runtime.schedule(GRACE_MS, () => socket.destroy(reason))
    socket.once('close', cancel)
  }
}

/** What comes over a connection that waits would pass for the answer to what comes next. */
function endUnsolicited(this: Duplex): void {
  this.destroy()
}

/** What Node passes on of a request; `host` is there, whatever the caller gave. */
export interface RequestOptions {
  readonly host?: string | null | undefined
  readonly port?: number | string | null | undefined
  servername?: string | undefined
  [ORIGIN]?: CanonicalOrigin
  readonly [option: string]: unknown
}

/** Found once a request; Node copies it wherever it copies the options. */
const ORIGIN = Symbol('origin')

/** @throws ConfigurationError */
function originOf({ host, port }: RequestOptions): CanonicalOrigin {
  const text = `https://${isIPv6(String(host)) ? `[${host}]` : host}:${port ?? 443}`
  const known = origins.get(text)
  if (known !== undefined) return known
  const url = URL.canParse(text) ? new URL(text) : undefined
  const origin = url?.pathname === '/' && url.username === '' ? canonicalOrigin(url) : undefined
  if (origin !== undefined) {
    origins.set(text, origin)
    return origin
  }
  throw new ConfigurationError('ERR_CONFIG_URL', 'agent: expected a request to a valid host', { host: String(host) })
}

/** @throws ConfigurationError naming the option. */
function refuseForeign(origin: CanonicalOrigin, options: RequestOptions): void {
  const { servername } = options
  for (const name of DECIDED) {
    const value = options[name]
    if (value === undefined || value === null || HARMLESS.has(value)) continue
    throw foreign(origin, name)
  }
  // Node fills it in, from the Host field where there is one.
  const isOwn = servername === undefined || servername === '' || nameOf(servername) === origin.host
  if (!isOwn) throw foreign(origin, 'servername')
}

const nameOf = (name: string): string | undefined =>
  URL.canParse(`https://${name}`) ? canonicalOrigin(new URL(`https://${name}`))?.host : undefined

function foreign({ text }: CanonicalOrigin, option: string): ConfigurationError {
  const message = `${text}: the option ${option} of a request would not be heeded; what the peer is trusted by, is said to createClient`
  return new ConfigurationError('ERR_CONFIG_INVALID', message, { host: text })
}

/** What node:http has, and its typings leave out. */
interface Waiting {
  readonly onSocket: (socket: null, error: Error) => void
}
type Connected = (error: Error | null, socket?: Duplex) => void
const own = Agent.prototype as unknown as {
  readonly addRequest: (request: ClientRequest, options: RequestOptions) => void
  readonly createSocket: (request: ClientRequest, options: RequestOptions, done: Connected) => void
  readonly removeSocket: (socket: { readonly writable: boolean }, options: RequestOptions) => void
  readonly keepSocketAlive: (socket: Duplex) => boolean | undefined
  readonly reuseSocket: (socket: Duplex, request: ClientRequest) => void
  readonly getName: (options: RequestOptions) => string
}

const NONE = { writable: true }
const origins = new BoundedMap<string, CanonicalOrigin>(1_000)

/** What Node does without being told, which some clients tell it. */
const HARMLESS: ReadonlySet<unknown> = new Set([true, checkServerIdentity])

/** What would change by what a peer is trusted, or where a connection goes. */
const DECIDED = [
  'rejectUnauthorized',
  'checkServerIdentity',
  'ca',
  'cert',
  'key',
  'pfx',
  'secureContext',
  'session',
  'minVersion',
  'maxVersion',
  'secureProtocol',
  'ciphers',
  'sigalgs',
  'ecdhCurve',
  'secureOptions',
  'crl',
  'pskCallback',
  'socketPath',
  'lookup',
  'localAddress',
]
