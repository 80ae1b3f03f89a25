import { generateKeyPairSync } from 'node:crypto'
import { type ClientOptions, type Fapi2Options, fapi2, type PinfetchError, tokenBucket } from 'pinfetch'
import { approval } from 'pinfetch/auth'
import { type Component, localSigner, verificationKey } from 'pinfetch/signing'
import { testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Intruder, type Received, type Sent, startBank } from '../../examples/payment-lab.ts'
import { refusalOf, testClient } from '../support/client.ts'

type Bank = Awaited<ReturnType<typeof startBank>>
type Change = (bank: Bank) => { fapi?: Partial<Fapi2Options>; client?: Partial<ClientOptions> }

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const yes = approval({ when: () => true, ask: async ({ digest }) => ({ approved: true, digest }) })
const otherKey = localSigner(generateKeyPairSync('ed25519').privateKey, { keyId: 'payments-2026' })

async function stage(intruder: Intruder = {}, change: Change = () => ({}), covered?: readonly Component[]) {
  const bank = await startBank(intruder, covered)
  onTestFinished(bank.close)
  const { fapi = {}, client: more = {} } = change(bank)
  const client = testClient({
    ...bank.trust,
    certificate: bank.certificate(),
    ...fapi2({
      issuer: bank.issuer,
      metadata: bank.metadata,
      clientId: 'orders',
      clientKey: bank.clientKey,
      scope: ['payments'],
      resources: [bank.api],
      senderConstraint: 'mtls',
      signature: { form: 'http-message-signature', keys: bank.messageKey },
      responses: { keys: bank.bankKey, algorithms: ['ecdsa-p256-sha256'] },
      approval: yes,
      ...fapi,
    }),
    rate: { rules: [{ limit: tokenBucket({ requests: 100, perMs: 1_000 }) }] },
    ...more,
  })
  const pay = (headers: Record<string, string> = {}) =>
    client.fetch(`${bank.api}/payments?batch=1`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: '{"amount":"12.50"}',
    })
  return { bank, client, pay }
}

const dpop: Change = () => ({ fapi: { senderConstraint: { dpop: { signer: 'ephemeral-es256' } } } })
const jws: Change = ({ messageKey }) => ({ fapi: { signature: { form: 'x-jws-signature', keys: messageKey } } })

describe.each<[string, Change]>([
  ['a token bound to the certificate, HTTP message signatures', () => ({})],
  ['a token bound to a DPoP key, HTTP message signatures', dpop],
  ['a token bound to the certificate, x-jws-signature', jws],
])('a payment with %s', (_, change) => {
  test('is taken once, signed both ways, under one interaction id and one Idempotency-Key', async () => {
    const { bank, pay } = await stage({}, change)
    const response = await pay()
    expect([response.status, await response.json()]).toMatchObject([201, { status: 'accepted', amount: '12.50' }])
    expect(response.headers.get('x-fapi-interaction-id')).toBe(bank.interactions[0])
    expect(bank.interactions[0]).toMatch(UUID)
    expect([...bank.payments.keys()]).toEqual([expect.stringMatching(UUID)])
    await pay({ 'idempotency-key': 'order-1' })
    await pay({ 'idempotency-key': 'order-1' })
    expect(bank.payments.size).toBe(2)
    expect(new Set(bank.interactions).size).toBe(3)
    expect(bank.refusals).toEqual([])
  })

  test('whose body was changed on the way is not taken', async () => {
    const { bank, pay } = await stage(
      { request: (one) => ({ ...one, body: Buffer.from('{"amount":"99.50"}') }) },
      change,
    )
    await refusalOf(pay(), 'ERR_VERIFY_MISSING')
    expect(bank.refusals[0]).toMatch(/ERR_VERIFY_DIGEST_MISMATCH|JWSSignatureVerificationFailed/)
    expect(bank.payments.size).toBe(0)
  })

  test('with a token that was stolen from another client is not taken', async () => {
    let stolen = ''
    const owner = await stage({}, change)
    await owner.pay()
    stolen = String(owner.bank.requests[0]?.headers.authorization)
    const thief = testClient({
      ...owner.bank.trust,
      certificate: owner.bank.certificate(),
      sign:
        fapi2({
          issuer: owner.bank.issuer,
          clientId: 'orders',
          clientKey: owner.bank.clientKey,
          resources: [owner.bank.api],
          senderConstraint: 'mtls',
          signature: { form: 'http-message-signature', keys: owner.bank.messageKey },
          approval: 'none',
        }).sign ?? [],
    })
    const headers = { authorization: stolen, 'x-fapi-interaction-id': 'x', 'content-type': 'application/json' }
    const answer = await thief.fetch(`${owner.bank.api}/payments`, { method: 'POST', headers, body: '{}' })
    expect(answer.status).toBe(400)
    expect(owner.bank.refusals).toHaveLength(1)
    expect(owner.bank.payments.size).toBe(1)
  })
})

