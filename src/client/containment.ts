import type { CanonicalOrigin } from '../encoding/host.ts'
import { isOriginPattern, type OriginPattern, originMatcher } from '../encoding/origin-pattern.ts'
import { ConfigurationError, PolicyError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime, UnixMs } from '../ports/runtime.ts'
import type { Call } from './send.ts'

/** What somebody decided in an incident: nothing goes to these origins, or through this proxy, until it is released. */
export interface Containment {
  /** An origin pattern, or `*` for all. */
  readonly scope: OriginPattern | '*'
  readonly reason: string
  readonly since: UnixMs
  readonly by: 'call' | 'signal'
  /** Settles when the tokens for these origins were revoked, or could not be within five seconds. Never rejects. */
  readonly done: Promise<void>
  /**
   * Lets requests go again.
   *
   * @param closedBecause What closed the reason: it stands in the event, for whoever reads the incident later.
   */
  readonly release: (closedBecause: string) => void
}

export interface Containments {
  /** @throws ConfigurationError for a scope that is no pattern, or without a reason. */
  readonly contain: (scope: OriginPattern | '*', reason: string, by?: Containment['by']) => Containment
  readonly all: () => readonly Containment[]
  /** `ERR_POLICY_CONTAINED` where nobody may ask anything. */
  readonly refusalOf: (origin: CanonicalOrigin) => PolicyError | undefined
  /** For what revokes tokens. @throws PolicyError as `refusalOf`, but not for their servers while that is under way. */
  readonly requireConnectable: (origin: CanonicalOrigin) => void
  /** For evidence, which servers beside the contained ones have. @throws PolicyError where the proxy itself is contained. */
  readonly requireProxy: (proxy: CanonicalOrigin) => void
  /** Begins what ends with a containment of its origin, wherever it waits; from then on nothing of it reaches the network. */
  readonly watched: (origin: CanonicalOrigin, begin: (call: Call) => Promise<Response>) => Promise<Response>
  /** Whether everything is contained: then no other manifest comes into force either. */
  readonly isFrozen: () => boolean
}

export interface ContainmentsGiven {
  readonly runtime: Runtime
  readonly emit: Emit
  /** Called in the tick in which other origins than before are refused. */
  readonly changed: () => void
  /** Revokes the tokens for matching origins, all of them for `undefined`. */
  readonly revoke: (matches: (origin: CanonicalOrigin) => boolean, signal: AbortSignal) => Promise<void>
  /** The client's proxy, where it has one and connections to the origin go through it. Default: none do. */
  readonly proxyOf?: ((origin: CanonicalOrigin) => CanonicalOrigin | undefined) | undefined
  /** Whether tokens are obtained and revoked there. */
  readonly isTokenServer: (origin: CanonicalOrigin) => boolean
}

/**
 * The switch for an incident. In one tick: calls that wait or are under way fail, connections and TLS sessions are dropped, and every
 * further call is refused. Then the tokens are revoked, for which their servers stay within reach.
 */
