import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { type ApprovalPolicy, isApprovalPolicy } from '../auth/approval.ts'
import type { AuthScheme } from '../auth/scheme.ts'
import {
  isMinted,
  type LegacyHost,
  type Loosening,
  type ManifestMay,
  type RelaxedTransparency,
  type Tls12Host,
  type UnpinnedHost,
} from '../dangerous/loosening.ts'
import { formatHostPattern, overlaps, type ParsedHostPattern, parseHostPattern } from '../encoding/host-pattern.ts'
import type { OriginPattern } from '../encoding/origin-pattern.ts'
import { isPinText, type PinText } from '../encoding/pin.ts'
import { ConfigurationError } from '../errors/errors.ts'
import type { CircuitRules } from '../limits/circuit.ts'
import { parseBundle } from '../manifest/bundle.ts'
import { adaptSource, type CustomSource } from '../manifest/custom-source.ts'
import type { ManifestLocation, ManifestSource } from '../manifest/sources.ts'
import { isRuntime, type Runtime, toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import type { RequestSigner } from '../signing/signing.ts'
import { isResponseVerifier, type ResponseVerifier } from '../signing/verify-responses.ts'
import type { AddressPolicy } from '../transport/address-policy.ts'
import type { Http2, Limits, Timeouts } from '../transport/limits.ts'
import type { Resolver } from '../transport/resolvers.ts'
import { isSpiffeId } from '../trust/identity.ts'
import type { AnchorSource, ResolvedAnchors } from './anchors.ts'
import { type BreakerOptions, BreakerSchema } from './breaker-options.ts'
import { type CertificateOption, CertificateSchema, type ResolvedCertificate } from './certificate-options.ts'
import { CONTAINING_SIGNALS, type ContainingSignal } from './containment.ts'
import { type EgressRule, EgressSchema, OriginPatternSchema } from './egress.ts'
import { type InteractionOptions, type InteractionRules, InteractionSchema } from './interaction.ts'
import { longerTimeouts } from './legacy-timeouts.ts'
import { type LimitOptions, LimitsSchema, type TimeoutOptions, TimeoutsSchema } from './limits.ts'
import { type MonitorOptions, MonitorSchema, type ResolvedMonitor } from './monitoring.ts'
import { AddressesSchema, type AddressOptions, LocalAddressSchema, UnixSocketsSchema } from './network.ts'
import { type OperationOption, type OperationRules, OperationsSchema } from './operation-options.ts'
import { type ProxyOption, ProxySchema, type ResolvedProxy, requireUsable, resolveProxy } from './proxy.ts'
import { type RateOptions, type RateRule, RateSchema, type ResolvedRate } from './rate-options.ts'
import { type RedirectOption, type RedirectRules, RedirectSchema } from './redirect-options.ts'
import { type ResolvedRetry, type RetryOptions, RetrySchema } from './retry-options.ts'
import {
  type ResolvedRevocation,
  type RevocationNetworkOptions,
  RevocationNetworkSchema,
  type RevocationOption,
  RevocationOptionSchema,
  revocationPolicyOf,
  showsFirst,
} from './revocation.ts'
import {
  choiceOf,
  HostTransparencySchema,
  type ResolvedTransparency,
  type TransparencyMode,
  type TransparencyOption,
  TransparencySchema,
} from './transparency.ts'

/** Where signed documents come from, which root verifies them, and where they are kept. */
export interface ManifestOptions {
  /**
   * Where the signed documents are. One of `url`, `urls`, `custom`.
   * - `https://pins.example.com/`: the base URL.
   * - A directory, as a path or `file:` URL. A change is noticed within two seconds, a swapped Kubernetes volume included.
   * - A file ending in `.json`: a bundle `{ "status": …, "manifest": …, "roots": […] }`, noticed like a directory. The members
   *   are the documents as published; `roots` are root 1, root 2 and so on, and may be left out while root 1 is the newest.
   * - `env:NAME`: the same bundle, as JSON or its base64, in that environment variable, read once. Nothing in it is secret.
   */
  readonly url?: string | URL
  /** Mirrors, tried in this order; after a refresh that brought nothing, the next begins with the one after. */
  readonly urls?: readonly (string | URL)[]
  /** A source of your own: functions that get documents, say that there may be new ones, and end. */
  readonly custom?: CustomSource
  /** The trusted root document that your application ships: a path, a `file:` URL, or its bytes. No trust on first use. */
  readonly root: string | URL | Uint8Array
  /** Where accepted documents are kept. Without it the rollback floor is lost at restart, which one line on stderr says. */
  readonly cacheDir?: string
  /** `'required'` refuses to start with a `cacheDir` that cannot be used; by default the client then goes on in memory. */
  readonly cache?: 'best-effort' | 'required'
  /** Says that losing the floor at restart is known and accepted. */
  readonly memoryOnly?: boolean
  /** Pins for the hosts in `url` themselves. Optional, since the documents are signed; they stop a snooper in between. */
  readonly bootstrapPins?: readonly string[]
  /**
   * A published repository that your application ships, for a start without network and cache: a directory as `manifest sign`
   * writes it, or a bundle. It is verified like any other, serves until a manifest was accepted, and ends with its own expiry.
   */
  readonly bootstrap?: string | URL
  /** SHA-256 of the root's payload, 64 hexadecimal digits: ties a root that is a file to a line of code. */
  readonly rootFingerprint?: string
  /** Must equal the root's own when given; a guard against shipping the wrong root. */
  readonly repo?: string
  /** The same for the environment that the root names. */
  readonly env?: string
  /**
   * Host patterns that this manifest speaks for: what it says of others has no effect. Default all; required of each where
   * there are several, of which no two may speak for one host.
   */
  readonly hosts?: readonly string[]
  /** How long `ready()` and the first requests wait for a verified manifest. Default 10 000: most start-up probes allow it. */
  readonly startupMs?: number
}

/** Pins of one host pattern, where there is more to say than the pins. */
export interface HostPins {
  /** `sha256/`, `sha384/` or `sha512/` and base64, of keys anywhere on the verified path. With one alone the next key is an outage. */
  readonly pins: readonly string[]
  /** `'report'` lets a pin mismatch through and raises `tls.reported`. Default `'enforce'`. */
  readonly mode?: 'enforce' | 'report'
  /** From then on these pins no longer serve. Default: never where pins are all there is; 90 days as a manifest's fallback. */
  readonly notAfter?: Date
}

/** All options of `createClient`. They are read once; an unknown one is a ConfigurationError. */
export interface ClientOptions {
  /** Source of the signed pin manifest, or several, each with the `hosts` it speaks for. This or `pins` is required: there is no unpinned default. */
  readonly manifest?: ManifestOptions | readonly ManifestOptions[]
  /** Pins in code by host pattern: alone, or beside a manifest as the fallback until the first one was ever accepted. */
  readonly pins?: Readonly<Record<string, readonly string[] | HostPins>>
  /** `'report'` for every host: for a first roll-out. Path, name and denied keys are enforced all the same. Default `'enforce'`. */
  readonly mode?: 'enforce' | 'report'
  /** Hosts that no manifest and no pins cover. Default `'reject'`; `allowUnpinned` of `pinfetch/dangerous` makes exceptions. */
  readonly unlistedHosts?: 'reject' | readonly UnpinnedHost[]
  /** Hosts that may speak TLS 1.2, from `allowTls12` of `pinfetch/dangerous`. Default none: TLS 1.3 everywhere. */
  readonly tls12Hosts?: readonly Tls12Host[]
  /** Hosts that may speak TLS 1.2 with CBC suites until a date, from `allowLegacy` of `pinfetch/dangerous`. Default none. */
  readonly legacyHosts?: readonly LegacyHost[]
  /** What the manifest may loosen, from `manifestMay` of `pinfetch/dangerous`. Default nothing. */
  readonly manifestMay?: ManifestMay
  /**
   * What becomes of a peer on whose verified path stands a key of an interception product that the manifest names, pinned or not.
   * An event is raised in any case. Default `'report'`: pins refuse whoever does not belong there, and a pinned key was meant.
   */
  readonly interception?: 'report' | 'refuse'
  /** Trust anchors for every host. Default `'bundled'`: whatever the environment adds to Node's own default is not in it. */
  readonly anchors?: AnchorSource | readonly AnchorSource[]
  /** Trust anchors of single hosts, in place of `anchors`: a partner's private root, or its self-signed certificate. */
  readonly hostAnchors?: Readonly<Record<string, AnchorSource | readonly AnchorSource[]>>
  /** SPIFFE IDs that hosts must have, by host pattern: an ID then takes the place of the host name. */
  readonly expectedUris?: Readonly<Record<string, string>>
  /** Credentials, by origin: from `pinfetch/auth`, or of your own. A request to an origin that none of them names is refused. */
  readonly auth?: AuthScheme | readonly AuthScheme[]
  /** Origins that are asked without a credential although `auth` is given. Default none. */
  readonly withoutAuth?: readonly OriginPattern[]
  /**
   * What signs requests, in this order, after everything else about them is known: `httpSignature` and others of
   * `pinfetch/signing`, or of your own. Every request to every covered host is signed, each attempt and each hop anew; none is
   * once a redirect led to another origin. Default none.
   */
  readonly sign?: RequestSigner | readonly RequestSigner[]
  /** Which requests somebody has to confirm first, from `approval` of `pinfetch/auth`. Default none. */
  readonly approval?: ApprovalPolicy
  /**
   * What may be asked for and what may come back, with schemas of zod or any Standard Schema. A request is judged before anything
   * else happens, a response before anybody sees it; nothing is changed. A list by itself is all that may be asked.
   */
  readonly operations?: OperationOption
  /** Gives each call an id, and compares the response's: `x-fapi-interaction-id`. Default none. See `fapi2`. */
  readonly interactionId?: InteractionOptions
  /** The client's own certificate for mutual TLS: PEM, files that are followed, or a function. Default none. */
  readonly certificate?: CertificateOption
  /** How revoked certificates are found out. Default `'soft-fail'`: staples and CRLs, with nothing on the way of a request. */
  readonly revocation?: RevocationOption
  /** The same for single hosts, in place of `revocation`. */
  readonly hostRevocation?: Readonly<Record<string, RevocationOption>>
  /** Where and how CRLs and OCSP responses may be fetched. */
  readonly revocationNetwork?: RevocationNetworkOptions
  /**
   * CRLite filters (version 4), for the source `'crlite'`: the whole set of a channel, a full one and all that followed it, because what
   * the ones left out say is not known. Asked at each handshake; another array than before means that the filters changed. Nobody signs
   * these files: where they come from is the application's to see to. Default none.
   */
  readonly crliteFilters?: () => readonly Uint8Array[]
  /**
   * Whether certificates have to be logged (Certificate Transparency, RFC 6962). Default: what the manifest asks for, beside which
   * this is a floor. The manifest's own host is not asked: its documents are signed.
   */
  readonly ct?: TransparencyOption
  /** The mode for single hosts, in place of that of `ct`. */
  readonly hostCt?: Readonly<Record<string, TransparencyMode | RelaxedTransparency>>
  /** Resolves DNS names. Default: the system's resolver. See `staticResolver`, `compareResolvers` and `dohResolver`. */
  readonly resolver?: Resolver
  /** Which addresses may be connected to, whatever a name resolves to. */
  readonly addresses?: AddressOptions
  /** The address of this machine that connections come from. Default: the system chooses. */
  readonly localAddress?: string
  /** Unix sockets in place of hosts: the path by host name. TLS is spoken over them, and the host is who it has to be. */
  readonly unixSockets?: Readonly<Record<string, string>>
  /**
   * The proxy that connections go through, those for the manifest and for revocation lists included. TLS to the server is spoken
   * and judged inside of its tunnel. Default none: a variable of the environment counts where `'environment'` says so.
   */
  readonly proxy?: ProxyOption
  /** What may leave: one rule or several, of which one has to allow all of a request. Default: whatever has a policy. */
  readonly egress?: EgressRule | readonly EgressRule[]
  /** What contains everything when it arrives, as `contain('*')` does. Default: none. */
  readonly containOnSignal?: ContainingSignal
  /**
   * Which redirects are followed. Default `'error'`: none, since a redirect lets a server choose what is asked with what the
   * caller sent. A call can ask for less than the client allows: `redirect: 'error'` refuses, `'manual'` hands the response
   * over; `'follow'`, which is also what a call means that says nothing, is what this option says.
   *
   * Every hop is judged as a request of its own: policy, pins, addresses, `egress`. An http target is refused, HSTS or not. To
   * another origin, which another port is too, no header field goes that carries a credential, nor does it come back with a
   * later hop, and no body. At the same origin a body is sent again that can be: text, bytes, URLSearchParams, Blob, FormData.
   * `timeouts.totalMs` and the signal are those of the whole call.
   */
  readonly redirect?: RedirectOption
  /** Which responses have to be signed, and how, from `verifyResponses` of `pinfetch/signing`. Default: no signature is looked at. */
  readonly verify?: ResponseVerifier
  /** What is sent again after a failure: `{}` for the defaults. Default: nothing, as with `fetch`. */
  readonly retry?: RetryOptions
  /** How fast requests may be sent: rules of your own, and what servers ask for. Default: as fast as they come. */
  readonly rate?: RateOptions | readonly RateRule[]
  /** When an origin that fails is left alone for a while: `{}` for the defaults. Default: never. */
  readonly breaker?: BreakerOptions
  /**
   * Http URLs are refused; nothing is ever sent in the clear. `'hsts'` reads those of a host that asked for it in an earlier
   * response (RFC 6797) as https, remembered in `manifest.cacheDir` where there is one. Default `'never'`: a program that says
   * http is better corrected than helped.
   */
  readonly upgradeInsecure?: 'never' | 'hsts'
  /**
   * HTTP/2, of which one connection carries all requests to an origin. `'prefer'` speaks it where the server offers it,
   * `'require'` refuses others with `ERR_TLS_ALPN`. Default `'never'`: it saves handshakes, and costs time on every request.
   */
  readonly http2?: Http2
  /**
   * What is told of by watching: `tls.anomaly`, `tls.timing`, `traffic.anomaly`, `expiry.near`. Costs microseconds a connection and
   * changes nothing about what is accepted. `false`: nothing is watched. Default `{}`.
   */
  readonly monitor?: false | MonitorOptions
  /** How long each stage of a call may take, in milliseconds. */
  readonly timeouts?: TimeoutOptions
  /** How much a server may make this process hold, unpack or wait for. */
  readonly limits?: LimitOptions
  /** Clock, random source and timers. Default: the machine's. */
  readonly runtime?: Runtime
}

export interface ResolvedManifest {
  readonly locations: readonly ManifestLocation[]
  readonly custom?: ManifestSource
  readonly root: Uint8Array
  readonly cacheDir?: string | undefined
  readonly cache: 'best-effort' | 'required'
  readonly memoryOnly: boolean
  readonly bootstrapPins: readonly PinText[]
  readonly bootstrap?: ManifestLocation | undefined
  readonly rootFingerprint?: string | undefined
  readonly repo?: string | undefined
  readonly env?: string | undefined
  readonly hosts?: readonly ParsedHostPattern[]
  readonly startupMs: number
}

export interface ResolvedPins {
  readonly pattern: ParsedHostPattern
  readonly pins: readonly PinText[]
  readonly mode: 'enforce' | 'report'
  readonly notAfter: UnixMs | undefined
}

export interface ResolvedLegacy {
  readonly pattern: string
  readonly reason: string
  readonly sunset: UnixMs
  readonly timeouts?: Timeouts
}

export interface ResolvedOptions {
  readonly manifests: readonly ResolvedManifest[]
  readonly pins: readonly ResolvedPins[]
  readonly mode: 'enforce' | 'report'
  readonly unlistedHosts: readonly UnpinnedHost[]
  readonly tls12Hosts: readonly Tls12Host[]
  readonly legacyHosts: readonly ResolvedLegacy[]
  readonly manifestMay: ManifestMay | undefined
  readonly interception: 'report' | 'refuse'
  readonly anchors: ResolvedAnchors
  readonly revocation: ResolvedRevocation
  readonly crliteFilters: (() => readonly Uint8Array[]) | undefined
  readonly transparency: ResolvedTransparency
  readonly expectedUris: readonly { readonly pattern: ParsedHostPattern; readonly uri: string }[]
  readonly auth: readonly AuthScheme[]
  readonly withoutAuth: readonly OriginPattern[]
  readonly sign: readonly RequestSigner[]
  readonly approval: ApprovalPolicy | undefined
  readonly operations: OperationRules | undefined
  readonly interactionId: InteractionRules | undefined
  readonly certificate: ResolvedCertificate | undefined
  readonly resolver: Resolver | undefined
  readonly addresses: AddressPolicy
  readonly localAddress: string | undefined
  readonly unixSockets: Readonly<Record<string, string>>
  readonly proxy: ResolvedProxy | undefined
  readonly egress: readonly EgressRule[]
  readonly containOnSignal?: ContainingSignal | undefined
  readonly redirect: RedirectRules | undefined
  readonly verify: ResponseVerifier | undefined
  readonly retry: ResolvedRetry | undefined
  readonly rate: ResolvedRate | undefined
  readonly breaker: CircuitRules | undefined
  readonly upgradeInsecure: 'never' | 'hsts'
  readonly http2: Http2
  readonly monitor: ResolvedMonitor
  readonly timeouts: Timeouts
  readonly limits: Limits
  readonly runtime: Runtime
}

/**
 * Reads the options once. Unknown members are errors: a misspelt security option must not become a silent default.
 *
 * @throws ConfigurationError naming the path of the option, what was expected and what was given.
 */
export function resolveOptions(options: ClientOptions): ResolvedOptions {
  const parsed = (Array.isArray(options?.manifest) ? OptionsOfSeveral : Options).safeParse(options) // messages name a path
  if (!parsed.success) throw optionError(parsed.error.issues[0])
  const { manifest, pins = {}, anchors, hostAnchors, unlistedHosts, ...rest } = parsed.data
  if (manifest === undefined && Object.keys(pins).length === 0) {
    throw invalid('', '`manifest` or `pins` is required: there is no unpinned default')
  }
  const evidenceHeader = rest.approval?.attach?.header
  if (evidenceHeader !== undefined && [rest.auth].flat().some((one) => one.credentialHeaders.includes(evidenceHeader)))
    throw invalid('approval.attach.header', 'expected a header of its own, this one is that of a scheme in `auth`')
  requireOwnFields(rest)
  const revocation = resolveRevocation(rest)
  const policies = [revocation.everywhere, ...revocation.byHost.map(({ policy }) => policy)]
  if (rest.crliteFilters === undefined && policies.some(({ sources }) => sources.includes('crlite'))) {
    throw invalid('crliteFilters', 'the source `crlite` needs filters to look into')
  }
  if (rest.certificate !== undefined && policies.some(showsFirst)) throw invalid('revocation.fetch', SHOWS_FIRST)
  const manifests = resolveManifests(manifest === undefined ? [] : [manifest].flat())
  const unlisted = unlistedHosts === 'reject' ? [] : unlistedHosts
  const proxy = resolveProxy(rest.proxy)
  requireUsable(proxy, { ...rest, manifests, unlistedHosts: unlisted })
  const frozen = deepFreeze({
    manifests,
    pins: onePerHost(Object.entries(pins).map(([pattern, entry]) => resolvePins(pattern, entry, rest.mode))),
    unlistedHosts: unlisted,
    anchors: {
      everywhere: [anchors].flat(),
      byHost: Object.entries(hostAnchors).map(([text, sources]) => {
        const path = `hostAnchors[${JSON.stringify(text)}]`
        return { pattern: requirePattern(text, path), sources: [sources].flat() }
      }),
    },
    revocation,
    crliteFilters: rest.crliteFilters,
    transparency: resolveTransparency(rest, manifests.length > 0),
    manifestMay: rest.manifestMay,
    interception: rest.interception,
    expectedUris: Object.entries(rest.expectedUris).map(([text, uri]) => ({
      pattern: requirePattern(text, `expectedUris[${JSON.stringify(text)}]`),
      uri,
    })),
    withoutAuth: rest.withoutAuth,
    approval: rest.approval,
    interactionId: rest.interactionId,
    certificate: rest.certificate,
    resolver: rest.resolver,
    addresses: rest.addresses,
    localAddress: rest.localAddress,
    unixSockets: rest.unixSockets,
    proxy,
    egress: rest.egress,
    containOnSignal: rest.containOnSignal,
    redirect: rest.redirect,
    retry: rest.retry,
    rate: rest.rate,
    breaker: rest.breaker,
    upgradeInsecure: rest.upgradeInsecure,
    http2: rest.http2,
    monitor: rest.monitor,
    tls12Hosts: rest.tls12Hosts,
    legacyHosts: rest.legacyHosts.map(({ pattern, reason, sunset, timeouts }, index) => ({
      pattern,
      reason,
      sunset: toUnixMs(sunset.getTime()), // the caller's Date may change later
      ...(timeouts === undefined
        ? {}
        : { timeouts: longerTimeouts(timeouts, rest.timeouts, `legacyHosts.${index}.timeouts`) }),
    })),
    mode: rest.mode,
    timeouts: rest.timeouts,
    limits: rest.limits,
    runtime: rest.runtime,
  })
  // what a scheme or a schema keeps in itself is its own
  return Object.freeze({
    ...frozen,
    auth: Object.freeze([rest.auth].flat()),
    sign: Object.freeze([rest.sign].flat()),
    operations: rest.operations,
    verify: rest.verify,
  })
}

/** What a scheme or an approval sets would be the caller's to a signer, which then would not sign. */
function requireOwnFields({ sign, auth, approval }: Pick<z.infer<typeof Options>, 'sign' | 'auth' | 'approval'>): void {
  const taken = new Set([approval?.attach?.header, ...[auth].flat().flatMap((one) => one.credentialHeaders)])
  for (const { name, headers } of [sign].flat()) {
    const field = headers.find((header) => taken.has(header))
    if (field !== undefined) throw invalid('sign', `${name} sets ${field}, which \`auth\` or \`approval\` sets as well`)
  }
}

function resolveRevocation({
  revocation,
  hostRevocation,
  revocationNetwork,
}: Pick<z.infer<typeof Options>, 'revocation' | 'hostRevocation' | 'revocationNetwork'>): ResolvedRevocation {
  const given = [['revocation', revocation] as const, ...Object.entries(hostRevocation)]
  return {
    loosened: given.flatMap(([subject, option]) =>
      typeof option === 'object' && 'kind' in option ? [{ subject, mode: option.mode, reason: option.reason }] : [],
    ),
    everywhere: revocationPolicyOf(revocation),
    byHost: Object.entries(hostRevocation).map(([text, option]) => ({
      pattern: requirePattern(text, `hostRevocation[${JSON.stringify(text)}]`),
      policy: revocationPolicyOf(option),
    })),
    network: revocationNetwork,
  }
}

function resolveTransparency(
  { ct, hostCt }: Pick<z.infer<typeof Options>, 'ct' | 'hostCt'>,
  hasManifest: boolean,
): ResolvedTransparency {
  const given = [...(ct === undefined ? [] : [['ct', ct] as const]), ...Object.entries(hostCt)]
  const { logList, rfc6962Log = 'optional' } = typeof ct === 'object' && !('kind' in ct) ? ct : {}
  const [asking] = given.filter(([, option]) => ['enforce', 'require'].includes(choiceOf(option).mode))
  if (asking !== undefined && logList === undefined && !hasManifest) {
    throw invalid(
      'ct.logList',
      `a log list is required to ${choiceOf(asking[1]).mode}, and there is no manifest to bring one`,
    )
  }
  return {
    loosened: given.flatMap(([subject, option]) =>
      typeof option === 'object' && 'kind' in option
        ? [{ subject: subject === 'ct' ? subject : `${subject}: ct`, mode: option.mode, reason: option.reason }]
        : [],
    ),
    everywhere: choiceOf(ct),
    byHost: Object.entries(hostCt).map(([text, option]) => ({
      pattern: requirePattern(text, `hostCt[${JSON.stringify(text)}]`),
      choice: choiceOf(option),
    })),
    rfc6962Log,
    logList,
  }
}

function resolveManifests(given: readonly z.infer<typeof Manifest>[]): readonly ResolvedManifest[] {
  const manifests = given.map(resolveManifest)
  if (manifests.length > 1 && manifests.some(({ hosts }) => hosts === undefined)) {
    throw invalid('manifest', 'of several manifests each has to name the `hosts` that it speaks for')
  }
  const claims = manifests.flatMap(({ hosts = [] }, index) => hosts.map((pattern) => ({ pattern, index })))
  for (const [position, { pattern, index }] of claims.entries()) {
    const rival = claims.slice(position + 1).find((other) => other.index !== index && overlaps(other.pattern, pattern))
    if (rival === undefined) continue
    const [one, two] = [pattern, rival.pattern].map(formatHostPattern)
    const message = `manifest.${index}.hosts and manifest.${rival.index}.hosts: ${one} and ${two} claim the same host`
    throw new ConfigurationError('ERR_CONFIG_HOST_CLAIMED_TWICE', message)
  }
  return manifests
}

function resolveManifest({
  url,
  urls,
  custom,
  root,
  bootstrap,
  hosts,
  ...rest
}: z.infer<typeof Manifest>): ResolvedManifest {
  const given = [...(url === undefined ? [] : [url]), ...(urls ?? [])]
  const sources = [url, urls, custom].filter((source) => source !== undefined)
  if (sources.length === 0) throw invalid('manifest.url', 'a base URL or a directory is required')
  if (sources.length > 1) throw invalid('manifest', 'give one of `url`, `urls` and `custom`')
  if (rest.cache === 'required' && rest.cacheDir === undefined) {
    throw invalid('manifest.cache', 'a cache that is required needs a `cacheDir`')
  }
  const locations = given.map((location, index) =>
    locate(location, url === undefined ? `manifest.urls.${index}` : 'manifest.url'),
  )
  const bootstrapPins = rest.bootstrapPins.map((pin, index) => requirePin(pin, `manifest.bootstrapPins.${index}`))
  const source = custom === undefined ? {} : { custom: adaptSource(custom) } // a copy: what is resolved gets frozen
  const shipped = bootstrap === undefined ? {} : { bootstrap: besideApplication(bootstrap) }
  const claimed = hosts === undefined ? {} : { hosts: hosts.map((text) => requirePattern(text, 'manifest.hosts')) }
  return { ...rest, ...source, ...shipped, ...claimed, bootstrapPins, locations, root: readRoot(root) }
}

function locate(location: string | URL, path: string): ManifestLocation {
  const text = String(location)
  if (!/^[a-z][a-z0-9+.-]+:/i.test(text)) return onDisk(text)
  if (text.startsWith('env:')) return inEnvironment(text, path)
  if (!URL.canParse(text)) throw invalidUrl(path, text)
  const url = new URL(text)
  if (url.protocol === 'file:') return onDisk(fileURLToPath(url))
  if (url.protocol !== 'https:' || url.username !== '' || url.password !== '') throw invalidUrl(path, url.origin)
  if (!url.pathname.endsWith('/')) url.pathname += '/' // a base: the documents are below it
  return { kind: 'https', url }
}

function besideApplication(bootstrap: string | URL): ManifestLocation {
  const location = locate(bootstrap, 'manifest.bootstrap')
  if (location.kind !== 'https') return location
  throw invalid('manifest.bootstrap', 'expected a directory or a bundle that is there without network')
}

function onDisk(path: string): ManifestLocation {
  return { kind: path.endsWith('.json') ? 'file' : 'directory', path }
}

/** Read once: the variables of a process do not change from outside. */
function inEnvironment(path: string, option: string): ManifestLocation {
  const text = process.env[path.slice('env:'.length)]
  if (text === undefined || text === '') throw invalid(option, `${path}: no such environment variable`)
  const bundle = parseBundle(Buffer.from(text))
  if (bundle !== undefined) return { kind: 'bundle', path, bundle }
  throw invalid(option, `${path}: expected {"status", "manifest", "roots"} as JSON or its base64`)
}

function readRoot(root: string | URL | Uint8Array): Uint8Array {
  if (root instanceof Uint8Array) return new Uint8Array(root)
  try {
    return new Uint8Array(readFileSync(root))
  } catch (cause) {
    throw invalid('manifest.root', `the trusted root cannot be read from ${String(root)}`, cause)
  }
}

function resolvePins(text: string, entry: readonly string[] | z.infer<typeof HostEntry>, mode: Mode): ResolvedPins {
  const path = `pins[${JSON.stringify(text)}]`
  const pattern = requirePattern(text, path)
  const { pins, mode: own = mode, notAfter } = 'pins' in entry ? entry : { pins: entry }
  if (pins.length === 0) throw invalid(path, 'at least one pin is required')
  const texts = pins.map((pin, index) => requirePin(pin, `${path}[${index}]`))
  const end = notAfter === undefined ? undefined : toUnixMs(notAfter.getTime()) // the caller's Date may change later
  return { pattern, pins: [...new Set(texts)], mode: own, notAfter: end }
}

function onePerHost(entries: readonly ResolvedPins[]): readonly ResolvedPins[] {
  const seen = new Set<string>()
  for (const { pattern } of entries) {
    const text = formatHostPattern(pattern)
    if (seen.has(text)) throw new ConfigurationError('ERR_CONFIG_HOST', `pins: ${text} is given twice`)
    seen.add(text)
  }
  return entries
}

function requirePattern(text: string, path: string): ParsedHostPattern {
  const pattern = parseHostPattern(text)
  if (pattern !== undefined) return pattern
  const message = `${path}: expected a host, *.host or **.host without scheme, port or path`
  throw new ConfigurationError('ERR_CONFIG_HOST', message)
}

function requirePin(pin: string, path: string): PinText {
  if (isPinText(pin)) return pin
  const message = `${path}: expected sha256/, sha384/ or sha512/ and the base64 digest of an SPKI, got ${JSON.stringify(pin)}`
  throw new ConfigurationError('ERR_CONFIG_PIN', message)
}

function optionError(issue: z.core.$ZodIssue | undefined): ConfigurationError {
  if (issue === undefined) return invalid('', 'the options cannot be read')
  const path = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys')
    return invalid([path, issue.keys[0]].filter(Boolean).join('.'), 'unknown option')
  return invalid(path, issue.message)
}

function invalid(path: string, message: string, cause?: unknown): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_INVALID', path === '' ? message : `${path}: ${message}`, { cause })
}