describe('a request that somebody changed', () => {
  const swap =
    (name: string, value: (old: string) => string) =>
    (one: Received): Received => ({
      ...one,
      rawHeaders: one.rawHeaders.map((text, at) =>
        one.rawHeaders[at - 1]?.toLowerCase() === name && at % 2 === 1 ? value(text) : text,
      ),
    })
  test.each<[string, (one: Received) => Received, RegExp]>([
    ['in its method', (one) => ({ ...one, method: 'PUT' }), /^ERR_VERIFY_FAILED$/],
    ['in its path', (one) => ({ ...one, url: '/payments2?batch=1' }), /^ERR_VERIFY_FAILED$/],
    ['in its query', (one) => ({ ...one, url: '/payments?batch=2' }), /^ERR_VERIFY_FAILED$/],
    [
      'in its interaction id',
      swap('x-fapi-interaction-id', (id) => id.replace(/^./, (c) => (c === '0' ? '1' : '0'))),
      /^ERR_VERIFY_FAILED$/,
    ],
    ['in its Idempotency-Key', swap('idempotency-key', () => 'order-2'), /^ERR_VERIFY_FAILED$/],
    ['in its Content-Type', swap('content-type', () => 'text/plain'), /^ERR_VERIFY_FAILED$/],
    [
      'in its Content-Digest',
      swap('content-digest', () => 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:'),
      /^ERR_VERIFY_/,
    ],
    [
      'in its signature',
      swap('signature', (text) => text.replace(/:(.)/, (_, c) => (c === 'A' ? ':B' : ':A'))),
      /^ERR_VERIFY_FAILED$/,
    ],
    ['in its token', swap('authorization', (text) => `${text.slice(0, -2)}xx`), /^ERR_VERIFY_/],
    [
      'by taking its signature away',
      (one) => ({
        ...one,
        rawHeaders: one.rawHeaders.filter((_, at) => !/^signature/i.test(String(one.rawHeaders[at - (at % 2)]))),
      }),
      /^ERR_VERIFY_MISSING$/,
    ],
  ])('%s is not taken', async (_, request, code) => {
    const { bank, pay } = await stage({ request })
    await refusalOf(pay(), 'ERR_VERIFY_MISSING') // the bank does not sign its refusals
    expect(bank.refusals[0]).toMatch(code)
    expect(bank.payments.size).toBe(0)
  })
})

describe('a response that somebody changed is not believed', () => {
  test.each<[string, (one: Sent) => Sent, PinfetchError['code']]>([
    ['its status: ERR_VERIFY_FAILED', (one) => ({ ...one, status: 200 }), 'ERR_VERIFY_FAILED'],
    [
      'its body: ERR_VERIFY_DIGEST_MISMATCH',
      (one) => ({ ...one, body: one.body.replace('12.50', '99.50') }),
      'ERR_VERIFY_DIGEST_MISMATCH',
    ],
    [
      'its type: ERR_VERIFY_FAILED',
      (one) => ({ ...one, headers: { ...one.headers, 'content-type': 'text/html' } }),
      'ERR_VERIFY_FAILED',
    ],
    [
      'its interaction id: ERR_POLICY_INTERACTION_ID',
      (one) => ({ ...one, headers: { ...one.headers, 'x-fapi-interaction-id': 'other' } }),
      'ERR_POLICY_INTERACTION_ID',
    ],
    [
      'its signature: ERR_VERIFY_MISSING',
      ({ headers: { signature: _, 'signature-input': __, ...headers }, ...one }) => ({ ...one, headers }),
      'ERR_VERIFY_MISSING',
    ],
  ])('%s', async (_, response, code) => {
    const { pay } = await stage({ response })
    expect((await refusalOf(pay(), code)).requestSent).toBe('yes')
  })

  test('an answer to another payment fits no second one: ERR_VERIFY_FAILED', async () => {
    let kept: Sent | undefined
    const { pay } = await stage({
      response: (one) => {
        kept ??= one
        return kept
      },
    })
    expect((await pay()).status).toBe(201)
    await refusalOf(pay(), 'ERR_VERIFY_FAILED')
  })
})

test.each<[string, readonly Component[]]>([
  ['nothing of the request', ['@status', 'content-digest']],
  [
    'the request, and not its signature',
    [
      '@status',
      'content-digest',
      { name: '@method', req: true },
      { name: '@target-uri', req: true },
      { name: 'content-digest', req: true },
    ],
  ],
])('an answer whose signature covers %s is not believed: ERR_VERIFY_REQUEST_BINDING', async (_, covered) => {
  const { pay } = await stage({}, () => ({}), covered)
  await refusalOf(pay(), 'ERR_VERIFY_REQUEST_BINDING')
})

describe('who is not the client, or not the bank', () => {
  test('an assertion by another key gets no token', async () => {
    const other = localSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, { keyId: 'client-1' })
    const { bank, pay } = await stage({}, () => ({ fapi: { clientKey: other } }))
    await expect(pay()).rejects.toMatchObject({ name: 'AuthError' })
    expect(bank.refusals).toEqual(['ERR_VERIFY_FAILED'])
    expect(bank.requests.length).toBe(0)
  })

  test('a signature by another key is not taken', async () => {
    const { bank, pay } = await stage({}, () => ({
      fapi: { signature: { form: 'http-message-signature', keys: otherKey } },
    }))
    await refusalOf(pay(), 'ERR_VERIFY_MISSING')
    expect(bank.refusals).toEqual(['ERR_VERIFY_FAILED'])
  })

  test('an answer by another key is not believed: ERR_VERIFY_FAILED', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const keys = verificationKey(publicKey, { keyId: 'bank-1' })
    const { pay } = await stage({}, () => ({ fapi: { responses: { keys, algorithms: ['ecdsa-p256-sha256'] } } }))
    await refusalOf(pay(), 'ERR_VERIFY_FAILED')
  })

  test('a bank with another key is asked nothing: ERR_TRUST_PIN_MISMATCH', async () => {
    const wrong = { 'api.bank.test': [testCa().issue({ names: ['api.bank.test'] }).pin] }
    const { bank, pay } = await stage({}, ({ trust }) => ({ client: { pins: { ...trust.pins, ...wrong } } }))
    await refusalOf(pay(), 'ERR_TRUST_PIN_MISMATCH')
    expect(bank.requests.length).toBe(0)
  })

  test('a token that is bound to a key is shown with a proof', async () => {
    const { bank, pay } = await stage({}, dpop)
    expect((await pay()).status).toBe(201)
    expect(bank.requests[0]?.headers['dpop']).toBeDefined()
    expect(bank.requests[0]?.headers.authorization).toMatch(/^DPoP /)
  })

  test('a payment that nobody approves is not sent: ERR_APPROVAL_DENIED', async () => {
    const no = approval({ when: () => true, ask: async ({ digest }) => ({ approved: false, digest }) })
    const { bank, pay } = await stage({}, () => ({ fapi: { approval: no } }))
    await refusalOf(pay(), 'ERR_APPROVAL_DENIED')
    expect(bank.requests.length).toBe(0)
  })

  test('one beyond the limit is not sent: ERR_RATE_LIMITED', async () => {
    const rate = { rules: [{ limit: tokenBucket({ requests: 1, perMs: 3_600_000 }) }] }
    const { bank, pay } = await stage({}, () => ({ client: { rate } }))
    expect((await pay()).status).toBe(201)
    await refusalOf(pay(), 'ERR_RATE_LIMITED')
    expect(bank.payments.size).toBe(1)
  })
})

