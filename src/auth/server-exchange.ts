import { AuthError, PinfetchError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { ClockOffsets } from '../keys/clock-offset.ts'
import { readWhole } from '../ports/read-whole.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { AuthHost } from './scheme.ts'

/** What an authorization server answered, read in full. */
export interface Answer {
  readonly url: URL
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array
  /** When the request was on its way: what the server dates from its answer on ends no earlier than counted from here. */
  readonly sentAt: UnixMs
  readonly receivedAt: UnixMs
}

/**
 * One request to an authorization server over the pinned client: no redirect, at most 1 MiB, a deadline of its own. Learns the
 * clock of the server.
 *
 * @throws AuthError for everything but an answer. `requestSent` says whether the server can have seen the request.
 */
export type ServerExchange = (url: URL, init: RequestInit, signal: AbortSignal) => Promise<Answer>

export interface ExchangeWorld {
  readonly host: AuthHost
  readonly offsets: ClockOffsets
  /** From the first packet to the last byte. */
  readonly timeoutMs: number
}

export function createServerExchange({ host: lent, offsets, timeoutMs }: ExchangeWorld): ServerExchange {
  const { clock, schedule } = lent.runtime
  return async (url, init, signal) => {
    signal.throwIfAborted()
    const deadline = new AbortController()
    const cancel = schedule(timeoutMs, () => deadline.abort())
    const ended = AbortSignal.any([deadline.signal, signal])
    let answered = false
    try {
      const [sentAt, start] = [clock.now(), clock.monotonic()]
      const response = await lent.fetch(url, { ...init, redirect: 'manual', signal: ended })
      answered = true
      offsets.learn(url.origin, response.headers, clock.monotonic() - start)
      if (response.status >= 300 && response.status < 400) throw await redirected(url, response)
      const bytes = await readBody(response, url, ended)
      return { url, status: response.status, headers: response.headers, bytes, sentAt, receivedAt: clock.now() }
    } catch (error) {
      if (error instanceof AuthError) throw error
      if (ended.aborted) throw late(url, deadline.signal.aborted ? timeoutMs : undefined, answered)
      throw unreachable(url, error, answered)
    } finally {
      cancel()
    }
  }
}

async function readBody({ body }: Response, url: URL, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = await readWhole(body, MAX_BYTES, signal)
  if (bytes !== undefined) return bytes
  const message = `authorization server ${url.host}: expected at most ${MAX_BYTES} bytes, the answer is longer`
  throw new AuthError('ERR_AUTH_TOKEN_RESPONSE_TOO_LARGE', message, { host: url.host, requestSent: 'yes' })
}

async function redirected(url: URL, { status, body }: Response): Promise<AuthError> {
  body?.cancel().catch(() => undefined)
  const message = `authorization server ${url.host}: expected an answer, got a redirect (${status}); redirects are not followed, the credentials would go along`
  return new AuthError('ERR_AUTH_TOKEN_REDIRECT', message, { host: url.host, requestSent: 'yes' })
}

function late(url: URL, timeoutMs: number | undefined, answered: boolean): AuthError {
  const why = timeoutMs === undefined ? 'the call was ended' : `no complete answer within ${timeoutMs} ms`
  const details = { host: url.host, requestSent: answered ? 'yes' : 'maybe' } as const
  return new AuthError('ERR_AUTH_TOKEN_TIMEOUT', `authorization server ${url.host}: ${why}`, details)
}

function unreachable(url: URL, error: unknown, answered: boolean): AuthError {
  const cause = scrub(error)
  const what = cause instanceof PinfetchError ? cause.code : cause.name
  const requestSent = answered ? 'yes' : cause instanceof PinfetchError ? cause.requestSent : 'maybe'
  const message = `authorization server ${url.host}: no answer (${what}), the request was ${SENT[requestSent]}`
  return new AuthError('ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', message, { host: url.host, requestSent, cause })
}

const SENT = { no: 'not sent', maybe: 'perhaps sent', yes: 'sent' } as const

const MAX_BYTES = 1_048_576 // no answer of OAuth comes near; a larger one is read for nobody's good
