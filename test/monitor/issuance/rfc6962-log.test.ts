import { createHash } from 'node:crypto'
import { rfc6962Log } from 'pinfetch/monitor'
import { createRfc6962Log, generateKey, type LogMessage, poisoned, startLogServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../../src/stores/memory.ts'
import { testClient, until } from '../../support/client.ts'
import { check, namesIn } from './stage.ts'

const HOUR = 3_600_000
const ca = testCa()
const OTHER = ca.issue({ names: ['example.org'] })
const POISONED = poisoned(OTHER)

const rogue = (label: string) => ca.issue({ names: [`${label}.example.com`] })

describe('what is told', () => {
  test('a rogue certificate and a rogue precertificate; known keys and others’ names are silent', async () => {
    const { log, own, check } = await logStage()
    const [first, second] = [rogue('a'), rogue('b')]
    const submitted = poisoned(second)
    log.add(OTHER)
    log.add(own)
    log.add(first)
    log.add(second, { precertificate: submitted })
    log.add(own, { precertificate: poisoned(own) })
    const { unexpected, failures, source } = await check({ from: 0 })
    expect(failures).toEqual([])
    expect(unexpected).toMatchObject([
      { spki: first.pin, source, names: ['a.example.com'], sha256: sha256(first.der) },
      { spki: second.pin, source, names: ['b.example.com'], sha256: sha256(submitted.der) },
    ])
  })

  test('from the end on, and each once', async () => {
    const { log, check } = await logStage()
    log.add(rogue('before'))
    const cursor = memoryStore()
    expect((await check({ cursor })).unexpected).toEqual([])
    for (const count of [1, 2, 4, 3, 245, 300, 2]) {
      fill(log, count - 1)
      log.add(rogue(`at-${log.size}`))
      const { unexpected, failures } = await check({ cursor })
      expect(failures).toEqual([])
      expect(namesIn(unexpected)).toEqual([`at-${log.size - 1}.example.com`])
      expect((await check({ cursor })).unexpected).toEqual([])
    }
  })

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])('from the entry %i on', async (from) => {
    const { log, check } = await logStage()
    for (let index = 0; index < 9; index += 1) log.add(rogue(String(index)))
    const { unexpected, failures } = await check({ from })
    expect(failures).toEqual([])
    expect(namesIn(unexpected)).toEqual([...Array(9).keys()].slice(from).map((index) => `${index}.example.com`))
  })

  test.each([1, 3, 100])('all of it, from a log that answers %i entries at once', async (maxEntries) => {
    const { log, check, server } = await logStage({ maxEntries })
    fill(log, maxEntries * 3)
    log.add(rogue('last'))
    const { unexpected, failures } = await check({ from: 0 })
    expect({ failures, names: namesIn(unexpected) }).toEqual({ failures: [], names: ['last.example.com'] })
    expect(server.requests.filter(({ path }) => path.includes('get-entries'))).toHaveLength(4)
  })

  test.each([0, 1, 2, 255, 256, 257, 512, 700])('of a tree of %i entries, and of what comes after', async (size) => {
    const { log, check } = await logStage()
    fill(log, size)
    const cursor = memoryStore()
    expect(await check({ cursor, from: 0 })).toMatchObject({ failures: [], unexpected: [] })
    log.add(rogue('next'))
    expect(await check({ cursor })).toMatchObject({ failures: [], unexpected: [{ names: ['next.example.com'] }] })
  })

  test('what was proven before a log fails, and the rest with the next pass', async () => {
    const { log, check, server } = await logStage()
    log.add(rogue('first'))
    fill(log, 300)
    log.add(rogue('last'))
    const cursor = memoryStore()
    server.lie('get-entries', (honest, inputs) => (inputs.get('start') === '0' ? honest : 'down'))
    const before = await check({ cursor, from: 0 })
    expect(before.failures).toMatchObject([{ code: 'ERR_MONITOR_SOURCE_MALFORMED' }])
    expect(namesIn(before.unexpected)).toEqual(['first.example.com'])
    server.lie('get-entries', undefined)
    log.add(rogue('later'))
    const after = await check({ cursor })
    expect(after.failures).toEqual([])
    expect(namesIn(after.unexpected)).toEqual(['last.example.com', 'later.example.com'])
  })

  test('not what was there before the watch, though a proof takes it to be read again', async () => {
    const { log, check, server } = await logStage({ maxEntries: 1 })
    log.add(OTHER)
    log.add(rogue('before'))
    const cursor = memoryStore()
    expect(await check({ cursor })).toMatchObject({ failures: [], unexpected: [] })
    log.add(rogue('after'))
    server.lie('get-entries', (honest, inputs) => (inputs.get('start') === '0' ? honest : 'down'))
    expect(await check({ cursor })).toMatchObject({ failures: [{}], unexpected: [] })
    server.lie('get-entries', undefined)
    expect(await check({ cursor })).toMatchObject({ failures: [], unexpected: [{ names: ['after.example.com'] }] })
  })

  test('of a log with an RSA key as well', async () => {
    const { log, check } = await logStage({ key: generateKey('RSA-2048') })
    log.add(rogue('a'))
    expect(await check({ from: 0 })).toMatchObject({ failures: [], unexpected: [{ names: ['a.example.com'] }] })
  })
})

