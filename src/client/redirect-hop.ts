import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { PolicyError } from '../errors/errors.ts'
import type { IsCredential } from './credentials.ts'
import { hasBody, type Repeatable } from './replay.ts'

/** One request of a call: what is sent, and where to. */
export interface Hop extends Repeatable {
  readonly url: URL
  readonly origin: CanonicalOrigin
}

export interface HopRules {
  /** Whether a redirect may lead to this origin from another one. */
  readonly covers: (origin: CanonicalOrigin) => boolean
  readonly isCredential: IsCredential
}

export interface NextHop extends Hop {
  readonly leavesOrigin: boolean
  /** Header fields that stayed behind, lower case. */
  readonly stripped: readonly string[]
}

/** RFC 9110 §15.4. One without Location is a response like any other (WHATWG Fetch §4.4, HTTP-redirect fetch, step 3). */
export function isRedirect(response: Response): boolean {
  return REDIRECTS.has(response.status) && response.headers.has('location')
}

/**
 * The request that a redirect asks for. Pure.
 *
 * Scheme, host and port together are an origin. What leaves it takes no credential along and no body, and a body that has to
 * be sent again is sent from what was fixed before the first sending.
 *
 * @throws PolicyError for a redirect that is not followed.
 * @see WHATWG Fetch §4.4, HTTP-redirect fetch
 */
export function nextHop(at: Hop, response: Response, { covers, isCredential }: HopRules): NextHop {
  const { status } = response
  const refuse = (problem: string, code: RefusalCode = 'ERR_POLICY_REDIRECT'): PolicyError =>
    refusal(at.origin, `answered ${status} with a redirect ${problem}`, code)
  const url = targetOf(at.url, response)
  if (url === undefined) throw refuse('to an address that cannot be read, or to two')
  if (url.protocol !== 'https:') {
    throw refuse(`to ${shown(url)}; only https URLs are requested, HSTS or not`, 'ERR_POLICY_PLAINTEXT')
  }
  const origin = canonicalOrigin(url)
  if (origin === undefined) throw refuse(`to ${shown(url)}, which is no valid host`)
  if (url.username !== '' || url.password !== '') throw refuse(`to ${shown(url)} with user name or password`)
  const leavesOrigin = url.origin !== at.url.origin
  if (leavesOrigin && !covers(origin)) {
    throw refuse(`to ${shown(url)}; the option \`redirect\` does not name this origin, and it is another one`)
  }
  const method = methodAfter(status, methodOf(at))
  const keepsBody = method === undefined && hasBody(at)
  if (keepsBody && leavesOrigin) {
    throw refuse(`to ${shown(url)}; a body is not sent to another origin`, 'ERR_POLICY_REDIRECT_BODY')
  }
  if (keepsBody && at.oneShot !== undefined) {
    const advice = 'give it as text, bytes, URLSearchParams, Blob or FormData, or by `replayable`'
    throw refuse(
      `that needs the body again; ${at.oneShot} can be read only once, ${advice}`,
      'ERR_POLICY_REDIRECT_BODY',
    )
  }
  const headers = headersOf(at)
  const stripped = leavesOrigin ? [...headers.keys()].filter((name) => isCredential(name)) : []
  for (const name of stripped) headers.delete(name)
  if (method !== undefined) for (const name of [...headers.keys()]) if (OF_THE_BODY.test(name)) headers.delete(name)
  const init: RequestInit = { ...carried(at), ...at.init, headers }
  if (method !== undefined) Object.assign(init, { method, body: undefined })
  return {
    input: url,
    init,
    oneShot: method === undefined ? at.oneShot : undefined,
    url,
    origin,
    leavesOrigin,
    stripped,
  }
}

/** The refusal of a client, or of a call, that follows nothing. */
export function refuseEvery({ url, origin }: Pick<Hop, 'url' | 'origin'>, response: Response): PolicyError {
  const target = targetOf(url, response)
  const where = target === undefined ? 'an unreadable address' : shown(target)
  const advice = "request the target itself, set the option `redirect`, or pass redirect: 'manual'"
  return refusal(origin, `answered ${response.status} with a redirect to ${where}; ${advice}`, 'ERR_POLICY_REDIRECT')
}

type RefusalCode =
  | 'ERR_POLICY_REDIRECT'
  | 'ERR_POLICY_REDIRECT_BODY'
  | 'ERR_POLICY_REDIRECT_LIMIT'
  | 'ERR_POLICY_PLAINTEXT'

export function refusal({ text }: CanonicalOrigin, problem: string, code: RefusalCode): PolicyError {
  return new PolicyError(code, `${text}: ${problem}`, { host: text, requestSent: 'yes' })
}

/** An origin, and never a path or query: they may hold a credential. Of schemes without one, the scheme. */
function shown(url: URL): string {
  return url.host === '' ? url.protocol : `${url.protocol}//${url.host}`
}

/**
 * `undefined` for one that cannot be read, or that was given twice: fields of one name are joined by a comma, and two parsers
 * would go two ways. Octets beyond ASCII are UTF-8, as every browser reads them.
 */
function targetOf(from: URL, response: Response): URL | undefined {
  const location = response.headers.get('location') ?? ''
  const text = /[\x80-\xff]/.test(location) ? Buffer.from(location, 'latin1').toString() : location
  if (text.includes(', ') || !URL.canParse(text, from.href)) return undefined
  const url = new URL(text, from)
  if (url.hash === '') url.hash = from.hash // RFC 9110 §10.2.2
  return url
}

/** The method that takes the place of the first, without body; `undefined` where both stay. */
function methodAfter(status: number, method: string): 'GET' | undefined {
  const isPost = method.toUpperCase() === 'POST'
  if ((status === 301 || status === 302) && isPost) return 'GET'
  return status === 303 && !/^(?:GET|HEAD)$/i.test(method) ? 'GET' : undefined
}

function methodOf({ input, init }: Hop): string {
  return init.method ?? (input instanceof Request ? input.method : 'GET')
}

function headersOf({ input, init }: Hop): Headers {
  return new Headers(init.headers ?? (input instanceof Request ? input.headers : {}))
}

/** What else a Request says. */
function carried({ input }: Hop): RequestInit {
  if (!(input instanceof Request)) return {}
  const { method, signal, integrity, keepalive, mode, credentials, cache, referrer, referrerPolicy } = input
  const own: RequestInit = { method, signal, integrity, keepalive, mode, credentials, referrer, referrerPolicy }
  return cache === 'default' ? own : Object.assign(own, { cache }) // the lean road knows none
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const OF_THE_BODY = /^(?:content-.*|digest|repr-digest|expect|trailer|transfer-encoding)$/
