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

test('the answer that says so and is no refusal is not asked for again', async () => {
  expect(await asked('sig=("date")', { status: 200 })).toMatchObject({ verdict: 'done', input: /"@method" "date"/ })
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
  ['a component outside the list', 'sig=("x-other")'],
  ['the same component with a parameter', 'sig=("date";bs)'],
  ['a key that is not ours', 'sig=("date");keyid="k2"'],
  ['another algorithm', 'sig=("date");alg="hmac-sha256"'],
  ['a credential for another purpose', 'sig=("authorization");tag="theirs"'],
  ['a field that the request does not have', 'sig=("x-absent")'],
  ['the label of another signature', 'taken=("date")'],
  ['what is no structured field', 'sig=('],
  ['nothing', ''],
])('%s is ignored, with an event of ERR_SIGN_ACCEPT_REFUSED (SIG-20)', async (_, text) => {
  const withOther: SignableRequest = {
    ...request,
    fields: [...request.fields, ['signature-input', 'taken=()'], ['signature', 'taken=:AA==:']],
  }
  const stage = await asked(text, { request: withOther })
  expect(stage.verdict).toBe('done')
  expect(stage.input).toMatch(/^sig=\("@method"\);/)
  expect(stage.events).toMatchObject([
    { type: 'sign.acceptRefused', code: 'ERR_SIGN_ACCEPT_REFUSED', host: 'api.example' },
  ])
})

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
  const hear = (field: string) =>
    onResponse?.({ status, headers: new Headers({ 'accept-signature': field }) }, { ...of, fields: of.fields })
  const verdict = hear(text)
  return { sign, hear, verdict, events, input: inputOf(await sign(of)) }
}

function inputOf({ headers }: RequestPatch): string {
  return headers?.['signature-input'] ?? ''
}
