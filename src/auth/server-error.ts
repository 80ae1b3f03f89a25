import { AuthError } from '../errors/errors.ts'
import type { Answer } from './server-exchange.ts'

/** The `error` of an answer's body (RFC 6749 §5.2) where it is a registered one: any other text could be one of our secrets. */
export function oauthErrorOf({ status, bytes }: Answer): string | undefined {
  if (status < 400 || status > 499) return undefined
  const error = jsonObject(bytes)?.['error']
  return typeof error === 'string' && REGISTERED.has(error) ? error : undefined
}

/** A JSON object, by the most tolerant reading: for what must be known of an answer even where it is refused. */
export function jsonObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined // it quotes what it could not parse
    throw error
  }
}

/** What an answer that grants nothing means. Says its status, content type and registered error, nothing else of it. */
export function refusalOf(answer: Answer, serverNow: number): AuthError {
  const { status, headers, url } = answer
  const oauthError = oauthErrorOf(answer)
  const retryAfterMs = retryAfter(headers, serverNow)
  const said = oauthError === undefined ? describe(answer) : `${status}, ${oauthError}`
  const details = {
    host: url.host,
    requestSent: 'yes',
    ...(oauthError === undefined ? {} : { oauthError }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  } as const
  const subject = `authorization server ${url.host}`
  if (status === 429 || (status === 503 && retryAfterMs !== undefined)) {
    const wait = retryAfterMs === undefined ? '' : `, for ${Math.ceil(retryAfterMs / 1_000)} s`
    return new AuthError('ERR_AUTH_TOKEN_ENDPOINT_THROTTLED', `${subject}: asks to wait${wait} (${said})`, details)
  }
  if (status >= 500 || oauthError === 'temporarily_unavailable' || oauthError === 'server_error') {
    return new AuthError('ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', `${subject}: out of order (${said})`, details)
  }
  if (oauthError === 'invalid_client' || oauthError === 'unauthorized_client') {
    return new AuthError('ERR_AUTH_CLIENT_REJECTED', `${subject}: refused the client (${said})`, details)
  }
  if (oauthError !== undefined) {
    return new AuthError('ERR_AUTH_GRANT_REJECTED', `${subject}: refused the grant (${said})`, details)
  }
  return unusable(answer, 'an answer of OAuth')
}

/** The body stays out of it: it may hold tokens, or be a page that somebody else wrote. */
export function unusable(answer: Answer, expected: string): AuthError {
  const { url } = answer
  const message = `authorization server ${url.host}: expected ${expected}, got ${describe(answer)}`
  return new AuthError('ERR_AUTH_TOKEN_RESPONSE_INVALID', message, { host: url.host, requestSent: 'yes' })
}

export const isJson = (answer: Answer): boolean => mediaType(answer) === 'application/json'

/** Media types are words of a registry; what does not look like one is not repeated. */
function describe(answer: Answer): string {
  const { status, bytes } = answer
  const type = mediaType(answer)
  const shown = /^[a-z]{1,20}\/[a-z0-9.+-]{1,40}$/.test(type) ? type : 'no known content type'
  return `status ${status}, ${shown}, ${bytes.length} bytes`
}

function mediaType({ headers }: Answer): string {
  return (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/** RFC 9110 §10.2.3: seconds, or a date by the clock of the server. At most five minutes. */
function retryAfter(headers: Headers, serverNow: number): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? ''
  const ms = /^\d{1,10}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - serverNow
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS) : undefined
}

const MAX_RETRY_AFTER_MS = 5 * 60_000

/** IANA OAuth Extensions Error Registry, and the RFCs of the grants. */
const REGISTERED: ReadonlySet<string> = new Set([
  ...['invalid_request', 'invalid_client', 'invalid_grant', 'unauthorized_client', 'unsupported_grant_type'],
  ...['invalid_scope', 'temporarily_unavailable', 'server_error', 'unsupported_token_type'], // RFC 6749, RFC 7009
  ...['authorization_pending', 'slow_down', 'expired_token', 'access_denied'], // RFC 8628
  ...['invalid_target', 'invalid_dpop_proof', 'use_dpop_nonce'], // RFC 8707, RFC 9449
  ...['unknown_user_id', 'expired_login_hint_token', 'missing_user_code', 'invalid_user_code'], // CIBA
  ...['invalid_binding_message', 'transaction_failed', 'interaction_required', 'unmet_authentication_requirements'],
])
