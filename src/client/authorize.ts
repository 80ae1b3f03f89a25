import type { Attempt, Authenticator, AuthHost, AuthScheme, HeaderPatch, Outcome } from '../auth/scheme.ts'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { type OriginPattern, originMatcher } from '../encoding/origin-pattern.ts'
import { AuthError, ConfigurationError, PinfetchError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import { discard } from './redirect.ts'
import { type GivenRequest, type Repeatable, repeatable } from './replay.ts'
import { wireMethod } from './request.ts'
import type { Call, Send } from './send.ts'

export interface AuthorizeOptions {
  readonly schemes: readonly AuthScheme[]
  /** Origins of no scheme that are asked without a credential. All others are refused. */
  readonly withoutAuth: readonly OriginPattern[]
  readonly host: AuthHost
}

export interface Authorization {
  /** A sender that gives each request the credential of its origin. */
  readonly authorized: (send: Send) => Send
  /** Lets every scheme store what must be stored; settles when `signal` aborts at the latest. */
  readonly close: (signal: AbortSignal) => Promise<void>
}

/**
 * Binds the schemes to a client. Between the redirects and the road: each hop gets the credential of its own origin anew, and none
 * once a redirect has left the origin that the caller named, for another server chose the target then.
 *
 * @throws ConfigurationError where two schemes want one origin; KeyError where a secret is missing.
 */
export function createAuthorization({ schemes, withoutAuth, host }: AuthorizeOptions): Authorization {
  const ways = new Map<string, Way>()
  const authenticators: Authenticator[] = []
  try {
    for (const scheme of schemes) {
      const authenticator = scheme.bind(host)
      authenticators.push(authenticator)
      for (const origin of originsOf(scheme)) {
        const rival = ways.get(origin.text)
        if (rival !== undefined) throw claimedTwice(origin, rival.scheme, scheme)
        ways.set(origin.text, { scheme, authenticator })
      }
    }
  } catch (error) {
    for (const one of authenticators) void one.close?.({ signal: AbortSignal.abort() }).catch(() => undefined)
    throw error
  }
  const goesWithout = originMatcher(withoutAuth)

  const authorized =
    (send: Send): Send =>
    (input, init, url, call) => {
      const origin = canonicalOrigin(url)
      if (origin === undefined || call?.hasLeftOrigin === true) return send(input, init, url, call)
      const way = ways.get(origin.text)
      if (way !== undefined) return sendWith(way, { input, init }, { send, host, url, origin, call })
      return goesWithout(origin) ? send(input, init, url, call) : Promise.reject(notAllowed(origin, ways))
    }
  const close = async (signal: AbortSignal): Promise<void> => {
    await Promise.allSettled(authenticators.map(async (one) => one.close?.({ signal })))
  }
  return { authorized, close }
}

interface Way {
  readonly scheme: AuthScheme
  readonly authenticator: Authenticator
}

interface Errand {
  readonly send: Send
  readonly host: AuthHost
  readonly url: URL
  readonly origin: CanonicalOrigin
  readonly call: Call | undefined
}

async function sendWith({ scheme, authenticator }: Way, given: GivenRequest, errand: Errand): Promise<Response> {
  const { send, host, url, origin } = errand
  const headers = new Headers(given.init.headers ?? (given.input instanceof Request ? given.input.headers : undefined))
  const own = scheme.credentialHeaders.filter((name) => headers.has(name))
  if (own.length > 0) {
    host.emit({ type: 'auth.overridden', host: origin.text, scheme: scheme.name, headers: own })
    return send(given.input, given.init, url, errand.call)
  }
  const request = repeatable(given, host.runtime.random)
  const call: Call = errand.call ?? { startedAt: undefined, moved: 0, hops: 0, hasLeftOrigin: false }
  const attempt = attemptOf(request, headers, errand)
  for (;;) {
    const patch = await applied(scheme, authenticator, attempt)
    attempt.signal?.throwIfAborted() // a signal that fired while the credential was fetched
    const response = await send(request.input, { ...request.init, headers: patched(request, patch) }, url, call)
    const outcome = await looked(scheme, authenticator, response, { attempt, host })
    if (outcome === 'done' || attempt.number + 1 >= MAX_ATTEMPTS) return response
    if (!attempt.isReplayable) {
      const code = 'ERR_AUTH_BODY_NOT_REPLAYABLE'
      const message = `${outcome.reason}; ${request.oneShot} can be read only once, so the request was not sent again`
      host.emit({ type: 'auth.notReplayed', host: origin.text, scheme: scheme.name, code, message })
      return response
    }
    await discard(response)
    attempt.number += 1
  }
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }

function attemptOf(request: Repeatable, headers: Headers, { url, origin }: Errand): Mutable<Attempt> {
  const { input, init } = request
  const ofRequest = input instanceof Request ? input : undefined
  return {
    method: wireMethod(init.method ?? ofRequest?.method ?? 'GET'),
    url,
    origin,
    headers,
    isReplayable: request.oneShot === undefined,
    number: 0,
    signal: init.signal ?? ofRequest?.signal ?? null,
  }
}

/** @throws AuthError, also for what a scheme of the application throws. */
async function applied(scheme: AuthScheme, authenticator: Authenticator, attempt: Attempt): Promise<HeaderPatch> {
  const patch = await guarded(scheme, attempt, () => authenticator.apply(attempt))
  for (const name of Object.keys(patch)) {
    if (scheme.credentialHeaders.includes(name)) continue
    const message = `auth: ${scheme.name} sets ${name}, which its credentialHeaders do not name; nothing would protect it`
    throw new ConfigurationError('ERR_CONFIG_INVALID', message, { host: attempt.origin.text })
  }
  return patch
}

async function looked(
  scheme: AuthScheme,
  authenticator: Authenticator,
  { status, headers }: Response,
  { attempt, host }: { readonly attempt: Attempt; readonly host: AuthHost },
): Promise<Outcome> {
  if (authenticator.onResponse === undefined) return 'done'
  const head = { status, headers, receivedAt: host.runtime.clock.now() }
  return guarded(scheme, attempt, () => authenticator.onResponse?.(head, attempt) ?? 'done')
}

async function guarded<T>(scheme: AuthScheme, { origin, signal }: Attempt, run: () => Promise<T> | T): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof PinfetchError || (signal?.aborted === true && error === signal.reason)) throw error
    const message = `${origin.text}: the scheme ${scheme.name} failed, so the request has no credential`
    throw new AuthError('ERR_AUTH_SCHEME_FAILED', message, { host: origin.text, cause: scrub(error) })
  }
}

