import { testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { attempt, DEFAULT_LIMITS, EvidenceError, maxAgeFor } from '../../../src/trust/revocation/evidence.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'

const DAY = 86_400_000
const ca = testCa()

test('a statement counts for ten days about an end entity, and for a year about a CA', () => {
  const maxAgeOf = (der: Uint8Array) => maxAgeFor(parseCertificate(der), DEFAULT_LIMITS)
  expect(maxAgeOf(ca.issue().der)).toBe(10 * DAY)
  expect(maxAgeOf(ca.issue({ omit: ['2.5.29.19'] }).der)).toBe(10 * DAY) // RFC 5280 §4.2.1.9: without the extension no CA
  expect(maxAgeOf(ca.issuer.der)).toBe(366 * DAY)
})

test('clocks may differ by five minutes, and RSA keys have 2048 bits', () => {
  expect(DEFAULT_LIMITS).toMatchObject({ clockSkewMs: 300_000, minRsaBits: 2048 })
  expect(DEFAULT_LIMITS).not.toHaveProperty('allowSha1')
})

test('an attempt gives what the work gives, or why the statement does not count, and hides no other fault', () => {
  const refusal = new EvidenceError('ERR_TRUST_CRL_EXPIRED', 'valid until yesterday')
  const throwing = (error: Error) => () => {
    throw error
  }
  expect(attempt(() => 7)).toBe(7)
  expect(attempt(throwing(refusal))).toBe(refusal)
  const fault = new TypeError('a fault')
  expect(() => attempt(throwing(fault))).toThrow(fault)
})
