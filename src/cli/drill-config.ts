import { cp, mkdtemp, rm } from 'node:fs/promises'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configFromEnv, configFromFile, type FileOptions } from '../client/config.ts'
import { type ClientOptions, type ManifestOptions, type ResolvedOptions, resolveOptions } from '../client/options.ts'
import { type CanonicalHost, canonicalOrigin } from '../encoding/host.ts'
import type { Io } from './io.ts'
import { UsageError } from './outcome.ts'

/** Where a drill leads: the host that is impersonated, and its port where the policy names one. */
export interface DrillTarget {
  readonly host: CanonicalHost
  readonly port?: number
}

export interface DrillConfig {
  /** As they are configured, without what leads away from this machine. */
  readonly options: ClientOptions
  readonly target: DrillTarget
  /** Options that do not take part. */
  readonly setAside: readonly string[]
  /** Removes what was copied. */
  readonly close: () => Promise<void>
}

/**
 * Reads a configuration for a drill. The manifest is that of a directory or a bundle, or the one that the client cached: it is
 * copied, since a drill leaves nothing behind, and never fetched, since a drill stays on this machine.
 *
 * @throws ConfigurationError where the file is no configuration; UsageError where it does not say whom to impersonate.
 */
export async function readDrillConfig(
  path: string | undefined,
  given: { readonly host?: string; readonly manifest?: string },
  io: Io,
): Promise<DrillConfig> {
  const file = path === undefined ? configFromEnv(io.env) : configFromFile(path)
  if (file.manifest === undefined && file.pins === undefined) throw new UsageError('nothing is configured', GIVE_CONFIG)
  resolveOptions(file) // what is wrong in it is told, also where it would not take part
  const { options, setAside } = withoutRoads(file)
  const local = await mkdtemp(join(tmpdir(), 'pinfetch-drill-'))
  const close = () => rm(local, { recursive: true, force: true })
  try {
    const manifest = file.manifest && {
      manifest: await onThisMachine(file.manifest, given.manifest, join(local, 'cache')),
    }
    const ready = { ...options, ...manifest }
    return { options: ready, target: targetOf(given.host, resolveOptions(ready).pins), setAside, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** What would lead the drill elsewhere, or make somebody else take part in it, is left out. */
export function withoutRoads(given: ClientOptions): {
  readonly options: ClientOptions
  readonly setAside: readonly string[]
} {
  const names = new Set<string>(ROADS)
  const [aside, kept] = [true, false].map((isRoad) =>
    Object.entries(given).filter(([name, value]) => value !== undefined && names.has(name) === isRoad),
  )
  return { options: Object.fromEntries(kept ?? []) as ClientOptions, setAside: (aside ?? []).map(([name]) => name) }
}

async function onThisMachine(
  manifest: NonNullable<FileOptions['manifest']>,
  replacement: string | undefined,
  copy: string,
): Promise<ManifestOptions> {
  const { url, urls, cacheDir, ...rest } = manifest
  const places = replacement === undefined ? [url ?? [], urls ?? []].flat().map(String) : [replacement]
  const near = places.filter((place) => !/^https?:/i.test(place))
  if (cacheDir !== undefined) await cp(cacheDir, copy, { recursive: true }).catch(() => undefined) // not there yet
  const stored = cacheDir === undefined ? { memoryOnly: true } : { cacheDir: copy }
  if (near.length > 0) return { ...rest, ...stored, urls: near }
  if (cacheDir === undefined && rest.bootstrap === undefined) {
    throw new UsageError('the manifest is behind a URL, and a drill does not leave this machine', GIVE_MANIFEST)
  }
  const away = () => Promise.reject(new Error('a drill does not leave this machine'))
  return { ...rest, ...stored, custom: { name: 'not asked in a drill', get: away } }
}

/** The host that is named, or the first that has pins in the file. */
function targetOf(given: string | undefined, pins: ResolvedOptions['pins']): DrillTarget {
  const text = given ?? pinnedHost(pins)
  if (text === undefined) throw new UsageError('no host is named', 'Give --host api.example.com')
  const url = URL.canParse(`https://${text}/`) ? new URL(`https://${text}/`) : undefined
  const origin = url === undefined ? undefined : canonicalOrigin(url)
  if (origin === undefined || isIP(origin.host) !== 0 || /[/@?#]/.test(text)) {
    throw new UsageError(`--host: ${JSON.stringify(text.slice(0, 300))} is no host name`, 'Give --host api.example.com')
  }
  return { host: origin.host, ...(/:\d+$/.test(text) ? { port: origin.port } : {}) }
}

/** One without wildcard, if there is one; else one that the wildcard covers. */
function pinnedHost(pins: ResolvedOptions['pins']): string | undefined {
  const found = pins.find(({ pattern }) => pattern.kind === 'exact') ?? pins[0]
  if (found === undefined) return undefined
  const { kind, base } = found.pattern
  return kind === 'oneLabel' ? `pinfetch-drill.${base}` : base
}

/** Roads, what asks others on the way of a request, what slows one down, and what certificates of a drill cannot have. */
const ROADS = [
  'proxy',
  'resolver',
  'unixSockets',
  'localAddress',
  'addresses',
  'egress',
  'redirect',
  'http2',
  'retry',
  'rate',
  'breaker',
  'containOnSignal',
  'auth',
  'withoutAuth',
  'sign',
  'approval',
  'operations',
  'interactionId',
  'verify',
  'revocation',
  'hostRevocation',
  'revocationNetwork',
  'crliteFilters',
  'ct',
  'hostCt',
  'expectedUris',
] as const satisfies readonly (keyof ClientOptions)[]

const GIVE_CONFIG = 'Give a configuration file, or set PINFETCH_CONFIG.'
const GIVE_MANIFEST = 'Give --manifest with the published directory or a bundle, or a `cacheDir` in the configuration.'
