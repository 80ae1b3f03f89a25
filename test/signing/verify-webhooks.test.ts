import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ClientEvent } from '../../src/events/events.ts'
import {
  githubWebhook,
  hmacTemplate,
  memoryNonces,
  type NonceStore,
  standardWebhook,
  stripeWebhook,
  type VerifyWebhooksOptions,
  verifyWebhooks,
  type WebhookTemplate,
} from '../../src/signing/index.ts'
import { bound, NOW, refusal, signable } from './signable.ts'

const url = 'https://hooks.example/in'
const value = `whsec_${Buffer.alloc(32, 'kd83').toString('base64')}`
const other = `whsec_${Buffer.alloc(32, 'other').toString('base64')}`
const templates: readonly WebhookTemplate[] = [stripeWebhook, githubWebhook, standardWebhook]
const timed: readonly WebhookTemplate[] = [stripeWebhook, standardWebhook]

describe.each(templates)('$name', (template) => {
  test('what our half sends is accepted, by servers of Node and of fetch', async () => {
    const { verify } = verifier(template)
    const message = await sent(template)
    const signedAt = template === githubWebhook ? undefined : NOW
    expect(await verify(message.request, message.body)).toEqual({ signedAt })
    const rawHeaders = [...message.request.headers].flat()
    expect(await verify({ method: 'POST', url: '/in', rawHeaders }, message.body)).toEqual({ signedAt })
  })

  test('every bit of the body and of the signature counts: ERR_VERIFY_FAILED', async () => {
    const { verify } = verifier(template)
    const { request, body } = await sent(template)
    for (const [at] of body.entries()) {
      for (const bit of [1, 128]) {
        const changed = Uint8Array.from(body, (octet, index) => (index === at ? octet ^ bit : octet))
        expect(await refusal(() => verify(request, changed))).toMatchObject({ code: 'ERR_VERIFY_FAILED' })
      }
    }
    const name = template.headers.at(-1) ?? ''
    const signature = request.headers.get(name) ?? ''
    const start = signature.lastIndexOf(template === standardWebhook ? ',' : '=', signature.length - 4) + 1
    for (let at = start; at < signature.length; at += 1) {
      const digit = signature[at] === '1' ? '2' : '1'
      const headers = new Headers(request.headers)
      headers.set(name, signature.slice(0, at) + digit + signature.slice(at + 1))
      const error = await refusal(() => verify({ ...request, headers }, body))
      expect(error).toMatchObject({ name: 'VerifyError', code: 'ERR_VERIFY_FAILED' })
    }
    await verify(request, body)
  })

  test('a message of somebody else is ERR_VERIFY_FAILED', async () => {
    const { request, body } = await sent(template, { secret: other })
    const error = await refusal(() => verifier(template).verify(request, body))
    expect(error).toMatchObject({
      code: 'ERR_VERIFY_FAILED',
      message: `${template.name}: no signature is one of the secret`,
    })
    expect(error).not.toHaveProperty('cause')
    await verifier(template, { key: { value: other } }).verify(request, body)
  })

  test('a message without a signature is ERR_VERIFY_MISSING', async () => {
    const { request, body } = await sent(template)
    const headers = new Headers(request.headers)
    headers.delete(template.headers.at(-1) ?? '')
    const error = await refusal(() => verifier(template).verify({ ...request, headers }, body))
    expect(error).toMatchObject({
      code: 'ERR_VERIFY_MISSING',
      message: `${template.name}: expected a signature in ${template.headers.at(-1)}, saw none`,
    })
  })

  test('a signature of another length is ERR_VERIFY_FAILED', async () => {
    const { request, body } = await sent(template)
    const name = template.headers.at(-1) ?? ''
    const right = request.headers.get(name) ?? ''
    for (const text of [right.slice(0, -1), `${right}0`, right.replace(/(v1,|v1=|sha256=).*/, '$1')]) {
      const headers = new Headers(request.headers)
      headers.set(name, text)
      const error = await refusal(() => verifier(template).verify({ ...request, headers }, body))
      expect(error, text).toMatchObject({ code: 'ERR_VERIFY_FAILED' })
    }
  })

  test('a signature that is written in another way is ERR_VERIFY_MALFORMED', async () => {
    const { request, body } = await sent(template)
    const name = template.headers.at(-1) ?? ''
    const right = request.headers.get(name) ?? ''
    const separator = template === standardWebhook ? ' ' : ','
    const texts = ['', 'v0', 'x'.repeat(9_000), 'sha1=00', Array(21).fill('v1,00').join(' ')]
    const ours = template === githubWebhook ? [` ${right}`] : [`${Array(20).fill('v1=00,v1,00').join(separator)}`]
    for (const text of [...texts, ...ours]) {
      const headers = {
        *[Symbol.iterator]() {
          for (const [field, said] of request.headers) yield [field, field === name ? text : said] as const
        },
      }
      const error = await refusal(() => verifier(template).verify({ ...request, headers }, body))
      expect(error, text.slice(0, 40)).toMatchObject({
        code: 'ERR_VERIFY_MALFORMED',
        message: `${template.name}: expected ${name} and its fields as senders write them, saw something else`,
      })
    }
  })

  test('after a rotation the secret before is accepted until it ends', async () => {
    let secret = value
    const runtime = createTestRuntime({ now: NOW })
    const key = async () => ({ value: secret, expiresAt: new Date(runtime.clock.now() + 3_600_000) })
    const events: ClientEvent[] = []
    const onEvent = (event: ClientEvent) => void events.push(event)
    const { verify } = verifier(template, { key, runtime, toleranceSec: 86_400, onEvent })
    const before = await sent(template)
    const after = await sent(template, { secret: other })
    await verify(before.request, before.body)
    expect(await refusal(() => verify(after.request, after.body))).toMatchObject({ code: 'ERR_VERIFY_FAILED' })
    secret = other
    await runtime.advance(3_550_000) // within the last minute: asked for again in the background
    await verify(before.request, before.body)
    await runtime.advance(0)
    await verify(after.request, after.body)
    expect(events).toMatchObject([{ type: 'secret.changed', name: `${template.name} secret` }])
    await verify(before.request, before.body)
    await runtime.advance(50_000)
    await verify(after.request, after.body)
    expect(await refusal(() => verify(before.request, before.body))).toMatchObject({ code: 'ERR_VERIFY_FAILED' })
  })
})

