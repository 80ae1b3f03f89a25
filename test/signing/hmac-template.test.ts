import { createHash, createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  type CanonicalParts,
  githubWebhook,
  type HmacTemplate,
  hmacTemplate,
  standardWebhook,
  stripeWebhook,
} from '../../src/signing/index.ts'
import type { RequestSigner } from '../../src/signing/signing.ts'
import { hasVectors, vectorJson } from '../support/vectors.ts'
import { bound, refusal, signable, streamed } from './signable.ts'

const url = 'https://hooks.example/in'
const value = 'kd83-shared-secret-Zq91'
const whsec = `whsec_${Buffer.alloc(32, 'kd83').toString('base64')}`

interface Vector {
  readonly id: string
  readonly secret: string
  readonly signed: string
  readonly computed: string
}

const isPresent = hasVectors('signing')

describe.skipIf(!isPresent)('what vendors publish', () => {
  const vectors = isPresent ? vectorJson<readonly Vector[]>('signing/hmac/hmac-vectors.json') : []
  const vector = (id: string): Vector => {
    const found = vectors.find((one) => one.id === id)
    if (found === undefined) throw new Error(`no vector ${id}`)
    return found
  }
  const signed = (template: HmacTemplate, { secret }: Vector, now: number, request: Parameters<typeof signable>[0]) =>
    bound(hmacTemplate({ template, key: { value: secret } }), { now }).sign(signable({ method: 'POST', ...request }))

  test('the example of GitHub', async () => {
    const example = vector('github-webhook')
    const { headers } = await signed(githubWebhook, example, 0, { url, body: example.signed })
    expect(headers).toEqual({ 'x-hub-signature-256': example.computed })
  })

  test('the reference of Standard Webhooks', async () => {
    const example = vector('standard-webhooks')
    const [id = '', time = '', body = ''] = example.signed.split('.')
    const { headers } = await signed(standardWebhook, example, Number(time) * 1_000 + 999, {
      ...{ url, body, fields: [['webhook-id', id]] },
    })
    expect(headers).toEqual({ 'webhook-timestamp': time, 'webhook-signature': example.computed })
  })

  test('the shape of Stripe', async () => {
    const example = vector('stripe-shape')
    const [time = '', body = ''] = example.signed.split(/\.(.*)/s)
    const { headers } = await signed(stripeWebhook, example, Number(time) * 1_000, { url, body })
    expect(headers).toEqual({ 'stripe-signature': example.computed })
  })

  test('the signed query of Binance, by a template of one’s own', async () => {
    const example = vector('binance-signed-endpoint')
    const [query = '', time = ''] = example.signed.split('&timestamp=')
    const { query: added } = await signed(exchange, example, Number(time), { url: `${url}?${query}` })
    expect(added).toBe(`timestamp=${time}&signature=${example.computed}`)
  })

  test('no vector is left out', () => {
    expect(vectors).toHaveLength(4)
  })
})

