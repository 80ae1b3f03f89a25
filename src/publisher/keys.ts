import { exportJWK, generateKeyPair } from 'jose'
import { type PublicJwk, thumbprint } from '../manifest/verify.ts'

/** A key that signs documents. `kid` is its RFC 7638 thumbprint; `privateJwk` belongs into a vault, never into a document. */
export interface SigningKey {
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly publicJwk: PublicJwk
  readonly privateJwk: PublicJwk & { readonly d: string }
  /** Who holds it: keys of one holder count once towards a threshold. */
  readonly holder?: string
  readonly note?: string
}

/** Ed25519 for files and tokens that have it; ES256 because every cloud KMS and every PIV token has it. */
export type SigningAlgorithm = 'Ed25519' | 'ES256'

export async function generateSigningKey(
  options: { readonly alg?: SigningAlgorithm; readonly holder?: string; readonly note?: string } = {},
): Promise<SigningKey> {
  const { alg = 'Ed25519', ...about } = options
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  const { kty, crv, x, y, d } = await exportJWK(privateKey)
  const publicJwk = publicJwkOf({ kty, crv, x, y })
  if (d === undefined) throw new TypeError('a generated key without its private part')
  return { kid: thumbprint(publicJwk), alg, publicJwk, privateJwk: { ...publicJwk, d }, ...about }
}

function publicJwkOf(jwk: { kty: unknown; crv: unknown; x: unknown; y: unknown }): PublicJwk {
  const { kty, crv, x, y } = jwk
  if (typeof x !== 'string') throw new TypeError('a generated key without coordinates')
  if (kty === 'OKP' && crv === 'Ed25519') return { kty, crv, x }
  if (kty === 'EC' && crv === 'P-256' && typeof y === 'string') return { kty, crv, x, y }
  throw new TypeError('a generated key of another type than asked for')
}