describe.each(timed)('$name has a time', (template) => {
  test.each([-301_000, 301_000, 86_400_000])('signed %d ms from now is ERR_VERIFY_TIME', async (ms) => {
    const message = await sent(template, { now: NOW - ms })
    const { verify } = verifier(template)
    expect(await refusal(() => verify(message.request, message.body))).toMatchObject({
      code: 'ERR_VERIFY_TIME',
      message: `${template.name}: expected a time within 300 seconds of now, saw ${(NOW - ms) / 1_000}`,
    })
    const near = await sent(template, { now: NOW - Math.sign(ms) * 300_000 })
    expect(await verify(near.request, near.body)).toEqual({ signedAt: NOW - Math.sign(ms) * 300_000 })
  })

  test('another time is not the one that was signed: ERR_VERIFY_FAILED', async () => {
    const { request, body } = await sent(template)
    const headers = new Headers(request.headers)
    for (const [name, text] of request.headers)
      headers.set(name, text.replace(String(NOW / 1_000), `${NOW / 1_000 + 1}`))
    const error = await refusal(() => verifier(template).verify({ ...request, headers }, body))
    expect(error).toMatchObject({ code: 'ERR_VERIFY_FAILED' })
  })

  test.each(['', '0', '01767268800', '1767268800.0', '+1767268800', '1e9', 'now', '9'.repeat(13)])(
    'the time %j is ERR_VERIFY_MALFORMED',
    async (time) => {
      const { request, body } = await sent(template)
      const headers = new Headers(request.headers)
      for (const [name, text] of request.headers) headers.set(name, text.replace(String(NOW / 1_000), time))
      const error = await refusal(() => verifier(template).verify({ ...request, headers }, body))
      expect(error).toMatchObject({ code: 'ERR_VERIFY_MALFORMED' })
    },
  )

  test('a message that comes twice is ERR_VERIFY_REPLAY, and once more it is so after the tolerance for its time', async () => {
    const runtime = createTestRuntime({ now: NOW })
    const { verify } = verifier(template, { nonces: memoryNonces(), runtime })
    const { request, body } = await sent(template)
    await verify(request, body)
    expect(await refusal(() => verify(request, body))).toMatchObject({
      code: 'ERR_VERIFY_REPLAY',
      message: `${template.name}: the message was seen before`,
    })
    await runtime.advance(300_000)
    expect(await refusal(() => verify(request, body))).toMatchObject({ code: 'ERR_VERIFY_REPLAY' })
    await runtime.advance(1_000)
    expect(await refusal(() => verify(request, body))).toMatchObject({ code: 'ERR_VERIFY_TIME' })
    const next = await sent(template, { now: NOW + 301_000 })
    await verify(next.request, next.body)
  })
})