describe('a template of one’s own', () => {
  test('sees the request as it goes on the wire', async () => {
    const seen: CanonicalParts[] = []
    const template: HmacTemplate = {
      ...exchange,
      canonical: (parts) => {
        seen.push(parts)
        return 'text'
      },
    }
    const { sign, runtime } = bound(hmacTemplate({ template, key: { value } }), { offsetMs: 5_000 })
    const fields = [
      ['x-tag', 'one'],
      ['x-tag', 'two'],
    ] as const
    await sign(signable({ url: `${url}/a%20b?x=%2F&x`, method: 'PUT', fields, body: 'body' }))
    const [parts] = seen
    expect(parts).toMatchObject({ method: 'PUT', url: `${url}/a%20b?x=%2F&x`, path: '/in/a%20b', query: 'x=%2F&x' })
    expect(parts?.at).toBe(runtime.clock.now() + 5_000)
    expect([parts?.header('X-Tag'), parts?.header('x-other')]).toEqual(['one, two', undefined])
    expect(Buffer.from(parts?.body ?? '').toString()).toBe('body')
    expect(parts?.digest('sha512')).toEqual(createHash('sha512').update('body').digest())
  })

  test('has one nonce for what is signed and what is sent, and another one for the next request', async () => {
    const nonces: string[] = []
    const template: HmacTemplate = {
      ...{ name: 'nonce', headers: ['x-nonce', 'x-signature'], encode: 'base64', hash: 'sha512' },
      canonical: ({ nonce, body }) => {
        nonces.push(nonce)
        return [nonce, '\n', body]
      },
      apply: (signature, { nonce }) => ({ headers: { 'x-nonce': nonce, 'x-signature': signature } }),
    }
    const { sign } = bound(hmacTemplate({ template, key: { value } }))
    for (const _ of [1, 2]) {
      const { headers = {} } = await sign(signable({ url, body: '{}' }))
      const nonce = nonces.at(-1) ?? ''
      const expected = createHmac('sha512', value).update(`${nonce}\n{}`).digest('base64')
      expect(headers).toEqual({ 'x-nonce': nonce, 'x-signature': expected })
    }
    expect(new Set(nonces).size).toBe(2)
  })

  test('may sign the digest of a request without a body: that of nothing', async () => {
    const template: HmacTemplate = { ...exchange, canonical: ({ digest, body }) => [digest('sha512'), body] }
    const { query } = await bound(hmacTemplate({ template, key: { value } })).sign(signable({ url }))
    const expected = createHmac('sha256', value).update(createHash('sha512').digest()).digest('hex')
    expect(query).toContain(expected)
  })

  test('reads a secret once, however many requests it signs', async () => {
    let read = 0
    const keyOf = (secret: Uint8Array): Uint8Array => {
      read += 1
      return secret
    }
    const { sign } = bound(hmacTemplate({ template: { ...githubWebhook, keyOf }, key: { value } }))
    for (const body of ['a', 'b']) await sign(signable({ url, body }))
    expect(read).toBe(1)
  })

  test('a body that is no UTF-8 is signed as it is', async () => {
    const body = Uint8Array.of(0xff, 0xfe, 0x00)
    const { headers } = await bound(hmacTemplate({ template: githubWebhook, key: { value } })).sign(
      signable({ url, body }),
    )
    const expected = createHmac('sha256', value).update(body).digest('hex')
    expect(headers).toEqual({ 'x-hub-signature-256': `sha256=${expected}` })
  })

  test('a secret that rotates signs the next request', async () => {
    let count = 0
    const key = async () => {
      count += 1
      return { value: `${value}-${count}`, expiresAt: new Date(START + count * 3_600_000) }
    }
    const { sign, runtime } = bound(hmacTemplate({ template: githubWebhook, key }), { now: START })
    const expected = (number: number) =>
      `sha256=${createHmac('sha256', `${value}-${number}`).update('{}').digest('hex')}`
    const request = signable({ url, body: '{}' })
    expect((await sign(request)).headers).toEqual({ 'x-hub-signature-256': expected(1) })
    await runtime.advance(3_600_000)
    expect((await sign(request)).headers).toEqual({ 'x-hub-signature-256': expected(2) })
  })

  test('a request to an origin that is not allowed is left as it is', async () => {
    const { sign } = bound(
      hmacTemplate({ template: githubWebhook, key: { value }, allowedOrigins: ['https://hooks.example'] }),
    )
    expect(await sign(signable({ url: 'https://hooks.example.evil/', body: '' }))).toEqual({})
    expect(await sign(signable({ url, body: '' }))).not.toEqual({})
  })
})

