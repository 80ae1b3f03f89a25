import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { componentIdentifier } from '../../src/signing/component.ts'
import { digestField } from '../../src/signing/content-digest.ts'
import { bodyVerifier } from '../../src/signing/verify-digest.ts'

const digest = digestField(['sha-256'], (hash) => createHash(hash).update('of a GET').digest())

test('the answer to HEAD, or 304, has no body, whatever HTTP/2 brings: ERR_VERIFY_DIGEST_MISMATCH', () => {
  const verifier = bodyVerifier({
    fields: [['content-digest', digest]],
    components: [componentIdentifier('content-digest')],
    rule: 'require',
    isBodiless: true,
    refuse: (code) => new Error(code) as never,
  })
  for (const chunk of ['x', 'of a GET']) {
    expect(() => verifier.update(Buffer.from(chunk))).toThrow('ERR_VERIFY_DIGEST_MISMATCH')
  }
  expect(() => verifier.update(Buffer.alloc(0))).not.toThrow()
  expect(() => verifier.end()).not.toThrow()
})

describe('Repr-Digest', () => {
  const verifierOf = (fields: readonly [string, string][], covered: readonly string[], isPartial = false) =>
    bodyVerifier({
      fields,
      components: covered.map((name) => componentIdentifier(name)),
      rule: 'require',
      isPartial,
      refuse: (code) => new Error(code) as never,
    })
  const passes = (verifier: ReturnType<typeof verifierOf>, body: string): void => {
    verifier.update(Buffer.from(body))
    verifier.end()
  }

  test('that is signed speaks for a body that is the whole representation; another body is ERR_VERIFY_DIGEST_MISMATCH', () => {
    passes(verifierOf([['repr-digest', digest]], ['repr-digest']), 'of a GET')
    expect(() => passes(verifierOf([['repr-digest', digest]], ['repr-digest']), 'of a PUT')).toThrow(
      'ERR_VERIFY_DIGEST_MISMATCH',
    )
  })

  test('has to hold beside a Content-Digest that does: ERR_VERIFY_DIGEST_MISMATCH', () => {
    const other = digestField(['sha-256'], (hash) => createHash(hash).update('other').digest())
    const both: [string, string][] = [
      ['content-digest', digest],
      ['repr-digest', other],
    ]
    expect(() => passes(verifierOf(both, ['content-digest', 'repr-digest']), 'of a GET')).toThrow(
      'ERR_VERIFY_DIGEST_MISMATCH',
    )
    passes(verifierOf(both, ['content-digest']), 'of a GET') // nobody signed the other one, so nothing rests on it
  })

  test('that is not signed, or is of more than the part that came, speaks for nothing: ERR_VERIFY_COVERAGE', () => {
    expect(() => passes(verifierOf([['repr-digest', digest]], []), 'of a GET')).toThrow('ERR_VERIFY_COVERAGE')
    expect(() => passes(verifierOf([['repr-digest', digest]], ['repr-digest'], true), 'of')).toThrow(
      'ERR_VERIFY_COVERAGE',
    )
  })

  test('that cannot be read is ERR_VERIFY_MALFORMED', () => {
    expect(() => verifierOf([['repr-digest', 'sha-256=1']], ['repr-digest'])).toThrow('ERR_VERIFY_MALFORMED')
  })
})