describe('the tree head', () => {
  test('of another key is ERR_MONITOR_LOG_SIGNATURE', async () => {
    const { log, server, codeOf } = await logStage()
    server.lie('get-sth', () => log.treeHead({ key: generateKey() }))
    expect(await codeOf()).toBe('ERR_MONITOR_LOG_SIGNATURE')
    server.lie('get-sth', undefined)
    expect(await codeOf()).toBeUndefined()
  })

  test.each(['tree_size', 'timestamp', 'sha256_root_hash'] as const)(
    'whose %s was changed is ERR_MONITOR_LOG_SIGNATURE',
    async (member) => {
      const { log, server, codeOf } = await logStage()
      fill(log, 3)
      server.lie('get-sth', (honest) => {
        const value: unknown = Reflect.get(honest, member)
        const other = typeof value === 'number' ? value - 1 : Buffer.alloc(32, 7).toString('base64')
        return { ...honest, [member]: other }
      })
      expect(await codeOf()).toBe('ERR_MONITOR_LOG_SIGNATURE')
    },
  )

  test.each([
    ['another hash', (octets: Buffer) => octets.with(0, 5)],
    ['another kind of key', (octets: Buffer) => octets.with(1, 1)],
    ['another length', (octets: Buffer) => octets.with(3, (octets[3] ?? 0) - 1)],
    ['another signature', (octets: Buffer) => octets.with(-1, (octets.at(-1) ?? 0) ^ 1)],
    ['more octets', (octets: Buffer) => Buffer.concat([octets, Buffer.alloc(1)])],
    ['three octets', (octets: Buffer) => octets.subarray(0, 3)],
    ['no octet', () => Buffer.alloc(0)],
  ])('whose signature has %s is ERR_MONITOR_LOG_SIGNATURE', async (_what, change) => {
    const { server, codeOf } = await logStage()
    server.lie('get-sth', (honest) => {
      const signature = Buffer.from(String(Reflect.get(honest, 'tree_head_signature')), 'base64')
      return { ...honest, tree_head_signature: Buffer.from(change(signature)).toString('base64') }
    })
    expect(await codeOf()).toBe('ERR_MONITOR_LOG_SIGNATURE')
  })

  test('of yesterday, or of tomorrow, is ERR_MONITOR_LOG_STALE', async () => {
    const { log, server, codeOf } = await logStage()
    for (const timestamp of [Date.now() - 25 * HOUR, Date.now() + HOUR]) {
      server.lie('get-sth', () => log.treeHead({ timestamp }))
      expect(await codeOf()).toBe('ERR_MONITOR_LOG_STALE')
    }
    server.lie('get-sth', () => log.treeHead({ timestamp: Date.now() - 20 * HOUR }))
    expect(await codeOf()).toBeUndefined()
  })
})

