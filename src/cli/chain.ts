import { type CanonicalOrigin, canonicalHost } from '../encoding/host.ts'
import { CODES } from '../errors/codes.ts'
import type { Finding } from '../errors/errors.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { type AnchorSet, bundledAnchors, createAnchors } from '../trust/anchors.ts'
import { matchIdentity, type ReferenceIdentity } from '../trust/identity.ts'
import { findPath } from '../trust/path/build.ts'
import type { CertificationPath } from '../trust/path/path.ts'
import { type Certificate, parseCertificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'
import { readBytes } from './files.ts'
import { type Failure, UsageError } from './outcome.ts'

/** What the library itself would say about these certificates, pins aside. */
export interface Judgement {
  /** The path that verified, whether or not the name matches. */
  readonly path: CertificationPath | undefined
  /** Empty when everything passed. */
  readonly findings: readonly Finding[]
}

export function judge(input: {
  readonly presented: readonly Uint8Array[]
  readonly anchors: AnchorSet
  readonly now: number
  /** `undefined`: the name is not looked at. */
  readonly identity: ReferenceIdentity | undefined
}): Judgement {
  const { presented, anchors, identity } = input
  const result = findPath({ presented, anchors, now: toUnixMs(input.now) })
  if (result.kind === 'invalid') return { path: undefined, findings: result.findings }
  const misnamed = identity === undefined ? undefined : matchIdentity(result.path.certificates[0], identity)
  return { path: result.path, findings: misnamed === undefined ? [] : [misnamed] }
}

export type Position = 'end entity' | 'intermediate' | 'anchor' | 'self-issued CA' | 'not on the path'

export interface Placed {
  readonly certificate: Certificate
  readonly position: Position
}

/**
 * The verified path, then what was sent beside it. Without a path, positions are what the certificates say of themselves,
 * and none of them is an anchor: nobody but the reader makes one.
 */
export function placeAll(presented: readonly Uint8Array[], path: CertificationPath | undefined): readonly Placed[] {
  const sent = presented.flatMap((der) => readable(der) ?? [])
  if (path === undefined) return sent.map((certificate) => ({ certificate, position: ownWord(certificate) }))
  const { certificates } = path
  const onPath = new Set(certificates.map(({ sha256 }) => sha256))
  const others = sent.filter(({ sha256 }) => !onPath.has(sha256))
  return [
    ...certificates.map((certificate, index) => ({ certificate, position: positionOf(index, certificates.length) })),
    ...others.map((certificate): Placed => ({ certificate, position: 'not on the path' })),
  ]
}

/** One line about the verdict, for people. */
export function verdictText({ path, findings }: Judgement): string {
  const [finding] = findings
  if (finding !== undefined) return `does not verify: ${finding.message}`
  return `verifies up to ${path?.certificates.at(-1)?.subject.text}`
}

/** A check that did not pass, unless none was made. */
export function failureOf(judgement: Judgement | undefined): Failure | undefined {
  const [finding] = judgement?.findings ?? []
  if (finding === undefined) return undefined
  return { code: finding.code, message: finding.message, hint: CODES[finding.code].fix }
}

/** The roots of `--ca`, else those of this Node release. */
export async function anchorsFrom(path: string | undefined): Promise<AnchorSet> {
  return path === undefined ? bundledAnchors() : createAnchors(await readBytes(path))
}

export function identityOf({ kind, host }: CanonicalOrigin, sni: string | undefined): ReferenceIdentity {
  if (sni !== undefined) return { kind: 'dns', name: sni }
  return kind === 'dns' ? { kind, name: host } : { kind, address: host }
}

/** The value of `--sni`. @throws UsageError */
export function serverName(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const name = canonicalHost(text)
  if (name !== undefined && /[a-z]/.test(name) && !name.includes(':')) return name
  throw new UsageError(
    `--sni ${JSON.stringify(text)}: not a DNS name`,
    'Give a name as in a URL: --sni api.example.com',
  )
}

function readable(der: Uint8Array): Certificate | undefined {
  try {
    return parseCertificate(der)
  } catch (error) {
    if (error instanceof DerError) return undefined // the verdict names it
    throw error
  }
}

function positionOf(index: number, length: number): Position {
  if (index === 0) return 'end entity'
  return index === length - 1 ? 'anchor' : 'intermediate'
}

function ownWord({ decoded, isSelfIssued }: Certificate): Position {
  if (decoded.basicConstraints?.ca !== true) return 'end entity'
  return isSelfIssued ? 'self-issued CA' : 'intermediate'
}
