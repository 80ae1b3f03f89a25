import { extension, generateOcspError, ocspResponse, type TestOcspOptions, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import { DEFAULT_LIMITS } from '../../../src/trust/revocation/evidence.ts'
import { type OcspInput, verifyOcspResponse } from '../../../src/trust/revocation/ocsp.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'

const NOW = Date.UTC(2030, 0, 1)
const [HOUR, DAY] = [3_600_000, 86_400_000]
const ca = testCa({ now: NOW })
const certificate = ca.issue({ names: ['api.example.com'] })
const responder = ca.issue({ subject: 'Responder', extendedKeyUsage: ['ocspSigning'] })

type Change = Partial<Omit<TestOcspOptions, 'certificate'>>

function verify(response: Uint8Array, more: Partial<OcspInput> = {}) {
  return verifyOcspResponse({
    response,
    certificate: parseCertificate(certificate.der),
    issuer: parseCertificate(ca.issuer.der),
    now: toUnixMs(NOW),
    limits: DEFAULT_LIMITS,
    ...more,
  })
}

const answered = (change: Change = {}, more: Partial<OcspInput> = {}) =>
  verify(ocspResponse({ certificate, ...change }), more)

describe('an OCSP response', () => {
  test('of the issuer itself counts', () => {
    expect(answered()).toEqual({ status: 'good', thisUpdate: NOW - HOUR, validUntil: NOW + 3 * DAY })
    expect(answered({ status: 'unknown' })).toMatchObject({ status: 'unknown' })
    expect(answered({ status: 'revoked', reason: 1 })).toMatchObject({
      status: 'revoked',
      reason: 1,
      revokedAt: NOW - 2 * HOUR,
    })
  })

  test('of a responder that the issuer delegated to counts', () => {
    expect(answered({ responder })).toMatchObject({ status: 'good' })
  })

  test('of a responder whose certificate has a subjectAltName without a name counts', () => {
    const nameless = { subject: 'Responder', extendedKeyUsage: ['ocspSigning'] as const }
    const odd = ca.issue({ ...nameless, extensions: [extension.subjectAltName([])] })
    expect(answered({ responder: odd })).toMatchObject({ status: 'good' })
  })

  test('is about the serial number as the certificate spells it, octet for octet', () => {
    const [sound, padded] = [Buffer.from('0203112233', 'hex'), Buffer.from('0203001122', 'hex')]
    const subject = ca.issue({ serial: Uint8Array.of(0x11, 0x22, 0x33) })
    const bytes = Buffer.from(subject.der)
    padded.copy(bytes, bytes.indexOf(sound))
    const odd = { certificate: parseCertificate(bytes) }
    expect(verify(ocspResponse({ certificate: { ...subject, serial: Uint8Array.of(0x11, 0x22) } }), odd)).toMatchObject(
      {
        code: 'ERR_TRUST_OCSP_CERT_MISMATCH',
      },
    )
  })

  test('without an end counts for ten days', () => {
    expect(answered({ nextUpdate: null })).toMatchObject({ status: 'good', validUntil: NOW - HOUR + 10 * DAY })
  })

  test.each<[string, Change, string]>([
    ['with another signature', { signature: 'garbage' }, 'ERR_TRUST_OCSP_BAD_SIGNATURE'],
    ['signed with SHA-1', { hash: 'sha1' }, 'ERR_TRUST_OCSP_UNSUPPORTED_ALGORITHM'],
    [
      'by another customer of the CA',
      { responder: ca.issue({ names: ['evil.example'] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
    ],
    [
      'by a customer with anyExtendedKeyUsage',
      { responder: ca.issue({ names: ['evil.example'], extendedKeyUsage: ['any'] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
    ],
    [
      'by a responder of another CA',
      { responder: testCa({ now: NOW }).issue({ extendedKeyUsage: ['ocspSigning'] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
    ],
    [
      'by a responder whose own signature is forged',
      { responder: ca.issue({ extendedKeyUsage: ['ocspSigning'], signature: 'garbage' }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
    ],
    [
      'by a responder that may not sign',
      { responder: ca.issue({ extendedKeyUsage: ['ocspSigning'], keyUsage: ['keyAgreement'] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
    ],
    [
      'by a responder with an unknown critical extension',
      {
        responder: ca.issue({
          extendedKeyUsage: ['ocspSigning'],
          extensions: [{ oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }],
        }),
      },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
    ],
    [
      'by a responder whose certificate names another issuer',
      { responder: ca.issue({ extendedKeyUsage: ['ocspSigning'], issuerName: 'Another CA' }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
    ],
    [
      'by a responder that has expired',
      { responder: ca.issue({ extendedKeyUsage: ['ocspSigning'], notAfter: NOW - DAY }) },
      'ERR_TRUST_OCSP_RESPONDER_EXPIRED',
    ],
    [
      'of last month',
      { thisUpdate: NOW - 30 * DAY, producedAt: NOW - HOUR, nextUpdate: NOW + 900 * DAY },
      'ERR_TRUST_OCSP_TOO_OLD',
    ],
    ['that has ended', { thisUpdate: NOW - DAY, nextUpdate: NOW - HOUR }, 'ERR_TRUST_OCSP_EXPIRED'],
    ['from the future', { thisUpdate: NOW + HOUR, producedAt: NOW }, 'ERR_TRUST_OCSP_NOT_YET_VALID'],
    ['produced tomorrow', { producedAt: NOW + DAY }, 'ERR_TRUST_OCSP_BAD_PRODUCED_AT'],
    [
      'with an unknown critical extension',
      { extensions: [{ oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }] },
      'ERR_TRUST_OCSP_CRITICAL_EXTENSION',
    ],
  ])('%s counts for nothing', (_, change, code) => {
    expect(answered(change)).toMatchObject({ status: 'undetermined', code })
  })

  test('about another certificate counts for nothing: ERR_TRUST_OCSP_CERT_MISMATCH', () => {
    const other = ca.issue({ names: ['other.example'] })
    expect(verify(ocspResponse({ certificate: other }))).toMatchObject({ code: 'ERR_TRUST_OCSP_CERT_MISMATCH' })
    const sameSerial = testCa({ now: NOW, name: 'Other' }).issue({ serial: certificate.serial })
    const forged = ocspResponse({ certificate: sameSerial, responder: ca.issuer })
    expect(verify(forged)).toMatchObject({ code: 'ERR_TRUST_OCSP_CERT_MISMATCH' })
  })

  test('of a responder that is not there, or is revoked, counts for nothing', () => {
    const response = ocspResponse({ certificate, responder })
    const isRevoked = ({ subject }: { subject: { text: string } }): boolean => subject.text === 'CN=Responder'
    expect(verify(response, { isRevoked })).toMatchObject({ code: 'ERR_TRUST_OCSP_RESPONDER_REVOKED' })
    // A CA of the same name with another key: the certificate could be its own, the response is not.
    const namesake = testCa({ now: NOW })
    expect(verify(ocspResponse({ certificate }), { issuer: parseCertificate(namesake.issuer.der) })).toMatchObject({
      code: 'ERR_TRUST_OCSP_RESPONDER_NOT_FOUND',
    })
  })

  test('says an error, or cannot be read, or is too long', () => {
    expect(verify(generateOcspError(3))).toMatchObject({
      code: 'ERR_TRUST_OCSP_RESPONDER_ERROR',
      message: expect.stringContaining('tryLater'),
    })
    expect(verify(generateOcspError(4))).toMatchObject({ code: 'ERR_TRUST_OCSP_MALFORMED' })
    expect(verify(new Uint8Array())).toMatchObject({ code: 'ERR_TRUST_OCSP_MALFORMED' })
    expect(verify(new Uint8Array(65_537))).toMatchObject({ code: 'ERR_TRUST_OCSP_TOO_LARGE' })
  })

  test('answers the nonce that was asked with', () => {
    const value = Uint8Array.of(1, 2, 3, 4)
    const nonce = (octets: Uint8Array) => ({ oid: '1.3.6.1.5.5.7.48.1.2', critical: false, value: octets })
    const asked = { nonce: { value, required: true } }
    expect(answered({ extensions: [nonce(value)] }, asked)).toMatchObject({ status: 'good' })
    expect(answered({ extensions: [nonce(Uint8Array.of(4, 4, ...value))] }, asked)).toMatchObject({ status: 'good' })
    expect(answered({ extensions: [nonce(Uint8Array.of(9))] }, asked)).toMatchObject({
      code: 'ERR_TRUST_OCSP_NONCE_MISMATCH',
    })
    expect(answered({}, asked)).toMatchObject({ code: 'ERR_TRUST_OCSP_NONCE_MISSING' })
    expect(answered({}, { nonce: { value, required: false } })).toMatchObject({ status: 'good' })
  })

  test('with any octet changed is never good for another reason than that the octet means nothing', () => {
    const genuine = ocspResponse({ certificate, status: 'revoked' })
    for (let at = 0; at < genuine.length; at += 1) {
      for (const flip of [0x01, 0x80]) {
        const changed = genuine.slice()
        changed[at] = (changed[at] ?? 0) ^ flip
        expect(verify(changed).status, `octet ${at}`).not.toBe('good')
      }
    }
  })
})
