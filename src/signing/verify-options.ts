import * as z from 'zod'
import { ConfigurationError } from '../errors/errors.ts'
import type { KeySet } from '../keys/jwks.ts'
import type { SignatureAlgorithm } from '../keys/signer.ts'
import { type KeyResolver, keysById, keysOfSet, type VerificationKey } from '../keys/verification-key.ts'
import { isRuntime, type Runtime } from '../ports/runtime.ts'
import type { Component } from './component.ts'
import type { NonceStore } from './nonce-store.ts'
import { MessageRefusal } from './refusal.ts'
import { covering, type Requirement } from './verify-coverage.ts'

/** Keys of one's own, the key set of an issuer, or a function that finds one. */
export type VerificationKeys = KeyResolver | VerificationKey | readonly VerificationKey[] | KeySet

/** What every verifier is told. */
export interface SignatureRules {
  /** No other counts, whatever a signature says of itself. */
  readonly algorithms: readonly SignatureAlgorithm[]
  /** Since `created`, which a signature needs. */
  readonly maxAgeSec: number
  /** How far the clocks may be apart: added to every limit. Default 30. */
  readonly clockSkewSec?: number
  /** Leaves other signatures aside: by what the signer says they are for, which is signed, or by their name, which is not. */
  readonly tag?: string
  readonly label?: string
  /** Each signature needs a nonce, and counts once. */
  readonly nonces?: NonceStore
}

/** @throws ConfigurationError */
export function resolverOf(keys: VerificationKeys): KeyResolver {
  if (typeof keys === 'function') return keys
  if ('keyFor' in keys) return keysOfSet(keys)
  return keysById([keys].flat() as readonly VerificationKey[])
}

/** @throws ConfigurationError for what is no component. */
export function requirementsOf(name: string, components: readonly Component[]): readonly Requirement[] {
  try {
    return covering(components)
  } catch (error) {
    if (error instanceof MessageRefusal) throw new ConfigurationError('ERR_CONFIG_INVALID', `${name}: ${error.message}`)
    throw error
  }
}

const Text = z.string().min(1).max(256)

export const KeysSchema = z.custom<VerificationKeys>(
  (keys) => typeof keys === 'function' || [keys].flat().every(isKey) || isKeySet(keys),
  'expected verification keys, a key set, or a function that finds a key',
)

const isKey = (key: unknown): boolean =>
  typeof key === 'object' && key !== null && 'keyId' in key && 'algorithm' in key && 'key' in key

const isKeySet = (keys: unknown): boolean => typeof (keys as KeySet | null)?.keyFor === 'function'

export const ComponentsSchema = z.custom<readonly Component[]>(
  (components) => Array.isArray(components) && components.every(isComponent),
  'expected a list of components',
)

const isComponent = (component: unknown): boolean =>
  typeof component === 'string' ||
  (typeof component === 'object' && component !== null && typeof (component as { name?: unknown }).name === 'string')

export const NoncesSchema = z.custom<NonceStore>(
  (store) => typeof (store as NonceStore | null)?.claim === 'function',
  'expected a NonceStore',
)

export const RuntimeSchema = z.custom<Runtime>(isRuntime, 'expected a Runtime')

export const RulesSchema = z.strictObject({
  algorithms: z
    .array(
      z.enum(['ed25519', 'ecdsa-p256-sha256', 'ecdsa-p384-sha384', 'rsa-pss-sha512', 'rsa-v1_5-sha256', 'hmac-sha256']),
    )
    .min(1),
  maxAgeSec: z.int().min(1).max(2_678_400),
  clockSkewSec: z.int().min(0).max(300).default(30),
  tag: Text.optional(),
  label: Text.optional(),
  nonces: NoncesSchema.optional(),
})

export const OriginSchema = z.string().refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url !== undefined && ['https:', 'http:'].includes(url.protocol) && url.origin === text
}, 'expected an origin as https://api.example, in lower case, without a path and without the port of the scheme')