describe('the options of fapi2', () => {
  const given: Fapi2Options = {
    issuer: 'https://login.bank.test',
    clientId: 'orders',
    clientKey: otherKey,
    resources: ['https://api.bank.test'],
    senderConstraint: 'mtls',
    signature: { form: 'http-message-signature', keys: otherKey },
    approval: 'none',
  }

  test('are what a client takes', () => {
    const key = localSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
    const made = fapi2({ ...given, clientKey: key, retry: 'none' })
    expect(Object.keys(made).sort()).toEqual(['auth', 'interactionId', 'redirect', 'sign'])
    expect(made).toMatchObject({ interactionId: { origins: ['api.bank.test'] }, redirect: 'error' })
    expect(fapi2({ ...given, clientKey: key }).retry).toEqual({ idempotencyKey: 'auto' })
  })

  test.each<[string, object]>([
    ['resources', { resources: ['http://api.bank.test'] }],
    ['resources', { resources: [] }],
    ['senderConstraint', { senderConstraint: 'none' }],
    ['senderConstraint', { senderConstraint: undefined }],
    ['signature', { signature: { form: 'none', keys: otherKey } }],
    ['approval', { approval: undefined }],
    ['approval', { approval: () => true }],
    ['clientId', { clientId: '' }],
    ['', { redirects: 'follow' }],
  ])('%s: %j is refused: ERR_CONFIG_INVALID', async (path, wrong) => {
    const made = Promise.resolve().then(() => fapi2({ ...given, ...wrong } as Fapi2Options))
    expect((await refusalOf(made, 'ERR_CONFIG_INVALID')).message).toContain(`fapi2${path === '' ? '' : `.${path}`}`)
  })
})
