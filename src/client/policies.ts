import { createHash } from 'node:crypto'
import type { ManifestLoosening } from '../dangerous/loosening.ts'
import { BoundedMap } from '../encoding/bounded-map.ts'
import { parseBlock } from '../encoding/cidr.ts'
import type { CanonicalHost, CanonicalOrigin } from '../encoding/host.ts'
import { hostIndex, type ParsedHostPattern, parseHostPattern } from '../encoding/host-pattern.ts'
import type { PinText } from '../encoding/pin.ts'
import { PolicyError, TlsError, TrustError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import type { HostEntry } from '../manifest/schema.ts'
import type { ManifestView } from '../manifest/updater.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { MAX_CONNECTIONS } from '../transport/limits.ts'
import { type AnchorSet, createAnchors, uniteAnchors } from '../trust/anchors.ts'
import { createInterceptionKeys, type InterceptionKeys } from '../trust/interception.ts'
import type { Deny, HostPolicy, Pin } from '../trust/policy.ts'
import { DEFAULT_REVOCATION } from '../trust/revocation/policy.ts'
import { normalSerial, type RevokedCertificates } from '../trust/revoked.ts'
import { enforcementOf } from './enforcement.ts'
import type { ResolvedOptions, ResolvedPins } from './options.ts'
import { reviewOf } from './posture.ts'
import { createRevocationLookup, showsFirst, withManifestRevocation } from './revocation.ts'
import { createTransparencyLookup } from './transparency.ts'

export interface Policies {
  /**
   * The policy in force for an origin: deny list first, then the manifest, then pins in code. The same object until
   * something of it changes.
   *
   * @throws TrustError or PolicyError when the origin may not be connected to at all.
   */
  readonly of: (origin: CanonicalOrigin) => HostPolicy
  /**
   * The policy for a proxy that is reached by TLS: by its own pins, so that it does not take the manifest to fetch the manifest.
   * Denied keys are refused all the same.
   */
  readonly ofProxy: (origin: CanonicalOrigin) => HostPolicy
  /** Whether pins in code serve the origin while no manifest was ever accepted. */
  readonly bundled: (origin: CanonicalOrigin) => boolean
}

export interface PolicySources {
  readonly options: ResolvedOptions
  /** The manifest in force for a host; `undefined` where there are pins in code alone. */
  readonly view: (host: CanonicalHost) => ManifestView | undefined
  readonly emit: Emit
  readonly anchorsFor: (host: CanonicalHost) => AnchorSet
  /** Another number when `anchorsFor` may answer differently. Default: it never does. */
  readonly anchorsVersion?: () => number
  /** Told of the end of a legacy profile that the manifest gives. Default: nobody. */
  readonly onSunset?: (host: string, sunset: UnixMs) => void
}

interface Made {
  readonly view?: ManifestView | undefined
  readonly policy: HostPolicy
  readonly anchorsVersion?: number
  /** The clock alone changes the policy then. */
  readonly until: number
}

/** Joins what is known about hosts into one policy per origin, memoised until the manifest or the clock changes it. */
export function createPolicies(sources: PolicySources): Policies {
  const { options, view, emit, anchorsFor, anchorsVersion = () => 0, onSunset } = sources
  const { clock } = options.runtime
  const createdAt = clock.now()
  const revocationFor = createRevocationLookup(options.revocation)
  const transparencyFor = createTransparencyLookup(options.transparency)
  const inCode = hostIndex(options.pins.map((entry) => [entry.pattern, entry] as const))
  const unpinned = patternIndex(options.unlistedHosts)
  const tls12 = patternIndex(options.tls12Hosts)
  const legacy = patternIndex(options.legacyHosts)
  const uriFor = hostIndex(options.expectedUris.map(({ pattern, uri }) => [pattern, uri] as const))
  const mayBringAnchors = patternIndex((options.manifestMay?.anchorHosts ?? []).map((pattern) => ({ pattern })))
  const may = (loosening: ManifestLoosening): boolean => options.manifestMay?.loosenings.includes(loosening) === true
  const unitedSets = new BoundedMap<string, AnchorSet>(MAX_ANCHOR_SETS)
  const memo = new Map<string, Made>()
  const ended = new WeakSet<object>()

  /** What was seen past its end stays over: a clock that is set back does not bring it back. */
  const isOver = (rule: object, end: UnixMs, now: UnixMs): boolean => {
    if (now >= end) ended.add(rule)
    return ended.has(rule)
  }

  const toldOf = new WeakMap<ManifestView, Set<string>>()
  const of = (origin: CanonicalOrigin): HostPolicy => {
    const now = clock.now()
    const manifest = view(origin.host)
    const version = anchorsVersion()
    const known = memo.get(origin.text)
    if (known !== undefined && known.view === manifest && known.anchorsVersion === version && now < known.until)
      return known.policy
    memo.delete(origin.text)
    const made = untilSunset(origin, make(origin, manifest, now), now)
    if (memo.size >= MAX_ORIGINS) memo.clear()
    memo.set(origin.text, { ...made, view: manifest, anchorsVersion: version })
    return made.policy
  }

  /** What code allows a legacy host ends, as what the manifest allows does. */
  const untilSunset = (origin: CanonicalOrigin, made: Made, now: UnixMs): Made => {
    const rule = made.policy.profile === undefined ? undefined : legacy(origin.host)
    if (rule === undefined) return made
    if (isOver(rule, rule.sunset, now)) throw pastSunset(origin, rule.sunset)
    return { ...made, until: Math.min(made.until, rule.sunset) }
  }

  const make = (origin: CanonicalOrigin, manifest: ManifestView | undefined, now: UnixMs): Made => {
    if (manifest === undefined) return fromCode(origin, undefined, now) ?? unlisted(origin, undefined)
    if (manifest.kind !== 'cold') return fromManifest(origin, manifest, now)
    const { bootstrapUntil = 0 } = manifest
    if (now < bootstrapUntil) {
      const made = fromManifest(origin, manifest, now)
      return { ...made, until: Math.min(made.until, bootstrapUntil) }
    }
    const fallback = manifest.everAccepted ? undefined : fromCode(origin, manifest, now)
    if (fallback === undefined) throw noManifest(origin)
    return fallback
  }

  const fromCode = (origin: CanonicalOrigin, manifest: ManifestView | undefined, now: UnixMs): Made | undefined => {
    const entry = inCode(origin.host)
    if (entry === undefined) return undefined
    const notAfter = endOf(entry, manifest, createdAt)
    if (notAfter !== undefined && isOver(entry, notAfter, now)) {
      if (manifest !== undefined) return undefined
      throw pinsExpired(origin)
    }
    const pins = entry.pins.map((spki): Pin => (notAfter === undefined ? { spki } : { spki, notAfter }))
    const policy = policyOf(origin, manifest, { source: 'code', mode: entry.mode, pinGroups: [pins] })
    return { policy, until: notAfter ?? FOREVER }
  }

  const fromManifest = (origin: CanonicalOrigin, manifest: ManifestView, now: UnixMs): Made => {
    const entry = manifest.lookup(origin.host, origin.port)
    if (entry === undefined) return unlisted(origin, manifest)
    if (entry.contained === true) {
      tellContained(manifest, entry)
      throw contained(origin)
    }
    if (entry.clientCertificate === 'required' && options.certificate === undefined) {
      throw certificateRequired(origin, manifest.version)
    }
    const unsupported = unsupportedRule(entry, uriFor(origin.host))
    if (unsupported !== undefined) throw cannotEnforce(origin, unsupported, manifest.version)
    const isOver = manifest.kind === 'expired' || manifest.kind === 'closed'
    const reportsStale = isOver && entry.onStale === 'report' && loosened(entry, 'stale', 'requests past expiry')
    if (isOver && !reportsStale) throw manifestExpired(origin, manifest)

    const asked = enforcementOf(entry, manifest.clientId, now)
    if (asked.isOver) throw pastSunset(origin, entry.sunset)
    const reports = asked.asksForReport && loosened(entry, 'report', 'report mode') && asked.reports
    const { minTlsVersion, profile, sunset, reviewBy, maxConnectionAge } = entry
    const isLegacy = profile === 'legacy' && loosened(entry, 'legacy', 'the legacy profile') && minTlsVersion !== '1.3'
    if (isLegacy && sunset !== undefined) onSunset?.(origin.text, sunset)
    const is12 = minTlsVersion === '1.2' && loosened(entry, 'tls12', 'TLS 1.2', may('tls12'), reviewOf(reviewBy, now))
    const floor = minTlsVersion === '1.2' && !is12 ? undefined : minTlsVersion
    const policy = policyOf(origin, manifest, {
      source: 'manifest',
      mode: options.mode === 'report' || reports || reportsStale ? 'report' : 'enforce',
      pinGroups: pinGroups(entry),
      ...(floor === undefined ? {} : { minTlsVersion: floor }),
      ...(isLegacy ? { profile } : {}),
      ...(entry.expectedUri === undefined ? {} : { expectedUri: entry.expectedUri }),
      ...(entry.allowedAddresses === undefined
        ? {}
        : { allowedAddresses: entry.allowedAddresses.flatMap((text) => parseBlock(text) ?? []) }),
      ...(maxConnectionAge === undefined ? {} : { maxConnectionAgeMs: maxConnectionAge * 1_000 }),
      ...anchorsOf(origin, entry, manifest),
      requireSct: entry.requireSct === true,
      revocation: withManifestRevocation(revocationFor(origin.host), entry, () =>
        loosened(entry, 'report', 'revocation mode report'),
      ),
    })
    if (options.certificate !== undefined && showsFirst(policy.revocation)) {
      throw cannotEnforce(origin, 'hard-fail that waits for lists, beside a client certificate', manifest.version)
    }
    return { policy, until: asked.until }
  }

  /** Once a manifest and entry, when a request or a live connection meets it. */
  const tellContained = (manifest: ManifestView, { host, reason = 'contained by the manifest' }: HostEntry): void => {
    const told = toldOf.get(manifest) ?? new Set()
    toldOf.set(manifest, told)
    if (told.has(host)) return
    told.add(host)
    emit({ type: 'containment.begun', scope: host, reason, by: 'manifest', requests: 0 })
  }

  const expectedOf = (host: CanonicalHost): Pick<HostPolicy, 'expectedUri'> => {
    const expectedUri = uriFor(host)
    return expectedUri === undefined ? {} : { expectedUri }
  }

  /** Anchors from the manifest add to the client's own, for the hosts that the application named in code. */
  const anchorsOf = ({ host }: CanonicalOrigin, entry: HostEntry, manifest: ManifestView) => {
    if (entry.trustAnchors === undefined) return {}
    const isAllowed = may('anchors') && mayBringAnchors(host) !== undefined
    if (!loosened(entry, 'anchors', 'trust anchors of its own', isAllowed)) return {}
    const ders = entry.trustAnchors.flatMap((name) => manifest.anchorSets[name] ?? [])
    const united = uniteAnchors([anchorsFor(host), createAnchors(ders)])
    const anchors = unitedSets.get(united.digest) ?? united // the same object, so that its SecureContext is made once
    unitedSets.set(united.digest, anchors)
    return { anchors }
  }

  const unlisted = (origin: CanonicalOrigin, manifest: ManifestView | undefined): Made => {
    if (unpinned(origin.host) === undefined) throw notCovered(origin, manifest?.version ?? 0)
    const policy = policyOf(origin, manifest, { source: 'dangerous', mode: 'enforce', pinGroups: [] })
    return { policy, until: FOREVER }
  }

  /** A manifest may loosen what the client's own options allow it to; otherwise the strict reading holds, and is told. */
  const loosened = (
    { host }: HostEntry,
    loosening: ManifestLoosening,
    what: string,
    allowed = may(loosening),
    review = '',
  ): boolean => {
    const effect = allowed
      ? `in force: manifestMay allows it${review}`
      : 'the strict reading holds: manifestMay does not allow it'
    emit({ type: 'posture', subject: `manifest: ${host} asks for ${what}`, effect })
    return allowed
  }

  const policyOf = (
    { host, port }: CanonicalOrigin,
    manifest: ManifestView | undefined,
    {
      requireSct = false,
      ...decided
    }: Pick<HostPolicy, 'source' | 'mode' | 'pinGroups'> &
      Partial<
        Pick<HostPolicy, 'minTlsVersion' | 'profile' | 'expectedUri' | 'anchors' | 'revocation' | 'maxConnectionAgeMs'>
      > & { readonly requireSct?: boolean },
  ): HostPolicy => {
    const { minTlsVersion, profile, maxConnectionAgeMs } = decided
    const { revoked } = revokedBy(manifest)
    const transparency = transparencyFor(host, { ct: manifest?.ct, requireSct, revoked })
    const isLegacy = profile !== undefined || (minTlsVersion === undefined && legacy(host) !== undefined)
    return withGeneration({
      host,
      port,
      denies: deniesFor(host, manifest),
      ...(revoked === undefined ? {} : { revoked }),
      ...(transparency === undefined ? {} : { transparency }),
      ...interceptionOf(manifest, options.interception),
      ...expectedOf(host),
      revocation: revocationFor(host),
      minTlsVersion: tls12(host) === undefined ? '1.3' : '1.2',
      anchors: anchorsFor(host),
      manifestVersion: manifest?.version ?? 0,
      ...(manifest?.rootVersion === undefined ? {} : { rootVersion: manifest.rootVersion }),
      ...decided,
      ...(isLegacy ? legacyTerms(maxConnectionAgeMs) : {}),
    })
  }

  const ofProxy = (origin: CanonicalOrigin): HostPolicy => {
    const manifest = view(origin.host)
    const { pins = [] } = options.proxy ?? {}
    if (pins.length > 0) {
      const pinGroups = [pins.map((spki): Pin => ({ spki }))]
      const policy = policyOf(origin, manifest, { source: 'code', mode: 'enforce', pinGroups })
      return untilSunset(origin, { policy, until: FOREVER }, clock.now()).policy
    }
    const isUnpinned = inCode(origin.host) === undefined && unpinned(origin.host) !== undefined
    if (!isUnpinned || manifest?.kind !== 'cold') return of(origin)
    return untilSunset(origin, unlisted(origin, manifest), clock.now()).policy
  }

  return {
    of,
    ofProxy,
    bundled: (origin) => {
      const entry = inCode(origin.host)
      if (entry === undefined) return false
      const notAfter = endOf(entry, view(origin.host), createdAt)
      return notAfter === undefined || !isOver(entry, notAfter, clock.now())
    },
  }
}

/** Reaches the manifest's own host: chain and name are checked, pins only where the client was given some. */
export function bootstrapPolicy(
  { host, port }: CanonicalOrigin,
  pins: readonly PinText[],
  anchors: AnchorSet,
): HostPolicy {
  const pinGroups = pins.length === 0 ? [] : [pins.map((spki): Pin => ({ spki }))]
  const facts = { source: 'bootstrap', mode: 'enforce', denies: [], minTlsVersion: '1.3', manifestVersion: 0 } as const
  return withGeneration({ host, port, pinGroups, anchors, revocation: DEFAULT_REVOCATION, ...facts })
}

function patternIndex<Rule extends { readonly pattern: string }>(rules: readonly Rule[]) {
  return hostIndex(
    rules.flatMap((rule): (readonly [ParsedHostPattern, Rule])[] => {
      const pattern = parseHostPattern(rule.pattern)
      return pattern === undefined ? [] : [[pattern, rule]]
    }),
  )
}

function withGeneration(facts: Omit<HostPolicy, 'generation'>): HostPolicy {
  const { manifestVersion: _, rootVersion: __, anchors, revoked, interception, transparency, ...deciding } = facts
  const known = {
    revoked: revoked?.id,
    interception: interception && [interception.id, interception.effect],
    transparency: transparency?.id,
  }
  const text = JSON.stringify({ ...deciding, anchors: anchors.digest, ...known })
  const generation = createHash('sha256').update(text).digest('base64url')
  return Object.freeze({ ...facts, generation })
}

function pinGroups({ pins, allOf }: HostEntry): readonly (readonly Pin[])[] {
  if (allOf === undefined) return [pins]
  return allOf.map((indexes) => indexes.flatMap((index) => pins[index] ?? []))
}

function deniesFor(host: CanonicalHost, manifest: ManifestView | undefined): readonly Deny[] {
  const denies = manifest?.denies ?? []
  return denies
    .filter(
      ({ hosts }) => hosts === undefined || hostIndex(hosts.map((pattern) => [pattern, true] as const))(host) === true,
    )
    .map(({ spki, reason }) => ({ spki, reason }))
}

/** What is known to be weak gets little: an eighth of the connections that any other host may have, each for a minute. */
function legacyTerms(maxConnectionAgeMs = LEGACY_AGE_MS) {
  return {
    profile: 'legacy',
    minTlsVersion: '1.2',
    maxConnections: LEGACY_CONNECTIONS,
    maxConnectionAgeMs: Math.min(maxConnectionAgeMs, LEGACY_AGE_MS),
  } as const
}

/** Compiled once a manifest. */
function revokedBy(manifest: ManifestView | undefined): { readonly revoked?: RevokedCertificates } {
  const { certificate = [], issuerSerial = [], distrustAfter = [] } = manifest?.revocations ?? {}
  if (manifest === undefined || certificate.length + issuerSerial.length + distrustAfter.length === 0) return {}
  const known = compiled.get(manifest)
  if (known !== undefined) return { revoked: known }
  const revoked: RevokedCertificates = {
    id: createHash('sha256')
      .update(JSON.stringify([certificate, issuerSerial, distrustAfter]))
      .digest('base64url'),
    certificates: new Set(certificate.map(({ sha256 }) => sha256)),
    serials: issuerSerial.map(({ issuerSpkiSha256, serials }) => ({
      issuer: issuerSpkiSha256,
      numbers: new Set(serials.map(normalSerial)),
    })),
    distrusted: distrustAfter.map(({ spkiSha256: issuer, notBefore, sctNotAfter }) =>
      notBefore === undefined ? { issuer, sctNotAfter: sctNotAfter ?? toUnixMs(0) } : { issuer, notBefore },
    ),
  }
  compiled.set(manifest, revoked)
  return { revoked }
}

/** Compiled once a manifest. */
function interceptionOf(
  manifest: ManifestView | undefined,
  effect: InterceptionKeys['effect'],
): { readonly interception?: InterceptionKeys } {
  const pins = manifest?.interception ?? []
  if (manifest === undefined || pins.length === 0) return {}
  const known = interceptionLists.get(manifest)
  if (known !== undefined) return { interception: known }
  const id = createHash('sha256').update(pins.join()).digest('base64url')
  const interception = createInterceptionKeys(pins, { id, effect })
  interceptionLists.set(manifest, interception)
  return { interception }
}

/** A rule that tightens and that this version cannot enforce must not be skipped in silence. */
function unsupportedRule(entry: HostEntry, inCode: string | undefined): string | undefined {
  const { expectedUri } = entry
  if (expectedUri !== undefined && inCode !== undefined && expectedUri !== inCode)
    return `expectedUri ${expectedUri} beside ${inCode} of the option expectedUris`
  return undefined
}

function endOf({ notAfter }: ResolvedPins, manifest: ManifestView | undefined, createdAt: UnixMs): UnixMs | undefined {
  if (notAfter !== undefined) return notAfter
  return manifest === undefined ? undefined : toUnixMs(createdAt + FALLBACK_LIFE_MS)
}

function notCovered({ text }: CanonicalOrigin, manifestVersion: number): TrustError {
  const where = manifestVersion === 0 ? 'the pins in code' : `manifest ${manifestVersion}`
  const message = `${text}: no entry of ${where} covers this host, so nothing was sent`
  return new TrustError('ERR_TRUST_HOST_NOT_COVERED', message, { host: text, manifestVersion })
}

function noManifest({ text }: CanonicalOrigin): TrustError {
  const message = `${text}: no verified manifest is active; client.health() says why`
  return new TrustError('ERR_TRUST_NO_TRUSTED_MANIFEST', message, { host: text })
}

function pinsExpired({ text }: CanonicalOrigin): TrustError {
  return new TrustError('ERR_TRUST_PINSET_EXPIRED', `${text}: the pins in code are past their notAfter`, { host: text })
}

function manifestExpired({ text }: CanonicalOrigin, { version }: ManifestView): TrustError {
  const message = `${text}: manifest ${version} or its status is past its expiry and grace; client.health() says which`
  return new TrustError('ERR_TRUST_PINSET_EXPIRED', message, { host: text, manifestVersion: version })
}

function contained({ text }: CanonicalOrigin): PolicyError {
  const message = `${text}: the manifest contains this host: no connection is made`
  return new PolicyError('ERR_POLICY_CONTAINED', message, { host: text })
}

function pastSunset({ text }: CanonicalOrigin, sunset = 0): PolicyError {
  const message = `${text}: its legacy profile ended at ${new Date(sunset).toISOString()}: no connection is made`
  return new PolicyError('ERR_POLICY_SUNSET', message, { host: text })
}

function certificateRequired({ text }: CanonicalOrigin, manifestVersion: number): TlsError {
  const message = `${text}: manifest ${manifestVersion} says that this host demands a client certificate, and there is no option \`certificate\`; nothing was sent`
  return new TlsError('ERR_TLS_CLIENT_CERTIFICATE_REQUIRED', message, { host: text })
}

function cannotEnforce({ text }: CanonicalOrigin, rule: string, manifestVersion: number): TrustError {
  const message = `${text}: the manifest asks for ${rule}, which this client cannot enforce`
  return new TrustError('ERR_TRUST_POLICY_UNSUPPORTED', message, { host: text, manifestVersion })
}

const interceptionLists = new WeakMap<ManifestView, InterceptionKeys>()
const compiled = new WeakMap<ManifestView, RevokedCertificates>()
const DAY_MS = 86_400_000
const FALLBACK_LIFE_MS = 90 * DAY_MS // HPKP deployments used 60 days; a quarter leaves room for one missed release
const FOREVER = Number.POSITIVE_INFINITY
const LEGACY_CONNECTIONS = MAX_CONNECTIONS / 8
const LEGACY_AGE_MS = 60_000
const MAX_ORIGINS = 10_000
const MAX_ANCHOR_SETS = 64
