import { createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { SignatureAlgorithm } from '../../src/keys/algorithm.ts'
import { localJwks } from '../../src/keys/jwks.ts'
import { localSigner } from '../../src/keys/signer.ts'
import { keysById, keysOfSet, verificationKey, verifySignature } from '../../src/keys/verification-key.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'

const { signal } = new AbortController()
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const ed25519 = generateKeyPairSync('ed25519')
const secret = createSecretKey(randomBytes(32))
const now = toUnixMs(Date.parse('2026-05-01T00:00:00Z'))

const pairs: readonly (readonly [SignatureAlgorithm, KeyObject, KeyObject])[] = [
  ['ed25519', ed25519.privateKey, ed25519.publicKey],
  ['ecdsa-p256-sha256', p256.privateKey, p256.publicKey],
  ['ecdsa-p384-sha384', p384.privateKey, p384.publicKey],
  ['rsa-pss-sha512', rsa.privateKey, rsa.publicKey],
  ['rsa-pss-sha512', pss.privateKey, pss.publicKey],
  ['rsa-v1_5-sha256', rsa.privateKey, rsa.publicKey],
  ['hmac-sha256', secret, secret],
]

describe.each(pairs)('%s', (algorithm, privateKey, publicKey) => {
  const key = verificationKey(publicKey, { keyId: 'k', algorithm })
  const message = Buffer.from('"@method": POST')

  test('verifies what the signer signed, and nothing else', async () => {
    const signature = await localSigner(privateKey, { algorithm }).sign(message, { signal })
    expect(verifySignature(key, message, signature)).toBe(true)
    expect(verifySignature(key, Buffer.from('"@method": PUT'), signature)).toBe(false)
    for (const at of [0, signature.length >> 1, signature.length - 1]) {
      const changed = Buffer.from(signature)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(verifySignature(key, message, changed)).toBe(false)
    }
  })

  test('answers no, and throws nothing, for a signature of any length', () => {
    for (const length of [0, 1, 31, 32, 33, 63, 64, 65, 95, 96, 97, 255, 256, 257, 10_000])
      expect(verifySignature(key, message, randomBytes(length))).toBe(false)
  })
})

test('of a private key only the public half is kept, from PEM, JWK and KeyObject alike', () => {
  const pem = p256.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  for (const given of [pem, p256.privateKey, p256.privateKey.export({ format: 'jwk' }), p256.publicKey]) {
    const { key, algorithm } = verificationKey(given, { keyId: 'k' })
    expect(key.type).toBe('public')
    expect(key.equals(p256.publicKey)).toBe(true)
    expect(algorithm).toBe('ecdsa-p256-sha256')
  }
})

test.each<[string, KeyObject, SignatureAlgorithm | undefined]>([
  ['a key of another kind', ed25519.publicKey, 'ecdsa-p256-sha256'],
  ['another curve', p384.publicKey, 'ecdsa-p256-sha256'],
  ['a curve without an algorithm', generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey, undefined],
  ['an RSA key of 1024 bits', generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey, 'rsa-pss-sha512'],
  ['an exponent of 3', generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey, undefined],
  ['a public key as a secret', rsa.publicKey, 'hmac-sha256'],
  ['a secret as a public key', secret, 'ed25519'],
  ['a secret of 31 octets', createSecretKey(randomBytes(31)), 'hmac-sha256'],
  ['an RSASSA-PSS key for PKCS #1 v1.5', pss.publicKey, 'rsa-v1_5-sha256'],
  [
    'an RSASSA-PSS key for SHA-256',
    generateKeyPairSync('rsa-pss', { modulusLength: 2048, hashAlgorithm: 'sha256', mgf1HashAlgorithm: 'sha256' })
      .publicKey,
    'rsa-pss-sha512',
  ],
])('%s does not suit: ERR_SIGN_KEY_UNSUITABLE', (_, key, algorithm) => {
  const options = algorithm === undefined ? { keyId: 'k' } : { keyId: 'k', algorithm }
  expect(() => verificationKey(key, options)).toThrow(expect.objectContaining({ code: 'ERR_SIGN_KEY_UNSUITABLE' }))
})

describe('an Ed25519 point of small order', () => {
  const P = (1n << 255n) - 19n
  const eighth = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n // y of a point of order 8
  const spellings = [1n, P - 1n, 0n, eighth, P - eighth, P, P + 1n].flatMap((y) => [y, y | (1n << 255n)])
  const encoded = (y: bigint) => Buffer.from(y.toString(16).padStart(64, '0'), 'hex').reverse()
  const jwkOf = (y: bigint) => ({ kty: 'OKP', crv: 'Ed25519', x: encoded(y).toString('base64url') })
  // S = 0, and for R whichever multiple of the key it takes
  const ofAnyone = spellings.map((y) => Buffer.concat([encoded(y), Buffer.alloc(32)]))

  // Node 24 refuses such keys by itself; where it does not, this is what for.
  test.runIf(Number(process.versions.node.split('.')[0]) < 24)('is a key that anyone can sign for, to OpenSSL', () => {
    const key = {
      keyId: 'k',
      algorithm: 'ed25519',
      key: createPublicKey({ key: jwkOf(P - 1n), format: 'jwk' }),
    } as const
    const forged = Array.from({ length: 64 }, (_, n) => Buffer.from(`${n}`)).filter((message) =>
      ofAnyone.some((signature) => verifySignature(key, message, signature)),
    )
    expect(forged.length).toBeGreaterThan(0)
  })

  test.each(spellings.map((y) => [encoded(y).toString('hex'), y] as const))(
    '%s does not suit, nor is it one of a set',
    (_, y) => {
      const refused = expect.objectContaining({ code: 'ERR_SIGN_KEY_UNSUITABLE' })
      expect(() => verificationKey(jwkOf(y), { keyId: 'k' })).toThrow(refused)
      const none = expect.objectContaining({ code: 'ERR_CONFIG_INVALID' })
      expect(() => localJwks({ keys: [jwkOf(y)] })).toThrow(none)
    },
  )

  test('any other one suits', () => {
    const own = ed25519.publicKey.export({ format: 'jwk' })
    expect(verificationKey(own, { keyId: 'k' }).algorithm).toBe('ed25519')
    expect(() => localJwks({ keys: [own] })).not.toThrow()
  })
})

test('what cannot be read is refused without being shown', () => {
  let error: unknown
  try {
    verificationKey('-----BEGIN nonsense-4711', { keyId: 'k' })
  } catch (thrown) {
    error = thrown
  }
  expect(error).toMatchObject({ code: 'ERR_SIGN_KEY_UNSUITABLE' })
  expect((error as Error).cause).toBeUndefined()
  expect(String(error)).not.toContain('4711')
})

describe('keys by name', () => {
  const old = verificationKey(p256.publicKey, { keyId: 'old', retireAt: new Date(now) })
  const next = verificationKey(ed25519.publicKey, { keyId: 'next' })
  const wanted = { algorithms: ['ed25519'], now } as const

  test('SIG-18: the old key verifies until its retireAt', async () => {
    const find = keysById([old, next])
    expect(await find({ ...wanted, keyId: 'old', now: toUnixMs(now - 1) })).toBe(old)
    expect(await find({ ...wanted, keyId: 'old' })).toBeUndefined()
    expect(await find({ ...wanted, keyId: 'next' })).toBe(next)
    expect(await find({ ...wanted, keyId: 'other' })).toBeUndefined()
  })

  test('a signature without a name is one of the only key', async () => {
    expect(await keysById([next])({ ...wanted, keyId: undefined })).toBe(next)
    expect(await keysById([next, old])({ ...wanted, keyId: undefined })).toBeUndefined()
    expect(await keysById([next])({ ...wanted, keyId: 'other' })).toBeUndefined()
  })

  test.each([
    ['two of one name', [next, next]],
    ['none', []],
  ])('%s is refused: ERR_CONFIG_INVALID', (_, keys) => {
    expect(() => keysById(keys)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })
})

describe('keys of an issuer', () => {
  const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid })
  const find = keysOfSet(localJwks({ keys: [jwk(ed25519.publicKey, 'e'), jwk(rsa.publicKey, 'r')] }))

  test('the one of that name and of an allowed algorithm answers', async () => {
    const found = await find({ keyId: 'e', algorithms: ['hmac-sha256', 'rsa-pss-sha512', 'ed25519'], now })
    expect(found).toMatchObject({ keyId: 'e', algorithm: 'ed25519' })
    expect(found?.key.equals(ed25519.publicKey)).toBe(true)
    expect(await find({ keyId: 'r', algorithms: ['rsa-v1_5-sha256'], now })).toMatchObject({
      algorithm: 'rsa-v1_5-sha256',
    })
  })

  test('another algorithm is ERR_VERIFY_ALG_MISMATCH, another name ERR_VERIFY_KEY_UNKNOWN', async () => {
    await expect(find({ keyId: 'e', algorithms: ['rsa-pss-sha512'], now })).rejects.toMatchObject({
      code: 'ERR_VERIFY_ALG_MISMATCH',
    })
    await expect(find({ keyId: 'x', algorithms: ['ed25519'], now })).rejects.toMatchObject({
      code: 'ERR_VERIFY_KEY_UNKNOWN',
    })
  })

  test('no public key verifies an HMAC', async () => {
    expect(await find({ keyId: 'e', algorithms: ['hmac-sha256'], now })).toBeUndefined()
  })
})