describe('the tree', () => {
  test.each([0, 3, 4])('of %i entries where there were more is ERR_MONITOR_LOG_SHRUNK', async (size) => {
    const { log, server, check } = await logStage()
    fill(log, 5)
    const cursor = memoryStore()
    expect((await check({ cursor })).failures).toEqual([])
    server.lie('get-sth', () => log.treeHead({ size }))
    expect((await check({ cursor })).failures).toMatchObject([{ code: 'ERR_MONITOR_LOG_SHRUNK' }])
  })

  test.each([1, 4, 5, 300])('another history of %i entries, signed, is ERR_MONITOR_LOG_FORKED', async (size) => {
    const { log, server, check } = await logStage()
    fill(log, size)
    const cursor = memoryStore()
    expect((await check({ cursor })).failures).toEqual([])
    const other = createRfc6962Log({ key: log.key })
    other.add(rogue('hidden'))
    fill(other, size - 1)
    server.serve(other)
    expect(await check({ cursor })).toMatchObject({ failures: [{ code: 'ERR_MONITOR_LOG_FORKED' }], unexpected: [] })
    fill(other, 10)
    expect(await check({ cursor })).toMatchObject({ failures: [{ code: 'ERR_MONITOR_LOG_FORKED' }], unexpected: [] })
    server.serve(log)
    fill(log, 10)
    expect((await check({ cursor })).failures).toEqual([])
  })

  test('with a proof that proves nothing is ERR_MONITOR_LOG_FORKED', async () => {
    const { log, server, check } = await logStage()
    fill(log, 5)
    const cursor = memoryStore()
    expect((await check({ cursor })).failures).toEqual([])
    fill(log, 5)
    server.lie('get-sth-consistency', () => ({ consistency: [] }))
    expect((await check({ cursor })).failures).toMatchObject([{ code: 'ERR_MONITOR_LOG_FORKED' }])
  })

  test('that is not proven where a watch begins is ERR_MONITOR_LOG_TILE', async () => {
    const { log, server, check } = await logStage()
    fill(log, 5)
    server.lie('get-sth-consistency', () => ({ consistency: [Buffer.alloc(32).toString('base64')] }))
    expect((await check({ from: 3 })).failures).toMatchObject([{ code: 'ERR_MONITOR_LOG_TILE' }])
  })
})

