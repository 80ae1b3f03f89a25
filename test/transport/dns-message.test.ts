import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, type Packet, TRUNCATED_RESPONSE } from 'dns-packet'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AddressType, type DnsAnswer, encodeQuery, readAnswer } from '../../src/transport/dns-message.ts'

const HOST = 'api.example.com'

const a = (name: string, data: string, ttl = 300): Answer => ({ type: 'A', name, data, ttl })
const cname = (name: string, data: string, ttl = 300): Answer => ({ type: 'CNAME', name, data, ttl })

/** As another implementation writes it. */
function messageOf(answers: readonly Answer[], more: Partial<Packet> = {}, type: AddressType = 'A'): Buffer {
  const questions = [{ type, name: HOST, class: 'IN' as const }]
  return encode({ type: 'response', id: 0, questions, answers: [...answers], ...more })
}

const answerTo = (answers: readonly Answer[], more?: Partial<Packet>): DnsAnswer =>
  readAnswer(messageOf(answers, more), HOST, 'A')
const failed = (reason: string): DnsAnswer => ({ kind: 'failed', reason })

test.each(['A', 'AAAA'] as const)('a query of type %s is what another implementation reads', (type) => {
  const query = decode(Buffer.from(encodeQuery(HOST, type)))
  expect(query).toMatchObject({ type: 'query', id: 0, flag_rd: true, questions: [{ name: HOST, type, class: 'IN' }] })
  expect(query.answers).toEqual([])
})

describe('answers', () => {
  test('addresses, each once, with the shortest time', () => {
    const answers = [a(HOST, '192.0.2.1', 300), a(HOST, '192.0.2.2', 60), a(HOST, '192.0.2.1', 300)]
    expect(answerTo(answers)).toEqual({ kind: 'answered', addresses: ['192.0.2.1', '192.0.2.2'], ttl: 60 })
  })

  test('IPv6 addresses in canonical text', () => {
    const bytes = messageOf([{ type: 'AAAA', name: HOST, data: '2001:db8:0:0:0:0:0:1', ttl: 30 }], {}, 'AAAA')
    expect(readAnswer(bytes, HOST, 'AAAA')).toEqual({ kind: 'answered', addresses: ['2001:db8::1'], ttl: 30 })
  })

  test('behind aliases in any order, whose time counts as well', () => {
    const answers = [
      a('c.example.net', '192.0.2.1'),
      cname('b.example.net', 'c.example.net', 7),
      cname(HOST, 'B.example.net'),
    ]
    expect(answerTo(answers)).toEqual({ kind: 'answered', addresses: ['192.0.2.1'], ttl: 7 })
  })

  test('addresses of another name are not the host’s', () => {
    expect(answerTo([a('evil.example.com', '192.0.2.66')])).toMatchObject({ addresses: [] })
    expect(
      answerTo([cname(HOST, 'x.example.net'), a(HOST, '192.0.2.66'), a('x.example.net', '192.0.2.1')]),
    ).toMatchObject({
      addresses: ['192.0.2.1'],
    })
  })

  test('records of other types are passed over', () => {
    const answers: Answer[] = [{ type: 'TXT', name: HOST, data: 'x' }, a(HOST, '192.0.2.1')]
    expect(answerTo(answers)).toMatchObject({ addresses: ['192.0.2.1'] })
  })

  test('a name that does not exist has no addresses', () => {
    expect(answerTo([], { flags: AUTHORITATIVE_ANSWER | 3 })).toMatchObject({ kind: 'answered', addresses: [] })
    expect(answerTo([])).toMatchObject({ kind: 'answered', addresses: [] })
  })

  test('the question is compared without case', () => {
    const bytes = messageOf([a(HOST, '192.0.2.1')], { questions: [{ type: 'A', name: 'API.example.COM' }] })
    expect(readAnswer(bytes, HOST, 'A')).toMatchObject({ addresses: ['192.0.2.1'] })
  })

  test('a time with the highest bit set is 0', () => {
    expect(answerTo([a(HOST, '192.0.2.1', 2 ** 31)])).toMatchObject({ ttl: 0 })
    expect(answerTo([a(HOST, '192.0.2.1', 2 ** 31 - 1)])).toMatchObject({ ttl: 2 ** 31 - 1 })
  })
})

