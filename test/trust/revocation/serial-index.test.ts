import { describe, expect, test } from 'vitest'
import { NO_REASON, SerialIndex } from '../../../src/trust/revocation/serial-index.ts'

/** Serial numbers that differ, each within other bytes, as a list has them. */
const placed = (count: number, octets: number): readonly Placed[] =>
  Array.from({ length: count }, (_, n) => {
    const bytes = new Uint8Array(3 + octets + 3).fill(0xff)
    new DataView(bytes.fill(0, 3, 3 + octets).buffer).setUint32(3 + octets - 4, n)
    return { bytes, start: 3, end: 3 + octets }
  })

interface Placed {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

// Of 11 octets, a chunk of records is full to the last octet.
test.each([
  [4, 0],
  [10, 0],
  [11, 0],
  [11, 10_000],
  [64, 0],
])(
  'of serial numbers of %i octets each is found, where %i were expected, and what was said of it last',
  (octets, expected) => {
    const index = new SerialIndex(expected)
    const serials = placed(4_500, octets)
    const again = serials.slice(0, 100)
    for (const [n, { bytes, start, end }] of serials.entries()) index.add(bytes, start, end, n % 11, n)
    for (const { bytes, start, end } of again) index.add(bytes, start, end, NO_REASON, 0xffff_ffff)
    const found = serials.map(({ bytes, start, end }) => index.get(bytes.subarray(start, end)))
    const records = serials.map((_, n) => ({ revokedAt: n * 1_000, reason: n % 11 }))
    expect(found).toEqual([...again.map(() => ({ revokedAt: 0xffff_ffff * 1_000 })), ...records.slice(100)])
    const others = [new Uint8Array(), new Uint8Array(octets).fill(0xff), new Uint8Array(octets - 1)]
    expect(others.map((other) => index.get(other))).toEqual([undefined, undefined, undefined])
    expect(index.size).toBe(4_600)
  },
)

test('a serial number has 1 to 64 octets', () => {
  const index = new SerialIndex(1)
  const add = (octets: number) => index.add(new Uint8Array(70), 2, 2 + octets, NO_REASON, 0)
  expect(() => add(0)).toThrow(new RangeError('a serial number of 0 octets'))
  expect(() => add(65)).toThrow(new RangeError('a serial number of 65 octets'))
  add(1)
  add(64)
  expect(index.size).toBe(2)
})

describe('the memory of an index', () => {
  /** What is allocated while the work runs; less where something else is collected meanwhile. */
  function bytesFor(work: () => unknown): number {
    const before = process.memoryUsage().arrayBuffers
    const kept = work()
    const bytes = process.memoryUsage().arrayBuffers - before
    expect(kept).toBeDefined()
    return bytes
  }

  test('is what its entries take', () => {
    const serials = placed(50_000, 16)
    const filled = () => {
      const index = new SerialIndex(50_000)
      for (const { bytes, start, end } of serials) index.add(bytes, start, end, NO_REASON, 0)
      return index
    }
    expect(bytesFor(filled)).toBeLessThan(50_000 * 40) // 22 each, and chunks that are begun
  })

  test('is small for each of a thousand issuers that an indirect list may name', () => {
    const each = () => {
      const index = new SerialIndex(8)
      index.add(Uint8Array.of(1), 0, 1, NO_REASON, 0)
      return index
    }
    expect(bytesFor(() => Array.from({ length: 1_024 }, each))).toBeLessThan(1_024 * 6_000)
  })
})

const COUNT = 65_536

/** Serial numbers of four octets that a hash without a secret, here FNV-1a, sends to a few neighbouring slots. */
function chosenSerials(): readonly Uint8Array[] {
  const serials: Uint8Array[] = []
  for (let n = 0x0100_0000; serials.length < COUNT; n += 1) {
    let hash = 0x811c9dc5
    for (const shift of [24, 16, 8, 0]) hash = Math.imul(hash ^ ((n >>> shift) & 0xff), 0x01000193)
    const slot = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) & (2 * COUNT - 1)
    if (slot < 512) serials.push(Uint8Array.of(n >>> 24, n >>> 16, n >>> 8, n))
  }
  return serials
}

test('serial numbers that a hostile list chose to collide are indexed in a moment', { timeout: 120_000 }, () => {
  const serials = chosenSerials()
  const index = new SerialIndex(COUNT)
  const begun = performance.now()
  for (const serial of serials) index.add(serial, 0, serial.length, NO_REASON, 1)
  expect(performance.now() - begun).toBeLessThan(3_000) // a twentieth of a second; more than ten where they collide
  expect(index.size).toBe(COUNT)
  for (const serial of serials) expect(index.get(serial)).toEqual({ revokedAt: 1_000 })
  expect(index.get(Uint8Array.of(1))).toBeUndefined()
})
