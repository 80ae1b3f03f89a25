import type { CanonicalOrigin } from '../encoding/host.ts'
import { createEmitter, type Emitter } from '../events/emitter.ts'
import { createManifestSource, mirrorOf } from '../manifest/sources.ts'
import { createManifestUpdater, type ManifestHealth, type ManifestUpdater } from '../manifest/updater.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { keepProcessAlive, watchFolder } from '../ports/system.ts'
import { fileStore } from '../stores/file.ts'
import { memoryStore } from '../stores/memory.ts'
import type { ConnectorOptions } from '../transport/connector.ts'
import { PinnedDispatcher } from '../transport/dispatcher.ts'
import { createFetchBytes } from '../transport/fetch-bytes.ts'
import { createAnchorLookup } from './anchors.ts'
import { createEvidence } from './evidence.ts'
import { createFetch, sendOver } from './fetch.ts'
import { type ClientOptions, type ResolvedManifest, resolveOptions } from './options.ts'
import { bootstrapPolicy, createPolicies } from './policies.ts'
import { findLoosenings, findPosture, surroundings } from './posture.ts'

export interface ClientHealth {
  /** `ready`: a verified policy is in force. `degraded`: it is, but stale or a fallback. `unready`: requests are refused. */
  readonly state: 'ready' | 'degraded' | 'unready' | 'closed'
  /** `undefined` for a client with pins in code alone. */
  readonly manifest?: ManifestHealth
  /** Handshakes that ended in a connection, and how many of their certificates something said good of. */
  readonly revocation: { readonly handshakes: number; readonly good: number }
}

