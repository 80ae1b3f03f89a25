import { errors, jwtVerify } from 'jose'
import * as z from 'zod'
import { parseOptions } from '../encoding/options.ts'
import { PinfetchError, VerifyError } from '../errors/errors.ts'
import { isPublicKeyAlgorithm, type KeySet, type PublicKeyAlgorithm } from '../keys/jwks.ts'
import { isRuntime, type Runtime } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'

/** What a token has to be (RFC 8725). */
export interface VerifyTokenOptions {
  /** `remoteJwks` or `localJwks`. Never a key that the token brings along. */
  readonly keys: KeySet
  /** Exactly as in the claim `iss`. */
  readonly issuer: string
  /** Who you are. One of them has to be in the claim `aud`. */
  readonly audience: string | readonly string[]
  /** The ones that the issuer is known to use. `none` and HMAC are not among those possible. */
  readonly algorithms: readonly PublicKeyAlgorithm[]
  /** The header `typ`, such as `at+jwt` (RFC 9068) or `JWT`, so that a token for another purpose is refused; `null` where the issuer sets none. */
  readonly type: string | null
  /** How far the clock of the issuer may be from this one. Default 30,000, at most 300,000. */
  readonly clockSkewMs?: number
  /** Refuses tokens that were issued longer ago. */
  readonly maxAgeMs?: number
  /** That have to be there, beside `iss`, `aud` and `exp`. */
  readonly requiredClaims?: readonly string[]
  readonly runtime?: Runtime
}

/** A token whose checks all passed. */
export interface VerifiedToken {
  readonly claims: Readonly<Record<string, unknown>> & { readonly iss: string; readonly exp: number }
  readonly alg: PublicKeyAlgorithm
  readonly kid: string | undefined
}

/**
 * Checks a JWT that was received, as RFC 8725 asks: algorithm, key, signature, type, issuer, audience and times.
 *
 * @throws VerifyError saying what is wrong and nothing of what the token says; ConfigurationError for wrong options.
 *
 * @example
 * const keys = remoteJwks('https://login.example/jwks', { fetch: client.fetch })
 * const { claims } = await verifyToken(token, { keys, issuer: 'https://login.example', audience: 'https://api.example', algorithms: ['ES256'], type: 'at+jwt' })
 */
export async function verifyToken(token: string, options: VerifyTokenOptions): Promise<VerifiedToken> {
  const { keys, issuer, audience, algorithms, type, requiredClaims, ...times } = parseOptions(
    'verifyToken',
    Options,
    options,
  )
  const { clockSkewMs = 30_000, maxAgeMs, runtime = systemRuntime } = times
  if (typeof token !== 'string' || token.length > MAX_LENGTH || !COMPACT.test(token))
    throw new VerifyError(
      'ERR_VERIFY_MALFORMED',
      `token: expected a JWS in compact form of ${MAX_LENGTH} bytes at most`,
    )
  const now = runtime.clock.now()
  try {
    const { payload, protectedHeader } = await jwtVerify(
      token,
      ({ alg, kid }) => {
        if (isPublicKeyAlgorithm(alg)) return keys.keyFor(alg, kid)
        throw new VerifyError('ERR_VERIFY_ALG_MISMATCH', 'token: signed with an algorithm that is not allowed')
      },
      {
        algorithms: [...algorithms],
        issuer,
        audience: typeof audience === 'string' ? audience : [...audience],
        requiredClaims: ['exp', ...(requiredClaims ?? [])],
        clockTolerance: clockSkewMs / 1_000,
        currentDate: new Date(now),
        ...(type === null ? {} : { typ: type }),
        ...(maxAgeMs === undefined ? {} : { maxTokenAge: maxAgeMs / 1_000 }),
      },
    )
    const { iat } = payload
    if (iat !== undefined && !(iat * 1_000 <= now + clockSkewMs))
      throw new VerifyError('ERR_VERIFY_TIME', 'token: issued in the future')
    const { alg, kid } = protectedHeader
    return Object.freeze({
      claims: payload as VerifiedToken['claims'],
      alg: alg as PublicKeyAlgorithm,
      kid,
    })
  } catch (error) {
    throw refusalOf(error)
  }
}

/** The errors of jose hold the claims: none of them becomes a cause. */
function refusalOf(error: unknown): unknown {
  if (error instanceof PinfetchError || !(error instanceof errors.JOSEError)) return error
  if (error instanceof errors.JWTExpired) return new VerifyError('ERR_VERIFY_TIME', `token: ${timeOf(error.claim)}`)
  if (error instanceof errors.JWTClaimValidationFailed) {
    const isTime = TIMES.has(error.claim) && error.reason === 'check_failed'
    if (isTime) return new VerifyError('ERR_VERIFY_TIME', `token: ${timeOf(error.claim)}`)
    const problem = error.reason === 'missing' ? 'is missing' : 'is not the expected one'
    return new VerifyError('ERR_VERIFY_CLAIM', `token: ${error.claim} ${problem}`)
  }
  if (error instanceof errors.JOSEAlgNotAllowed)
    return new VerifyError('ERR_VERIFY_ALG_MISMATCH', 'token: signed with an algorithm that is not allowed')
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return new VerifyError('ERR_VERIFY_FAILED', 'token: the signature is not one of the key')
  return new VerifyError('ERR_VERIFY_MALFORMED', 'token: no JWT that can be understood')
}

function timeOf(claim: string): string {
  if (claim === 'nbf') return 'not valid yet'
  return claim === 'iat' ? 'issued too long ago, or in the future' : 'has expired'
}

const TIMES: ReadonlySet<string> = new Set(['exp', 'nbf', 'iat'])
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/ // an empty signature is that of `none`
const MAX_LENGTH = 16_384

const Text = z.string().min(1)

const Options = z.strictObject({
  keys: z.custom<KeySet>(
    (keys) => typeof (keys as KeySet | null)?.keyFor === 'function',
    'expected remoteJwks or localJwks',
  ),
  issuer: Text,
  audience: z.union([Text, z.array(Text).min(1)], 'expected one audience, or a list of one or more'),
  algorithms: z
    .array(z.custom<PublicKeyAlgorithm>(isPublicKeyAlgorithm, 'expected an algorithm with a public key, such as ES256'))
    .min(1, 'expected the algorithms that the issuer uses'),
  type: z.union([Text, z.null()], 'expected the typ of the header, such as at+jwt, or null where there is none'),
  clockSkewMs: z.int().min(0).max(300_000).optional(),
  maxAgeMs: z.int().min(1).optional(),
  requiredClaims: z.array(Text).optional(),
  runtime: z.custom<Runtime>(isRuntime, 'expected a Runtime').optional(),
})
