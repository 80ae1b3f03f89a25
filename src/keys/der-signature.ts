import { SignError } from '../errors/errors.ts'
import type { SignatureAlgorithm } from './algorithm.ts'

/**
 * A signature as RFC 9421 §3.3 has it: of ECDSA `r || s`, each as long as the order of the curve.
 *
 * @throws SignError `ERR_SIGN_KEY_UNSUITABLE` for what is none of that algorithm.
 */
export function rawSignature(
  signature: Uint8Array,
  {
    algorithm,
    isDer,
    keyId,
  }: { readonly algorithm: SignatureAlgorithm; readonly isDer: boolean; readonly keyId: string },
): Uint8Array {
  const length = LENGTHS[algorithm]
  const raw = isDer ? fromDer(signature, length / 2) : signature
  const isLongEnough = algorithm.startsWith('rsa') ? signature.length >= length : raw?.length === length
  if (raw !== undefined && isLongEnough) return raw
  const expected = isDer ? 'the DER of r and s' : `${length} octets${algorithm.startsWith('rsa') ? ' or more' : ''}`
  const message = `externalSigner ${keyId}: expected ${expected} as a signature of ${algorithm}, got ${signature.length} octets of something else`
  throw new SignError('ERR_SIGN_KEY_UNSUITABLE', message)
}

/** `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279 §2.2.3), in the one encoding that DER has; `undefined` for all else. */
function fromDer(der: Uint8Array, size: number): Uint8Array | undefined {
  const [tag, length] = der
  if (tag !== SEQUENCE || length === undefined || length >= LONG_FORM || length !== der.length - 2) return undefined
  const raw = new Uint8Array(2 * size)
  let at = 2
  for (const end of [size, 2 * size]) {
    const [integer, octets = 0, first = LONG_FORM, second = 0] = der.subarray(at)
    const value = der.subarray(at + 2, at + 2 + octets)
    if (integer !== INTEGER || octets === 0 || value.length !== octets || first >= LONG_FORM) return undefined // negative
    if (first === 0 && (octets === 1 || second < LONG_FORM)) return undefined // zero, or too long an encoding
    const number = first === 0 ? value.subarray(1) : value
    if (number.length > size) return undefined
    raw.set(number, end - number.length)
    at += 2 + octets
  }
  return at === der.length ? raw : undefined
}

const SEQUENCE = 0x30
const INTEGER = 0x02
const LONG_FORM = 0x80 // two integers of a curve that is used here are shorter
const LENGTHS: Readonly<Record<SignatureAlgorithm, number>> = {
  'hmac-sha256': 32,
  ed25519: 64,
  'ecdsa-p256-sha256': 64,
  'ecdsa-p384-sha384': 96,
  'rsa-pss-sha512': 256,
  'rsa-v1_5-sha256': 256,
}
