import { createHash } from 'node:crypto'
import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { pinOfSpki } from '../../src/encoding/pin.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { CertificationPath } from '../../src/trust/path/path.ts'
import {
  findRevoked,
  loggedTooLate,
  normalSerial,
  type RevokedCertificates,
  sctRulesOf,
} from '../../src/trust/revoked.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'

const NOW = toUnixMs(Date.UTC(2030, 0, 1))
const at = (offset: number) => toUnixMs(NOW + offset)
const ca = testCa({ now: NOW })
const server = ca.issue({ names: ['api.example.com'], serial: Uint8Array.of(0, 0xa0, 0x0b), notBefore: NOW })
const path: CertificationPath = {
  certificates: [parseCertificate(server.der), parseCertificate(ca.issuer.der), parseCertificate(ca.root.der)],
  policies: [],
}
const sha256 = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex')
const find = (revoked: Partial<RevokedCertificates>) =>
  findRevoked(path, { id: 'x', certificates: new Set(), serials: [], distrusted: [], ...revoked })

describe('the first thing of a verified path that a manifest revokes', () => {
  test.each([
    [0, server],
    [1, ca.issuer],
    [2, ca.root],
  ])('a certificate at place %i: ERR_TRUST_CERT_REVOKED', (certificateIndex, { der }) => {
    expect(find({ certificates: new Set([sha256(der)]) })).toEqual({
      code: 'ERR_TRUST_CERT_REVOKED',
      certificateIndex,
      message: `the certificate ${sha256(der)} on the verified path was revoked by the manifest`,
    })
  })

  test.each(['sha256', 'sha512'] as const)(
    'a serial number of the issuer with this %s: ERR_TRUST_CERT_REVOKED',
    (hash) => {
      const rule = (spki: Uint8Array, ...numbers: readonly string[]) => ({
        issuer: pinOfSpki(spki, hash),
        numbers: new Set(numbers),
      })
      expect(find({ serials: [rule(ca.root.spki, 'a00b'), rule(ca.issuer.spki, 'c', 'a00b')] })).toEqual({
        code: 'ERR_TRUST_CERT_REVOKED',
        certificateIndex: 0,
        message: 'the serial number of CN=Test Intermediate a00b on the verified path was revoked by the manifest',
      })
      const byRoot = rule(ca.root.spki, normalSerial(Buffer.from(ca.issuer.serial).toString('hex')))
      expect(find({ serials: [byRoot] })).toMatchObject({ certificateIndex: 1 })
      expect(find({ serials: [rule(ca.issuer.spki, 'ab'), rule(ca.root.spki, 'a00b')] })).toBeUndefined()
    },
  )

  test('a CA for certificates from an instant on, the instant included: ERR_TRUST_CA_DISTRUSTED', () => {
    for (const [certificateIndex, { pin }] of [
      [1, ca.issuer],
      [2, ca.root],
    ] as const) {
      expect(find({ distrusted: [{ issuer: pin, notBefore: NOW }] })).toEqual({
        code: 'ERR_TRUST_CA_DISTRUSTED',
        certificateIndex,
        message: `the CA key ${pin} is distrusted for certificates issued from 2030-01-01T00:00:00.000Z on`,
      })
    }
    expect(find({ distrusted: [{ issuer: ca.root.pin, notBefore: at(1) }] })).toBeUndefined()
    expect(find({ distrusted: [{ issuer: server.pin, notBefore: NOW }] })).toBeUndefined() // as an issuer, that is
    const other = { issuer: testCa().root.pin, notBefore: NOW }
    expect(find({ distrusted: [other, { issuer: ca.root.pin, notBefore: NOW }] })).toMatchObject({
      certificateIndex: 2,
    })
  })
})

describe('a CA that is distrusted for what was logged after an instant', () => {
  const rule = { issuer: ca.root.pin, sctNotAfter: NOW }
  const distrusted: RevokedCertificates['distrusted'] = [
    { issuer: server.pin, sctNotAfter: NOW },
    { issuer: ca.issuer.pin, notBefore: at(1) },
    rule,
  ]
  const rules = () => sctRulesOf(path, { id: 'x', certificates: new Set(), serials: [], distrusted })

  test('concerns the paths through it, and is no matter of notBefore', () => {
    expect(rules()).toEqual([{ ...rule, certificateIndex: 2 }])
    expect(find({ distrusted: [rule] })).toBeUndefined()
  })

  test('an SCT of the instant is the last that will do: ERR_TRUST_CA_DISTRUSTED for a later one, or none', () => {
    const refusal = (seen: string) => ({
      code: 'ERR_TRUST_CA_DISTRUSTED',
      certificateIndex: 2,
      message: `the CA key ${ca.root.pin} is distrusted for certificates logged after 2030-01-01T00:00:00.000Z; ${seen}`,
    })
    expect(loggedTooLate(rules(), NOW)).toBeUndefined()
    expect(loggedTooLate(rules(), at(1))).toEqual(refusal('the first SCT is of 2030-01-01T00:00:00.001Z'))
    expect(loggedTooLate(rules(), undefined)).toEqual(refusal('no SCT counts'))
    expect(loggedTooLate([], undefined)).toBeUndefined()
  })
})

test.each([
  ['00AB', 'ab'],
  ['0ab', 'ab'],
  ['ab', 'ab'],
  ['a00b', 'a00b'],
  ['0', '0'],
  ['00', '0'],
])('the serial number %s is %s', (text, normal) => {
  expect(normalSerial(text)).toBe(normal)
})
