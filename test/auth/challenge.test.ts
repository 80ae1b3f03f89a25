import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseChallenges, tokenChallenge } from '../../src/auth/challenge.ts'

const parsed = (field: string) =>
  parseChallenges(field).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])

describe('WWW-Authenticate (RFC 9110 §11.6.1)', () => {
  test.each<[string, unknown]>([
    ['Bearer', [['bearer', {}]]],
    ['Bearer realm="x"', [['bearer', { realm: 'x' }]]],
    [
      'Basic, Bearer',
      [
        ['basic', {}],
        ['bearer', {}],
      ],
    ],
    [
      'Basic realm="a, b=c", DPoP algs="ES256 PS256", error=invalid_token',
      [
        ['basic', { realm: 'a, b=c' }],
        ['dpop', { algs: 'ES256 PS256', error: 'invalid_token' }],
      ],
    ],
    ['Bearer error="a\\"b\\\\c"', [['bearer', { error: 'a"b\\c' }]]],
    [
      'Negotiate dG9rZW4=, Bearer Error = "x" , ',
      [
        ['negotiate', {}],
        ['bearer', { error: 'x' }],
      ],
    ],
    [', ,Bearer a=1,,b=2', [['bearer', { a: '1', b: '2' }]]],
  ])('%s', (field, expected) => {
    expect(parsed(field)).toEqual(expected)
  })

  test.each<[string, unknown]>([
    ['error="x"', []],
    ['Bearer error="unclosed', [['bearer', {}]]],
    ['Bearer a=1 b=2', [['bearer', {}]]],
    ['Bearer error="one", error="two", DPoP error="x"', [['dpop', { error: 'x' }]]],
    [`Bearer realm="${'x'.repeat(9_000)}"`, []],
  ])('of %s no more than is certain', (field, expected) => {
    expect(parsed(field)).toEqual(expected)
  })

  test('no text makes it throw or hang', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 300 }), (text) => Array.isArray(parseChallenges(text))),
    )
    expect(parseChallenges(null)).toEqual([])
  })
})

describe('what a challenge says about a token', () => {
  test('step-up: the authentication and its age (RFC 9470 §3)', () => {
    const field = 'Bearer error="insufficient_user_authentication", acr_values="gold silver", max_age=300'
    expect(tokenChallenge(field, 'bearer')).toEqual({
      error: 'insufficient_user_authentication',
      acrValues: ['gold', 'silver'],
      maxAge: 300,
      scope: [],
    })
  })

  test('insufficient_scope: the scopes; an age that is no number is none', () => {
    const field = 'DPoP error="insufficient_scope", scope="a  b", max_age="-1"'
    expect(tokenChallenge(field, 'dpop')).toMatchObject({ scope: ['a', 'b'], maxAge: undefined })
    expect(tokenChallenge(field, 'bearer')).toBeUndefined()
  })
})
