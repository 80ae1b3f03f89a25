import { type PinfetchError, PolicyError, RateError, SignError, TlsError, TransportError, TrustError } from 'pinfetch'
import { describe, expect, test } from 'vitest'
import { CODES, type ErrorCode } from '../../src/errors/codes.ts'
import { ApprovalError, AuthError, ConfigurationError, VerifyError } from '../../src/errors/errors.ts'
import { createRetryBudget } from '../../src/limits/retry-budget.ts'
import { backoffMs, isIdempotent, judgeOutcome, moreSent, type RetryRules } from '../../src/limits/retry-rules.ts'

const rules: RetryRules = {
  maxAttempts: 3,
  baseMs: 200,
  maxDelayMs: 20_000,
  maxRetryAfterMs: 300_000,
  statuses: [408, 425, 429, 500, 502, 503, 504],
}
const judge = (outcome: Parameters<typeof judgeOutcome>[0], mayRepeat = true) =>
  judgeOutcome(outcome, { mayRepeat, rules, serverNow: 0 })
const answered = (status: number, fields: Record<string, string> = {}, mayRepeat = true) =>
  judge({ kind: 'response', status, headers: new Headers(fields) }, mayRepeat)
const failed = (error: unknown, mayRepeat = true) => judge({ kind: 'error', error }, mayRepeat)

describe('an answer', () => {
  test.each([408, 425, 429, 500, 502, 503, 504])('with status %i is asked for again, where that is safe', (status) => {
    expect(answered(status)).toEqual({ isSafe: true, waitMs: undefined, cause: status })
    expect(answered(status, {}, false)).toMatchObject({ isSafe: false })
  })

  test.each([200, 204, 304, 400, 401, 403, 404, 409, 422, 501, 505])('with status %i is final', (status) => {
    expect(answered(status)).toBeUndefined()
  })

  test.each(['should-retry', 'x-should-retry', 'stripe-should-retry'])('%s decides in place of the status', (name) => {
    expect(answered(503, { [name]: 'false' })).toBeUndefined()
    expect(answered(409, { [name]: 'true' }, false)).toMatchObject({ isSafe: true, cause: 409 })
    expect(answered(200, { [name]: 'true' })).toBeUndefined()
    expect(answered(409, { [name]: 'maybe' })).toBeUndefined()
    expect(answered(503, { [name]: 'maybe' })).toBeDefined()
  })

  test('says how long to wait', () => {
    expect(answered(503, { 'retry-after': '2' })?.waitMs).toBe(2_000)
    expect(answered(503, { 'retry-after': '31536000' })?.waitMs).toBe(300_000)
    expect(answered(503, { 'retry-after': '-1' })?.waitMs).toBeUndefined()
  })

  test.each<[string, Record<string, string>, number | undefined]>([
    ['t of the quota that is used up', { ratelimit: '"burst";r=0;t=7' }, 7_000],
    ['reset, as drafts up to 07 had it', { ratelimit: 'limit=10, remaining=0, reset=5' }, 5_000],
    ['RateLimit-Reset, as drafts up to 06 had it', { 'ratelimit-remaining': '0', 'ratelimit-reset': '4' }, 4_000],
    ['X-RateLimit-Reset', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '3' }, 3_000],
    ['no more than the cap', { ratelimit: '"daily";r=0;t=86400' }, 300_000],
    ['Retry-After where both are there', { 'retry-after': '2', ratelimit: '"burst";r=0;t=7' }, 2_000],
    ['the quota where Retry-After cannot be read', { 'retry-after': 'soon', ratelimit: '"burst";r=0;t=7' }, 7_000],
    ['nothing where something is left', { ratelimit: '"burst";r=3;t=7' }, undefined],
    ['nothing of a RateLimit-Reset alone', { 'ratelimit-reset': '4' }, undefined],
  ])('says how long its quota takes: %s', (_, fields, waitMs) => {
    expect(answered(429, fields)?.waitMs).toBe(waitMs)
    expect(answered(503, fields)?.waitMs).toBe(waitMs)
    expect(answered(200, fields)).toBeUndefined()
  })
})