describe('what is refused', () => {
  test('a stream is ERR_SIGN_BODY_UNHASHABLE, unless nothing of it is signed', async () => {
    const request = streamed(signable({ url, method: 'POST' }))
    const { sign } = bound(hmacTemplate({ template: githubWebhook, key: { value } }))
    expect(await refusal(() => sign(request))).toMatchObject({
      name: 'SignError',
      code: 'ERR_SIGN_BODY_UNHASHABLE',
      message: 'githubWebhook: expected a body in memory, saw a stream, which cannot be read before it is sent',
    })
    const ignoring = hmacTemplate({ template: { ...exchange, body: 'ignored' }, key: { value } })
    expect(ignoring.body).toBe('ignored')
    expect((await bound(ignoring).sign(request)).query).toMatch(/signature=/)
  })

  test('a standard webhook without an id is ERR_SIGN_COMPONENT_MISSING', async () => {
    const { sign } = bound(hmacTemplate({ template: standardWebhook, key: { value: whsec } }))
    expect(await refusal(() => sign(signable({ url, body: '{}' })))).toMatchObject({
      code: 'ERR_SIGN_COMPONENT_MISSING',
      message: 'standardWebhook: expected webhook-id, up to 256 visible characters but full stops; saw none',
    })
  })

  test.each(['msg.1', 'msg 1', '', 'm'.repeat(257), 'é'])(
    'a standard webhook with the id %j is ERR_SIGN_COMPONENT_INVALID',
    async (id) => {
      const { sign } = bound(hmacTemplate({ template: standardWebhook, key: { value: whsec } }))
      const request = (text: string) => signable({ url, body: '{}', fields: [['webhook-id', text]] })
      expect(await refusal(() => sign(request(id)))).toMatchObject({
        code: 'ERR_SIGN_COMPONENT_INVALID',
        message: 'standardWebhook: expected webhook-id, up to 256 visible characters but full stops; saw another text',
      })
      expect((await sign(request('msg_1'))).headers).toHaveProperty('webhook-signature')
    },
  )

  test.each([
    'whsec_kd83kd83kd83kd83',
    `whsec_${'kd83'.repeat(10)}!`,
    `whsec_${'kd83'.repeat(40)}`,
    whsec.slice(0, -1),
  ])('a secret of a standard webhook that is none is ERR_KEY_SOURCE_INVALID: %s', async (secret) => {
    const { sign } = bound(hmacTemplate({ template: standardWebhook, key: { value: secret } }))
    const error = await refusal(() => sign(signable({ url, body: '', fields: [['webhook-id', 'msg_1']] })))
    expect(error).toMatchObject({ name: 'KeyError', code: 'ERR_KEY_SOURCE_INVALID' })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/kd83/)
  })

  const aHeader = 'template.headers.0: expected the name of a header in lower case'
  test.each<[object, string]>([
    [{ template: 'stripe' }, 'template: '],
    [{ template: {} }, 'template.name: '],
    [{ template: { ...githubWebhook, name: '' } }, 'template.name: '],
    [{ template: { ...githubWebhook, name: 'x'.repeat(101) } }, 'template.name: '],
    [{ template: { ...githubWebhook, headers: ['X-Upper'] } }, aHeader],
    [{ template: { ...githubWebhook, headers: ['x-a\r\nx-b'] } }, aHeader],
    [{ template: { ...githubWebhook, headers: [''] } }, aHeader],
    [{ template: { ...githubWebhook, headers: ['x'.repeat(101)] } }, aHeader],
    [{ template: { ...githubWebhook, body: 'digest' } }, 'template.body: '],
    [{ template: { ...githubWebhook, hash: 'md5' } }, 'template.hash: '],
    [{ template: { ...githubWebhook, encode: 'base32' } }, 'template.encode: '],
    [{ template: { ...githubWebhook, canonical: 'text' } }, 'template.canonical: expected a function'],
    [{ template: { ...githubWebhook, apply: 'text' } }, 'template.apply: expected a function'],
    [{ template: { ...githubWebhook, keyOf: 'text' } }, 'template.keyOf: expected a function'],
    [{ template: { ...githubWebhook, more: 1 } }, 'template: '],
    [{ key: value }, 'key: '],
    [{ allowedOrigins: ['http://a.example'] }, 'allowedOrigins.0: '],
    [{ maxBufferBytes: -1 }, 'maxBufferBytes: '],
  ])('options that cannot be meant are ERR_CONFIG_INVALID: %j', (options, what) => {
    const make = () => hmacTemplate({ template: githubWebhook, key: { value }, ...options } as never)
    expect(make).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        message: expect.stringContaining(`hmacTemplate.${what}`),
      }),
    )
  })

  test('an option that nobody knows is ERR_CONFIG_INVALID', () => {
    expect(() => hmacTemplate({ template: githubWebhook, key: { value }, secret: value } as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        message: 'hmacTemplate: Unrecognized key: "secret"',
      }),
    )
  })

  test('a template may say what is so by default', async () => {
    const said: HmacTemplate = { ...githubWebhook, body: 'bytes', hash: 'sha256' }
    const request = signable({ url, body: '{}' })
    const signedBy = (template: HmacTemplate) => bound(hmacTemplate({ template, key: { value } })).sign(request)
    expect(await signedBy(said)).toEqual(await signedBy(githubWebhook))
  })

  test('a missing secret ends the start: ERR_KEY_SOURCE_MISSING', () => {
    const signer = hmacTemplate({ template: githubWebhook, key: { env: 'PINFETCH_TEST_NO_KEY' } })
    expect(() => bound(signer)).toThrow(
      expect.objectContaining({
        code: 'ERR_KEY_SOURCE_MISSING',
        message: expect.stringContaining('githubWebhook secret'),
      }),
    )
  })

  test('a signer says which header fields it sets and what it needs of a body', () => {
    const { bind, toJSON, ...plain } = hmacTemplate({ template: standardWebhook, key: { value } }) as RequestSigner & {
      readonly toJSON: unknown
    }
    const headers = ['webhook-timestamp', 'webhook-signature']
    expect(plain).toEqual({ name: 'standardWebhook', headers, body: 'bytes' })
    expect(plain).not.toHaveProperty('maxBufferBytes')
    expect(hmacTemplate({ template: githubWebhook, key: { value }, maxBufferBytes: 7 })).toHaveProperty(
      'maxBufferBytes',
      7,
    )
  })

  test('a signer does not show its secret', () => {
    const signer = hmacTemplate({ template: githubWebhook, key: { value } })
    expect(inspect(signer, { depth: 9, showHidden: true }) + JSON.stringify(signer)).not.toContain('kd83')
    const headers = ['x-hub-signature-256']
    expect(JSON.parse(JSON.stringify(signer))).toEqual({ name: 'githubWebhook', headers, key: '[redacted]' })
  })
})

const START = Date.UTC(2026, 0, 1)

/** Signs the query and the body; the signature ends the query. */
const exchange: HmacTemplate = {
  name: 'exchange',
  headers: [],
  encode: 'hex',
  canonical: ({ query, at, body }) => [`${query}&timestamp=${at}`, body],
  apply: (signature, { at }) => ({ query: `timestamp=${at}&signature=${signature}` }),
}
