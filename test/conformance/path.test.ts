import { describe, expect, test } from 'vitest'
import { type PathCase as Input, runPathCase } from '../../scripts/conformance/path.ts'
import type { PathProfile } from '../../src/trust/path/path.ts'
import { hasVectors, vectorJson, vectorLines } from '../support/vectors.ts'
import exceptions from './exceptions.json' with { type: 'json' }

/** What one case may cost the event loop (conformance target). Three runs, the best counts: the machine has other work. */
const MAX_MS = 100

type PathCase = Input & { readonly id: string; readonly expected: 'pass' | 'fail' }

interface Classes {
  readonly core: readonly string[]
  readonly form: readonly string[]
}

/** Why a case ends otherwise than its suite expects, by id. */
type Ledger = Readonly<Record<string, string>>

const isPresent = hasVectors('path')

describe.skipIf(!isPresent)('path suites', () => {
  const limbo = isPresent ? vectorLines<PathCase>('path/limbo.jsonl') : []
  const classes = isPresent ? vectorJson<Classes>('path/limbo-classes.json') : { core: [], form: [] }
  const core = limbo.filter(({ id }) => classes.core.includes(id))
  const coreAndForm = limbo.filter(({ id }) => classes.core.includes(id) || classes.form.includes(id))
  const mail = limbo.filter(({ id }) => /^rfc5280::nc::.*email/.test(id))

  test('x509-limbo, security cases, default profile: all 144', () => {
    expect(score(core, 'default', {})).toEqual({ passed: 144, of: 144 })
  })

  test('x509-limbo, security and form cases, default profile: each difference is in the ledger', () => {
    const ledger = exceptions.limbo.default
    expect(score(coreAndForm, 'default', ledger)).toEqual({ passed: 190 - Object.keys(ledger).length, of: 190 })
  })

  test('x509-limbo, security and form cases, cabf profile: at least 174 of 190', () => {
    const ledger = exceptions.limbo.cabf
    const { passed } = score(coreAndForm, 'cabf', ledger)
    expect(passed).toBe(190 - Object.keys(ledger).length)
    expect(passed).toBeGreaterThanOrEqual(174)
  })

  test('x509-limbo, rfc822Name constraints: all 10', () => {
    expect(score(mail, 'default', {})).toEqual({ passed: 10, of: 10 })
  })

  test('BetterTLS path building: all 81', () => {
    const cases = vectorLines<PathCase>('path/bettertls-pathbuilding.jsonl')
    expect(score(cases, 'default', {})).toEqual({ passed: 81, of: 81 })
  })

  test('BetterTLS name constraints: all 755', () => {
    const cases = vectorLines<PathCase>('path/bettertls-nameconstraints-sample.jsonl')
    expect(score(cases, 'default', {})).toEqual({ passed: 755, of: 755 })
  })

  test('NIST PKITS without revocation lists, rfc5280 profile: 176 of 178', () => {
    const { withoutCrl } = vectorJson<{ withoutCrl: readonly string[] }>('path/pkits-classes.json')
    const cases = vectorLines<PathCase>('path/pkits.jsonl').filter(({ id }) => withoutCrl.includes(id))
    expect(score(cases, 'rfc5280', exceptions.pkits.rfc5280)).toEqual({ passed: 176, of: 178 })
  })

  test('NIST PKITS with its revocation lists, rfc5280 profile: 247 of 249, and the delta CRLs all 10', () => {
    const cases = vectorLines<PathCase>('path/pkits.jsonl')
    expect(score(cases, 'rfc5280', exceptions.pkits.rfc5280)).toEqual({ passed: 247, of: 249 })
    const deltas = cases.filter(({ id }) => id.startsWith('pkits::4.15.'))
    expect(score(deltas, 'rfc5280', {})).toEqual({ passed: 10, of: 10 })
  })

  test('x509-limbo, revocation lists: all 8 in the cabf profile, and but for crlNumber in the others', () => {
    const cases = limbo.filter(({ id }) => id.startsWith('crl::'))
    expect(score(cases, 'cabf', {})).toEqual({ passed: 8, of: 8 })
    expect(score(cases, 'default', exceptions.limbo.crl)).toEqual({ passed: 6, of: 8 })
  })

  test('the search ends within its time on every hostile case', () => {
    const hostile = limbo.filter(({ id }) => id.startsWith('pathological::'))
    expect(hostile).toHaveLength(11)
    for (const row of hostile) {
      const best = Math.min(...[1, 2, 3].map(() => cpuMs(() => runPathCase(row, 'default'))))
      expect(best, row.id).toBeLessThan(MAX_MS)
    }
  })
})

/** Of this process, whatever else the machine does meanwhile. */
function cpuMs(run: () => unknown): number {
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

/** Counts the cases that end as the suite expects; every other must be in the ledger, and nothing else may be. */
function score(cases: readonly PathCase[], profile: PathProfile, ledger: Ledger): { passed: number; of: number } {
  const wrong = cases.flatMap((row) => {
    const { result, code } = runPathCase(row, profile)
    return result === row.expected ? [] : [`${row.id}: expected ${row.expected}, saw ${code ?? result}`]
  })
  const unexplained = wrong.filter((line) => ledger[line.slice(0, line.indexOf(': '))] === undefined)
  const unexpectedPasses = Object.keys(ledger).filter((id) => !wrong.some((line) => line.startsWith(`${id}: `)))
  expect({ unexplained, unexpectedPasses }).toEqual({ unexplained: [], unexpectedPasses: [] })
  return { passed: cases.length - wrong.length, of: cases.length }
}
