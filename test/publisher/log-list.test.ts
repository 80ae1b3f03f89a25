import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ManifestPayload } from '../../src/manifest/schema.ts'
import { contentOf, readContent } from '../../src/publisher/content.ts'
import { manifestPayload } from '../../src/publisher/documents.ts'
import { readLogList, readLogListKey } from '../../src/publisher/log-list.ts'
import { diffCt } from '../../src/publisher/log-list-diff.ts'
import { CHROME_LOG_LIST_KEY } from '../../src/publisher/log-list-key.ts'
import type { CtInput } from '../../src/publisher/wire.ts'
import { findLog } from '../../src/trust/transparency/logs.ts'
import { encoded, listPublisher, publicList, publicLog } from '../support/log-list.ts'

const MADE = '2030-01-01T13:35:59Z'
const NOW = Date.parse('2030-01-02T00:00:00Z')
const DAY = 86_400_000
const publisher = listPublisher()

interface Reading {
  readonly bytes?: Uint8Array
  readonly signature?: Uint8Array
  readonly known?: readonly number[]
  readonly now?: number
}

function read(list: unknown, { bytes = encoded(list), signature, known = [], now = NOW }: Reading = {}) {
  return readLogList(bytes, signature ?? publisher.sign(bytes), { key: publisher.publicKey, known, now })
}

const reading = (list: unknown, more?: Reading) => () => read(list, more)
const withCode = (code: string, message: string | RegExp = '') =>
  expect.objectContaining({
    name: 'ConfigurationError',
    code,
    message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
  })

describe('a signed list (case 606)', () => {
  const list = publicList(MADE)
  const [{ logs: [first] = [] }] = list.operators as [{ logs: ReturnType<typeof publicLog>[] }, unknown]

  test('gives what clients judge by, and nothing else of it', () => {
    const { logList, leftOut } = read(list)
    expect(logList.timestamp).toBe(MADE)
    expect(logList.operators.map(({ name, logs, tiled_logs }) => [name, logs?.length, tiled_logs?.length])).toEqual([
      ['A', 2, undefined],
      ['B', undefined, 1],
    ])
    const { description, log_id, key, state, temporal_interval } = first ?? publicLog('none')
    expect(logList.operators[0]?.logs?.[0]).toEqual({ description, log_id, key, state, temporal_interval })
    expect(leftOut).toEqual([])
  })

  test('is what a client reads in the manifest, instants in milliseconds, and finds its logs in', async () => {
    const ct: CtInput = { policy: 'enforce', logList: read(list).logList }
    const payload = manifestPayload({ ...IDENTITY, hosts: [], ct })
    expect(contentOf(payload).ct).toEqual(ct)
    const { payload: understood } = await readContent({ ct })
    expect(understood.ct?.logList.timestamp).toBe(Date.parse(MADE))
    const parsed = ManifestPayload.parse(JSON.parse(Buffer.from(payload).toString()))
    const log = parsed.ct && findLog(parsed.ct.logList, first?.log_id ?? '')
    expect(log).toMatchObject({ name: 'a1', operator: 'A', kind: 'rfc6962', state: 'usable' })
    expect(log?.interval).toEqual({ start_inclusive: Date.UTC(2030, 0, 1), end_exclusive: Date.UTC(2030, 6, 1) })
    expect(log?.key).toBeDefined()
  })

  test('one changed byte of the list or of the signature: ERR_CONFIG_LOG_LIST_SIGNATURE (case 607)', () => {
    const bytes = encoded(list)
    const signature = publisher.sign(bytes)
    expect(read(list, { bytes, signature }).leftOut).toEqual([])
    const flipped = (from: Uint8Array, at: number) => from.map((byte, index) => (index === at ? byte ^ 1 : byte))
    for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
      expect(reading(list, { bytes: flipped(bytes, at), signature })).toThrow(withCode('ERR_CONFIG_LOG_LIST_SIGNATURE'))
    }
    const wrong = [flipped(signature, 0), signature.subarray(1), new Uint8Array(), listPublisher().sign(bytes)]
    for (const one of wrong) {
      expect(reading(list, { bytes, signature: one })).toThrow(withCode('ERR_CONFIG_LOG_LIST_SIGNATURE'))
    }
    const longer = new Uint8Array([...bytes, 0x0a])
    expect(reading(list, { bytes: longer, signature })).toThrow(withCode('ERR_CONFIG_LOG_LIST_SIGNATURE'))
  })
})