export function createContainments(given: ContainmentsGiven): Containments {
  const { runtime, emit, changed, revoke, isTokenServer, proxyOf = () => undefined } = given
  const calls = new Set<Watched>()
  let inForce: readonly InForce[] = []

  const refusalOf = (origin: CanonicalOrigin): PolicyError | undefined => {
    const found = inForce.length === 0 ? undefined : inForce.find(({ covers }) => covers(origin))
    return found && contained(origin, found.reason, 'no')
  }
  /** A contained proxy is no way to what lies behind it. Everything is contained by name. */
  const isBehind = (origin: CanonicalOrigin, { scope, names }: Pick<InForce, 'scope' | 'names'>): boolean => {
    const proxy = scope === '*' ? undefined : proxyOf(origin)
    return proxy !== undefined && names(proxy)
  }

  /** What another's handler throws meanwhile must not leave half of a containment. */
  const apply = (): void => {
    try {
      changed()
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }

  const contain: Containments['contain'] = (scope, reason, by = 'call') => {
    if (scope !== '*' && !isOriginPattern(scope))
      throw unusable(`contain: expected an origin pattern or *, got ${scope}`)
    requireText('contain: a reason', reason)
    const names = scope === '*' ? () => true : originMatcher([scope])
    const covers = (origin: CanonicalOrigin): boolean => names(origin) || isBehind(origin, { scope, names })
    const late = new AbortController()
    const cancel = runtime.schedule(REVOKE_MS, () => late.abort())
    const release: Containment['release'] = (closedBecause) => {
      requireText('release: what closed the reason', closedBecause)
      if (!inForce.includes(entry)) return
      inForce = inForce.filter((one) => one !== entry)
      emit({ type: 'containment.ended', scope, reason, closedBecause })
      apply()
    }
    const settle = async (): Promise<void> => {
      await Promise.resolve() // what is refused is refused first
      await revoke(names, late.signal).catch(() => undefined) // `token.revoked` tells
      cancel()
      entry.isRevoking = false
      if (inForce.includes(entry)) apply()
    }
    const entry: InForce = { scope, reason, names, covers, isRevoking: true }
    inForce = [...inForce, entry]
    const ended = [...calls].filter(({ origin }) => covers(origin))
    const handle = Object.freeze({ scope, reason, since: runtime.clock.now(), by, done: settle(), release })
    entry.handle = handle
    for (const call of ended) {
      calls.delete(call)
      const refusal = contained(call.origin, reason, 'maybe')
      call.end(refusal)
      call.reject(refusal)
    }
    apply()
    emit({ type: 'containment.begun', scope, reason, by, requests: ended.length })
    return handle
  }

  return {
    contain,
    all: () => inForce.flatMap(({ handle }) => handle ?? []),
    refusalOf,
    requireConnectable: (origin) => {
      const isBlocked = inForce.some((one) => isBehind(origin, one))
      const isOpen = !isBlocked && isTokenServer(origin) && inForce.some(({ isRevoking }) => isRevoking)
      const refusal = isOpen ? undefined : refusalOf(origin)
      if (refusal !== undefined) throw refusal
    },
    requireProxy: (proxy) => {
      const found = inForce.find(({ scope, names }) => scope !== '*' && names(proxy))
      if (found !== undefined) throw contained(proxy, found.reason, 'no')
    },
    watched: (origin, begin) =>
      new Promise((resolve, reject) => {
        const { end, endedBy } = createEnd()
        const call: Watched = { origin, reject, end }
        calls.add(call)
        begin({ startedAt: undefined, moved: 0, hops: 0, hasLeftOrigin: false, endedBy }).then(
          (response) => {
            if (calls.delete(call)) resolve(response)
            else void response.body?.cancel().catch(() => undefined) // too late for anybody to read
          },
          (error: unknown) => {
            calls.delete(call)
            reject(error)
          },
        )
      }),
    isFrozen: () => inForce.some(({ scope }) => scope === '*'),
  }
}

/** Those that nothing else in Node listens to, and whose default would end the process. */
export const CONTAINING_SIGNALS = ['SIGUSR2', 'SIGHUP'] as const
/** A signal that `containOnSignal` may listen to. */
export type ContainingSignal = (typeof CONTAINING_SIGNALS)[number]

interface Watched {
  readonly origin: CanonicalOrigin
  readonly reject: (reason: PolicyError) => void
  readonly end: (reason: PolicyError) => void
}

interface InForce extends Pick<Containment, 'scope' | 'reason'> {
  /** Whether the scope itself does. */
  readonly names: (origin: CanonicalOrigin) => boolean
  readonly covers: (origin: CanonicalOrigin) => boolean
  /** Their servers can be asked for it meanwhile. */
  isRevoking: boolean
  handle?: Containment
}

/** In a scope of its own: whoever holds it must not hold the promise beside it, and with that a response that nobody keeps. */
function createEnd(): { readonly end: (reason: PolicyError) => void; readonly endedBy: () => PolicyError | undefined } {
  let ended: PolicyError | undefined
  return {
    end: (reason) => {
      ended = reason
    },
    endedBy: () => ended,
  }
}

function contained({ text }: CanonicalOrigin, reason: string, requestSent: 'no' | 'maybe'): PolicyError {
  const message = `${text}: contained, ${reason}; ${requestSent === 'no' ? 'nothing was sent' : 'the request was ended'}`
  return new PolicyError('ERR_POLICY_CONTAINED', message, { host: text, requestSent })
}

function requireText(what: string, given: unknown): void {
  if (typeof given !== 'string' || given.trim() === '')
    throw unusable(`${what} is required, a text for whoever reads it later`)
}

const unusable = (message: string): ConfigurationError => new ConfigurationError('ERR_CONFIG_INVALID', message)

const REVOKE_MS = 5_000