export interface Client {
  /** WHATWG fetch for https URLs of covered hosts. Rejects with a PinfetchError, or with the caller's own abort reason. */
  readonly fetch: typeof globalThis.fetch
  /** Resolves when a verified policy is in force; rejects with the reason after `startupMs`. */
  readonly ready: () => Promise<void>
  readonly health: () => ClientHealth
  readonly manifest: {
    /** Asks for an update now, at most once a second; resolves when the attempt ended, rejects with why it failed. */
    readonly refresh: () => Promise<void>
    /** 0 while none is in force. */
    readonly version: number
  }
  /** Returns the function that ends the subscription. */
  readonly on: Emitter['on']
  /** Lets requests in flight finish, then frees every socket and timer. */
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/**
 * Creates a client. Synchronous: wrong options throw at once, and the first manifest is fetched in the background.
 *
 * @throws ConfigurationError naming the option; ManifestError when the trusted root itself is unreadable.
 */
export function createClient(options: ClientOptions): Client {
  const resolved = resolveOptions(options)
  const { runtime, timeouts } = resolved
  const { emit, hasListeners, on } = createEmitter()
  const connection: Omit<ConnectorOptions, 'policyOf'> & { headersTimeoutMs: number; bodyTimeoutMs: number } = {
    runtime,
    emit,
    connectTimeoutMs: timeouts.connectMs,
    headersTimeoutMs: timeouts.headersMs,
    bodyTimeoutMs: timeouts.bodyMs,
    ...(resolved.resolver === undefined ? {} : { resolver: resolved.resolver }),
  }
  const anchorsFor = createAnchorLookup(resolved.anchors)
  let now = (): UnixMs => runtime.clock.now()
  const judging = { ...runtime, clock: { now: () => now(), monotonic: () => runtime.clock.monotonic() } }
  const policies = createPolicies({
    options: { ...resolved, runtime: judging },
    emit,
    anchorsFor,
    view: () => manifest?.updater.current(),
  })
  const revocation = { handshakes: 0, good: 0 }
  const { cacheDir } = resolved.manifest ?? {}
  const evidence = createEvidence(resolved, {
    store: cacheDir === undefined ? { ...memoryStore(), volatile: true } : fileStore(cacheDir),
    emit,
    onChange: () => dispatcher.evidenceChanged(),
  })
  const dispatcher = new PinnedDispatcher({
    ...connection,
    runtime: judging,
    evidence,
    emit: (event) => {
      emit(event)
      if (event.type === 'revocation.checked') {
        revocation.handshakes += 1
        if (event.status === 'good') revocation.good += 1
      }
      // Perhaps the key moved and the manifest with it, within the poll interval.
      if (event.type === 'tls.rejected' && event.code === 'ERR_TRUST_PIN_MISMATCH')
        manifest?.updater.requestEarlyRefresh()
    },
    ...(resolved.certificate === undefined ? {} : { certificate: resolved.certificate }),
    policyOf: policies.of,
  })
  const manifest = resolved.manifest === undefined ? undefined : startManifest(resolved.manifest)
  if (manifest !== undefined) now = manifest.updater.time

  /** The loop is cut here: the manifest arrives over a dispatcher that knows bootstrap pins and no manifest. */
  function startManifest(given: ResolvedManifest) {
    const { locations, custom, root, cacheDir, memoryOnly, bootstrapPins, bootstrap: shipped, ...rest } = given
    const bootstrap = new PinnedDispatcher({
      ...connection,
      policyOf: (origin) => bootstrapPolicy(origin, bootstrapPins, anchorsFor(origin.host)),
    })
    const updater: ManifestUpdater = createManifestUpdater({
      ...rest,
      root,
      source: custom ?? createManifestSource(locations, createFetchBytes(bootstrap), { runtime, watchFolder }),
      ...(shipped === undefined ? {} : { bootstrap: mirrorOf(shipped, createFetchBytes(bootstrap)) }),
      store: cacheDir === undefined ? { ...memoryStore(), volatile: true } : fileStore(cacheDir),
      runtime,
      emit: (event) => {
        emit(event)
        if (event.type === 'manifest.stale') sayStale(event.version, updater.health().expiresAt)
      },
      beforeActivation: (view) => {
        const { of } = createPolicies({ options: resolved, emit: () => {}, anchorsFor, view: () => view })
        const hosts = dispatcher.seen.refusedUnder(of, runtime.clock.now())
        if (hosts.length > 0) emit({ type: 'manifest.wouldBreak', version: view.version, hosts })
      },
      onChange: () => dispatcher.policyChanged(),
    })
    if (cacheDir === undefined && !memoryOnly) process.stderr.write(NO_CACHE_DIR)
    return { updater, bootstrap }
  }

  const gate = (origin: CanonicalOrigin, signal: AbortSignal | null): Promise<void> | undefined => {
    if (manifest === undefined) return undefined
    const { updater } = manifest
    const { kind } = updater.current()
    if (kind === 'expired') return awoken(updater.awake(), signal)
    if (kind !== 'cold') return undefined
    const settled = policies.bundled(origin) ? updater.firstAttempt : serving(updater).catch(() => undefined)
    return held(abortable(settled, signal)) // what stays missing is refused by `policies.of`, with its reason
  }

  /** A shipped manifest serves as soon as the source was asked once. */
  const serving = async (updater: ManifestUpdater): Promise<void> => {
    if (resolved.manifest?.bootstrap !== undefined) await updater.firstAttempt
    if (updater.current().bootstrapUntil === undefined) await updater.ready()
  }

  const awoken = (waking: Promise<void> | undefined, signal: AbortSignal | null): Promise<void> | undefined =>
    waking === undefined ? undefined : held(abortable(waking, signal))

  const close = async (): Promise<void> => {
    await Promise.all([manifest?.updater.close(), dispatcher.close(), evidence.close(), manifest?.bootstrap.close()])
  }

  queueMicrotask(() => {
    if (!hasListeners('posture')) return // a listener is added in the tick of createClient or misses the start
    const findings = [...findLoosenings(resolved, runtime.clock.now()), ...findPosture(surroundings())]
    for (const finding of findings) emit({ type: 'posture', ...finding })
  })
  return Object.freeze({
    fetch: createFetch({ send: sendOver(dispatcher), gate }),
    ready: async () => {
      if (manifest === undefined) return
      await held(resolved.pins.length === 0 ? serving(manifest.updater) : manifest.updater.firstAttempt)
    },
    health: () => ({ ...healthOf(manifest?.updater, resolved.pins.length > 0), revocation: { ...revocation } }),
    manifest: Object.freeze({
      refresh: async () => manifest && held(manifest.updater.refresh()),
      get version() {
        return manifest?.updater.current().version ?? 0
      },
    }),
    on,
    close,
    [Symbol.asyncDispose]: close,
  })
}

/** Once a process, even where nothing listens: somebody has days to act before requests are refused. */
function sayStale(version: number, expiresAt: UnixMs | undefined): void {
  if (staleSaid) return
  staleSaid = true
  const until = expiresAt === undefined ? '' : `; requests are refused from ${new Date(expiresAt).toISOString()} on`
  process.stderr.write(`pinfetch: manifest ${version} is stale, its status has expired${until}\n`)
}

function healthOf(updater: ManifestUpdater | undefined, hasPinsInCode: boolean): Omit<ClientHealth, 'revocation'> {
  if (updater === undefined) return { state: 'ready' }
  const manifest = updater.health()
  const { everAccepted, bootstrapUntil } = updater.current()
  const servesFallback = manifest.state === 'cold' && (bootstrapUntil !== undefined || (hasPinsInCode && !everAccepted))
  return { state: servesFallback ? 'degraded' : HEALTH[manifest.state], manifest }
}

/** The client's own timers keep no process alive; a caller who waits does. */
async function held<T>(work: Promise<T>): Promise<T> {
  const release = keepProcessAlive()
  try {
    return await work
  } finally {
    release()
  }
}

async function abortable(work: Promise<void>, signal: AbortSignal | null): Promise<void> {
  if (signal === null) return work
  signal.throwIfAborted()
  let stop = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

let staleSaid = false

const HEALTH = { cold: 'unready', fresh: 'ready', stale: 'degraded', expired: 'unready', closed: 'closed' } as const

const NO_CACHE_DIR =
  'pinfetch: no manifest.cacheDir, so a restart forgets which manifest was the newest; set it, or memoryOnly: true\n'