describe('what grew since (case 608)', () => {
  test('members and kinds of logs that nobody here knows are passed over', () => {
    const list = publicList(MADE, { is_all_logs: false, next_version: { at: 'soon' } })
    const [operator] = list.operators as [object, object]
    const grown = {
      ...list,
      operators: [
        { ...operator, quantum_logs: [{ anything: true }], website: 'https://a.example.com/' },
        { name: 'C', quantum_logs: [] },
      ],
    }
    expect(read(grown).logList.operators.map(({ name }) => name)).toEqual(['A'])
  })

  test('a log of a state that nobody here knows, or of none, is left out and named', () => {
    const frozen = publicLog('frozen', { state: { frozen: { timestamp: MADE } } })
    const { state: _, ...stateless } = publicLog('stateless')
    const kept = publicLog('kept', { state: { readonly: { timestamp: MADE, final_tree_head: { tree_size: 1 } } } })
    const { logList, leftOut } = read({
      ...publicList(MADE),
      operators: [{ name: 'A', logs: [frozen, stateless, kept] }],
    })
    expect(leftOut).toEqual(['frozen', 'stateless'])
    expect(logList.operators[0]?.logs?.map(({ description, state }) => [description, state])).toEqual([
      ['kept', { readonly: { timestamp: MADE } }],
    ])
  })

  test('fractions of a second are dropped, since the manifest has none', () => {
    expect(read(publicList('2030-01-01T13:35:59.250Z')).logList.timestamp).toBe(MADE)
  })
})

describe('is refused:', () => {
  const only = (...logs: readonly object[]) => ({ ...publicList(MADE), operators: [{ name: 'A', logs }] })
  const log = publicLog('a1')
  const other = publicLog('a2')

  test.each<[string, unknown, string, unknown]>([
    [
      'a log whose id is not the digest of its key (case 610)',
      only({ ...log, log_id: other.log_id }),
      'log_id',
      only(log),
    ],
    ['a key that is no base64', only({ ...log, key: `${log.key}*` }), 'expected base64', only(log)],
    [
      'a log in two states',
      only({ ...log, state: { usable: { timestamp: MADE }, retired: { timestamp: MADE } } }),
      'usable and retired at once',
      only({ ...log, state: { retired: { timestamp: MADE } } }),
    ],
    ['a log that is there twice', only(log, other, log), 'stands in it twice', only(log, other)],
    [
      'a log of two operators',
      {
        ...publicList(MADE),
        operators: [
          { name: 'A', logs: [log] },
          { name: 'B', tiled_logs: [log] },
        ],
      },
      'a1, of B, stands in it twice',
      {
        ...publicList(MADE),
        operators: [
          { name: 'A', logs: [log] },
          { name: 'B', tiled_logs: [other] },
        ],
      },
    ],
    ['no log at all', only(), 'no log whose state is known', only(log)],
    ['a date that is none', publicList('2030-02-30T00:00:00Z'), 'log_list_timestamp', publicList(MADE)],
    ['a list without a date', { operators: [] }, 'log_list_timestamp', publicList(MADE)],
    [
      'an interval without an end',
      only({ ...log, temporal_interval: { start_inclusive: MADE } }),
      'end_exclusive',
      only(log),
    ],
    ['something else', [1], 'expected object', publicList(MADE)],
  ])('%s: ERR_CONFIG_LOG_LIST', (_, list, message, control) => {
    expect(reading(list)).toThrow(withCode('ERR_CONFIG_LOG_LIST', message))
    expect(reading(control)).not.toThrow()
  })

  test('what is signed and no JSON, or says a member twice: ERR_CONFIG_LOG_LIST', () => {
    const twice = Buffer.from(`{"log_list_timestamp":"${MADE}","operators":[],"operators":[]}`)
    for (const bytes of [new Uint8Array(), new Uint8Array(Buffer.from('<html>')), new Uint8Array(twice)]) {
      expect(reading(undefined, { bytes })).toThrow(withCode('ERR_CONFIG_LOG_LIST', 'expected JSON'))
    }
    const long = new Uint8Array(4 * 1024 * 1024 + 1).fill(0x20)
    expect(reading(undefined, { bytes: long })).toThrow(withCode('ERR_CONFIG_LOG_LIST', 'longer than'))
  })

  test('a list of more than 70 days, or of the future: ERR_CONFIG_LOG_LIST_STALE', () => {
    const list = publicList(MADE)
    const end = Date.parse(MADE) + 70 * DAY
    expect(reading(list, { now: end })).not.toThrow()
    expect(reading(list, { now: end + 1 })).toThrow(withCode('ERR_CONFIG_LOG_LIST_STALE', '70 days'))
    expect(reading(list, { now: Date.parse(MADE) - 300_000 })).not.toThrow()
    expect(reading(list, { now: Date.parse(MADE) - 300_001 })).toThrow(withCode('ERR_CONFIG_LOG_LIST_STALE', 'future'))
  })

  test('a list older than one that clients have: ERR_CONFIG_LOG_LIST_ROLLBACK', () => {
    const list = publicList(MADE)
    const made = Date.parse(MADE)
    expect(reading(list, { known: [made, made - DAY] })).not.toThrow()
    expect(reading(list, { known: [made - DAY, made + 1_000] })).toThrow(
      withCode('ERR_CONFIG_LOG_LIST_ROLLBACK', 'older than the one of 2030-01-01T13:36:00Z'),
    )
  })
})

