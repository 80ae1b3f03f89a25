import * as z from 'zod'
import { encodeBase64Url } from '../encoding/base64.ts'
import { AllowedOrigins, parseOptions } from '../encoding/options.ts'
import { ConfigurationError, SignError } from '../errors/errors.ts'
import { createKeyWatch, currentSigner, type KeyRing, signersOf } from '../keys/key-ring.ts'
import type { SignatureAlgorithm, Signer } from '../keys/signer.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { signsFor } from './allowed-origins.ts'
import { signatureOctets } from './signature-key.ts'
import type { BoundSigner, RequestPatch, RequestSigner, SignableRequest, SigningHost } from './signing.ts'

/** Members of a protected header (RFC 7515 §4): what has to be understood, `crit` names. */
export interface JwsHeader {
  readonly crit?: readonly string[]
  readonly [name: string]: unknown
}

/** A JWS over the body, in a header field (RFC 7797). */
export interface JwsDetachedOptions {
  readonly keys: Signer | KeyRing
  /** Lower case, as `x-jws-signature`. */
  readonly header: string
  /** What stands in the protected header beside `alg`, `kid` and `b64`. A function is asked for each request. */
  readonly protected?: JwsHeader | ((request: SignableRequest, at: UnixMs) => JwsHeader)
  /** Whether the payload is signed as base64url, as before RFC 7797. Default false: as it is sent. */
  readonly b64?: boolean
  /** A request without a body: left as it is, or signed over nothing. Default `skip`. */
  readonly emptyBody?: 'skip' | 'sign'
  /** As `https://api.example`; requests to others are not signed. Default: all that the client reaches. */
  readonly allowedOrigins?: readonly string[]
  /** How much of a stream is read into memory to be signed. Default 0: a stream is refused. */
  readonly maxBufferBytes?: number
}

/**
 * A JWS over the body, in a header field and without its payload (RFC 7515 appendix F, RFC 7797). It covers the body alone: what
 * binds it to a method or a time stands in `protected`.
 *
 * @throws ConfigurationError
 *
 * @example
 * jwsDetached({ keys: localSigner(privateKey, { keyId: 'payments-2026' }), header: 'x-jws-signature' })
 */
export function jwsDetached(options: JwsDetachedOptions): RequestSigner {
  const settings = parseOptions('jwsDetached', Options, options)
  const { header, allowedOrigins, maxBufferBytes } = settings
  const headerOf = createHeaders(settings)
  return Object.freeze({
    name: 'jwsDetached',
    headers: Object.freeze([header]),
    body: 'bytes',
    ...(maxBufferBytes === undefined ? {} : { maxBufferBytes }),
    bind: (host) => signsFor(allowedOrigins, boundSigner(settings, { headerOf, host })),
    toJSON: () => ({ name: 'jwsDetached', header }),
  } satisfies RequestSigner & { toJSON: () => unknown })
}

function boundSigner({ keys, header, b64, emptyBody }: Settings, { headerOf, host }: Surroundings): BoundSigner {
  const { clock } = host.runtime
  const noteKey = createKeyWatch('jwsDetached', host.emit)
  return {
    sign: (request, context) => {
      const { body } = request
      if (body.kind === 'none' && emptyBody === 'skip') return {}
      if (body.kind === 'stream') throw new SignError('ERR_SIGN_BODY_UNHASHABLE', NO_STREAM)
      const bytes = body.kind === 'none' ? NOTHING : body.bytes
      const at = toUnixMs(clock.now() + host.clockOffset(request.origin))
      const signer = currentSigner(keys, at)
      noteKey(signer)
      const protectedHeader = headerOf(signer, request, at)
      // RFC 7797 §3: as it is, whatever octets it holds; `.` in it moves no border, since it comes last
      const payload = b64 ? Buffer.from(encodeBase64Url(bytes)) : bytes
      const signature = signer.sign(Buffer.concat([Buffer.from(`${protectedHeader}.`), payload]), context)
      const patch = (made: Uint8Array): RequestPatch => {
        const text = signatureOctets(signer.algorithm, made, 'jwsDetached').toString('base64url')
        return { headers: { [header]: `${protectedHeader}..${text}` } }
      }
      return signature instanceof Promise ? signature.then(patch) : patch(signature)
    },
  }
}

