import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { ConfigurationError } from '../errors/errors.ts'
import { requestFailure } from '../transport/failure.ts'
import { holdFailure } from '../transport/request-body.ts'
import type { Containments } from './containment.ts'
import { withSoundFields } from './fields.ts'
import { createFollow, discard, type RedirectOptions } from './redirect.ts'
import { isRedirect, refuseEvery } from './redirect-hop.ts'
import { type GivenRequest, repeatable } from './replay.ts'
import type { Exchange, Retries } from './retry.ts'
import type { Call, Send } from './send.ts'
import { plaintext, type Upgrade } from './upgrade.ts'

export interface FetchOptions {
  /** Over our dispatcher, or a test's stand-in. */
  readonly send: Send
  /** Settles when the policy for the origin can be known, rejects with the signal's reason; `undefined` when it is known. */
  readonly gate: (origin: CanonicalOrigin, signal: AbortSignal | null) => Promise<void> | undefined
  /** What an http URL is read as. Default: every one is refused. */
  readonly upgrade?: Upgrade | undefined
  /** Default: no redirect is followed. */
  readonly redirects?: RedirectOptions | undefined
  /** Default: what fails is not sent again. */
  readonly retries?: Pick<Retries, 'retried'> | undefined
  /** Ends the call with a containment of its origin. Default: none can come. */
  readonly watched?: Containments['watched'] | undefined
}

/**
 * WHATWG fetch, narrowed: https only, no dispatcher of the caller's, redirects by our rules, our errors. Written without
 * `async` where a request needs none: each turn between the headers and the caller costs more than every check in here.
 */
export function createFetch({
  send,
  gate,
  upgrade,
  redirects,
  retries,
  watched,
}: FetchOptions): typeof globalThis.fetch {
  const once: Exchange = (origin, request, url, call) => {
    const { input, init } = request
    const wanted = init.redirect ?? (input instanceof Request ? input.redirect : 'follow')
    if (wanted === 'follow' && following !== undefined) return following(origin, request, url, call)
    return send(input, { ...init, redirect: 'manual' }, url, call).then(
      (response) =>
        wanted !== 'manual' && isRedirect(response)
          ? discard(response).then(() => Promise.reject(refuseEvery({ url, origin }, response)))
          : response,
      (error: unknown) => Promise.reject(requestFailure(error, origin.text)),
    )
  }
  const following = redirects && followWith(redirects, { send, gate })
  const exchange = retries === undefined ? once : retries.retried(once)
  const start = (origin: CanonicalOrigin, request: GivenRequest, url: URL): Promise<Response> => {
    const waiting = gate(origin, signalOf(request))
    const begin = (call?: Call): Promise<Response> =>
      waiting === undefined
        ? exchange(origin, request, url, call)
        : waiting.then(() => exchange(origin, request, url, call))
    return watched === undefined ? begin() : watched(origin, begin)
  }
  return (input, init) => {
    try {
      const url = urlOf(input)
      if (url.protocol !== 'http:' || upgrade === undefined)
        return start(originOf(url), givenRequest(input, init, url), url)
      const request = givenRequest(input, init, url)
      return upgrade(url).then((secured) => start(originOf(secured), requestTo(secured, request), secured))
    } catch (error) {
      return Promise.reject(error) // fetch never throws
    }
  }
}

/** The first request of a call that may take several. */
function followWith(redirects: RedirectOptions, sending: Pick<FetchOptions, 'send' | 'gate'>): Exchange {
  const follow = createFollow(redirects, sending)
  return (origin, given, url, known) => {
    const request = repeatable(given, redirects.random)
    const call: Call = known ?? { startedAt: undefined, moved: 0, hops: 0, hasLeftOrigin: false }
    return sending.send(request.input, { ...request.init, redirect: 'manual' }, url, call).then(
      (response) =>
        isRedirect(response) ? follow({ ...request, url, origin }, response, call, signalOf(request)) : response,
      (error: unknown) => Promise.reject(requestFailure(error, origin.text)),
    )
  }
}

function requestTo(url: URL, { input, init }: GivenRequest): GivenRequest {
  return { input: input instanceof Request ? new Request(url, input) : url, init }
}