function invalidUrl(path: string, seen: string): ConfigurationError {
  const message = `${path}: expected an https URL without user name and password, a file URL, a path or env:NAME, got ${seen}`
  return new ConfigurationError('ERR_CONFIG_URL', message)
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof URL) return value
  if (Object.getPrototypeOf(value) === Object.prototype || Array.isArray(value)) {
    for (const member of Object.values(value)) deepFreeze(member)
    Object.freeze(value)
  }
  return value
}

const SHOWS_FIRST =
  'hard-fail that waits for lists would show the client certificate before the verdict; fetch in the background'

type Mode = 'enforce' | 'report'
const isFunction = (value: unknown): boolean => typeof value === 'function'
const positiveMs = (fallback: number) => z.int().min(1).max(600_000).default(fallback)
const Location = z.union([z.string().min(1), z.instanceof(URL)])

const Manifest = z.strictObject({
  url: Location.optional(),
  urls: z.array(Location).min(1).max(8).optional(),
  custom: z
    .custom<CustomSource>(
      (value) => typeof value === 'object' && value !== null && 'get' in value && isFunction(value.get),
      'expected an object with a function `get`',
    )
    .optional(),
  root: z.union([z.string().min(1), z.instanceof(URL), z.instanceof(Uint8Array)]),
  cacheDir: z.string().min(1).optional(),
  cache: z.enum(['best-effort', 'required']).default('best-effort'),
  memoryOnly: z.boolean().default(false),
  bootstrapPins: z.array(z.string()).default([]),
  bootstrap: Location.optional(),
  rootFingerprint: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits')
    .optional(),
  hosts: z.array(z.string()).min(1).optional(),
  repo: z.string().optional(),
  env: z.string().optional(),
  startupMs: positiveMs(10_000),
})

