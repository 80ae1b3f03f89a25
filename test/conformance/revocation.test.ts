import { describe, expect, test } from 'vitest'
import { isAsExpected, runRevocationCase } from '../../scripts/conformance/revocation.ts'
import { hasVectors, vectorLines } from '../support/vectors.ts'
import exceptions from './exceptions.json' with { type: 'json' }

interface Row {
  readonly id: string
  readonly expected: string
}

const isPresent = hasVectors('revocation')
const SUITES = [
  { title: 'OCSP, made for this project', file: 'ocsp-own', cases: 81 },
  { title: 'OCSP of BoringSSL', file: 'ocsp-boringssl', cases: 36 },
  { title: 'OCSP of OpenSSL', file: 'ocsp-openssl', cases: 57 },
  { title: 'CRLs, made for this project', file: 'crl-own', cases: 55 },
] as const

describe.skipIf(!isPresent)('revocation', () => {
  test.each(SUITES)('$title: all $cases, but for the ledger', ({ file, cases }) => {
    const rows = vectorLines<Row>(`revocation/${file}.jsonl`)
    expect(rows).toHaveLength(cases)
    const wrong = rows.filter((row) => !isAsExpected(row.expected, runRevocationCase(row))).map(({ id }) => id)
    expect(wrong).toEqual(Object.keys(exceptions.revocation[file]))
  })
})
