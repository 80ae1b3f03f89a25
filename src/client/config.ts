import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { ConfigurationError } from '../errors/errors.ts'
import { BreakerInFile } from './breaker-options.ts'
import { CONTAINING_SIGNALS } from './containment.ts'
import { EgressInFile } from './egress.ts'
import { LimitsInFile, TimeoutsInFile } from './limits.ts'
import { MonitorInFile } from './monitoring.ts'
import { AddressesInFile } from './network.ts'
import type { ClientOptions, HostPins, ManifestOptions } from './options.ts'
import { ProxyInFile } from './proxy.ts'
import { RateInFile } from './rate-options.ts'
import { RedirectInFile } from './redirect-options.ts'
import { RetryInFile } from './retry-options.ts'

/** Options as a file or the environment can say them: for `createClient`, with whatever else code adds. */
export type FileOptions = Omit<ClientOptions, 'manifest'> & { readonly manifest?: ManifestOptions }

/**
 * Reads client options from a JSON file. Paths in it are relative to the file; PEM is named, not pasted. What loosens a
 * default cannot be said in a file: it takes an import of `pinfetch/dangerous`.
 *
 * @example
 * const client = createClient(configFromFile('/etc/service/pinfetch.json'))
 * @throws ConfigurationError `ERR_CONFIG_FILE`, naming the member.
 */
export function configFromFile(path: string | URL): FileOptions {
  const file = path instanceof URL ? fileURLToPath(path) : resolve(path)
  let json: unknown
  try {
    json = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw fileError(file, `not readable as JSON (${cause instanceof Error ? cause.message : 'unknown reason'})`, cause)
  }
  const parsed = Config.safeParse(json)
  if (parsed.success) return optionsOf(parsed.data, (name) => resolve(dirname(file), name))
  const [issue] = parsed.error.issues
  const at = [...(issue?.path ?? []), ...(issue?.code === 'unrecognized_keys' ? issue.keys : [])].join('.')
  throw fileError(
    file,
    `${at}: ${issue?.code === 'unrecognized_keys' ? 'unknown member' : (issue?.message ?? 'unreadable')}`,
  )
}

/**
 * Reads client options from the environment: `PINFETCH_CONFIG` names a file as for `configFromFile`; or
 * `PINFETCH_MANIFEST_URL` and `PINFETCH_MANIFEST_ROOT`, with `PINFETCH_CACHE_DIR` and `PINFETCH_ANCHORS` (a PEM file) if
 * needed. Beside a file the single variables win.
 *
 * @throws ConfigurationError `ERR_CONFIG_FILE`
 */
export function configFromEnv(env: Readonly<Record<string, string | undefined>> = process.env): FileOptions {
  const given = (name: string): string | undefined => (env[name] === '' ? undefined : env[name])
  const config = given('PINFETCH_CONFIG')
  const url = given('PINFETCH_MANIFEST_URL')
  const root = given('PINFETCH_MANIFEST_ROOT')
  const cacheDir = given('PINFETCH_CACHE_DIR')
  const anchors = given('PINFETCH_ANCHORS')
  const base: FileOptions = config === undefined ? {} : configFromFile(config)
  const manifest = {
    ...base.manifest,
    ...(url === undefined ? {} : { url }),
    ...(root === undefined ? {} : { root }),
    ...(cacheDir === undefined ? {} : { cacheDir }),
  }
  if (Object.keys(manifest).length > 0 && manifest.root === undefined) {
    throw fileError('environment', 'PINFETCH_MANIFEST_ROOT is required beside PINFETCH_MANIFEST_URL')
  }
  return {
    ...base,
    ...(manifest.root === undefined ? {} : { manifest: { ...manifest, root: manifest.root } }),
    ...(anchors === undefined ? {} : { anchors: readText(anchors) }),
  }
}

/** JSON Schema (2020-12) of the file that `configFromFile` reads. The package ships it as `config.schema.json`. */
export function configSchema(): Record<string, unknown> {
  return z.toJSONSchema(Config, { io: 'input' })
}

function optionsOf(config: z.infer<typeof Config>, locate: (name: string) => string): FileOptions {
  const { $schema: _, manifest, pins, anchorsFile, certificate, ...rest } = config
  return {
    ...rest,
    ...(manifest === undefined ? {} : { manifest: manifestOf(manifest, locate) }),
    ...(pins === undefined ? {} : { pins: Object.fromEntries(Object.entries(pins).map(pinsOf)) }),
    ...(anchorsFile === undefined ? {} : { anchors: readText(locate(anchorsFile)) }),
    ...(certificate === undefined
      ? {}
      : {
          certificate: { certFile: locate(certificate.certFile), keyFile: locate(certificate.keyFile) },
        }),
  }
}

