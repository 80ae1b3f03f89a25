/** Host entries of a signed manifest: the rules that its schema cannot say, and where a fault stands. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { blobMissing, blobPath, checkBlob, readHosts, readNoBlob } from '../../src/manifest/hosts.ts'
import { refusalOf } from './world.ts'

type Json = Readonly<Record<string, unknown>>
const pin = (seed: string): string => `sha256/${createHash('sha256').update(seed).digest('base64')}`
const [one, two] = [{ spki: pin('one') }, { spki: pin('two') }]
const entry = (members: Json = {}): Json => ({ host: 'api.example.com', mode: 'enforce', pins: [one, two], ...members })
const where = { document: 'manifest', version: 7, source: 'a mirror' } as const
const bytesOf = (value: unknown): Uint8Array =>
  value instanceof Uint8Array ? value : new Uint8Array(Buffer.from(JSON.stringify(value)))
const referenceTo = (bytes: Uint8Array) => ({
  sha256: createHash('sha256').update(bytes).digest('hex'),
  length: bytes.length,
})

const inline = (...hosts: readonly unknown[]) =>
  readHosts({ hosts: [...hosts], anchorSets: { partner: [new Uint8Array()] } }, where, readNoBlob)

/** Hosts in blobs, given as their content. */
function inBlobs(...contents: readonly unknown[]) {
  const blobs = contents.map(bytesOf)
  const held = new Map(blobs.map((bytes) => [referenceTo(bytes).sha256, bytes]))
  return readHosts({ blobs: blobs.map(referenceTo) }, where, async (reference) =>
    checkBlob(held.get(reference.sha256) ?? new Uint8Array(), reference, where),
  )
}

const [march, april] = ['2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z']
const NO_BACKUP = 'api.example.com has one pin; losing its key would close the host'
const NEVER = 'api.example.com has a pin that is never active'
test.each<[string, Json, Json, string, string]>([
  [
    'anchors that are there',
    { trustAnchors: ['partner'] },
    { trustAnchors: ['partner', 'x'.repeat(50)] },
    'PAYLOAD_SCHEMA',
    `api.example.com names the trust anchors "${'x'.repeat(40)}", which anchorSets does not hold`,
  ],
  [
    'pins that differ',
    {},
    { pins: [one, two, { ...one, label: 'again' }] },
    'DUPLICATE_PIN',
    'api.example.com lists a pin twice',
  ],
  ['a backup pin', {}, { pins: [one] }, 'NO_BACKUP_PIN', NO_BACKUP],
  ['one pin that is to be alone', { pins: [one], singlePin: true }, { pins: [one] }, 'NO_BACKUP_PIN', NO_BACKUP],
  ['one pin that is reported', { pins: [one], mode: 'report' }, { pins: [one] }, 'NO_BACKUP_PIN', NO_BACKUP],
  [
    'a pin for a second',
    { pins: [one, { ...two, notBefore: march, notAfter: '2026-03-01T00:00:01Z' }] },
    { pins: [one, { ...two, notBefore: march, notAfter: march }] },
    'PIN_WINDOW',
    NEVER,
  ],
  [
    'a pin that begins',
    { pins: [{ ...one, notBefore: april }, two] },
    { pins: [{ ...one, notBefore: april, notAfter: march }, two] },
    'PIN_WINDOW',
    NEVER,
  ],
  [
    'a pin that ends',
    { pins: [{ ...one, notAfter: march }, two] },
    { pins: [{ ...one, notBefore: april, notAfter: march }, two] },
    'PIN_WINDOW',
    NEVER,
  ],
  ['a port of its own', {}, { port: 0 }, 'PAYLOAD_SCHEMA', 'hosts[1].port: Too small: expected number to be >=1'],
])('an entry with %s is read, one without is refused', async (_, good, bad, cause, message) => {
  const before = entry({ host: 'other.example.com' })
  expect([...(await inline(before, entry(good))).keys()]).toEqual(['other.example.com', 'api.example.com'])
  const refused = await refusalOf(inline(before, entry(bad)))
  expect(refused).toMatchObject({ code: `ERR_MANIFEST_${cause}`, ...where, message: `manifest 7: ${message}` })
})

