import { createHash, createPrivateKey, sign as signBytes } from 'node:crypto'
import { setTimeout as realTime } from 'node:timers/promises'
import { ManifestError } from '../../src/errors/errors.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { customSource, type ManifestSource } from '../../src/manifest/sources.ts'
import { createManifestUpdater, type ManifestUpdater } from '../../src/manifest/updater.ts'
import type { FetchedBytes, FetchLimits } from '../../src/ports/runtime.ts'
import type { HostInput } from '../../src/publisher/documents.ts'
import type { SigningKey } from '../../src/publisher/keys.ts'
import { createRepository, type Repository, type RepositoryOptions } from '../../src/publisher/repository.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { createTestRuntime, type TestRuntime } from '../../src/testing/runtime.ts'

/** What the source has seen of an attempt that has not ended. */
interface Attempt {
  asked: boolean
  hangs: boolean
}

export type Answer = Partial<FetchedBytes> | Error | 'hang'

export interface World {
  readonly repository: Repository
  readonly runtime: TestRuntime
  readonly store: Store
  readonly events: ClientEvent[]
  readonly requests: string[]
  /** Entity tags sent, by request. */
  readonly tags: (string | undefined)[]
  /** What a path answers instead of its file. */
  readonly answers: Map<string, Answer | ((limits: FetchLimits) => Answer)>
  readonly source: ManifestSource
  readonly start: (overrides?: Partial<Parameters<typeof createManifestUpdater>[0]>) => ManifestUpdater
  /** Moves the clock only while the promise needs it to. */
  readonly drive: <T>(promise: Promise<T>) => Promise<T>
  /** Moves the clock for long, waiting whenever an attempt is at work: signatures are verified outside of the fake time. */
  readonly pass: (ms: number) => Promise<void>
  /** A refresh that does not have to wait for the second between two. */
  readonly refresh: (updater: ManifestUpdater) => Promise<void>
  /** Serves these bytes under the path, whatever was published. */
  readonly serve: (path: string, bytes: Uint8Array) => void
  readonly now: () => number
  readonly eventsOf: (type: ClientEvent['type']) => ClientEvent[]
}

export async function createWorld(options: Partial<RepositoryOptions> & { store?: Store } = {}): Promise<World> {
  const { store = memoryStore(), ...given } = options
  const runtime = createTestRuntime()
  const now = (): number => runtime.clock.now()
  const repository = await createRepository({ repo: 'acme/pins', env: 'prod', now: now(), ...given })
  const events: ClientEvent[] = []
  const requests: string[] = []
  const tags: (string | undefined)[] = []
  const answers: World['answers'] = new Map()
  const attempt = { asked: false, hangs: false }
  const source = sourceOf('memory:/', () => repository.files(), { answers, requests, tags, attempt })
  const drive: World['drive'] = async (promise) => {
    let settled = false
    const done = () => {
      settled = true
    }
    promise.then(done, done)
    while (!settled) {
      await Promise.race([promise.catch(() => undefined), realTime(30)])
      if (!settled) await runtime.advance(100)
    }
    return promise
  }
  const pass: World['pass'] = async (ms) => {
    const end = runtime.clock.monotonic() + ms
    while (runtime.clock.monotonic() < end) {
      await runtime.advance(Math.min(60_000, end - runtime.clock.monotonic()))
      while (attempt.asked && !attempt.hangs) await realTime(1)
    }
  }
  return {
    drive,
    pass,
    refresh: async (updater) => {
      await runtime.advance(1_000)
      await drive(updater.refresh())
    },
    serve: (path, bytes) => void answers.set(path, { bytes }),
    repository,
    runtime,
    store,
    events,
    requests,
    tags,
    answers,
    source,
    now,
    start: (overrides = {}) =>
      createManifestUpdater({
        root: repository.anchor,
        source,
        store,
        runtime,
        emit: (event) => {
          events.push(event)
          if (event.type === 'manifest.poll') Object.assign(attempt, { asked: false, hangs: false })
        },
        startupMs: 10_000,
        ...overrides,
      }),
    eventsOf: (type) => events.filter((event) => event.type === type),
  }
}

