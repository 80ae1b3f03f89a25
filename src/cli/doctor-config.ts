import { createAnchorLookup } from '../client/anchors.ts'
import { configFromFile } from '../client/config.ts'
import { speaksForOf } from '../client/managers.ts'
import { type ResolvedManifest, type ResolvedOptions, resolveOptions } from '../client/options.ts'
import { createPolicies } from '../client/policies.ts'
import { findLoosenings } from '../client/posture.ts'
import { type CanonicalHost, type CanonicalOrigin, canonicalHost } from '../encoding/host.ts'
import { formatHostPattern, hostIndex, overlaps, parseHostPattern } from '../encoding/host-pattern.ts'
import type { PinText } from '../encoding/pin.ts'
import { PinfetchError } from '../errors/errors.ts'
import type { ManifestView } from '../manifest/view.ts'
import { type Runtime, toUnixMs } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import type { AnchorSet } from '../trust/anchors.ts'
import type { HostPolicy } from '../trust/policy.ts'
import { type ClientVerdict, judgeAsClient, viewOfWalk } from './as-client.ts'
import type { Diagnosis } from './doctor.ts'
import type { CheckId } from './doctor-checklist.ts'
import { examinePins } from './doctor-pins.ts'
import { readBytes } from './files.ts'
import type { Io } from './io.ts'
import { walkAsStranger, withMirror } from './manifest-verify.ts'
import { counted, dateOf, fromNow } from './text.ts'
import type { Walk } from './walk.ts'

export interface ExaminedConfig {
  readonly path: string
  readonly findings: readonly Diagnosis[]
  readonly anchorsFor: (host: CanonicalHost) => AnchorSet
  /** Keys of interception products that the manifest for a host lists. */
  readonly interceptionFor: (host: CanonicalHost) => readonly PinText[]
  /** The keys that are pinned for an origin, whether or not they count now. */
  readonly pinsFor: (origin: CanonicalOrigin) => readonly PinText[]
  /** What a client with this configuration judges an origin by. @throws TrustError or PolicyError where it makes no connection. */
  readonly policyFor: (origin: CanonicalOrigin) => HostPolicy
  /** What a client with this configuration says of a server. */
  readonly judge: (origin: CanonicalOrigin) => Promise<ClientVerdict>
}

/**
 * What a configuration file asks for, and how its manifests stand. They are fetched as a client does; nothing else is.
 *
 * @param options.ca Roots to verify with, where the configuration names none.
 * @param options.local Addresses of this machine.
 * @throws ConfigurationError where the file is no configuration.
 */
export async function examineConfig(
  path: string,
  options: { readonly ca: string | undefined; readonly local: readonly string[] },
  io: Io,
): Promise<ExaminedConfig> {
  const { ca } = options
  const runtime: Runtime = { ...systemRuntime, clock: { ...systemRuntime.clock, now: () => toUnixMs(io.now()) } }
  const file = configFromFile(path)
  const roots = ca === undefined || file.anchors !== undefined ? {} : { anchors: await readText(ca) }
  const resolved = resolveOptions({ ...file, ...roots, runtime })
  const anchorsFor = createAnchorLookup(resolved.anchors)
  const examined: ExaminedManifest[] = []
  for (const manifest of resolved.manifests) examined.push(await examineManifest(manifest, ca, runtime, io))
  const viewFor = (host: CanonicalHost): ManifestView | undefined =>
    examined.find(({ speaksFor }) => speaksFor(host))?.view
  const inCode = hostIndex(resolved.pins.map(({ pattern, pins }) => [pattern, pins] as const))
  return {
    path,
    findings: [
      ...examineOptions(resolved, options.local, io.now()),
      anchorsOf(resolved, anchorsFor),
      ...examined.flatMap(({ findings }) => findings),
    ],
    anchorsFor,
    pinsFor: ({ host, port }) =>
      viewFor(host)
        ?.lookup(host, port)
        ?.pins.map(({ spki }) => spki) ??
      inCode(host) ??
      [],
    interceptionFor: (host) => viewFor(host)?.interception ?? [],
    policyFor: createPolicies({ options: resolved, view: viewFor, emit: () => {}, anchorsFor }).of,
    judge: (origin) => judgeAsClient(origin, resolved, viewFor),
  }
}

async function readText(path: string): Promise<string> {
  return Buffer.from(await readBytes(path)).toString('latin1')
}

/** Pure. */
function examineOptions(options: ResolvedOptions, local: readonly string[], now: number): readonly Diagnosis[] {
  const { pins, proxy, localAddress } = options
  return [
    ...findLoosenings(options, toUnixMs(now)).map(
      ({ subject, effect }): Diagnosis => ({
        id: loosened(subject, proxy?.server.text),
        severity: 'warning',
        subject,
        message: effect,
        fix: /mode:? report$/.test(subject)
          ? 'Enforce, once the reports are quiet: remove `mode`.'
          : 'Is the reason still a good one?',
      }),
    ),
    ...pins.flatMap(({ pattern, pins: keys, notAfter }) => {
      const bounded = keys.map((spki) => (notAfter === undefined ? { spki } : { spki, notAfter }))
      return examinePins({ host: formatHostPattern(pattern), pins: bounded, isDenied: () => false }, now)
    }),
    ...(proxy === undefined
      ? []
      : [{ id: 'NET-PROXY', severity: 'info', subject: 'proxy', message: proxy.server.text } satisfies Diagnosis]),
    ...(localAddress === undefined ? [] : [bound(localAddress, local)]),
  ]
}

