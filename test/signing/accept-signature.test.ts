import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { localSigner } from '../../src/keys/signer.ts'
import { httpSignature } from '../../src/signing/http-signature.ts'
import type { HttpSignatureOptions } from '../../src/signing/http-signature-options.ts'
import type { RequestPatch, SignableRequest } from '../../src/signing/signing.ts'
import { bound, NOW, signable } from './signable.ts'

const keys = localSigner(generateKeyPairSync('ed25519').privateKey, { keyId: 'k1' })
const CREATED = NOW / 1_000
const request = signable({
  url: 'https://api.example/a',
  fields: [
    ['date', 'now'],
    ['authorization', 'Bearer t'],
    ['x-other', '1'],
  ],
})
const OWN_TAG = 'a signature over a credential is made for its own tag alone'
const OPTIONS: HttpSignatureOptions = {
  keys,
  components: ['@method'],
  nonce: false,
  expiresInSec: false,
  tag: 'ours',
  acceptSignature: { allow: ['date', '@authority', 'x-absent', 'authorization'] },
}

test('what a server asks for out of the list is signed from then on, and the refused request at once', async () => {
  const stage = await asked('sig=("@method" "date" "@authority");created;keyid="k1";tag="ours"')
  expect(stage.verdict).toBe('retry')
  expect(stage.input).toBe(`sig=("@method" "date" "@authority");created=${CREATED};keyid="k1";tag="ours"`)
  expect(stage.events).toEqual([])
})

test('what is asked for twice in the same words is no reason to retry', async () => {
  const stage = await asked('sig=("date")')
  expect(stage.hear('sig=("date")')).toBe('done')
  expect(stage.hear('sig=("@authority")')).toBe('retry')
})

test('the server names the label and the nonce; the nonce is good for one signature', async () => {
  const stage = await asked('theirs=("date");nonce="n1";expires')
  expect(stage.input).toBe(
    `theirs=("@method" "date");created=${CREATED};expires=${CREATED + 300};nonce="n1";keyid="k1";tag="ours"`,
  )
  expect(inputOf(await stage.sign(request))).not.toContain('nonce')
})

test('another origin is not concerned', async () => {
  const stage = await asked('sig=("date")')
  expect(inputOf(await stage.sign(signable({ url: 'https://other.example/' })))).toMatch(/^sig=\("@method"\);/)
})

test('a request that lacks what was granted is signed without it', async () => {
  const stage = await asked('sig=("date")')
  expect(inputOf(await stage.sign({ ...request, fields: [] }))).toMatch(/^sig=\("@method"\);/)
})

test('another tag is granted to a signature that covers no credential', async () => {
  expect((await asked('sig=("date");tag="theirs"')).input).toContain('tag="theirs"')
})

test.each([
  'sig=("authorization")',
  'sig=("authorization");tag="ours"',
  'sig=("date");alg="ed25519"',
  'sig=("@method")', // covered anyway
])('%s is granted', async (text) => {
  expect(await asked(text)).toMatchObject({ verdict: 'retry', events: [] })
})

test.each([400, 401, 403])('after a %i the request is sent again', async (status) => {
  expect((await asked('sig=("date")', { status })).verdict).toBe('retry')
})

test.each([200, 404, 500])('after a %i what is asked for waits for the next request', async (status) => {
  expect(await asked('sig=("date")', { status })).toMatchObject({
    verdict: 'done',
    input: expect.stringContaining('"@method" "date"'),
  })
})

test('an answer that asks for nothing is no event, and what was granted stays', async () => {
  const stage = await asked('sig=("date")')
  expect(stage.hear()).toBe('done')
  expect(stage.events).toEqual([])
  expect(inputOf(await stage.sign(request))).toContain('"@method" "date"')
})

test('the label of our own signature may be asked for, also one that was granted before', async () => {
  const signed = (label: string): SignableRequest => ({
    ...request,
    fields: [...request.fields, ['signature-input', `${label}=()`], ['signature', `${label}=:AA==:`]],
  })
  const stage = await asked('sig=("@authority")')
  expect(stage.hear('sig=("date")', signed('sig'))).toBe('retry')
  expect(stage.hear('theirs=("date")', signed('sig'))).toBe('retry')
  expect(stage.hear('theirs=("@authority")', signed('theirs'))).toBe('retry')
  expect(stage.hear('sig=("date")', signed('sig'))).toBe('retry')
})

