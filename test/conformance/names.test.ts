import { isIP } from 'node:net'
import { describe, expect, test } from 'vitest'
import { canonicalHost } from '../../src/encoding/host.ts'
import { matchesIdentifiers } from '../../src/trust/identity.ts'
import type { GeneralName } from '../../src/x509/general-names.ts'
import { hasVectors, vectorLines } from '../support/vectors.ts'
import exceptions from './exceptions.json' with { type: 'json' }

interface NameCase {
  readonly id: string
  readonly host: string
  readonly dns: readonly string[]
  readonly ipHex: readonly string[]
  readonly expected: boolean
}

/** The registries' suffixes that the table's wildcards touch; a whole list is the user's to bring. */
const REGISTRIES = new Set(['com', 'us', 'uk', 'co.uk', 'com.br', 'xn--mgbaam7a8h', 'example'])

const isPresent = hasVectors('path')

describe.skipIf(!isPresent)('host names of Chromium and Go', () => {
  const cases = isPresent ? vectorLines<NameCase>('path/hostnames.jsonl') : []

  test('no name is accepted that the tables refuse', () => {
    expect(cases.filter((row) => !row.expected && isAccepted(row)).map(({ id }) => id)).toEqual([])
  })

  test('each name that only we refuse is in the ledger', () => {
    const refused = cases.filter((row) => row.expected && !isAccepted(row)).map(({ id }) => id)
    expect(refused).toEqual(Object.keys(exceptions.hostnames))
  })
})

function isAccepted({ host: text, dns, ipHex }: NameCase): boolean {
  const isBracketed = text.startsWith('[') // brackets belong to URLs; the table's hosts have left theirs behind
  const host = isBracketed ? undefined : canonicalHost(text)
  if (host === undefined) return false
  const names: readonly GeneralName[] = [
    ...dns.map((name): GeneralName => ({ kind: 'dns', text: name })),
    ...ipHex.map((hex): GeneralName => ({ kind: 'ip', octets: Buffer.from(hex, 'hex') })),
  ]
  const reference = isIP(host) === 0 ? ({ kind: 'dns', name: host } as const) : ({ kind: 'ip', address: host } as const)
  return matchesIdentifiers(names, reference, { isPublicSuffix: (name) => REGISTRIES.has(name) })
}
