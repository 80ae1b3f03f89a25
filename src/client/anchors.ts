import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import type { CanonicalHost } from '../encoding/host.ts'
import { hostIndex, type ParsedHostPattern } from '../encoding/host-pattern.ts'
import { ConfigurationError } from '../errors/errors.ts'
import { type AnchorSet, bundledAnchors, createAnchors, uniteAnchors } from '../trust/anchors.ts'
import { parseSpiffeBundle } from '../trust/spiffe-bundle.ts'
import { type Following, followFiles } from './follow-files.ts'

/**
 * Trust anchors: `'bundled'`, the roots this Node release ships; `'system'`, the operating system's, where Node can read
 * them (22.15 on); `'extra'`, the file that NODE_EXTRA_CA_CERTS names, which is otherwise not looked at; PEM text; or a file that
 * is followed while the client lives: PEM, or the bundle of a SPIFFE trust domain.
 */
export type AnchorSource =
  | 'bundled'
  | 'system'
  | 'extra'
  | (string & {})
  /** A file of PEM or DER, followed. */
  | { readonly file: string }
  /** A file with a SPIFFE bundle, followed. */
  | { readonly spiffeBundle: string }

export interface ResolvedAnchors {
  readonly everywhere: readonly AnchorSource[]
  readonly byHost: readonly { readonly pattern: ParsedHostPattern; readonly sources: readonly AnchorSource[] }[]
}

/**
 * Reads all sources now, so that a broken bundle fails at start. Hosts with anchors of their own are judged by those alone:
 * a partner's private root then speaks for the partner and for nobody else. Two roots in one set overlap during a rollover.
 *
 * @param sequences The highest seen of each SPIFFE bundle, which an older copy must not undo.
 * @throws ConfigurationError `ERR_CONFIG_CERTIFICATE`, `ERR_CONFIG_FILE`
 */
export function createAnchorLookup(
  { everywhere, byHost }: ResolvedAnchors,
  sequences = new Map<string, number>(),
): (host: CanonicalHost) => AnchorSet {
  const read = (sources: readonly AnchorSource[]): AnchorSet => {
    const sets = sources.map((source) => readOne(source, sequences))
    const [only] = sets
    return sets.length === 1 && only !== undefined ? only : uniteAnchors(sets)
  }
  const fallback = read(everywhere)
  const own = hostIndex(byHost.map(({ pattern, sources }) => [pattern, read(sources)] as const))
  return (host) => own(host) ?? fallback
}

export interface FollowedAnchors {
  readonly of: (host: CanonicalHost) => AnchorSet
  /** Another number when any set is another one. */
  readonly version: () => number
  readonly close: () => void
}

/**
 * The same, and again whenever one of the files changed. What is refused then is an event, and the sets in force stay.
 *
 * @throws ConfigurationError as above.
 */
export function followAnchors(
  resolved: ResolvedAnchors,
  world: Following & { readonly changed: () => void },
): FollowedAnchors {
  const sequences = new Map<string, number>()
  const files = [
    ...new Set([resolved.everywhere, ...resolved.byHost.map(({ sources }) => sources)].flat().flatMap(fileOf)),
  ]
  const digest = (): string => files.map((path) => hash('sha256', readBytes(path), 'hex')).join()
  let seen = digest()
  let version = 1
  let lookup = createAnchorLookup(resolved, sequences)

  const load = (): void => {
    const now = digest()
    if (now === seen) return
    lookup = createAnchorLookup(resolved, sequences)
    seen = now
    version += 1
    world.emit({ type: 'anchors.changed', files })
    world.changed()
  }
  const refused = (error: unknown): void => {
    if (!(error instanceof ConfigurationError)) throw error
    world.emit({ type: 'anchors.rejected', code: error.code, message: error.message })
  }
  const unfollow = files.length === 0 ? () => {} : followFiles(files, load, refused, world)
  return { of: (host) => lookup(host), version: () => version, close: unfollow }
}

function readOne(source: AnchorSource, sequences: Map<string, number>): AnchorSet {
  if (source === 'bundled') return bundledAnchors()
  if (source === 'system') return createAnchors(systemRoots(), 'store')
  if (source === 'extra') return createAnchors(extraRoots())
  if (typeof source === 'string') return createAnchors(source)
  return 'file' in source ? readPem(source.file) : readSpiffeBundle(source.spiffeBundle, sequences)
}

function readPem(path: string): AnchorSet {
  try {
    return createAnchors(readBytes(path))
  } catch (cause) {
    if (!(cause instanceof ConfigurationError) || cause.code !== 'ERR_CONFIG_CERTIFICATE') throw cause
    throw new ConfigurationError('ERR_CONFIG_CERTIFICATE', `${path}: ${cause.message}`, { cause })
  }
}

function readSpiffeBundle(path: string, sequences: Map<string, number>): AnchorSet {
  const { anchors, sequence } = parseSpiffeBundle(readBytes(path), path)
  const highest = sequences.get(path)
  if (highest !== undefined && (sequence ?? 0) < highest) {
    const message = `${path}: spiffe_sequence ${sequence ?? 'none'} after ${highest}: an older bundle would bring removed roots back`
    throw new ConfigurationError('ERR_CONFIG_CERTIFICATE', message)
  }
  if (sequence !== undefined) sequences.set(path, sequence)
  return anchors
}

function fileOf(source: AnchorSource): string[] {
  if (typeof source === 'string') return []
  return ['file' in source ? source.file : source.spiffeBundle]
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new ConfigurationError('ERR_CONFIG_FILE', `anchors: ${path} cannot be read`, { cause })
  }
}

function systemRoots(): readonly string[] {
  const { getCACertificates } = tls as { getCACertificates?: (type: 'system') => readonly string[] }
  const roots = getCACertificates?.('system') ?? []
  if (roots.length > 0) return roots
  const why = getCACertificates === undefined ? `Node ${process.versions.node} cannot read them` : 'there are none'
  throw new ConfigurationError('ERR_CONFIG_CERTIFICATE', `anchors: the system's roots were asked for, but ${why}`)
}

function extraRoots(): string {
  const path = process.env['NODE_EXTRA_CA_CERTS'] ?? ''
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const message = `anchors: the file of NODE_EXTRA_CA_CERTS was asked for, but cannot be read (${JSON.stringify(path)})`
    throw new ConfigurationError('ERR_CONFIG_CERTIFICATE', message, { cause })
  }
}
