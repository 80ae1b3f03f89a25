import { createHash } from 'node:crypto'
import {
  extension,
  generateOcspError,
  type IssueOptions,
  ocspResponse,
  type TestCertificate,
  type TestOcspOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import { DEFAULT_LIMITS } from '../../../src/trust/revocation/evidence.ts'
import { type OcspInput, verifyOcspResponse } from '../../../src/trust/revocation/ocsp.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import * as der from '../../../src/x509/der-writer.ts'
import { encodeName } from '../../../src/x509/extension-writer.ts'
import { signatureAlgorithm, signBytes } from '../../../src/x509/generate.ts'
import { subjectPublicKeyOf } from '../../../src/x509/public-key.ts'
import {
  generateOcspResponse,
  type OcspContent,
  type SingleResponseContent,
} from '../../../src/x509/revocation-writer.ts'

const NOW = Date.UTC(2030, 0, 1)
const [SECOND, HOUR, DAY] = [1_000, 3_600_000, 86_400_000]
const SKEW = DEFAULT_LIMITS.clockSkewMs
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

/** A response in every detail; by itself the issuer's, under its name. */
const written = (content: Partial<OcspContent> = {}): Uint8Array =>
  generateOcspResponse({
    responderId: { name: ca.issuer.subject },
    producedAt: NOW - HOUR,
    responses: [single()],
    signer: { privateKey: ca.issuer.key.privateKey },
    ...content,
  })

const single = (more: Partial<SingleResponseContent> = {}): SingleResponseContent => ({
  issuerName: ca.issuer.subject,
  issuerSpki: ca.issuer.spki,
  serial: certificate.serial,
  status: 'good',
  thisUpdate: NOW - HOUR,
  nextUpdate: NOW + 3 * DAY,
  ...more,
})

const revoked = { revokedAt: NOW - 2 * HOUR }
const own = (critical: boolean, oid = '1.2.3.4') => ({ oid, critical, value: Uint8Array.of(5, 0) })
const delegated = (more: IssueOptions): TestCertificate =>
  ca.issue({ subject: 'Responder', extendedKeyUsage: ['ocspSigning'], ...more })

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

  test.each<[string, Change, string, string]>([
    [
      'with another signature',
      { signature: 'garbage' },
      'ERR_TRUST_OCSP_BAD_SIGNATURE',
      'the signature of the response is not the signer’s',
    ],
    [
      'signed with SHA-1',
      { hash: 'sha1' },
      'ERR_TRUST_OCSP_UNSUPPORTED_ALGORITHM',
      'the response is signed with ecdsa-with-SHA1 by a key of type ec',
    ],
    [
      'by another customer of the CA',
      { responder: ca.issue({ names: ['evil.example'] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
      'the responder may not sign OCSP responses',
    ],
    [
      'by a customer without extendedKeyUsage',
      { responder: ca.issue({ names: ['evil.example'], extendedKeyUsage: [] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
      'the responder may not sign OCSP responses',
    ],
    [
      'by a customer with anyExtendedKeyUsage',
      { responder: ca.issue({ names: ['evil.example'], extendedKeyUsage: ['any'] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
      'the responder may not sign OCSP responses',
    ],
    [
      'by a responder of another CA',
      { responder: testCa({ now: NOW }).issue({ extendedKeyUsage: ['ocspSigning'] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
      'the signature of the responder’s certificate is not the signer’s',
    ],
    [
      'by a responder whose own signature is forged',
      { responder: delegated({ signature: 'garbage' }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
      'the signature of the responder’s certificate is not the signer’s',
    ],
    [
      'by a responder whose certificate is signed with SHA-1',
      { responder: delegated({ hash: 'sha1' }) },
      'ERR_TRUST_OCSP_UNSUPPORTED_ALGORITHM',
      'the responder’s certificate is signed with ecdsa-with-SHA1 by a key of type ec',
    ],
    [
      'by a responder that may not sign',
      { responder: delegated({ keyUsage: ['keyAgreement'] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
      'the responder may not sign',
    ],
    [
      'by a responder with an unknown critical extension',
      { responder: delegated({ extensions: [own(true)] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
      'the responder has the unknown critical extension 1.2.3.4',
    ],
    [
      'by a responder whose certificate names another issuer',
      { responder: delegated({ issuerName: 'Another CA' }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
      'the responder has another issuer',
    ],
    [
      'by a delegate of a delegate',
      { responder: responder.issue({ extendedKeyUsage: ['ocspSigning'] }) },
      'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
      'the responder has another issuer',
    ],
    [
      'by a responder that has expired',
      { responder: delegated({ notBefore: NOW - 9 * DAY, notAfter: NOW - DAY }) },
      'ERR_TRUST_OCSP_RESPONDER_EXPIRED',
      'the responder’s certificate is valid from 2029-12-23T00:00:00.000Z to 2029-12-31T00:00:00.000Z',
    ],
    [
      'of last month',
      { thisUpdate: NOW - 30 * DAY, producedAt: NOW - HOUR, nextUpdate: NOW + 900 * DAY },
      'ERR_TRUST_OCSP_TOO_OLD',
      'made 2029-12-02T00:00:00.000Z, no newer is at hand',
    ],
    [
      'that has ended',
      { thisUpdate: NOW - DAY, nextUpdate: NOW - HOUR },
      'ERR_TRUST_OCSP_EXPIRED',
      'valid until 2029-12-31T23:00:00.000Z',
    ],
    [
      'from the future',
      { thisUpdate: NOW + HOUR, producedAt: NOW },
      'ERR_TRUST_OCSP_NOT_YET_VALID',
      'valid from 2030-01-01T01:00:00.000Z',
    ],
    [
      'produced tomorrow',
      { producedAt: NOW + DAY },
      'ERR_TRUST_OCSP_BAD_PRODUCED_AT',
      'produced at 2030-01-02T00:00:00.000Z',
    ],
    [
      'with an unknown critical extension',
      { extensions: [own(true)] },
      'ERR_TRUST_OCSP_CRITICAL_EXTENSION',
      'unknown critical extension 1.2.3.4',
    ],
  ])('%s counts for nothing', (_, change, code, message) => {
    expect(answered(change)).toEqual({ status: 'undetermined', code, message })
  })

  test.each<[string, Change, Change, string]>([
    [
      'produced when the certificate began',
      { thisUpdate: NOW, producedAt: NOW - DAY - SKEW },
      { thisUpdate: NOW, producedAt: NOW - DAY - SKEW - SECOND },
      'ERR_TRUST_OCSP_BAD_PRODUCED_AT',
    ],
    ['produced now', { producedAt: NOW + SKEW }, { producedAt: NOW + SKEW + SECOND }, 'ERR_TRUST_OCSP_BAD_PRODUCED_AT'],
    [
      'that begins now',
      { producedAt: NOW, thisUpdate: NOW + SKEW },
      { producedAt: NOW, thisUpdate: NOW + SKEW + SECOND },
      'ERR_TRUST_OCSP_NOT_YET_VALID',
    ],
    ['that ends now', { nextUpdate: NOW - SKEW }, { nextUpdate: NOW - SKEW - SECOND }, 'ERR_TRUST_OCSP_EXPIRED'],
    [
      'that ends when it begins',
      { thisUpdate: NOW, nextUpdate: NOW },
      { thisUpdate: NOW, nextUpdate: NOW - SECOND },
      'ERR_TRUST_OCSP_EXPIRED',
    ],
    [
      'of ten days ago',
      { producedAt: NOW, thisUpdate: NOW - 10 * DAY },
      { producedAt: NOW, thisUpdate: NOW - 10 * DAY - SECOND },
      'ERR_TRUST_OCSP_TOO_OLD',
    ],
    [
      'by a responder whose certificate begins now',
      { responder: delegated({ notBefore: NOW + SKEW }) },
      { responder: delegated({ notBefore: NOW + SKEW + SECOND }) },
      'ERR_TRUST_OCSP_RESPONDER_EXPIRED',
    ],
    [
      'by a responder whose certificate ends now',
      { responder: delegated({ notAfter: NOW - SKEW }) },
      { responder: delegated({ notAfter: NOW - SKEW - SECOND }) },
      'ERR_TRUST_OCSP_RESPONDER_EXPIRED',
    ],
  ])('%s counts as far as clocks may differ, and no second further', (_, inside, outside, code) => {
    expect(answered(inside)).toMatchObject({ status: 'good' })
    expect(answered(outside)).toMatchObject({ status: 'undetermined', code })
  })

  test('produced after the end of the certificate counts for nothing', () => {
    const ended = ca.issue({ notAfter: NOW - HOUR })
    const about = { certificate: parseCertificate(ended.der) }
    const at = (producedAt: number) => verify(ocspResponse({ certificate: ended, producedAt }), about)
    expect(at(NOW - HOUR + SKEW)).toMatchObject({ status: 'good' })
    expect(at(NOW - HOUR + SKEW + SECOND)).toMatchObject({ code: 'ERR_TRUST_OCSP_BAD_PRODUCED_AT' })
  })

  test('about a CA may be a year old', () => {
    const about = { certificate: parseCertificate(ca.issuer.der), issuer: parseCertificate(ca.root.der) }
    const of = (thisUpdate: number) =>
      verify(ocspResponse({ certificate: ca.issuer, thisUpdate, producedAt: NOW, nextUpdate: null }), about)
    expect(of(NOW - 366 * DAY)).toMatchObject({ status: 'good', validUntil: NOW })
    expect(of(NOW - 366 * DAY - SECOND)).toMatchObject({ code: 'ERR_TRUST_OCSP_TOO_OLD' })
  })

  test('without a reason for a revocation names none', () => {
    expect(answered({ status: 'revoked' })).not.toHaveProperty('reason')
  })

  test.each<[string, SingleResponseContent['extensions'], string]>([
    ['an unknown one that is critical: ERR_TRUST_OCSP_CRITICAL_EXTENSION', [own(true)], 'undetermined'],
    ['an unknown one that is not critical', [own(false)], 'good'],
    ['a critical list of SCTs, which is read elsewhere', [own(true, '1.3.6.1.4.1.11129.2.4.5')], 'good'],
  ])('with an extension of its answer: %s', (_, extensions, status) => {
    expect(verify(written({ responses: [single({ extensions: extensions ?? [] })] }))).toMatchObject({
      status,
      ...(status === 'undetermined' && {
        code: 'ERR_TRUST_OCSP_CRITICAL_EXTENSION',
        message: 'unknown critical extension 1.2.3.4',
      }),
    })
  })

  test('with an unknown extension that is not critical, or a critical nonce that nobody asked for, counts', () => {
    expect(answered({ extensions: [own(false)] })).toMatchObject({ status: 'good' })
    expect(answered({ extensions: [own(true, '1.3.6.1.5.5.7.48.1.2')] })).toMatchObject({ status: 'good' })
  })

  test('about another certificate counts for nothing: ERR_TRUST_OCSP_CERT_MISMATCH', () => {
    const refusal = {
      status: 'undetermined',
      code: 'ERR_TRUST_OCSP_CERT_MISMATCH',
      message: 'the response is about other certificates',
    }
    const other = ca.issue({ names: ['other.example'] })
    expect(verify(ocspResponse({ certificate: other }))).toEqual(refusal)
    const namesake = testCa({ now: NOW }).issuer
    for (const of of [{ issuerName: encodeName('Other') }, { issuerSpki: namesake.spki }]) {
      expect(verify(written({ responses: [single(of)] }))).toEqual(refusal)
    }
    expect(verify(written({ responses: [] }))).toEqual(refusal)
    const stray = ca.issue({ issuerName: 'Other' }) // signed by the CA, in a name that is not the CA's
    const aboutStray = written({ responses: [single({ issuerName: encodeName('Other'), serial: stray.serial })] })
    expect(verify(aboutStray, { certificate: parseCertificate(stray.der) })).toEqual(refusal)
  })

  test('names the issuer as the certificate spells it, where the CA spells itself otherwise', () => {
    const spelt = der.sequence(
      der.setOfOne(der.sequence(der.objectIdentifier('2.5.4.3'), der.printableString('TEST  intermediate'))),
    )
    const odd = ca.issue({ issuerName: spelt })
    const said = (issuerName: Uint8Array) =>
      verify(written({ responses: [single({ issuerName, serial: odd.serial })] }), {
        certificate: parseCertificate(odd.der),
      })
    expect(said(spelt)).toMatchObject({ status: 'good' })
    expect(said(ca.issuer.subject)).toMatchObject({ code: 'ERR_TRUST_OCSP_CERT_MISMATCH' })
  })

  test.each([
    ['1.3.14.3.2.26', 'sha1', 'good'],
    ['2.16.840.1.101.3.4.2.1', 'sha256', 'good'],
    ['2.16.840.1.101.3.4.2.2', 'sha384', 'good'],
    ['2.16.840.1.101.3.4.2.3', 'sha512', 'good'],
    ['1.2.840.113549.2.5', 'md5', 'undetermined'],
  ])('identifies the certificate with hash %s (%s): %s', (oid, algorithm, status) => {
    const hashed = (bytes: Uint8Array) => der.octetString(createHash(algorithm).update(bytes).digest())
    const certId = der.sequence(
      der.sequence(der.objectIdentifier(oid), der.nothing()),
      hashed(ca.issuer.subject),
      hashed(subjectPublicKeyOf(ca.issuer.spki)),
      der.integer(certificate.serial),
    )
    const answer = der.sequence(certId, der.taggedPrimitive(0, new Uint8Array()), der.generalizedTime(NOW))
    const data = der.sequence(der.tagged(1, ca.issuer.subject), der.generalizedTime(NOW), der.sequence(answer))
    expect(verify(signedByHand(data))).toMatchObject({ status })
  })

  test.each<[string, readonly SingleResponseContent['status'][], string]>([
    ['good', ['good', 'good'], 'good'],
    ['unknown', ['good', 'unknown'], 'unknown'],
    ['unknown', ['unknown', 'good'], 'unknown'],
    ['revoked', ['good', revoked, 'unknown'], 'revoked'],
    ['revoked', ['unknown', revoked, 'good'], 'revoked'],
  ])('of several answers about the certificate the worst counts: %s of %j', (_, statuses, status) => {
    const responses = statuses.map((one, at) => single({ status: one, nextUpdate: NOW + (3 - at) * DAY }))
    const at = statuses.findIndex((one) => (typeof one === 'string' ? one : 'revoked') === status) // of equals the first
    expect(verify(written({ responses }))).toMatchObject({ status, validUntil: NOW + (3 - at) * DAY })
  })

  test('of several answers counts what is current and about the certificate', () => {
    const ended = single({ status: revoked, nextUpdate: NOW - HOUR })
    const early = single({ thisUpdate: NOW + HOUR })
    const foreign = single({ status: revoked, serial: Uint8Array.of(1) })
    expect(verify(written({ responses: [ended, foreign, single()] }))).toMatchObject({ status: 'good' })
    expect(verify(written({ responses: [foreign, ended, early] }))).toMatchObject({ code: 'ERR_TRUST_OCSP_EXPIRED' })
  })

  test('of a responder that is not there, or is revoked, counts for nothing', () => {
    const response = ocspResponse({ certificate, responder })
    const isRevoked = ({ subject }: { subject: { text: string } }): boolean => subject.text === 'CN=Responder'
    expect(verify(response, { isRevoked })).toEqual({
      status: 'undetermined',
      code: 'ERR_TRUST_OCSP_RESPONDER_REVOKED',
      message: 'the responder’s certificate is revoked',
    })
    expect(verify(response, { isRevoked: () => false })).toMatchObject({ status: 'good' })
    const missing = {
      status: 'undetermined',
      code: 'ERR_TRUST_OCSP_RESPONDER_NOT_FOUND',
      message: 'no certificate of the named responder',
    }
    // A CA of the same name with another key: the certificate could be its own, the response is not.
    const namesake = testCa({ now: NOW })
    expect(verify(ocspResponse({ certificate }), { issuer: parseCertificate(namesake.issuer.der) })).toEqual(missing)
    // Whoever signed: the response says that it was somebody else.
    expect(verify(written({ responderId: { name: encodeName('Somebody') } }))).toEqual(missing)
    const byResponder = { signer: { privateKey: responder.key.privateKey }, certificates: [responder.der] }
    expect(verify(written({ responderId: { name: encodeName('Somebody') }, ...byResponder }))).toEqual(missing)
    expect(verify(written({ responderId: { spki: certificate.spki }, ...byResponder }))).toEqual(missing)
  })

  test.each<[string, IssueOptions]>([
    ['without keyUsage', { omit: ['2.5.29.15'] }],
    ['with an unknown extension that is not critical', { extensions: [own(false)] }],
    [
      'with every extension critical that is understood',
      {
        extensions: [
          { ...extension.extendedKeyUsage(['ocspSigning']), critical: true },
          { ...extension.certificatePolicies(['2.5.29.32.0']), critical: true },
        ],
      },
    ],
  ])('of a responder %s counts', (_, more) => {
    expect(answered({ responder: delegated(more) })).toMatchObject({ status: 'good' })
  })

  test('finds the named responder among superfluous certificates, of which it tries four', () => {
    const forged = Array.from({ length: 4 }, () => delegated({ signature: 'garbage' }).der)
    const junk = Uint8Array.of(0x30, 0)
    const among = (...others: readonly Uint8Array[]) =>
      written({
        responderId: { name: responder.subject },
        signer: { privateKey: responder.key.privateKey },
        certificates: [junk, ca.issuer.der, ...others, responder.der],
      })
    expect(verify(among(...forged.slice(0, 3)))).toMatchObject({ status: 'good' })
    expect(verify(among(...forged))).toMatchObject({ code: 'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED' })
  })

  test('of the issuer is refused for what is wrong with the issuer’s signature, whoever else has its name', () => {
    const { subject } = ca.issuer
    const response = written({
      signer: { privateKey: ca.issuer.key.privateKey, garbage: true },
      certificates: [ca.issuer.der, delegated({ subject }).der],
    })
    expect(verify(response)).toMatchObject({ code: 'ERR_TRUST_OCSP_BAD_SIGNATURE' })
    const rollOver = written({
      signer: { privateKey: responder.key.privateKey },
      certificates: [ca.issuer.der, delegated({ subject, key: responder.key }).der],
    })
    expect(verify(rollOver)).toMatchObject({ status: 'good' })
  })

  test('does not hide a fault of the application: what isRevoked throws is thrown', () => {
    const fault = new TypeError('a fault')
    const twin = delegated({ key: responder.key })
    const isRevoked = ({ sha256 }: { sha256: string }): boolean => {
      if (sha256 === parseCertificate(responder.der).sha256) throw fault
      return false
    }
    const response = written({
      responderId: { spki: responder.spki },
      signer: { privateKey: responder.key.privateKey },
      certificates: [responder.der, twin.der],
    })
    expect(verify(response)).toMatchObject({ status: 'good' })
    expect(() => verify(response, { isRevoked })).toThrow(fault)
  })

  test('says an error, or cannot be read, or is too long', () => {
    expect(verify(generateOcspError(3))).toEqual({
      status: 'undetermined',
      code: 'ERR_TRUST_OCSP_RESPONDER_ERROR',
      message: 'the responder answered tryLater',
    })
    expect(verify(generateOcspError(4))).toEqual({
      status: 'undetermined',
      code: 'ERR_TRUST_OCSP_MALFORMED',
      message: 'OCSP response status 4 is not defined',
    })
    expect(verify(new Uint8Array())).toMatchObject({ code: 'ERR_TRUST_OCSP_MALFORMED' })
    expect(verify(new Uint8Array(65_537))).toEqual({
      status: 'undetermined',
      code: 'ERR_TRUST_OCSP_TOO_LARGE',
      message: 'OCSP response of 65537 octets',
    })
  })

  test('answers the nonce that was asked with', () => {
    const value = Uint8Array.of(1, 2, 3, 4)
    const nonce = (octets: Uint8Array) => ({ oid: '1.3.6.1.5.5.7.48.1.2', critical: false, value: octets })
    const asked = { nonce: { value, required: true } }
    expect(answered({ extensions: [nonce(value)] }, asked)).toMatchObject({ status: 'good' })
    expect(answered({ extensions: [nonce(Uint8Array.of(4, 4, ...value))] }, asked)).toMatchObject({ status: 'good' })
    const others = [[9], [4, 4, 4, 3, 2, 1], [4, 4, ...value, 0], [4, 5, ...value], [3, 4, ...value], []]
    for (const other of others) {
      expect(answered({ extensions: [nonce(Uint8Array.from(other))] }, asked), String(other)).toEqual({
        status: 'undetermined',
        code: 'ERR_TRUST_OCSP_NONCE_MISMATCH',
        message: 'the responder echoed another nonce',
      })
    }
    expect(answered({}, asked)).toEqual({
      status: 'undetermined',
      code: 'ERR_TRUST_OCSP_NONCE_MISSING',
      message: 'the responder did not echo the nonce',
    })
    expect(answered({}, { nonce: { value, required: false } })).toMatchObject({ status: 'good' })
    const another = { extensions: [nonce(Uint8Array.of(9))] }
    expect(answered(another, { nonce: { value, required: false } })).toMatchObject({ status: 'undetermined' })
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

/** ResponseData of one's own making, signed by the issuer. */
function signedByHand(data: Uint8Array): Uint8Array {
  const signer = { privateKey: ca.issuer.key.privateKey }
  const basic = der.sequence(data, signatureAlgorithm(signer), der.bitString(signBytes(data, signer)))
  const typed = der.sequence(der.objectIdentifier('1.3.6.1.5.5.7.48.1.1'), der.octetString(basic))
  return der.sequence(der.enumerated(0), der.tagged(0, typed))
}
