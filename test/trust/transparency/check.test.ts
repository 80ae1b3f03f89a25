import { type IssueOptions, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { Finding } from '../../../src/errors/errors.ts'
import { formatInstant, ManifestPayload } from '../../../src/manifest/schema.ts'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import {
  checkTransparency,
  DEFAULT_TRANSPARENCY,
  type TransparencyInput,
  transparencyRefusal,
} from '../../../src/trust/transparency/check.ts'
import type { LogList } from '../../../src/trust/transparency/logs.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import { octetString } from '../../../src/x509/der-writer.ts'
import { generateKey } from '../../../src/x509/generate.ts'
import { generateOcspError, generateOcspResponse } from '../../../src/x509/revocation-writer.ts'
import {
  EMBEDDED,
  logged,
  precertificate,
  STAPLED,
  sct,
  sctList,
  type TestEntry,
  type TestLog,
  type TestLogOptions,
  type TestSctOptions,
  testLog,
  testLogList,
  wholeCertificate,
  withExtension,
} from '../../support/transparency.ts'

const NOW = Date.UTC(2030, 0, 1)
const [HOUR, DAY] = [3_600_000, 86_400_000]
const ca = testCa({ now: NOW })
const [a, b, c] = [testLog({ operator: 'A' }), testLog({ operator: 'B' }), testLog({ operator: 'C' })]
const OPTIONS: IssueOptions = { names: ['api.example.com'] }
const ENFORCED = { ...DEFAULT_TRANSPARENCY, mode: 'enforce' } as const

type Row = readonly [log: TestLog, options?: Partial<TestSctOptions>]

const made = (rows: readonly Row[]) => (entry: TestEntry) =>
  rows.map(([log, options]) => sct(log, entry, { timestamp: NOW - HOUR, ...options }))

const certificateBy = (rows: readonly Row[], options: IssueOptions = {}): TestCertificate =>
  logged(ca, { ...OPTIONS, ...options }, made(rows))

function check(
  certificate: TestCertificate,
  logs: readonly TestLog[] | LogList,
  more: Partial<TransparencyInput> = {},
) {
  const verdict = checkTransparency({
    certificate: parseCertificate(certificate.der),
    issuer: parseCertificate(ca.issuer.der),
    logList: 'operators' in logs ? logs : testLogList(logs, NOW - DAY),
    now: toUnixMs(NOW),
    policy: ENFORCED,
    ...more,
  })
  const codes = verdict.findings.map(({ code }) => code)
  return { ...verdict, codes, first: codes[0], refusal: transparencyRefusal(verdict, ENFORCED)?.code }
}

const about = (code: string, message: string) => ({
  code,
  certificateIndex: 0,
  message: `CN=api.example.com: ${message}`,
})

const TWO = certificateBy([[a], [b]])

describe('a certificate', () => {
  test('with SCTs of two logs of two operators complies', () => {
    expect(check(TWO, [a, b])).toMatchObject({
      status: 'compliant',
      findings: [],
      scts: [
        { source: 'certificate', timestamp: NOW - HOUR, log: { operator: 'A', state: 'usable' } },
        { source: 'certificate', timestamp: NOW - HOUR, log: { operator: 'B' } },
      ],
    })
  })

  test.each([
    [180 * DAY, 2, 'compliant'],
    [180 * DAY + 1_000, 2, 'noncompliant'],
    [180 * DAY + 1_000, 3, 'compliant'],
    [398 * DAY, 2, 'noncompliant'],
  ] as const)('of %d ms with SCTs of %d logs is %s: ERR_TRUST_CT_NOT_ENOUGH_SCTS', (lifetime, logs, status) => {
    const period = { notBefore: NOW - DAY, notAfter: NOW - DAY + lifetime }
    const verdict = check(
      certificateBy(
        [a, b, c].slice(0, logs).map((log) => [log] as const),
        period,
      ),
      [a, b, c],
    )
    expect(verdict.status).toBe(status)
    expect(verdict.refusal).toBe(status === 'compliant' ? undefined : 'ERR_TRUST_CT_NOT_ENOUGH_SCTS')
  })

  test('without SCTs, or with two of one log, is ERR_TRUST_CT_NOT_ENOUGH_SCTS', () => {
    expect(check(ca.issue(OPTIONS), [a, b])).toMatchObject({ refusal: 'ERR_TRUST_CT_NOT_ENOUGH_SCTS', scts: [] })
    const twice = certificateBy([[a], [a, { timestamp: NOW - DAY }]])
    expect(check(twice, [a, b])).toMatchObject({ refusal: 'ERR_TRUST_CT_NOT_ENOUGH_SCTS', codes: { length: 1 } })
  })

  test('with SCTs of two logs of one operator is ERR_TRUST_CT_NOT_ENOUGH_OPERATORS', () => {
    const sister = testLog({ operator: 'A' })
    expect(check(certificateBy([[a], [sister]]), [a, sister]).refusal).toBe('ERR_TRUST_CT_NOT_ENOUGH_OPERATORS')
    expect(check(certificateBy([[a], [sister], [b]]), [a, sister, b]).status).toBe('compliant')
  })

  test('with SCTs of retired logs alone is ERR_TRUST_CT_NO_CURRENT_LOG', () => {
    const [x, y] = [retired({ operator: 'X' }), retired({ operator: 'Y' })]
    const scts = (logs: readonly TestLog[]) => certificateBy(logs.map((log) => [log, { timestamp: NOW - 2 * DAY }]))
    expect(check(scts([x, y]), [x, y]).refusal).toBe('ERR_TRUST_CT_NO_CURRENT_LOG')
    expect(check(scts([x, a]), [x, a]).status).toBe('compliant')
    const announced = (['X', 'Y'] as const).map((operator) => retired({ operator, since: NOW + 1 }))
    expect(check(scts(announced), announced).status).toBe('compliant')
  })

  test('with SCTs of static logs complies, but for a policy that wants one of RFC 6962: ERR_TRUST_CT_NO_RFC6962_LOG', () => {
    const tiled = [testLog({ operator: 'A', isTiled: true }), testLog({ operator: 'B', isTiled: true })] as const
    const leafIndex = { extensions: Uint8Array.of(0, 0, 5, 0, 0, 0, 1, 2) }
    const rows = tiled.map((log) => [log, leafIndex] as const)
    const policy = { ...ENFORCED, rfc6962Log: 'required' } as const
    const kinds = [{ log: { kind: 'static' } }, { log: { kind: 'static' } }]
    expect(check(certificateBy(rows), tiled)).toMatchObject({ status: 'compliant', findings: [], scts: kinds })
    expect(check(certificateBy(rows), tiled, { policy }).refusal).toBe('ERR_TRUST_CT_NO_RFC6962_LOG')
    expect(check(certificateBy([...rows, [a]]), [...tiled, a], { policy }).status).toBe('compliant')
  })

  test('that does not comply is told which rule it breaks, what was expected and what was seen', () => {
    const [sister, x, y] = [testLog({ operator: 'A' }), retired(), retired({ operator: 'Y' })]
    const tiled = [testLog({ operator: 'A', isTiled: true }), testLog({ operator: 'B', isTiled: true })] as const
    const rule = (rows: readonly Row[], logs: readonly TestLog[], more: Partial<TransparencyInput> = {}) =>
      check(certificateBy(rows), logs, more).findings
    const early = { timestamp: NOW - 2 * DAY }
    expect(rule([[a], [a, early]], [a])).toEqual([
      about('ERR_TRUST_CT_NOT_ENOUGH_SCTS', 'expected SCTs of 2 logs, saw 2 SCTs, of 1 logs that count'),
    ])
    expect(rule([[a], [sister]], [a, sister])).toEqual([
      about('ERR_TRUST_CT_NOT_ENOUGH_OPERATORS', 'expected logs of 2 operators, saw A'),
    ])
    expect(
      rule(
        [
          [x, early],
          [y, early],
        ],
        [x, y],
      ),
    ).toEqual([about('ERR_TRUST_CT_NO_CURRENT_LOG', 'each of its logs is retired')])
    const policy = { ...ENFORCED, rfc6962Log: 'required' } as const
    expect(rule([[tiled[0]], [tiled[1]]], tiled, { policy })).toEqual([
      about('ERR_TRUST_CT_NO_RFC6962_LOG', 'each of its logs is of the static kind'),
    ])
  })

  test('is told of 13 SCTs that do not count, and no more', () => {
    const unknown = Array.from({ length: 14 }, () => [c] as const)
    expect(check(certificateBy(unknown), [a, b]).codes).toHaveLength(1 + 13)
    const enough = check(certificateBy([...unknown, [a], [b]]), [a, b])
    expect(enough).toMatchObject({ status: 'compliant', codes: { length: 13 } })
    expect(transparencyRefusal(enough, { ...ENFORCED, mode: 'require' })).toBeUndefined() // remarks refuse nobody
  })

  test('is judged alike until the list ends, or until one of its logs or SCTs begins to count', () => {
    const listEnds = NOW - DAY + 70 * DAY + 1
    const until = (log: TestLog, options: Partial<TestSctOptions> = {}) => {
      const verdict = check(certificateBy([[log, options], [b], [c]]), [log, b, c])
      return 'validUntil' in verdict ? verdict.validUntil : undefined
    }
    expect(until(a)).toBe(listEnds)
    expect(until(testLog({ since: NOW }))).toBe(listEnds)
    expect(until(testLog({ since: NOW + 1 }))).toBe(NOW + 1)
    expect(until(a, { timestamp: NOW + HOUR })).toBe(NOW + HOUR - 5 * 60_000)
    expect(until(a, { version: 1 })).toBe(listEnds)
  })

  test('is refused in enforce and require alone', () => {
    const bare = ca.issue(OPTIONS)
    expect(check(bare, [a, b], { policy: DEFAULT_TRANSPARENCY })).toMatchObject({ status: 'noncompliant' })
    const verdict = check(bare, [a, b])
    expect(transparencyRefusal(verdict, DEFAULT_TRANSPARENCY)).toBeUndefined()
    expect(transparencyRefusal(verdict, ENFORCED)).toMatchObject({ certificateIndex: 0 })
    expect(transparencyRefusal(verdict, { ...ENFORCED, mode: 'require' })).toMatchObject({ certificateIndex: 0 })
    expect(transparencyRefusal(check(TWO, [a, b]), { ...ENFORCED, mode: 'require' })).toBeUndefined()
    const off = check(bare, [a, b], { policy: { ...ENFORCED, mode: 'off' } })
    expect(off).toMatchObject({ status: 'unchecked', findings: [], refusal: undefined })
  })
})

describe('a log list', () => {
  test('of more than 70 days ago judges nobody: ERR_TRUST_CT_LOG_LIST_STALE (case 609)', () => {
    const bare = ca.issue(OPTIONS)
    const aged = (ageMs: number) => check(bare, testLogList([a, b], NOW - ageMs))
    expect(aged(71 * DAY)).toMatchObject({
      status: 'unchecked',
      first: 'ERR_TRUST_CT_LOG_LIST_STALE',
      refusal: undefined,
    })
    expect(aged(70 * DAY + 1)).toMatchObject({
      status: 'unchecked',
      findings: [{ message: 'expected a log list of the last 70 days, saw one of 2029-10-22T23:59:59.999Z' }],
    })
    expect(aged(70 * DAY)).toMatchObject({ status: 'noncompliant' })
    expect(aged(Number.NaN)).toMatchObject({
      status: 'unchecked',
      findings: [
        {
          code: 'ERR_TRUST_CT_LOG_LIST_STALE',
          certificateIndex: 0,
          message: 'expected a log list of the last 70 days, saw one of NaN ms',
        },
      ],
    })
  })

  test('whose entry has another id than the digest of its key does not have that log (case 610)', () => {
    const liar: TestLog = { ...a, listed: { ...a.listed, key: b.listed.key } }
    expect(check(TWO, [liar, b]).codes).toContain('ERR_TRUST_SCT_UNKNOWN_LOG')
    expect(check(TWO, [a, b]).status).toBe('compliant')
  })

  test('is what a manifest carries', () => {
    const logs = [testLog({ operator: 'A', interval: [NOW, NOW + 365 * DAY] }), b]
    const { payload, list } = manifestWith(logs)
    expect(payload.ct?.logList).toEqual(list)
    const inForce: LogList | undefined = payload.ct?.logList
    expect(check(certificateBy(logs.map((log) => [log])), inForce ?? []).status).toBe('compliant')
  })
})

describe('an SCT', () => {
  /** The first of three: the others suffice, so the certificate complies and the finding is a remark. */
  function judged(log: TestLog, options: Partial<TestSctOptions> = {}, listed: readonly TestLog[] = [log, b, c]) {
    const verdict = check(certificateBy([[log, options], [b], [c]]), listed)
    expect(verdict).toMatchObject({ status: 'compliant', scts: { length: 3 } })
    remark = verdict.findings[0]
    return verdict.first
  }
  let remark: Finding | undefined

  test('that does not count is told with its log, what was expected and what was seen', () => {
    const told = (...about: Parameters<typeof judged>) => {
      judged(...about)
      expect(remark).toMatchObject({ certificateIndex: 0 })
      return remark?.message
    }
    expect(told(a, {}, [b, c])).toBe(`no log of the list has the id ${a.listed.log_id}`)
    expect(told(a, { version: 1 })).toBe('expected an SCT of version 0 (v1), saw 1')
    const saw = 'log of A saw the certificate at'
    expect(told(a, { timestamp: NOW + DAY })).toBe(`${saw} 2030-01-02T00:00:00.000Z`)
    expect(told(a, { timestamp: 8.64e15 })).toBe(`${saw} +275760-09-13T00:00:00.000Z`)
    expect(told(a, { timestamp: 8.64e15 + 1 })).toBe(`${saw} 8640000000000001 ms`)
    expect(told(testLog({ interval: [NOW, NOW + DAY] }))).toBe(
      'log of A takes certificates that end from 2030-01-01T00:00:00.000Z to 2030-01-02T00:00:00.000Z, and this ends 2030-04-01T00:00:00.000Z',
    )
    expect(told(testLog({ since: NOW + 1 }))).toBe('log of A is usable since 2030-01-01T00:00:00.001Z')
    expect(told(testLog({ state: 'pending' }))).toBe('log of A is pending since 1970-01-01T00:00:00.000Z')
    const nameless = { log_id: a.listed.log_id, key: a.listed.key, state: {} }
    expect(told({ ...a, listed: nameless })).toBe(`${a.listed.log_id} is rejected since 1970-01-01T00:00:00.000Z`)
    expect(told(retired())).toBe('log of X is retired since 2029-12-31T00:00:00.000Z')
    expect(told(a, { hashAlgorithm: 2 })).toBe(
      'expected SHA-256 with the P-256 or RSA key of log of A, saw hash 2 and signature 3',
    )
    expect(told(a, { garbage: true })).toBe('the signature is not by log of A about this certificate and issuer')
  })

  test('of a log that the list does not have does not count: ERR_TRUST_SCT_UNKNOWN_LOG', () => {
    expect(judged(a, {}, [b, c])).toBe('ERR_TRUST_SCT_UNKNOWN_LOG')
    expect(judged(a)).toBeUndefined()
  })

  test('of another version does not count: ERR_TRUST_SCT_UNSUPPORTED_VERSION', () => {
    expect(judged(a, { version: 1 })).toBe('ERR_TRUST_SCT_UNSUPPORTED_VERSION')
  })

  test('from the future does not count: ERR_TRUST_SCT_FUTURE_TIMESTAMP', () => {
    expect(judged(a, { timestamp: NOW + 5 * 60_000 + 1 })).toBe('ERR_TRUST_SCT_FUTURE_TIMESTAMP')
    expect(judged(a, { timestamp: Number.MAX_SAFE_INTEGER })).toBe('ERR_TRUST_SCT_FUTURE_TIMESTAMP')
    expect(judged(a, { timestamp: NOW + 5 * 60_000 })).toBeUndefined() // clocks differ
  })

  test('of a log for certificates that end at another time does not count: ERR_TRUST_SCT_OUTSIDE_INTERVAL', () => {
    const end = TWO.options.notAfter ?? NOW + 90 * DAY
    const shard = (start: number, stop: number) => judged(testLog({ interval: [start, stop] }))
    expect(shard(end - DAY, end)).toBe('ERR_TRUST_SCT_OUTSIDE_INTERVAL')
    expect(shard(end + 1_000, end + DAY)).toBe('ERR_TRUST_SCT_OUTSIDE_INTERVAL')
    expect(shard(end, end + 1_000)).toBeUndefined()
  })

  test('of a log that is rejected, pending or not begun does not count: ERR_TRUST_SCT_LOG_REJECTED', () => {
    const inState = (options: TestLogOptions) => judged(testLog(options))
    expect(inState({ state: 'rejected' })).toBe('ERR_TRUST_SCT_LOG_REJECTED')
    expect(inState({ state: 'rejected', since: NOW + DAY })).toBe('ERR_TRUST_SCT_LOG_REJECTED')
    expect(inState({ state: 'pending' })).toBe('ERR_TRUST_SCT_LOG_REJECTED')
    expect(inState({ state: 'qualified', since: NOW + 1 })).toBe('ERR_TRUST_SCT_LOG_REJECTED')
    expect(inState({ state: 'usable', since: NOW + 1 })).toBe('ERR_TRUST_SCT_LOG_REJECTED')
    expect(inState({ state: 'usable', since: NOW })).toBeUndefined()
    expect(inState({ state: 'qualified', since: NOW })).toBeUndefined()
    expect(inState({ state: 'readonly', since: NOW - DAY })).toBeUndefined()
    expect(inState({ state: 'readonly', since: NOW + DAY })).toBeUndefined()
  })

  test('of a log with several states, or none, is judged by the strictest', () => {
    const log = testLog()
    const state = { usable: { timestamp: toUnixMs(0) }, rejected: { timestamp: toUnixMs(0) } }
    expect(judged({ ...log, listed: { ...log.listed, state } })).toBe('ERR_TRUST_SCT_LOG_REJECTED')
    expect(judged({ ...log, listed: { ...log.listed, state: {} } })).toBe('ERR_TRUST_SCT_LOG_REJECTED')
  })

  test('made after its log was retired does not count: ERR_TRUST_SCT_LOG_RETIRED', () => {
    expect(judged(retired(), { timestamp: NOW - DAY })).toBe('ERR_TRUST_SCT_LOG_RETIRED')
    expect(judged(retired(), { timestamp: NOW - DAY - 1 })).toBeUndefined()
    expect(judged(retired({ since: NOW + DAY }))).toBeUndefined() // announced, and watched until then
  })

  test('signed otherwise than logs sign does not count: ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM', () => {
    expect(judged(a, { hashAlgorithm: 2 })).toBe('ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM')
    expect(judged(a, { signatureAlgorithm: 1 })).toBe('ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM')
    const rsa = testLog({ key: generateKey('RSA-2048') })
    expect(judged(rsa, { signatureAlgorithm: 3 })).toBe('ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM')
    expect(judged(rsa)).toBeUndefined()
  })

  test('of a log with another key than P-256 or RSA of 2048 bits does not count', () => {
    const [short, large] = [testLog({ key: generateKey('RSA-1024') }), testLog({ key: generateKey('P-384') })]
    expect(judged(short)).toBe('ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM')
    expect(judged(large)).toBe('ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM')
    expect(judged(testLog({ key: generateKey('RSA-PSS-2048') }))).toBe('ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM')
    const odd = (spki: Uint8Array) => judged(testLog({ key: { ...a.key, spki } }))
    expect(odd(Uint8Array.of(5, 0))).toBe('ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM')
    expect(odd(Buffer.concat([a.key.spki, Uint8Array.of(0)]))).toBe('ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM')
    expect(odd(a.key.spki.map((octet, at) => (at > 60 ? 0 : octet)))).toBe('ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM')
  })

  test('about something else does not count: ERR_TRUST_SCT_BAD_SIGNATURE', () => {
    expect(judged(a, { garbage: true })).toBe('ERR_TRUST_SCT_BAD_SIGNATURE')
    const impostor = { ...a, key: { ...b.key, spki: a.key.spki } } // a's id, b's signature
    expect(judged(impostor, {}, [a, b, c])).toBe('ERR_TRUST_SCT_BAD_SIGNATURE')
    const other = ca.issue({ names: ['other.example.com'] })
    const borrowed = sctList(made([[a], [b]])(precertificate(ca.issuer, other)))
    const verdict = check(withExtension(ca, ca.issue(OPTIONS), borrowed), [a, b])
    expect(verdict.codes.slice(1)).toEqual(['ERR_TRUST_SCT_BAD_SIGNATURE', 'ERR_TRUST_SCT_BAD_SIGNATURE'])
  })

  test('is about the key of the issuer, whatever was verified before', () => {
    expect(check(TWO, [a, b]).status).toBe('compliant')
    const issuer = parseCertificate(testCa({ now: NOW }).issuer.der)
    const flaws = ['ERR_TRUST_SCT_BAD_SIGNATURE', 'ERR_TRUST_SCT_BAD_SIGNATURE']
    expect(check(TWO, [a, b], { issuer }).codes.slice(1)).toEqual(flaws)
    expect(check(TWO, [a, b]).status).toBe('compliant')
  })

  test('signs its timestamp and its extensions', () => {
    const before = ca.issue(OPTIONS)
    const [genuine = new Uint8Array()] = made([[a, { extensions: Uint8Array.of(1, 2, 3) }]])(
      precertificate(ca.issuer, before),
    )
    const judgedWith = (change: (bytes: Uint8Array) => void) => {
      const bytes = Uint8Array.from(genuine)
      change(bytes)
      return check(withExtension(ca, before, sctList([bytes])), [a, b]).codes[1]
    }
    expect(judgedWith(() => {})).toBeUndefined()
    expect(judgedWith((bytes) => bytes.fill(0, 40, 41))).toBe('ERR_TRUST_SCT_BAD_SIGNATURE') // last octet of the time
    expect(judgedWith((bytes) => bytes.fill(9, 43, 44))).toBe('ERR_TRUST_SCT_BAD_SIGNATURE') // first of the extensions
  })
})

describe('the precertificate (cases 479 to 490)', () => {
  const critical = { oid: '1.2.3.4', critical: false, value: Uint8Array.of(5, 0) }
  const poison = { oid: '1.3.6.1.4.1.11129.2.4.3', critical: true, value: Uint8Array.of(5, 0) }

  test.each([0, 1, 2])('is the certificate without its SCTs, which may stand at place %d', (place) => {
    const others = [critical, { ...critical, oid: '1.2.3.5' }]
    const before = ca.issue({ ...OPTIONS, extensions: others })
    const list = { oid: EMBEDDED, critical: false, value: sctList(made([[a], [b]])(precertificate(ca.issuer, before))) }
    const { serial, key, options } = before
    const certificate = ca.issue({
      ...options,
      serial,
      key,
      extensions: [...others.slice(0, place), list, ...others.slice(place)],
    })
    expect(check(certificate, [a, b])).toMatchObject({ status: 'compliant', findings: [] })
  })

  test('is without the poison too', () => {
    const before = ca.issue(OPTIONS)
    const value = sctList(made([[a], [b]])(precertificate(ca.issuer, before)))
    const { serial, key, options } = before
    const poisoned = ca.issue({ ...options, serial, key, extensions: [poison] })
    expect(check(withExtension(ca, poisoned, value), [a, b]).status).toBe('compliant')
  })

  test.each([0, 20, 60, 120, 200, 20_000, 70_000])('has lengths of its own, with %d octets more', (octets) => {
    const value = octetString(new Uint8Array(Math.min(octets, 60_000)))
    const extensions = Array.from({ length: Math.ceil((octets + 1) / 60_000) }, (_, at) => ({
      oid: `1.2.3.${at}`,
      critical: false,
      value,
    }))
    expect(check(certificateBy([[a], [b]], { extensions }), [a, b]).status).toBe('compliant')
  })

  test('is the same for a log with an RSA key', () => {
    const rsa = testLog({ operator: 'R', key: generateKey('RSA-2048') })
    expect(check(certificateBy([[a], [rsa]]), [a, rsa])).toMatchObject({ status: 'compliant', findings: [] })
  })
})

describe('a list of SCTs', () => {
  const withValue = (value: Uint8Array) => check(withExtension(ca, ca.issue(OPTIONS), value), [a, b])

  test('that cannot be read refuses as what it is: ERR_TRUST_SCT_LIST_MALFORMED', () => {
    expect(withValue(Uint8Array.of(4, 2, 0, 0))).toMatchObject({ refusal: 'ERR_TRUST_SCT_LIST_MALFORMED' })
    expect(withValue(Uint8Array.of(4, 2, 0, 0)).codes).toContain('ERR_TRUST_CT_NOT_ENOUGH_SCTS')
  })

  test('with 33 is ERR_TRUST_SCT_LIST_TOO_LARGE', () => {
    const many = (count: number) => {
      const before = ca.issue(OPTIONS)
      const [one = new Uint8Array()] = made([[a]])(precertificate(ca.issuer, before))
      return check(withExtension(ca, before, sctList(Array.from({ length: count }, () => one))), [a, b])
    }
    expect(many(33)).toMatchObject({ refusal: 'ERR_TRUST_SCT_LIST_TOO_LARGE', scts: [] })
    expect(many(32)).toMatchObject({ refusal: 'ERR_TRUST_CT_NOT_ENOUGH_SCTS', scts: { length: 32 } })
  })
})

describe('an OCSP response', () => {
  const bare = ca.issue(OPTIONS)
  const list = sctList(made([[a], [b]])(wholeCertificate(bare)))

  test('brings SCTs of the whole certificate (case 611)', () => {
    const verdict = check(bare, [a, b], { staple: stapled(bare, list) })
    expect(verdict).toMatchObject({ status: 'compliant', findings: [], scts: [{ source: 'ocsp' }, { source: 'ocsp' }] })
  })

  test('adds to those of the certificate', () => {
    const one = certificateBy([[a]])
    const staple = stapled(one, sctList(made([[b]])(wholeCertificate(one))))
    expect(check(one, [a, b]).status).toBe('noncompliant')
    expect(check(one, [a, b], { staple })).toMatchObject({ status: 'compliant', findings: [] })
  })

  test('with SCTs of the precertificate, or of another certificate, proves nothing', () => {
    const wrong = sctList(made([[a], [b]])(precertificate(ca.issuer, bare)))
    const first = (staple: Uint8Array) => check(bare, [a, b], { staple }).codes.slice(1)
    const twoBad = ['ERR_TRUST_SCT_BAD_SIGNATURE', 'ERR_TRUST_SCT_BAD_SIGNATURE']
    expect(first(stapled(bare, wrong))).toEqual(twoBad)
    const other = ca.issue({ names: ['other.example.com'] })
    expect(first(stapled(bare, sctList(made([[a], [b]])(wholeCertificate(other)))))).toEqual(twoBad)
    expect(check(bare, [a, b], { staple: stapled(other, list) })).toMatchObject({ status: 'noncompliant', scts: [] })
  })

  test('cannot prove when a log that is retired by now saw the certificate: ERR_TRUST_SCT_LOG_RETIRED', () => {
    const rows = [[retired(), { timestamp: NOW - 2 * DAY }], [a], [b]] as const
    const logs = rows.map(([log]) => log)
    expect(check(certificateBy(rows), logs)).toMatchObject({ status: 'compliant', findings: [] })
    const staple = stapled(bare, sctList(made(rows)(wholeCertificate(bare))))
    expect(check(bare, logs, { staple })).toMatchObject({ status: 'compliant', codes: ['ERR_TRUST_SCT_LOG_RETIRED'] })
  })

  test('that cannot be read, says an error or has a broken list takes nothing from what is embedded', () => {
    const remarks = (staple: Uint8Array) => {
      const verdict = check(TWO, [a, b], { staple })
      expect(verdict.status).toBe('compliant')
      return verdict.codes
    }
    expect(remarks(Uint8Array.of(1, 2, 3))).toEqual([])
    expect(remarks(generateOcspError(3))).toEqual([])
    expect(remarks(stapled(TWO))).toEqual([])
    expect(remarks(stapled(TWO, Uint8Array.of(5, 0)))).toEqual(['ERR_TRUST_SCT_LIST_MALFORMED'])
  })

  function stapled(certificate: TestCertificate, value?: Uint8Array): Uint8Array {
    const single = {
      issuerName: ca.issuer.subject,
      issuerSpki: ca.issuer.spki,
      serial: certificate.serial,
      status: 'good' as const,
      thisUpdate: NOW - HOUR,
      ...(value === undefined ? {} : { extensions: [{ oid: STAPLED, critical: false, value }] }),
    }
    const signer = { privateKey: ca.issuer.key.privateKey }
    return generateOcspResponse({ responderId: { spki: ca.issuer.spki }, producedAt: NOW, responses: [single], signer })
  }
})

function retired(options: TestLogOptions = {}): TestLog {
  return testLog({ operator: 'X', state: 'retired', since: NOW - DAY, ...options })
}

/** A list as it travels, and as it was. */
function manifestWith(logs: readonly TestLog[]) {
  const list = testLogList(logs, NOW - DAY)
  const logList = JSON.parse(
    JSON.stringify(list, (_, value) => (typeof value === 'number' ? formatInstant(toUnixMs(value)) : value)),
  )
  const payload = ManifestPayload.parse({
    type: 'manifest',
    spec: '1.0',
    repo: 'acme/pins',
    env: 'test',
    version: 1,
    issuedAt: formatInstant(toUnixMs(NOW)),
    expires: formatInstant(toUnixMs(NOW + DAY)),
    epoch: 1,
    staleGrace: 0,
    hosts: [],
    ct: { policy: 'enforce', logList },
  })
  return { payload, list }
}
