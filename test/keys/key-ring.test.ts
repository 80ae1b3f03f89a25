import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { currentSigner, keyRing, signersOf } from '../../src/keys/key-ring.ts'
import { localSigner } from '../../src/keys/signer.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'

const MAY = new Date('2026-05-01T00:00:00Z')
const JUNE = new Date('2026-06-01T00:00:00Z')
const at = (date: Date, offsetMs = 0) => toUnixMs(date.getTime() + offsetMs)
const signer = (keyId: string) => localSigner(generateKeyPairSync('ed25519').privateKey, { keyId })
const [old, next] = [signer('old'), signer('next')]

test('SIG-18: the new key signs from its activateAt on, and not a millisecond before', () => {
  const ring = keyRing([
    { signer: next, activateAt: MAY },
    { signer: old, retireAt: JUNE },
  ])
  expect(ring.current(at(MAY, -1)).keyId).toBe('old')
  expect(ring.current(at(MAY)).keyId).toBe('next')
  expect(ring.current(at(JUNE)).keyId).toBe('next')
  expect(ring.all.map(({ keyId }) => keyId).sort()).toEqual(['next', 'old'])
})

test('no key signs once it is retired, or before it is activated: ERR_SIGN_KEY_UNSUITABLE', () => {
  const ring = keyRing([{ signer: old, activateAt: MAY, retireAt: JUNE }])
  expect(ring.current(at(JUNE, -1))).toBe(old)
  for (const time of [at(MAY, -1), at(JUNE)])
    expect(() => ring.current(time)).toThrow(expect.objectContaining({ code: 'ERR_SIGN_KEY_UNSUITABLE' }))
})

test('the key before signs again where the newest one retires first', () => {
  const ring = keyRing([{ signer: old }, { signer: next, activateAt: MAY, retireAt: JUNE }])
  expect([at(MAY, -1), at(MAY), at(JUNE)].map((time) => ring.current(time).keyId)).toEqual(['old', 'next', 'old'])
})

test('other keys take the place of those in use without a restart, and wrong ones leave them', () => {
  const ring = keyRing([{ signer: old }])
  ring.replace([{ signer: next }])
  expect(ring.current(at(MAY))).toBe(next)
  expect(() => ring.replace([])).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  expect(ring.current(at(MAY))).toBe(next)
  expect(ring.all).toEqual([next])
})

test('the dates are those of the day it was made, whatever becomes of the objects', () => {
  const moved = new Date(MAY)
  const ring = keyRing([{ signer: old }, { signer: next, activateAt: moved }])
  moved.setFullYear(2020)
  expect(ring.current(at(MAY, -1))).toBe(old)
})

test.each([
  ['no key', []],
  ['two keys of one time', [{ signer: old }, { signer: next }]],
  ['a key that retires before it is activated', [{ signer: old, activateAt: JUNE, retireAt: MAY }]],
  ['a date that is none', [{ signer: old, activateAt: new Date(Number.NaN) }]],
])('%s is no ring: ERR_CONFIG_INVALID', (_, keys) => {
  expect(() => keyRing(keys)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
})

test('a single signer stands for a ring of one', () => {
  expect(currentSigner(old, at(MAY))).toBe(old)
  expect(signersOf(old)).toEqual([old])
  const ring = keyRing([{ signer: next }])
  expect(currentSigner(ring, at(MAY))).toBe(next)
  expect(signersOf(ring)).toEqual([next])
})
