import { describe, expect, test } from 'vitest'
import { run } from '../support/run.ts'
import { hasVectors, vectorLines } from '../support/vectors.ts'

interface Row {
  readonly id: string
  readonly expected: 'pass' | 'fail'
  readonly value?: string
}

interface Answered {
  readonly id: string
  readonly result: string
  readonly code?: string
  readonly value?: string
}

const isPresent = hasVectors('signing/rfc9421')

describe.skipIf(!isPresent)('RFC 9421 by the runner, in a process of its own', () => {
  test('signing: 17 of 20 messages verify, and the changed ones do not', async () => {
    const { rows, answers } = await answersOf('signing', 'signing/rfc9421/signatures.jsonl')
    expect(answers.map(({ result }) => result)).toEqual(rows.map(({ expected }) => expected))
    expect(answers.filter(({ result }) => result === 'pass')).toHaveLength(17)
    expect(answers.flatMap(({ code }) => code ?? [])).toEqual(Array(3).fill('ERR_VERIFY_FAILED'))
  })

  test('components: the 58 values to the letter, or a refusal with its code', async () => {
    const { rows, answers } = await answersOf('components', 'signing/rfc9421/components.jsonl')
    expect(answers.map(({ result, value }) => [result, value])).toEqual(
      rows.map(({ expected, value }) => [expected, expected === 'pass' ? value : undefined]),
    )
    expect(answers).toHaveLength(58)
    const codes = new Set(answers.flatMap(({ code }) => code ?? []))
    expect([...codes].sort()).toEqual([
      'ERR_SIGN_COMPONENT_AMBIGUOUS',
      'ERR_SIGN_COMPONENT_INVALID',
      'ERR_SIGN_COMPONENT_MISSING',
      'ERR_SIGN_VALUE_NOT_ASCII',
    ])
  })
})

/** What is expected of a case is taken out before it is put to the runner. */
async function answersOf(suite: string, file: string) {
  const rows = vectorLines<Row>(file)
  const input = rows.map(({ expected: _, value: __, ...row }, at) => JSON.stringify({ ...row, id: at })).join('\n')
  const { stdout, exitCode } = await run(['--import', 'tsx', 'scripts/conformance/main.ts', suite], {}, input)
  expect(exitCode).toBe(0)
  return {
    rows,
    answers: stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Answered),
  }
}
