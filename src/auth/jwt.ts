import type { JsonWebKey, KeyObject } from 'node:crypto'
import { encodeBase64Url } from '../encoding/base64.ts'
import { AuthError } from '../errors/errors.ts'
import type { SignatureAlgorithm, Signer } from '../keys/signer.ts'

/**
 * A JWT in JWS compact form (RFC 7515 §7.1).
 *
 * @throws AuthError `ERR_AUTH_SIGNER_FAILED`, without what the signer said: it may quote what it was asked to sign.
 */
export async function signJwt(signer: Signer, { header, claims, signal }: JwtContent): Promise<string> {
  const parts = [{ ...header, alg: JWS_ALGORITHMS[signer.algorithm] }, claims]
  const input = parts.map((part) => encodeBase64Url(Buffer.from(JSON.stringify(part)))).join('.')
  try {
    const signature = await signer.sign(Buffer.from(input), { signal })
    if (signature instanceof Uint8Array && signature.length > 0) return `${input}.${encodeBase64Url(signature)}`
  } catch (error) {
    throw signerFailed(error instanceof Error ? error.name : 'an error of no class')
  }
  throw signerFailed('no bytes')
}

interface JwtContent {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
  readonly signal: AbortSignal
}

/** The members of a public key that name it and nothing else (RFC 7638 §3.2). */
export function publicJwk(publicKey: KeyObject): JsonWebKey {
  const { kty, crv, e, n, x, y } = publicKey.export({ format: 'jwk' })
  return JSON.parse(JSON.stringify({ crv, e, kty, n, x, y })) // in the order of the thumbprint, without what is absent
}

function signerFailed(what: string): AuthError {
  return new AuthError('ERR_AUTH_SIGNER_FAILED', `signer: expected a signature, got ${what}`)
}

/** RFC 7518 §3.1, RFC 8037 §3.1. */
const JWS_ALGORITHMS = {
  'hmac-sha256': 'HS256',
  ed25519: 'EdDSA',
  'ecdsa-p256-sha256': 'ES256',
  'ecdsa-p384-sha384': 'ES384',
  'rsa-pss-sha512': 'PS512',
  'rsa-v1_5-sha256': 'RS256',
} as const satisfies Record<SignatureAlgorithm, string>
