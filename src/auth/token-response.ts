import { type AuthorizationServer, type Client, processGenericTokenEndpointResponse } from 'oauth4webapi'
import { parseStrictJson } from '../encoding/json.ts'
import { AuthError } from '../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { ACCESS_TOKEN_TYPE } from './grants.ts'
import { isJson, jsonObject, unusable } from './server-error.ts'
import type { Answer } from './server-exchange.ts'
import { HEADER_SAFE, type IssuedToken } from './token.ts'

export interface Expected {
  readonly server: AuthorizationServer
  readonly client: Client
  /** A proof was shown: anything but a token bound to its key is a downgrade. */
  readonly dpop: boolean
  /** Of a token exchange: the type that was asked for. */
  readonly issuedTokenType: string | undefined
  readonly scope: readonly string[]
  readonly requireScopes: readonly string[]
  /** By the clock of the server: what the `exp` of a JWT is compared with. */
  readonly offsetMs: number
  readonly refreshable: boolean
}

/** The refresh token of an answer, whatever else is wrong with it: the one that it replaces is spent. */
export function salvage({ status, bytes }: Answer): string | undefined {
  const refreshToken = status === 200 ? jsonObject(bytes)?.['refresh_token'] : undefined
  return typeof refreshToken === 'string' && refreshToken !== '' ? refreshToken : undefined
}

/**
 * What an answer with status 200 grants (RFC 6749 §5.1). oauth4webapi checks the members, an ID token included; its errors, which
 * hold the whole body, end here.
 *
 * @throws AuthError `ERR_AUTH_TOKEN_RESPONSE_INVALID`, `ERR_AUTH_TOKEN_TYPE_DOWNGRADE`, `ERR_AUTH_SCOPE_NOT_GRANTED`
 */
export async function judgeTokenResponse(answer: Answer, expected: Expected): Promise<IssuedToken> {
  const { bytes, url } = answer
  if (!isJson(answer)) throw unusable(answer, 'a token as application/json')
  const parsed = parseStrictJson(bytes, MAX_DEPTH)
  const body = parsed.ok ? jsonObject(bytes) : undefined
  if (body === undefined) throw unusable(answer, 'a token in JSON with every member once')
  const seconds = lifetime(body['expires_in'])
  if (seconds === null) throw unusable(answer, 'a token whose expires_in is a number of seconds, or is absent')
  const granted = await processed(answer, expected)
  const accessToken = granted.access_token
  if (!HEADER_SAFE.test(accessToken)) throw unusable(answer, 'an access token of visible ASCII characters')
  const tokenType = typeOf(granted.token_type, answer, expected)
  if (expected.issuedTokenType !== undefined && body['issued_token_type'] !== expected.issuedTokenType)
    throw unusable(answer, 'a token of the issued_token_type that was asked for')
  const scope = granted.scope === undefined ? expected.scope : granted.scope.split(' ').filter((word) => word !== '')
  const missing = expected.requireScopes.filter((one) => !scope.includes(one))
  if (missing.length > 0) {
    const message = `authorization server ${url.host}: expected the scopes ${missing.join(' ')} of requireScopes, they were not granted`
    throw new AuthError('ERR_AUTH_SCOPE_NOT_GRANTED', message, { host: url.host, requestSent: 'yes' })
  }
  return {
    accessToken,
    tokenType,
    expiresAt: seconds === undefined ? hintedEnd(accessToken, answer, expected) : after(answer.sentAt, seconds),
    receivedAt: answer.receivedAt,
    refreshToken: expected.refreshable ? granted.refresh_token : undefined,
    scope,
  }
}

async function processed(answer: Answer, { server, client, issuedTokenType }: Expected) {
  // RFC 8693 §2.2.1: N_A is for what is no access token, and an exchange is where such a thing is issued.
  const isOther = issuedTokenType !== undefined && issuedTokenType !== ACCESS_TOKEN_TYPE
  const recognizedTokenTypes = isOther ? { n_a: () => undefined } : {}
  const response = new Response(answer.bytes as Uint8Array<ArrayBuffer>, {
    status: 200,
    headers: { 'content-type': 'application/json' },
  })
  try {
    return await processGenericTokenEndpointResponse(server, client, response, { recognizedTokenTypes })
  } catch {
    throw unusable(answer, 'the members of a token response (RFC 6749 §5.1)')
  }
}

function typeOf(type: string, answer: Answer, { dpop }: Expected): IssuedToken['tokenType'] {
  const { host } = answer.url
  if (type === 'n_a') return 'N_A'
  if (type === 'dpop' && dpop) return 'DPoP'
  if (type === 'bearer' && !dpop) return 'Bearer'
  if (!dpop) throw unusable(answer, 'a bearer token: no proof of a key was shown')
  if (type !== 'bearer') throw unusable(answer, 'a token bound by DPoP')
  const message = `authorization server ${host}: expected a token bound by DPoP, got a bearer token; it is not used`
  throw new AuthError('ERR_AUTH_TOKEN_TYPE_DOWNGRADE', message, { host, requestSent: 'yes' })
}

/** Seconds; `undefined` for none, `null` for what is no lifetime. Some servers write the number as a string. */
function lifetime(value: unknown): number | undefined | null {
  if (value === undefined) return undefined
  const seconds = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value
  return typeof seconds === 'number' && seconds >= 0 && seconds <= MAX_LIFETIME_SECONDS ? seconds : null
}

/** The server says no lifetime: what an access token in the form of a JWT says of itself, unverified, is the best guess. */
function hintedEnd(accessToken: string, { sentAt }: Answer, { offsetMs }: Expected): UnixMs | undefined {
  const [, payload, , ...more] = accessToken.split('.')
  const exp =
    payload === undefined || more.length > 0 ? undefined : jsonObject(Buffer.from(payload, 'base64url'))?.['exp']
  const isPlausible = typeof exp === 'number' && Math.abs(exp - sentAt / 1_000) <= MAX_LIFETIME_SECONDS
  return isPlausible ? toUnixMs(Math.max(sentAt, exp * 1_000 - offsetMs)) : undefined
}

const after = (start: UnixMs, seconds: number): UnixMs => toUnixMs(start + seconds * 1_000)

const MAX_LIFETIME_SECONDS = 10 * 366 * 86_400 // nothing honest lives longer, and a date stays a date
const MAX_DEPTH = 32
