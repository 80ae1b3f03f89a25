import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import type { PublicJwk } from '../manifest/verify.ts'
import type { SigningAlgorithm, SigningKey } from './keys.ts'

/**
 * Whoever signs: a key in memory, a command in front of a KMS, HSM or token. The seam through which every signature of a
 * document is made; nothing else about a document depends on where its keys are.
 */
export interface Signer {
  readonly kid: string
  readonly alg: SigningAlgorithm
  /** @returns The raw signature as JWS has it: 64 bytes, for ES256 r and s of 32 each (RFC 7518 §3.4, RFC 8037 §3.1). */
  readonly sign: (signingInput: Uint8Array) => Promise<Uint8Array>
}

/** A key that is here. */
export function keySigner({ kid, alg, privateJwk }: SigningKey): Signer {
  const key = createPrivateKey({ key: { ...privateJwk }, format: 'jwk' })
  return { kid, alg, sign: async (input) => new Uint8Array(sign(HASH[alg], input, { key, dsaEncoding: 'ieee-p1363' })) }
}

/** Whether a signature is one of this key over these bytes: asked before a stranger's answer is published. */
export function isSignature(
  signature: Uint8Array,
  input: Uint8Array,
  { alg, publicJwk }: { readonly alg: SigningAlgorithm; readonly publicJwk: PublicJwk },
): boolean {
  const key = createPublicKey({ key: { ...publicJwk }, format: 'jwk' })
  return verify(HASH[alg], input, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

const HASH = { Ed25519: null, ES256: 'sha256' } as const
