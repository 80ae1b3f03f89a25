import { AuthError } from '../errors/errors.ts'
import { type TokenChallenge, tokenChallenge } from './challenge.ts'

/** What a resource server says about the token of a request (RFC 6750 §3.1, RFC 9470 §3). */
export type Verdict =
  /** It is expired, revoked or malformed. */
  | { readonly kind: 'token' }
  /** Another one might do, but nothing says that the token is at fault: a 401 without a challenge, or of another kind. */
  | { readonly kind: 'unsaid' | 'other' }
  | { readonly kind: 'scope'; readonly scope: readonly string[] }
  | { readonly kind: 'step-up'; readonly acrValues: readonly string[]; readonly maxAge: number | undefined }

/** `undefined`: the response is none of the token's business. Only the challenge of the token's own scheme is heard. */
export function judgeToken(status: number, headers: Headers, scheme: 'bearer' | 'dpop'): Verdict | undefined {
  if (status !== 401 && status !== 403) return undefined
  const field = headers.get('www-authenticate')
  const challenge = tokenChallenge(field, scheme)
  const known = challenge === undefined ? undefined : judgeChallenge(challenge)
  if (known !== undefined && !(status === 403 && known.kind === 'token')) return known
  if (status === 403) return { kind: 'scope', scope: challenge?.scope ?? [] }
  return { kind: field === null ? 'unsaid' : 'other' }
}

/**
 * What a response says about the token that was sent with its request, as an error with what the server asks for: `scope` of
 * `ERR_AUTH_INSUFFICIENT_SCOPE`, `acrValues` and `maxAge` of `ERR_AUTH_STEP_UP_REQUIRED`. `undefined` for a response that is not
 * about the token. The client never throws it: a response is the caller's, whatever its status.
 */
export function tokenRefusal(response: Pick<Response, 'status' | 'headers'>): AuthError | undefined {
  const { status, headers } = response
  const scheme = tokenChallenge(headers.get('www-authenticate'), 'dpop') === undefined ? 'bearer' : 'dpop'
  const verdict = judgeToken(status, headers, scheme)
  if (verdict === undefined || verdict.kind === 'other') return undefined
  return refusal(verdict, status)
}

export function refusal(verdict: Verdict, status: number): AuthError {
  const subject = `status ${status}`
  if (verdict.kind === 'scope') {
    const { scope } = verdict
    const asked = scope.length === 0 ? 'more than the token was granted' : 'scopes that the token was not granted'
    return new AuthError('ERR_AUTH_INSUFFICIENT_SCOPE', `${subject}: the server asks for ${asked}`, {
      scope,
      requestSent: 'yes',
    })
  }
  if (verdict.kind === 'step-up') {
    const { acrValues, maxAge } = verdict
    const message = `${subject}: the server asks for another authentication of the user`
    const age = maxAge === undefined ? {} : { maxAge }
    return new AuthError('ERR_AUTH_STEP_UP_REQUIRED', message, { acrValues, ...age, requestSent: 'yes' })
  }
  return new AuthError('ERR_AUTH_TOKEN_REJECTED', `${subject}: the server rejected the token`, { requestSent: 'yes' })
}

/**
 * Whether a token meets what a server asks for (RFC 9470 §5), by its own claims where it is a JWT. Those were not verified and
 * need not be: they decide whether a request is worth sending once more, and the server judges.
 *
 * @returns `undefined` for a token that says nothing.
 */
export function meetsStepUp(
  accessToken: string,
  { acrValues, maxAge }: { readonly acrValues: readonly string[]; readonly maxAge: number | undefined },
  nowMs: number,
): boolean | undefined {
  const claims = claimsOf(accessToken)
  if (claims === undefined) return undefined
  const { acr, auth_time: authTime } = claims
  if (acrValues.length > 0 && !(typeof acr === 'string' && acrValues.includes(acr))) return false
  return maxAge === undefined || (typeof authTime === 'number' && authTime >= nowMs / 1_000 - maxAge)
}

function judgeChallenge({ error, scope, acrValues, maxAge }: TokenChallenge): Verdict | undefined {
  if (error === 'invalid_token') return { kind: 'token' }
  if (error === 'insufficient_scope') return { kind: 'scope', scope }
  if (error === 'insufficient_user_authentication') return { kind: 'step-up', acrValues, maxAge }
  return undefined
}

function claimsOf(token: string): Readonly<Record<string, unknown>> | undefined {
  const [, payload, signature, ...more] = token.split('.')
  if (payload === undefined || signature === undefined || more.length > 0) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return typeof claims === 'object' && claims !== null ? { ...claims } : undefined
  } catch {
    return undefined // no JWT after all
  }
}
