import { expect, test } from 'vitest'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { memoryNonces } from '../../src/signing/nonce-store.ts'

const NOW = 1_000_000
const claimed =
  (store = memoryNonces()) =>
  (nonce: string, { keyId = 'k', until = NOW + 1_000, now = NOW } = {}) =>
    store.claim({ keyId, nonce, until: toUnixMs(until), now: toUnixMs(now) })

test('a nonce is new once, until its time is over', () => {
  const claim = claimed()
  expect(claim('a')).toBe(true)
  expect(claim('a', { now: NOW + 999 })).toBe(false)
  expect(claim('a', { now: NOW + 1_000, until: NOW + 5_000 })).toBe(true)
  expect(claim('a', { now: NOW + 4_999 })).toBe(false) // the later time counts from then on
})

test('nonces of several keys have nothing to do with each other', () => {
  const claim = claimed()
  expect(claim('a')).toBe(true)
  expect(claim('a', { keyId: 'other' })).toBe(true)
  expect(claim('a', { keyId: 'other' })).toBe(false)
})

test('where there is no room, what is in use stays, and what is over makes room from the instant on', () => {
  const claim = claimed(memoryNonces({ maxPerKey: 2 }))
  claim('a', { until: NOW + 10 })
  claim('b', { until: NOW + 20 })
  expect(() => claim('c', { now: NOW + 9 })).toThrow('2 nonces of one key are in use')
  expect(claim('a', { now: NOW + 9 })).toBe(false)
  expect(claim('c', { now: NOW + 10, until: NOW + 30 })).toBe(true)
  expect(claim('b', { now: NOW + 19 })).toBe(false)
  expect(() => claim('d', { now: NOW + 19 })).toThrow('2 nonces of one key are in use')
})

test('nothing is forgotten while there is room: a clock that steps back lets no nonce pass twice', () => {
  const claim = claimed(memoryNonces({ maxPerKey: 3 }))
  claim('a', { until: NOW + 10 })
  claim('b', { now: NOW + 10, until: NOW + 20 })
  expect(claim('a', { now: NOW + 5 })).toBe(false)
})

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '7'])('room for %s is ERR_CONFIG_INVALID', (maxPerKey) => {
  expect(() => memoryNonces({ maxPerKey: maxPerKey as number })).toThrow(
    expect.objectContaining({
      code: 'ERR_CONFIG_INVALID',
      message: 'memoryNonces.maxPerKey: expected a whole number, one at least',
    }),
  )
  expect(claimed(memoryNonces({ maxPerKey: 1 }))('a')).toBe(true)
})
