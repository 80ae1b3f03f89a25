import {
  createHmac,
  createPublicKey,
  createSecretKey,
  type JsonWebKey,
  KeyObject,
  timingSafeEqual,
  verify,
  type webcrypto,
} from 'node:crypto'
import { ConfigurationError, SignError, VerifyError } from '../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { algorithmFor, fits, METHODS, type SignatureAlgorithm, SUITABLE_KEYS } from './algorithm.ts'
import type { KeySet, PublicKeyAlgorithm } from './jwks.ts'

/** A public key, or a shared secret, and the one algorithm that it is for: the sender of a signature does not choose. */
export interface VerificationKey {
  readonly keyId: string
  readonly algorithm: SignatureAlgorithm
  readonly key: KeyObject
  /** It verifies nothing from then on. */
  readonly retireAt?: UnixMs
}

/** Whether a signature is one of this key. A signature is what somebody sent: whatever it holds, nothing is thrown. */
export function verifySignature(key: VerificationKey, message: Uint8Array, signature: Uint8Array): boolean {
  const { algorithm, key: object } = key
  if (algorithm === 'hmac-sha256') {
    const expected = createHmac('sha256', object).update(message).digest()
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  }
  const { hash, ...how } = METHODS[algorithm]
  return verify(hash, message, algorithm === 'ed25519' ? object : { key: object, ...how }, signature)
}

/**
 * A key that verifies. Of a private one its public half is kept.
 *
 * @param key PEM, JWK, KeyObject or CryptoKey; a secret KeyObject for `hmac-sha256`.
 * @throws SignError `ERR_SIGN_KEY_UNSUITABLE` where the key is none, or is too weak or of another kind than the algorithm.
 */
export function verificationKey(
  key: KeyObject | webcrypto.CryptoKey | string | JsonWebKey,
  { keyId, algorithm: wanted, retireAt }: VerificationKeyOptions,
): VerificationKey {
  const object = keyObject(key)
  const algorithm = wanted ?? algorithmFor(object)
  if (algorithm === undefined) throw unsuitable('no algorithm is for keys of this kind and size')
  if (!fits(object, algorithm)) throw unsuitable(`the key does not fit ${algorithm}`)
  return Object.freeze({
    keyId,
    algorithm,
    key: object,
    ...(retireAt === undefined ? {} : { retireAt: toUnixMs(retireAt.getTime()) }),
  })
}

/** What a public key cannot say of itself. */
export interface VerificationKeyOptions {
  /** As signatures name it. */
  readonly keyId: string
  /** Default: by the kind of the key; RSA is for `rsa-pss-sha512`. */
  readonly algorithm?: SignatureAlgorithm
  /** What it signed is refused from then on. Default: never. */
  readonly retireAt?: Date
}

/** What is known of the key before the signature is verified; the sender wrote it. */
export interface WantedKey {
  /** `undefined` where the signature names none. */
  readonly keyId: string | undefined
  /** Those that the verifier allows; one, where the signature names it. */
  readonly algorithms: readonly SignatureAlgorithm[]
  readonly now: UnixMs
}

/**
 * Finds the key of a signature; `undefined` where there is none.
 *
 * @throws VerifyError where nobody can tell now.
 */
export type KeyResolver = (wanted: WantedKey) => VerificationKey | undefined | Promise<VerificationKey | undefined>

/**
 * Keys by name. A signature without a name is one of the only key, and of none where there are several.
 *
 * @throws ConfigurationError `ERR_CONFIG_INVALID` for two of one name.
 */
export function keysById(keys: readonly VerificationKey[]): KeyResolver {
  const named = new Map(keys.map((key) => [key.keyId, key]))
  if (named.size !== keys.length || keys.length === 0)
    throw new ConfigurationError(
      'ERR_CONFIG_INVALID',
      'expected verification keys, one at least and each of its own keyId',
    )
  const [only] = keys
  return ({ keyId, now }) => {
    const key = keyId === undefined && keys.length === 1 ? only : named.get(keyId ?? '')
    return key === undefined || isRetired(key, now) ? undefined : key
  }
}

export function isRetired({ retireAt }: VerificationKey, now: UnixMs): boolean {
  return retireAt !== undefined && retireAt <= now
}

/** Keys of an issuer, as `remoteJwks` and `localJwks` answer them. A secret is never among them. */
export function keysOfSet(set: KeySet): KeyResolver {
  return async ({ keyId, algorithms }) => {
    let refusal: VerifyError | undefined
    for (const algorithm of algorithms) {
      if (algorithm === 'hmac-sha256') continue
      try {
        const key = await set.keyFor(JWS_ALGORITHMS[algorithm], keyId)
        if (fits(key, algorithm)) return Object.freeze({ keyId: keyId ?? '', algorithm, key })
      } catch (error) {
        if (!(error instanceof VerifyError) || error.code !== 'ERR_VERIFY_ALG_MISMATCH') throw error
        refusal = error
      }
    }
    if (refusal !== undefined) throw refusal
    return undefined
  }
}

function keyObject(key: KeyObject | webcrypto.CryptoKey | string | JsonWebKey): KeyObject {
  try {
    const object = read(key)
    return object.type === 'private' ? createPublicKey(object) : object
  } catch {
    throw unsuitable('the key cannot be read') // without a cause: it could quote the key
  }
}

function read(key: KeyObject | webcrypto.CryptoKey | string | JsonWebKey): KeyObject {
  if (key instanceof KeyObject) return key
  if (typeof key === 'string') return createPublicKey(key)
  if ('algorithm' in key && 'extractable' in key) return KeyObject.from(key as webcrypto.CryptoKey)
  const jwk = key as JsonWebKey
  return jwk.kty === 'oct' ? createSecretKey(jwk.k ?? '', 'base64url') : createPublicKey({ key: jwk, format: 'jwk' })
}

function unsuitable(what: string): SignError {
  return new SignError('ERR_SIGN_KEY_UNSUITABLE', `verificationKey: expected ${SUITABLE_KEYS}; ${what}`)
}

/** RFC 7518 §3.1, RFC 9864: the same algorithms. */
const JWS_ALGORITHMS = {
  ed25519: 'Ed25519',
  'ecdsa-p256-sha256': 'ES256',
  'ecdsa-p384-sha384': 'ES384',
  'rsa-pss-sha512': 'PS512',
  'rsa-v1_5-sha256': 'RS256',
} as const satisfies Record<Exclude<SignatureAlgorithm, 'hmac-sha256'>, PublicKeyAlgorithm>
