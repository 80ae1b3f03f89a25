import { isIP } from 'node:net'
import { canonicalHost } from '../../src/encoding/host.ts'
import { isPublicSuffix } from '../../src/encoding/public-suffix.ts'
import { matchesIdentifiers } from '../../src/trust/identity.ts'
import type { GeneralName } from '../../src/x509/general-names.ts'
import { type Answer, outcome } from './suite.ts'

/** A certificate's names and the host that was asked for. */
export interface NamesCase {
  /** A bare host: brackets belong to URLs, so a host that has them is none. */
  readonly host: string
  readonly dns: readonly string[]
  /** Octets as hexadecimal. */
  readonly ipHex: readonly string[]
  readonly publicSuffix?: boolean
}

export function runNamesCase(input: unknown): Answer {
  const { host: text, dns, ipHex, publicSuffix } = input as NamesCase
  const startedAt = performance.now()
  const host = text.startsWith('[') ? undefined : canonicalHost(text)
  if (host === undefined) return outcome('ERR_CONFIG_HOST', startedAt)
  const names: readonly GeneralName[] = [
    ...dns.map((name): GeneralName => ({ kind: 'dns', text: name })),
    ...ipHex.map((hex): GeneralName => ({ kind: 'ip', octets: Buffer.from(hex, 'hex') })),
  ]
  const reference = isIP(host) === 0 ? ({ kind: 'dns', name: host } as const) : ({ kind: 'ip', address: host } as const)
  const matches = matchesIdentifiers(names, reference, publicSuffix === true ? { isPublicSuffix } : {})
  return outcome(matches ? undefined : 'ERR_TRUST_NAME_MISMATCH', startedAt)
}
