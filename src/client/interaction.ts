import * as z from 'zod'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { type OriginPattern, originMatcher } from '../encoding/origin-pattern.ts'
import { uuid } from '../encoding/uuid.ts'
import { PolicyError } from '../errors/errors.ts'
import { OriginPatternSchema } from './egress.ts'
import { givenRequest, urlOf } from './fetch.ts'
import { discard } from './redirect.ts'

/** An id for each call, so that both sides find it in their logs. */
export interface InteractionOptions {
  /** Default `x-fapi-interaction-id`. */
  readonly header?: string
  /** Who is asked with one: `api.bank.com`. */
  readonly origins: readonly OriginPattern[]
}

export type InteractionRules = Required<InteractionOptions>

type Fetch = typeof globalThis.fetch

/**
 * A fetch whose calls each have an id, a UUID or what the caller gave, the same for all attempts and hops, so that both ends can
 * find one interaction in their logs. A response with another id is the answer to another call, and is refused; so is a success
 * without one. What fails on the way, such as a gateway, need not know of it.
 *
 * @see FAPI 1.0 Baseline §6.2.1 (11)
 */
export function createInteractions(
  { header, origins }: InteractionRules,
  { random }: { readonly random: (length: number) => Uint8Array },
): (fetch: Fetch) => Fetch {
  const covers = originMatcher(origins)
  const ask = async (
    fetch: Fetch,
    given: Parameters<Fetch>,
    id: string,
    origin: CanonicalOrigin,
  ): Promise<Response> => {
    const response = await fetch(...given)
    const answered = response.headers.get(header)
    if (answered?.toLowerCase() === id.toLowerCase() || (answered === null && !response.ok)) return response
    await discard(response)
    throw refusal(origin, response.status, { header, isMissing: answered === null })
  }
  return (fetch) => (input, init) => {
    try {
      const url = urlOf(input)
      const given = givenRequest(input, init, url)
      const origin = canonicalOrigin(url)
      if (origin === undefined || !covers(origin)) return fetch(given.input, given.init)
      const headers = new Headers(
        given.init.headers ?? (given.input instanceof Request ? given.input.headers : undefined),
      )
      const id = headers.get(header) || uuid(random) // an empty one is none
      headers.set(header, id)
      return ask(fetch, [given.input, { ...given.init, headers }], id, origin)
    } catch (error) {
      return Promise.reject(error) // fetch never throws
    }
  }
}

function refusal(
  { text }: CanonicalOrigin,
  status: number,
  { header, isMissing }: { readonly header: string; readonly isMissing: boolean },
): PolicyError {
  const seen = isMissing ? 'none' : 'another one, of another call'
  const message = `${text}: answered ${status}; expected the ${header} of the request, got ${seen}`
  return new PolicyError('ERR_POLICY_INTERACTION_ID', message, { host: text, requestSent: 'yes', status })
}

export const InteractionSchema = z.strictObject({
  header: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, 'expected the name of a header field in lower case')
    .default('x-fapi-interaction-id'),
  origins: z.array(OriginPatternSchema).min(1).max(1_000),
})
