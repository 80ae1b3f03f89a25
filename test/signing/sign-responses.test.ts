import { createHash, generateKeyPairSync, verify } from 'node:crypto'
import { keyRing, localSigner, type RequestMessage, type Signer, signResponses } from 'pinfetch/signing'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { SignError } from '../../src/errors/errors.ts'
import { NOW, refusal } from './signable.ts'

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

const runtime = createTestRuntime({ now: NOW })
const created = NOW / 1_000
const BODY = Buffer.from('{}')
const DIGEST = `sha-256=:${createHash('sha256').update(BODY).digest('base64')}:`
const REQUEST: RequestMessage = {
  kind: 'request',
  method: 'POST',
  url: 'https://bank.example/payments?id=1',
  fields: [
    ['content-digest', 'sha-256=:AAAA:'],
    ['signature-input', 'a=("@method");created=1, b=();created=1'],
    ['signature', 'a=:AAAA:, b=:BBBB:'],
  ],
}

/** What the signature is one of, line by line. */
async function signedLines(given: Readonly<Record<string, string>>, lines: readonly string[]): Promise<boolean> {
  const parameters = given['signature-input']?.slice('sig='.length)
  const base = [...lines, `"@signature-params": ${parameters}`].join('\n')
  return verify(null, Buffer.from(base), publicKey, Buffer.from(given['signature']?.slice(5, -1) ?? '', 'base64'))
}

describe('what is signed', () => {
  test('of a response alone its status, its type and its body', async () => {
    const headers = { 'Content-Type': 'application/json', 'Content-Length': '2' }
    const given = await signResponses({ keys: signer, runtime })({ status: 201, headers, body: BODY })
    expect(given).toEqual({
      'content-digest': DIGEST,
      'signature-input': `sig=("@status" "content-type" "content-digest");created=${created};keyid="bank"`,
      signature: expect.stringMatching(/^sig=:[A-Za-z0-9+/]{86}==:$/),
    })
    const lines = ['"@status": 201', '"content-type": application/json', `"content-digest": ${DIGEST}`]
    expect(await signedLines(given, lines)).toBe(true)
    expect(await signedLines(given, ['"@status": 200', ...lines.slice(1)])).toBe(false)
    expect(Object.isFrozen(given)).toBe(true)
  })

  test('and of the request that it answers the method, the target, the body and each signature', async () => {
    const sign = signResponses({ keys: signer, runtime })
    const given = await sign({ status: 204 }, REQUEST)
    const request =
      '"@method";req "@target-uri";req "content-digest";req "signature";key="a";req "signature";key="b";req'
    expect(given).toEqual({
      'signature-input': `sig=("@status" ${request});created=${created};keyid="bank"`,
      signature: expect.any(String),
    })
    const lines = [
      '"@status": 204',
      '"@method";req: POST',
      '"@target-uri";req: https://bank.example/payments?id=1',
      '"content-digest";req: sha-256=:AAAA:',
      '"signature";key="a";req: :AAAA:',
      '"signature";key="b";req: :BBBB:',
    ]
    expect(await signedLines(given, lines)).toBe(true)
    const plain = await sign({ status: 204 }, { ...REQUEST, fields: [['accept', '*/*']] })
    expect(plain['signature-input']).toContain('("@status" "@method";req "@target-uri";req);')
  })

  test('what the options say, under the label that they say', async () => {
    const options = { label: 'bank', expiresInSec: 60, tag: 'payment', components: ['x-id', '@status'] } as const
    const sign = signResponses({ keys: signer, runtime, ...options })
    expect(await sign({ status: 200, headers: { 'X-Id': '7' } }, REQUEST)).toEqual({
      'signature-input': `bank=("x-id" "@status");created=${created};expires=${created + 60};keyid="bank";tag="payment"`,
      signature: expect.stringMatching(/^bank=:/),
    })
  })

  test('a key without a name is not named, and a ring signs with the key of that time', async () => {
    const nameless = await signResponses({ keys: { ...signer, keyId: '' }, runtime })({ status: 200 })
    expect(nameless['signature-input']).toBe(`sig=("@status");created=${created}`)
    const ring = keyRing([
      { signer },
      { signer: { ...signer, keyId: 'next' }, activateAt: new Date(NOW) },
      { signer: { ...signer, keyId: 'later' }, activateAt: new Date(NOW + 1) },
    ])
    const given = await signResponses({ keys: ring, runtime })({ status: 200 })
    expect(given['signature-input']).toContain('keyid="next"')
  })

  test('a body has the digest of its bytes, whatever the application wrote, and no body has none', async () => {
    const sign = signResponses({ keys: signer, runtime })
    const headers = { 'Content-Digest': 'sha-256=:AAAA:' }
    const given = await sign({ status: 200, headers, body: BODY })
    expect(await signedLines(given, ['"@status": 200', `"content-digest": ${DIGEST}`])).toBe(true)
    for (const none of [{ headers }, { headers, body: Buffer.alloc(0) }])
      expect(Object.keys(await sign({ status: 200, ...none }))).toEqual(['signature-input', 'signature'])
  })

  test('headers may be a list, Headers, or a record with several values of one name', async () => {
    const sign = signResponses({ keys: signer, runtime, components: ['x-a', 'x-b'] })
    const lines = ['"x-a": 1, 2', '"x-b": 3']
    for (const headers of [
      [
        ['X-A', '1'],
        ['X-B', '3'],
        ['X-A', '2'],
      ] as const,
      { 'X-A': ['1', '2'], 'X-B': '3' },
      new Headers([
        ['X-A', '1'],
        ['X-A', '2'],
        ['X-B', '3'],
      ]),
    ])
      expect(await signedLines(await sign({ status: 200, headers }), lines)).toBe(true)
  })

  test('a key outside this process is handed the octets and a signal', async () => {
    const asked: unknown[][] = []
    const external: Signer = {
      ...signer,
      sign: (...given) => {
        asked.push(given)
        return signer.sign(...given)
      },
    }
    const given = await signResponses({ keys: external, runtime })({ status: 200 })
    expect(await signedLines(given, ['"@status": 200'])).toBe(true)
    expect(asked).toEqual([[expect.any(Uint8Array), { signal: expect.any(AbortSignal) }]])
  })
})

