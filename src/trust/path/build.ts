import type { Finding } from '../../errors/errors.ts'
import { DerError } from '../../x509/der.ts'
import type { KeyUsage } from '../../x509/extensions.ts'
import { DEFAULT_MAX_DEPTH, MAX_PRESENTED_BYTES, MAX_PRESENTED_CERTIFICATES } from './budget.ts'
import { readCertificate } from './certificate-cache.ts'
import { CLIENT_AUTH, type PathInput, type PathResult, SERVER_AUTH } from './path.ts'
import { type PresentedCertificate, searchPath } from './search.ts'

/**
 * Finds a certification path from what a peer presented to one of the anchors. Synchronous and pure: the same input gives
 * the same result, nothing is fetched, and no bytes a peer may send make it throw or run long.
 *
 * The result says nothing about names, pins or revocation: `acceptPath` is where a caller puts those that concern the
 * path, and the search then goes on until a path satisfies them too.
 *
 * @see RFC 5280 §6.1 (validation), RFC 4158 (building), RFC 9618 (policies)
 */
export function findPath(input: PathInput): PathResult {
  const oversize = checkSize(input.presented)
  if (oversize !== undefined) return { kind: 'invalid', findings: [oversize] }
  const [endEntity, ...rest] = input.presented.map(readCertificate)
  if (endEntity === undefined) return { kind: 'invalid', findings: [EMPTY] }
  if (endEntity instanceof DerError) return { kind: 'invalid', findings: [malformed(endEntity, 0)] }

  const others: PresentedCertificate[] = []
  const unreadable: Finding[] = []
  for (const [position, certificate] of rest.entries()) {
    if (certificate instanceof DerError) unreadable.push(malformed(certificate, position + 1))
    else others.push({ certificate, index: position + 1 })
  }
  const extendedKeyUsage = input.extendedKeyUsage ?? [SERVER_AUTH]
  const { path, findings, refusals, refusedPath } = searchPath({
    ...input,
    endEntity,
    others,
    extendedKeyUsage,
    keyUsage: input.keyUsage ?? keyUsageFor(extendedKeyUsage),
    profile: input.profile ?? 'default',
    maxDepth: input.maxDepth ?? DEFAULT_MAX_DEPTH,
    acceptPath: input.acceptPath,
  })
  if (path !== undefined) return { kind: 'valid', path }
  const ranked = mostSpecificFirst(refusals, [...findings, ...unreadable])
  return { kind: 'invalid', findings: ranked, ...(refusedPath === undefined ? {} : { refusedPath }) }
}

function checkSize(presented: readonly Uint8Array[]): Finding | undefined {
  const bytes = presented.reduce((sum, der) => sum + der.length, 0)
  if (presented.length <= MAX_PRESENTED_CERTIFICATES && bytes <= MAX_PRESENTED_BYTES) return undefined
  return {
    code: 'ERR_TRUST_CHAIN_TOO_LARGE',
    certificateIndex: null,
    message: `expected at most ${MAX_PRESENTED_CERTIFICATES} certificates and ${MAX_PRESENTED_BYTES} bytes, saw ${presented.length} and ${bytes}`,
  }
}

/** RFC 8446 §4.4.2.2 and §4.4.3: the end entity's key signs the handshake, so keyUsage must allow signatures. */
function keyUsageFor(extendedKeyUsage: readonly string[]): readonly KeyUsage[] {
  const isTls = extendedKeyUsage.includes(SERVER_AUTH) || extendedKeyUsage.includes(CLIENT_AUTH)
  return isTls ? ['digitalSignature'] : []
}

/**
 * What a person can act on comes first. "Unknown issuer" is the last word of nearly every failed search and the least
 * informative; an expired intermediate met on the way is the reason for it.
 */
function mostSpecificFirst(refusals: readonly Finding[], findings: readonly Finding[]): readonly Finding[] {
  const rank = ({ code }: Finding): number => RANKS[code] ?? 0
  const ordered = [...refusals, ...findings.toSorted((a, b) => rank(a) - rank(b))]
  const distinct = [...new Map(ordered.map((finding) => [JSON.stringify(finding), finding])).values()]
  const givenUp = distinct.slice(MAX_FINDINGS).filter(({ code }) => code === 'ERR_TRUST_PATH_BUDGET') // told anyway
  return [...distinct.slice(0, MAX_FINDINGS - givenUp.length), ...givenUp]
}

const EMPTY: Finding = {
  code: 'ERR_TRUST_CHAIN_EMPTY',
  certificateIndex: null,
  message: 'the peer presented no certificate',
}

const malformed = (error: DerError, index: number): Finding => ({
  code: 'ERR_TRUST_CERT_MALFORMED',
  certificateIndex: index,
  message: `certificate ${index} is not a certificate in DER: ${error.message}`,
})

const RANKS: Partial<Record<Finding['code'], number>> = {
  ERR_TRUST_SIGNATURE_INVALID: 1,
  ERR_TRUST_PATH_BUDGET: 2,
  ERR_TRUST_UNKNOWN_ISSUER: 3,
}

const MAX_FINDINGS = 16 // enough for a reader; a peer does not decide how long a log line is
