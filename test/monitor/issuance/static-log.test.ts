import { staticLog } from 'pinfetch/monitor'
import { createTestLog, generateKey, poisoned, startManifestServer, type TestStaticLog, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { readTile, verifyTile } from '../../../src/monitor/issuance/tile.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import { testClient, until } from '../../support/client.ts'
import { check, namesIn } from './stage.ts'

const ORIGIN = 'log.example.com/2026'
const HOUR = 3_600_000

describe('readTile and verifyTile', () => {
  const ca = testCa()
  const certificates = Array.from({ length: 8 }, (_, index) => ca.issue({ names: [`${index}.example.org`] }))
  const log = filled(createTestLog({ origin: ORIGIN }), 1024 + 77, (index) => {
    const certificate = certificates[index % 8] ?? certificates[0]
    if (certificate === undefined) throw new Error('no certificate')
    return { certificate, isPrecertificate: index % 3 === 0 }
  })
  const files = log.files()
  const file = (path: string): Uint8Array => files.get(path) ?? new Uint8Array()

  test('every leaf hash of four tiles of 256 equals the level-0 tile (case 612)', () => {
    for (let index = 0; index < 4; index += 1) {
      const entries = readTile(file(`tile/data/00${index}`), { index, width: 256 })
      expect(entries.map((entry) => entry.index)).toEqual(Array.from({ length: 256 }, (_, i) => index * 256 + i))
      verifyTile(entries, file(`tile/0/00${index}`))
    }
    const [first, second] = readTile(file('tile/data/000'), { index: 0, width: 256 })
    expect(first).toMatchObject({ kind: 'tbsCertificate', precertificate: expect.any(Uint8Array) })
    expect(second).toMatchObject({ kind: 'certificate', signedEntry: Buffer.from(certificates[1]?.der ?? []) })
  })

  test('a partial tile (case 615)', () => {
    const entries = readTile(file('tile/data/004.p/77'), { index: 4, width: 77 })
    verifyTile(entries, file('tile/0/004.p/77'))
    expect(entries).toHaveLength(77)
  })

  test('each octet of an entry counts (case 613)', () => {
    const good = file('tile/data/004.p/77')
    const [entry] = readTile(good, { index: 4, width: 77 })
    for (const at of [0, 7, 20, 60, (entry?.signedEntry.length ?? 0) - 1]) {
      const bad = Buffer.from(good)
      bad[at] = (bad[at] ?? 0) ^ 1
      const judge = () => verifyTile(readTile(bad, { index: 4, width: 77 }), file('tile/0/004.p/77'))
      expect(judge).toThrow(expect.objectContaining({ code: 'ERR_MONITOR_LOG_TILE' }))
    }
  })

  test('every prefix of a tile, and more than the tile, is ERR_MONITOR_LOG_TILE', () => {
    const good = Buffer.from(file('tile/data/000'))
    const [, , third] = readTile(good, { index: 0, width: 256 })
    const cut = (third?.signedEntry.byteOffset ?? 0) - good.byteOffset
    const tile = good.subarray(0, cut)
    for (let length = 0; length < tile.length; length += 1) {
      const judge = () => readTile(tile.subarray(0, length), { index: 0, width: 3 })
      expect(judge).toThrow(expect.objectContaining({ code: 'ERR_MONITOR_LOG_TILE' }))
    }
    const tooMany = () => readTile(good, { index: 0, width: 255 })
    expect(tooMany).toThrow(expect.objectContaining({ code: 'ERR_MONITOR_LOG_TILE' }))
  })

  test('random octets never throw anything else', () => {
    for (let seed = 1; seed < 500; seed += 1) {
      const bytes = Uint8Array.from(
        { length: seed },
        (_, index) => (seed * 31 + index * index * 7) & (seed % 2 ? 255 : 3),
      )
      try {
        readTile(bytes, { index: 0, width: 1 + (seed % 3) })
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_MONITOR_LOG_TILE' })
      }
    }
  })
})

describe('staticLog', () => {
  test('tells of a rogue certificate and of a rogue precertificate; known keys and others’ names are silent', async () => {
    const { ca, log, own, check } = await logStage()
    const [first, second] = [ca.issue({ names: ['a.example.com'] }), ca.issue({ names: ['b.example.com'] })]
    log.add(ca.issue({ names: ['example.org'] }))
    log.add(own)
    log.add(first)
    log.add(second, { precertificate: poisoned(second) })
    log.add(own, { precertificate: poisoned(own) })
    const { unexpected, failures } = await check({ from: 0 })
    expect(failures).toEqual([])
    expect(unexpected).toMatchObject([
      { spki: first.pin, source: ORIGIN, names: ['a.example.com'] },
      { spki: second.pin, source: ORIGIN, names: ['b.example.com'] },
    ])
  })

  test('begins at the end, and reads on from there', async () => {
    const { log, check, rogue } = await logStage()
    log.add(rogue('before'))
    const cursor = memoryStore()
    expect((await check({ cursor })).unexpected).toEqual([])
    for (const count of [1, 3, 255, 300, 2, 520]) {
      filled(log, count - 1, () => ({ certificate: OTHER, isPrecertificate: false }))
      log.add(rogue(`at-${log.size}`))
      const { unexpected, failures } = await check({ cursor })
      expect(failures).toEqual([])
      expect(namesIn(unexpected)).toEqual([`at-${log.size - 1}.example.com`])
      expect((await check({ cursor })).unexpected).toEqual([])
    }
  })

  test.each([0, 1, 2, 255, 256, 257, 512, 700])('a tree of %i entries verifies', async (size) => {
    const { log, check, rogue } = await logStage()
    filled(log, size, () => ({ certificate: OTHER, isPrecertificate: false }))
    const cursor = memoryStore()
    expect(await check({ cursor, from: 0 })).toMatchObject({ failures: [], unexpected: [] })
    log.add(rogue('next'))
    expect(await check({ cursor })).toMatchObject({ failures: [], unexpected: [{ names: ['next.example.com'] }] })
  })

  test('a tree of three levels verifies, and continues', async () => {
    const { log, check, rogue } = await logStage()
    filled(log, 65_536 - 100, () => ({ certificate: OTHER, isPrecertificate: false }))
    const cursor = memoryStore()
    expect(await check({ cursor })).toMatchObject({ failures: [] })
    filled(log, 300, () => ({ certificate: OTHER, isPrecertificate: false }))
    log.add(rogue('far'))
    expect(await check({ cursor })).toMatchObject({ failures: [], unexpected: [{ names: ['far.example.com'] }] })
  }, 120_000)

  test('reads the full tile where the partial one is gone (case 615)', async () => {
    const { log, check, rogue, server } = await logStage()
    filled(log, 20, () => ({ certificate: OTHER, isPrecertificate: false }))
    log.add(rogue('partial'))
    const checkpoint = log.checkpoint()
    filled(log, 500, () => ({ certificate: OTHER, isPrecertificate: false }))
    const later = new Map(log.files())
    server.serve(new Map([...later, ['checkpoint', checkpoint], ['tile/1/000.p/1', new Uint8Array()]]))
    expect(await check({ from: 0 })).toMatchObject({ failures: [], unexpected: [{ names: ['partial.example.com'] }] })
  })

  test.each([
    ['tile/data/000', 'an entry that is not in the tree'],
    ['tile/0/000', 'a hash that is not in the tree'],
    ['tile/1/000.p/1', 'a right edge that is not of the root'],
    ['tile/data/001.p/44', 'an entry at the end that is not in the tree'],
  ])('%s: %s is ERR_MONITOR_LOG_TILE (case 613)', async (path) => {
    const { log, check, rogue, server } = await logStage()
    filled(log, 299, () => ({ certificate: OTHER, isPrecertificate: false }))
    log.add(rogue('hidden'))
    const files = new Map(log.files())
    const tampered = Buffer.from(files.get(path) ?? [])
    const at = 40 % tampered.length
    tampered[at] = (tampered[at] ?? 0) ^ 1
    server.serve(files.set(path, tampered))
    expect((await check({ from: 0 })).failures).toMatchObject([{ code: 'ERR_MONITOR_LOG_TILE' }])
    server.serve(log.files())
    expect(await check({ from: 0 })).toMatchObject({ failures: [], unexpected: [{}] })
  })

  test.each([5, 256, 300])('tiles of another tree of %i entries are ERR_MONITOR_LOG_TILE', async (size) => {
    const { log, check, rogue, server } = await logStage()
    log.add(rogue('hidden'))
    filled(log, size - 1, () => ({ certificate: OTHER, isPrecertificate: false }))
    const other = createTestLog({ origin: ORIGIN, key: log.key })
    filled(other, size, () => ({ certificate: OTHER, isPrecertificate: false }))
    server.serve(new Map([...other.files(), ['checkpoint', log.checkpoint()]]))
    expect((await check({ from: 0 })).failures).toMatchObject([{ code: 'ERR_MONITOR_LOG_TILE' }])
    server.serve(other)
    expect((await check({ from: 0 })).failures).toEqual([])
  })

  test('a full tile of another tree, entries and hashes, is ERR_MONITOR_LOG_TILE', async () => {
    const { log, check, rogue, server } = await logStage()
    log.add(rogue('hidden'))
    filled(log, 299, () => ({ certificate: OTHER, isPrecertificate: false }))
    const other = filled(createTestLog({ origin: ORIGIN }), 300, () => ({
      certificate: OTHER,
      isPrecertificate: false,
    }))
    const swapped = [...other.files()].filter(([path]) => path === 'tile/data/000' || path === 'tile/0/000')
    expect(swapped).toHaveLength(2)
    server.serve(new Map([...log.files(), ...swapped]))
    expect((await check({ from: 0 })).failures).toMatchObject([{ code: 'ERR_MONITOR_LOG_TILE' }])
  })

  test.each(['tile/data/000.p/7', 'tile/0/000.p/7'])('a log without %s is ERR_MONITOR_LOG_TILE', async (path) => {
    const { log, check, server } = await logStage()
    filled(log, 7, () => ({ certificate: OTHER, isPrecertificate: false }))
    const files = new Map(log.files())
    files.delete(path)
    server.serve(files)
    expect((await check({ from: 0 })).failures).toMatchObject([{ code: 'ERR_MONITOR_LOG_TILE' }])
  })

  test('a checkpoint of another origin is ERR_MONITOR_LOG_ORIGIN (case 614)', async () => {
    expect(await codeFor((log) => log.checkpoint({ origin: 'other.example.com/2026' }))).toBe('ERR_MONITOR_LOG_ORIGIN')
  })

  test('a checkpoint of another key is ERR_MONITOR_LOG_SIGNATURE (case 614)', async () => {
    expect(await codeFor((log) => log.checkpoint({ key: generateKey() }))).toBe('ERR_MONITOR_LOG_SIGNATURE')
  })

  test.each(['size', 'root', 'timestamp', 'signature'])(
    'a checkpoint whose %s was changed is ERR_MONITOR_LOG_SIGNATURE (case 614)',
    async (part) => {
      const code = await codeFor((log) => {
        const [origin = '', size = '', root = '', empty = '', line = ''] = Buffer.from(log.checkpoint())
          .toString()
          .split('\n')
        const note = Buffer.from(line.slice(line.lastIndexOf(' ') + 1), 'base64')
        if (part === 'timestamp') note[11] = (note[11] ?? 0) ^ 1
        if (part === 'signature') note[note.length - 1] = (note.at(-1) ?? 0) ^ 1
        const other = Buffer.alloc(32, 7).toString('base64')
        const signed = `${line.slice(0, line.lastIndexOf(' '))} ${note.toString('base64')}`
        const [n, r] = [part === 'size' ? String(Number(size) + 1) : size, part === 'root' ? other : root]
        return [origin, n, r, empty, signed, ''].join('\n')
      })
      expect(code).toBe('ERR_MONITOR_LOG_SIGNATURE')
    },
  )

  test.each([
    ['a web page', '<html></html>'],
    ['nothing', ''],
    ['a size that is none', `${ORIGIN}\n007\n${'A'.repeat(43)}=\n\n\u2014 ${ORIGIN} AAAA\n`],
    ['a root of another length', `${ORIGIN}\n7\nAAAA\n\n\u2014 ${ORIGIN} AAAA\n`],
    ['an extension', `${ORIGIN}\n7\n${'A'.repeat(43)}=\nmore\n\n\u2014 ${ORIGIN} AAAA\n`],
  ])('%s is ERR_MONITOR_LOG_CHECKPOINT', async (_what, text) => {
    expect(await codeFor(() => text)).toBe('ERR_MONITOR_LOG_CHECKPOINT')
  })

  test('a checkpoint of yesterday, or of tomorrow, is ERR_MONITOR_LOG_STALE', async () => {
    for (const timestamp of [Date.now() - 25 * HOUR, Date.now() + HOUR]) {
      expect(await codeFor((log) => log.checkpoint({ timestamp }))).toBe('ERR_MONITOR_LOG_STALE')
    }
    expect(await codeFor((log) => log.checkpoint({ timestamp: Date.now() - 20 * HOUR }))).toBeUndefined()
  })

  test('signatures of witnesses are passed over', async () => {
    const code = await codeFor((log) => {
      const text = Buffer.from(log.checkpoint()).toString()
      const [body = '', signature = ''] = text.split('\n\n')
      return `${body}\n\n\u2014 witness.example AAAAAAAA\n\u2014 ${ORIGIN} AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n${signature}`
    })
    expect(code).toBeUndefined()
  })

  test('a tree that is smaller than before is ERR_MONITOR_LOG_SHRUNK (case 614)', async () => {
    const { log, check, server } = await logStage()
    filled(log, 5, () => ({ certificate: OTHER, isPrecertificate: false }))
    const before = log.files()
    filled(log, 5, () => ({ certificate: OTHER, isPrecertificate: false }))
    const cursor = memoryStore()
    expect((await check({ cursor })).failures).toEqual([])
    server.serve(before)
    expect((await check({ cursor })).failures).toMatchObject([{ code: 'ERR_MONITOR_LOG_SHRUNK' }])
  })

  test.each([5, 300])('another history of %i entries, signed by the log, is ERR_MONITOR_LOG_FORKED', async (size) => {
    const { ca, log, check, server } = await logStage()
    filled(log, size, () => ({ certificate: OTHER, isPrecertificate: false }))
    const cursor = memoryStore()
    expect((await check({ cursor })).failures).toEqual([])
    const other = createTestLog({ origin: ORIGIN, key: log.key })
    other.add(ca.issue({ names: ['example.org'] }))
    filled(other, size - 1, () => ({ certificate: OTHER, isPrecertificate: false }))
    server.serve(other)
    expect((await check({ cursor })).failures).toMatchObject([{ code: 'ERR_MONITOR_LOG_FORKED' }])
    filled(other, 10, () => ({ certificate: OTHER, isPrecertificate: false }))
    expect((await check({ cursor })).failures).toMatchObject([{ code: 'ERR_MONITOR_LOG_FORKED' }])
    server.serve(log)
    filled(log, 10, () => ({ certificate: OTHER, isPrecertificate: false }))
    expect((await check({ cursor })).failures).toEqual([])
  })

  test('names are matched where the rest of a certificate does not parse (case 618)', async () => {
    const { ca, log, check } = await logStage()
    const odd = ca.issue({ names: [], san: [{ dns: 'www.example.com\0.attacker.org' }] })
    const broken = { oid: '2.5.29.15', critical: true, value: Uint8Array.of(1, 2, 3) }
    const unparsable = ca.issue({ names: ['*.example.com'], extensions: [broken] })
    const cut = { oid: '2.5.29.17', critical: false, value: Buffer.from('\x30\x7f\x82\x7fpay.example.com', 'latin1') }
    const harmless = {
      oid: '2.5.29.17',
      critical: false,
      value: Buffer.from('\x30\x7f\x82\x7fpay.example.net', 'latin1'),
    }
    for (const certificate of [odd, unparsable, ca.issue({ subject: 'x', extensions: [cut] })]) log.add(certificate)
    log.add(ca.issue({ subject: 'x', extensions: [harmless] }))
    const { unexpected } = await check({ from: 0 })
    expect(unexpected.map(({ names }) => names)).toEqual([
      ['www.example.com\\u{0}.attacker.org'],
      ['*.example.com'],
      ['x'],
    ])
  })

  test.each([
    ['a key that is none', { key: 'AAAA' }],
    ['a key of another kind', { key: Buffer.from(generateKey('Ed25519').spki).toString('base64') }],
    ['an origin with a scheme', { origin: 'https://log.example.com' }],
    ['a negative index', { from: -1 }],
  ])('%s is ERR_CONFIG_INVALID', (_what, wrong) => {
    const key = Buffer.from(generateKey().spki).toString('base64')
    const options = { url: 'https://log.example.com/', key, ...wrong }
    expect(() => staticLog(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })
})

const OTHER = testCa().issue({ names: ['example.org'] })

/** A log that is served, and a check of it. */
async function logStage() {
  const ca = testCa()
  const identity = ca.issue({ names: ['localhost'] })
  const log = createTestLog({ origin: ORIGIN })
  const server = await until(startManifestServer({ files: log, identity }))
  const client = testClient({ pins: { localhost: [identity.pin, ca.issue().pin] }, anchors: ca.anchorPem })
  const own = ca.issue({ names: ['www.example.com'] })
  return {
    ca,
    log,
    server,
    own,
    rogue: (label: string) => ca.issue({ names: [`${label}.example.com`] }),
    check: ({ from, cursor }: { readonly from?: number; readonly cursor?: ReturnType<typeof memoryStore> }) =>
      check({
        domains: ['example.com'],
        pins: [own.pin],
        fetch: client.fetch,
        ...(cursor === undefined ? {} : { cursor }),
        sources: [
          staticLog({ url: server.url, key: log.publicKey, origin: ORIGIN, ...(from === undefined ? {} : { from }) }),
        ],
      }),
  }
}

async function codeFor(checkpoint: (log: TestStaticLog) => Uint8Array | string): Promise<string | undefined> {
  const { log, server, check } = await logStage()
  filled(log, 3, () => ({ certificate: OTHER, isPrecertificate: false }))
  server.serve(new Map([...log.files(), ['checkpoint', new Uint8Array(Buffer.from(checkpoint(log)))]]))
  const { failures } = await check({ from: 0 })
  return failures[0]?.code
}

interface Filling {
  readonly certificate: ReturnType<ReturnType<typeof testCa>['issue']>
  readonly isPrecertificate: boolean
}

function filled(log: TestStaticLog, count: number, fill: (index: number) => Filling): TestStaticLog {
  for (let index = 0; index < count; index += 1) {
    const { certificate, isPrecertificate } = fill(index)
    log.add(certificate, isPrecertificate ? { precertificate: poisoned(certificate) } : {})
  }
  return log
}