test.each([
  ['a component outside the list', 'sig=("x-other")', String.raw`"\"x-other\"" is not in acceptSignature.allow`],
  ['the same one with a parameter', 'sig=("date";bs)', String.raw`"\"date\";bs" is not in acceptSignature.allow`],
  ['a key that is not ours', 'sig=("date");keyid="k2"', 'the keyid is not ours'],
  ['another algorithm', 'sig=("date");alg="hmac-sha256"', 'the algorithm is not ed25519'],
  ['a credential for another purpose', 'sig=("authorization");tag="theirs"', OWN_TAG],
  ['a field that the request does not have', 'sig=("x-absent")', String.raw`"\"x-absent\"" is not in the request`],
  ['the label of another signature', 'taken=("date")', 'the label "taken" is that of another signature'],
  [
    'what is no structured field',
    'sig=(',
    'Accept-Signature: expected a dictionary (RFC 9651 §3.2) with each key once',
  ],
  ['nothing', '', 'Accept-Signature asks for nothing'],
])('%s is ignored, with an event of ERR_SIGN_ACCEPT_REFUSED (SIG-20)', async (_, text, message) => {
  const withOther: SignableRequest = {
    ...request,
    fields: [...request.fields, ['signature-input', 'taken=()'], ['signature', 'taken=:AA==:']],
  }
  const stage = await asked(text, { request: withOther })
  expect(stage.verdict).toBe('done')
  expect(stage.input).toMatch(/^sig=\("@method"\);/)
  expect(stage.events).toEqual([
    expect.objectContaining({
      ...{ type: 'sign.acceptRefused', code: 'ERR_SIGN_ACCEPT_REFUSED', host: 'api.example', message },
    }),
  ])
})

test.each(['authorization', 'proxy-authorization', 'cookie', 'dpop'])(
  '%s is signed for our own tag alone',
  async (name) => {
    const options: HttpSignatureOptions = { ...OPTIONS, acceptSignature: { allow: [name] } }
    const of: SignableRequest = { ...request, fields: [[name, 'secret']] }
    expect(await asked(`sig=("${name}");tag="ours"`, { options, request: of })).toMatchObject({ verdict: 'retry' })
    expect(await asked(`sig=("${name}");tag="theirs"`, { options, request: of })).toMatchObject({
      ...{ verdict: 'done', events: [{ message: OWN_TAG }] },
    })
  },
)

test('of several the first that may be made is made', async () => {
  expect((await asked('a=("x-other"), b=("date"), c=("@authority")')).input).toMatch(/^b=\("@method" "date"\)/)
})

test('a credential that is covered anyway is signed for no other tag, also where a function lists it', async () => {
  for (const components of [['authorization'], () => ['authorization']]) {
    const stage = await asked('sig=("date");tag="theirs"', { options: { ...OPTIONS, components } })
    expect(stage.input).toContain('tag="ours"')
  }
  const strict = await asked('sig=("date");tag="theirs"', { options: { ...OPTIONS, preset: 'strict', components: [] } })
  expect(strict).toMatchObject({ verdict: 'done', events: [{ type: 'sign.acceptRefused' }] })
  expect(strict.input).toContain('tag="ours"')
})

test('by default nobody listens', () => {
  expect(bound(httpSignature({ keys })).onResponse).toBeUndefined()
})

async function asked(
  text: string,
  {
    status = 401,
    request: of = request,
    options = OPTIONS,
  }: { status?: number; request?: SignableRequest; options?: HttpSignatureOptions } = {},
) {
  const { sign, onResponse, events } = bound(httpSignature(options))
  const hear = (field?: string, about = of) =>
    onResponse?.({ status, headers: new Headers(field === undefined ? {} : { 'accept-signature': field }) }, about)
  const verdict = hear(text)
  return { sign, hear, verdict, events, input: inputOf(await sign(of)) }
}

function inputOf({ headers }: RequestPatch): string {
  return headers?.['signature-input'] ?? ''
}
