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
import { SignError } from '../errors/errors.ts'
import { openPrivateKey, PassphraseError } from '../x509/material.ts'
import { algorithmFor, fits, METHODS, type SignatureAlgorithm, SUITABLE_KEYS } from './algorithm.ts'

export type { SignatureAlgorithm } from './algorithm.ts'

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
 * @throws SignError `ERR_SIGN_KEY_UNSUITABLE` where the key is none, or is too weak or of another kind than the algorithm.
 */
export function localSigner(key: LocalKey, options: LocalSignerOptions = {}): Signer {
  const object = keyObject(key)
  const algorithm = options.algorithm ?? algorithmFor(object)
  if (algorithm === undefined) throw unsuitable('no algorithm is for keys of this kind and size')
  if (object.type === 'public') throw unsuitable('this one is public')
  if (!fits(object, algorithm)) throw unsuitable(`the key does not fit ${algorithm}`)
  const publicKey = object.type === 'secret' ? undefined : createPublicKey(object)
  const keyId = options.keyId ?? ''
  const sign = signing(algorithm, object)
  return Object.freeze({ algorithm, keyId, sign, ...(publicKey === undefined ? {} : { publicKey }) })
}

/** A private key in this process: PEM, JWK, `KeyObject` or `CryptoKey`. */
export type LocalKey = KeyObject | webcrypto.CryptoKey | string | JsonWebKey

/** What a key cannot say of itself. */
export interface LocalSignerOptions {
  /** As the other side knows the key. Default: none is said. */
  readonly keyId?: string
  /** Default: by the kind of the key; RSA signs with `rsa-pss-sha512`. */
  readonly algorithm?: SignatureAlgorithm
}

function signing(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
): (message: Uint8Array) => Uint8Array | Promise<Uint8Array> {
  if (algorithm === 'hmac-sha256') return (message) => createHmac('sha256', key).update(message).digest()
  const { hash, ...how } = METHODS[algorithm]
  if (algorithm === 'ed25519') return (message) => signWith(hash, message, key) // a key in an object costs Node a fifth more
  const given = { key, ...how }
  if (!algorithm.startsWith('rsa')) return (message) => signWith(hash, message, given)
  return (message) =>
    new Promise((resolve, reject) => {
      signWith(hash, message, given, (error, bytes) => (error === null ? resolve(bytes) : reject(error)))
    })
}

function keyObject(key: LocalKey): KeyObject {
  try {
    if (key instanceof KeyObject) return key
    if (typeof key === 'string') return openPrivateKey(key, undefined)
    if ('algorithm' in key && 'extractable' in key) return KeyObject.from(key as webcrypto.CryptoKey)
    const jwk = key as JsonWebKey
    return jwk.kty === 'oct' ? createSecretKey(jwk.k ?? '', 'base64url') : createPrivateKey({ key: jwk, format: 'jwk' })
  } catch (error) {
    if (error instanceof PassphraseError) throw unsuitable('the key is encrypted: open it first')
    throw unsuitable('the key cannot be read') // without a cause: it could quote the key
  }
}

function unsuitable(what: string): SignError {
  return new SignError('ERR_SIGN_KEY_UNSUITABLE', `localSigner: expected ${SUITABLE_KEYS}; ${what}`)
}
