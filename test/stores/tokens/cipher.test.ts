import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { CompactEncrypt } from 'jose'
import { expect, test } from 'vitest'
import { jweCipher } from '../../../src/stores/tokens/cipher.ts'

const TOKEN = 'kd83-refresh-token'
const OLD = randomBytes(32)
const NEW = createSecretKey(randomBytes(32))
const cipher = jweCipher({ keys: { old: OLD, new: NEW }, current: 'new' })

test('opens what it sealed, and shows nothing of it', async () => {
  const sealed = await cipher.seal(TOKEN, 'a')
  expect(await cipher.open(sealed, 'a')).toBe(TOKEN)
  expect(sealed).not.toContain(TOKEN)
  expect(Buffer.from(sealed.split('.')[0] ?? '', 'base64url').toString()).not.toMatch(/kd83/)
  expect(await cipher.seal(TOKEN, 'a')).not.toBe(sealed)
  expect(inspect(cipher, { depth: 9, showHidden: true })).not.toContain(OLD.toString('hex').slice(0, 8))
})

test('reads with every key of the ring and writes with the newest (KEY-10)', async () => {
  const before = await jweCipher({ keys: { old: OLD }, current: 'old' }).seal(TOKEN, 'a')
  expect(await cipher.open(before, 'a')).toBe(TOKEN)
  const after = await cipher.seal(TOKEN, 'a')
  expect(await jweCipher({ keys: { new: NEW }, current: 'new' }).open(after, 'a')).toBe(TOKEN)
})

test('a key that is not in the ring is ERR_STORE_DECRYPT_FAILED (KEY-08)', async () => {
  const sealed = await jweCipher({ keys: { other: randomBytes(32) }, current: 'other' }).seal(TOKEN, 'a')
  await expect(cipher.open(sealed, 'a')).rejects.toMatchObject({ name: 'StoreError', code: 'ERR_STORE_DECRYPT_FAILED' })
})

test('a record that was moved to another key is ERR_STORE_CONTEXT_MISMATCH (KEY-09)', async () => {
  const sealed = await cipher.seal(TOKEN, 'tenant-a')
  const error = await cipher.open(sealed, 'tenant-b').catch((reason) => reason)
  expect(error).toMatchObject({ code: 'ERR_STORE_CONTEXT_MISMATCH' })
  expect(inspect(error, { depth: 9 })).not.toMatch(/kd83/)
})

test('another key under a known name is ERR_STORE_DECRYPT_FAILED', async () => {
  const sealed = await jweCipher({ keys: { new: randomBytes(32) }, current: 'new' }).seal(TOKEN, 'a')
  await expect(cipher.open(sealed, 'a')).rejects.toMatchObject({ code: 'ERR_STORE_DECRYPT_FAILED' })
})

test('whatever is changed in it is ERR_STORE_DECRYPT_FAILED', async () => {
  const sealed = await cipher.seal(TOKEN, 'a')
  const parts = sealed.split('.')
  const [header = '', , iv = '', text = '', tag = ''] = parts
  const claims = JSON.parse(Buffer.from(header, 'base64url').toString())
  const other = (change: object) => Buffer.from(JSON.stringify({ ...claims, ...change })).toString('base64url')
  const flip = (part: string) => `${part.startsWith('A') ? 'B' : 'A'}${part.slice(1)}`
  for (const changed of [
    ...[
      [other({ 'pinfetch-record': 'x' }), '', iv, text, tag],
      [other({ kid: 'old' }), '', iv, text, tag],
    ],
    ...[
      [header, '', flip(iv), text, tag],
      [header, '', iv, flip(text), tag],
      [header, '', iv, text, flip(tag)],
    ],
    ...[
      [other({ enc: 'A128GCM' }), '', iv, text, tag],
      [other({ alg: 'A256KW' }), text, iv, text, tag],
    ],
    ...[[header, '', iv, text], [''], ['kd83'], [header, header], [other({ zip: 'DEF' }), '', iv, text, tag]],
  ]) {
    await expect(cipher.open(changed.join('.'), 'a')).rejects.toMatchObject({ code: 'ERR_STORE_DECRYPT_FAILED' })
  }
  expect(await cipher.open(sealed, 'a')).toBe(TOKEN)
})

test('a weaker content encryption under the same key is ERR_STORE_DECRYPT_FAILED', async () => {
  const short = randomBytes(16)
  const sealed = await new CompactEncrypt(Buffer.from(TOKEN))
    .setProtectedHeader({ alg: 'dir', enc: 'A128GCM', kid: 'new' })
    .encrypt(short)
  await expect(cipher.open(sealed, 'a')).rejects.toMatchObject({ code: 'ERR_STORE_DECRYPT_FAILED' })
})

test.each([
  ['no key of that name', { keys: { old: OLD }, current: 'new' }],
  ['16 bytes', { keys: { new: randomBytes(16) }, current: 'new' }],
  ['no bytes', { keys: { new: new Uint8Array() }, current: 'new' }],
  ['text', { keys: { new: 'kd83'.repeat(8) as never }, current: 'new' }],
  ['a public key', { keys: { new: generateKeyPairSync('ed25519').publicKey }, current: 'new' }],
  ['a name with a space', { keys: { 'a b': OLD }, current: 'a b' }],
])('%s is ERR_CONFIG_INVALID', (_, options) => {
  expect(() => jweCipher(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  expect(() => jweCipher(options)).not.toThrow(/kd83/)
})
