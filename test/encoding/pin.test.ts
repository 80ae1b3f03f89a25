import { createHash, generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { isPinText, pinOfSpki } from '../../src/encoding/pin.ts'

const spki = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' })

test.each(['sha256', 'sha384', 'sha512'] as const)(
  'the %s pin of a key is the hash and the base64 digest of its SPKI',
  (hash) => {
    const pin = pinOfSpki(spki, hash)
    expect(pin).toBe(`${hash}/${createHash(hash).update(spki).digest('base64')}`)
    expect(isPinText(pin)).toBe(true)
  },
)

test.each(['', 'sha256/', 'sha256/a', 'md5/AAAA', 'sha1/AAAAAAAAAAAAAAAAAAAAAAAAAAA=', 'sha512/', 'toString/AAAA'])(
  'refuses %j as a pin',
  (text) => {
    expect(isPinText(text)).toBe(false)
  },
)

test('refuses a digest without its padding, with white space, as base64url, or of another hash', () => {
  const pin = `sha256/${Buffer.alloc(32, 0xfb).toString('base64')}`
  expect(isPinText(pin)).toBe(true)
  expect(isPinText(pin.replace('=', ''))).toBe(false)
  expect(isPinText(`${pin}\n`)).toBe(false)
  expect(isPinText(pin.replaceAll('+', '-'))).toBe(false)
  expect(isPinText(pin.replace('sha256', 'sha384'))).toBe(false)
})
