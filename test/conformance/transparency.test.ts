import { describe, expect, test } from 'vitest'
import { isAsLogged, runTransparencyCase } from '../../scripts/conformance/transparency.ts'
import { hasVectors, vectorLines } from '../support/vectors.ts'
import exceptions from './exceptions.json' with { type: 'json' }

interface Row {
  readonly id: string
  readonly expected: string
  readonly perSct?: readonly string[]
}

describe.skipIf(!hasVectors('revocation'))('transparency', () => {
  test('Certificate Transparency, made for this project: all 31, but for the ledger', () => {
    const rows = vectorLines<Row>('revocation/ct-own.jsonl')
    expect(rows).toHaveLength(31)
    const wrong = rows.filter((row) => !isAsLogged(row, runTransparencyCase(row)))
    expect(wrong.map(({ id }) => id)).toEqual(Object.keys(exceptions.transparency['ct-own']))
  })
})
