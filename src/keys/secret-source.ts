import { timingSafeEqual } from 'node:crypto'
import { dirname, resolve } from 'node:path'
import { isMinted, type ShortSecret } from '../dangerous/loosening.ts'
import { ConfigurationError, KeyError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import { frozenMount, stampOf } from '../manifest/watch.ts'
import type { Cancel, Runtime, UnixMs, WatchFolder } from '../ports/runtime.ts'
import { watchFolder as systemWatchFolder } from '../ports/system.ts'
import { Secret } from './secret.ts'
import { type Reading, readSecret } from './secret-reading.ts'

/**
 * Where a secret comes from. A list is asked in order: the next one only where the one before has none, never where what it
 * has was refused.
 */
export type SecretSource = SingleSource | readonly SingleSource[]

export type SingleSource =
  | ({ readonly env: string } & SourceOptions)
  /** Followed: the one that a rotation puts there is in force within two seconds. `watch: false`: read once, and when refused. */
  | ({ readonly file: string; readonly watch?: boolean } & SourceOptions)
  | ({ readonly value: string | Uint8Array } & SourceOptions)
  | SecretCallback

export interface SourceOptions {
  /** `allowShortSecret` of `pinfetch/dangerous`: 8 bytes are enough. Default 16. */
  readonly allowShort?: ShortSecret
}

/** A vault, a keychain, a cloud's secret manager. Rejects where it cannot be asked. */
export type SecretCallback = (request: {
  /** `rejected`: a server refused `previousVersion`. */
  readonly reason: 'initial' | 'expiring' | 'rejected'
  readonly previousVersion?: string
  readonly signal: AbortSignal
}) => Promise<{
  readonly value: string | Uint8Array
  /** Without one, another value is another version. */
  readonly version?: string
  readonly expiresAt?: Date
  readonly allowShort?: ShortSecret
}>

export interface SecretVersion {
  /** Tells nothing about the secret: may be logged. */
  readonly version: string
  readonly secret: Secret
  readonly expiresAt: UnixMs | undefined
}

/** A source in use: read, followed, and read again when a server refuses what it said. */
export interface OpenSecret {
  /**
   * The version in force. With `rejected`, the version that a server refused: the source is read again, at most once a second,
   * and the answer is another version where there is one, the same otherwise.
   *
   * @throws KeyError `ERR_KEY_SOURCE_MISSING`, `ERR_KEY_SOURCE_INVALID`, `ERR_KEY_SOURCE_UNAVAILABLE`
   */
  readonly current: (rejected?: string) => Promise<SecretVersion> | SecretVersion
  /** The version in force before, for as long as a server may not know the new one yet. */
  readonly previous: () => SecretVersion | undefined
  readonly close: () => void
}

export interface SecretWorld {
  /** In messages and events: `apiKey`, `oauth client secret`. */
  readonly name: string
  readonly runtime: Runtime
  readonly emit: Emit
  readonly watchFolder?: WatchFolder
  /** How long `previous` answers. Default five minutes. */
  readonly overlapMs?: number
}

/**
 * Reads at once what can be read at once, so that a missing variable ends the start and not the first request; a callback is
 * asked when the secret is first needed, and again shortly before the end of what it answered.
 *
 * @throws ConfigurationError for what is no source, KeyError for a source that has no secret.
 */
export function openSecret(source: SecretSource, world: SecretWorld): OpenSecret {
  const { name, runtime, emit, overlapMs = OVERLAP_MS } = world
  if (!isSecretSource(source)) throw new ConfigurationError('ERR_CONFIG_INVALID', `${name}: ${SOURCE_EXPECTED}`)
  const sources = [source].flat().map(withFullPath)
  const ended = new AbortController()
  let held: Held | undefined
  let replaced: { readonly version: SecretVersion; readonly at: number } | undefined
  let underway: Promise<Held> | undefined
  let failure: { readonly error: unknown; readonly at: number } | undefined
  let askedAgainAt = Number.NEGATIVE_INFINITY
  let count = 0

  const adopt = (reading: Reading): Held => {
    failure = undefined
    const isSame = held !== undefined && isEqual(held.secret.revealBytes(), reading.bytes)
    if (!isSame) count += 1
    const next = heldOf(reading, isSame ? held : undefined, held?.version, count, runtime.clock.now())
    for (const effect of weaknessesOf(reading)) {
      if (held === undefined || !weaknessesOf(held).includes(effect))
        tell({ type: 'posture', subject: `${name}: ${reading.source}`, effect })
    }
    if (held !== undefined && !isSame) {
      replaced = { version: held, at: runtime.clock.monotonic() }
      tell({ type: 'secret.changed', name, source: reading.source, version: next.version })
    }
    held = next
    return next
  }
  const fail = (error: unknown): never => {
    const isKnown = failure !== undefined && String(failure.error) === String(error)
    failure = { error, at: runtime.clock.monotonic() }
    if (held !== undefined && !isKnown && error instanceof KeyError && !ended.signal.aborted)
      tell({ type: 'secret.rejected', name, code: error.code, message: error.message })
    throw error
  }
  /** The listeners of a client are added after it was made. */
  const tell = (event: Parameters<Emit>[0]): void => queueMicrotask(() => emit(event))

  const read = (reason: 'initial' | 'expiring' | 'rejected'): Held | Promise<Held> => {
    if (underway !== undefined) return underway
    if (failure !== undefined && runtime.clock.monotonic() - failure.at < PAUSE_MS) throw failure.error
    try {
      const previousVersion = held?.version
      const reading = readSecret(name, sources, { reason, previousVersion, signal: ended.signal, runtime })
      if (!(reading instanceof Promise)) return adopt(reading)
      underway = reading.then(adopt, fail).finally(() => {
        underway = undefined
      })
      return underway
    } catch (error) {
      return fail(error)
    }
  }
  const readOr = (fallback: Held, reason: 'expiring' | 'rejected'): Held | Promise<Held> => {
    try {
      const answer = read(reason)
      return answer instanceof Promise ? answer.catch(() => fallback) : answer
    } catch {
      return fallback // told by `fail`
    }
  }

  const unfollow = follow(sources, world, () => {
    failure = failure && { ...failure, at: Number.NEGATIVE_INFINITY } // what failed a moment ago may be whole now
    if (held !== undefined) void readOr(held, 'expiring')
  })
  if (sources.every((one) => typeof one !== 'function')) {
    try {
      read('initial')
    } catch (error) {
      unfollow()
      throw error
    }
  }
  return {
    current: (rejected) => {
      const now = runtime.clock.now()
      if (held === undefined) return read('initial')
      if (held.expiresAt !== undefined && held.expiresAt <= now) return read('expiring')
      if (rejected === held.version && runtime.clock.monotonic() - askedAgainAt >= PAUSE_MS) {
        askedAgainAt = runtime.clock.monotonic()
        return readOr(held, 'rejected')
      }
      if (held.renewAt !== undefined && held.renewAt <= now) void readOr(held, 'expiring')
      return held
    },
    previous: () => {
      if (replaced === undefined || runtime.clock.monotonic() - replaced.at >= overlapMs) return undefined
      const { expiresAt } = replaced.version
      return expiresAt !== undefined && expiresAt <= runtime.clock.now() ? undefined : replaced.version
    },
    close: () => {
      ended.abort()
      unfollow()
    },
  }
}

export function isSecretSource(value: unknown): value is SecretSource {
  const sources = [value].flat()
  return sources.length > 0 && sources.every(isSingleSource)
}

interface Held extends SecretVersion {
  readonly renewAt: number | undefined
  readonly exposure: string | undefined
  readonly allowance: string | undefined
}

const weaknessesOf = ({ exposure, allowance }: Pick<Reading, 'exposure' | 'allowance'>): readonly string[] =>
  [exposure, allowance].filter((one) => one !== undefined)

function heldOf(
  { bytes, version, expiresAt, exposure, allowance }: Reading,
  same: Held | undefined,
  before: string | undefined,
  count: number,
  now: UnixMs,
): Held {
  const secret = same?.secret ?? new Secret(bytes)
  const named = version ?? String(count)
  const renewAt = expiresAt && expiresAt - Math.min(RENEW_BEFORE_MS, (expiresAt - now) / 5)
  const unique = named === before ? `${named}.${count}` : named // another value under the same name is another version
  return Object.freeze({ version: same?.version ?? unique, secret, expiresAt, renewAt, exposure, allowance })
}

/**
 * Calls back a moment after one of the files became another one: whoever writes it has then finished. What counts is the file
 * that a name leads to, so a swapped link (Kubernetes replaces `..data`) is a change. The first look calls back too, for what
 * changed since the files were read.
 */
function follow(sources: readonly SingleSource[], world: SecretWorld, changed: () => void): Cancel {
  const { name, runtime, emit, watchFolder = systemWatchFolder } = world
  const files = sources.flatMap((one) => ('file' in one && one.watch !== false ? [one.file] : []))
  if (files.length === 0) return () => {}
  let seen: string | undefined
  let hasEnded = false
  let cancelRead: Cancel = () => {}
  let cancelLook: Cancel = () => {}

  const look = async (): Promise<void> => {
    cancelLook()
    const stamp = (await Promise.all(files.map(stampOf))).join('\n')
    if (hasEnded) return
    cancelLook()
    cancelLook = runtime.schedule(LOOK_EVERY_MS, () => void look())
    if (stamp === seen) return
    seen = stamp
    cancelRead()
    cancelRead = runtime.schedule(SETTLE_MS, changed)
  }
  for (const file of files) {
    frozenMount(file).then((message) => {
      if (message !== undefined && !hasEnded) emit({ type: 'secret.source', name, source: `file ${file}`, message })
    })
  }
  const unwatch = [...new Set(files.map(dirname))].map((folder) => watchFolder(folder, () => void look()))
  void look()
  return () => {
    hasEnded = true
    cancelRead()
    cancelLook()
    for (const end of unwatch) end()
  }
}

function isSingleSource(value: unknown): value is SingleSource {
  if (typeof value === 'function') return true
  if (typeof value !== 'object' || value === null) return false
  const { env, file, value: given, watch, allowShort, ...others } = value as Record<string, unknown>
  const isText = (text: unknown): boolean => typeof text === 'string' && text !== '' && !text.includes('\0')
  const isGiven = typeof given === 'string' || given instanceof Uint8Array
  const kinds = [env, file, given].filter((one) => one !== undefined).length
  if (kinds !== 1 || Object.keys(others).length > 0 || (watch !== undefined && file === undefined)) return false
  if (allowShort !== undefined && !isMinted(allowShort, 'shortSecret')) return false
  return (isText(env) || isText(file) || isGiven) && (watch === undefined || typeof watch === 'boolean')
}

function withFullPath(source: SingleSource): SingleSource {
  return 'file' in source ? { ...source, file: resolve(source.file) } : source
}

const isEqual = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)

export const SOURCE_EXPECTED = 'expected { env }, { file }, { value }, a function, or a list of them'
const OVERLAP_MS = 300_000 // servers learn of a new key within minutes
const PAUSE_MS = 1_000 // a source that fails, or a server that refuses everything, must not have it asked in a loop
const RENEW_BEFORE_MS = 60_000
const LOOK_EVERY_MS = 1_500 // network file systems tell nothing
const SETTLE_MS = 200