function manifestOf(
  { url, urls, root, cacheDir, bootstrap, ...rest }: z.infer<typeof Manifest>,
  locate: (name: string) => string,
) {
  const place = (text: string): string => (/^[a-z][a-z0-9+.-]+:/i.test(text) ? text : locate(text))
  const manifest: ManifestOptions = {
    ...rest,
    root: locate(root),
    ...(url === undefined ? {} : { url: place(url) }),
    ...(urls === undefined ? {} : { urls: urls.map(place) }),
    ...(cacheDir === undefined ? {} : { cacheDir: locate(cacheDir) }),
    ...(bootstrap === undefined ? {} : { bootstrap: locate(bootstrap) }),
  }
  return manifest
}

function pinsOf([pattern, entry]: [string, string[] | z.infer<typeof HostEntry>]): [
  string,
  readonly string[] | HostPins,
] {
  if (Array.isArray(entry)) return [pattern, entry]
  const { notAfter, ...rest } = entry
  return [pattern, notAfter === undefined ? rest : { ...rest, notAfter: new Date(notAfter) }]
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw fileError(path, 'cannot be read', cause)
  }
}

function fileError(file: string, message: string, cause?: unknown): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_FILE', `${file}: ${message}`, { cause })
}

const milliseconds = z.int().min(1).max(600_000).exactOptional()
const File = z.string().min(1).describe('Path, relative to this file')

const Manifest = z.strictObject({
  url: z
    .string()
    .min(1)
    .exactOptional()
    .describe('Base URL of the signed documents, a directory, a bundle file ending in .json, or env:NAME'),
  urls: z.array(z.string().min(1)).min(1).max(8).exactOptional().describe('Mirrors, in the order to try them'),
  root: File.describe('The trusted root document that the application ships'),
  cacheDir: File.exactOptional(),
  cache: z
    .enum(['best-effort', 'required'])
    .exactOptional()
    .describe('Whether a start needs a cacheDir that can be written to'),
  memoryOnly: z.boolean().exactOptional(),
  bootstrapPins: z.array(z.string()).exactOptional(),
  bootstrap: File.exactOptional().describe('A published repository that the application ships'),
  rootFingerprint: z.string().exactOptional(),
  repo: z.string().exactOptional(),
  env: z.string().exactOptional(),
  startupMs: milliseconds,
})

const HostEntry = z.strictObject({
  pins: z.array(z.string()).min(1).max(16),
  mode: z.enum(['enforce', 'report']).exactOptional(),
  notAfter: z.iso.datetime().exactOptional(),
})

const Config = z.strictObject({
  $schema: z.string().exactOptional(),
  manifest: Manifest.exactOptional(),
  pins: z.record(z.string(), z.union([z.array(z.string()).min(1).max(16), HostEntry])).exactOptional(),
  mode: z.enum(['enforce', 'report']).exactOptional(),
  interception: z.enum(['report', 'refuse']).exactOptional().describe('Known interception products; default report'),
  anchorsFile: File.exactOptional().describe('PEM file of trust anchors; default: the roots bundled with Node'),
  certificate: z.strictObject({ certFile: File, keyFile: File }).exactOptional(),
  timeouts: TimeoutsInFile.exactOptional(),
  limits: LimitsInFile.exactOptional(),
  addresses: AddressesInFile.exactOptional(),
  localAddress: z.string().exactOptional(),
  unixSockets: z.record(z.string(), z.string()).exactOptional().describe('Absolute path of a Unix socket by host'),
  proxy: ProxyInFile.exactOptional().describe('URL of a proxy, or environment'),
  egress: EgressInFile.exactOptional(),
  containOnSignal: z.enum(CONTAINING_SIGNALS).exactOptional(),
  redirect: RedirectInFile.exactOptional().describe('Which redirects are followed; default error'),
  retry: RetryInFile.exactOptional().describe('What is sent again after a failure; default nothing'),
  rate: RateInFile.exactOptional().describe('How fast requests may be sent'),
  breaker: BreakerInFile.exactOptional().describe('When an origin that fails is left alone for a while'),
  upgradeInsecure: z.enum(['never', 'hsts']).exactOptional(),
  http2: z.enum(['never', 'prefer', 'require']).exactOptional().describe('Default never'),
  monitor: MonitorInFile.exactOptional().describe('What is told of by watching; default all'),
})
