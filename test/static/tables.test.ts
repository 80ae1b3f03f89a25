import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exampleRows } from '../../scripts/docs/examples.ts'
import { differingTables, withTables } from '../../scripts/docs/markers.ts'
import { tablesOfFiles } from '../../scripts/docs/tables.ts'

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')

test('README has the tables that are made from files; `npm run docs:tables -- --write` writes them', () => {
  expect(differingTables(README, tablesOfFiles())).toEqual([])
})

test('control: a row more is seen, and written', () => {
  const { nodes = [], ...others } = tablesOfFiles()
  const changed = { ...others, nodes: [...nodes, '| 99 | nothing |'] }
  expect(differingTables(README, changed)).toEqual(['nodes'])
  expect(differingTables(withTables(README, changed), changed)).toEqual([])
  expect(() => differingTables(README, { unknown: [] })).toThrow('no place for the table "unknown"')
})

test('an example that does not say what it is about has no row', () => {
  expect(() => exampleRows([{ name: 'new.ts', text: 'export {}' }])).toThrow('examples/new.ts')
})
