import { BoundedMap } from '../encoding/bounded-map.ts'
import { canonicalOrigin } from '../encoding/host.ts'
import { PinfetchError, RateError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import { type Circuit, type CircuitRules, createCircuit, type Verdict } from '../limits/circuit.ts'
import type { Runtime } from '../ports/runtime.ts'
import { requestFailure } from '../transport/failure.ts'
import type { Send } from './send.ts'

export interface Breaker {
  /** Refuses at once what could only wait in vain: stands before the limits. */
  readonly early: (send: Send) => Send
  /** Lets requests through, and looks what comes of them: stands behind the limits. */
  readonly guarded: (send: Send) => Send
}

/** A circuit breaker for each origin. */
export function createBreaker(rules: CircuitRules, { runtime, emit }: { runtime: Runtime; emit: Emit }): Breaker {
  const { monotonic } = runtime.clock
  const circuits = new BoundedMap<string, Circuit>(MAX_ORIGINS)
  const circuitOf = (host: string): Circuit => {
    const known = circuits.get(host)
    if (known !== undefined) return known
    const circuit = createCircuit(rules)
    circuits.set(host, circuit)
    return circuit
  }
  const refused = (host: string, retryAfterMs: number): Promise<never> => {
    emit({ type: 'rate.refused', host, code: 'ERR_RATE_CIRCUIT_OPEN', retryAfterMs })
    const message = `${host}: it failed too often, and is left alone for ${retryAfterMs} ms (breaker); nothing was sent`
    return Promise.reject(new RateError('ERR_RATE_CIRCUIT_OPEN', message, { host, retryAfterMs }))
  }

  const early =
    (send: Send): Send =>
    (input, init, url, call) => {
      const host = canonicalOrigin(url)?.text
      const admission = host === undefined ? 'free' : circuitOf(host).look(monotonic())
      return host === undefined || typeof admission === 'string'
        ? send(input, init, url, call)
        : refused(host, admission.refusedForMs)
    }

  const guarded =
    (send: Send): Send =>
    (input, init, url, call) => {
      const host = canonicalOrigin(url)?.text
      if (host === undefined) return send(input, init, url, call)
      const circuit = circuitOf(host)
      const admission = circuit.enter(monotonic())
      if (typeof admission !== 'string') return refused(host, admission.refusedForMs)
      if (admission === 'probe') emit({ type: 'breaker.probing', host })
      const leave = (verdict: Verdict): void => {
        const changed = circuit.leave(admission, verdict, monotonic())
        if (changed?.kind === 'closed') emit({ type: 'breaker.closed', host })
        else if (changed?.kind === 'open' && verdict === 'failure')
          emit({ type: 'breaker.opened', host, ms: changed.openMs })
      }
      return send(input, init, url, call).then(
        (response) => {
          leave(response.status >= 500 ? 'failure' : 'success')
          return response
        },
        (error: unknown) => {
          leave(isFault(requestFailure(error, host)) ? 'failure' : 'inconclusive')
          throw error
        },
      )
    }
  return { early, guarded }
}

/** Of the network or the server. What we refused, and what the caller gave up, says nothing of either. */
function isFault(error: unknown): boolean {
  return error instanceof PinfetchError && error.code.startsWith('ERR_TRANSPORT_') && !OUR_OWN.has(error.code)
}

const OUR_OWN: ReadonlySet<string> = new Set([
  'ERR_TRANSPORT_BODY_TOO_LARGE', // of one caller: others would ask for less
  'ERR_TRANSPORT_BODY_UNAVAILABLE',
  'ERR_TRANSPORT_CLIENT_CLOSED',
  'ERR_TRANSPORT_FETCH_PATCHED',
])
const MAX_ORIGINS = 1_000
