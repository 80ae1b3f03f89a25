import { type CanonicalHost, type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { isOriginPattern } from '../encoding/origin-pattern.ts'
import { ConfigurationError, PolicyError } from '../errors/errors.ts'
import { createEmitter, type Emitter } from '../events/emitter.ts'
import { createClockOffsets } from '../keys/clock-offset.ts'
import { createManifestSource, type ManifestSource, type Mirror, mirrorOf } from '../manifest/sources.ts'
import { createManifestUpdater, type ManifestHealth, type ManifestUpdater } from '../manifest/updater.ts'
import { processChannels } from '../monitor/channels.ts'
import type { Expiry } from '../monitor/expiry.ts'
import { createPinUsage, type PinUse } from '../monitor/pin-usage.ts'
import type { Cancel, UnixMs } from '../ports/runtime.ts'
import { keepProcessAlive, onSignal, watchFolder } from '../ports/system.ts'
import { bindVerifier } from '../signing/verify-responses.ts'
import { fileStore } from '../stores/file.ts'
import { memoryStore } from '../stores/memory.ts'
import { type DispatcherOptions, type OpenConnections, PinnedDispatcher } from '../transport/dispatcher.ts'
import { clientClosed } from '../transport/failure.ts'
import { createFetchBytes } from '../transport/fetch-bytes.ts'
import type { HostPolicy } from '../trust/policy.ts'
import { followAnchors } from './anchors.ts'
import { createApprovals } from './approve.ts'
import { type Authorization, createAuthorization } from './authorize.ts'
import { createBreaker } from './breaker.ts'
import { type CertificateHealth, createOwnCertificate, type OwnCertificate } from './certificate.ts'
import { type Containment, type Containments, createContainments } from './containment.ts'
import { credentialHeaders } from './credentials.ts'
import { createEgress } from './egress.ts'
import { createEvidence } from './evidence.ts'
import { expiringOf } from './expiring.ts'
import { createFetch, urlOf } from './fetch.ts'
import { createHsts } from './hsts.ts'
import { createInteractions } from './interaction.ts'
import { legacyTimeoutsOf } from './legacy-timeouts.ts'
import { createManagers, type Manager, serving, speaksForOf } from './managers.ts'
import { startMonitoring } from './monitoring.ts'
import { unixSocketLookup } from './network.ts'
import { createNotices } from './notices.ts'
import { createOperations } from './operations.ts'
import { type ClientOptions, type ResolvedManifest, type ResolvedOptions, resolveOptions } from './options.ts'
import { bootstrapPolicy, createPolicies } from './policies.ts'
import { findLoosenings, findPosture, surroundings } from './posture.ts'
import { proxyOf } from './proxy.ts'
import { createRates } from './rate.ts'
import { createRetries } from './retry.ts'
import { createSeams, type Seams } from './seams.ts'
import { type Send, sendOver } from './send.ts'
import { createSigning, type Signing } from './sign.ts'
import { watchSunsets } from './sunsets.ts'
import { tracedFetch } from './trace.ts'
import { createUpgrade } from './upgrade.ts'

/** What a client says of itself, for health checks: it has no secret, and asks nobody. */
export interface ClientHealth {
  /** `ready`: a verified policy is in force. `degraded`: it is, but stale or a fallback. `unready`: requests are refused. */
  readonly state: 'ready' | 'degraded' | 'unready' | 'closed'
  /** `undefined` for a client with pins in code alone; of several manifests the one that is worst off. */
  readonly manifest?: ManifestHealth
  /** All of several. */
  readonly manifests?: readonly ManifestHealth[]
  /** The client's own certificate; absent without one. */
  readonly certificate?: CertificateHealth
  /** What is contained; absent while nothing is. Those of the manifest stand in the manifest. */
  readonly contained?: readonly Containment[]
  /** Handshakes that ended in a connection, and how many of their certificates something said good of. */
  readonly revocation: { readonly handshakes: number; readonly good: number }
  /** What ends if nobody acts, the soonest first, at most 200. Certificates of servers are among it unless `monitor` is false. */
  readonly expiries: readonly Expiry[]
  /**
   * Pins of the hosts that were connected to, at most 1,000, and when a peer was last accepted for each: what a rotation may take away,
   * and which backup was never seen. Empty where `monitor` is false.
   */
  readonly pins: readonly PinUse[]
  /** Open connections of `fetch` and `dispatcher`, by host: how many carry a request now, and how many wait for one. */
  readonly connections: readonly OpenConnections[]
}

/** What `createClient` makes: a fetch over pinned connections, and the same verdict for other clients of the process. */
export interface Client extends Seams {
  /** WHATWG fetch for https URLs of covered hosts. Rejects with a PinfetchError, or with the caller's own abort reason. */
  readonly fetch: typeof globalThis.fetch
  /** Resolves when a verified policy is in force; rejects with the reason after `startupMs`. */
  readonly ready: () => Promise<void>
  /** How things stand now: states, versions, what ends first, what is contained. Asks nobody. */
  readonly health: () => ClientHealth
  /** The manifest in force, or the one of each that is worst off. */
  readonly manifest: {
    /** Asks for an update now, at most once a second; resolves when the attempt ended, rejects with why it failed. */
    readonly refresh: () => Promise<void>
    /** 0 while none is in force; of several manifests the lowest. */
    readonly version: number
    /**
     * The pins in force for a host, those of the code where no manifest has others: what a watch of issued certificates compares with.
     *
     * @param host With a port where it is not 443.
     * @throws PolicyError as a request would, where nothing covers the host or it is contained; ConfigurationError for what is no host.
     */
    readonly pins: (host: string) => readonly string[]
  }
  /** Returns the function that ends the subscription. */
  readonly on: Emitter['on']
  /**
   * The switch for an incident: calls to these origins fail in this tick with `ERR_POLICY_CONTAINED`, those under way and those to
   * come, over every seam; their connections and TLS sessions are dropped, and the tokens for them are revoked. With `*`, for all
   * origins, no other manifest comes into force either.
   *
   * @param scope An origin pattern, or `*`. One that covers the proxy (`proxy.example:3128`) contains what goes through it.
   * @param reason For the errors, the events, and whoever is paged next.
   * @throws ConfigurationError where the scope is no pattern, or there is no reason.
   */
  readonly contain: Containments['contain']
  /**
   * Lets requests in flight finish, each within its own time and half a minute at most, then frees every socket and timer. A
   * request that still waits for a connection gets half a second for it; event streams end.
   */
  readonly close: () => Promise<void>
  /** Ends what is in flight at once, with `ERR_TRANSPORT_CLIENT_CLOSED` and the reason as its cause, and frees the same. */
  readonly destroy: (reason?: Error) => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/**
 * Creates a client. Synchronous: wrong options throw at once, and the first manifest is fetched in the background.
 *
 * @throws ConfigurationError naming the option; ManifestError when the trusted root itself is unreadable.
 */
export function createClient(options: ClientOptions): Client {
  const resolved = resolveOptions(options)
  const { runtime, timeouts, limits } = resolved
  const judged = resolved.operations && createOperations(resolved.operations, runtime)
  const interacting = resolved.interactionId && createInteractions(resolved.interactionId, runtime)
  const emitter = createEmitter(processChannels)
  const { emit, hasListeners, isAwaited, later, on } = emitter
  const connection: Omit<DispatcherOptions, 'policyOf'> = {
    runtime,
    emit,
    hasListeners,
    isAwaited,
    later,
    timeouts,
    timeoutsOf: legacyTimeoutsOf(resolved.legacyHosts),
    limits,
    addresses: resolved.addresses,
    unixSocketOf: unixSocketLookup(resolved.unixSockets),
    ...(resolved.resolver === undefined ? {} : { resolver: resolved.resolver }),
    ...(resolved.localAddress === undefined ? {} : { localAddress: resolved.localAddress }),
    ...(resolved.proxy === undefined ? {} : { proxy: resolved.proxy.server }),
    proxyPolicyOf: (origin) => policies.ofProxy(origin),
  }
  const following = { runtime, watchFolder, emit }
  const anchors = followAnchors(resolved.anchors, { ...following, changed: () => dispatcher.policyChanged() })
  const anchorsFor = anchors.of
  let managers = createManagers([])
  const now = (): UnixMs => managers.time(runtime.clock.now())
  const judging = { ...runtime, clock: { now, monotonic: () => runtime.clock.monotonic() } }
  const policies = createPolicies({
    options: { ...resolved, runtime: judging },
    emit,
    anchorsFor,
    anchorsVersion: anchors.version,
    view: (host) => managers.view(host),
    onSunset: (host, sunset) => sunsets.note(host, sunset),
  })
  const tokenServers = new Set<string>()
  const bootstraps: PinnedDispatcher[] = []
  let revoking: PinnedDispatcher | undefined // the one road to a contained server of tokens, and for nothing but to revoke them
  const containments = createContainments({
    runtime: judging,
    emit,
    changed: () => {
      dispatcher.policyChanged()
      revoking?.policyChanged()
      for (const one of bootstraps) one.policyChanged()
      if (!containments.isFrozen()) for (const { updater } of managers.all) updater.requestEarlyRefresh()
    },
    revoke: async (matches, signal) => authorization?.revoke(matches, signal),
    isTokenServer: ({ text }) => tokenServers.has(text),
    proxyOf: proxyOf(resolved.proxy, connection.unixSocketOf),
  })
  const policyOf = (origin: CanonicalOrigin): HostPolicy => {
    const refusal = containments.refusalOf(origin)
    if (refusal !== undefined) throw refusal
    return policies.of(origin)
  }
  const revocation = { handshakes: 0, good: 0 }
  const cacheDir = resolved.manifests.find((manifest) => manifest.cacheDir !== undefined)?.cacheDir
  const { upgradeInsecure } = resolved
  const keepsHsts = upgradeInsecure === 'hsts' && cacheDir !== undefined
  const hsts = createHsts({ runtime, ...(keepsHsts ? { store: fileStore(cacheDir) } : {}) })
  const evidence = createEvidence(resolved, {
    store: cacheDir === undefined ? { ...memoryStore(), volatile: true } : fileStore(cacheDir),
    emit,
    hasListeners,
    onChange: () => dispatcher.evidenceChanged(),
    proxyPolicyOf: policies.ofProxy,
    requireProxy: containments.requireProxy,
  })
  const { certificate: given } = resolved
  const certificate =
    given &&
    orClose([anchors], () =>
      createOwnCertificate(given, { ...following, changed: () => dispatcher.certificateChanged() }),
    )
  const egress = createEgress(resolved.egress)
  const dispatcher = new PinnedDispatcher({
    ...connection,
    http2: resolved.http2,
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
        for (const { updater } of managers.all) updater.requestEarlyRefresh()
    },
    ...(certificate === undefined ? {} : { certificate: certificate.current }),
    policyOf,
    egress,
    onResponse: createNotices({ emit, onHsts: hsts.note }),
  })
  const sunsets = watchSunsets({
    runtime: judging,
    inCode: resolved.legacyHosts,
    emit,
    say: (line) => process.stderr.write(line),
    onOver: () => dispatcher.policyChanged(),
  })
  managers = orClose([anchors, certificate, sunsets], () => createManagers(resolved.manifests.map(startManifest)))
  const monitoring = startMonitoring(resolved.monitor, {
    runtime: judging,
    emitter,
    expiring: () => expiringOf(resolved, { managers: managers.all, certificate, evidence }),
  })
  const pinUsage = createPinUsage()
  if (resolved.monitor !== false) emitter.follow('tls.handshake', pinUsage.note)

  /** The loop is cut here: the manifest arrives over a dispatcher that knows bootstrap pins and no manifest. */
  function startManifest(given: ResolvedManifest): Manager {
    const { locations, custom, root, cacheDir, memoryOnly, bootstrapPins, bootstrap: shipped, ...rest } = given
    const speaksFor = speaksForOf(given)
    const bootstrap = new PinnedDispatcher({
      ...connection,
      policyOf: (origin) => {
        const refusal = containments.refusalOf(origin)
        if (refusal !== undefined) throw refusal
        return bootstrapPolicy(origin, bootstrapPins, anchorsFor(origin.host))
      },
    })
    bootstraps.push(bootstrap)
    const published = custom ?? createManifestSource(locations, createFetchBytes(bootstrap), { runtime, watchFolder })
    const updater: ManifestUpdater = createManifestUpdater({
      ...rest,
      root,
      source: frozenBy(containments, published),
      ...(shipped === undefined ? {} : { bootstrap: mirrorOf(shipped, createFetchBytes(bootstrap)) }),
      store: cacheDir === undefined ? { ...memoryStore(), volatile: true } : fileStore(cacheDir),
      runtime,
      emit: (event) => {
        emit(event)
        if (event.type === 'manifest.stale') sayStale(event.version, updater.health().expiresAt)
      },
      beforeActivation: (view) => {
        const coming = (host: CanonicalHost) => (speaksFor(host) ? view : managers.view(host))
        const { of } = createPolicies({ options: resolved, emit: () => {}, anchorsFor, view: coming })
        const hosts = dispatcher.seen.refusedUnder(of, runtime.clock.now())
        if (hosts.length > 0) emit({ type: 'manifest.wouldBreak', version: view.version, hosts })
      },
      onChange: () => {
        sunsets.forgetNoted()
        dispatcher.policyChanged()
      },
    })
    if (cacheDir === undefined && !memoryOnly) process.stderr.write(NO_CACHE_DIR)
    const close = async (): Promise<void> => {
      await Promise.all([updater.close(), bootstrap.destroy()])
    }
    return { updater, speaksFor, isShipped: shipped !== undefined, close }
  }

  const gate = (origin: CanonicalOrigin, signal: AbortSignal | null): Promise<void> | undefined => {
    const loading = certificate?.loading()
    if (loading === undefined) return manifestGate(origin, signal)
    return held(abortable(loading, signal)).then(() => manifestGate(origin, signal))
  }
  const manifestGate = (origin: CanonicalOrigin, signal: AbortSignal | null): Promise<void> | undefined => {
    const manager = managers.of(origin.host)
    if (manager === undefined) return undefined
    const { updater } = manager
    const { kind } = updater.current()
    if (kind === 'expired') return awoken(updater.awake(), signal)
    if (kind !== 'cold') return undefined
    const settled = policies.bundled(origin) ? updater.firstAttempt : serving(manager).catch(() => undefined)
    return held(abortable(settled, signal)) // what stays missing is refused by `policyOf`, with its reason
  }

  const awoken = (waking: Promise<void> | undefined, signal: AbortSignal | null): Promise<void> | undefined =>
    waking === undefined ? undefined : held(abortable(waking, signal))

  let closing: Promise<void> | undefined
  let stopSignal: Cancel = () => undefined
  const ended = new AbortController()
  const { send, defaults } = sendOver(dispatcher, { limits, timeouts, runtime })
  let authorization: Authorization | undefined
  let signing: Signing | undefined
  const approvals = resolved.approval && createApprovals(resolved.approval, { runtime: judging, emit })
  const clocks = createClockOffsets({ runtime: judging, emit: () => {} }) // of what is dated for a server, others tell
  const pace = { runtime: judging, emit, timeouts, limits, clocks, held }
  const retries = resolved.retry && createRetries(resolved.retry, pace)
  const rates = resolved.rate && createRates(resolved.rate, { ...pace, policyOf })
  const breaker = resolved.breaker && createBreaker(resolved.breaker, pace)
  const paced = (send: Send): Send => {
    const guarded = breaker === undefined ? send : breaker.guarded(send)
    const limited = rates === undefined ? guarded : rates.limited(guarded)
    return breaker === undefined || rates === undefined ? limited : breaker.early(limited)
  }
  const revokingFetch = (): typeof globalThis.fetch => {
    revoking ??= new PinnedDispatcher({
      ...connection,
      ...{ runtime: judging, emit, evidence, egress },
      ...(certificate === undefined ? {} : { certificate: certificate.current }),
      policyOf: (origin) => {
        containments.requireConnectable(origin)
        return policies.of(origin)
      },
    })
    return createFetch({ send: sendOver(revoking, { limits, timeouts, runtime }).send, gate })
  }
  const startAuthorization = (): Authorization => {
    const shown = certificate && { certificateThumbprint: () => certificate.current().thumbprint }
    const fetch = createFetch({ send, gate })
    const noted: typeof fetch = (input, init) => {
      const server = canonicalOrigin(urlOf(input))
      if (server === undefined) return fetch(input, init)
      tokenServers.add(server.text)
      return containments.refusalOf(server) === undefined ? fetch(input, init) : revokingFetch()(input, init)
    }
    const host = { fetch: noted, runtime: judging, emit, ...shown }
    return createAuthorization({ schemes: resolved.auth, withoutAuth: resolved.withoutAuth, host })
  }
  const close = (): Promise<void> => {
    closing ??= end()
    return closing
  }
  /** One after the other: a request in flight may still need a connection, and that a policy and evidence. */
  const end = async (): Promise<void> => {
    stopSignal()
    approvals?.close()
    retries?.close()
    rates?.close()
    await authorization?.close(ended.signal) // what it stores or revokes goes over the network
    await Promise.all([dispatcher.close(), revoking?.close()])
    signing?.close()
    certificate?.close()
    anchors.close()
    sunsets.close()
    monitoring.close()
    await Promise.all([evidence.close(), hsts.close(), ...managers.all.map((manager) => manager.close())])
  }

  const destroy = async (reason?: Error): Promise<void> => {
    ended.abort()
    const closed = close()
    await Promise.all([dispatcher.destroy(reason), revoking?.destroy(reason)])
    await closed
  }

  const self = { close: () => void close() }
  if (resolved.auth.length > 0) authorization = orClose([self], startAuthorization)
  if (resolved.sign.length > 0) {
    const given = { signers: resolved.sign, runtime: judging, emit, timeouts, limits, defaults }
    signing = orClose([self], () => createSigning(given))
  }
  const { verify } = resolved
  const lent = { fetch: createFetch({ send, gate }), runtime: judging, emit }
  const inspect = verify && orClose([self], () => bindVerifier(verify, lent))

  queueMicrotask(() => {
    if (!hasListeners('posture')) return // a listener is added in the tick of createClient or misses the start
    const findings = [...findLoosenings(resolved, runtime.clock.now()), ...findPosture(surroundings(), resolved.proxy)]
    for (const finding of findings) emit({ type: 'posture', ...finding })
  })
  const road = inspect === undefined ? send : sendOver(dispatcher, { limits, timeouts, runtime, inspect }).send
  const signed = signing === undefined ? road : signing.signed(road)
  const authorized = authorization === undefined ? signed : authorization.authorized(signed)
  const timely = paced(authorized) // a token and a proof are made when the request goes
  const open = (origin: CanonicalOrigin, signal: AbortSignal | null): Promise<void> | undefined => {
    const refusal = closing === undefined ? containments.refusalOf(origin) : clientClosed(origin.text, 'no')
    return refusal === undefined ? gate(origin, signal) : Promise.reject(refusal)
  }
  const { containOnSignal: name } = resolved
  stopSignal =
    name === undefined ? () => undefined : onSignal(name, () => void containments.contain('*', name, 'signal'))
  const fetch = createFetch({
    send: approvals === undefined ? timely : approvals.approved(timely), // nobody fetches a token for what nobody approves
    gate: open,
    watched: containments.watched,
    upgrade: createUpgrade(hsts, upgradeInsecure),
    redirects: resolved.redirect && {
      ...resolved.redirect,
      isCredential: credentialHeaders(withEvidence(resolved)),
      random: runtime.random,
      emit,
    },
    retries,
  })
  const identified = interacting === undefined ? fetch : interacting(fetch)
  const seams = createSeams({ dispatcher, runtime, gate: open, egress })
  const client: Client = Object.freeze({
    get dispatcher() {
      return seams.dispatcher
    },
    get agent() {
      return seams.agent
    },
    connect: seams.connect,
    tlsOptions: seams.tlsOptions,
    fetch: tracedFetch(judged === undefined ? identified : judged(identified), () => client),
    ready: async () => {
      const hasPins = resolved.pins.length > 0
      const serve = managers.all.map((one) => (hasPins ? one.updater.firstAttempt : serving(one)))
      await held(Promise.all([certificate?.loading(), ...serve]))
      certificate?.current()
    },
    health: () => {
      emitter.catchUp()
      return {
        ...withCertificate(healthOf(managers.all, resolved.pins.length > 0), certificate),
        ...containedBy(containments),
        ...(closing === undefined ? {} : { state: 'closed' as const }),
        revocation: { ...revocation },
        expiries: monitoring.expiries(),
        pins: pinUsage.all(),
        connections: dispatcher.connections,
      }
    },
    manifest: Object.freeze({
      refresh: async () => void (await held(Promise.all(managers.all.map(({ updater }) => updater.refresh())))),
      get version() {
        const versions = managers.all.map(({ updater }) => updater.current().version)
        return versions.length === 0 ? 0 : Math.min(...versions)
      },
      pins: (host: string) => [
        ...new Set(policyOf(originNamed(host)).pinGroups.flatMap((pins) => pins.map(({ spki }) => spki))),
      ],
    }),
    on,
    contain: containments.contain,
    close,
    destroy,
    [Symbol.asyncDispose]: close,
  })
  return client
}

function originNamed(host: string): CanonicalOrigin {
  const origin = isOriginPattern(host) && !host.includes('*') ? canonicalOrigin(new URL(`https://${host}/`)) : undefined
  if (origin !== undefined) return origin
  throw new ConfigurationError('ERR_CONFIG_INVALID', 'manifest.pins: expected a host, with :port where it is not 443')
}

/** Once a process, even where nothing listens: somebody has days to act before requests are refused. */
function sayStale(version: number, expiresAt: UnixMs | undefined): void {
  if (staleSaid) return
  staleSaid = true
  const until = expiresAt === undefined ? '' : `; requests are refused from ${new Date(expiresAt).toISOString()} on`
  process.stderr.write(`pinfetch: manifest ${version} is stale, its status has expired${until}\n`)
}

function healthOf(
  managers: readonly Manager[],
  hasPinsInCode: boolean,
): Pick<ClientHealth, 'state' | 'manifest' | 'manifests'> {
  const found = managers.map(({ updater }) => {
    const manifest = updater.health()
    const { everAccepted, bootstrapUntil } = updater.current()
    const servesFallback =
      manifest.state === 'cold' && (bootstrapUntil !== undefined || (hasPinsInCode && !everAccepted))
    return { state: servesFallback ? 'degraded' : HEALTH[manifest.state], manifest } as const
  })
  const [worst] = [...found].sort((a, b) => GRAVITY.indexOf(b.state) - GRAVITY.indexOf(a.state))
  if (worst === undefined) return { state: 'ready' }
  return found.length === 1 ? worst : { ...worst, manifests: found.map(({ manifest }) => manifest) }
}

function withCertificate<Health extends Pick<ClientHealth, 'state'>>(
  health: Health,
  own: OwnCertificate | undefined,
): Health & Pick<ClientHealth, 'state' | 'certificate'> {
  if (own === undefined) return health
  const certificate = own.health()
  if (certificate === undefined) return { ...health, state: 'unready' }
  const state = certificate.state === 'expired' && health.state === 'ready' ? 'degraded' : health.state
  return { ...health, state, certificate }
}

/** The header of an approval is a credential like those of the schemes, and so are those of signers. */
function withEvidence({
  auth,
  approval,
  sign,
}: Pick<ResolvedOptions, 'auth' | 'approval' | 'sign'>): Parameters<typeof credentialHeaders>[0] {
  const signers = sign.map(({ name, headers }) => ({ name, credentialHeaders: headers }))
  const evidence = approval?.attach && { name: 'approval', credentialHeaders: [approval.attach.header] }
  return [...auth, ...signers, ...(evidence === undefined ? [] : [evidence])]
}

function containedBy(
  containments: Containments,
): Pick<ClientHealth, 'contained'> & Partial<Pick<ClientHealth, 'state'>> {
  const contained = containments.all()
  if (contained.length === 0) return {}
  return containments.isFrozen() ? { contained, state: 'unready' } : { contained }
}

/** While everything is contained, nothing new comes into force: whoever holds the keys of the manifest may be the incident. */
function frozenBy({ isFrozen }: Containments, source: ManifestSource): ManifestSource {
  const mirrors = source.mirrors.map(({ name, get }): Mirror => {
    const message = `${name}: not asked while everything is contained`
    const refused = () => Promise.reject(new PolicyError('ERR_POLICY_CONTAINED', message))
    const asked: Mirror['get'] = async (path, limits) => {
      if (isFrozen()) return await refused()
      const got = await get(path, limits)
      return isFrozen() ? await refused() : got
    }
    return { name, get: asked }
  })
  return { ...source, mirrors }
}

/** A client that cannot be made leaves nothing running. */
function orClose<T>(begun: readonly ({ readonly close: () => void } | undefined)[], make: () => T): T {
  try {
    return make()
  } catch (error) {
    for (const one of begun) one?.close()
    throw error
  }
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

const GRAVITY = ['ready', 'degraded', 'unready', 'closed'] as const
const HEALTH = { cold: 'unready', fresh: 'ready', stale: 'degraded', expired: 'unready', closed: 'closed' } as const

const NO_CACHE_DIR =
  'pinfetch: no manifest.cacheDir, so a restart forgets which manifest was the newest; set it, or memoryOnly: true\n'
