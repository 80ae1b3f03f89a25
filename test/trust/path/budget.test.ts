import { expect, test } from 'vitest'
import { SearchBudget } from '../../../src/trust/path/budget.ts'

type Spend = (budget: SearchBudget, count: number) => boolean

/** For a purse that gives one at a time. */
const oneByOne =
  (spend: (budget: SearchBudget) => boolean): Spend =>
  (budget, count) =>
    Array.from({ length: count }, () => spend(budget)).every(Boolean)

const PURSES: readonly [string, number, Spend][] = [
  ['signature checks', 100, (budget, count) => budget.spendSignature(count)],
  ['search steps', 10_000, oneByOne((budget) => budget.spendStep())],
  ['name comparisons', 250_000, (budget, count) => budget.spendComparisons(count)],
  ['complete paths', 64, oneByOne((budget) => budget.spendPath())],
]

const exceeding = (limit: number, what: string) => ({
  code: 'ERR_TRUST_PATH_BUDGET',
  certificateIndex: null,
  message: `the search for a path was given up: at most ${limit} ${what} are made for one peer`,
})

test.each(PURSES)('one search has %s: %d and not one more', (what, limit, spend) => {
  const budget = new SearchBudget()
  expect(spend(budget, limit)).toBe(true)
  expect(budget.exceeded).toBeUndefined()
  expect(spend(budget, 1)).toBe(false)
  expect(budget.exceeded).toEqual(exceeding(limit, what))
})

test.each(PURSES)(
  'once there are no more %s, no purse gives anything, and the first that ran out is named',
  (what, limit, spend) => {
    const budget = new SearchBudget()
    spend(budget, limit + 1)
    for (const [, , other] of PURSES) expect(other(budget, 1)).toBe(false)
    for (const [, most, other] of PURSES) expect(other(budget, most + 1)).toBe(false)
    expect(budget.exceeded).toEqual(exceeding(limit, what))
  },
)