describe('entries', () => {
  test.each([
    ['in the first of two answers', 0, 300],
    ['in the last answer', 256, 300],
    ['in the only answer', 0, 4],
  ])('of which one was rewritten, %s, are ERR_MONITOR_LOG_TILE, and none is told', async (_where, at, size) => {
    const { log, server, check } = await logStage()
    fill(log, at)
    log.add(rogue('hidden'))
    fill(log, size - log.size)
    const other = createRfc6962Log()
    fill(other, size)
    server.lie('get-entries', (honest, inputs) =>
      inputs.get('start') === String(at) ? other.answer('get-entries', inputs) : honest,
    )
    const { unexpected, failures } = await check({ from: 0 })
    expect({ unexpected, failures }).toMatchObject({ unexpected: [], failures: [{ code: 'ERR_MONITOR_LOG_TILE' }] })
    server.lie('get-entries', undefined)
    expect(await check({ from: 0 })).toMatchObject({ failures: [], unexpected: [{ names: ['hidden.example.com'] }] })
  })

  test.each([
    ['one is left out', (entries: readonly unknown[]) => entries.slice(1)],
    ['the order is another', (entries: readonly unknown[]) => entries.toReversed()],
    ['one is there twice', (entries: readonly unknown[]) => entries.with(1, entries[0])],
  ])('of which %s are ERR_MONITOR_LOG_TILE', async (_what, change) => {
    const { log, server, check } = await logStage()
    for (const label of ['a', 'b', 'c', 'd']) log.add(rogue(label))
    server.lie('get-entries', (honest) => ({ entries: change(entriesIn(honest)) }))
    const { unexpected, failures } = await check({ from: 0 })
    expect({ unexpected, failures }).toMatchObject({ unexpected: [], failures: [{ code: 'ERR_MONITOR_LOG_TILE' }] })
  })

  test.each([
    ['none', () => []],
    ['more than were asked for', (entries: readonly unknown[]) => [...entries, ...entries]],
  ])('%s: ERR_MONITOR_SOURCE_MALFORMED', async (_what, change) => {
    const { log, server, codeOf } = await logStage()
    fill(log, 4)
    server.lie('get-entries', (honest) => ({ entries: change(entriesIn(honest)) }))
    expect(await codeOf()).toBe('ERR_MONITOR_SOURCE_MALFORMED')
  })

  test.each<[string, 'leaf_input' | 'extra_data', (octets: Buffer) => Uint8Array]>([
    ['nothing for a leaf', 'leaf_input', () => Buffer.alloc(0)],
    ['a leaf without an entry', 'leaf_input', (octets) => octets.subarray(0, 2)],
    ['a leaf of another version', 'leaf_input', (octets) => octets.with(0, 1)],
    ['a leaf of another type', 'leaf_input', (octets) => octets.with(1, 1)],
    ['a leaf that is cut short', 'leaf_input', (octets) => octets.subarray(0, -1)],
    ['a leaf with more behind it', 'leaf_input', (octets) => Buffer.concat([octets, Buffer.alloc(1)])],
    ['a certificate that is longer than its leaf', 'leaf_input', (octets) => octets.with(12, 255)],
    ['nothing for a chain', 'extra_data', () => Buffer.alloc(0)],
    ['a chain that is cut short', 'extra_data', (octets) => octets.subarray(0, -1)],
    ['a chain with more behind it', 'extra_data', (octets) => Buffer.concat([octets, Buffer.alloc(1)])],
  ])('with %s: ERR_MONITOR_SOURCE_MALFORMED', async (_what, member, change) => {
    const { log, server, codeOf } = await logStage()
    log.add(OTHER)
    server.lie('get-entries', (honest) => changed(honest, member, change))
    expect(await codeOf()).toBe('ERR_MONITOR_SOURCE_MALFORMED')
  })

  test.each<[string, 'leaf_input' | 'extra_data', (octets: Buffer) => Uint8Array]>([
    ['of an unknown type', 'leaf_input', (octets) => octets.with(11, 2)],
    ['cut short', 'extra_data', (octets) => octets.subarray(0, 20)],
    ['without a chain', 'extra_data', (octets) => octets.subarray(0, -1)],
  ])('with a precertificate %s: ERR_MONITOR_SOURCE_MALFORMED', async (_what, member, change) => {
    const { log, server, codeOf } = await logStage()
    log.add(OTHER, { precertificate: POISONED })
    expect(await codeOf()).toBeUndefined()
    server.lie('get-entries', (honest) => changed(honest, member, change))
    expect(await codeOf()).toBe('ERR_MONITOR_SOURCE_MALFORMED')
  })
})

describe('answers', () => {
  const MESSAGES: readonly LogMessage[] = ['get-sth', 'get-sth-consistency', 'get-entries']

  test.each(
    MESSAGES.flatMap((message) => [
      [message, 'a web page', '<html></html>'] as const,
      [message, 'an object without members', {}] as const,
    ]),
  )('to %s: %s is ERR_MONITOR_SOURCE_MALFORMED', async (message, _what, lie) => {
    const { log, server, check } = await logStage()
    fill(log, 5)
    server.lie(message, () => lie)
    expect((await check({ from: 3 })).failures).toMatchObject([{ code: 'ERR_MONITOR_SOURCE_MALFORMED' }])
  })

  test.each<[string, LogMessage, object]>([
    ['a root of another length', 'get-sth', { sha256_root_hash: 'AAAA' }],
    ['a signature that is no base64', 'get-sth', { tree_head_signature: 'A' }],
    ['half a size', 'get-sth', { tree_size: 0.5 }],
    ['a time before 1970', 'get-sth', { timestamp: -1 }],
    ['a hash of another length', 'get-sth-consistency', { consistency: ['AAAA'] }],
    ['a leaf that is no base64', 'get-entries', { entries: [{ leaf_input: '*', extra_data: '' }] }],
  ])('with %s are ERR_MONITOR_SOURCE_MALFORMED', async (_what, message, members) => {
    const { log, server, check } = await logStage()
    fill(log, 5)
    server.lie(message, (honest) => ({ ...honest, ...members }))
    expect((await check({ from: 3 })).failures).toMatchObject([{ code: 'ERR_MONITOR_SOURCE_MALFORMED' }])
  })

  test.each(MESSAGES)('to %s without an end are ERR_MONITOR_SOURCE_TOO_LARGE', async (message) => {
    const { log, check, fetch } = await logStage()
    fill(log, 5)
    const { failures } = await check({
      from: 3,
      fetch: (input, init) =>
        new URL(String(input)).pathname.endsWith(`/${message}`) ? endless() : fetch(input, init),
    })
    expect(failures).toMatchObject([{ code: 'ERR_MONITOR_SOURCE_TOO_LARGE' }])
  })

  test('of a server that has no log there are ERR_MONITOR_SOURCE_STATUS', async () => {
    const { check } = await logStage()
    expect((await check({ path: 'elsewhere' })).failures).toMatchObject([{ code: 'ERR_MONITOR_SOURCE_STATUS' }])
  })
})

