import { describe, expect, test } from 'vitest'
import { runSigV4Case, type SigV4Case } from '../../scripts/conformance/sigv4.ts'
import { hasVectors, vectorLines } from '../support/vectors.ts'

const isPresent = hasVectors('signing')

describe.skipIf(!isPresent)('requests that AWS signed', () => {
  const cases = isPresent ? vectorLines<SigV4Case>('signing/sigv4/v4.jsonl') : []

  test('each of the 38 is signed as they are, in the header and in the query', () => {
    expect(cases.filter((row) => runSigV4Case(row).result !== 'pass').map(({ id }) => id)).toEqual([])
    expect(cases).toHaveLength(38)
  })

  test.each([
    'header-canonical-request',
    'header-string-to-sign',
    'header-signature',
    'header-signed-request',
    'query-canonical-request',
    'query-string-to-sign',
    'query-signature',
    'query-signed-request',
  ] as const)('a case whose %s is another one fails', (member) => {
    const [row] = cases
    if (row === undefined) throw new Error('no case')
    const changed = {
      ...row,
      [member]: row[member].replace(/[0-9a-f](?=\n*$)/, (digit) => (digit === '0' ? '1' : '0')),
    }
    const other = member.endsWith('request') ? { ...row, [member]: row[member].replace('value2', 'value3') } : changed
    expect(runSigV4Case(other).result).toBe('fail')
  })
})
