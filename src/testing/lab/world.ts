import { spawnSync } from 'node:child_process'
import { type TestCa, testCa } from '../ca.ts'

/** What all attacks of a run share: certificates take longer to make than servers. */
export interface World {
  /** Trusted by every contender: the victim's CA. */
  readonly ca: TestCa
  /** Trusted as well, and not pinned: who was wrongly trusted. */
  readonly otherCa: TestCa
  /** Trusted by nobody. */
  readonly untrustedCa: TestCa
  /** PEM of the two that are trusted. */
  readonly anchors: string
  /** The victim's own certificate, for mutual TLS: PEM. */
  readonly certificate: { readonly cert: string; readonly key: string }
  /** Where a program is, where it is installed. */
  readonly programOf: (program: string) => string | undefined
}

export function createWorld(): World {
  const ca = testCa({ name: 'Genuine' })
  const otherCa = testCa({ name: 'Wrongly Trusted' })
  const client = ca.issue({ subject: 'Client', extendedKeyUsage: ['clientAuth'] })
  const programs = new Map<string, string | undefined>()
  return {
    ca,
    otherCa,
    untrustedCa: testCa({ name: 'Untrusted' }),
    anchors: `${ca.anchorPem}${otherCa.anchorPem}`,
    certificate: { cert: client.pem, key: client.keyPem },
    programOf: (program) => {
      if (!programs.has(program)) programs.set(program, pathOf(program))
      return programs.get(program)
    },
  }
}

function pathOf(program: string): string | undefined {
  const { status, stdout } = spawnSync('/bin/sh', ['-c', 'command -v -- "$1"', 'sh', program], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}
