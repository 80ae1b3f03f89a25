import { describe, expect, test } from 'vitest'
import { createEgress, type EgressRule, EgressSchema } from '../../src/client/egress.ts'
import type { PinfetchError } from '../../src/errors/errors.ts'
import { originOf } from '../support/policy.ts'

/** The code of the refusal, or `undefined` where the request may leave. */
function codeOf(rules: readonly EgressRule[], url: string, method = 'GET', path = '/'): string | undefined {
  try {
    createEgress(EgressSchema.parse(rules))?.(originOf(url), method, path)
    return undefined
  } catch (error) {
    return (error as PinfetchError).code
  }
}

test('without rules there is no check', () => {
  expect(createEgress([])).toBeUndefined()
})

describe('origins', () => {
  const rules = [{ origins: ['api.example.com', '*.example.org:8443', '**.example.net:*', '[::1]:8443', '10.0.0.1'] }]

  test.each([
    'https://api.example.com',
    'https://API.example.com:443',
    'https://a.example.org:8443',
    'https://example.net:1234',
    'https://a.b.example.net',
    'https://[::1]:8443',
    'https://10.0.0.1',
    'https://0x0a.1',
  ])('%s may be asked', (url) => {
    expect(codeOf(rules, url)).toBeUndefined()
  })

  test.each([
    'https://api.example.com:8443',
    'https://other.example.com',
    'https://a.api.example.com',
    'https://a.example.org',
    'https://a.b.example.org:8443',
    'https://example.org:8443',
    'https://[::1]',
    'https://10.0.0.2',
  ])('%s may not: ERR_POLICY_ORIGIN_DENIED', (url) => {
    expect(codeOf(rules, url)).toBe('ERR_POLICY_ORIGIN_DENIED')
  })

  test.each([
    '',
    'https://api.example.com',
    'api.example.com/',
    'api.example.com:0',
    'api.example.com:65536',
    '::1',
    '*',
    '*.com',
    'a:b',
  ])('a rule for %j is none', (origin) => {
    expect(EgressSchema.safeParse({ origins: [origin] }).success).toBe(false)
  })
})

describe('methods', () => {
  test('are compared as sent', () => {
    const rules = [{ methods: ['GET', 'M-SEARCH'] }]
    expect(
      ['GET', 'M-SEARCH', 'HEAD', 'get', 'POST'].map((method) => codeOf(rules, 'https://a.example', method)),
    ).toEqual([
      undefined,
      undefined,
      'ERR_POLICY_REQUEST_DENIED',
      'ERR_POLICY_REQUEST_DENIED',
      'ERR_POLICY_REQUEST_DENIED',
    ])
  })

  test('a rule for one that nobody sends is a slip', () => {
    expect(EgressSchema.safeParse({ methods: ['get'] }).success).toBe(false)
  })
})

describe('paths', () => {
  const rules = [{ paths: ['/v1/accounts', '/v2/*'] }]

  test.each([
    '/v1/accounts',
    '/v1/accounts?admin=../..%2f',
    '/v2/',
    '/v2/a/b',
    '/v2/a%20b',
    '/v2/%C3%A4',
    '/v2/a.b',
    '/v2/...',
    '/v2/a;b=c',
    '/v2/a..%3bb',
  ])('%s may be asked for', (path) => {
    expect(codeOf(rules, 'https://a.example', 'GET', path)).toBeUndefined()
  })

  test.each(['/', '/v1/accounts/', '/V1/accounts', '/v1/accounts/1', '/v2', '/v2x', '/v1', '//v2/a', '*'])(
    '%s may not: ERR_POLICY_REQUEST_DENIED',
    (path) => {
      expect(codeOf(rules, 'https://a.example', 'GET', path)).toBe('ERR_POLICY_REQUEST_DENIED')
    },
  )

  test.each([
    '/v2/../admin',
    '/v2/./a',
    '/v2/..',
    '/v2/%2e%2e/admin',
    '/v2/%2E./admin',
    '/v2/a%2ejson',
    '/v2/..%2fadmin',
    '/v2/..%2Fadmin',
    '/v2/%5c..%5cadmin',
    '/v2/..\\admin',
    '/v2/%252e%252e/admin',
    '/v2/..;/admin',
    '/v2/..;a=b/admin',
    '/v2/.;/admin',
    '/v2/..%3b/admin',
    '/v2/..%3Ba=b/admin',
    '/v2/%c0%ae%c0%ae/admin',
    '/v2/%e0%80%ae./admin',
    '/v2/%u002e%u002e/admin',
    '/v2/%',
    '/v2/%00',
    '/v2/%0a',
    '/v2/a#/../b',
    '/v2/a b',
    'https://a.example/v2/a',
    'v2/a',
    '',
  ])('%j can be read in more than one way, so under a rule for paths it may not: ERR_POLICY_REQUEST_DENIED', (path) => {
    expect(codeOf([{ paths: ['/*', '/v2/*'] }], 'https://a.example', 'GET', path)).toBe('ERR_POLICY_REQUEST_DENIED')
    expect(codeOf([{ origins: ['a.example'] }], 'https://a.example', 'GET', path)).toBeUndefined()
  })

  test.each(['', 'v1', '/v1/*/a', '/v1*', '/a?b', '/a/../b', '/%2f', '/a b'])('a rule for %j is none', (path) => {
    expect(EgressSchema.safeParse({ paths: [path] }).success).toBe(false)
  })
})

test('one rule has to allow all of a request: members of two rules are not combined', () => {
  const rules = [
    { origins: ['a.example'], methods: ['GET'] },
    { origins: ['b.example'], paths: ['/v1/*'] },
  ]
  expect(codeOf(rules, 'https://a.example', 'GET', '/x')).toBeUndefined()
  expect(codeOf(rules, 'https://b.example', 'POST', '/v1/x')).toBeUndefined()
  expect(codeOf(rules, 'https://a.example', 'POST', '/v1/x')).toBe('ERR_POLICY_REQUEST_DENIED')
  expect(codeOf(rules, 'https://b.example', 'GET', '/x')).toBe('ERR_POLICY_REQUEST_DENIED')
})

test.each([{}, { origins: [] }, { origin: ['a.example'] }, []])(
  '%j is no rule: what is misspelt must not allow everything',
  (rule) => {
    expect(EgressSchema.safeParse(rule).success).toBe(false)
  },
)