export function sourceOf(
  name: string,
  files: () => ReadonlyMap<string, Uint8Array>,
  watched: Partial<Pick<World, 'answers' | 'requests' | 'tags'>> & { attempt?: Attempt } = {},
): ManifestSource {
  const { answers, requests = [], tags = [], attempt = { asked: false, hangs: false } } = watched
  return customSource(name, async (path, limits) => {
    attempt.asked = true
    requests.push(path)
    tags.push(limits.ifNoneMatch)
    const given = answers?.get(path)
    const answer = typeof given === 'function' ? given(limits) : given
    if (answer === 'hang') {
      attempt.hangs = true
      return new Promise<never>(() => {})
    }
    if (answer instanceof Error) throw answer
    if (answer !== undefined) return { status: 200, headers: {}, bytes: new Uint8Array(), ...answer }
    const bytes = files().get(path)
    return { status: bytes === undefined ? 404 : 200, headers: {}, bytes: bytes ?? new Uint8Array() }
  })
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)

export const pin = (seed: string): `sha256/${string}` => `sha256/${createHash('sha256').update(seed).digest('base64')}`

export function host(name = 'api.example.com', ...seeds: readonly string[]): HostInput {
  return {
    host: name,
    mode: 'enforce',
    pins: (seeds.length === 0 ? ['one', 'two'] : seeds).map((seed) => ({ spki: pin(seed) })),
  }
}

/** The code with which a promise rejects; fails when it does not, or with something else than a ManifestError. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return (await refusalOf(promise)).code
}

export async function refusalOf(promise: Promise<unknown>): Promise<ManifestError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof ManifestError) return error
    throw error
  }
  throw new Error('expected a refusal')
}

export interface Forgery {
  readonly header?: (header: Record<string, unknown>) => unknown
  readonly entry?: (entry: Record<string, unknown>) => unknown
}

/** Signs any bytes with any header, by node:crypto: what an attacker, or a broken publisher, would serve. */
export function forge(
  payload: Uint8Array | object,
  type: string,
  keys: readonly SigningKey[],
  forgery: Forgery = {},
): Uint8Array {
  return text(JSON.stringify(forgedEnvelope(payload, type, keys, forgery)))
}

export function forgedEnvelope(
  payload: Uint8Array | object,
  type: string,
  keys: readonly SigningKey[],
  forgery: Forgery = {},
) {
  const { header = (value) => value, entry = (value) => value } = forgery
  const bytes = payload instanceof Uint8Array ? payload : text(JSON.stringify(payload))
  const encoded = Buffer.from(bytes).toString('base64url')
  const signatures = keys.map((key) => {
    const head = header({ alg: key.alg, kid: key.kid, typ: `pinfetch-${type}+jws` })
    const protectedHeader = Buffer.from(typeof head === 'string' ? head : JSON.stringify(head)).toString('base64url')
    return entry({ protected: protectedHeader, signature: rawSign(`${protectedHeader}.${encoded}`, key) })
  })
  return { payload: encoded, signatures }
}

function rawSign(input: string, { privateJwk, alg }: SigningKey): string {
  const key = createPrivateKey({ key: { ...privateJwk }, format: 'jwk' })
  const options = alg === 'Ed25519' ? key : ({ key, dsaEncoding: 'ieee-p1363' } as const)
  return signBytes(alg === 'Ed25519' ? null : 'sha256', Buffer.from(input), options).toString('base64url')
}

/** The payload of a document, to be changed and signed again. */
export function payloadOf(document: Uint8Array | undefined): Record<string, unknown> {
  const { payload } = JSON.parse(Buffer.from(document ?? new Uint8Array()).toString()) as { payload: string }
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
}

export const HOUR = 3_600_000
export const DAY = 24 * HOUR

/** A world whose first manifest is in force. */
export async function startedWorld(options: Parameters<typeof createWorld>[0] = {}) {
  const world = await createWorld(options)
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  await world.drive(updater.ready())
  await world.drive(updater.firstAttempt)
  return { world, updater }
}
