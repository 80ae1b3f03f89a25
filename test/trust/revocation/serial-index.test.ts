import { expect, test } from 'vitest'
import { NO_REASON, SerialIndex } from '../../../src/trust/revocation/serial-index.ts'

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
