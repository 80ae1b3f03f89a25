import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
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