export function urlOf(input: Parameters<typeof fetch>[0]): URL {
  const text = typeof input === 'object' && 'url' in input ? input.url : String(input)
  try {
    return new URL(text)
  } catch {
    throw new ConfigurationError('ERR_CONFIG_URL', 'fetch: expected an absolute URL', {
      cause: new TypeError('Invalid URL'), // Node's names the text, which may hold secrets
    })
  }
}

function originOf(url: URL): CanonicalOrigin {
  if (url.protocol !== 'https:') throw plaintext(url)
  const origin = canonicalOrigin(url)
  if (origin === undefined || url.username !== '' || url.password !== '') {
    const message = `fetch: expected an https URL with a valid host and without user name and password, got ${url.origin}`
    throw new ConfigurationError('ERR_CONFIG_URL', message, { host: url.host })
  }
  return origin
}

/** What a call was given, in the classes of the runtime and with fields that are only fields. */
export function givenRequest(...[input, init, url]: [...Parameters<typeof fetch>, url: URL]): GivenRequest {
  return withSoundFields(toGlobalRealm(input, init), url.host)
}

/** Rewrites objects of the npm package's realm, which SDKs hand over, into the runtime's own classes. */
function toGlobalRealm(input: Parameters<typeof fetch>[0], given: RequestInit | undefined): GivenRequest {
  const init = withInherited(given)
  for (const member of ['dispatcher', 'agent']) refuseForeign(member, Reflect.get(init, member))
  if (typeof input === 'string' || input instanceof URL) return { input, init: withGlobalBody(init) }
  if (input instanceof Request) {
    // A non-empty init resets these two (WHATWG Fetch, Request constructor, step 13), and ours is never empty.
    const { referrer, referrerPolicy } = input
    return { input, init: Object.keys(init).length === 0 ? { referrer, referrerPolicy } : withGlobalBody(init) }
  }
  if (!('url' in input)) return { input: String(input), init: withGlobalBody(init) }
  const { method, headers, signal, redirect, integrity, keepalive, body } = input as Request
  const copied: RequestInit = { method, headers: [...headers], signal, redirect, integrity, keepalive }
  const streamed = body === null ? {} : ({ body, duplex: 'half' } as RequestInit)
  return { input: String((input as Request).url), init: { ...copied, ...streamed, ...withGlobalBody(init) } }
}

/** The runtime's fetch would follow the one, and leave the other aside without a word. */
function refuseForeign(member: string, value: unknown): void {
  if (value === undefined) return
  const name = typeof value === 'object' ? value?.constructor?.name : undefined
  const what = PROXY_AGENTS.has(name ?? '')
    ? `the ${name} of the caller`
    : `a${member === 'agent' ? 'n' : ''} ${member} of the caller`
  const message = `fetch: ${what} would bypass every check; a proxy is named by the option \`proxy\` of createClient`
  throw new ConfigurationError('ERR_CONFIG_INVALID', message)
}

/** WebIDL reads a dictionary's members wherever they are inherited from; a spread would drop those. */
export function withInherited(init: RequestInit | undefined): RequestInit {
  if (init === undefined || init === null) return {}
  if (Object.getPrototypeOf(init) === Object.prototype) return init
  const own: Record<string, unknown> = {}
  for (const name in init) own[name] = Reflect.get(init, name)
  return own
}

function withGlobalBody(init: RequestInit): RequestInit {
  const { body, headers } = init
  holdFailure(body)
  const ofOtherRealm = (value: unknown, tag: string, own: new (...args: never[]) => object): boolean =>
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof own) &&
    Object.prototype.toString.call(value) === `[object ${tag}]`
  const changed: RequestInit = {}
  if (ofOtherRealm(body, 'FormData', FormData)) changed.body = copyFormData(body as FormData)
  if (ofOtherRealm(headers, 'Headers', Headers)) changed.headers = [...(headers as Headers)]
  return { ...init, ...changed }
}

function copyFormData(source: FormData): FormData {
  const copy = new FormData()
  for (const [name, value] of source) {
    if (typeof value === 'string') copy.append(name, value)
    else copy.append(name, value, value.name)
  }
  return copy
}

function signalOf({ input, init }: GivenRequest): AbortSignal | null {
  return init.signal ?? (input instanceof Request ? input.signal : null)
}

const PROXY_AGENTS: ReadonlySet<string> = new Set([
  'ProxyAgent',
  'EnvHttpProxyAgent',
  'HttpsProxyAgent',
  'SocksProxyAgent',
])