describe('an error', () => {
  const closed = (requestSent: 'no' | 'maybe' | 'yes') =>
    new TransportError('ERR_TRANSPORT_CLOSED', 'x', { requestSent })

  test('of the network: whatever the method where nothing was sent, else where it may arrive twice', () => {
    for (const requestSent of ['no', 'maybe', 'yes'] as const) {
      expect(failed(closed(requestSent))).toMatchObject({ isSafe: true, cause: 'ERR_TRANSPORT_CLOSED' })
      expect(failed(closed(requestSent), false)).toMatchObject({ isSafe: requestSent === 'no' })
    }
  })

  test.each<[string, PinfetchError]>([
    ['trust', new TrustError('ERR_TRUST_NO_TRUSTED_MANIFEST', 'x')],
    ['a pin', new TrustError('ERR_TRUST_PIN_MISMATCH', 'x')],
    ['TLS', new TlsError('ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE', 'x')],
    ['a policy', new PolicyError('ERR_POLICY_ADDRESS_DENIED', 'x')],
    ['a signer', new SignError('ERR_SIGN_SIGNER_UNAVAILABLE', 'x')],
    ['a signature', new VerifyError('ERR_VERIFY_FAILED', 'x')],
    ['keys that verify', new VerifyError('ERR_VERIFY_KEYS_UNAVAILABLE', 'x')],
    ['an approval', new ApprovalError('ERR_APPROVAL_DENIED', 'x')],
    ['an option', new ConfigurationError('ERR_CONFIG_CERTIFICATE_NOT_YET_VALID', 'x')],
    ['a limit', new RateError('ERR_RATE_LIMITED', 'x', { retryAfterMs: 5 })],
    ['a circuit breaker', new RateError('ERR_RATE_CIRCUIT_OPEN', 'x', { retryAfterMs: 5 })],
    ['a protocol', new TransportError('ERR_TRANSPORT_PROTOCOL', 'x')],
  ])('of %s is final', (_, error) => {
    expect(failed(error)).toBeUndefined()
  })

  test('is final whenever its code belongs to a check of ours, retryable or not', () => {
    const ours = (Object.keys(CODES) as ErrorCode[]).filter((code) =>
      /^ERR_(?:TRUST|TLS|POLICY|MANIFEST|SIGN|VERIFY|APPROVAL|CONFIG|RATE)_/.test(code),
    )
    expect(ours.filter((code) => CODES[code].retryable).length).toBeGreaterThan(5)
    for (const code of ours) expect(failed(new TransportError(code as 'ERR_TRANSPORT_CLOSED', 'x'))).toBeUndefined()
    expect(failed(closed('no'))).toBeDefined() // control
  })

  test('of a token server says how long to wait, and is capped', () => {
    const throttled = (retryAfterMs: number) =>
      new AuthError('ERR_AUTH_TOKEN_ENDPOINT_THROTTLED', 'x', { retryAfterMs, requestSent: 'no' })
    expect(failed(throttled(5_000), false)).toMatchObject({ isSafe: true, waitMs: 5_000 })
    expect(failed(throttled(1e12), false)).toMatchObject({ waitMs: 300_000 })
    expect(failed(throttled(-5))?.waitMs).toBeUndefined()
  })

  test('that is none of ours is final: an abort, a wrong argument', () => {
    for (const error of [new TypeError('invalid header'), new DOMException('x', 'AbortError'), 'text', undefined])
      expect(failed(error)).toBeUndefined()
  })
})

test('LIM-02: the pause before the next attempt is anywhere up to a bound that doubles, and has an end', () => {
  expect([1, 2, 3, 4].map((number) => backoffMs(number, rules, 1))).toEqual([200, 400, 800, 1_600])
  expect([1, 2, 3].map((number) => backoffMs(number, rules, 0.5))).toEqual([100, 200, 400])
  expect([backoffMs(1, rules, 0), backoffMs(9, rules, 0), backoffMs(10, rules, 1)]).toEqual([0, 0, 20_000])
})

test('the budget of an origin ends with half of its tokens, and a success gives a part of one back', () => {
  const budget = createRetryBudget({ tokens: 4, perSuccess: 0.5 })
  const failures = (origin: string, count: number) => Array.from({ length: count }, () => budget.failed(origin))
  expect(failures('a', 6)).toEqual([true, false, false, false, false, false])
  expect(failures('b', 1)).toEqual([true])
  for (let count = 0; count < 6; count += 1) budget.succeeded('a')
  expect(failures('a', 1)).toEqual([false]) // 3 - 1 is half
  for (let count = 0; count < 100; count += 1) budget.succeeded('a')
  expect(failures('a', 2)).toEqual([true, false])
})

test('methods that may arrive twice are those of RFC 9110, and nothing takes back that a request may have arrived', () => {
  expect(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'POST', 'PATCH', 'get'].filter(isIdempotent)).toHaveLength(5)
  expect([moreSent('no', 'maybe'), moreSent('maybe', 'no'), moreSent('yes', 'maybe'), moreSent('no', 'no')]).toEqual([
    'maybe',
    'maybe',
    'yes',
    'no',
  ])
})
