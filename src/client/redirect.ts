import type { CanonicalOrigin } from '../encoding/host.ts'
import { originMatcher } from '../encoding/origin-pattern.ts'
import { type ErrorDetails, PinfetchError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import { requestFailure } from '../transport/failure.ts'
import type { IsCredential } from './credentials.ts'
import { type Hop, isRedirect, nextHop, refusal } from './redirect-hop.ts'
import type { RedirectRules } from './redirect-options.ts'
import { markRedirected } from './response.ts'
import type { Call, Send } from './send.ts'

export interface RedirectOptions extends RedirectRules {
  readonly isCredential: IsCredential
  /** Draws the boundary of a form that may have to be sent twice. */
  readonly random: (length: number) => Uint8Array
  readonly emit: Emit
}

export interface Sending {
  readonly send: Send
  readonly gate: (origin: CanonicalOrigin, signal: AbortSignal | null) => Promise<void> | undefined
}

/** Goes on from a response that is a redirect, until there is one that is not. */
export type Follow = (from: Hop, response: Response, call: Call, signal: AbortSignal | null) => Promise<Response>

/**
 * Each hop is a request like any other: with the policy, the pins, the addresses and the egress rules of its own origin. All
 * of them share the signal and the total time of the call.
 */
export function createFollow(
  { follow, maxHops, isCredential, emit }: RedirectOptions,
  { send, gate }: Sending,
): Follow {
  const rules = { covers: originMatcher(follow), isCredential }
  const next = (at: Hop, { response, call }: { readonly response: Response; readonly call: Call }): Hop => {
    if (call.hops >= maxHops) {
      const problem = `answered ${response.status} with a redirect after ${maxHops} others, the most that is followed`
      throw refusal(at.origin, problem, 'ERR_POLICY_REDIRECT_LIMIT')
    }
    const hop = nextHop(at, response, rules)
    const [from, to] = [at.url.origin, hop.url.origin]
    call.hops += 1
    call.hasLeftOrigin ||= hop.leavesOrigin
    if (hop.stripped.length > 0) emit({ type: 'redirect.stripped', from, to, headers: hop.stripped })
    emit({ type: 'redirect.followed', from, to, status: response.status, hop: call.hops })
    return hop
  }
  const ask = async (hop: Hop, call: Call, signal: AbortSignal | null): Promise<Response> => {
    try {
      await gate(hop.origin, signal)
      return await send(hop.input, { ...hop.init, redirect: 'manual' }, hop.url, call)
    } catch (error) {
      throw requestFailure(error, hop.origin.text)
    }
  }
  return async (from, response, call, signal) => {
    let at = from
    let answer = response
    while (isRedirect(answer)) {
      await discard(answer)
      at = next(at, { response: answer, call })
      answer = await ask(at, call, signal).catch((error) => Promise.reject(afterRedirect(error, from)))
    }
    markRedirected(answer)
    return answer
  }
}

/** Nobody reads it. One that is there whole leaves its connection to others; another ends it, for it may be endless. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined) // that it failed meanwhile changes nothing
}

/** What failed is a later hop; the request that the caller made was sent, and answered. */
function afterRedirect(error: unknown, { url }: Hop): unknown {
  if (!(error instanceof PinfetchError)) return error
  const Class = error.constructor as new (code: string, message: string, details: ErrorDetails) => PinfetchError
  const details: ErrorDetails = { ...error, cause: error.cause, requestSent: 'yes' }
  return new Class(error.code, `${error.message}\n  after a redirect; the call began at ${url.origin}`, details)
}