function loosened(subject: string, proxy: string | undefined): CheckId {
  if (/mode:? report$/.test(subject)) return 'CONFIG-REPORT'
  return subject === proxy ? 'NET-PROXY' : 'CONFIG-LOOSENED'
}

function bound(localAddress: string, local: readonly string[]): Diagnosis {
  const id = 'NET-BIND'
  const subject = `localAddress ${localAddress}`
  if (local.includes(localAddress)) return { id, severity: 'ok', subject, message: 'an address of this machine' }
  return {
    id,
    severity: 'error',
    subject,
    message: 'no interface of this machine has it, so no connection can be made',
    fix: 'Is the VPN up? Otherwise correct the address.',
  }
}

/** The roots that the option names, everywhere but where a host has its own. */
function anchorsOf({ anchors }: ResolvedOptions, anchorsFor: (host: CanonicalHost) => AnchorSet): Diagnosis {
  const { everywhere, byHost } = anchors
  const names = everywhere.map((source) => {
    if (typeof source !== 'string') return Object.values(source).join()
    return ['bundled', 'system', 'extra'].includes(source) ? source : 'PEM'
  })
  const own = byHost.length === 0 ? '' : `; ${counted(byHost.length, 'host')} with roots of its own`
  const elsewhere = canonicalHost('elsewhere.invalid')
  const size = elsewhere === undefined ? 0 : anchorsFor(elsewhere).size
  return {
    id: 'CONFIG-ANCHORS',
    severity: 'info',
    subject: 'trust anchors',
    message: `${counted(size, 'root')} (${names.join(', ')})${own}`,
  }
}

interface ExaminedManifest {
  readonly findings: readonly Diagnosis[]
  readonly speaksFor: (host: CanonicalHost) => boolean
  /** In force; where none could be had, that of a client that has none yet. */
  readonly view: ManifestView
}

async function examineManifest(
  manifest: ResolvedManifest,
  ca: string | undefined,
  runtime: Runtime,
  io: Io,
): Promise<ExaminedManifest> {
  const now = runtime.clock.now()
  const speaksFor = speaksForOf(manifest)
  const [location] = manifest.locations
  const subject = 'manifest'
  if (location === undefined) {
    const message = 'from a source in code: not looked at'
    return {
      findings: [{ id: 'MANIFEST-FETCH', severity: 'info', subject, message }],
      speaksFor,
      view: viewOfWalk(undefined, now),
    }
  }
  try {
    const walk = await withMirror(location, ca, runtime, (mirror) =>
      walkAsStranger(mirror, manifest.root, 'manifest.root', runtime, io.signal),
    )
    const forgetful: Diagnosis = {
      id: 'MANIFEST-CACHE',
      severity: 'warning',
      subject,
      message: 'no cacheDir: a restart forgets which version was seen',
      fix: 'Name one.',
    }
    const view = viewOfWalk(walk, now)
    const findings = [...examineWalk(walk, view, now), ...(manifest.cacheDir === undefined ? [forgetful] : [])]
    return { findings, speaksFor, view }
  } catch (error) {
    if (!(error instanceof PinfetchError)) throw error
    const { code } = error
    const [message = ''] = error.message.split('\n')
    const refused: Diagnosis = {
      id: 'MANIFEST-FETCH',
      severity: 'error',
      subject,
      message: `${message} (${code})`,
      fix: `pinfetch explain ${code}`,
    }
    return { findings: [refused], speaksFor, view: viewOfWalk(undefined, now) }
  }
}

function examineWalk({ root, status, manifest }: Walk, view: ManifestView, now: number): readonly Diagnosis[] {
  const documents = { root, status, manifest }
  const ages = Object.entries(documents).map(([name, { version, payload }]): Diagnosis => {
    const { issuedAt, expires } = payload
    const id = 'MANIFEST-FRESH'
    const message = `version ${version}, until ${dateOf(expires)} (${fromNow(expires, now)})`
    const isLate = (now - issuedAt) / (expires - issuedAt) > 2 / 3
    if (now < issuedAt) {
      const fix = 'Set the clock: it is behind the one that signed.'
      const signed = `the ${name} was signed ${fromNow(issuedAt, now)}`
      return { id: 'CLOCK-SIGNED', severity: 'warning', subject: 'clock', message: signed, fix }
    }
    if (isLate) return { id, severity: 'warning', subject: name, message, fix: 'Sign the next one.' }
    return { id, severity: 'ok', subject: name, message }
  })
  const pins = [...manifest.hosts].flatMap(({ host, pins: keys, keyControl }) => {
    const pattern = parseHostPattern(host)
    const isDenied = (spki: PinText): boolean =>
      view.denies.some(
        (deny) =>
          deny.spki === spki && (pattern === undefined || (deny.hosts?.some((one) => overlaps(one, pattern)) ?? true)),
      )
    return examinePins({ host, pins: keys, isDenied, keyControl }, now)
  })
  return [...ages, ...pins]
}