describe('refused', () => {
  test.each<[string, Partial<Packet>]>([
    ['not a response to this query', { id: 7 }],
    ['not a response to this query', { type: 'query' }],
    ['not a response to this query', { flags: 1 << 11 }],
    ['truncated', { flags: TRUNCATED_RESPONSE }],
    ['RCODE 2', { flags: 2 }],
    ['RCODE 5', { flags: 5 }],
    ['the answer to another question', { questions: [{ type: 'A', name: 'other.example.com' }] }],
    ['the answer to another question', { questions: [{ type: 'AAAA', name: HOST }] }],
    ['the answer to another question', { questions: [{ type: 'A', name: HOST, class: 'CH' }] }],
    ['the answer to another question', { questions: [] }],
    [
      'the answer to another question',
      {
        questions: [
          { type: 'A', name: HOST },
          { type: 'A', name: HOST },
        ],
      },
    ],
  ])('%s', (reason, more) => {
    expect(answerTo([a(HOST, '192.0.2.1')], more)).toEqual(failed(reason))
  })

  const chain = (length: number): Answer[] =>
    Array.from({ length }, (_, at) => cname(at === 0 ? HOST : `n${at}.example.net`, `n${at + 1}.example.net`))

  test('eight aliases in a row are followed, nine are not', () => {
    expect(answerTo([...chain(8), a('n8.example.net', '192.0.2.1')])).toMatchObject({ addresses: ['192.0.2.1'] })
    expect(answerTo([...chain(9), a('n9.example.net', '192.0.2.1')])).toEqual(failed('more than 8 aliases in a row'))
  })

  test('aliases in a circle', () => {
    expect(answerTo([cname(HOST, 'b.example.net'), cname('b.example.net', HOST)])).toEqual(
      failed('more than 8 aliases in a row'),
    )
  })

  test('two aliases of one name', () => {
    expect(answerTo([cname(HOST, 'b.example.net'), cname(HOST, 'c.example.net')])).toEqual(
      failed('two aliases of one name'),
    )
  })

  test('more than 256 records', () => {
    const many = (length: number) => Array.from({ length }, (_, at) => a(HOST, `10.0.${at >> 8}.${at & 255}`))
    expect(answerTo(many(256))).toMatchObject({ kind: 'answered' })
    expect(answerTo(many(257))).toEqual(failed('257 records'))
  })

  test('every cut', () => {
    const bytes = messageOf([cname(HOST, 'b.example.net'), a('b.example.net', '192.0.2.1')])
    for (let length = 0; length < bytes.length; length += 1) {
      expect(readAnswer(bytes.subarray(0, length), HOST, 'A')).toMatchObject({ kind: 'failed' })
    }
    expect(readAnswer(bytes, HOST, 'A')).toMatchObject({ kind: 'answered' })
  })

  /** Header of a response with one answer, the question, and the answer as given. */
  const raw = (...answer: readonly number[]): Uint8Array => {
    const query = encodeQuery(HOST, 'A')
    const header = [0, 0, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0]
    return Uint8Array.from([...header, ...query.subarray(12), ...answer])
  }
  const RECORD = [0, 1, 0, 1, 0, 0, 0, 60]
  const OWNER = [0xc0, 12]

  test('the control: the same with nothing wrong', () => {
    expect(readAnswer(raw(...OWNER, ...RECORD, 0, 4, 192, 0, 2, 1), HOST, 'A')).toMatchObject({
      addresses: ['192.0.2.1'],
    })
  })

  test.each([
    [126, { kind: 'answered', addresses: ['192.0.2.1'], ttl: 60 } as const],
    [127, failed('a name of too many pointers')],
  ])('a name behind %i pointers in a row', (count, expected) => {
    const question = encodeQuery(HOST, 'A').subarray(12)
    const from = 12 + question.length + 11
    const to = (at: number): number[] => [0xc0 | (at >> 8), at & 0xff]
    const chain = Array.from({ length: count }, (_, at) => to(at === 0 ? 12 : from + 2 * (at - 1))).flat()
    const text = [0, 0, 16, 0, 1, 0, 0, 0, 60, 0, chain.length, ...chain]
    const address = [...to(from + chain.length - 2), ...RECORD, 0, 4, 192, 0, 2, 1]
    const bytes = [0, 0, 0x80, 0, 0, 1, 0, 2, 0, 0, 0, 0, ...question, ...text, ...address]
    expect(readAnswer(Uint8Array.from(bytes), HOST, 'A')).toEqual(expected)
  })

  test.each<[string, readonly number[]]>([
    ['a name that points forward', [0xc0, 40, ...RECORD, 0, 4, 192, 0, 2, 1]],
    ['a name that points forward', [0xc0, 33, ...RECORD, 0, 4, 192, 0, 2, 1]],
    ['a name that is too long', [64, ...Array<number>(64).fill(97), 0, ...RECORD, 0, 4, 192, 0, 2, 1]],
    [
      'a name that is too long',
      [...Array.from({ length: 128 }, () => [1, 97]).flat(), 0, ...RECORD, 0, 4, 192, 0, 2, 1],
    ],
    ['a label that is not one of a host name', [3, 97, 46, 98, 0, ...RECORD, 0, 4, 192, 0, 2, 1]],
    ['a label that is not one of a host name', [1, 0, 0, ...RECORD, 0, 4, 192, 0, 2, 1]],
    ['a label that is not one of a host name', [1, 0xe4, 0, ...RECORD, 0, 4, 192, 0, 2, 1]],
    ['3 octets as an address', [...OWNER, ...RECORD, 0, 3, 192, 0, 2]],
    ['5 octets as an address', [...OWNER, ...RECORD, 0, 5, 192, 0, 2, 1, 1]],
    ['0 octets as an address', [...OWNER, ...RECORD, 0, 0]],
    ['a record that is not as long as it says', [...OWNER, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, 97, 0, 0]],
    ['cut short', [...OWNER, ...RECORD, 0xff, 0xff, 192, 0, 2, 1]],
  ])('%s: %j', (reason, answer) => {
    expect(readAnswer(raw(...answer), HOST, 'A')).toEqual(failed(reason))
  })

  test('random bytes, and random damage, give an answer or a failure and never an exception', () => {
    const good = messageOf([cname(HOST, 'b.example.net'), a('b.example.net', '192.0.2.1')])
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(damage, (changes) => {
        const bytes = Uint8Array.from(good)
        for (const [at, byte] of changes) bytes[at] = byte
        expect(['answered', 'failed']).toContain(readAnswer(bytes, HOST, 'A').kind)
      }),
      { numRuns: 2_000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(readAnswer(bytes, HOST, 'A').kind).toBe('failed')
      }),
    )
  })
})
