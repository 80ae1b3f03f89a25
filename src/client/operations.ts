import { canonicalOrigin } from '../encoding/host.ts'
import { PolicyError } from '../errors/errors.ts'
import { givenRequest, urlOf } from './fetch.ts'
import { type Match, operationFinder } from './operation-match.ts'
import type { OperationRules } from './operation-options.ts'
import { judgedRequest } from './operation-request.ts'
import { judgedResponse } from './operation-response.ts'
import type { GivenRequest } from './replay.ts'
import { wireMethod } from './request.ts'

type Fetch = typeof globalThis.fetch

/**
 * A fetch that asks for nothing but what its operations describe, and hands over nothing else: the outermost layer, before any
 * lookup and any token, and behind the last attempt and the last redirect.
 *
 * @throws ConfigurationError for operations that contradict each other.
 */
export function createOperations(
  { list, unlisted }: OperationRules,
  { random }: { readonly random: (length: number) => Uint8Array },
): (fetch: Fetch) => Fetch {
  const find = operationFinder(list)

  const call = async (match: Match, given: GivenRequest, { url, method, fetch }: Calling): Promise<Response> => {
    const signal = given.init.signal ?? (given.input instanceof Request ? given.input.signal : null)
    signal?.throwIfAborted()
    const { input, init } = await judgedRequest(match, given, { url, signal, random })
    signal?.throwIfAborted() // while a schema was asked
    return judgedResponse(match.operation, await fetch(input, init), { url, method, signal })
  }
  return (fetch) => (input, init) => {
    try {
      const url = urlOf(input)
      const given = givenRequest(input, init, url)
      const method = methodOf(given)
      const origin = canonicalOrigin(url) // of an http URL too, which is refused later or read as https
      if (origin === undefined) return fetch(given.input, given.init) // which refuses it
      const found = find(origin, method, url.pathname)
      if (typeof found === 'object') return call(found, given, { url, method, fetch })
      if (unlisted === 'allow' && found !== 'ambiguous') return fetch(given.input, given.init)
      throw new PolicyError('ERR_POLICY_OPERATION_UNLISTED', `${url.host}: ${problem(found, method)}`, {
        host: url.host,
      })
    } catch (error) {
      return Promise.reject(error) // fetch never throws
    }
  }
}

interface Calling {
  readonly url: URL
  readonly method: string
  readonly fetch: Fetch
}

function methodOf({ input, init }: GivenRequest): string {
  return wireMethod(init.method ?? (input instanceof Request ? input.method : 'GET'))
}

function problem(found: 'unlisted' | 'unknown' | 'ambiguous', method: string): string {
  const nothing = 'so nothing was sent'
  if (found === 'unlisted') return `no operation of \`operations\` has this origin, ${nothing}`
  if (found === 'unknown') return `no operation of \`operations\` is ${method} with this path, ${nothing}`
  return `the path can be read in more than one way, and \`operations\` speak of this origin, ${nothing}`
}
