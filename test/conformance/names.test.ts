import { describe, expect, test } from 'vitest'
import { type NamesCase as Input, runNamesCase } from '../../scripts/conformance/names.ts'
import { hasVectors, vectorLines } from '../support/vectors.ts'
import exceptions from './exceptions.json' with { type: 'json' }

type NamesCase = Input & { readonly id: string; readonly expected: boolean }

const isPresent = hasVectors('path')

describe.skipIf(!isPresent)('host names of Chromium and Go', () => {
  const cases = isPresent ? vectorLines<NamesCase>('path/hostnames.jsonl') : []

  test('no name is accepted that the tables refuse', () => {
    expect(cases.filter((row) => !row.expected && isAccepted(row)).map(({ id }) => id)).toEqual([])
  })

  test('each name that only we refuse is in the ledger', () => {
    const refused = cases.filter((row) => row.expected && !isAccepted(row)).map(({ id }) => id)
    expect(refused).toEqual(Object.keys(exceptions.hostnames))
  })
})

const isAccepted = (row: NamesCase): boolean => runNamesCase({ ...row, publicSuffix: true }).result === 'pass'