const HostEntry = z.strictObject({
  pins: z.array(z.string()).min(1).max(16),
  mode: z.enum(['enforce', 'report']).optional(),
  notAfter: z.date().optional(),
})

const AnchorText = z.string().min(1)
const Anchor = z.union([
  AnchorText,
  z.strictObject({ file: AnchorText.transform((path) => resolve(path)) }),
  z.strictObject({ spiffeBundle: AnchorText.transform((path) => resolve(path)) }),
])
export const Anchors = z.union([Anchor, z.array(Anchor).min(1)])

const minted = <Kind extends Loosening['kind']>(kind: Kind) =>
  z.custom<Extract<Loosening, { readonly kind: Kind }>>(
    (value) => isMinted(value, kind),
    'expected what the function of pinfetch/dangerous answers',
  )

const Scheme = z.custom<AuthScheme>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    'bind' in value &&
    isFunction(value.bind) &&
    ['credentialHeaders', 'allowedOrigins'].every((name) => Array.isArray(Reflect.get(value, name))),
  'expected a scheme, such as `oauth` of pinfetch/auth answers',
)

const Signer = z.custom<RequestSigner>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    'bind' in value &&
    isFunction(value.bind) &&
    Array.isArray(Reflect.get(value, 'headers')) &&
    ['ignored', 'digest', 'bytes'].includes(Reflect.get(value, 'body')),
  'expected a signer, such as `httpSignature` of pinfetch/signing answers',
)

