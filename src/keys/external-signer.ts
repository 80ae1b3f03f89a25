import type { KeyObject } from 'node:crypto'
import { createHash } from 'node:crypto'
import { ConfigurationError, PinfetchError, SignError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { Runtime } from '../ports/runtime.ts'
import { raceSignal, wait } from '../ports/signals.ts'
import { keepProcessAlive, systemRuntime } from '../ports/system.ts'
import { fits, METHODS, type SignatureAlgorithm } from './algorithm.ts'
import { rawSignature } from './der-signature.ts'
import type { Signer } from './signer.ts'
import { verificationKey, verifySignature } from './verification-key.ts'

export interface ExternalSignerOptions {
  /** As the other side knows the key. */
  readonly keyId: string
  readonly algorithm: SignatureAlgorithm
  /** What `sign` wants: the message, or its digest by the hash of the algorithm. */
  readonly input: 'message' | 'digest'
  /** What `sign` answers: ECDSA as `r || s` or as DER, which most key services and few tokens do. */
  readonly output: 'raw' | 'der'
  /** Asks the key service or the token. It should end its work when the signal aborts; nobody waits for it then. */
  readonly sign: (
    data: Uint8Array,
    context: { readonly signal: AbortSignal },
  ) => Promise<Uint8Array | VersionedSignature>
  /** Without it nobody notices that a service signs with another key than the one that was published. */
  readonly publicKey?: KeyObject
  /** How many are asked for at once; the others wait for their turn. Default 16. */
  readonly concurrency?: number
  /** For one signature, waiting and further attempts included. Default 5,000. */
  readonly timeoutMs?: number
  /** Further attempts after one that failed, each after a random wait. Default 2. */
  readonly retries?: number
  readonly runtime?: Runtime
}

/** A service that exchanges keys by itself says which one it was: each version is checked once. */
export interface VersionedSignature {
  readonly signature: Uint8Array
  readonly version: string
}

/**
 * A key that never comes here: of a key service, or of a token by PKCS#11. Whatever goes wrong, no signature is made up: the
 * request fails.
 *
 * @throws ConfigurationError; SignError `ERR_SIGN_KEY_UNSUITABLE` where the public key does not fit.
 */
export function externalSigner(options: ExternalSignerOptions): Signer {
  const { keyId, algorithm, input, output, publicKey, timeoutMs = 5_000, retries = 2 } = options
  const { concurrency = 16, runtime = systemRuntime } = options
  requirePossible(options)
  const key = publicKey && verificationKey(publicKey, { keyId, algorithm })
  const checked = new Set<string>()
  const turns = createTurns(concurrency)

  const ask = async (data: Uint8Array, signal: AbortSignal): Promise<VersionedSignature> => {
    for (let failures = 0; ; failures += 1) {
      const leave = await turns.enter(signal)
      try {
        const answer = await raceSignal(
          Promise.resolve().then(() => options.sign(data, { signal })),
          signal,
        )
        return answer instanceof Uint8Array ? { signature: answer, version: '' } : answer
      } catch (error) {
        if (signal.aborted || failures >= retries) throw error
      } finally {
        leave()
      }
      await wait(runtime, jitter(runtime) * BASE_MS * 2 ** failures, signal)
    }
  }

  const sign: Signer['sign'] = async (message, { signal: given }) => {
    const late = new AbortController()
    const cancel = runtime.schedule(timeoutMs, () => late.abort())
    const letGo = keepProcessAlive()
    try {
      const data = input === 'message' ? message : digestOf(algorithm, message)
      const { signature, version } = await ask(data, AbortSignal.any([given, late.signal]))
      const raw = rawSignature(signature, { algorithm, isDer: output === 'der', keyId })
      if (key !== undefined && !checked.has(version)) {
        if (!verifySignature(key, message, raw)) throw notOfKey(keyId)
        if (checked.size >= MAX_VERSIONS) checked.clear()
        checked.add(version)
      }
      return raw
    } catch (error) {
      if (given.aborted) throw given.reason
      if (error instanceof PinfetchError) throw error
      const problem = late.signal.aborted ? `did not sign within ${timeoutMs} ms` : `failed ${retries + 1} times`
      const details = late.signal.aborted ? {} : { cause: scrub(error) }
      throw new SignError('ERR_SIGN_SIGNER_UNAVAILABLE', `externalSigner ${keyId}: it ${problem}`, details)
    } finally {
      cancel()
      letGo()
    }
  }
  return Object.freeze({ algorithm, keyId, sign, ...(publicKey === undefined ? {} : { publicKey }) })
}

function requirePossible({ algorithm, input, output, publicKey, ...options }: ExternalSignerOptions): void {
  const invalid = (problem: string): ConfigurationError =>
    new ConfigurationError('ERR_CONFIG_INVALID', `externalSigner: ${problem}`)
  const { concurrency = 1, timeoutMs = 1, retries = 0 } = options
  if (typeof options.sign !== 'function') throw invalid('expected a function `sign`')
  if (![concurrency, timeoutMs, retries].every(Number.isInteger) || concurrency < 1 || timeoutMs < 1 || retries < 0)
    throw invalid('expected whole numbers as concurrency, timeoutMs and retries')
  if (output === 'der' && !algorithm.startsWith('ecdsa')) throw invalid('only ECDSA has signatures in DER')
  if (input === 'digest' && !HASHED.test(algorithm)) throw invalid(`${algorithm} signs messages, and no digest`)
  if (publicKey !== undefined && (publicKey.type !== 'public' || !fits(publicKey, algorithm)))
    throw new SignError('ERR_SIGN_KEY_UNSUITABLE', `externalSigner: expected the public key of ${algorithm}`)
}

function digestOf(algorithm: SignatureAlgorithm, message: Uint8Array): Uint8Array {
  const { hash } = algorithm === 'hmac-sha256' ? { hash: 'sha256' } : METHODS[algorithm]
  return createHash(hash ?? 'sha512')
    .update(message)
    .digest()
}

function notOfKey(keyId: string): SignError {
  const message = `externalSigner ${keyId}: its first signature is not one of the public key that was given; nothing was sent`
  return new SignError('ERR_SIGN_SELF_CHECK_FAILED', message)
}

/** First come, first served. */
function createTurns(limit: number): { readonly enter: (signal: AbortSignal) => Promise<() => void> } {
  let busy = 0
  const waiting = new Set<() => void>()
  const leave = (): void => {
    const [next] = waiting
    if (next === undefined) busy -= 1
    else {
      waiting.delete(next)
      next()
    }
  }
  const enter = async (signal: AbortSignal): Promise<() => void> => {
    signal.throwIfAborted()
    if (busy < limit) busy += 1
    else {
      let take = (): void => undefined
      const turn = new Promise<void>((resolve) => {
        take = resolve
      })
      waiting.add(take)
      try {
        await raceSignal(turn, signal)
      } catch (error) {
        if (!waiting.delete(take)) leave() // it was given in the same moment
        throw error
      }
    }
    return leave
  }
  return { enter }
}

/** Between 0 and 1: those who failed together do not come back together. */
function jitter({ random }: Runtime): number {
  const [high = 0, low = 0] = random(2)
  return (high * 256 + low) / 65_535
}

const HASHED = /^(?:ecdsa|rsa)-/
const BASE_MS = 100
const MAX_VERSIONS = 100