test('one of several signatures is enough, while the sender changes its secret', async () => {
  const [one, two] = [await sent(stripeWebhook), await sent(stripeWebhook, { secret: other })]
  const [, theirs] = (two.request.headers.get('stripe-signature') ?? '').split(',')
  const [time, ours] = (one.request.headers.get('stripe-signature') ?? '').split(',')
  const text = [time, 'v0=00', theirs, ours].join(',')
  await verifier(stripeWebhook).verify({ ...one.request, headers: [['stripe-signature', text]] }, one.body)
  const both = [await sent(standardWebhook), await sent(standardWebhook, { secret: other })] as const
  const headers = new Headers(both[0].request.headers)
  headers.set(
    'webhook-signature',
    ['v1a,AAAA', ...both.map(({ request }) => request.headers.get('webhook-signature'))].join(' '),
  )
  await verifier(standardWebhook).verify({ ...both[0].request, headers }, both[0].body)
})

test('a signature of an older scheme is none, even where it is right: it is not the weakest that counts', async () => {
  const { request, body } = await sent(stripeWebhook)
  const right = request.headers.get('stripe-signature') ?? ''
  const older = right.replace('v1=', 'v0=')
  for (const [text, code] of [
    [older, 'ERR_VERIFY_MALFORMED'],
    [`${older},v1=${'0'.repeat(64)}`, 'ERR_VERIFY_FAILED'],
  ] as const) {
    const changed = { ...request, headers: [['stripe-signature', text]] as const }
    expect(await refusal(() => verifier(stripeWebhook).verify(changed, body)), text).toMatchObject({ code })
  }
})

test('twenty signatures are read, and 8,192 characters, and no more: ERR_VERIFY_MALFORMED', async () => {
  const { request, body } = await sent(stripeWebhook)
  const right = request.headers.get('stripe-signature') ?? ''
  const padded = (length: number) => `${right},v0=${'0'.repeat(length - right.length - ',v0='.length)}`
  const { verify } = verifier(stripeWebhook)
  const withText = (text: string) => ({ ...request, headers: [['stripe-signature', text]] as const })
  for (const text of [padded(8_192), `${right}${',v1=00'.repeat(19)}`])
    expect(await verify(withText(text), body)).toEqual({ signedAt: NOW })
  for (const text of [padded(8_193), `${right}${',v1=00'.repeat(20)}`])
    expect(await refusal(() => verify(withText(text), body))).toMatchObject({ code: 'ERR_VERIFY_MALFORMED' })
})

test('a missing secret ends the start, and is named: ERR_KEY_SOURCE_MISSING', () => {
  expect(() => verifier(stripeWebhook, { key: { env: 'PINFETCH_TEST_NO_KEY' } })).toThrow(
    expect.objectContaining({
      code: 'ERR_KEY_SOURCE_MISSING',
      message: expect.stringContaining('stripeWebhook secret'),
    }),
  )
})

