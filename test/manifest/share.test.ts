import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { shareOf } from '../../src/manifest/share.ts'

test.each([
  ['', ''],
  ['autumn', 'client 1'],
  ['a', 'bc'],
  ['ab', 'c'],
])(
  'the share of salt %j and client %j is the first 32 bits of SHA-256 over salt, NUL and client, of 100',
  (salt, id) => {
    const bits = createHash('sha256').update(`${salt}\0${id}`).digest('hex').slice(0, 8)
    expect(shareOf(salt, id)).toBe((Number.parseInt(bits, 16) / 0x1_0000_0000) * 100)
  },
)

test('who knows a share from elsewhere finds the same: it decides in every process and every release', () => {
  expect(shareOf('autumn', 'client 1')).toBe(87.88946638815105)
})
