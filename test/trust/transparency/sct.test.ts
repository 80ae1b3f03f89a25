import fc from 'fast-check'
import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { parseSctList } from '../../../src/trust/transparency/sct.ts'
import { octetString } from '../../../src/x509/der-writer.ts'
import { precertificate, sct, sctList, testLog } from '../../support/transparency.ts'

const ca = testCa()
const log = testLog()
const entry = precertificate(ca.issuer, ca.issue())
const one = sct(log, entry, { timestamp: 1_893_456_000_000, extensions: Uint8Array.of(0, 0, 1, 7) })

/** Codes of what cannot be read, `v1` for what can; one code for a list that has no parts. */
function read(extnValue: Uint8Array): string | readonly string[] {
  const list = parseSctList(extnValue)
  return 'code' in list ? list.code : list.map((item) => ('sct' in item ? 'v1' : item.finding.code))
}

describe('an SCT', () => {
  test('is read member by member', () => {
    const list = parseSctList(sctList([one]))
    expect(list).toMatchObject([
      {
        sct: {
          logId: log.listed.log_id,
          timestamp: 1_893_456_000_000,
          extensions: Uint8Array.of(0, 4, 0, 0, 1, 7),
          hashAlgorithm: 4,
          signatureAlgorithm: 3,
          signature: Uint8Array.from(one.subarray(51)),
        },
      },
    ])
  })

  test('that is cut short anywhere, or goes on, is ERR_TRUST_SCT_MALFORMED (cases 466 to 478)', () => {
    for (let length = 1; length < one.length; length += 1) {
      expect(read(sctList([one.subarray(0, length), one]))).toEqual(['ERR_TRUST_SCT_MALFORMED', 'v1'])
    }
    const longer = Buffer.concat([one, Uint8Array.of(0)])
    expect(read(sctList([one, longer, one]))).toEqual(['v1', 'ERR_TRUST_SCT_MALFORMED', 'v1'])
    expect(read(sctList([one]))).toEqual(['v1'])
    const message = 'an SCT is cut short, or longer than its parts'
    expect(parseSctList(sctList([longer]))).toEqual([
      { finding: { code: 'ERR_TRUST_SCT_MALFORMED', certificateIndex: 0, message } },
    ])
  })

  test('may have a signature of no length, which nobody made', () => {
    const unsigned = Uint8Array.from(one.subarray(0, 51)).fill(0, 49)
    expect(read(sctList([unsigned]))).toEqual(['v1'])
  })

  test('of another version is not read any further: ERR_TRUST_SCT_UNSUPPORTED_VERSION', () => {
    expect(read(sctList([Uint8Array.of(1), one]))).toEqual(['ERR_TRUST_SCT_UNSUPPORTED_VERSION', 'v1'])
  })
})

describe('a list', () => {
  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['another type than OCTET STRING', Uint8Array.of(5, 0)],
    ['an OCTET STRING that goes on', Uint8Array.of(...sctList([one]), 0)],
    ['an OCTET STRING in BER', Uint8Array.of(0x24, 0x80, 0, 0)],
    ['no length', Uint8Array.of(4, 0)],
    ['half a length', Uint8Array.of(4, 1, 0)],
    ['no SCT', Uint8Array.of(4, 2, 0, 0)],
    ['an SCT of no length', Uint8Array.of(4, 4, 0, 2, 0, 0)],
    ['a length that is too long', octetString(Uint8Array.of(0, 4, 0, 1, 0))],
    ['a length that is too short', octetString(Uint8Array.of(0, 3, 0, 1, 0, 9))],
    ['half a length of an SCT', octetString(Uint8Array.of(0, 4, 0, 1, 1, 0))],
    ['an SCT that is longer than the list', octetString(Uint8Array.of(0, 3, 0, 2, 0))],
  ])('with %s is ERR_TRUST_SCT_LIST_MALFORMED', (_, value) => {
    expect(parseSctList(value)).toEqual({
      code: 'ERR_TRUST_SCT_LIST_MALFORMED',
      certificateIndex: 0,
      message: 'the SCT list is empty, or its parts do not fit into each other',
    })
  })

  test('has 32 at most: ERR_TRUST_SCT_LIST_TOO_LARGE', () => {
    const of = (count: number) => read(sctList(Array.from({ length: count }, () => one)))
    expect(of(32)).toHaveLength(32)
    expect(of(33)).toBe('ERR_TRUST_SCT_LIST_TOO_LARGE')
    expect(parseSctList(sctList(new Array<Uint8Array>(33).fill(one)))).toMatchObject({ message: 'more than 32 SCTs' })
  })

  test('never throws, whatever it holds', () => {
    const genuine = sctList([one, one])
    const bytes = fc.uint8Array({ maxLength: 400 })
    const changed = fc.tuple(fc.nat(genuine.length - 1), fc.nat(255)).map(([at, octet]) => genuine.with(at, octet))
    fc.assert(fc.property(fc.oneof(bytes, bytes.map(octetString), changed), (value) => void read(value)))
  })
})