describe('what is refused', () => {
  test.each([
    ['x-none', 'ERR_SIGN_COMPONENT_MISSING'],
    ['@method', 'ERR_SIGN_COMPONENT_INVALID'],
  ])('the component %s of a response without it is %s', async (component, code) => {
    const sign = signResponses({ keys: signer, runtime, components: [component] })
    expect(await refusal(() => sign({ status: 200 }))).toMatchObject({
      name: 'SignError',
      code,
      message: expect.stringMatching(/^response: component /),
    })
  })

  test('a key that fails is ERR_SIGN_SIGNER_UNAVAILABLE without its words; what it refuses itself is not changed', async () => {
    const failing = (error: Error) => signResponses({ keys: { ...signer, sign: () => Promise.reject(error) }, runtime })
    expect(await refusal(() => failing(new Error('hunter2'))({ status: 200 }))).toMatchObject({
      code: 'ERR_SIGN_SIGNER_UNAVAILABLE',
      message: 'response: the key did not sign',
      cause: expect.objectContaining({ message: 'its message is withheld' }),
    })
    const own = new SignError('ERR_SIGN_KEY_UNSUITABLE', 'of the key')
    expect(await refusal(() => failing(own)({ status: 200 }))).toBe(own)
  })

  test.each<[object, string]>([
    [{ keys: null }, '.keys: expected a signer or a key ring'],
    [{ keys: 'bank' }, '.keys: expected a signer or a key ring'],
    [{ keys: {} }, '.keys: expected a signer or a key ring'],
    [{ components: ['X-Upper'] }, '.components: component'],
    [{ components: '@status' }, '.components: expected a list of components'],
    [{ label: 'Not A Key' }, '.label: expected a key of a dictionary (RFC 9651 §3.1.2)'],
    [{ label: 'x'.repeat(65) }, '.label: '],
    [{ expiresInSec: 0 }, '.expiresInSec: '],
    [{ expiresInSec: 2_678_401 }, '.expiresInSec: '],
    [{ tag: '' }, '.tag: expected ASCII'],
    [{ tag: 'é' }, '.tag: expected ASCII'],
    [{ tag: 'x'.repeat(257) }, '.tag: expected ASCII'],
    [{ runtime: 'system' }, '.runtime: expected a Runtime'],
    [{ runtime: null }, '.runtime: expected a Runtime'],
    [{ expiresIn: 60 }, ': '],
  ])('options that cannot be meant are ERR_CONFIG_INVALID: %j', (options, where) => {
    expect(() => signResponses({ keys: signer, ...options } as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        message: expect.stringContaining(`signResponses${where}`),
      }),
    )
  })

  test('options at their limits are taken', async () => {
    const longest = { label: 'x'.repeat(64), tag: ' '.repeat(256), expiresInSec: 2_678_400 }
    for (const options of [longest, { label: '*', expiresInSec: 1 }])
      expect(await signResponses({ keys: signer, runtime, ...options })({ status: 200 })).toHaveProperty('signature')
  })
})

describe('what no receiver could verify is not sent: ERR_SIGN_KEY_UNSUITABLE', () => {
  const refused = (what: string) =>
    expect.objectContaining({
      code: 'ERR_SIGN_KEY_UNSUITABLE',
      message: `signResponses: ${what}; nothing was signed`,
    })

  test.each<[string, Partial<Signer>, string]>([
    ['a name beyond ASCII', { keyId: 'schlüssel' }, 'expected a keyId in ASCII'],
    [
      'a public key of another kind',
      { algorithm: 'ecdsa-p256-sha256', publicKey },
      'the key does not fit ecdsa-p256-sha256',
    ],
  ])('%s', (_, change, what) => {
    expect(() => signResponses({ keys: { ...signer, ...change } })).toThrow(refused(what))
    expect(() => signResponses({ keys: signer })).not.toThrow()
  })

  test.each([0, 63, 70])('a signature of %i octets', async (length) => {
    const sign = signResponses({ keys: { ...signer, sign: () => new Uint8Array(length) } })
    const what = `expected a signature of 64 octets, saw ${length} octets`
    await expect(sign({ status: 200 })).rejects.toThrow(refused(what))
    expect(await signResponses({ keys: signer })({ status: 200 })).toHaveProperty('signature')
  })
})
