import { createHash, type JsonWebKey, type KeyObject } from 'node:crypto'
import { BoundedMap } from '../encoding/bounded-map.ts'
import { AuthError, ConfigurationError } from '../errors/errors.ts'
import { currentSigner, type KeyRing, signersOf } from '../keys/key-ring.ts'
import type { Signer } from '../keys/signer.ts'
import type { Runtime } from '../ports/runtime.ts'
import { publicJwk } from './jwt.ts'

/** A key that tokens are bound to (RFC 9449 §6). */
export interface BindingKey {
  readonly signer: Signer
  readonly jwk: JsonWebKey
  /** RFC 7638 thumbprint. */
  readonly jkt: string
}

export interface BindingKeys {
  /** What new tokens are bound to. @throws AuthError `ERR_AUTH_SIGNER_FAILED` where the ring has no such key. */
  readonly current: () => BindingKey
  /** What a token is bound to, also where another key is in force by now; `undefined` for a key that was never in force here. */
  readonly of: (jkt: string) => BindingKey | undefined
}

/** @throws ConfigurationError where a key cannot be shown. */
export function createBindingKeys(keys: Signer | KeyRing, { clock }: Pick<Runtime, 'clock'>): BindingKeys {
  if (signersOf(keys).some(({ publicKey }) => publicKey === undefined)) {
    const message = 'dpop.signer: expected a signer with a publicKey, which every proof shows; this one has none'
    throw new ConfigurationError('ERR_CONFIG_INVALID', message)
  }
  const bySigner = new WeakMap<Signer, BindingKey>()
  const byThumbprint = new BoundedMap<string, BindingKey>(MAX_KEYS)
  const read = (signer: Signer): BindingKey => {
    const { publicKey } = signer
    if (publicKey === undefined)
      throw new AuthError('ERR_AUTH_SIGNER_FAILED', 'signer: expected one with a publicKey, which a DPoP proof shows')
    const [jwk, jkt] = [publicJwk(publicKey), thumbprintOf(publicKey)]
    const key = Object.freeze({ signer, jwk, jkt })
    bySigner.set(signer, key)
    byThumbprint.set(jkt, key)
    return key
  }
  return {
    current: () => {
      const signer = signerInForce(keys, clock)
      return bySigner.get(signer) ?? read(signer)
    },
    of: (jkt) => byThumbprint.get(jkt),
  }
}

/** @throws AuthError `ERR_AUTH_SIGNER_FAILED`: without what a ring of the application said, which handles secrets. */
export function signerInForce(keys: Signer | KeyRing, clock: Runtime['clock']): Signer {
  try {
    const signer: Partial<Signer> | undefined = currentSigner(keys, clock.now())
    if (typeof signer?.sign === 'function' && typeof signer.keyId === 'string') return signer as Signer
  } catch {
    // told below
  }
  throw new AuthError('ERR_AUTH_SIGNER_FAILED', 'signer: expected a ring with a key that is active now, it gave none')
}

/** As the other side knows it; where no name is said, by its thumbprint. A secret has neither. */
export function keyName({ keyId, publicKey }: Signer): string {
  return keyId === '' && publicKey !== undefined ? thumbprintOf(publicKey) : keyId
}

/** RFC 7638 §3. */
function thumbprintOf(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(JSON.stringify(publicJwk(publicKey)))
    .digest('base64url')
}

/** Tells, once each time, that another key is in force than the one before. Names of keys and thumbprints are public. */
export function createKeyChange(tell: (before: string, after: string) => void): (name: string) => void {
  let last: string | undefined
  return (name) => {
    const before = last
    last = name
    if (before !== undefined && before !== name) tell(before, name)
  }
}

const MAX_KEYS = 16 // one is in force, and perhaps a few before it have tokens under way