const Options = z.strictObject({
  manifest: Manifest.optional(),
  pins: z.record(z.string(), z.union([z.array(z.string()).max(16), HostEntry])).optional(),
  mode: z.enum(['enforce', 'report']).default('enforce'),
  unlistedHosts: z.union([z.literal('reject'), z.array(minted('unpinnedHost'))]).default('reject'),
  tls12Hosts: z.array(minted('tls12Host')).default([]),
  legacyHosts: z.array(minted('legacyHost')).default([]),
  manifestMay: minted('manifestMay').optional(),
  interception: z.enum(['report', 'refuse']).default('report'),
  anchors: Anchors.default('bundled'),
  hostAnchors: z.record(z.string(), Anchors).default({}),
  revocation: RevocationOptionSchema.default('soft-fail'),
  hostRevocation: z.record(z.string(), RevocationOptionSchema).default({}),
  revocationNetwork: RevocationNetworkSchema.prefault({}),
  crliteFilters: z.custom<() => readonly Uint8Array[]>(isFunction, 'expected a function () => filters').optional(),
  ct: TransparencySchema.optional(),
  hostCt: z.record(z.string(), HostTransparencySchema).default({}),
  expectedUris: z
    .record(
      z.string(),
      z.string().refine((text) => isSpiffeId(text), 'expected spiffe://trust-domain/path'),
    )
    .default({}),
  auth: z.union([Scheme, z.array(Scheme)]).default([]),
  sign: z.union([Signer, z.array(Signer).max(16)]).default([]),
  withoutAuth: z.array(OriginPatternSchema).default([]),
  approval: z.custom<ApprovalPolicy>(isApprovalPolicy, 'expected what `approval` of pinfetch/auth answers').optional(),
  operations: OperationsSchema.optional(),
  interactionId: InteractionSchema.optional(),
  certificate: CertificateSchema.optional(),
  resolver: z.custom<Resolver>(isFunction, 'expected a function (host) => Promise<addresses>').optional(),
  addresses: AddressesSchema,
  localAddress: LocalAddressSchema,
  unixSockets: UnixSocketsSchema,
  proxy: ProxySchema.optional(),
  egress: EgressSchema.default([]),
  containOnSignal: z.enum(CONTAINING_SIGNALS).optional(),
  redirect: RedirectSchema,
  verify: z
    .custom<ResponseVerifier>(isResponseVerifier, 'expected what `verifyResponses` of pinfetch/signing answers')
    .optional(),
  retry: RetrySchema.optional(),
  rate: RateSchema.optional(),
  breaker: BreakerSchema.optional(),
  upgradeInsecure: z.enum(['never', 'hsts']).default('never'),
  http2: z.enum(['never', 'prefer', 'require']).default('never'),
  monitor: MonitorSchema,
  timeouts: TimeoutsSchema,
  limits: LimitsSchema,
  runtime: z.custom<Runtime>(isRuntime, 'expected a Runtime').default(systemRuntime),
})

const OptionsOfSeveral = Options.extend({ manifest: z.array(Manifest).min(1).max(16) })
