import { createPublicKey, type KeyObject } from 'node:crypto'
import { ConfigurationError, VerifyError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { Runtime } from '../ports/runtime.ts'
import { keepProcessAlive, systemRuntime } from '../ports/system.ts'
import { isSound } from './algorithm.ts'

/** JWS algorithms whose key can be public (RFC 7518 §3.1, RFC 9864): a signature that anyone could make proves nothing. */
export type PublicKeyAlgorithm = keyof typeof FITS

/** The public keys of an issuer. */
export interface KeySet {
  /** @throws VerifyError `ERR_VERIFY_KEY_UNKNOWN`, `ERR_VERIFY_ALG_MISMATCH`, `ERR_VERIFY_KEYS_UNAVAILABLE` */
  readonly keyFor: (alg: PublicKeyAlgorithm, kid: string | undefined) => Promise<KeyObject>
}

export interface RemoteJwksOptions {
  /** `client.fetch` of a client that pins the issuer. */
  readonly fetch: typeof globalThis.fetch
  /** Keys older than that are fetched again before they are used. Default 600,000. */
  readonly maxAgeMs?: number
  /** How old keys may become while they cannot be fetched. Default 3,600,000. */
  readonly graceMs?: number
  /** The least time between two fetches, whoever asks for which key. Default 30,000. */
  readonly cooldownMs?: number
  readonly onEvent?: (event: JwksEvent) => void
  readonly runtime?: Runtime
}

export type JwksEvent =
  | { readonly type: 'jwks.refreshed'; readonly url: string; readonly keys: number }
  /** `usable`: the keys at hand still serve. */
  | { readonly type: 'jwks.failed'; readonly url: string; readonly message: string; readonly usable: boolean }

/**
 * The keys behind a `jwks_uri`, fetched when they are first needed, when they are old, and when a token names one that is not
 * among them.
 *
 * @throws ConfigurationError
 */
export function remoteJwks(url: string, options: RemoteJwksOptions): KeySet {
  const {
    fetch,
    maxAgeMs = 600_000,
    graceMs = 3_600_000,
    cooldownMs = 30_000,
    onEvent,
    runtime = systemRuntime,
  } = options
  const target = URL.canParse(url) ? new URL(url) : undefined
  if (target?.protocol !== 'https:' || target.username !== '' || target.password !== '' || typeof fetch !== 'function')
    throw new ConfigurationError('ERR_CONFIG_INVALID', 'remoteJwks: expected an https URL and the fetch of a client')
  const name = `${target.origin}${target.pathname}`
  const { monotonic } = runtime.clock
  let held: { readonly keys: readonly PublicKey[]; readonly at: number } | undefined
  let underway: Promise<void> | undefined
  let triedAt = Number.NEGATIVE_INFINITY
  let failure: Error | undefined

  const age = (): number => (held === undefined ? Number.POSITIVE_INFINITY : monotonic() - held.at)
  const refresh = async (): Promise<void> => {
    triedAt = monotonic()
    try {
      const keys = parseJwks(await download(target.href, fetch, runtime))
      held = { keys, at: monotonic() }
      failure = undefined
      onEvent?.({ type: 'jwks.refreshed', url: name, keys: keys.length })
    } catch (error) {
      failure = scrub(error)
      const message = error instanceof JwksError ? error.message : 'the keys could not be fetched'
      onEvent?.({ type: 'jwks.failed', url: name, message, usable: age() < graceMs })
    }
  }
  /** One fetch for all who wait, and none so soon after another. */
  const refreshed = (): Promise<void> => {
    if (underway === undefined && monotonic() - triedAt < cooldownMs) return Promise.resolve()
    underway ??= refresh().finally(() => {
      underway = undefined
    })
    return underway
  }

  return Object.freeze({
    keyFor: async (alg, kid) => {
      if (age() >= maxAgeMs) await refreshed()
      if (held !== undefined && age() < graceMs && !knows(held.keys, alg, kid)) await refreshed()
      if (held !== undefined && age() < graceMs) return select(held.keys, alg, kid)
      const details = failure === undefined ? {} : { cause: failure }
      throw new VerifyError('ERR_VERIFY_KEYS_UNAVAILABLE', `${name}: no keys, or none that are recent enough`, details)
    },
  } satisfies KeySet)
}

/**
 * Keys that the application has: `{ "keys": [ … ] }`.
 *
 * @throws ConfigurationError
 */
export function localJwks(jwks: { readonly keys: readonly object[] }): KeySet {
  try {
    const keys = parseJwks(JSON.stringify(jwks))
    return Object.freeze({ keyFor: async (alg, kid) => select(keys, alg, kid) } satisfies KeySet)
  } catch (error) {
    if (!(error instanceof JwksError)) throw error
    throw new ConfigurationError('ERR_CONFIG_INVALID', `localJwks: ${error.message}`)
  }
}

export const isPublicKeyAlgorithm = (alg: unknown): alg is PublicKeyAlgorithm =>
  typeof alg === 'string' && Object.hasOwn(FITS, alg)

interface PublicKey {
  readonly kid: string | undefined
  readonly alg: string | undefined
  readonly key: KeyObject
}

class JwksError extends Error {}

/** Keys of unknown kinds are passed over (RFC 7517 §5), and so are those for encryption and those that are not public. */
function parseJwks(text: string): readonly PublicKey[] {
  const given = (parse(text) as { keys?: unknown } | null | undefined)?.keys
  if (!Array.isArray(given)) throw new JwksError('what was received is no JWK set')
  if (given.length > MAX_KEYS) throw new JwksError(`more than ${MAX_KEYS} keys`)
  const keys = given.flatMap((jwk) => readKey(jwk) ?? [])
  if (keys.length === 0) throw new JwksError('no key in it can verify signatures')
  return keys
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function readKey(jwk: unknown): PublicKey | undefined {
  if (typeof jwk !== 'object' || jwk === null) return undefined
  const { kty, crv, x, y, n, e, kid, alg, use, key_ops: operations } = jwk as Record<string, unknown>
  if (use !== undefined && use !== 'sig') return undefined
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined
  if ((kid !== undefined && typeof kid !== 'string') || (alg !== undefined && typeof alg !== 'string')) return undefined
  if (String(n).length > MAX_MODULUS_TEXT || String(e).length > MAX_EXPONENT_TEXT) return undefined // reading one takes seconds
  try {
    const key = createPublicKey({ key: { kty, crv, x, y, n, e } as never, format: 'jwk' }) // nothing private, whatever else is there
    return isSound(key) ? { kid, alg, key } : undefined
  } catch {
    return undefined // of Node for a kind it does not know, a point that is not on its curve
  }
}

function fits({ alg: named, key }: PublicKey, alg: PublicKeyAlgorithm): boolean {
  const [type, curve] = FITS[alg]
  if (named !== undefined && named !== alg && !(EDDSA.has(named) && EDDSA.has(alg))) return false
  return key.asymmetricKeyType === type && (curve === undefined || key.asymmetricKeyDetails?.namedCurve === curve)
}

const knows = (keys: readonly PublicKey[], alg: PublicKeyAlgorithm, kid: string | undefined): boolean =>
  keys.some((key) => (kid === undefined ? fits(key, alg) : key.kid === kid))

/** One key and no more: where two answer to a name, an issuer and an attacker could each mean another one. */
function select(keys: readonly PublicKey[], alg: PublicKeyAlgorithm, kid: string | undefined): KeyObject {
  const named = kid === undefined ? keys : keys.filter((key) => key.kid === kid)
  if (named.length === 0) throw new VerifyError('ERR_VERIFY_KEY_UNKNOWN', 'token: the issuer has no key of that name')
  const fitting = named.filter((key) => fits(key, alg))
  const [key, another] = fitting
  if (key === undefined)
    throw new VerifyError('ERR_VERIFY_ALG_MISMATCH', `token: no key of that name is one for ${alg}`)
  if (another === undefined) return key.key
  throw new VerifyError('ERR_VERIFY_KEY_UNKNOWN', 'token: several keys of the issuer fit, expected one of that name')
}

async function download(url: string, fetch: typeof globalThis.fetch, runtime: Runtime): Promise<string> {
  const ended = new AbortController()
  const cancel = runtime.schedule(TIMEOUT_MS, () => ended.abort(new JwksError(`no answer within ${TIMEOUT_MS} ms`)))
  const letGo = keepProcessAlive()
  try {
    const headers = { accept: 'application/jwk-set+json, application/json' }
    const response = await fetch(url, { redirect: 'error', signal: ended.signal, headers })
    if (response.status !== 200) throw new JwksError(`status ${response.status}, expected 200`)
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of response.body ?? []) {
      length += chunk.length
      if (length > MAX_BYTES) throw new JwksError(`longer than ${MAX_BYTES} bytes`)
      chunks.push(chunk)
    }
    return new TextDecoder().decode(Buffer.concat(chunks))
  } finally {
    ended.abort()
    cancel()
    letGo()
  }
}

const ED25519 = ['ed25519'] as const
const RSA = ['rsa'] as const
const FITS = {
  Ed25519: ED25519,
  EdDSA: ED25519,
  ES256: ['ec', 'prime256v1'],
  ES384: ['ec', 'secp384r1'],
  ES512: ['ec', 'secp521r1'],
  PS256: RSA,
  PS384: RSA,
  PS512: RSA,
  RS256: RSA,
  RS384: RSA,
  RS512: RSA,
} as const satisfies Readonly<Record<string, readonly [type: string, curve?: string]>>

const EDDSA: ReadonlySet<string> = new Set(['EdDSA', 'Ed25519']) // RFC 9864 gave the one curve its own name
const MAX_KEYS = 100
const MAX_MODULUS_TEXT = 2_731 // 16,384 bits, which is the most that OpenSSL verifies with
const MAX_EXPONENT_TEXT = 43 // 256 bits
const MAX_BYTES = 262_144 // a set of 100 RSA keys with their certificates is about that long
const TIMEOUT_MS = 5_000
