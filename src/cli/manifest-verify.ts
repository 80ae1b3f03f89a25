import { join, resolve } from 'node:path'
import { bootstrapPolicy } from '../client/policies.ts'
import { ManifestError } from '../errors/errors.ts'
import { parseBundle } from '../manifest/bundle.ts'
import type { RoleName } from '../manifest/schema.ts'
import { createManifestSource, type ManifestLocation, type Mirror } from '../manifest/sources.ts'
import { parseEnvelope } from '../manifest/verify.ts'
import { type Runtime, toUnixMs } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import { deadlinesOf } from '../publisher/deadlines.ts'
import { PinnedDispatcher } from '../transport/dispatcher.ts'
import { createFetchBytes } from '../transport/fetch-bytes.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../transport/limits.ts'
import { anchorsFrom } from './chain.ts'
import { deadlineData, deadlineRows } from './deadlines.ts'
import { readBytes } from './files.ts'
import type { Io } from './io.ts'
import { instantOf } from './manifest-simulate.ts'
import { hinted, type Outcome, UsageError } from './outcome.ts'
import { manifestPath } from './repository-files.ts'
import { baseUrl } from './source.ts'
import { counted, dateOf, fromNow, table } from './text.ts'
import { type Walk, walkRepository } from './walk.ts'

interface VerifyOptions {
  readonly dir?: string
  readonly root?: string
  readonly ca?: string
  readonly at?: string
}

/** Reads a repository as a client does that has nothing but the root. */
export async function verify(url: string | undefined, options: VerifyOptions, io: Io): Promise<Outcome> {
  const location = givenLocation(url, options)
  const anchor = await readBytes(rootPath(options))
  const now = instantOf(options.at, io.now())
  const runtime: Runtime = { ...systemRuntime, clock: { ...systemRuntime.clock, now: () => toUnixMs(now) } }
  const walk = await withMirror(location, options.ca, runtime, (mirror) =>
    walkAsStranger(mirror, anchor, rootPath(options), runtime, io.signal),
  )
  return report(walk, location, now)
}

function report(walk: Walk, location: ManifestLocation, now: number): Outcome {
  const { roots, root, status, manifest, canary, warnings } = walk
  const { repo, env } = root.payload
  const until = deadlinesOf(root, status, manifest)
  const signers = {
    root: signersOf(walk, 'root'),
    status: signersOf(walk, 'status'),
    manifest: signersOf(walk, 'manifest'),
  }
  const line = (role: RoleName, document: { version: number; payload: { expires: number } }): readonly string[] => {
    const { threshold, keys } = root.roles[role]
    const { expires } = document.payload
    return [
      role,
      `version ${document.version}`,
      `signed by ${signers[role].length}, ${threshold} of ${keys.length} needed`,
      `until ${dateOf(expires)}`,
      fromNow(expires, now),
    ]
  }
  const denies = status.payload.deny?.length ?? 0
  return {
    data: {
      location: location.kind === 'https' ? location.url.href : location.path,
      repo,
      env,
      root: { version: root.version, from: roots[0].version, expires: dateOf(root.payload.expires) },
      status: {
        version: status.version,
        issuedAt: dateOf(status.payload.issuedAt),
        expires: dateOf(status.payload.expires),
        denies,
        pollSeconds: status.payload.poll.interval,
      },
      manifest: {
        version: manifest.version,
        issuedAt: dateOf(manifest.payload.issuedAt),
        expires: dateOf(manifest.payload.expires),
        sha256: manifest.sha256,
        path: manifestPath(manifest),
      },
      canary: canary === undefined ? null : { version: canary.version, percent: status.payload.canary?.percent ?? 0 },
      roles: { root: roleData(walk, 'root'), manifest: roleData(walk, 'manifest'), status: roleData(walk, 'status') },
      hosts: [...manifest.hosts].map(({ host, port, mode, keyControl, pins }) => ({
        host,
        port: port ?? null,
        mode,
        keyControl: keyControl ?? null,
        pins: pins.map(({ spki }) => spki),
      })),
      deadlines: deadlineData(until),
    },
    text: [
      `${repo} (${env}): every document verifies`,
      ...table([line('root', root), line('manifest', manifest), line('status', status)]),
      ...[...manifest.hosts].map(
        ({ host, port, mode, pins }) =>
          `host  ${host}${port === undefined ? '' : `:${port}`}  ${mode}  ${counted(pins.length, 'pin')}`,
      ),
      ...table(deadlineRows(until, now)),
    ],
    warnings: [...warnings, ...expiryWarnings(walk, now)],
    next: `pinfetch manifest sign --dir <dir> --status-only   # before ${dateOf(status.payload.expires)}`,
  }
}

function roleData(walk: Walk, role: RoleName) {
  const { threshold, keys } = walk.root.roles[role]
  return { threshold, keys: keys.map(({ kid }) => kid), signedBy: signersOf(walk, role) }
}

