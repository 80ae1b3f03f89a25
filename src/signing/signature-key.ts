import { createHash, type KeyObject } from 'node:crypto'
import { serializeString } from 'structured-headers'
import { SignError } from '../errors/errors.ts'
import { fits } from '../keys/algorithm.ts'
import type { SignatureAlgorithm, Signer } from '../keys/signer.ts'

/**
 * The name of a key in a signature: the one of its signer, or its RFC 7638 thumbprint; `undefined` where none is said.
 *
 * @throws SignError `ERR_SIGN_KEY_UNSUITABLE` for a key that does not fit its algorithm, or has a name that no signature can give.
 */
export function keyidOf(
  { keyId, algorithm, publicKey }: Signer,
  byThumbprint: boolean,
  subject?: string,
): string | undefined {
  if (publicKey !== undefined && !fits(publicKey, algorithm))
    throw unsuitable(`the key does not fit ${algorithm}`, subject)
  if (!ASCII.test(keyId)) throw unsuitable('expected a keyId in ASCII', subject)
  if (!byThumbprint) return keyId === '' ? undefined : keyId
  if (algorithm === 'hmac-sha256') throw unsuitable('expected a key pair, for the other side looks its public half up')
  const thumbprint = publicKey === undefined ? keyId : thumbprintOf(publicKey)
  if (THUMBPRINT.test(thumbprint) && (keyId === '' || keyId === thumbprint)) return thumbprint
  throw unsuitable('expected the RFC 7638 thumbprint of the public key as keyId')
}

export function signatureText(algorithm: SignatureAlgorithm, signature: Uint8Array): string {
  return signatureOctets(algorithm, signature, 'httpSignature').toString('base64')
}

/** @throws SignError `ERR_SIGN_KEY_UNSUITABLE` for bytes of another length than the algorithm gives: DER, say. */
export function signatureOctets(algorithm: SignatureAlgorithm, signature: Uint8Array, subject: string): Buffer {
  const [least, most] = LENGTHS[algorithm]
  if (!(signature instanceof Uint8Array) || signature.length < least || signature.length > most) {
    const seen = signature instanceof Uint8Array ? `${signature.length} octets` : 'something else'
    throw unsuitable(`expected a signature of ${least} octets${most > least ? ' or more' : ''}, saw ${seen}`, subject)
  }
  return Buffer.from(signature.buffer, signature.byteOffset, signature.length)
}

/** RFC 7638 §3: the required members, by name. */
function thumbprintOf(key: KeyObject): string {
  const jwk = key.export({ format: 'jwk' })
  const members = ['crv', 'e', 'kty', 'n', 'x', 'y'].flatMap((name) => (name in jwk ? [[name, jwk[name]]] : []))
  return createHash('sha256')
    .update(JSON.stringify(Object.fromEntries(members)))
    .digest('base64url')
}

export function parameterText(name: string, value: string | undefined): string {
  return value === undefined ? '' : `;${name}=${serializeString(value)}`
}

function unsuitable(what: string, subject = 'httpSignature'): SignError {
  return new SignError('ERR_SIGN_KEY_UNSUITABLE', `${subject}: ${what}; nothing was signed`)
}

const ASCII = /^[\x20-\x7e]*$/
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/
const LENGTHS: Readonly<Record<SignatureAlgorithm, readonly [number, number]>> = {
  'hmac-sha256': [32, 32],
  ed25519: [64, 64],
  'ecdsa-p256-sha256': [64, 64],
  'ecdsa-p384-sha384': [96, 96],
  'rsa-pss-sha512': [256, 2_048],
  'rsa-v1_5-sha256': [256, 2_048],
}
