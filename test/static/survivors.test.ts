import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SURVIVORS } from '../../scripts/mutation/survivors/index.ts'
import { type Mutant, percent, score } from '../../scripts/mutation/survivors.ts'

const TEXT = 'const known = cache.get(key)\n  if (known !== undefined) return known\nreturn cache.set(\n  key,\n)\n'
const memo = { why: 'a memo: only speed', line: 'if (known !== undefined) return known' }

test('a survivor has its reason by the line and the change, wherever the line moved to', () => {
  const listed = [{ ...memo, mutants: ['known !== undefined → false'] }]
  const mutants = [mutant([2, 7], [2, 26], 'false'), mutant([2, 7], [2, 26], 'true', 'Killed')]
  const found = { reasoned: [{ at: '2:7', line: memo.line, mutant: 'known !== undefined → false', why: memo.why }] }
  expect(score(TEXT, mutants, listed)).toEqual({ killed: 1, timedOut: 0, bare: [], stale: [], ...found })
  expect(score(`\n${TEXT}`, [mutant([3, 7], [3, 26], 'false')], listed)).toMatchObject({ bare: [], stale: [] })
})

test('a survivor that is not listed is bare, and so is one that no test reaches', () => {
  const listed = [{ ...memo, mutants: ['known !== undefined → false'] }]
  const mutants = [mutant([2, 7], [2, 26], 'true'), mutant([3, 8], [5, 2], 'undefined', 'NoCoverage')]
  expect(score(TEXT, mutants, listed)).toMatchObject({
    reasoned: [],
    bare: [
      { at: '2:7', mutant: 'known !== undefined → true' },
      { at: '3:8', mutant: 'cache.set( key, ) → undefined' },
    ],
    stale: [`${memo.line}   known !== undefined → false`],
  })
})

test('one that costs time alone stays listed where a test ran out of it, and survives with its reason elsewhere', () => {
  const listed = [{ ...memo, mutants: ['known !== undefined → false'], onlyCost: true }] as const
  const found = (status: string) => score(TEXT, [mutant([2, 7], [2, 26], 'false', status)], listed)
  expect(found('Timeout')).toMatchObject({ timedOut: 1, reasoned: [], bare: [], stale: [] })
  expect(found('Survived')).toMatchObject({ timedOut: 0, reasoned: [{ why: memo.why }], bare: [], stale: [] })
})

test('the score counts what was noticed, by a test or by time, of all', () => {
  const of = (...statuses: readonly string[]): number =>
    percent(
      score(
        TEXT,
        statuses.map((status) => mutant([2, 7], [2, 26], 'true', status)),
        [],
      ),
    )
  expect(of('Killed', 'Timeout', 'Survived', 'NoCoverage')).toBe(50)
  expect(of('Killed', 'CompileError')).toBe(100)
  expect(of()).toBe(100)
})

test.each(Object.entries(SURVIVORS))('%s still has the lines whose survivors have a reason', (file, listed) => {
  const lines = new Set(
    readFileSync(join(import.meta.dirname, '../..', file), 'utf8')
      .split('\n')
      .map((line) => line.trim()),
  )
  expect(listed.map(({ line }) => line).filter((line) => !lines.has(line))).toEqual([])
})

function mutant(
  start: readonly [number, number],
  end: readonly [number, number],
  replacement: string,
  status = 'Survived',
): Mutant {
  const [[line, column], [lastLine, lastColumn]] = [start, end]
  return { location: { start: { line, column }, end: { line: lastLine, column: lastColumn } }, replacement, status }
}