describe('the key', () => {
  test('of Chrome’s lists is RSA of 4096 bits, and no other list passes by it', () => {
    const key = readLogListKey(CHROME_LOG_LIST_KEY)
    expect(key.asymmetricKeyDetails).toMatchObject({ modulusLength: 4096, publicExponent: 65_537n })
    const bytes = encoded(publicList(MADE))
    const signed = () => readLogList(bytes, publisher.sign(bytes), { key, known: [], now: NOW })
    expect(signed).toThrow(withCode('ERR_CONFIG_LOG_LIST_SIGNATURE'))
  })

  test('is RSA of 2048 bits or more, in PEM: ERR_CONFIG_LOG_LIST_SIGNATURE', () => {
    expect(readLogListKey(publisher.pem).asymmetricKeyType).toBe('rsa')
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' })
    const cases = [
      [String(ec), 'saw ec'],
      [listPublisher(1024).pem, 'RSA of 1024'],
      ['no key', 'cannot be read'],
    ] as const
    for (const [pem, message] of cases) {
      expect(() => readLogListKey(pem)).toThrow(withCode('ERR_CONFIG_LOG_LIST_SIGNATURE', message))
    }
  })
})

test('a diff names the logs that came, went and changed', () => {
  const [stays, goes, comes] = [publicLog('stays'), publicLog('goes'), publicLog('comes')]
  const ctOf = (policy: CtInput['policy'], timestamp: string, ...logs: readonly object[]): CtInput => ({
    policy,
    logList: read({ ...publicList(timestamp), operators: [{ name: 'A', logs }] }, { now: Date.parse(timestamp) })
      .logList,
  })
  const before = ctOf('report', MADE, stays, goes)
  const retired = { ...stays, state: { retired: { timestamp: MADE } } }
  expect(diffCt(before, ctOf('enforce', '2030-02-01T00:00:00Z', retired, comes))).toEqual({
    policy: { from: 'report', to: 'enforce' },
    list: { from: MADE, to: '2030-02-01T00:00:00Z' },
    logsAdded: ['comes'],
    logsRemoved: ['goes'],
    logsChanged: ['stays'],
  })
  expect(diffCt(before, before)).toBeUndefined()
  expect(diffCt(undefined, before)).toMatchObject({ policy: { to: 'report' }, logsAdded: ['stays', 'goes'] })
})

const IDENTITY = {
  repo: 'acme/pins',
  env: 'test',
  version: 1,
  issuedAt: NOW,
  expires: NOW + DAY,
  epoch: 1,
  staleGrace: 0,
} as const
