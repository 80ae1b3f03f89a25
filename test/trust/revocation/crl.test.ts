import { randomBytes } from 'node:crypto'
import {
  type CertificateExtension,
  crl,
  crlNumber,
  extension,
  generateKey,
  issuingDistributionPoint,
  type KeyPair,
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
import { type CrlContent, certificateIssuer, generateCrl } from '../../../src/x509/revocation-writer.ts'

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

/** A list of the CA, exactly as told. */
function listOf(content: Partial<CrlContent>): Uint8Array {
  const signer = { privateKey: ca.issuer.key.privateKey }
  return generateCrl({ issuer: ca.issuer.subject, thisUpdate: NOW - HOUR, entries: [], signer, ...content })
}

const entry = (serial: Uint8Array, ...extensions: readonly CertificateExtension[]) => ({
  serial,
  revokedAt: NOW - HOUR,
  extensions,
})

type Three = [CertificateExtension, CertificateExtension, CertificateExtension]
type Five = [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array]

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

  test.each<[string, Change, string, string]>([
    [
      'with another signature',
      { signature: 'garbage' },
      'ERR_TRUST_CRL_BAD_SIGNATURE',
      'the signature of the list is not the signer’s',
    ],
    [
      'signed with SHA-1',
      { hash: 'sha1' },
      'ERR_TRUST_CRL_UNSUPPORTED_ALGORITHM',
      'the list is signed with ecdsa-with-SHA1 by a key of type ec',
    ],
    [
      'of another issuer',
      { issuer: ca.root },
      'ERR_TRUST_CRL_ISSUER_MISMATCH',
      'issued by CN=Test Root, expected CN=Test Intermediate',
    ],
    [
      'in the issuer’s name with another key',
      { issuer: testCa({ now: NOW }).issuer },
      'ERR_TRUST_CRL_BAD_SIGNATURE',
      'the signature of the list is not the signer’s',
    ],
    ['that has ended', { nextUpdate: NOW - HOUR }, 'ERR_TRUST_CRL_EXPIRED', 'valid until 2029-12-31T23:00:00.000Z'],
    [
      'from the future',
      { thisUpdate: NOW + HOUR },
      'ERR_TRUST_CRL_NOT_YET_VALID',
      'valid from 2030-01-01T01:00:00.000Z',
    ],
    [
      'of eleven days ago',
      { thisUpdate: NOW - 11 * DAY },
      'ERR_TRUST_CRL_TOO_OLD',
      'made 2029-12-21T00:00:00.000Z, no newer is at hand',
    ],
    [
      'of another distribution point',
      { uri: 'http://crl.example.com/2.crl' },
      'ERR_TRUST_CRL_SCOPE',
      'the list is of another distribution point than the certificate’s',
    ],
    [
      'about CAs alone',
      { scope: { onlyCaCerts: true } },
      'ERR_TRUST_CRL_SCOPE',
      'the list is about CAs, the certificate is an end entity’s',
    ],
    [
      'about attribute certificates alone',
      { scope: { onlyAttributeCerts: true } },
      'ERR_TRUST_CRL_SCOPE',
      'the list is about attribute certificates',
    ],
    [
      'about some reasons alone',
      { scope: { onlySomeReasons: [1, 2, 3, 4, 5, 6, 7] } },
      'ERR_TRUST_CRL_SCOPE',
      'the list is about some reasons of revocation alone',
    ],
    [
      'that adds to another',
      { extensions: [crlNumber(1, '2.5.29.27', true)] },
      'ERR_TRUST_CRL_DELTA_UNSUPPORTED',
      'a delta CRL says nothing without its base',
    ],
    [
      'with an unknown critical extension',
      { extensions: [own('1.2.3.4', true)] },
      'ERR_TRUST_CRL_CRITICAL_EXTENSION',
      'unknown critical extension 1.2.3.4',
    ],
  ])('%s counts for nothing', (_, change, code, message) => {
    expect(judged(change)).toEqual({ status: 'undetermined', code, message })
    expect(judged({ ...change, revoked: [certificate] })).toEqual({ status: 'undetermined', code, message })
  })

  test('with one entry that is critical in an unknown way counts for no certificate (RFC 5280 §5.3)', () => {
    const [odd, plain] = [entry(Uint8Array.of(1), own('1.2.3.4', true)), entry(Uint8Array.of(2))]
    for (const entries of [[odd], [odd, plain], [plain, odd]]) {
      expect(judge(listOf({ entries }))).toEqual({
        status: 'undetermined',
        code: 'ERR_TRUST_CRL_CRITICAL_EXTENSION',
        message: 'unknown critical extension 1.2.3.4',
      })
    }
    expect(judge(listOf({ entries: [entry(Uint8Array.of(1), own('1.2.3.4', false)), plain] })).status).toBe('good')
  })

  test('counts five minutes before it begins and five after it ends, for clocks differ; and for ten days to the second', () => {
    const [minutes, second] = [5 * 60_000, 1_000]
    expect(judged({ thisUpdate: NOW + minutes }).status).toBe('good')
    expect(judged({ thisUpdate: NOW + minutes + second })).toMatchObject({ code: 'ERR_TRUST_CRL_NOT_YET_VALID' })
    expect(judged({ nextUpdate: NOW - minutes }).status).toBe('good')
    expect(judged({ nextUpdate: NOW - minutes - second })).toMatchObject({ code: 'ERR_TRUST_CRL_EXPIRED' })
    expect(judged({ thisUpdate: NOW - 10 * DAY }).status).toBe('good')
    expect(judged({ thisUpdate: NOW - 10 * DAY - second })).toMatchObject({ code: 'ERR_TRUST_CRL_TOO_OLD' })
  })

  test('of a distribution point that the certificate leaves some reasons, or names another signer for, does not suffice', () => {
    const about = (point: Parameters<typeof extension.crlDistributionPoints>[0][number]) =>
      judged({ uri: HERE }, ca.issue({ extensions: [extension.crlDistributionPoints([point])] }))
    const names = [{ uri: HERE }]
    expect(about({ names, reasons: [1, 2] })).toMatchObject({ code: 'ERR_TRUST_CRL_SCOPE' })
    expect(about({ names, reasons: [1, 2, 3, 4, 5, 6, 7, 8] }).status).toBe('good')
    expect(about({ names, crlIssuer: ca.root.subject })).toMatchObject({ code: 'ERR_TRUST_CRL_SCOPE' })
    expect(about({ names }).status).toBe('good')
  })

  test('of the certificate’s own distribution point counts, as do extensions that nobody has to know', () => {
    expect(judged({ uri: HERE, extensions: [own('1.2.3.4', false)] }).status).toBe('good')
    expect(judged({ extensions: [own('2.5.29.35', true)] }).status).toBe('good') // authorityKeyIdentifier, known
    const onlyUsers = issuingDistributionPoint({ onlyUserCerts: true })
    expect(judged({ extensions: [onlyUsers] }).status).toBe('good')
    const rootList = crl({ issuer: ca.root, extensions: [onlyUsers] })
    expect(judge(rootList, ca.issuer, ca.root)).toEqual({
      status: 'undetermined',
      code: 'ERR_TRUST_CRL_SCOPE',
      message: 'the list is about end entities, the certificate is a CA’s',
    })
  })

  test('by a key that may not sign lists counts for nothing: ERR_TRUST_CRL_ISSUER_NO_CRLSIGN', () => {
    const signer = ca.root.issue({ ca: true, subject: 'No lists', keyUsage: ['keyCertSign'] })
    expect(judge(crl({ issuer: signer }), signer.issue({ names: ['a.example'] }), signer)).toEqual({
      status: 'undetermined',
      code: 'ERR_TRUST_CRL_ISSUER_NO_CRLSIGN',
      message: 'the key of the issuer may not sign lists',
    })
    const any = ca.root.issue({ ca: true, subject: 'Any use', omit: ['2.5.29.15'] }) // §6.3.3 (f): if it is present
    expect(judge(crl({ issuer: any }), any.issue({ names: ['a.example'] }), any).status).toBe('good')
  })

  test('by a key that is none of its type counts for nothing: ERR_TRUST_CRL_BAD_SIGNATURE', () => {
    const spki = generateKey().spki.with(-1, 0).with(-2, 0) // a point off its curve
    const signer = ca.root.issue({ ca: true, subject: 'No key', spki })
    expect(judge(crl({ issuer: signer }), signer.issue(), signer)).toMatchObject({
      code: 'ERR_TRUST_CRL_BAD_SIGNATURE',
    })
  })

  test('for certificates of several issuers counts for nothing: ERR_TRUST_CRL_INDIRECT_UNSUPPORTED', () => {
    // [4] indirectCRL TRUE, alone in the issuing distribution point.
    const indirect = { oid: '2.5.29.28', critical: true, value: Uint8Array.of(0x30, 3, 0x84, 1, 0xff) }
    expect(judged({ extensions: [indirect] })).toEqual({
      status: 'undetermined',
      code: 'ERR_TRUST_CRL_INDIRECT_UNSUPPORTED',
      message: 'a list for several issuers',
    })
  })

  test('has its entries counted and found by the issuer that stands before them, at first its own (RFC 5280 §5.3.3)', () => {
    const [one, two, three, four, five] = [1, 2, 3, 4, 5].map((octet) => Uint8Array.of(octet)) as Five
    const [a, b, ours] = ['A', 'B', ca.issuer.subject].map(certificateIssuer) as Three
    const entries = [entry(one), entry(two, a), entry(three), entry(four, b), entry(five, ours)]
    const list = readCrl(listOf({ entries }), parseCertificate(ca.issuer.der), DEFAULT_LIMITS)
    const nameOf = (subject: string) => parseCertificate(ca.issue({ subject }).der).subject.key
    const found = (issuer?: string) => [one, two, three, four, five].filter((serial) => list.find(serial, issuer))
    expect(list).toMatchObject({ entries: 5, isIndirect: true })
    expect(found()).toEqual([one, five])
    expect(found(nameOf('A'))).toEqual([two, three])
    expect(found(nameOf('B'))).toEqual([four])
    expect(found(nameOf('C'))).toEqual([])
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
      listOf({
        entries: [entry(Uint8Array.of(1), { oid: '1.2.3.4', critical: false, value: new Uint8Array(octets) })],
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
  test('a serial number of 65 octets is ERR_TRUST_CRL_MALFORMED, one of 64 is read', () => {
    const withSerial = (octets: number) => judge(listOf({ entries: [entry(new Uint8Array(octets).fill(1))] }))
    expect(withSerial(65)).toEqual({
      status: 'undetermined',
      code: 'ERR_TRUST_CRL_MALFORMED',
      message: 'a serial number is too long',
    })
    expect(withSerial(64)).toMatchObject({ status: 'good' })
  })

  test('a crlNumber that is negative or of more than 20 octets is ERR_TRUST_CRL_MALFORMED (RFC 5280 §5.2.3)', () => {
    const withNumber = (...octets: readonly number[]) => {
      const value = Uint8Array.of(2, octets.length, ...octets)
      const list = listOf({ extensions: [{ oid: '2.5.29.20', critical: false, value }] })
      return readCrl(list, parseCertificate(ca.issuer.der), DEFAULT_LIMITS).crlNumber
    }
    const malformed = expect.objectContaining({
      code: 'ERR_TRUST_CRL_MALFORMED',
      message: 'a list number is negative or too long',
    })
    const ones = (octets: number) => new Array<number>(octets).fill(0xff)
    expect(withNumber(0)).toBe(0n)
    expect(withNumber(0, 0x80)).toBe(0x80n)
    expect(withNumber(0x7f, ...ones(19))).toBe(2n ** 159n - 1n)
    for (const octets of [[0x80], [0xff], [0x7f, ...ones(20)], [0, ...ones(20)]]) {
      expect(() => withNumber(...octets)).toThrow(malformed)
    }
  })

  test('entries about 1,025 other issuers are ERR_TRUST_CRL_TOO_LARGE, about 1,024 they are read', () => {
    const about = (count: number) =>
      listOf({
        entries: Array.from({ length: count }, (_, i) => entry(Uint8Array.of(1), certificateIssuer(`Issuer ${i}`))),
      })
    expect(judge(about(1_025))).toEqual({
      status: 'undetermined',
      code: 'ERR_TRUST_CRL_TOO_LARGE',
      message: 'a list about too many issuers',
    })
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

  test('verifies RSASSA-PSS by a key that signs with PKCS #1 too, and by a key of RSASSA-PSS with its own hash alone', () => {
    const status = (key: KeyPair, hash: 'sha256' | 'sha384', held = key) => {
      const signer = testCa({ now: NOW, intermediate: { key: held } }).issuer
      return judge(
        listOf({ issuer: signer.subject, signer: { privateKey: key.privateKey, padding: 'pss', hash } }),
        signer.issue(),
        signer,
      )
    }
    const [rsa, pss] = [generateKey('RSA-2048'), generateKey('RSA-PSS-2048')] // the latter with SHA-256
    expect(status(rsa, 'sha256').status).toBe('good')
    expect(status(rsa, 'sha384').status).toBe('good')
    expect(status(pss, 'sha256').status).toBe('good')
    expect(status(rsa, 'sha384', pss)).toMatchObject({ code: 'ERR_TRUST_CRL_BAD_SIGNATURE' })
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
