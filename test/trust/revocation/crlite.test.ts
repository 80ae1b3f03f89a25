import { createHash } from 'node:crypto'
import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import { checkRevocation, type RevocationEvidence, refusalOf } from '../../../src/trust/revocation/check.ts'
import { checkCrlite } from '../../../src/trust/revocation/crlite.ts'
import { readCrliteFilter } from '../../../src/trust/revocation/crlite-filter.ts'
import { DEFAULT_LIMITS } from '../../../src/trust/revocation/evidence.ts'
import { DEFAULT_REVOCATION } from '../../../src/trust/revocation/policy.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import { buildCrlite, type CrliteBlock, type CrliteOptions } from '../../support/crlite.ts'
import { EMBEDDED, logged, sct, sctList, testLog } from '../../support/transparency.ts'

const NOW = Date.UTC(2030, 0, 1)
const [HOUR, DAY] = [3_600_000, 86_400_000]
const LOGGED = NOW - 30 * DAY
const SERIAL = Uint8Array.of(0xf0, 1, 2, 3, 4, 5, 6, 7) // its INTEGER has an octet 0 in front, which counts

const digest = (text: string): Uint8Array => new Uint8Array(createHash('sha256').update(text).digest())
const serials = (name: string, count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, index) => digest(`${name} ${index}`).subarray(0, 8 + (index % 9)))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const COVERAGE = [{ logId: digest('log'), low: 0n, high: BigInt(NOW) }]

function filterOf(blocks: readonly CrliteBlock[], more: Partial<CrliteOptions> = {}) {
  const { bytes, exceptions } = buildCrlite({ coverage: COVERAGE, blocks, ...more })
  const filter = readCrliteFilter(bytes)
  const answers = (block: CrliteBlock, list: readonly Uint8Array[]) =>
    new Set(list.map((serial) => filter.isRevoked(hex(block.issuer), serial)))
  return { filter, exceptions, answers }
}

describe('a filter answers as it was built, for every certificate of it:', () => {
  const block = (name: string, revoked: number, others: number, more: Partial<CrliteBlock> = {}): CrliteBlock => ({
    issuer: digest(name),
    revoked: serials(`${name} revoked`, revoked),
    others: serials(`${name} other`, others),
    ...more,
  })

  test.each<[string, readonly CrliteBlock[]]>([
    ['one issuer', [block('a', 40, 200)]],
    [
      'issuers side by side, each with its own number of columns',
      [
        block('a', 60, 90, { rank: 1 }),
        block('b', 10, 150, { rank: 4 }),
        block('c', 30, 60, { rank: 3 }),
        block('d', 5, 5, { rank: 0 }),
      ],
    ],
    ['an inverted block (case 622)', [block('a', 200, 30, { isInverted: true }), block('b', 20, 100)]],
    [
      'an issuer that revoked nothing, and an inverted one that revoked all',
      [block('a', 0, 50), block('b', 50, 0, { isInverted: true }), block('c', 20, 20)],
    ],
  ])('%s', (_, blocks) => {
    for (const placed of [{}, { placed: 'as given' }] as const) {
      const { answers } = filterOf(blocks, placed)
      for (const one of blocks) {
        if (one.revoked.length > 0) expect(answers(one, one.revoked)).toEqual(new Set([true]))
        if (one.others.length > 0) expect(answers(one, one.others)).toEqual(new Set([false]))
      }
    }
  })

  test('certificates that the matrices cannot hold are exceptions (case 623)', () => {
    for (const isInverted of [false, true]) {
      const one = block('a', 60, 60, { rank: 1, exactRows: 4, isInverted })
      const { answers, exceptions } = filterOf([one])
      expect(exceptions[0]).toBeGreaterThan(5)
      expect(answers(one, one.revoked)).toEqual(new Set([true]))
      expect(answers(one, one.others)).toEqual(new Set([false]))
    }
  })

  test('an issuer that is not enrolled has no answer', () => {
    const one = block('a', 10, 10)
    const { filter } = filterOf([one])
    expect(filter.isRevoked(hex(digest('b')), serials('a', 1)[0] ?? new Uint8Array())).toBeUndefined()
  })
})