/** The caller's spelling and order stay; none of the names of the patch is among them. */
function patched({ input, init }: GivenRequest, patch: HeaderPatch): NonNullable<RequestInit['headers']> {
  const given = init.headers ?? (input instanceof Request ? input.headers : undefined)
  if (given === undefined) return { ...patch }
  if (Array.isArray(given)) return [...given, ...Object.entries(patch)]
  if (Object.getPrototypeOf(given) === Object.prototype) return { ...(given as Record<string, string>), ...patch }
  const headers = new Headers(given)
  for (const [name, value] of Object.entries(patch)) headers.set(name, value)
  return headers
}

/** @throws ConfigurationError for what a scheme of the application names that is no https origin. */
function originsOf({ name, allowedOrigins }: AuthScheme): readonly CanonicalOrigin[] {
  return allowedOrigins.map((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    const origin = url?.protocol === 'https:' ? canonicalOrigin(url) : undefined
    if (origin !== undefined) return origin
    const message = `auth: ${name} allows ${JSON.stringify(text)}; expected an origin such as https://api.example`
    throw new ConfigurationError('ERR_CONFIG_INVALID', message)
  })
}

function claimedTwice({ text }: CanonicalOrigin, one: AuthScheme, other: AuthScheme): ConfigurationError {
  const message = `auth: ${one.name} and ${other.name} both want https://${text}; expected one scheme for each origin`
  return new ConfigurationError('ERR_CONFIG_INVALID', message)
}

function notAllowed({ text }: CanonicalOrigin, ways: ReadonlyMap<string, Way>): AuthError {
  const known = [...ways.keys()].join(', ')
  const message = `${text}: no scheme may show its credential there, only to ${known}; nothing was sent. An origin that needs none is named by the option withoutAuth`
  return new AuthError('ERR_AUTH_ORIGIN_NOT_ALLOWED', message, { host: text })
}

/** The first, one with another proof, one with another token. */
const MAX_ATTEMPTS = 3
