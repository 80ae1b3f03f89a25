import type { Attempt, Authenticator, AuthHost, AuthScheme, HeaderPatch, Outcome } from '../auth/scheme.ts'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { copyOf } from '../errors/copy.ts'
import { AuthError, ConfigurationError, PinfetchError, type RequestSent } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import { raceSignal } from '../ports/signals.ts'
import { requestFailure } from '../transport/failure.ts'
import { discard } from './redirect.ts'
import { type GivenRequest, type Repeatable, repeatable } from './replay.ts'
import { wireMethod } from './request.ts'
import type { Call, Send } from './send.ts'
import { abandonUpload } from './upload.ts'

/** A scheme in use. */
export interface Way {
  readonly scheme: AuthScheme
  readonly authenticator: Authenticator
}

export interface Errand {
  readonly send: Send
  readonly host: AuthHost
  readonly url: URL
  readonly origin: CanonicalOrigin
  readonly call: Call | undefined
}

/** Sends one request with the credential of a scheme, and once more for as long as the scheme asks for it: three times at most. */
export async function sendWith(way: Way, given: GivenRequest, errand: Errand): Promise<Response> {
  const { scheme } = way
  const { send, host, url, origin } = errand
  const headers = new Headers(headersOf(given))
  const own = scheme.credentialHeaders.filter((name) => headers.has(name))
  if (own.length > 0) {
    host.emit({ type: 'auth.overridden', host: origin.text, scheme: scheme.name, headers: own })
    return send(given.input, given.init, url, errand.call)
  }
  // What the caller still holds, and could change while a token is fetched, stays here.
  const input = given.input instanceof Request ? given.input : url.href
  const fields = copied(headersOf(given))
  const request = repeatable({ input, init: given.init }, host.runtime.random)
  const call: Call = errand.call ?? { startedAt: undefined, moved: 0, hops: 0, hasLeftOrigin: false }
  const attempt = attemptOf(request, headers, errand)
  let rebounds = 0
  for (;;) {
    const patch = await applied(way, attempt)
    attempt.signal?.throwIfAborted() // a signal that fired while the credential was fetched
    call.boundTo = attempt.boundTo
    const sent = send(request.input, { ...request.init, headers: patched(fields, patch) }, url, call)
    const isPlain = attempt.number === 0 && attempt.boundTo === undefined
    const response = await (isPlain ? sent : sent.catch((error) => failed(attempt, error, rebounds)))
    call.boundTo = undefined // a redirect may lead to an origin without a credential
    if (response === 'rebound') {
      rebounds += 1
      continue
    }
    const outcome = await looked(way, response, { attempt, host })
    if (outcome === 'done' || attempt.number + 1 >= MAX_ATTEMPTS) return response
    if (!attempt.isReplayable) {
      const code = 'ERR_AUTH_BODY_NOT_REPLAYABLE'
      const message = `${outcome.reason}; ${request.oneShot} can be read only once, so the request was not sent again`
      host.emit({ type: 'auth.notReplayed', host: origin.text, scheme: scheme.name, code, message })
      abandonUpload(response, new AuthError(code, message, { host: origin.text, requestSent: 'yes' }))
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
    url: new URL(url),
    origin,
    headers,
    isReplayable: request.oneShot === undefined,
    number: 0,
    signal: init.signal ?? ofRequest?.signal ?? null,
  }
}

/** @throws AuthError, also for what a scheme of the application throws, or answers in place of header fields. */
async function applied({ scheme, authenticator }: Way, attempt: Attempt): Promise<HeaderPatch> {
  const requestSent = attempt.number === 0 ? 'no' : 'yes'
  const patch: unknown = await guarded(scheme, attempt, requestSent, () => authenticator.apply(attempt))
  const details = { host: attempt.origin.text, requestSent } as const
  if (typeof patch !== 'object' || patch === null) {
    const message = `${attempt.origin.text}: expected header fields from the scheme ${scheme.name}, got none`
    throw new AuthError('ERR_AUTH_SCHEME_FAILED', message, details)
  }
  for (const [name, value] of Object.entries(patch)) {
    if (!scheme.credentialHeaders.includes(name)) {
      const message = `auth: ${scheme.name} sets ${name}, which its credentialHeaders do not name; nothing would protect it`
      throw new ConfigurationError('ERR_CONFIG_INVALID', message, details)
    }
    if (typeof value === 'string' && FIELD_VALUE.test(value)) continue
    // fetch would print the value in its error
    const message = `${attempt.origin.text}: the scheme ${scheme.name} gave ${name} a value that no header field may have`
    throw new AuthError('ERR_AUTH_SCHEME_FAILED', message, details)
  }
  return patch as HeaderPatch
}

async function looked(
  { scheme, authenticator }: Way,
  response: Response,
  { attempt, host }: { readonly attempt: Attempt; readonly host: AuthHost },
): Promise<Outcome> {
  if (authenticator.onResponse === undefined) return 'done'
  const { status, headers } = response
  const head = { status, headers, receivedAt: host.runtime.clock.now() }
  try {
    const outcome = await guarded(scheme, attempt, 'yes', () => authenticator.onResponse?.(head, attempt))
    return typeof outcome === 'object' && outcome !== null ? outcome : 'done'
  } catch (error) {
    await discard(response)
    throw error
  }
}

/** What its errors say of the request is about this one: those of a token endpoint speak of another. */
async function guarded<T>(
  scheme: AuthScheme,
  { origin, signal }: Attempt,
  requestSent: RequestSent,
  run: () => Promise<T> | T,
): Promise<T> {
  try {
    const running = run()
    return running instanceof Promise ? await raceSignal(running, signal) : running // it may wait for what others share
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) throw error
    if (error instanceof PinfetchError) throw error.requestSent === requestSent ? error : copyOf(error, { requestSent })
    const message = `${origin.text}: the scheme ${scheme.name} failed`
    throw new AuthError('ERR_AUTH_SCHEME_FAILED', message, { host: origin.text, requestSent, cause: scrub(error) })
  }
}