describe('a file that is none (case 621)', () => {
  const blocks = [{ issuer: digest('a'), revoked: serials('r', 30), others: serials('o', 30), rank: 1, exactRows: 4 }]
  const options: CrliteOptions = { coverage: COVERAGE, blocks }
  const { bytes } = buildCrlite(options)
  const withCode = (code: string) => expect.objectContaining({ code })
  const malformed = (what: string) =>
    expect.objectContaining({ code: 'ERR_TRUST_CRLITE_MALFORMED', message: `a CRLite filter: ${what}` })

  test('cut short anywhere: ERR_TRUST_CRLITE_MALFORMED', () => {
    expect(readCrliteFilter(bytes).coverage.size).toBe(1)
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => readCrliteFilter(bytes.subarray(0, length))).toThrow(malformed('cut short'))
    }
  })

  test('with a byte behind its end: ERR_TRUST_CRLITE_MALFORMED', () => {
    expect(() => readCrliteFilter(new Uint8Array([...bytes, 0]))).toThrow(malformed('1 bytes too many'))
  })

  test.each([{ version: 3 }, { version: 5 }, { version: 0 }, { reserved: 1 }])(
    'of another version, %j: ERR_TRUST_CRLITE_UNSUPPORTED_VERSION',
    (more) => {
      const other = buildCrlite({ ...options, ...more }).bytes
      expect(() => readCrliteFilter(other)).toThrow(withCode('ERR_TRUST_CRLITE_UNSUPPORTED_VERSION'))
      const message = `expected a CRLite filter of version 4, saw ${other[0]}`
      expect(() => readCrliteFilter(other)).toThrow(expect.objectContaining({ message }))
    },
  )

  // Of two blocks without exceptions, each 52 octets.
  const plain = buildCrlite({ coverage: COVERAGE, blocks: ['a', 'b'].map((name) => plainBlock(name)) }).bytes
  const [head, first, second, tail] = [
    plain.slice(0, 56),
    plain.slice(56, 108),
    plain.slice(108, 160),
    plain.slice(160),
  ]
  const swapped = Buffer.concat([head, second, first, tail])
  const wide = plain.slice()
  wide[56 + 36] = 3 // of two columns
  const exception = (...octets: readonly number[]) =>
    Buffer.concat([head, first.with(51, 1), Uint8Array.of(octets.length, ...octets), second, tail])
  test.each<[string, Uint8Array, string]>([
    ['a polarity that is neither', buildCrlite({ ...options, inverted: 2 }).bytes, 'inverted is 2'],
    [
      'a log that is covered twice',
      buildCrlite({ ...options, coverage: [...COVERAGE, ...COVERAGE] }).bytes,
      'a log is there twice',
    ],
    ['issuers that are not in order', swapped, 'issuers are not in order'],
    ['a block of more columns than there are', wide, 'a block has more columns than the filter'],
    ['an issuer twice', buildCrlite({ ...options, blocks: [...blocks, ...blocks] }).bytes, 'issuers are not in order'],
    ['an exception that is no serial number', exception(), 'an exception is empty'],
  ])('that contradicts itself, %s: ERR_TRUST_CRLITE_MALFORMED', (_, contradictory, what) => {
    expect(readCrliteFilter(Buffer.concat([head, first, second, tail])).coverage.size).toBe(1)
    expect(readCrliteFilter(exception(1)).coverage.size).toBe(1)
    expect(() => readCrliteFilter(contradictory)).toThrow(malformed(what))
  })
})

function plainBlock(name: string): CrliteBlock {
  return {
    issuer: digest(name),
    revoked: serials(`${name} revoked`, 4),
    others: serials(`${name} other`, 4),
    exactRows: 300,
  }
}

