import { createHash, createSecretKey, KeyObject } from 'node:crypto'
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader, errors } from 'jose'
import { ConfigurationError, StoreError } from '../../errors/errors.ts'
import type { TokenCipher } from './store.ts'

/** Keys that stored tokens are encrypted with. */
export interface JweCipherOptions {
  /** By name: 32 random bytes each. Records are read with any of them. */
  readonly keys: Readonly<Record<string, KeyObject | Uint8Array>>
  /** The name of the one to write with. */
  readonly current: string
}

/**
 * Tokens as JWE (RFC 7516): `dir` and A256GCM. The protected header has the name of the key, and the hash of the record’s own
 * key, so that a token moved to another record does not open there.
 *
 * @throws ConfigurationError
 */
export function jweCipher({ keys, current }: JweCipherOptions): TokenCipher {
  const ring = new Map(Object.entries(keys).map(([kid, key]) => [kid, secretKey(kid, key)]))
  const writing = ring.get(current)
  if (writing === undefined) throw invalid('current: names no key of `keys`')

  return Object.freeze({
    seal: (text, context) =>
      new CompactEncrypt(new TextEncoder().encode(text))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: current, [CONTEXT]: hashOf(context) })
        .encrypt(writing),
    open: async (sealed, context) => {
      const kid = kidOf(sealed)
      const key = kid === undefined ? undefined : ring.get(kid)
      if (key === undefined) throw failed('it was sealed with a key that is not in the ring')
      const { plaintext, protectedHeader } = await compactDecrypt(sealed, key, ALGORITHMS).catch((error) => {
        if (error instanceof errors.JOSEError) throw failed(`it does not open (${error.code})`)
        throw error
      })
      if (protectedHeader[CONTEXT] === hashOf(context)) return new TextDecoder().decode(plaintext)
      throw new StoreError('ERR_STORE_CONTEXT_MISMATCH', 'token store: a record that was sealed for another one')
    },
  } satisfies TokenCipher)
}

function secretKey(kid: string, key: KeyObject | Uint8Array): KeyObject {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(kid)) throw invalid('keys: a name is 1 to 64 letters, digits, dots, _ and -')
  const object = key instanceof Uint8Array && key.length > 0 ? createSecretKey(key) : key
  if (object instanceof KeyObject && object.type === 'secret' && object.symmetricKeySize === 32) return object
  throw invalid(`keys.${kid}: expected a secret key of 32 bytes`)
}

function kidOf(sealed: string): string | undefined {
  try {
    const { kid } = decodeProtectedHeader(sealed)
    return kid
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

const hashOf = (context: string): string => createHash('sha256').update(context).digest('base64url')

const failed = (why: string): StoreError => new StoreError('ERR_STORE_DECRYPT_FAILED', `token store: ${why}`)

const invalid = (what: string): ConfigurationError => new ConfigurationError('ERR_CONFIG_INVALID', `jweCipher.${what}`)

const CONTEXT = 'pinfetch-record'
const ALGORITHMS = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] }
