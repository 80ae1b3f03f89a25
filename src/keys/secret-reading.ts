import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { isMinted, type ShortSecret } from '../dangerous/loosening.ts'
import { KeyError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import { type Runtime, toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { weaknessOf } from './secret-rules.ts'
import type { SecretCallback, SingleSource } from './secret-source.ts'

/** What a source had: checked, not yet in force. */
export interface Reading {
  readonly bytes: Uint8Array
  readonly version: string | undefined
  readonly expiresAt: UnixMs | undefined
  /** As `environment variable API_KEY`. */
  readonly source: string
  /** What to tell about a file that others can read. */
  readonly exposure: string | undefined
  /** Why it may be shorter than others, where it is. */
  readonly allowance: string | undefined
}

export interface ReadRequest {
  readonly reason: 'initial' | 'expiring' | 'rejected'
  readonly previousVersion: string | undefined
  /** Ends with whoever wants the secret. */
  readonly signal: AbortSignal
  readonly runtime: Runtime
}

/**
 * Asks the sources in order. The next one is asked where the one before has nothing or does not answer, and never where what it
 * has was refused: a broken secret is to be repaired and not gone round.
 *
 * @param name Whose secret it is, for messages.
 * @throws KeyError, as a rejection where a callback was asked.
 */
export function readSecret(
  name: string,
  sources: readonly SingleSource[],
  request: ReadRequest,
): Reading | Promise<Reading> {
  const [source, ...others] = sources
  if (source === undefined) throw new KeyError('ERR_KEY_SOURCE_MISSING', `${name}: no source`)
  const orNext = (error: unknown): Reading | Promise<Reading> => {
    const isRefused = !(error instanceof KeyError) || error.code === 'ERR_KEY_SOURCE_INVALID'
    if (isRefused || others.length === 0) throw error
    return readSecret(name, others, request)
  }
  try {
    const reading = readOne(`${name}: ${describeSource(source)}`, source, request)
    return reading instanceof Promise ? reading.catch(orNext) : reading
  } catch (error) {
    return orNext(error)
  }
}

function describeSource(source: SingleSource): string {
  if (typeof source === 'function') return 'callback'
  if ('env' in source) return `environment variable ${source.env}`
  return 'file' in source ? `file ${source.file}` : 'value'
}

function readOne(subject: string, source: SingleSource, request: ReadRequest): Reading | Promise<Reading> {
  const found = { source: describeSource(source), version: undefined, expiresAt: undefined, exposure: undefined }
  if (typeof source === 'function') return call(subject, source, request)
  if ('file' in source) return { ...found, ...readFile(subject, source.file, source.allowShort) }
  const value = 'env' in source ? process.env[source.env] : source.value
  if (value === undefined) throw new KeyError('ERR_KEY_SOURCE_MISSING', `${subject} is not set`)
  return { ...found, ...accept(subject, value, source.allowShort) }
}

function readFile(subject: string, path: string, short: ShortSecret | undefined): Accepted & Pick<Reading, 'exposure'> {
  let file: number | undefined
  try {
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)) // a pipe would block for ever
    const entry = fstatSync(file)
    if (!entry.isFile()) throw new KeyError('ERR_KEY_SOURCE_INVALID', `${subject} is not a regular file`)
    if (entry.size > MAX_FILE_BYTES) throw new KeyError('ERR_KEY_SOURCE_INVALID', `${subject} is too long for a secret`)
    const exposure = exposureOf(subject, entry.mode)
    return { ...accept(subject, withoutNewline(readFileSync(file)), short), exposure }
  } catch (error) {
    if (error instanceof KeyError) throw error
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    const code = reason === 'ENOENT' ? 'ERR_KEY_SOURCE_MISSING' : 'ERR_KEY_SOURCE_UNAVAILABLE'
    throw new KeyError(code, `${subject} cannot be read (${reason})`, { cause: scrub(error) })
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** Everyone: refused. The group, as Kubernetes does for `fsGroup`: told. Windows has no such modes. */
function exposureOf(subject: string, mode: number): string | undefined {
  if (process.platform === 'win32' || (mode & 0o077) === 0) return undefined
  const seen = `mode ${(mode & 0o777).toString(8)} lets`
  if ((mode & 0o007) === 0) return `${seen} the group read the secret; 600 does not`
  throw new KeyError(
    'ERR_KEY_SOURCE_INVALID',
    `${subject}: ${seen} everyone on this machine at the secret, expected 600`,
  )
}

/** Exactly one, as editors and `echo` leave it there. */
function withoutNewline(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== LF) return bytes
  return bytes.subarray(0, bytes.at(-2) === CR ? -2 : -1)
}

function call(subject: string, source: SecretCallback, request: ReadRequest): Promise<Reading> {
  const { reason, previousVersion, signal, runtime } = request
  const unavailable = (why: string, details = {}) =>
    new KeyError('ERR_KEY_SOURCE_UNAVAILABLE', `${subject} ${why}`, details)
  const ended = new AbortController()
  return new Promise<Reading>((resolve, reject) => {
    const stop = (): void => reject(unavailable('was not waited for: closed'))
    const cancel = runtime.schedule(CALLBACK_MS, () => reject(unavailable(`did not answer within ${CALLBACK_MS} ms`)))
    signal.addEventListener('abort', stop)
    ended.signal.addEventListener('abort', () => {
      cancel()
      signal.removeEventListener('abort', stop)
    })
    if (signal.aborted) return stop()
    const previous = previousVersion === undefined ? {} : { previousVersion }
    Promise.resolve()
      .then(() => source({ reason, ...previous, signal: ended.signal }))
      .then((answer) => resolve(readAnswer(subject, answer, runtime.clock.now())))
      .catch((error) => reject(error instanceof KeyError ? error : unavailable('failed', { cause: scrub(error) })))
  }).finally(() => ended.abort())
}

function readAnswer(subject: string, answer: unknown, now: UnixMs): Reading {
  const invalid = (what: string) => new KeyError('ERR_KEY_SOURCE_INVALID', `${subject} answered ${what}`)
  if (typeof answer !== 'object' || answer === null) throw invalid('no object')
  const { value, version, expiresAt, allowShort } = answer as Record<string, unknown>
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) throw invalid('no value, expected text or bytes')
  if (version !== undefined && !(typeof version === 'string' && /^[\x21-\x7e]{1,128}$/.test(version)))
    throw invalid('a version that is not 1 to 128 visible characters')
  if (expiresAt !== undefined && !(expiresAt instanceof Date && expiresAt.getTime() > now))
    throw invalid('a secret that has ended, or an end that is no date')
  if (allowShort !== undefined && !isMinted(allowShort, 'shortSecret'))
    throw invalid('an allowShort that is not of allowShortSecret')
  const accepted = accept(subject, value, allowShort)
  const ends = expiresAt === undefined ? undefined : toUnixMs(expiresAt.getTime())
  return { ...accepted, version, expiresAt: ends, source: 'callback', exposure: undefined }
}

type Accepted = Pick<Reading, 'bytes' | 'allowance'>

function accept(subject: string, value: string | Uint8Array, short: ShortSecret | undefined): Accepted {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : new Uint8Array(value)
  const weakness = weaknessOf(bytes, short !== undefined)
  if (weakness !== undefined) throw new KeyError('ERR_KEY_SOURCE_INVALID', `${subject} ${weakness}`)
  return { bytes, allowance: short && `a secret of less than 16 bytes is accepted: ${short.reason}` }
}

const MAX_FILE_BYTES = 100_000
const LF = 0x0a
const CR = 0x0d
const CALLBACK_MS = 10_000 // a vault that takes longer keeps every request waiting
