import { expect, test } from 'vitest'
import { examineNode } from '../../src/cli/doctor-node.ts'
import { KNOWN_UNTIL, missingFixes } from '../../src/cli/node-releases.ts'

const cves = (version: string): readonly string[] => missingFixes(version).fixes.map(({ cve }) => cve)

test.each(['22.23.5', '24.22.3', '26.13.1', '26.14.0', '24.100.0', '28.0.0'])('Node %s lacks nothing', (version) => {
  expect(missingFixes(version)).toEqual({ fixes: [], fixedIn: undefined, unexamined: [] })
})

test('a fix counts up to the version before it, and for the lines that had the flaw', () => {
  expect(cves('22.22.99')).toContain('CVE-2026-48934')
  expect(cves('22.23.0')).not.toContain('CVE-2026-48934')
  expect(cves('22.23.3')).not.toContain('CVE-2026-105483') // 24 and 26 alone
  expect(cves('22.23.3')).not.toContain('CVE-2026-106072') // the notes of 22.23.4 have its neighbour alone
  expect(cves('22.23.3')).toContain('CVE-2026-106069')
  expect(cves('24.22.0')).toContain('CVE-2026-105483')
  expect(missingFixes('22.9.0').fixedIn).toBe('22.23.5')
})

test('of a line that had ended nobody said whether it has a flaw, and it has no fix', () => {
  const { fixes, unexamined } = missingFixes('20.20.2')
  expect(fixes).toEqual([])
  expect(unexamined.map(({ cve }) => cve)).toContain('CVE-2026-48934')
  expect(unexamined.map(({ cve }) => cve)).not.toContain('CVE-2026-105483') // came into being after it
  const [, said] = examineNode('20.20.2', Date.UTC(2026, 11, 1))
  expect(said).toMatchObject({ id: 'NODE-CVE', severity: 'warning', fix: 'Move to a supported release: 22, 24, 26.' })
  expect(said?.message).toContain('found after this line had ended')
})

test('two months later it says where newer ones are published', () => {
  const saidAfter = (days: number) => examineNode('26.13.1', Date.parse(KNOWN_UNTIL) + days * 86_400_000)[1]
  expect(saidAfter(60)).toMatchObject({ severity: 'ok', message: expect.stringContaining(KNOWN_UNTIL) })
  expect(saidAfter(61)).toMatchObject({ severity: 'info', fix: expect.stringContaining('nodejs.org') })
})
