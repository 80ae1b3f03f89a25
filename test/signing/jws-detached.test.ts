import { generateKeyPairSync, type KeyObject, sign as signWith } from 'node:crypto'
import { flattenedVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { type JwsDetachedOptions, jwsDetached, keyRing, localSigner, type Signer } from '../../src/signing/index.ts'
import type { RequestSigner } from '../../src/signing/signing.ts'
import { hasVectors, vectorJson } from '../support/vectors.ts'
import { bound, NOW, refusal, signable, streamed } from './signable.ts'

const url = 'https://bank.example/payments'
const header = 'x-jws-signature'
const ed25519 = generateKeyPairSync('ed25519')
const keys = localSigner(ed25519.privateKey, { keyId: 'k1' })

describe.skipIf(!hasVectors('signing'))('the examples of RFC 7797', () => {
  interface Vectors {
    readonly keyJwkK: string
    readonly vectors: readonly {
      readonly id: string
      readonly protected: string
      readonly payload: string
      readonly computed: string
      readonly jws: string
    }[]
  }
  test.each([
    ['RFC7797-4.1-b64true', true],
    ['RFC7797-4.2-b64false-detached', false],
  ] as const)('%s', async (id, b64) => {
    const { keyJwkK, vectors } = vectorJson<Vectors>('signing/jws/rfc7797.json')
    const vector = vectors.find((one) => one.id === id)
    const signer = localSigner({ kty: 'oct', k: keyJwkK })
    const { sign } = bound(jwsDetached({ keys: signer, header, b64 }))
    const { headers } = await sign(signable({ url, method: 'POST', body: vector?.payload ?? '' }))
    expect(headers).toEqual({ [header]: `${vector?.protected}..${vector?.computed}` })
    expect(vectors).toHaveLength(2)
    const [start, , end] = vector?.jws.split(/\.(.*)\./s) ?? []
    expect(headers?.[header]).toBe(`${start}..${end}`)
  })
})

describe('what another implementation makes of it', () => {
  const bodies = {
    text: Buffer.from('{"amount":"1.00"}'),
    'a full stop': Buffer.from('$.02.'),
    'no UTF-8': Buffer.from([0xff, 0x00, 0xfe, 0x2e]),
    nothing: Buffer.alloc(0),
  }
  const signers = {
    Ed25519: ed25519,
    'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    RSA: generateKeyPairSync('rsa', { modulusLength: 2_048 }),
  } as const
  test.each(
    Object.keys(signers).flatMap((key) =>
      Object.keys(bodies).flatMap((body) => [
        [key, body, true],
        [key, body, false],
      ]),
    ),
  )('a signature with %s over %s, b64=%s, is one (SIG-22)', async (key, name, b64) => {
    const { privateKey, publicKey } = signers[key as keyof typeof signers]
    const body = bodies[name as keyof typeof bodies]
    const signer = jwsDetached({ keys: localSigner(privateKey), header, b64: b64 === true })
    const text = await signed(signer, body)
    const { protected: said } = await verified(text, { body, b64: b64 === true, key: publicKey })
    expect(said?.b64).toBe(b64 === true ? undefined : false)
    expect(said?.crit).toEqual(b64 === true ? undefined : ['b64'])
    const other = Buffer.concat([body, Buffer.from(' ')])
    await expect(verified(text, { body: other, b64: b64 === true, key: publicKey })).rejects.toThrow()
  })

  test('a key outside this process signs the bytes as they are sent', async () => {
    const asked: Uint8Array[] = []
    const external: Signer = {
      algorithm: 'ecdsa-p256-sha256',
      keyId: 'hsm-7',
      sign: async (message) => {
        asked.push(message)
        return signWith('sha256', message, { key: signers['P-256'].privateKey, dsaEncoding: 'ieee-p1363' })
      },
    }
    const body = Buffer.from('{"a":1}')
    const text = await signed(jwsDetached({ keys: external, header }), body)
    expect(headerIn(text)).toEqual({ alg: 'ES256', kid: 'hsm-7', b64: false, crit: ['b64'] })
    expect(Buffer.from(asked[0] ?? '').toString()).toBe(`${text.split('.')[0]}.{"a":1}`)
    await verified(text, { body, b64: false, key: signers['P-256'].publicKey })
  })
})

describe('the protected header', () => {
  test('has what the caller adds, made for each request and dated by the server’s clock', async () => {
    const iat = 'http://openbanking.org.uk/iat'
    const options: JwsDetachedOptions = {
      ...{ keys, header },
      protected: ({ method }, at) => ({ typ: 'JOSE', htm: method, [iat]: at / 1_000, crit: [iat] }),
    }
    const { sign } = bound(jwsDetached(options), { offsetMs: 60_000 })
    const { headers } = await sign(signable({ url, method: 'PUT', body: '{}' }))
    expect(headerIn(headers?.[header])).toEqual({
      ...{ alg: 'EdDSA', kid: 'k1', typ: 'JOSE', htm: 'PUT', [iat]: NOW / 1_000 + 60 },
      ...{ b64: false, crit: ['b64', iat] },
    })
  })

  test('says the id that the key has not, and the one that it has', async () => {
    const nameless = localSigner(ed25519.privateKey)
    for (const signer of [keys, nameless]) {
      const { sign } = bound(jwsDetached({ keys: signer, header, b64: true, protected: { kid: 'k1' } }))
      const { headers } = await sign(signable({ url, body: '{}' }))
      expect(headerIn(headers?.[header])).toEqual({ alg: 'EdDSA', kid: 'k1' })
    }
  })

  test('names the key that signs at that time', async () => {
    const next = localSigner(ed25519.privateKey, { keyId: 'k2' })
    const ring = keyRing([{ signer: keys }, { signer: next, activateAt: new Date(NOW + 1_000) }])
    const { sign, runtime, events } = bound(jwsDetached({ keys: ring, header, b64: true }))
    const request = signable({ url, body: '{}' })
    expect(headerIn((await sign(request)).headers?.[header])).toEqual({ alg: 'EdDSA', kid: 'k1' })
    await runtime.advance(1_000)
    expect(headerIn((await sign(request)).headers?.[header])).toEqual({ alg: 'EdDSA', kid: 'k2' })
    expect(events).toEqual([{ type: 'sign.keyChanged', signer: 'jwsDetached', before: 'k1', after: 'k2' }])
  })

  test.each([
    ['hmac-sha256', 'HS256'],
    ['ed25519', 'EdDSA'],
    ['ecdsa-p256-sha256', 'ES256'],
    ['ecdsa-p384-sha384', 'ES384'],
    ['rsa-pss-sha512', 'PS512'],
    ['rsa-v1_5-sha256', 'RS256'],
  ] as const)('calls %s %s (RFC 7518 §3.1, RFC 8037 §3.1)', async (algorithm, alg) => {
    const lengths = { 'hmac-sha256': 32, 'ecdsa-p384-sha384': 96, 'rsa-pss-sha512': 256, 'rsa-v1_5-sha256': 256 }
    const length = algorithm in lengths ? lengths[algorithm as keyof typeof lengths] : 64
    const elsewhere: Signer = { algorithm, keyId: '', sign: () => new Uint8Array(length) }
    const text = await signed(jwsDetached({ keys: elsewhere, header, b64: true }), Buffer.from('{}'))
    expect(headerIn(text)).toEqual({ alg })
  })

  test('may use the newer name of an algorithm', async () => {
    const text = await signed(jwsDetached({ keys, header, protected: { alg: 'Ed25519' } }), Buffer.from('{}'))
    expect(headerIn(text)).toMatchObject({ alg: 'Ed25519' })
    await verified(text, { body: Buffer.from('{}'), b64: false, key: ed25519.publicKey })
  })

  test.each([
    [{ alg: 'none' }, 'alg: expected EdDSA or Ed25519 of the key'],
    [{ alg: 'ES256' }, 'alg: expected EdDSA or Ed25519 of the key'],
    [{ kid: 'k2' }, 'kid: expected k1, as the key has it'],
    [{ b64: true }, 'b64: expected the option b64 alone to say it'],
    [{ b64: false }, 'b64: expected the option b64 alone to say it'],
    [{ crit: 'b64' }, 'crit: expected names, each of them once'],
    [{ iat: 1, crit: ['iat', 'iat'] }, 'crit: expected names, each of them once'],
    [{ crit: ['b64'] }, 'crit: expected names of extensions that stand in the header'],
    [{ crit: ['iat'] }, 'crit: expected names of extensions that stand in the header'],
    [{ alg: 'EdDSA', crit: ['alg'] }, 'crit: expected names of extensions that stand in the header'],
    [{ crit: ['crit'] }, 'crit: expected names of extensions that stand in the header'],
    ...['jku', 'jwk', 'kid', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'typ', 'cty'].map((name): [object, string] => [
      ...([{ crit: [name], [name]: 'x' }, 'crit: expected names of extensions that stand in the header'] as const),
    ]),
    [{ crit: ['toString'] }, 'crit: expected names of extensions that stand in the header'],
    [{ crit: [1], 1: 1 }, 'crit: expected names of extensions that stand in the header'],
  ])('a header that a receiver has to refuse is ERR_CONFIG_INVALID: %j', async (members, what) => {
    const invalid = { code: 'ERR_CONFIG_INVALID', message: `jwsDetached.protected: ${what}` }
    const make = () => jwsDetached({ keys, header, protected: members as never })
    expect(make).toThrow(expect.objectContaining(invalid))
    const { sign } = bound(jwsDetached({ keys, header, protected: () => members as never }))
    expect(await refusal(() => sign(signable({ url, body: '{}' })))).toMatchObject(invalid)
    expect(jwsDetached({ keys, header, protected: { iat: 1, crit: ['iat'] } })).toHaveProperty('name')
  })

  test.each(['typ', null, undefined, ['typ'], 7])(
    'a function that answers %j in place of members is ERR_CONFIG_INVALID',
    async (answer) => {
      const { sign } = bound(jwsDetached({ keys, header, protected: () => answer as never }))
      expect(await refusal(() => sign(signable({ url, body: '{}' })))).toMatchObject({
        code: 'ERR_CONFIG_INVALID',
        message: 'jwsDetached.protected: expected the members of a header',
      })
    },
  )
})

describe('what is signed', () => {
  test('a request without a body is left as it is, unless it is to be signed over nothing', async () => {
    for (const options of [{}, { emptyBody: 'skip' }] as const)
      expect(await bound(jwsDetached({ keys, header, ...options })).sign(signable({ url }))).toEqual({})
    const { headers } = await bound(jwsDetached({ keys, header, emptyBody: 'sign' })).sign(signable({ url }))
    await verified(headers?.[header] ?? '', { body: Buffer.alloc(0), b64: false, key: ed25519.publicKey })
  })

  test('a request to an origin that is not allowed is left as it is', async () => {
    const { sign } = bound(jwsDetached({ keys, header, allowedOrigins: ['https://bank.example'] }))
    expect(await sign(signable({ url: 'https://other.example/', body: '{}' }))).toEqual({})
    expect(await sign(signable({ url, body: '{}' }))).not.toEqual({})
  })

  test('a stream is ERR_SIGN_BODY_UNHASHABLE', async () => {
    const { sign } = bound(jwsDetached({ keys, header }))
    const request = streamed(signable({ url, method: 'POST' }))
    expect(await refusal(() => sign(request))).toMatchObject({
      name: 'SignError',
      code: 'ERR_SIGN_BODY_UNHASHABLE',
      message: 'jwsDetached: expected a body in memory, saw a stream, which cannot be read before it is sent',
    })
  })

  test('what is no signature of the algorithm is ERR_SIGN_KEY_UNSUITABLE: DER, or nothing', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    for (const answer of [signWith('sha256', Buffer.from('x'), privateKey), new Uint8Array(), 'text']) {
      const signer: Signer = { algorithm: 'ecdsa-p256-sha256', keyId: '', sign: async () => answer as Uint8Array }
      const { sign } = bound(jwsDetached({ keys: signer, header }))
      const error = await refusal(() => sign(signable({ url, body: '{}' })))
      expect(error).toMatchObject({
        code: 'ERR_SIGN_KEY_UNSUITABLE',
        message: expect.stringMatching(/^jwsDetached: expected a signature of 64 octets/),
      })
    }
  })

  test('a signer says which header field it sets and what it needs of a body, and shows no key', () => {
    const { bind, toJSON, ...plain } = jwsDetached({ keys, header }) as RequestSigner & { readonly toJSON: unknown }
    expect(plain).toEqual({ name: 'jwsDetached', headers: [header], body: 'bytes' })
    expect(plain).not.toHaveProperty('maxBufferBytes')
    expect(jwsDetached({ keys, header, maxBufferBytes: 7 })).toHaveProperty('maxBufferBytes', 7)
    expect(JSON.parse(JSON.stringify(jwsDetached({ keys, header })))).toEqual({ name: 'jwsDetached', header })
  })

  test.each([
    [{ keys: {} }, '.keys: expected a signer or a key ring'],
    [{ keys: null }, '.keys: expected a signer or a key ring'],
    [{ keys: [keys] }, '.keys: expected a signer or a key ring'],
    [{ keys: { sign: 'text' } }, '.keys: expected a signer or a key ring'],
    [{ header: 'X-Jws' }, '.header: expected the name of a header in lower case, such as x-jws-signature'],
    [{ header: '' }, '.header: '],
    [{ header: 'x-jws\r\nx-other' }, '.header: '],
    [{ b64: 'false' }, '.b64: '],
    [{ emptyBody: 'drop' }, '.emptyBody: '],
    [{ protected: 'alg' }, '.protected: expected the members of a header, or a function that answers them'],
    [{ protected: ['alg'] }, '.protected: expected the members of a header, or a function that answers them'],
    [{ protected: null }, '.protected: expected the members of a header, or a function that answers them'],
    [{ maxBufferBytes: -1 }, '.maxBufferBytes: '],
    [{ detached: true }, ': '],
  ])('options that cannot be meant are ERR_CONFIG_INVALID: %j', (options, where) => {
    const make = () => jwsDetached({ keys, header, ...options } as never)
    expect(make).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        message: expect.stringContaining(`jwsDetached${where}`),
      }),
    )
  })
})

async function signed(signer: ReturnType<typeof jwsDetached>, body: Uint8Array): Promise<string> {
  const { headers } = await bound(signer).sign(signable({ url, method: 'POST', body }))
  return headers?.[header] ?? ''
}

/** By jose, which knows no detached form: the payload is put back first. */
async function verified(text: string, { body, b64, key }: { body: Uint8Array; b64: boolean; key: KeyObject }) {
  const [protectedHeader = '', between, signature = ''] = text.split('.')
  expect(between).toBe('')
  const payload = b64 ? Buffer.from(body).toString('base64url') : body
  return {
    protected: (
      await flattenedVerify({ protected: protectedHeader, payload, signature }, key, { crit: { b64: true } as never })
    ).protectedHeader,
  }
}

const headerIn = (text = ''): unknown => JSON.parse(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString())
