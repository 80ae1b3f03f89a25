import type { Authenticator, AuthHost, AuthScheme } from '../auth/scheme.ts'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { type OriginPattern, originMatcher } from '../encoding/origin-pattern.ts'
import { AuthError, ConfigurationError } from '../errors/errors.ts'
import { raceSignal } from '../ports/signals.ts'
import { sendWith, type Way } from './attempts.ts'
import type { Send } from './send.ts'

export interface AuthorizeOptions {
  readonly schemes: readonly AuthScheme[]
  /** Origins of no scheme that are asked without a credential. All others are refused. */
  readonly withoutAuth: readonly OriginPattern[]
  readonly host: AuthHost
}

export interface Authorization {
  /** A sender that gives each request the credential of its origin. */
  readonly authorized: (send: Send) => Send
  /** For containment: revokes the tokens of every scheme that serves a matching origin. What fails, `token.revoked` tells. */
  readonly revoke: (matches: (origin: CanonicalOrigin) => boolean, signal: AbortSignal) => Promise<void>
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
  const unanswered = new Set<Promise<Response>>()
  const close = async (signal: AbortSignal): Promise<void> => {
    const all = Promise.allSettled(authenticators.map(async (one) => one.close?.({ signal })))
    await raceSignal(all, signal).catch(() => undefined)
    if (unanswered.size === 0) return
    const over = new AbortController()
    const cancel = host.runtime.schedule(HANDOVER_MS, () => over.abort())
    await raceSignal(Promise.allSettled(unanswered), AbortSignal.any([signal, over.signal])).catch(() => undefined)
    cancel()
  }
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
    void close(AbortSignal.abort())
    throw error
  }
  const goesWithout = originMatcher(withoutAuth)

  const authorized =
    (send: Send): Send =>
    (input, init, url, call) => {
      const origin = canonicalOrigin(url)
      if (origin === undefined || call?.hasLeftOrigin === true) return send(input, init, url, call)
      const way = ways.get(origin.text)
      if (way !== undefined) {
        const sent = sendWith(way, { input, init }, { send, host, url, origin, call })
        const settled = (): boolean => unanswered.delete(sent)
        unanswered.add(sent)
        sent.then(settled, settled)
        return sent
      }
      return goesWithout(origin) ? send(input, init, url, call) : Promise.reject(notAllowed(origin, ways))
    }
  const revoke: Authorization['revoke'] = async (matches, signal) => {
    const serving = new Set<Authenticator>()
    for (const [text, { authenticator }] of ways) {
      const origin = canonicalOrigin(new URL(`https://${text}`))
      if (origin !== undefined && matches(origin)) serving.add(authenticator)
    }
    await raceSignal(Promise.allSettled([...serving].map(async (one) => one.revoke?.({ signal }))), signal)
  }
  return { authorized, revoke, close }
}

/** @throws ConfigurationError for what a scheme of the application names that is no https origin, or more than one. */
function originsOf({ name, allowedOrigins }: AuthScheme): readonly CanonicalOrigin[] {
  return allowedOrigins.map((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    const isBare = url?.protocol === 'https:' && url.href === `${url.origin}/`
    const origin = isBare ? canonicalOrigin(url) : undefined
    if (origin !== undefined) return origin
    const message = `auth: ${name}: expected origins such as https://api.example in allowedOrigins, one of them is none`
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

/** For requests whose token arrived while the client was closed, to be on their way: as long as for those without a connection. */
const HANDOVER_MS = 500
