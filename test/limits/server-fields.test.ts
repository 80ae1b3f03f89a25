import { describe, expect, test } from 'vitest'
import { readQuota } from '../../src/limits/rate-fields.ts'
import { readRetryAfter } from '../../src/limits/retry-after.ts'

const NOW = Date.UTC(2026, 0, 1)
const rules = { serverNow: NOW, maxMs: 300_000 }
const asked = (fields: Record<string, string>) => readRetryAfter(new Headers(fields), rules)
const quota = (fields: Record<string, string>) => readQuota(new Headers(fields), rules)
const date = (ms: number): string => new Date(NOW + ms).toUTCString()

describe('Retry-After', () => {
  test.each<[string, Record<string, string>, number]>([
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['milliseconds', { 'retry-after-ms': '1500' }, 1_500],
    ['milliseconds, which win over seconds', { 'retry-after-ms': '250.5', 'retry-after': '9' }, 251],
    ['seconds, where the milliseconds cannot be read', { 'retry-after-ms': 'soon', 'retry-after': '9' }, 9_000],
    ['a date, by the clock of the server', { 'retry-after': date(20_000) }, 20_000],
    ['a date, held against that of the response', { 'retry-after': date(90_000), date: date(60_000) }, 30_000],
    ['a date beside one that a cache kept', { 'retry-after': date(30_000), date: date(-86_400_000), age: '9' }, 30_000],
  ])('is %s', (_, fields, ms) => {
    expect(asked(fields)).toEqual({ ms, askedMs: ms, source: 'retry-after' })
  })

  test.each([
    ['a year', { 'retry-after': '31536000' }, 31_536_000_000],
    ['a year in milliseconds', { 'retry-after-ms': '31536000000' }, 31_536_000_000],
    ['a date in a year', { 'retry-after': date(31_536_000_000) }, 31_536_000_000],
    ['a number that no clock has', { 'retry-after': '9'.repeat(400) }, 999_999_999_999_000],
  ])('F61: %s is capped, and told', (_, fields, askedMs) => {
    expect(asked(fields)).toEqual({ ms: 300_000, askedMs, source: 'retry-after' })
  })

  test.each<[string, Record<string, string>]>([
    ['there is none', {}],
    ['it is negative', { 'retry-after': '-5' }],
    ['it is negative in milliseconds', { 'retry-after-ms': '-5' }],
    ['it is zero', { 'retry-after': '0' }],
    ['its date is past', { 'retry-after': date(-60_000) }],
    ['its date is the one of the response', { 'retry-after': date(60_000), date: date(60_000) }],
    ['it is a fraction', { 'retry-after': '1.5' }],
    ['it is hexadecimal', { 'retry-after': '0x10' }],
    ['it is no time', { 'retry-after': 'NaN' }],
    ['it is in words', { 'retry-after': 'tomorrow' }],
    ['it is given twice', { 'retry-after': '1, 2' }],
    ['its date is none', { 'retry-after': 'Mon, 99 Jan 2026 00:00:00 GMT' }],
  ])('F61: asks for nothing where %s', (_, fields) => {
    expect(asked(fields)).toBeUndefined()
  })
})

describe('a quota with nothing left', () => {
  const empty = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '99' }

  test.each<[string, Record<string, string>, number, string]>([
    ['RateLimit', { ratelimit: '"default";r=0;t=30' }, 30_000, 'ratelimit'],
    ['the longest of several', { ratelimit: '"burst";r=0;t=1, "hour";r=0;t=60, "day";r=9;t=900' }, 60_000, 'ratelimit'],
    [
      'the window of the policy, where RateLimit names no time',
      { ratelimit: '"day";r=0', 'ratelimit-policy': '"hour";q=9;w=60, "day";q=100;w=120' },
      120_000,
      'ratelimit',
    ],
    ['a draft of RateLimit', { ratelimit: 'limit=10, remaining=0, reset=5' }, 5_000, 'ratelimit'],
    ['the fields of an earlier draft', { 'ratelimit-remaining': '0', 'ratelimit-reset': '5' }, 5_000, 'ratelimit'],
    ['X-RateLimit in seconds', empty, 99_000, 'x-ratelimit'],
    [
      'X-RateLimit as an instant in seconds',
      { ...empty, 'x-ratelimit-reset': `${NOW / 1_000 + 40}` },
      40_000,
      'x-ratelimit',
    ],
    [
      'X-RateLimit as an instant in milliseconds',
      { ...empty, 'x-ratelimit-reset': `${NOW + 250}` },
      250,
      'x-ratelimit',
    ],
    ['X-Rate-Limit', { 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': '3' }, 3_000, 'x-ratelimit'],
  ])('by %s', (_, fields, ms, source) => {
    expect(quota(fields)).toEqual({ ms, askedMs: ms, source })
  })

  test('LIM-03: RateLimit wins over X-RateLimit-*, also where it says that something is left', () => {
    expect(quota({ ...empty, ratelimit: '"default";r=0;t=10' })).toMatchObject({ ms: 10_000, source: 'ratelimit' })
    expect(quota({ ...empty, ratelimit: '"default";r=5;t=10' })).toBeUndefined()
    expect(quota({ ...empty, ratelimit: 'not ((( structured' })).toBeUndefined()
    expect(quota({ ...empty, 'ratelimit-remaining': '5', 'ratelimit-reset': '10' })).toBeUndefined()
    expect(quota(empty)).toMatchObject({ ms: 99_000 }) // control
  })

  test('a year is capped, and told', () => {
    expect(quota({ ratelimit: '"default";r=0;t=31536000' })).toMatchObject({ ms: 300_000, askedMs: 31_536_000_000 })
    expect(quota({ ...empty, 'x-ratelimit-reset': '999999999' })).toMatchObject({ ms: 300_000 })
  })

  test.each<[string, Record<string, string>]>([
    ['nothing is said', {}],
    ['something is left', { 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '9' }],
    ['no time is named', { 'x-ratelimit-remaining': '0' }],
    ['the time is past', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${NOW / 1_000 - 40}` }],
    ['the time is negative', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '-1' }],
    ['the time is in words', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '6m0s' }],
    ['the remainder is empty', { 'x-ratelimit-remaining': '', 'x-ratelimit-reset': '9' }],
    ['a parameter is no number', { ratelimit: '"default";r=?0;t=9' }],
    ['a time is negative', { ratelimit: '"default";r=0;t=-9' }],
    ['a field is endless', { ratelimit: `"default";r=0;t=9${', "x";r=1'.repeat(1_000)}` }],
  ])('is none where %s', (_, fields) => {
    expect(quota(fields)).toBeUndefined()
  })
})
