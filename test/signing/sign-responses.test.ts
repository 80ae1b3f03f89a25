import { generateKeyPairSync } from 'node:crypto'
import { localSigner, type Signer, signResponses } from 'pinfetch/signing'
import { describe, expect, test } from 'vitest'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const signer = localSigner(privateKey, { keyId: 'bank' })

test('covers how a body is encoded: the same bytes decoded in another way are another answer', async () => {
  const sign = signResponses({ keys: signer })
  const body = Buffer.from('{}')
  const encoded = await sign({ status: 200, headers: { 'Content-Encoding': 'gzip' }, body })
  expect(encoded['signature-input']).toContain('("@status" "content-encoding" "content-digest")')
  const plain = await sign({ status: 200, body })
  expect(plain['signature-input']).toContain('("@status" "content-digest")')
})

describe('what no receiver could verify is not sent: ERR_SIGN_KEY_UNSUITABLE', () => {
  const refused = expect.objectContaining({ code: 'ERR_SIGN_KEY_UNSUITABLE' })

  test.each<[string, Partial<Signer>]>([
    ['a name beyond ASCII', { keyId: 'schlüssel' }],
    ['a public key of another kind', { algorithm: 'ecdsa-p256-sha256', publicKey }],
  ])('%s', (_, change) => {
    expect(() => signResponses({ keys: { ...signer, ...change } })).toThrow(refused)
    expect(() => signResponses({ keys: signer })).not.toThrow()
  })

  test.each([0, 63, 70])('a signature of %i octets', async (length) => {
    const sign = signResponses({ keys: { ...signer, sign: () => new Uint8Array(length) } })
    await expect(sign({ status: 200 })).rejects.toThrow(refused)
    expect(await signResponses({ keys: signer })({ status: 200 })).toHaveProperty('signature')
  })
})
