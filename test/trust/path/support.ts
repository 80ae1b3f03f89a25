import { expect } from 'vitest'
import type { Finding } from '../../../src/errors/errors.ts'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import type { TestCertificate } from '../../../src/testing/ca.ts'
import { createAnchors } from '../../../src/trust/anchors.ts'
import { findPath } from '../../../src/trust/path/build.ts'
import type { CertificationPath, PathInput, PathResult } from '../../../src/trust/path/path.ts'

/** One instant for all path tests, so that none of them ages. */
export const NOW = toUnixMs(Date.UTC(2030, 0, 1))
export const DAY_MS = 86_400_000

type Rest = Partial<Omit<PathInput, 'presented' | 'anchors'>>
type HasDer = { readonly der: Uint8Array }

/** Judges what a server presents, certificates or bytes, against anchors. */
export function judge(
  presented: readonly (HasDer | Uint8Array)[],
  anchors: readonly HasDer[],
  rest: Rest = {},
): PathResult {
  return findPath({
    presented: presented.map((entry) => (entry instanceof Uint8Array ? entry : entry.der)),
    anchors: createAnchors(anchors.map(({ der }) => der)),
    now: NOW,
    ...rest,
  })
}

export function expectPath(result: PathResult, ...certificates: readonly HasDer[]): CertificationPath {
  if (result.kind === 'invalid') throw new Error(result.findings.map(({ message }) => message).join('; '))
  const seen = result.path.certificates.map(({ der }) => Buffer.from(der).toString('base64'))
  expect(seen).toEqual(certificates.map(({ der }) => Buffer.from(der).toString('base64')))
  return result.path
}

/** The first finding has the code; its place, when given, is the presented list's. */
export function expectRefusal(result: PathResult, code: string, index?: number | null): void {
  expect(result.kind === 'invalid' ? result.findings[0]?.code : 'valid').toBe(code)
  if (result.kind === 'invalid' && index !== undefined) expect(result.findings[0]?.certificateIndex).toBe(index)
}

/** All that was found, in the order told; nothing for a valid path. */
export const findingsOf = (result: PathResult): readonly Finding[] => (result.kind === 'invalid' ? result.findings : [])

/** The first of them, whole: what a user is told. */
export const refusalOf = (result: PathResult): Finding | undefined => findingsOf(result)[0]

/** Chain of an end entity as objects, its root left out. */
export function chainOf(certificate: TestCertificate): readonly HasDer[] {
  return certificate.chain.map((der) => ({ der }))
}
