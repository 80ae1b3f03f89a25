import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exampleRows } from '../../scripts/docs/examples.ts'
import { attackRows, summaryRows, withoutCodes } from '../../scripts/docs/lab.ts'
import { differingTables, placeOf, withTables } from '../../scripts/docs/markers.ts'
import { differing, tablesOfFiles } from '../../scripts/docs/tables.ts'
import { ATTACKS } from '../../src/testing/lab/attacks/index.ts'
import type { LabReport } from '../../src/testing/lab/report.ts'

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')

test('README has the tables that are made from files; `npm run docs:tables -- --write` writes them', () => {
  expect(differing(tablesOfFiles())).toEqual([])
})

test('control: a row more is seen, and written', () => {
  const { nodes = [] } = tablesOfFiles()['README.md'] ?? {}
  const changed = { nodes: [...nodes, '| 99 | nothing |'] }
  expect(nodes.length).toBeGreaterThan(2)
  expect(differing({ 'README.md': changed })).toEqual(['README.md: nodes'])
  expect(differingTables(withTables(README, changed), changed)).toEqual([])
  expect(() => differingTables(README, { unknown: [] })).toThrow('no place for the table "unknown"')
})

test('an example that does not say what it is about has no row', () => {
  expect(() => exampleRows([{ name: 'new.ts', text: 'export {}' }])).toThrow('examples/new.ts')
})

test('the tables of the lab have a row for each attack, and count what ran', () => {
  expect(attackRows(REPORT)).toEqual([
    '| id | attack | pinfetch | fetch of Node |',
    '| --- | --- | --- | --- |',
    '| L01 | One | refused `ERR_TRUST_PIN_MISMATCH` | **lost** |',
    '| L02 | Two | unharmed | not run |',
  ])
  expect(summaryRows(REPORT)).toEqual([
    '| withstood | all | issuers | names |',
    '| --- | --- | --- | --- |',
    '| pinfetch | 2 of 2 | 1 of 1 | 1 of 1 |',
    '| fetch of Node | 0 of 1 | 0 of 1 | 0 of 0 |',
  ])
})

test('SECURITY.md has a row for each attack of the lab, and none that pinfetch loses', () => {
  const { table } = placeOf(readFileSync(join(import.meta.dirname, '../../SECURITY.md'), 'utf8'), 'attacks')
  const [head = '', , ...rows] = table.trimEnd().split('\n')
  expect(head).toMatch(/^\| id \| attack \| pinfetch \|/)
  const cells = rows.map((row) => row.split(' | ').map((cell) => cell.replace(/^\| /, '')))
  expect(cells.map(([id]) => id)).toEqual(ATTACKS.map(({ id }) => id)) // the rest is compared where the lab runs
  expect(cells.filter(([, , ours]) => !/^(?:refused|noticed|unharmed)/.test(ours ?? ''))).toEqual([])
})

test('of the lab, everything but the codes is compared', () => {
  const [, , refused = '', unharmed = ''] = attackRows(REPORT)
  expect(withoutCodes(refused)).toBe('| L01 | One | refused | **lost** |')
  expect(withoutCodes(unharmed)).toBe(unharmed)
})

const OF_ANY = {
  code: null,
  expected: [],
  applicationOctets: 0,
  sawClientCertificate: false,
  control: null,
  reason: null,
  missing: null,
}
const REPORT = {
  node: '24',
  contenders: ['pinfetch', 'fetch'],
  durationMs: 1,
  attacks: [
    {
      id: 'L01',
      group: 'issuers',
      title: 'one',
      results: [
        { ...OF_ANY, attack: 'L01', contender: 'pinfetch', outcome: 'refused', code: 'ERR_TRUST_PIN_MISMATCH' },
        { ...OF_ANY, attack: 'L01', contender: 'fetch', outcome: 'lost' },
      ],
    },
    {
      id: 'L02',
      group: 'names',
      title: 'two',
      results: [
        { ...OF_ANY, attack: 'L02', contender: 'pinfetch', outcome: 'unharmed' },
        { ...OF_ANY, attack: 'L02', contender: 'fetch', outcome: 'not-run' },
      ],
    },
  ],
} as unknown as LabReport