/** Keys of the role that left a signature; that enough of them are good was verified. */
function signersOf({ root, status, manifest }: Walk, role: RoleName): readonly string[] {
  const { bytes } = { root, status, manifest }[role]
  const kids = new Set(parseEnvelope(bytes, { document: role }).entries.map(({ kid }) => kid))
  return root.roles[role].keys.flatMap(({ kid }) => (kids.has(kid) ? [kid] : []))
}

/** Halfway for the root, two thirds for a manifest: from then on a holiday is enough to be late. */
function expiryWarnings({ root, manifest }: Walk, now: number): readonly string[] {
  const used = ({ issuedAt, expires }: { issuedAt: number; expires: number }) => (now - issuedAt) / (expires - issuedAt)
  return [
    ...(used(root.payload) > 0.5
      ? [`half of the root’s life is over: sign a new one before ${dateOf(root.payload.expires)}`]
      : []),
    ...(used(manifest.payload) > 2 / 3 ? [`sign a new manifest before ${dateOf(manifest.payload.expires)}`] : []),
  ]
}

/** A walk from a root that somebody named, which may be another repository’s. */
export async function walkAsStranger(
  mirror: Mirror,
  anchor: Uint8Array,
  path: string,
  runtime: Runtime,
  signal: AbortSignal | undefined,
): Promise<Walk> {
  try {
    return await walkRepository(mirror, anchor, runtime, signal ?? new AbortController().signal)
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error
    if (error.document === 'root' && NO_ROOT.has(error.code)) {
      throw hinted(error, `${path} is no root: give the root.json that init made, which the application ships.`)
    }
    if (!OF_ANOTHER.has(error.code)) throw error
    throw hinted(
      error,
      `Is ${path} the root of this repository? Use the root.json that lies beside its hosts.json. If it is, somebody serves forged documents.`,
    )
  }
}

export async function withMirror<T>(
  location: ManifestLocation,
  ca: string | undefined,
  runtime: Runtime,
  use: (mirror: Mirror) => Promise<T>,
): Promise<T> {
  const anchors = await anchorsFrom(ca)
  const dispatcher = new PinnedDispatcher({
    runtime,
    emit: () => {},
    timeouts: { ...DEFAULT_TIMEOUTS, headersMs: TIMEOUT_MS, bodyMs: TIMEOUT_MS },
    limits: DEFAULT_LIMITS,
    policyOf: (origin) => bootstrapPolicy(origin, [], anchors), // the documents are signed; the connection needs a valid path
  })
  try {
    const [mirror] = createManifestSource([location], createFetchBytes(dispatcher)).mirrors
    if (mirror === undefined) throw new TypeError('a source without mirrors')
    return await use(mirror)
  } finally {
    await dispatcher.destroy()
  }
}

/** @throws UsageError unless it is one of the two. */
export function givenLocation(url: string | undefined, { dir }: Pick<VerifyOptions, 'dir'>): ManifestLocation {
  if ((url === undefined) === (dir === undefined)) {
    throw new UsageError(
      'give either a URL or --dir',
      'pinfetch manifest verify https://pins.example.com/ --root root.json',
    )
  }
  return dir === undefined ? { kind: 'https', url: baseUrl(url ?? '') } : { kind: 'directory', path: resolve(dir) }
}

/** What a client takes: a directory, a bundle in a `.json` file, or an https URL; any other scheme is a mistake. @throws UsageError */
export async function locationOf(text: string): Promise<ManifestLocation> {
  if (/^[a-z][a-z0-9+.-]+:/i.test(text)) return { kind: 'https', url: baseUrl(text, 'Give an https URL or a folder.') }
  const path = resolve(text)
  if (!text.endsWith('.json')) return { kind: 'directory', path }
  const bundle = parseBundle(await readBytes(text))
  if (bundle !== undefined) return { kind: 'bundle', path, bundle }
  throw new UsageError(`${text}: no bundle of a repository`, 'A bundle is {"status": …, "manifest": …, "roots": […]}.')
}

/** @throws UsageError where no root is named. */
export function rootPath({ root, dir }: Pick<VerifyOptions, 'root' | 'dir'>): string {
  if (root !== undefined) return root
  if (dir !== undefined) return join(dir, 'root.json')
  const hint = 'Give the root.json that the application ships; a root from the same place as the rest proves nothing.'
  throw new UsageError('--root is missing', hint)
}

const NO_ROOT: ReadonlySet<string> = new Set([
  'ERR_MANIFEST_ENVELOPE_JSON',
  'ERR_MANIFEST_ENVELOPE_SHAPE',
  'ERR_MANIFEST_ENVELOPE_UTF8',
  'ERR_MANIFEST_SIG_TYP_MISMATCH',
])
const OF_ANOTHER: ReadonlySet<string> = new Set([
  'ERR_MANIFEST_SIG_THRESHOLD',
  'ERR_MANIFEST_WRONG_REPO',
  'ERR_MANIFEST_WRONG_ENV',
])
const TIMEOUT_MS = 10_000
