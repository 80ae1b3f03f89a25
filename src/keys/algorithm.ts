import type { KeyObject } from 'node:crypto'

/** RFC 9421 §3.3: the names of the algorithms. */
export type SignatureAlgorithm =
  | 'hmac-sha256'
  | 'ed25519'
  | 'ecdsa-p256-sha256'
  | 'ecdsa-p384-sha384'
  | 'rsa-pss-sha512'
  | 'rsa-v1_5-sha256'

/** The first algorithm that a key, or either half of its pair, is for. */
export function algorithmFor(key: KeyObject): SignatureAlgorithm | undefined {
  return ALGORITHMS.find((algorithm) => fits(key, algorithm))
}

/** Whether a key, or either half of its pair, is of the kind and the strength that an algorithm needs. */
export function fits(key: KeyObject, algorithm: SignatureAlgorithm): boolean {
  if (key.type === 'secret') return algorithm === 'hmac-sha256' && (key.symmetricKeySize ?? 0) >= MIN_HMAC_OCTETS
  const { asymmetricKeyType: kind, asymmetricKeyDetails: details } = key
  switch (algorithm) {
    case 'hmac-sha256':
      return false
    case 'ed25519':
      return kind === 'ed25519' && isSound(key)
    case 'ecdsa-p256-sha256':
      return kind === 'ec' && details?.namedCurve === 'prime256v1'
    case 'ecdsa-p384-sha384':
      return kind === 'ec' && details?.namedCurve === 'secp384r1'
    case 'rsa-pss-sha512':
      return (kind === 'rsa' || (kind === 'rsa-pss' && allowsSha512(details))) && isSound(key)
    case 'rsa-v1_5-sha256':
      return kind === 'rsa' && isSound(key)
  }
}

/** Whether a key is none that anyone can sign for. */
export function isSound(key: KeyObject): boolean {
  const { asymmetricKeyType: kind = '' } = key
  return kind.startsWith('rsa') ? isSoundRsa(key) : kind !== 'ed25519' || !isOfSmallOrder(key)
}

/** FIPS 186-5 §5.1: anyone can sign for the exponent 1, and a small one has helped before. */
function isSoundRsa({ asymmetricKeyDetails: details }: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 0n } = details ?? {}
  return modulusLength >= MIN_RSA_BITS && publicExponent >= 65_537n && publicExponent % 2n === 1n
}

/** RFC 8032 §5.1.7: to verify is to add a multiple of the key, which is one of eight points at most here, whatever was signed. */
function isOfSmallOrder(key: KeyObject): boolean {
  if (key.type !== 'public') return false // made of a private key, none is
  const known = smallOrder.get(key)
  if (known !== undefined) return known
  const point = key.export({ type: 'spki', format: 'der' }).subarray(-32)
  point[31] = (point[31] ?? 0) & 0x7f // the sign of x; what is left is y
  const isSmall = SMALL_ORDER.has(point.toString('hex'))
  smallOrder.set(key, isSmall)
  return isSmall
}

/** RFC 4055 §1.2: such a key may say what it is for. */
function allowsSha512(details: KeyObject['asymmetricKeyDetails']): boolean {
  const { hashAlgorithm = 'sha512', mgf1HashAlgorithm = 'sha512', saltLength = 0 } = details ?? {}
  return hashAlgorithm === 'sha512' && mgf1HashAlgorithm === 'sha512' && saltLength <= PSS_SALT_OCTETS
}

/** To export a key takes as long as to verify a signature. */
const smallOrder = new WeakMap<KeyObject, boolean>()

/** The y of the points of order 1, 2, 4 and 8, little-endian; 0 and 1 also as p and p + 1, which OpenSSL reads as well. */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
])
const MIN_RSA_BITS = 2_048 // NIST SP 800-131A
const MIN_HMAC_OCTETS = 32 // RFC 7518 §3.2: as long as the hash
const PSS_SALT_OCTETS = 64 // RFC 9421 §3.3.1

export const SUITABLE_KEYS = `an Ed25519, P-256, P-384 or RSA key of ${MIN_RSA_BITS} bits, or a secret of ${MIN_HMAC_OCTETS} octets`

const ALGORITHMS: readonly SignatureAlgorithm[] = [
  'ed25519',
  'ecdsa-p256-sha256',
  'ecdsa-p384-sha384',
  'rsa-pss-sha512',
  'rsa-v1_5-sha256',
  'hmac-sha256',
]

/** What Node's `sign` and `verify` have to be told. */
export const METHODS = {
  ed25519: { hash: null },
  'ecdsa-p256-sha256': { hash: 'sha256', dsaEncoding: 'ieee-p1363' },
  'ecdsa-p384-sha384': { hash: 'sha384', dsaEncoding: 'ieee-p1363' },
  'rsa-pss-sha512': { hash: 'sha512', padding: 6, saltLength: PSS_SALT_OCTETS },
  'rsa-v1_5-sha256': { hash: 'sha256', padding: 1 },
} as const
