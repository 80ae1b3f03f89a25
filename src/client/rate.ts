import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { originMatcher } from '../encoding/origin-pattern.ts'
import { ConfigurationError, RateError, StoreError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { Emit } from '../events/events.ts'
import type { ClockOffsets } from '../keys/clock-offset.ts'
import { createFairQueue, type Gate } from '../limits/fair-queue.ts'
import { createLimit, type Limit } from '../limits/limit.ts'
import { readQuota } from '../limits/rate-fields.ts'
import { type Pause, readRetryAfter } from '../limits/retry-after.ts'
import { createSharedLimit } from '../limits/shared-limit.ts'
import type { Runtime } from '../ports/runtime.ts'
import { createGuard } from '../stores/tokens/breaker.ts'
import { clientClosed } from '../transport/failure.ts'
import type { Timeouts } from '../transport/limits.ts'
import type { HostPolicy } from '../trust/policy.ts'
import { fixedRequest } from './fixed-request.ts'
import { DEFAULT_QUEUE, type RatedRequest, type ResolvedRate, type ResolvedRule } from './rate-options.ts'
import { wireMethod } from './request.ts'
import type { Call, Send } from './send.ts'

export interface Rates {
  /** A sender that sends a request once every limit lets it go. */
  readonly limited: (send: Send) => Send
  /** Who waits is refused. */
  readonly close: () => void
}

export interface RatesGiven {
  readonly runtime: Runtime
  readonly emit: Emit
  readonly timeouts: Pick<Timeouts, 'totalMs'>
  readonly clocks: ClockOffsets
  /** Throws where there is none. */
  readonly policyOf: (origin: CanonicalOrigin) => Pick<HostPolicy, 'profile'>
  /** Keeps the process alive meanwhile: somebody waits. */
  readonly held: <T>(work: Promise<T>) => Promise<T>
}

/**
 * Stands between approvals and credentials: what waits for a person waits for no limit, and what waits for a limit gets its
 * token, proof and signature when it goes.
 */
export function createRates(options: ResolvedRate, given: RatesGiven): Rates {
  const { runtime, emit, timeouts, clocks, policyOf, held } = given
  const { monotonic } = runtime.clock
  const queue = createFairQueue(runtime)
  const rules = options.rules.map((rule, index) => ({
    ...rule,
    name: `rate.rules.${index}`,
    covers: rule.origins === undefined ? () => true : originMatcher(rule.origins),
    guard: createGuard(runtime, STORE_DEADLINE_MS, 'shared limit'),
  }))
  type Rule = (typeof rules)[number]
  const gates = new Map<string, Gate>()
  const pauses = new Map<string, Paused>()
  const longestQueue = Math.max(DEFAULT_QUEUE, ...rules.map(({ maxQueue }) => maxQueue))
  let sweepAt = FIRST_SWEEP

  const gateFor = (id: string, maxQueue: number, name: string, make: (gate: () => Gate) => Limit): Gate => {
    const known = gates.get(id)
    if (known !== undefined) return known
    const gate: Gate = { limit: make(() => gate), name, maxQueue, waiting: 0 }
    gates.set(id, gate)
    return gate
  }
  /** What is idle is as good as new, unless a request is about to meet it. */
  const sweep = (): void => {
    const now = monotonic()
    for (const [id, { waiting, limit }] of gates) if (waiting === 0 && limit.isIdle(now)) gates.delete(id)
    for (const [id, { gate, limit }] of pauses) if (gate.waiting === 0 && limit.isIdle(now)) pauses.delete(id)
    sweepAt = Math.max(FIRST_SWEEP, 2 * (gates.size + pauses.size))
  }

  const gatesOf = (rule: Rule, key: string, origin: CanonicalOrigin, legacy: boolean): readonly Gate[] => {
    const { limit, name, maxQueue } = rule
    const id = `${name} ${key}`
    if (limit.kind !== 'shared') {
      const whole = gateFor(id, maxQueue, name, () => createLimit(limit))
      if (!legacy) return [whole]
      const part = () => createLimit(limit, options.legacyFraction)
      return [whole, gateFor(`${id} legacy ${origin.text}`, maxQueue, `${name} (a legacy host)`, part)]
    }
    const fraction = legacy ? options.legacyFraction : 1
    const points = Math.min(Math.ceil(1 / fraction), limit.limiter.points ?? Number.POSITIVE_INFINITY)
    const host = origin.text
    const failed = (error: unknown): void => {
      const { code, message } = error instanceof StoreError ? error : UNKNOWN_FAILURE
      const effect = limit.whenDown === 'refuse' ? 'refused' : 'alone'
      emit({ type: 'rate.storeFailed', host, rule: name, code, message, effect })
    }
    return [
      gateFor(legacy ? `${id} legacy` : id, maxQueue, name, (gate) =>
        createSharedLimit({
          ...limit,
          key,
          points,
          fraction,
          guard: rule.guard,
          now: monotonic,
          demand: () => gate().waiting,
          changed: queue.look,
          failed,
        }),
      ),
    ]
  }

  const pausedOf = (id: string): Paused => {
    const known = pauses.get(id)
    if (known !== undefined) return known
    const limit = createPause()
    const gate: Gate = { limit, name: 'what the server asked for', maxQueue: longestQueue, waiting: 0 }
    const paused = { gate, limit }
    pauses.set(id, paused)
    return paused
  }

  /** Everything that has to let the request go, stores last: they are asked once all else allows it. */
  const stationsOf = (origin: CanonicalOrigin, asked: () => RatedRequest) => {
    const legacy = isLegacy(policyOf, origin)
    const own = rules
      .filter(({ covers }) => covers(origin))
      .map((rule) => ({ rule, key: keyOf(rule, origin, asked) }))
      .sort((a, b) => Number(a.rule.limit.kind === 'shared') - Number(b.rule.limit.kind === 'shared'))
    const tenants = own.filter(({ rule }) => typeof rule.per === 'function').map(({ key }) => key)
    const lane = JSON.stringify([origin.text, ...tenants])
    if (gates.size + pauses.size >= sweepAt) sweep()
    const all = own.flatMap(({ rule, key }) => gatesOf(rule, key, origin, legacy))
    return { lane, gates: options.feedback === 'follow' ? [pausedOf(lane).gate, ...all] : all }
  }

  const heed = (lane: string, { text: host }: CanonicalOrigin, { status, headers }: Response, url: URL): void => {
    const rules = { serverNow: clocks.now(url.origin), maxMs: options.maxPauseMs }
    const pause = (REFUSALS.has(status) ? readRetryAfter(headers, rules) : undefined) ?? readQuota(headers, rules)
    if (pause === undefined) return
    const { limit } = pausedOf(lane)
    if (!limit.lengthen(monotonic() + pause.ms)) return
    emit({ type: 'rate.paused', host, status, ...told(pause) })
  }

  const limited =
    (send: Send): Send =>
    (input, init, url, call) => {
      const origin = canonicalOrigin(url)
      if (origin === undefined) return send(input, init, url, call)
      const { text: host } = origin
      const ofRequest = input instanceof Request ? input : undefined
      const method = wireMethod(init.method ?? ofRequest?.method ?? 'GET')
      const own: Call = call ?? { startedAt: undefined, moved: 0, hops: 0, hasLeftOrigin: false }
      own.startedAt ??= monotonic() // what is waited here is time of the call
      const begun = monotonic()
      const headers = (): Headers => new Headers(init.headers ?? ofRequest?.headers)
      const { lane, gates } = stationsOf(origin, () => ({ url: new URL(url), method, headers: headers() }))
      const signal = init.signal ?? ofRequest?.signal ?? null
      // What the caller still holds, and could change meanwhile, stays here. It may throw: nothing has a place yet.
      const request = fixedRequest({ input: ofRequest ?? url.href, init }, runtime.random)
      const waiting = queue.enter({ host, lane, gates, deadline: own.startedAt + timeouts.totalMs, signal })
      const go = async (): Promise<Response> => {
        const over = counted(gates, queue.look)
        own.onExchange = over.begin
        const sentAt = monotonic()
        try {
          const response = await send(request.input, request.init, url, own)
          clocks.learn(url.origin, response.headers, monotonic() - sentAt)
          if (options.feedback === 'follow') heed(lane, origin, response, url)
          return response
        } finally {
          own.onExchange = undefined
          over.end()
        }
      }
      if (waiting === undefined) return go()
      return held(waiting).then(
        () => {
          emit({ type: 'rate.waited', host, ms: Math.round(monotonic() - begun) })
          return go()
        },
        (error: unknown) => {
          if (error instanceof RateError) {
            const { code, retryAfterMs } = error
            emit({ type: 'rate.refused', host, code, ...(retryAfterMs !== undefined && { retryAfterMs }) })
          }
          throw error
        },
      )
    }
  return { limited, close: () => queue.close((host) => clientClosed(host, 'no')) }
}

interface Paused {
  readonly gate: Gate
  readonly limit: PauseLimit
}

interface PauseLimit extends Limit {
  /** Answers whether it is longer now by enough to be told. */
  readonly lengthen: (until: number) => boolean
}

/** Nothing goes until a server said. Another answer may ask for more, and none for less: they overtake each other. */
function createPause(): PauseLimit {
  let until = Number.NEGATIVE_INFINITY
  return {
    lengthen: (at) => {
      const isNews = at > until + NEWS_MS
      until = Math.max(until, at)
      return isNews
    },
    readyAt: (now) => Math.max(now, until),
    earliest: (now) => Math.max(now, until),
    take: () => undefined,
    isIdle: (now) => now >= until,
  }
}

/** A request is over when its sending is, and every exchange that it took: their bodies included. */
function counted(gates: readonly Gate[], look: () => void) {
  const held = gates.filter(({ limit }) => limit.release !== undefined)
  let open = 1
  const end = (): void => {
    open -= 1
    if (open > 0 || held.length === 0) return
    for (const { limit } of held) limit.release?.()
    look()
  }
  const begin = (): (() => void) => {
    open += 1
    return end
  }
  return { begin, end }
}

/** @throws ConfigurationError where a function gives no key: a request without one would be without a limit. */
function keyOf(
  { per, name }: ResolvedRule & { name: string },
  origin: CanonicalOrigin,
  asked: () => RatedRequest,
): string {
  if (per === 'client') return 'client'
  if (per === 'origin') return origin.text
  let key: unknown
  let cause: unknown
  try {
    key = per(asked())
  } catch (error) {
    cause = error
  }
  if (typeof key === 'string' && key.length > 0 && key.length <= MAX_KEY_LENGTH) return key
  const message = `${name}.per: expected a key, a text of 1 to ${MAX_KEY_LENGTH} characters, ${cause === undefined ? `got ${typeof key}` : 'the function threw'}`
  throw new ConfigurationError('ERR_CONFIG_INVALID', message, {
    host: origin.text,
    ...(cause !== undefined && { cause: scrub(cause) }), // it had the header fields
  })
}

/** What has no policy is refused where it is sent, with the reason. */
function isLegacy(policyOf: RatesGiven['policyOf'], origin: CanonicalOrigin): boolean {
  try {
    return policyOf(origin).profile === 'legacy'
  } catch {
    return false
  }
}

const told = ({ ms, askedMs, source }: Pause) => ({ source, ms, askedMs, isCapped: askedMs > ms })

const REFUSALS: ReadonlySet<number> = new Set([429, 503]) // RFC 6585 §4, RFC 9110 §15.6.4
const UNKNOWN_FAILURE = { code: 'ERR_STORE_UNAVAILABLE', message: 'shared limit: failed' } as const
/** As long as a token store gets. */
const STORE_DEADLINE_MS = 250
const FIRST_SWEEP = 1_000
const MAX_KEY_LENGTH = 256
const NEWS_MS = 1_000
