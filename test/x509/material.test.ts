import { Certificate, generateKeyPairSync } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { localSigner } from '../../src/keys/signer.ts'
import { openPrivateKey } from '../../src/x509/material.ts'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

describe('a private key is read although OpenSSL holds the error of something else (Node 20)', () => {
  beforeEach(() => {
    Certificate.verifySpkac(Buffer.from('no SPKAC')) // leaves one behind
  })

  test.each([
    ['by itself', () => openPrivateKey(pem, undefined)],
    ['by a signer', () => localSigner(pem).publicKey],
  ])('%s', (_, read) => {
    expect(read()?.asymmetricKeyType).toBe('ec')
  })
})

test('an encrypted key is no key of a signer, which says what to do', () => {
  const encrypted = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' })
  expect(() => localSigner(encrypted.toString())).toThrow(
    expect.objectContaining({
      code: 'ERR_SIGN_KEY_UNSUITABLE',
      message: expect.stringContaining('the key is encrypted: open it first'),
    }),
  )
})
