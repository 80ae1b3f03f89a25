import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { VerifyError } from '../../src/errors/errors.ts'
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
    refuse: (code, what) => new VerifyError(code, what),
  })
  for (const chunk of ['x', 'of a GET']) {
    expect(() => verifier.update(Buffer.from(chunk))).toThrow(
      expect.objectContaining({
        code: 'ERR_VERIFY_DIGEST_MISMATCH',
        message: 'expected no body, since such a response has none',
      }),
    )
  }
  expect(() => verifier.update(Buffer.alloc(0))).not.toThrow()
  expect(() => verifier.end()).not.toThrow()
})

describe('Content-Digest', () => {
  type Rule = Parameters<typeof bodyVerifier>[0]['rule']
  const checked = (values: readonly string[], { rule = 'require' as Rule, isSigned = true, body = 'of a GET' }) => {
    const verifier = bodyVerifier({
      fields: values.map((value) => ['content-digest', value]),
      components: isSigned ? [componentIdentifier('content-digest')] : [],
      rule,
      refuse: (code, what) => new VerifyError(code, what),
    })
    for (const octet of Buffer.from(body)) verifier.update(Buffer.from([octet]))
    verifier.end()
  }
  const sha512 = digestField(['sha-512'], (hash) => createHash(hash).update('of a GET').digest())
  const refused = (code: string, message: string) => expect.objectContaining({ code, message })

  test('that is signed is compared, whatever the rule: ERR_VERIFY_DIGEST_MISMATCH', () => {
    for (const rule of ['require', 'if-present'] as const) {
      checked([digest], { rule })
      expect(() => checked([digest], { rule, body: 'of a PUT' })).toThrow(
        refused('ERR_VERIFY_DIGEST_MISMATCH', 'the body is not the one whose digest was signed'),
      )
    }
  })

  test('of several algorithms, in one line or in two, all have to hold', () => {
    const wrong = sha512.replace(/:.{4}/, ':AAAA')
    checked([digest, sha512], {})
    checked([`${digest}, ${sha512}`], {})
    for (const values of [[digest, wrong], [wrong, digest], [`${digest}, ${wrong}`]])
      expect(() => checked(values, {})).toThrow(expect.objectContaining({ code: 'ERR_VERIFY_DIGEST_MISMATCH' }))
  })

  test('that is there and not signed is refused, whatever the rule: ERR_VERIFY_COVERAGE', () => {
    for (const rule of ['require', 'if-present'] as const)
      expect(() => checked([digest], { rule, isSigned: false })).toThrow(
        refused('ERR_VERIFY_COVERAGE', 'expected a signature that covers "content-digest", which the message has'),
      )
  })

  test('that is not there speaks for no body: ERR_VERIFY_COVERAGE, unless none is required', () => {
    expect(() => checked([], {})).toThrow(
      refused('ERR_VERIFY_COVERAGE', 'expected a signed Content-Digest of the body, there is none'),
    )
    checked([], { body: '' })
    checked([], { rule: 'if-present' })
  })

  test('by algorithms that prove nothing speaks for no body: ERR_VERIFY_DIGEST_UNSUPPORTED, unless none is required', () => {
    for (const isSigned of [true, false]) {
      expect(() => checked(['md5=:AAAA:'], { isSigned })).toThrow(
        refused(
          'ERR_VERIFY_DIGEST_UNSUPPORTED',
          'expected a Content-Digest by sha-256 or sha-512, there are only others',
        ),
      )
      checked(['md5=:AAAA:'], { isSigned, rule: 'if-present' })
    }
  })

  test('that cannot be read is ERR_VERIFY_MALFORMED, whatever the rule', () => {
    for (const rule of ['require', 'if-present'] as const)
      expect(() => checked(['sha-256=1'], { rule })).toThrow(
        refused('ERR_VERIFY_MALFORMED', 'Content-Digest: expected a dictionary of digests (RFC 9530 §2, §3)'),
      )
  })
})

describe('Repr-Digest', () => {
  const verifierOf = (fields: readonly [string, string][], covered: readonly string[], isPartial?: boolean) =>
    bodyVerifier({
      fields,
      components: covered.map((name) => componentIdentifier(name)),
      rule: 'require',
      ...(isPartial === undefined ? {} : { isPartial }),
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
