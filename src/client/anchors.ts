import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import type { CanonicalHost } from '../encoding/host.ts'
import { hostIndex, type ParsedHostPattern } from '../encoding/host-pattern.ts'
import { ConfigurationError } from '../errors/errors.ts'
import { type AnchorSet, bundledAnchors, createAnchors, uniteAnchors } from '../trust/anchors.ts'

/**
 * Trust anchors: `'bundled'`, the roots this Node release ships; `'system'`, the operating system's, where Node can read
 * them (22.15 on); `'extra'`, the file that NODE_EXTRA_CA_CERTS names, which is otherwise not looked at; or PEM text.
 */
export type AnchorSource = 'bundled' | 'system' | 'extra' | (string & {})

export interface ResolvedAnchors {
  readonly everywhere: readonly AnchorSource[]
  readonly byHost: readonly { readonly pattern: ParsedHostPattern; readonly sources: readonly AnchorSource[] }[]
}

/**
 * Reads all sources now, so that a broken bundle fails at start. Hosts with anchors of their own are judged by those alone:
 * a partner's private root then speaks for the partner and for nobody else. Two roots in one set overlap during a rollover.
 *
 * @throws ConfigurationError `ERR_CONFIG_CERTIFICATE`
 */
export function createAnchorLookup({ everywhere, byHost }: ResolvedAnchors): (host: CanonicalHost) => AnchorSet {
  const fallback = read(everywhere)
  const own = hostIndex(byHost.map(({ pattern, sources }) => [pattern, read(sources)] as const))
  return (host) => own(host) ?? fallback
}

function read(sources: readonly AnchorSource[]): AnchorSet {
  const sets = sources.map(readOne)
  const [only] = sets
  return sets.length === 1 && only !== undefined ? only : uniteAnchors(sets)
}

function readOne(source: AnchorSource): AnchorSet {
  if (source === 'bundled') return bundledAnchors()
  if (source === 'system') return createAnchors(systemRoots())
  if (source === 'extra') return createAnchors(extraRoots())
  return createAnchors(source)
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