/**
 * Once a request was sent and answered, nobody can say that nothing left, whatever came of a later one. One whose credential was
 * bound to a certificate that changed on the way never left: it needs a credential anew.
 */
function failed({ origin, number, isReplayable }: Attempt, error: unknown, rebounds: number): 'rebound' {
  const failure = requestFailure(error, origin.text)
  const isRebound = failure instanceof AuthError && failure.code === 'ERR_AUTH_CERT_BINDING'
  if (isRebound && isReplayable && rebounds < MAX_REBOUNDS) return 'rebound'
  if (number === 0) throw error
  throw failure instanceof PinfetchError ? copyOf(failure, { requestSent: 'yes' }) : failure
}

type Fields = NonNullable<RequestInit['headers']>

/** The caller's spelling and order stay. */
function copied(given: RequestInit['headers']): Fields {
  if (given === undefined) return {}
  if (Array.isArray(given)) return given.map(([name = '', value = '']) => [name, value] as [string, string])
  return Object.getPrototypeOf(given) === Object.prototype
    ? { ...(given as Record<string, string>) }
    : new Headers(given)
}

/** None of the names of the patch is among the fields. */
function patched(fields: Fields, patch: HeaderPatch): Fields {
  if (Array.isArray(fields)) return [...fields, ...Object.entries(patch)]
  if (!(fields instanceof Headers)) return { ...(fields as Record<string, string>), ...patch }
  const headers = new Headers(fields)
  for (const [name, value] of Object.entries(patch)) headers.set(name, value)
  return headers
}

function headersOf({ input, init }: GivenRequest): RequestInit['headers'] {
  return init.headers ?? (input instanceof Request ? input.headers : undefined)
}

/** The first, one with another proof, one with another token. */
const MAX_ATTEMPTS = 3
/** A certificate that changes again and again. */
const MAX_REBOUNDS = 5
const FIELD_VALUE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/ // RFC 9110 §5.5, without obs-text