test('two entries for one host and port are refused with ERR_MANIFEST_DUPLICATE_HOST', async () => {
  expect((await inline(entry(), entry({ port: 8443 }), entry({ port: 9443 }))).size).toBe(3)
  const refused = await refusalOf(inline(entry({ port: 8443 }), entry({ port: 8443, mode: 'report' })))
  expect(refused).toMatchObject({ code: 'ERR_MANIFEST_DUPLICATE_HOST', ...where })
  expect(refused.message).toBe('manifest 7: api.example.com has two entries')
})

test('the hosts of all blobs are read, in their order', async () => {
  const table = await inBlobs([entry()], [], [entry({ host: 'b.example.com' }), entry({ host: 'a.example.com' })])
  expect([...table.keys()]).toEqual(['api.example.com', 'b.example.com', 'a.example.com'])
  expect([...table].map(({ pins }) => pins.length)).toEqual([2, 2, 2])
})

test.each<[string, unknown, string, string]>([
  ['no list', { hosts: [] }, 'PAYLOAD_SCHEMA', 'a blob is a list of host entries'],
  ['no JSON', Uint8Array.of(0x5b), 'PAYLOAD_JSON', 'the payload is not JSON'],
  ['no UTF-8', Uint8Array.of(0xff), 'PAYLOAD_UTF8', 'the payload is not UTF-8'],
  [
    'an entry of another form',
    [entry({ host: 'b.example.com' }), entry({ mode: 'off' })],
    'PAYLOAD_SCHEMA',
    '[1].mode: Invalid option: expected one of "enforce"|"report"',
  ],
  ['a pin twice', [entry({ pins: [one, one] })], 'DUPLICATE_PIN', 'api.example.com lists a pin twice'],
  [
    'a host of another blob',
    [entry({ host: 'first.example.com' })],
    'DUPLICATE_HOST',
    'first.example.com has two entries',
  ],
])('a blob with %s is refused under its own name', async (_, content, cause, message) => {
  const refused = await refusalOf(inBlobs([entry({ host: 'first.example.com' })], content))
  expect(refused).toMatchObject({
    code: `ERR_MANIFEST_${cause}`,
    document: 'blob',
    source: `blobs/${referenceTo(bytesOf(content)).sha256}.json`,
    version: 7,
    message: `blob 7: ${message}`,
  })
})

test('a blob is the bytes that its length and hash say', async () => {
  const bytes = bytesOf([])
  const reference = referenceTo(bytes)
  expect(checkBlob(bytes, reference, where)).toBe(bytes)
  const refused = (given: Uint8Array) => refusalOf(Promise.resolve().then(() => checkBlob(given, reference, where)))
  const longer = await refused(bytesOf([1]))
  expect(longer).toMatchObject({ code: 'ERR_MANIFEST_BLOB_LENGTH_MISMATCH', ...where })
  expect(longer.message).toBe('manifest 7: expected 2 bytes, saw 3')
  const other = await refused(bytesOf({}))
  expect(other).toMatchObject({ code: 'ERR_MANIFEST_BLOB_HASH_MISMATCH', ...where })
  expect(other.message).toBe(`manifest 7: expected SHA-256 ${reference.sha256}, saw ${referenceTo(bytesOf({})).sha256}`)
})

test('a blob that cannot be had is ERR_MANIFEST_BLOB_UNAVAILABLE, by its path', async () => {
  const reference = { sha256: 'ab'.repeat(32), length: 1 }
  expect(blobPath(reference)).toBe(`blobs/${'ab'.repeat(32)}.json`)
  expect(blobMissing(reference, where).message).toBe(`manifest 7: blobs/${'ab'.repeat(32)}.json is not there`)
  const refused = await refusalOf(readHosts({ blobs: [reference] }, where, readNoBlob))
  expect(refused).toMatchObject({ code: 'ERR_MANIFEST_BLOB_UNAVAILABLE', document: 'blob' })
  expect(refused.message).toBe(`blob: blobs/${'ab'.repeat(32)}.json is not there`)
})

test('a manifest without hosts has none', async () => {
  expect((await readHosts({ hosts: [] }, where, readNoBlob)).size).toBe(0)
})

test('reading yields to the event loop once a hundred entries', async () => {
  const turnsFor = async (count: number): Promise<number> => {
    let [turns, reading] = [0, true]
    const turn = (): void => {
      turns += 1
      if (reading) setImmediate(turn)
    }
    setImmediate(turn)
    await inline(...Array.from({ length: count }, (_, index) => entry({ host: `h${index}.example.com` })))
    reading = false
    return turns
  }
  expect([await turnsFor(100), await turnsFor(101), await turnsFor(500)]).toEqual([1, 2, 5])
})