describe('the source crlite (case 620)', () => {
  const ca = testCa({ now: NOW })
  const [known, unknown] = [testLog({ operator: 'A' }), testLog({ operator: 'B' })]
  const issued = (logs: readonly ReturnType<typeof testLog>[], timestamp = LOGGED) =>
    logged(ca, { names: ['api.example.com'], serial: SERIAL }, (entry) =>
      logs.map((log) => sct(log, entry, { timestamp })),
    )
  const certificate = issued([known])
  const issuer = parseCertificate(ca.issuer.der)
  const idOf = (log: ReturnType<typeof testLog>) => new Uint8Array(Buffer.from(log.listed.log_id, 'base64'))
  const serialOf = (one: { readonly der: Uint8Array }) => parseCertificate(one.der).serialNumber

  const unknownFor = (code: string, message: string) => ({ status: 'undetermined', code, message })
  const notCovered = unknownFor('ERR_TRUST_CRLITE_NOT_COVERED', 'no filter covers an SCT of the certificate')

  interface Built {
    readonly revoked?: boolean
    readonly until?: number
    readonly by?: string
    readonly beside?: CrliteOptions['coverage']
  }

  function build(more: Built = {}) {
    const { revoked = false, until = NOW - HOUR, by = issuer.spkiSha256, beside = [] } = more
    const ours = [serialOf(certificate)]
    const block: CrliteBlock = {
      issuer: new Uint8Array(Buffer.from(by, 'hex')),
      revoked: [...serials('revoked', 30), ...(revoked ? ours : [])],
      others: [...serials('other', 60), ...(revoked ? [] : ours)],
    }
    const coverage = [{ logId: idOf(known), low: BigInt(LOGGED), high: BigInt(until) }, ...beside]
    return buildCrlite({ coverage, blocks: [block] }).bytes
  }
  const ask = (filters: readonly Uint8Array[], of = certificate, now = NOW) =>
    checkCrlite(filters, { certificate: parseCertificate(of.der), issuer }, toUnixMs(now), DEFAULT_LIMITS)

  test('good, revoked, not enrolled, not covered', () => {
    expect(hex(serialOf(certificate))).toBe('00f001020304050607')
    expect(ask([build()])).toEqual([{ status: 'good', thisUpdate: NOW - HOUR, validUntil: NOW - HOUR + 10 * DAY }])
    expect(ask([build({ revoked: true })])).toMatchObject([{ status: 'revoked', revokedAt: NOW - HOUR }])
    expect(ask([build({ by: hex(digest('other CA')) })])).toEqual([
      unknownFor('ERR_TRUST_CRLITE_NOT_ENROLLED', 'the filters were built without data of its issuer'),
    ])
    expect(ask([build()], issued([unknown]))).toEqual([notCovered])
    expect(ask([])).toEqual([unknownFor('ERR_TRUST_CRLITE_NONE', 'no filter is at hand')])
  })

  test('a certificate without SCTs, or with a list of them that cannot be read, is not covered', () => {
    expect(ask([build()], ca.issue({ names: ['api.example.com'] }))).toEqual([notCovered])
    for (const list of [Uint8Array.of(4, 2, 0, 0), sctList([Uint8Array.of(1)])]) {
      const extensions = [{ oid: EMBEDDED, critical: false, value: list }]
      expect(ask([build()], ca.issue({ names: ['api.example.com'], extensions }))).toEqual([notCovered])
    }
  })

  test('a filter was built when the last of its logs was read, and five minutes from now at most', () => {
    const other = { logId: idOf(unknown), low: 0n, high: BigInt(NOW - 20 * DAY) }
    expect(ask([build({ beside: [other] })])).toMatchObject([{ thisUpdate: NOW - HOUR }])
    const [skew, most] = [5 * 60_000, NOW + 5 * 60_000]
    expect(ask([build({ until: most })])).toMatchObject([{ status: 'good', thisUpdate: most }])
    expect(ask([build({ until: most + 1 })])).toEqual([
      unknownFor('ERR_TRUST_CRLITE_TOO_OLD', 'the filters reach until 2030-01-01T00:05:00.001Z'),
    ])
    expect(ask([build({ until: NOW + skew - 1 })])).toMatchObject([{ status: 'good' }])
  })

  test('covers both ends of its time, and any SCT of the certificate is enough', () => {
    const until = (timestamp: number) => ask([build()], issued([known], timestamp))[0]?.status
    expect([LOGGED - 1, LOGGED, NOW - HOUR, NOW - HOUR + 1].map(until)).toEqual([
      'undetermined',
      'good',
      'good',
      'undetermined',
    ])
    expect(ask([build()], issued([unknown, known]))[0]?.status).toBe('good')
  })

  test('one filter that says revoked is enough, first or last, and however old it is', () => {
    const [good, revoked] = [build(), build({ revoked: true, until: NOW - 20 * DAY })]
    for (const filters of [
      [good, revoked],
      [revoked, good],
      [revoked, new Uint8Array(3)],
    ]) {
      expect(ask(filters)).toMatchObject([{ status: 'revoked' }])
    }
  })

  test('a good word that is older than ten days counts no longer: ERR_TRUST_CRLITE_TOO_OLD', () => {
    const [old, fresh] = [build({ until: NOW - 10 * DAY }), build({ until: NOW - 10 * DAY + 1 })]
    expect(ask([old])).toEqual([
      unknownFor('ERR_TRUST_CRLITE_TOO_OLD', 'the filters reach until 2029-12-22T00:00:00.000Z'),
    ])
    expect(ask([fresh])).toMatchObject([{ status: 'good' }])
    expect(ask([old, fresh])).toMatchObject([{ status: 'good' }])
  })

  test('an unreadable filter might have said revoked, so the others’ good word is not enough', () => {
    expect(ask([build(), new Uint8Array(3)])).toMatchObject([{ code: 'ERR_TRUST_CRLITE_UNSUPPORTED_VERSION' }])
    expect(ask([build().subarray(1), build()])).toMatchObject([{ status: 'undetermined' }])
  })

  test('is asked where the policy names it, and refuses a revoked certificate', () => {
    const path = { certificates: [parseCertificate(certificate.der), issuer] as const, policies: [] }
    const judged = (filters: readonly Uint8Array[], sources = ['crlite'] as readonly ('crlite' | 'crl')[]) => {
      const policy = { ...DEFAULT_REVOCATION, sources }
      const evidence: RevocationEvidence = { crls: () => [], ocspResponses: () => [], crliteFilters: () => filters }
      const verdict = checkRevocation(path, policy, evidence, toUnixMs(NOW))
      return { verdict, finding: refusalOf(verdict, path, policy) }
    }
    expect(judged([build({ revoked: true })]).finding).toMatchObject({
      code: 'ERR_TRUST_CERT_REVOKED',
      message: expect.stringContaining('was revoked before 2029-12-31T23:00:00.000Z, says its CRLite filter'),
    })
    expect(judged([build({ revoked: true })], ['crl']).finding).toBeUndefined()
    expect(judged([build()]).verdict).toMatchObject({ status: 'good', source: 'crlite' })
    expect(judged([]).verdict).toMatchObject({ causes: [{ source: 'crlite', code: 'ERR_TRUST_CRLITE_NONE' }] })
  })
})
