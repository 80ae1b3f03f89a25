import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type JsonWebKey,
  KeyObject,
  sign as signWith,
  type webcrypto,
} from 'node:crypto'
import { ConfigurationError } from '../errors/errors.ts'

/** RFC 9421 §3.3: the names of the algorithms. */
export type SignatureAlgorithm =
  | 'hmac-sha256'
  | 'ed25519'
  | 'ecdsa-p256-sha256'
  | 'ecdsa-p384-sha384'
  | 'rsa-pss-sha512'
  | 'rsa-v1_5-sha256'

/** A key that signs, wherever it is kept: in this process, an HSM or a key service. */
export interface Signer {
  readonly algorithm: SignatureAlgorithm
  readonly keyId: string
  /** Needed where the key is shown with the signature, as in a DPoP proof. */
  readonly publicKey?: KeyObject
  /** ECDSA as `r || s` (RFC 7518 §3.4), never DER. */
  readonly sign: (message: Uint8Array, context: { readonly signal: AbortSignal }) => Uint8Array | Promise<Uint8Array>
}

/**
 * Signs with a private key, or an HMAC secret, of this process. The key is read once. RSA signs in Node's thread pool, since one
 * signature would hold up the event loop for a millisecond; the others are quicker than the way there.
 *
 * @param key PEM, JWK, KeyObject or CryptoKey; a secret KeyObject for `hmac-sha256`.
 * @throws ConfigurationError `ERR_CONFIG_INVALID` where the key is none, or is too weak or of another kind than the algorithm.
 */
export function localSigner(key: LocalKey, options: LocalSignerOptions = {}): Signer {
  const object = keyObject(key)
  const algorithm = options.algorithm ?? algorithmOf(object)
  if (!fits(object, algorithm)) throw unsuitable(`the key does not fit ${algorithm}`)
  const publicKey = object.type === 'secret' ? undefined : createPublicKey(object)
  const keyId = options.keyId ?? ''
  const sign = (message: Uint8Array): Uint8Array | Promise<Uint8Array> => signature(algorithm, object, message)
  return Object.freeze({ algorithm, keyId, sign, ...(publicKey === undefined ? {} : { publicKey }) })
}

export type LocalKey = KeyObject | webcrypto.CryptoKey | string | JsonWebKey

export interface LocalSignerOptions {
  /** As the other side knows the key. Default: none is said. */
  readonly keyId?: string
  /** Default: by the kind of the key; RSA signs with `rsa-pss-sha512`. */
  readonly algorithm?: SignatureAlgorithm
}

function signature(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  message: Uint8Array,
): Uint8Array | Promise<Uint8Array> {
  if (algorithm === 'hmac-sha256') return createHmac('sha256', key).update(message).digest()
  const { hash, ...how } = METHODS[algorithm]
  if (key.asymmetricKeyType !== 'rsa') return signWith(hash, message, { key, ...how })
  return new Promise((resolve, reject) => {
    signWith(hash, message, { key, ...how }, (error, bytes) => (error === null ? resolve(bytes) : reject(error)))
  })
}

function keyObject(key: LocalKey): KeyObject {
  try {
    if (key instanceof KeyObject) return key
    if (typeof key === 'string') return createPrivateKey(key)
    if ('algorithm' in key && 'extractable' in key) return KeyObject.from(key as webcrypto.CryptoKey)
    const jwk = key as JsonWebKey
    return jwk.kty === 'oct' ? createSecretKey(jwk.k ?? '', 'base64url') : createPrivateKey({ key: jwk, format: 'jwk' })
  } catch {
    throw unsuitable('the key cannot be read') // without a cause: it could quote the key
  }
}

function algorithmOf(key: KeyObject): SignatureAlgorithm {
  const algorithm = ALGORITHMS.find((one) => fits(key, one))
  if (algorithm === undefined) throw unsuitable('no algorithm is for keys of this kind and size')
  return algorithm
}

function fits(key: KeyObject, algorithm: SignatureAlgorithm): boolean {
  if (key.type === 'secret') return algorithm === 'hmac-sha256' && (key.symmetricKeySize ?? 0) >= MIN_HMAC_OCTETS
  if (key.type !== 'private') return false
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  switch (algorithm) {
    case 'hmac-sha256':
      return false
    case 'ed25519':
      return key.asymmetricKeyType === 'ed25519'
    case 'ecdsa-p256-sha256':
      return key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1'
    case 'ecdsa-p384-sha384':
      return key.asymmetricKeyType === 'ec' && namedCurve === 'secp384r1'
    case 'rsa-pss-sha512':
    case 'rsa-v1_5-sha256':
      return key.asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS
  }
}

function unsuitable(what: string): ConfigurationError {
  const message = `localSigner: expected an Ed25519, P-256, P-384 or RSA key of ${MIN_RSA_BITS} bits, or a secret of ${MIN_HMAC_OCTETS} octets; ${what}`
  return new ConfigurationError('ERR_CONFIG_INVALID', message)
}

const ALGORITHMS = [
  'ed25519',
  'ecdsa-p256-sha256',
  'ecdsa-p384-sha384',
  'rsa-pss-sha512',
  'rsa-v1_5-sha256',
  'hmac-sha256',
] as const

const METHODS = {
  ed25519: { hash: null },
  'ecdsa-p256-sha256': { hash: 'sha256', dsaEncoding: 'ieee-p1363' },
  'ecdsa-p384-sha384': { hash: 'sha384', dsaEncoding: 'ieee-p1363' },
  'rsa-pss-sha512': { hash: 'sha512', padding: 6, saltLength: 64 },
  'rsa-v1_5-sha256': { hash: 'sha256', padding: 1 },
} as const

const MIN_RSA_BITS = 2_048 // NIST SP 800-131A
const MIN_HMAC_OCTETS = 32 // RFC 7518 §3.2: as long as the hash
