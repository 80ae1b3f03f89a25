import { createAnchorLookup } from '../client/anchors.ts'
import { configFromFile } from '../client/config.ts'
import { speaksForOf } from '../client/managers.ts'
import { type ResolvedManifest, type ResolvedOptions, resolveOptions } from '../client/options.ts'
import { findLoosenings } from '../client/posture.ts'
import type { CanonicalHost, CanonicalOrigin } from '../encoding/host.ts'
import { formatHostPattern } from '../encoding/host-pattern.ts'
import type { PinText } from '../encoding/pin.ts'
import { PinfetchError } from '../errors/errors.ts'
import type { ManifestView } from '../manifest/view.ts'
import { type Runtime, toUnixMs } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import type { AnchorSet } from '../trust/anchors.ts'
import { type ClientVerdict, judgeAsClient, viewOfWalk } from './as-client.ts'
import type { Diagnosis } from './doctor.ts'
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
  return {
    path,
    findings: [...examineOptions(resolved, options.local, io.now()), ...examined.flatMap(({ findings }) => findings)],
    anchorsFor,
    interceptionFor: (host) => viewFor(host)?.interception ?? [],
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
        severity: 'warning',
        subject,
        message: effect,
        fix: 'Is the reason still a good one?',
      }),
    ),
    ...pins.flatMap((entry) => pinsOf(formatHostPattern(entry.pattern), entry.pins.length, entry.notAfter, now)),
    ...(proxy === undefined
      ? []
      : [{ severity: 'info', subject: 'proxy', message: proxy.server.text } satisfies Diagnosis]),
    ...(localAddress === undefined ? [] : [bound(localAddress, local)]),
  ]
}

function bound(localAddress: string, local: readonly string[]): Diagnosis {
  const subject = `localAddress ${localAddress}`
  if (local.includes(localAddress)) return { severity: 'ok', subject, message: 'an address of this machine' }
  return {
    severity: 'error',
    subject,
    message: 'no interface of this machine has it, so no connection can be made',
    fix: 'Is the VPN up? Otherwise correct the address.',
  }
}

function pinsOf(host: string, count: number, end: number | undefined, now: number): readonly Diagnosis[] {
  const subject = `pins of ${host}`
  const until = end === undefined ? '' : `, until ${dateOf(end)} (${fromNow(end, now)})`
  const found: Diagnosis[] = []
  if (count < 2) {
    const fix = 'Pin a backup key that is kept elsewhere (RFC 7469 §4.3): pinfetch pin --backup'
    found.push({ severity: 'warning', subject, message: 'no backup pin: a lost key is an outage', fix })
  }
  if (end !== undefined && end - now < SOON_MS) {
    const severity = end <= now ? 'error' : 'warning'
    found.push({ severity, subject, message: `they end ${fromNow(end, now)}`, fix: 'Renew them, or sign a manifest.' })
  }
  return found.length > 0 ? found : [{ severity: 'ok', subject, message: `${counted(count, 'pin')}${until}` }]
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
    return { findings: [{ severity: 'info', subject, message }], speaksFor, view: viewOfWalk(undefined, now) }
  }
  try {
    const walk = await withMirror(location, ca, runtime, (mirror) =>
      walkAsStranger(mirror, manifest.root, 'manifest.root', runtime, io.signal),
    )
    const forgetful: Diagnosis = {
      severity: 'warning',
      subject,
      message: 'no cacheDir: a restart forgets which version was seen',
      fix: 'Name one.',
    }
    const findings = [...examineWalk(walk, now), ...(manifest.cacheDir === undefined ? [forgetful] : [])]
    return { findings, speaksFor, view: viewOfWalk(walk, now) }
  } catch (error) {
    if (!(error instanceof PinfetchError)) throw error
    const { code } = error
    const [message = ''] = error.message.split('\n')
    const refused: Diagnosis = {
      severity: 'error',
      subject,
      message: `${message} (${code})`,
      fix: `pinfetch explain ${code}`,
    }
    return { findings: [refused], speaksFor, view: viewOfWalk(undefined, now) }
  }
}

function examineWalk({ root, status, manifest }: Walk, now: number): readonly Diagnosis[] {
  const documents = { root, status, manifest }
  const ages = Object.entries(documents).map(([name, { version, payload }]): Diagnosis => {
    const { issuedAt, expires } = payload
    const message = `version ${version}, until ${dateOf(expires)} (${fromNow(expires, now)})`
    const isLate = (now - issuedAt) / (expires - issuedAt) > 2 / 3
    if (now < issuedAt) {
      const fix = 'Set the clock: it is behind the one that signed.'
      return { severity: 'warning', subject: 'clock', message: `the ${name} was signed ${fromNow(issuedAt, now)}`, fix }
    }
    if (isLate) return { severity: 'warning', subject: name, message, fix: 'Sign the next one.' }
    return { severity: 'ok', subject: name, message }
  })
  return [...ages, ...[...manifest.hosts].flatMap(({ host, pins }) => pinsOf(host, pins.length, undefined, now))]
}

const SOON_MS = 30 * 86_400_000
