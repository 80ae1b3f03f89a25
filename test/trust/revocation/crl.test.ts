import { randomBytes } from 'node:crypto'
import {
  type CertificateExtension,
  crl,
  crlNumber,
  extension,
  generateKey,
  issuingDistributionPoint,
  type TestCertificate,
  type TestCrlOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import { CrlReader, readCrl, type VerifiedCrl } from '../../../src/trust/revocation/crl.ts'
import { DEFAULT_LIMITS, type Evidence, EvidenceError } from '../../../src/trust/revocation/evidence.ts'
import { judgeCrl } from '../../../src/trust/revocation/judge-crl.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import { certificateIssuer, generateCrl } from '../../../src/x509/revocation-writer.ts'

const NOW = Date.UTC(2030, 0, 1)
const [HOUR, DAY] = [3_600_000, 86_400_000]
const HERE = 'http://crl.example.com/1.crl'
const ca = testCa({ now: NOW })
const certificate = ca.issue({ names: ['api.example.com'], extensions: [extension.crlDistributionPoints([HERE])] })

type Change = Partial<Omit<TestCrlOptions, 'issuer'>> & { readonly issuer?: TestCertificate }

/** What a list says of the certificate, or of another. */
function judged(change: Change = {}, subject: TestCertificate = certificate): Evidence {
  const { issuer = ca.issuer, ...rest } = change
  return judge(crl({ issuer, ...rest }), subject)
}

function judge(der: Uint8Array, subject: TestCertificate = certificate, signer: TestCertificate = ca.issuer): Evidence {
  const limits = DEFAULT_LIMITS
  try {
    const list = readCrl(der, parseCertificate(signer.der), limits)
    return judgeCrl({ crl: list, certificate: parseCertificate(subject.der), now: toUnixMs(NOW), limits })
  } catch (error) {
    if (error instanceof EvidenceError) return { status: 'undetermined', code: error.code, message: error.message }
    throw error
  }
}

const own = (oid: string, critical: boolean): CertificateExtension => ({ oid, critical, value: Uint8Array.of(5, 0) })

describe('a CRL', () => {
  test('says good of what it does not list, and revoked of what it does', () => {
    expect(judged()).toEqual({ status: 'good', thisUpdate: NOW - HOUR, validUntil: NOW + 7 * DAY })
    expect(judged({ revoked: [randomBytes(16), certificate], reason: 1 })).toMatchObject({
      status: 'revoked',
      revokedAt: NOW - 2 * HOUR,
      reason: 1,
    })
    expect(judged({ revoked: [certificate] })).not.toHaveProperty('reason')
  })

  test('lists a serial number, not its beginning', () => {
    expect(judged({ revoked: [Uint8Array.of(...certificate.serial, 1), certificate.serial.slice(0, -1)] }).status).toBe(
      'good',
    )
  })

  test('takes a certificate off with removeFromCRL', () => {
    expect(judged({ revoked: [certificate], reason: 8 }).status).toBe('good')
  })

  test('without an end counts for ten days, and its entries with it', () => {
    expect(judged({ nextUpdate: null })).toMatchObject({ validUntil: NOW - HOUR + 10 * DAY })
    expect(judged({ nextUpdate: null, revoked: [certificate] }).status).toBe('revoked')
  })

  test('about CAs may be a year old', () => {
    const root = crl({ issuer: ca.root, thisUpdate: NOW - 300 * DAY, nextUpdate: NOW + 60 * DAY })
    expect(judge(root, ca.issuer, ca.root).status).toBe('good')
    expect(judged({ thisUpdate: NOW - 300 * DAY, nextUpdate: NOW + 60 * DAY })).toMatchObject({
      code: 'ERR_TRUST_CRL_TOO_OLD',
    })
  })

  test.each<[string, Change, string]>([
    ['with another signature', { signature: 'garbage' }, 'ERR_TRUST_CRL_BAD_SIGNATURE'],
    ['signed with SHA-1', { hash: 'sha1' }, 'ERR_TRUST_CRL_UNSUPPORTED_ALGORITHM'],
    ['of another issuer', { issuer: ca.root }, 'ERR_TRUST_CRL_ISSUER_MISMATCH'],
    ['in the issuer’s name with another key', { issuer: testCa({ now: NOW }).issuer }, 'ERR_TRUST_CRL_BAD_SIGNATURE'],
    ['that has ended', { nextUpdate: NOW - HOUR }, 'ERR_TRUST_CRL_EXPIRED'],
    ['from the future', { thisUpdate: NOW + HOUR }, 'ERR_TRUST_CRL_NOT_YET_VALID'],
    ['of another distribution point', { uri: 'http://crl.example.com/2.crl' }, 'ERR_TRUST_CRL_SCOPE'],
    ['about CAs alone', { extensions: [issuingDistributionPoint({ onlyCaCerts: true })] }, 'ERR_TRUST_CRL_SCOPE'],
    ['that adds to another', { extensions: [crlNumber(1, '2.5.29.27', true)] }, 'ERR_TRUST_CRL_DELTA_UNSUPPORTED'],
    ['with an unknown critical extension', { extensions: [own('1.2.3.4', true)] }, 'ERR_TRUST_CRL_CRITICAL_EXTENSION'],
  ])('%s counts for nothing', (_, change, code) => {
    expect(judged(change)).toMatchObject({ status: 'undetermined', code })
    expect(judged({ ...change, revoked: [certificate] })).toMatchObject({ status: 'undetermined', code })
  })

  test('of the certificate’s own distribution point counts, as do extensions that nobody has to know', () => {
    expect(judged({ uri: HERE, extensions: [own('1.2.3.4', false)] }).status).toBe('good')
    const onlyUsers = issuingDistributionPoint({ onlyUserCerts: true })
    expect(judged({ extensions: [onlyUsers] }).status).toBe('good')
    const rootList = crl({ issuer: ca.root, extensions: [onlyUsers] })
    expect(judge(rootList, ca.issuer, ca.root)).toMatchObject({ code: 'ERR_TRUST_CRL_SCOPE' })
  })

  test('by a key that may not sign lists counts for nothing: ERR_TRUST_CRL_ISSUER_NO_CRLSIGN', () => {
    const signer = ca.root.issue({ ca: true, subject: 'No lists', keyUsage: ['keyCertSign'] })
    expect(judge(crl({ issuer: signer }), signer.issue({ names: ['a.example'] }), signer)).toMatchObject({
      code: 'ERR_TRUST_CRL_ISSUER_NO_CRLSIGN',
    })
  })

  test('for certificates of several issuers counts for nothing: ERR_TRUST_CRL_INDIRECT_UNSUPPORTED', () => {
    // [4] indirectCRL TRUE, alone in the issuing distribution point.
    const indirect = { oid: '2.5.29.28', critical: true, value: Uint8Array.of(0x30, 3, 0x84, 1, 0xff) }
    expect(judged({ extensions: [indirect] })).toMatchObject({ code: 'ERR_TRUST_CRL_INDIRECT_UNSUPPORTED' })
  })

  test('that is something else is refused: ERR_TRUST_CRL_MALFORMED', () => {
    const list = crl({ issuer: ca.issuer })
    const pem = `-----BEGIN X509 CRL-----\n${Buffer.from(list).toString('base64')}\n-----END X509 CRL-----\n`
    for (const bytes of ['', '<html>not found</html>', pem].map((text) => new TextEncoder().encode(text))) {
      expect(judge(bytes)).toMatchObject({ code: 'ERR_TRUST_CRL_MALFORMED' })
    }
    for (let length = 1; length < list.length; length += 1) {
      expect(judge(list.slice(0, length)), `${length} octets`).toMatchObject({ code: 'ERR_TRUST_CRL_MALFORMED' })
    }
    expect(judge(Uint8Array.of(...list, 0))).toMatchObject({ code: 'ERR_TRUST_CRL_MALFORMED' })
  })

  test('with an entry longer than any is refused: ERR_TRUST_CRL_TOO_LARGE', () => {
    const listWith = (octets: number): Uint8Array =>
      generateCrl({
        issuer: ca.issuer.subject,
        thisUpdate: NOW - HOUR,
        entries: [
          {
            serial: Uint8Array.of(1),
            revokedAt: NOW,
            extensions: [{ oid: '1.2.3.4', critical: false, value: new Uint8Array(octets) }],
          },
        ],
        signer: { privateKey: ca.issuer.key.privateKey },
      })
    expect(judge(listWith(1_000)).status).toBe('good')
    expect(judge(listWith(70_000))).toMatchObject({ code: 'ERR_TRUST_CRL_TOO_LARGE' })
  })

  test('with any octet changed never says good of what it lists', () => {
    const genuine = crl({ issuer: ca.issuer, revoked: [certificate] })
    for (let at = 0; at < genuine.length; at += 1) {
      for (const flip of [0x01, 0x80]) {
        const changed = genuine.slice()
        changed[at] = (changed[at] ?? 0) ^ flip
        expect(judge(changed).status, `octet ${at}`).not.toBe('good')
      }
    }
  })
})

describe('a CRL that is sound but for one bound', () => {
  const listOf = (
    serials: readonly Uint8Array[],
    extensions: (i: number) => readonly CertificateExtension[] = () => [],
  ) =>
    generateCrl({
      issuer: ca.issuer.subject,
      thisUpdate: NOW - HOUR,
      entries: serials.map((serial, i) => ({ serial, revokedAt: NOW - HOUR, extensions: extensions(i) })),
      signer: { privateKey: ca.issuer.key.privateKey },
    })

  test('a serial number of 65 octets is ERR_TRUST_CRL_MALFORMED, one of 64 is read', () => {
    expect(judge(listOf([new Uint8Array(65).fill(1)]))).toMatchObject({ code: 'ERR_TRUST_CRL_MALFORMED' })
    expect(judge(listOf([new Uint8Array(64).fill(1)]))).toMatchObject({ status: 'good' })
  })

  test('entries about 1,025 other issuers are ERR_TRUST_CRL_TOO_LARGE, about 1,024 they are read', () => {
    const about = (count: number) =>
      listOf(
        Array.from({ length: count }, () => Uint8Array.of(1)),
        (i) => [certificateIssuer(`Issuer ${i}`)],
      )
    expect(judge(about(1_025))).toMatchObject({ code: 'ERR_TRUST_CRL_TOO_LARGE' })
    expect(judge(about(1_024))).toMatchObject({ code: 'ERR_TRUST_CRL_INDIRECT_UNSUPPORTED' })
  })

  test('one that names its distribution point relative to the issuer is ERR_TRUST_CRL_SCOPE', () => {
    expect(judged({ scope: { relativeName: ['CN', 'Part 1'] } })).toMatchObject({ code: 'ERR_TRUST_CRL_SCOPE' })
    expect(judged({ scope: { names: [{ uri: HERE }] } })).toMatchObject({ status: 'good' })
  })
})

describe('a CRL in pieces', () => {
  const serials = Array.from({ length: 5_000 }, (_, i) => Uint8Array.of(1, i >> 8, i & 0xff, ...randomBytes(i % 17)))

  test.each([1, 7, 100, 4_096])('of %i octets reads as in one', (size) => {
    const list = crl({ issuer: ca.issuer, revoked: serials.slice(0, size < 100 ? 300 : 5_000), reason: 4 })
    const read = inPieces(list, size)
    for (const serial of serials.slice(0, 300)) expect(read.find(serial)).toMatchObject({ reason: 4 })
    expect(read.entries).toBe(size < 100 ? 300 : 5_000)
    expect(read.find(certificate.serial)).toBeUndefined()
    expect(read.crlNumber).toBe(1n)
  })

  test.each(['P-384', 'Ed25519', 'RSA-2048', 'RSA-PSS-2048'] as const)('verifies signatures by %s', (type) => {
    const signer = testCa({ now: NOW, intermediate: { key: generateKey(type) } }).issuer
    const list = crl({ issuer: signer, revoked: serials })
    expect(inPieces(list, 1_000, signer).entries).toBe(5_000)
    list[list.length - 5] = (list.at(-5) ?? 0) ^ 1
    expect(() => inPieces(list, 1_000, signer)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^ERR_TRUST_CRL_(BAD_SIGNATURE|MALFORMED)$/) }),
    )
  })

  test('finds each of 20,000 serial numbers, chosen in any way, with what was said of it last', () => {
    const numbers = Array.from({ length: 20_000 }, (_, i) => (i % 2 === 0 ? randomBytes(19) : countedTo(i)))
    const entries = numbers.map((serial, i) => ({
      serial: positive(serial),
      revokedAt: NOW - i * 1_000,
      reason: i % 7,
    }))
    const again = { ...entries[3], serial: positive(countedTo(3)), revokedAt: NOW, reason: 9 }
    const { key, subject } = ca.issuer
    const [signer, thisUpdate] = [{ privateKey: key.privateKey }, NOW - HOUR]
    const read = inPieces(generateCrl({ issuer: subject, thisUpdate, entries: [...entries, again], signer }), 65_536)
    for (const { serial, revokedAt, reason } of [...entries.filter((_, i) => i !== 3), again]) {
      expect(read.find(serial)).toEqual({ revokedAt, reason })
    }
    expect(read.find(positive(countedTo(20_001)))).toBeUndefined()
    expect(read.find(new Uint8Array())).toBeUndefined()
  })

  const countedTo = (n: number): Uint8Array => Uint8Array.of(1, n >> 16, n >> 8, n)
  const positive = (serial: Uint8Array): Uint8Array => Uint8Array.of(1, ...serial)

  function inPieces(list: Uint8Array, size: number, signer: TestCertificate = ca.issuer): VerifiedCrl {
    const reader = new CrlReader(parseCertificate(signer.der), DEFAULT_LIMITS)
    for (let at = 0; at < list.length; at += size) {
      const piece = Buffer.from(list.subarray(at, at + size))
      reader.write(piece)
      piece.fill(0) // whoever hands a piece in may use its memory again
    }
    return reader.end()
  }
})