test('two times are ERR_VERIFY_MALFORMED: nobody knows which one was signed', async () => {
  const { request, body } = await sent(stripeWebhook)
  const text = `t=1,${request.headers.get('stripe-signature')}`
  const error = await refusal(() =>
    verifier(stripeWebhook).verify({ ...request, headers: [['stripe-signature', text]] }, body),
  )
  expect(error).toMatchObject({ code: 'ERR_VERIFY_MALFORMED' })
})

test('a message without a time cannot be kept for comparison: ERR_VERIFY_TIME', async () => {
  const { request, body } = await sent(githubWebhook)
  const { verify } = verifier(githubWebhook, { nonces: memoryNonces() })
  expect(await refusal(() => verify(request, body))).toMatchObject({
    code: 'ERR_VERIFY_TIME',
    message: 'githubWebhook: expected a time, without which nothing is kept to compare',
  })
})

test('where the store of nonces fails nothing is accepted: ERR_VERIFY_NONCES_UNAVAILABLE', async () => {
  const nonces: NonceStore = { claim: () => Promise.reject(new Error('redis://:hunter2@host')) }
  const { request, body } = await sent(stripeWebhook)
  const { verify } = verifier(stripeWebhook, { nonces })
  expect(await refusal(() => verify(request, body))).toMatchObject({
    code: 'ERR_VERIFY_NONCES_UNAVAILABLE',
    message: 'stripeWebhook: nobody can tell whether it was seen before',
    cause: expect.objectContaining({ message: 'its message is withheld' }),
  })
  const odd = { claim: () => 'OK' } as unknown as NonceStore
  const { verify: verifyOdd } = verifier(stripeWebhook, { nonces: odd })
  expect(await refusal(() => verifyOdd(request, body))).toMatchObject({ code: 'ERR_VERIFY_REPLAY' })
})

test.each([
  [{ toleranceSec: 0 }, 'toleranceSec'],
  [{ toleranceSec: 86_401 }, 'toleranceSec'],
  [{ template: { ...githubWebhook, read: undefined } }, 'template.read: expected a function'],
  [{ key: 1 }, 'key'],
  [{ template: { ...githubWebhook, headers: [] } }, 'template.headers: expected the header field of the signature'],
  [{ nonces: {} }, 'nonces: expected a NonceStore'],
  [{ nonces: null }, 'nonces: expected a NonceStore'],
  [{ onEvent: 'log' }, 'onEvent: expected a function'],
  [{ runtime: 'system' }, 'runtime: expected a Runtime'],
  [{ runtime: null }, 'runtime: expected a Runtime'],
])('options that cannot be meant are ERR_CONFIG_INVALID: %j', (options, where) => {
  const make = () => verifyWebhooks({ template: stripeWebhook, key: { value }, ...options } as never)
  expect(make).toThrow(
    expect.objectContaining({
      code: 'ERR_CONFIG_INVALID',
      message: expect.stringContaining(`verifyWebhooks.${where}`),
    }),
  )
})

/** A message as it arrives. */
async function sent(template: WebhookTemplate, { secret = value, now = NOW } = {}) {
  const body = Buffer.from('{"id":"evt_1","né":true}')
  const fields = [['webhook-id', 'msg_1']] as const
  const { headers } = await bound(hmacTemplate({ template, key: { value: secret } }), { now }).sign(
    signable({ url, method: 'POST', body, fields }),
  )
  return { request: { method: 'POST', url, headers: new Headers({ 'webhook-id': 'msg_1', ...headers }) }, body }
}

function verifier(template: WebhookTemplate, options: Partial<VerifyWebhooksOptions> = {}) {
  const made = verifyWebhooks({ template, key: { value }, runtime: createTestRuntime({ now: NOW }), ...options })
  onTestFinished(made.close)
  return made
}