test('a cursor with another position than this source keeps is ERR_MONITOR_CURSOR_INVALID', async () => {
  const { log, check, place } = await logStage()
  fill(log, 5)
  for (const position of [7, { size: 4, root: 'AAAA', next: 4 }, { size: -1, root: '', next: 0 }]) {
    const cursor = memoryStore()
    const state = { format: 'pinfetch/ct-cursor/v1', positions: { [place]: position }, told: [] }
    await cursor.put('ct-cursor/000000000001.json', Buffer.from(JSON.stringify(state)))
    expect((await check({ cursor })).failures).toMatchObject([{ code: 'ERR_MONITOR_CURSOR_INVALID' }])
  }
})

test.each([
  ['a key that is none', { key: 'AAAA' }],
  ['a key of another kind', { key: Buffer.from(generateKey('Ed25519').spki).toString('base64') }],
  ['a negative index', { from: -1 }],
  ['half an index', { from: 0.5 }],
])('%s is ERR_CONFIG_INVALID', (_what, wrong) => {
  const key = Buffer.from(generateKey().spki).toString('base64')
  const options = { url: 'https://log.example.com/2026/', key, ...wrong }
  expect(() => rfc6962Log(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
})

type Log = ReturnType<typeof createRfc6962Log>
type Cursor = ReturnType<typeof memoryStore>

/** A log that is served, and a check of it. */
async function logStage(options: Parameters<typeof createRfc6962Log>[0] = {}) {
  const identity = ca.issue({ names: ['localhost'] })
  const log = createRfc6962Log(options)
  const server = await until(startLogServer({ identity, log }))
  const { fetch } = testClient({ pins: { localhost: [identity.pin, ca.issue().pin] }, anchors: ca.anchorPem })
  const own = ca.issue({ names: ['www.example.com'] })
  const checkLog = async ({ from, cursor, path = '', fetch: fetchWith = fetch }: Checking) => {
    const source = rfc6962Log({
      url: `${server.url}${path}`,
      key: log.publicKey,
      ...(from === undefined ? {} : { from }),
    })
    const report = await check({
      domains: ['example.com'],
      pins: [own.pin],
      fetch: fetchWith,
      sources: [source],
      ...(cursor === undefined ? {} : { cursor }),
    })
    return { ...report, source: source.name }
  }
  return {
    log,
    server,
    fetch,
    own,
    place: rfc6962Log({ url: server.url, key: log.publicKey }).place,
    check: checkLog,
    codeOf: async () => (await checkLog({ from: 0 })).failures[0]?.code,
  }
}

interface Checking {
  readonly from?: number
  readonly cursor?: Cursor
  readonly path?: string
  readonly fetch?: typeof globalThis.fetch
}

function fill(log: Log, count: number): void {
  for (let index = 0; index < count; index += 1) {
    log.add(OTHER, log.size % 3 === 0 ? { precertificate: POISONED } : {})
  }
}

const entriesIn = (honest: object): readonly { readonly leaf_input: string; readonly extra_data: string }[] =>
  Reflect.get(honest, 'entries')

function changed(honest: object, member: 'leaf_input' | 'extra_data', change: (octets: Buffer) => Uint8Array): object {
  const change64 = (text: string): string => Buffer.from(change(Buffer.from(text, 'base64'))).toString('base64')
  return { entries: entriesIn(honest).map((entry) => ({ ...entry, [member]: change64(entry[member]) })) }
}

const sha256 = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex')

async function endless(): Promise<Response> {
  const chunk = new Uint8Array(1024 * 1024).fill(0x20)
  return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(chunk) }))
}