interface Surroundings {
  readonly headerOf: ReturnType<typeof createHeaders>
  readonly host: SigningHost
}

/**
 * Protected headers as base64url; one that stays the same is encoded once for each key.
 *
 * @throws ConfigurationError where that is one to refuse.
 */
function createHeaders({ keys, protected: given, b64 }: Settings) {
  const encode = (signer: Signer, members: JwsHeader): string =>
    encodeBase64Url(Buffer.from(JSON.stringify(protectedHeader(signer, members, b64))))
  if (typeof given === 'function')
    return (signer: Signer, request: SignableRequest, at: UnixMs): string => encode(signer, given(request, at))
  const known = new WeakMap<Signer, string>()
  const standing = (signer: Signer): string => {
    const text = known.get(signer) ?? encode(signer, given)
    known.set(signer, text)
    return text
  }
  for (const signer of signersOf(keys)) standing(signer)
  return standing
}

/** @throws ConfigurationError for what a receiver would have to refuse (RFC 7515 §4.1.11, RFC 7797 §6). */
function protectedHeader({ algorithm, keyId }: Signer, members: JwsHeader, b64: boolean): Record<string, unknown> {
  if (!isObject(members)) throw invalid('expected the members of a header')
  const { crit = [], alg, b64: given, ...others } = members
  const names: readonly unknown[] = ALGORITHMS[algorithm]
  if (alg !== undefined && !names.includes(alg)) throw invalid(`alg: expected ${names.join(' or ')} of the key`)
  if (given !== undefined) throw invalid('b64: expected the option b64 alone to say it')
  if (!Array.isArray(crit) || new Set(crit).size !== crit.length)
    throw invalid('crit: expected names, each of them once')
  for (const name of crit) {
    const isExtension = typeof name === 'string' && Object.hasOwn(others, name) && !REGISTERED.has(name)
    if (!isExtension) throw invalid('crit: expected names of extensions that stand in the header')
  }
  const { kid = keyId } = others
  if (keyId !== '' && kid !== keyId) throw invalid(`kid: expected ${keyId}, as the key has it`)
  const critical = b64 ? crit : ['b64', ...crit]
  return {
    alg: alg ?? names[0],
    ...(keyId === '' ? {} : { kid: keyId }),
    ...others,
    ...(b64 ? {} : { b64: false }),
    ...(critical.length === 0 ? {} : { crit: critical }),
  }
}

function invalid(what: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_INVALID', `jwsDetached.protected: ${what}`)
}

/** RFC 7518 §3.1, RFC 8037 §3.1; RFC 9864 has another name for one of them. */
const ALGORITHMS: Readonly<Record<SignatureAlgorithm, readonly string[]>> = {
  'hmac-sha256': ['HS256'],
  ed25519: ['EdDSA', 'Ed25519'],
  'ecdsa-p256-sha256': ['ES256'],
  'ecdsa-p384-sha384': ['ES384'],
  'rsa-pss-sha512': ['PS512'],
  'rsa-v1_5-sha256': ['RS256'],
}

/** RFC 7515 §4.1: whoever knows JWS knows these, beside `alg` and `crit`, which the header does not take from the members. */
const REGISTERED: ReadonlySet<string> = new Set([
  ...['jku', 'jwk', 'kid', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'typ', 'cty'],
])

const NO_STREAM = 'jwsDetached: expected a body in memory, saw a stream, which cannot be read before it is sent'
const NOTHING = new Uint8Array()

type Settings = z.output<typeof Options>

const isFunction = (value: unknown): boolean => typeof value === 'function'
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

const Options = z.strictObject({
  keys: z.custom<Signer | KeyRing>(
    (keys) => isObject(keys) && (isFunction((keys as Signer).sign) || isFunction((keys as KeyRing).current)),
    'expected a signer or a key ring',
  ),
  header: z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9a-z-]{1,100}$/, 'expected the name of a header in lower case, such as x-jws-signature'),
  protected: z
    .custom<NonNullable<JwsDetachedOptions['protected']>>(
      (value) => isFunction(value) || isObject(value),
      'expected the members of a header, or a function that answers them',
    )
    .default({}),
  b64: z.boolean().default(false),
  emptyBody: z.enum(['skip', 'sign']).default('skip'),
  allowedOrigins: AllowedOrigins.optional(),
  maxBufferBytes: z.int().min(0).optional(),
})
