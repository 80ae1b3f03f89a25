import { createHash, createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK } from 'jose'
import { describe, expect, test } from 'vitest'
import type { MessageRow } from '../../scripts/conformance/signed-message.ts'
import { messageOf } from '../../scripts/conformance/signed-message.ts'
import { keyRing } from '../../src/keys/key-ring.ts'
import { localSigner, type SignatureAlgorithm, type Signer } from '../../src/keys/signer.ts'
import { verificationKey, verifySignature } from '../../src/keys/verification-key.ts'
import type { Component } from '../../src/signing/component.ts'
import { httpSignature } from '../../src/signing/http-signature.ts'
import type { HttpSignatureOptions } from '../../src/signing/http-signature-options.ts'
import type { RequestMessage } from '../../src/signing/message.ts'
import { signatureBase } from '../../src/signing/signature-base.ts'
import { readSignatures } from '../../src/signing/signature-fields.ts'
import type { RequestPatch, SignableRequest } from '../../src/signing/signing.ts'
import { hasVectors, vectorLines } from '../support/vectors.ts'
import { bound, NOW, refusal, signable, streamed } from './signable.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const keys = localSigner(privateKey, { keyId: 'k1' })
const CREATED = NOW / 1_000
const URL_TEXT = 'https://api.example/payments?id=1'
const DIGEST = `sha-256=:${createHash('sha256').update('{}').digest('base64')}:`

const post = signable({
  url: URL_TEXT,
  method: 'POST',
  fields: [
    ['authorization', 'DPoP t'],
    ['content-type', 'application/json'],
    ['dpop', 'proof'],
  ],
  body: '{}',
})
const get = signable({ url: URL_TEXT })

describe('what is covered', () => {
  test('by default: method, target, digest of the body, and what says who asks for what', async () => {
    const { patch, read } = await signed({}, post)
    expect(patch.headers?.['content-digest']).toBe(DIGEST)
    expect(read.parametersText).toBe(
      '("@method" "@target-uri" "content-type" "authorization" "dpop" "content-digest")' +
        `;created=${CREATED};expires=${CREATED + 300};nonce="${read.parameters.nonce}";keyid="k1"`,
    )
    expect(read.parameters.nonce).toMatch(/^[\w-]{22}$/)
  })

  test('a request without a body has no digest, unless it is asked for always (SIG-04)', async () => {
    const without = await signed({}, get)
    expect([without.patch.headers?.['content-digest'], without.names]).toEqual([undefined, ['@method', '@target-uri']])
    const empty = await signed({}, signable({ url: URL_TEXT, method: 'POST', body: '' }))
    expect(empty.names).toEqual(['@method', '@target-uri'])
    const always = await signed({ contentDigest: { when: 'always', algorithms: ['sha-512', 'sha-256'] } }, get)
    expect(always.patch.headers?.['content-digest']).toMatch(/^sha-512=:z4PhNX7.+, sha-256=:47DEQpj8.+:$/)
    expect(always.names).toContain('content-digest')
  })

  test('never a digest: the signer does not ask for the body, and covers a digest only where it is listed', async () => {
    const never: Partial<HttpSignatureOptions> = { contentDigest: { when: 'never' } }
    expect(httpSignature({ keys, ...never })).toMatchObject({
      body: 'ignored',
      headers: ['signature', 'signature-input'],
    })
    expect((await signed(never, post)).names).not.toContain('content-digest')
    const listed = { ...never, components: ['content-digest'] }
    expect(await refusal(() => signed(listed, post))).toMatchObject({ code: 'ERR_SIGN_COMPONENT_MISSING' })
    expect((await signed(listed, withField(post, 'content-digest', DIGEST))).names).toEqual(['content-digest'])
  })

  test('a list of components instead of a preset, the digest where it stands in it', async () => {
    const components = ['content-digest', '@path', '@query-param:id', { name: 'content-type', bs: true } as const]
    const { read } = await signed({ components, nonce: false, expiresInSec: false }, post)
    expect(read.parametersText).toBe(
      `("content-digest" "@path" "@query-param";name="id" "content-type";bs);created=${CREATED};keyid="k1"`,
    )
    expect((await signed({ components: ['@method', 'content-digest'] }, get)).names).toEqual(['@method'])
  })

  test('components beside a preset: each is covered once, and always', async () => {
    const options: Partial<HttpSignatureOptions> = { preset: 'strict', components: ['authorization', 'x-request-id'] }
    const { names } = await signed(options, withField(post, 'x-request-id', '7'))
    expect(names).toEqual([
      ...['@method', '@target-uri', 'content-type', 'authorization', 'dpop', 'x-request-id', 'content-digest'],
    ])
    expect(await refusal(() => signed(options, withField(get, 'x-request-id', '7')))).toMatchObject({
      code: 'ERR_SIGN_COMPONENT_MISSING',
    })
  })

  test('a function lists components for each request', async () => {
    const components = ({ method }: SignableRequest): Component[] =>
      method === 'GET' ? ['@method'] : ['@method', '@authority', { name: 'content-type', bs: true }]
    const { sign } = bound(httpSignature({ keys, components }))
    expect(readOf(post, await sign(post)).names).toEqual(['content-digest', '@method', '@authority', 'content-type'])
    expect(readOf(get, await sign(get)).names).toEqual(['@method'])
    expect(readOf(get, await sign(get)).names).toEqual(['@method'])
  })

  test('what a function lists is read for each request, also where it is the same object with another name', async () => {
    const component = { name: '@method' }
    const { sign } = bound(httpSignature({ keys, components: () => [component] }))
    expect(readOf(get, await sign(get)).names).toEqual(['@method'])
    component.name = '@authority'
    expect(readOf(get, await sign(get)).names).toEqual(['@authority'])
  })

  test('fapi2: what the profile lists, and nothing beside; without a token nothing is sent', async () => {
    const { read } = await signed({ preset: 'fapi2' }, post)
    expect(read.parametersText).toBe(
      `("@method" "@target-uri" "authorization" "dpop" "content-digest");created=${CREATED};keyid="k1";tag="fapi-2-request"`,
    )
    expect(await refusal(() => signed({ preset: 'fapi2' }, get))).toMatchObject({
      code: 'ERR_SIGN_COMPONENT_MISSING',
      message: expect.stringContaining('authorization'),
    })
  })

  test('web-bot-auth: the authority and the agent, the key by its thumbprint', async () => {
    // RFC 8037, Appendix A.3
    const d = 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A'
    const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
    const rfc8037 = localSigner({ kty: 'OKP', crv: 'Ed25519', d, x })
    const request = withField(get, 'signature-agent', '"https://bot.example"')
    const { read } = await signed({ preset: 'web-bot-auth', keys: rfc8037, nonce: () => 'n' }, request)
    expect(read.parametersText).toBe(
      `("@authority" "signature-agent");created=${CREATED};expires=${CREATED + 300};nonce="n"` +
        ';keyid="kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";tag="web-bot-auth"',
    )
    const fresh = await signed({ preset: 'web-bot-auth', keys: rfc8037 }, request)
    expect(fresh.read.parameters.nonce).toMatch(/^[\w-]{22}$/)
    const other = () => httpSignature({ keys, preset: 'web-bot-auth' })
    expect(await refusal(other)).toMatchObject({ code: 'ERR_SIGN_KEY_UNSUITABLE' })
    const secret = localSigner(createSecretKey(Buffer.alloc(32)), { keyId: 'A'.repeat(43) })
    expect(await refusal(() => httpSignature({ keys: secret, preset: 'web-bot-auth' }))).toMatchObject({
      code: 'ERR_SIGN_KEY_UNSUITABLE',
      message: 'httpSignature: expected a key pair, for the other side looks its public half up; nothing was signed',
    })
  })
})

describe('the parameters', () => {
  test('each signature has its own nonce and time, and the time is that of the server', async () => {
    const { sign, runtime } = bound(httpSignature({ keys }), { offsetMs: -45_000 })
    const first = readOf(get, await sign(get)).read.parameters
    await runtime.advance(2_000)
    const second = readOf(get, await sign(get)).read.parameters
    expect([first.created, second.created]).toEqual([CREATED - 45, CREATED - 43])
    expect(first.nonce).not.toBe(second.nonce)
  })

  test('those that are asked for, and no other one', async () => {
    const all = await signed({ includeAlg: true, tag: 'app', nonce: () => 'a"b\\', expiresInSec: 60 }, get)
    expect(all.read.parametersText).toContain(
      `;created=${CREATED};expires=${CREATED + 60};nonce="a\\"b\\\\";keyid="k1";alg="ed25519";tag="app"`,
    )
    const none = await signed({ keys: localSigner(privateKey), created: false, nonce: false, expiresInSec: false }, get)
    expect(none.read.parametersText).toBe('("@method" "@target-uri")')
  })

  test('a nonce that is no ASCII is refused with ERR_CONFIG_INVALID', async () => {
    for (const nonce of [() => 'é', (() => 7) as never]) {
      expect(await refusal(() => signed({ nonce }, get))).toMatchObject({
        code: 'ERR_CONFIG_INVALID',
        message: 'httpSignature.nonce: expected a function that answers ASCII',
      })
    }
  })

  const NO_SIGNER = '.keys: expected a signer, or a ring of keys'
  const COMPONENTS = 'expected up to 50 components, such as @method or content-type, or a function that lists them'

  test.each<[string, Partial<HttpSignatureOptions>, string]>([
    ['an unknown option', { lable: 'sig' } as never, ': Unrecognized key: "lable"'],
    ['a label that is no key', { label: 'Sig' }, '.label: expected a key of RFC 9651 §3.1.2, such as sig1'],
    ['a label that ends as none', { label: 'sigÄ' }, '.label: expected a key of RFC 9651 §3.1.2, such as sig1'],
    ['no keys', { keys: undefined as never }, NO_SIGNER],
    ['keys that are null', { keys: null as never }, NO_SIGNER],
    ['the name of a key', { keys: 'k1' as never }, NO_SIGNER],
    ['what signs with nothing', { keys: { sign: () => new Uint8Array() } as never }, NO_SIGNER],
    ['an algorithm alone', { keys: { algorithm: 'ed25519' } as never }, NO_SIGNER],
    [
      'a tag beside the one of the profile',
      { preset: 'fapi2', tag: 'other' },
      '.tag: expected fapi-2-request of fapi2, or none given',
    ],
    [
      'a profile without time',
      { preset: 'web-bot-auth', created: false },
      '.created: expected true, which web-bot-auth asks for',
    ],
    ['a tag beyond ASCII', { tag: 'ä' }, '.tag: expected ASCII'],
    ['a tag that ends beyond ASCII', { tag: 'aä' }, '.tag: expected ASCII'],
    ['a tag that begins beyond ASCII', { tag: 'äa' }, '.tag: expected ASCII'],
    ['a life of more than a day', { expiresInSec: 86_401 }, '.expiresInSec: '],
    ['a life of no time', { expiresInSec: 0 }, '.expiresInSec: '],
    ['a life in words', { expiresInSec: '1 h' as never }, '.expiresInSec: expected false, or seconds up to a day'],
    ['an unknown preset', { preset: 'lax' as never }, '.preset: '],
    ['no algorithm of digests', { contentDigest: { algorithms: [] } }, '.contentDigest.algorithms: '],
    [
      'an algorithm that is there twice',
      { contentDigest: { algorithms: ['sha-256', 'sha-256'] } },
      '.contentDigest.algorithms: expected each algorithm once',
    ],
    ['a weak algorithm', { contentDigest: { algorithms: ['md5' as never] } }, '.contentDigest.algorithms.0: '],
    ['an unknown time of digests', { contentDigest: { when: 'once' as never } }, '.contentDigest.when: '],
    ['a misspelt option of digests', { contentDigest: { algorithm: 'sha-512' } as never }, '.contentDigest: '],
    ['a negative buffer', { contentDigest: { maxBufferBytes: -1 } }, '.contentDigest.maxBufferBytes: '],
    [
      'a component to allow that is a number',
      { acceptSignature: { allow: [1 as never] } },
      '.acceptSignature: expected ignore, or { allow } with the components that a server may ask for',
    ],
    ['a list to accept', { acceptSignature: ['date'] as never }, '.acceptSignature: expected ignore, or { allow }'],
    ['components that are none', { components: 'date' as never }, `.components: ${COMPONENTS}`],
    ['a component that is a number', { components: [1 as never] }, `.components: ${COMPONENTS}`],
    ['too many components', { components: Array(51).fill('date') }, `.components: ${COMPONENTS}`],
    [
      'a nonce that is a text',
      { nonce: 'n' as never },
      '.nonce: expected true, false, or a function that makes a nonce',
    ],
    ['nothing to allow', { acceptSignature: { allow: [] } }, '.acceptSignature.allow: '],
    [
      'an origin with a path',
      { allowedOrigins: ['https://api.example/a'] },
      '.allowedOrigins.0: expected an https origin such as https://api.example, without a path',
    ],
  ])('%s is refused with ERR_CONFIG_INVALID', async (_, options, message) => {
    expect(await refusal(() => httpSignature({ keys, ...options }))).toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      message: expect.stringContaining(`httpSignature${message}`),
    })
  })

  test.each([1, null, undefined, {}, { name: 1 }, () => '@method'])(
    '%j is no component and refused with ERR_CONFIG_INVALID',
    async (component) => {
      expect(await refusal(() => httpSignature({ keys, components: [component as never] }))).toMatchObject({
        code: 'ERR_CONFIG_INVALID',
      })
    },
  )

  test.each<Partial<HttpSignatureOptions>>([
    { label: '*a0_-.*' },
    { label: 'a'.repeat(64) },
    { tag: ' ~' },
    { tag: 'a'.repeat(256) },
    { preset: 'fapi2', tag: 'fapi-2-request' },
    { expiresInSec: 1 },
    { expiresInSec: 86_400 },
    { components: [{ name: '@method' }] },
    { components: Array.from({ length: 50 }, (_, at) => `x-${at}`) },
    { nonce: true },
    { contentDigest: { algorithms: ['sha-256', 'sha-512'], maxBufferBytes: 1_073_741_824 } },
    { contentDigest: { algorithms: ['sha-512'], when: 'body' } },
    { acceptSignature: 'ignore' },
    { acceptSignature: { allow: ['date'] } },
  ])('%j is accepted', (options) => {
    expect(httpSignature({ keys, ...options })).toMatchObject({ label: options.label ?? 'sig' })
  })

  test('a server may ask for times that are not said otherwise; our own lifetime stays', async () => {
    const inputs = async (options: Partial<HttpSignatureOptions>, asked: string) => {
      const { sign, onResponse } = bound(
        httpSignature({
          keys,
          nonce: false,
          components: ['@method'],
          acceptSignature: { allow: ['date'] },
          ...options,
        }),
      )
      onResponse?.({ status: 200, headers: new Headers({ 'accept-signature': asked }) }, get)
      return (await sign(get)).headers?.['signature-input']
    }
    const untimed = { created: false, expiresInSec: false } as const
    expect(await inputs(untimed, 'sig=()')).toBe('sig=("@method");keyid="k1"')
    expect(await inputs(untimed, 'sig=();created')).toBe(`sig=("@method");created=${CREATED};keyid="k1"`)
    expect(await inputs(untimed, 'sig=();expires')).toBe(`sig=("@method");expires=${CREATED + 300};keyid="k1"`)
    expect(await inputs({ expiresInSec: 60 }, 'sig=();expires')).toContain(`;expires=${CREATED + 60};`)
  })
})

describe('what cannot be covered', () => {
  test.each<[string, Component[]]>([
    ['a component twice', ['@method', '@method']],
    [
      'the same one in another order of parameters',
      [
        { name: 'a', key: 'b', tr: true },
        { name: 'a', tr: true, key: 'b' },
      ],
    ],
    ['bytes of a structure', [{ name: 'content-digest', bs: true, sf: true }]],
    ['a request of a request', [{ name: '@method', req: true }]],
    ['the status of a request', ['@status']],
    ['the parameters themselves', ['@signature-params']],
    ['a name in upper case', ['Date']],
    ['an unknown derived component', ['@host']],
  ])('%s is refused with ERR_SIGN_COMPONENT_INVALID, before anything is signed (SIG-06)', async (_, components) => {
    expect(await refusal(() => httpSignature({ keys, components }))).toMatchObject({
      code: 'ERR_SIGN_COMPONENT_INVALID',
    })
    expect(await refusal(() => signed({ components: () => components }, get))).toMatchObject({
      code: 'ERR_SIGN_COMPONENT_INVALID',
    })
  })

  test.each<[string, string, SignableRequest, Component]>([
    ['ERR_SIGN_COMPONENT_MISSING', 'a field that is not there (SIG-05)', get, 'x-request-id'],
    ['ERR_SIGN_COMPONENT_MISSING', 'a trailer', get, { name: 'x', tr: true }],
    ['ERR_SIGN_COMPONENT_AMBIGUOUS', 'a parameter that occurs twice (SIG-07)', at('?id=1&id=2'), '@query-param:id'],
    ['ERR_SIGN_VALUE_NOT_ASCII', 'a field beyond ASCII (SIG-08)', withField(get, 'x', 'é'), 'x'],
    ['ERR_SIGN_VALUE_NOT_ASCII', 'a field with a line break (SIG-08)', withField(get, 'x', 'a\n"@method": GET'), 'x'],
    ['ERR_SIGN_COMPONENT_INVALID', 'a structure that is none', withField(get, 'x', '"'), { name: 'x', key: 'a' }],
  ])('%s: %s', async (code, _, request, component) => {
    expect(await refusal(() => signed({ components: [component] }, request))).toMatchObject({ name: 'SignError', code })
  })

  test('the message names the component, and says that nothing was sent', async () => {
    expect(await refusal(() => signed({ components: ['x'] }, get))).toMatchObject({
      message: String.raw`httpSignature: component "\"x\"": no such header field; nothing was sent`,
    })
    for (const component of ['@status', { name: '@method', req: true }] as const)
      expect(await refusal(() => httpSignature({ keys, components: [component] }))).toMatchObject({
        message: expect.stringMatching(/^httpSignature: component "@.*: expected one of a request; nothing was sent$/),
      })
  })

  test.each<[string, SignableRequest, Component]>([
    ['a field that is there', withField(get, 'x-request-id', '1'), 'x-request-id'],
    ['a parameter that occurs once', get, '@query-param:id'],
    ['the query, where one occurs twice', at('?id=1&id=2'), '@query'],
    ['a field beyond ASCII as bytes', withField(get, 'x', 'é'), { name: 'x', bs: true }],
  ])('%s is covered', async (_, request, component) => {
    expect((await signed({ components: [component] }, request)).names).toHaveLength(1)
  })

  test.each([
    ['https://API.example:443', 'https://api.example/', 'api.example', '/', '?'],
    ['https://api.example:8443/a?', 'https://api.example:8443/a?', 'api.example:8443', '/a?', '?'],
    ['https://[2001:DB8::0:1]/%7e?x=%2F', 'https://[2001:db8::1]/%7e?x=%2F', '[2001:db8::1]', '/%7e?x=%2F', '?x=%2F'],
  ])('%s: what is signed is what the wire has (SIG-09)', async (url, targetUri, authority, requestTarget, query) => {
    const components = ['@target-uri', '@authority', '@request-target', '@query']
    const { base } = await signed({ components }, signable({ url: new URL(url).href }))
    expect(
      base
        .split('\n')
        .slice(0, 4)
        .map((line) => line.slice(line.indexOf(': ') + 2)),
    ).toEqual([...[targetUri, authority, requestTarget, query]])
  })

  test('the target of a request with a digest is signed as it stands on the wire', async () => {
    const { base, read } = await signed({ components: ['@request-target', 'content-digest'] }, { ...post, target: '*' })
    expect(base).toContain('"@request-target": *\n"content-digest": sha-256=')
    const key = verificationKey(createPublicKey(privateKey), { keyId: '', algorithm: 'ed25519' })
    expect(verifySignature(key, Buffer.from(base), read.signature)).toBe(true)
  })

  test('the method is signed as it stands on the wire, whatever its case (SIG-10)', async () => {
    const { base } = await signed({ components: ['@method'] }, { ...get, method: 'patch' })
    expect(base).toMatch(/^"@method": patch\n/)
  })
})

describe('the body', () => {
  test('a Content-Digest of the caller is covered where it is true, and refused where it is not (SIG-01)', async () => {
    const { patch, names } = await signed({}, withField(post, 'content-digest', DIGEST))
    expect(patch.headers?.['content-digest']).toBeUndefined()
    expect(names).toContain('content-digest')
    const unreadable = 'a sha-256 or sha-512 of the body'
    for (const [wrong, expected] of [
      [DIGEST.replace('=:', '=:A'), unreadable],
      [`sha-256=:${'A'.repeat(43)}=:`, 'the digest of the body'],
      ['md5=:AAAA:', unreadable],
      ['x', unreadable],
    ] as const) {
      expect(await refusal(() => signed({}, withField(post, 'content-digest', wrong)))).toMatchObject({
        code: 'ERR_SIGN_DIGEST_CONFLICT',
        message: `httpSignature: expected ${expected} in the Content-Digest that the caller gave; nothing was sent`,
      })
    }
  })

  test('a Content-Digest of several lines is one field (RFC 9110 §5.3)', async () => {
    const lines = withField(withField(post, 'content-digest', 'md5=:AAAA:'), 'content-digest', DIGEST)
    expect((await signed({}, lines)).names).toContain('content-digest')
  })

  test('a digest for a request without a body is that of nothing', async () => {
    const nothing = `sha-256=:${createHash('sha256').digest('base64')}:`
    expect((await signed({}, withField(get, 'content-digest', nothing))).names).toContain('content-digest')
    expect(await refusal(() => signed({}, withField(get, 'content-digest', DIGEST)))).toMatchObject({
      code: 'ERR_SIGN_DIGEST_CONFLICT',
    })
  })

  test('a stream is refused with ERR_SIGN_BODY_UNHASHABLE, unless the caller says its digest (SIG-03)', async () => {
    expect(await refusal(() => signed({}, streamed(post)))).toMatchObject({
      code: 'ERR_SIGN_BODY_UNHASHABLE',
      message:
        'httpSignature: expected a body in memory, or its Content-Digest; saw a stream without; nothing was sent',
    })
    expect((await signed({}, withField(streamed(post), 'content-digest', DIGEST))).names).toContain('content-digest')
    expect(await refusal(() => signed({}, withField(streamed(post), 'content-digest', 'md5=:AAAA:')))).toMatchObject({
      code: 'ERR_SIGN_DIGEST_CONFLICT',
    })
    expect(httpSignature({ keys, contentDigest: { maxBufferBytes: 1_000 } }).maxBufferBytes).toBe(1_000)
  })
})

describe('labels and keys', () => {
  test('a request that has a signature of this label is refused with ERR_SIGN_LABEL_CONFLICT (SIG-13)', async () => {
    const first = await signed({ label: 'one' }, get)
    const request = Object.entries(first.patch.headers ?? {}).reduce(
      (to, [name, value]) => withField(to, name, value),
      get,
    )
    expect((await signed({ label: 'two' }, request)).names).toHaveLength(2)
    expect(await refusal(() => signed({ label: 'one' }, request))).toMatchObject({
      code: 'ERR_SIGN_LABEL_CONFLICT',
      message: 'httpSignature: the request has a signature one already; nothing was sent',
    })
    expect(await refusal(() => signed({}, withField(get, 'signature-input', 'one=(')))).toMatchObject({
      code: 'ERR_SIGN_LABEL_CONFLICT',
      message: 'httpSignature: the request has signatures that cannot be read; nothing was sent',
    })
    const lines = withField(withField(get, 'signature-input', 'one=()'), 'signature-input', 'two=()')
    expect(await refusal(() => signed({ label: 'two' }, lines))).toMatchObject({ code: 'ERR_SIGN_LABEL_CONFLICT' })
    expect((await signed({ label: 'three' }, lines)).names).toHaveLength(2)
  })

  test('a later signature can cover an earlier one', async () => {
    const first = await signed({ label: 'one' }, get)
    const request = Object.entries(first.patch.headers ?? {}).reduce(
      (to, [name, value]) => withField(to, name, value),
      get,
    )
    const components = [
      { name: 'signature', key: 'one' },
      { name: 'signature-input', key: 'one' },
    ] as const
    const { base } = await signed({ label: 'two', components }, request)
    expect(base).toContain(`"signature";key="one": ${first.patch.headers?.['signature']?.slice('one='.length)}\n`)
  })

  test.each<[string, SignatureAlgorithm, () => ReturnType<typeof pair>]>([
    ['RSA of 1024 bits', 'rsa-pss-sha512', () => pair('rsa', { modulusLength: 1_024 })],
    ['P-384 for P-256', 'ecdsa-p256-sha256', () => pair('ec', { namedCurve: 'secp384r1' })],
    ['Ed25519 for RSA', 'rsa-v1_5-sha256', () => pair('ed25519')],
    ['a pair for HMAC', 'hmac-sha256', () => pair('ed25519')],
  ])('%s is refused with ERR_SIGN_KEY_UNSUITABLE, by whoever holds the key (SIG-14)', async (_, algorithm, make) => {
    const { privateKey: key, publicKey } = make()
    expect(await refusal(() => localSigner(key, { algorithm }))).toMatchObject({ code: 'ERR_SIGN_KEY_UNSUITABLE' })
    const elsewhere: Signer = { algorithm, keyId: 'hsm', publicKey, sign: () => new Uint8Array(64) }
    expect(await refusal(() => httpSignature({ keys: elsewhere }))).toMatchObject({
      code: 'ERR_SIGN_KEY_UNSUITABLE',
      message: `httpSignature: the key does not fit ${algorithm}; nothing was signed`,
    })
  })

  test.each<SignatureAlgorithm>([
    ...([
      'hmac-sha256',
      'ed25519',
      'ecdsa-p256-sha256',
      'ecdsa-p384-sha384',
      'rsa-pss-sha512',
      'rsa-v1_5-sha256',
    ] as const),
  ])('%s: signed, and verified', async (algorithm) => {
    const [signer, key] = signerFor(algorithm)
    const { base, read } = await signed({ keys: signer, includeAlg: true }, post)
    expect(read.parameters.alg).toBe(algorithm)
    expect(verifySignature(key, Buffer.from(base), read.signature)).toBe(true)
    expect(verifySignature(key, Buffer.from(base.replace('POST', 'PUT')), read.signature)).toBe(false)
  })

  test.each<[SignatureAlgorithm, number, Uint8Array, string]>([
    ['ecdsa-p256-sha256', 64, Buffer.alloc(70), '64 octets, saw 70 octets'], // DER
    ['ecdsa-p256-sha256', 64, Buffer.alloc(65), '64 octets, saw 65 octets'],
    ['ecdsa-p256-sha256', 64, new Uint8Array(), '64 octets, saw 0 octets'],
    ['ecdsa-p256-sha256', 64, 'x'.repeat(64) as never, '64 octets, saw something else'],
    ['ecdsa-p384-sha384', 96, Buffer.alloc(95), '96 octets, saw 95 octets'],
    ['ed25519', 64, Buffer.alloc(63), '64 octets, saw 63 octets'],
    ['hmac-sha256', 32, Buffer.alloc(31), '32 octets, saw 31 octets'],
    ['rsa-pss-sha512', 256, Buffer.alloc(255), '256 octets or more, saw 255 octets'],
    ['rsa-v1_5-sha256', 2_048, Buffer.alloc(2_049), '256 octets or more, saw 2049 octets'],
  ])('%s: a signature of %i octets is taken, another is refused with ERR_SIGN_KEY_UNSUITABLE', async (...row) => {
    const [algorithm, length, wrong, seen] = row
    const elsewhere: Signer = { algorithm, keyId: 'hsm', sign: async () => Buffer.alloc(length) }
    expect((await signed({ keys: elsewhere }, get)).read.signature).toHaveLength(length)
    expect(await refusal(() => signed({ keys: { ...elsewhere, sign: async () => wrong } }, get))).toMatchObject({
      code: 'ERR_SIGN_KEY_UNSUITABLE',
      message: `httpSignature: expected a signature of ${seen}; nothing was signed`,
    })
  })

  test.each(['schlüssel', 'ü', 'aü', 'üa', 'a\n'])(
    '%j is no keyid that a signature can give: ERR_SIGN_KEY_UNSUITABLE',
    async (keyId) => {
      expect(await refusal(() => httpSignature({ keys: localSigner(privateKey, { keyId }) }))).toMatchObject({
        code: 'ERR_SIGN_KEY_UNSUITABLE',
        message: 'httpSignature: expected a keyId in ASCII; nothing was signed',
      })
    },
  )

  test.each([
    ['rsa-v1_5-sha256', () => pair('rsa', { modulusLength: 2_048 })],
    ['ecdsa-p256-sha256', () => pair('ec', { namedCurve: 'prime256v1' })],
    ['ed25519', () => pair('ed25519')],
  ] as const)('%s: the RFC 7638 thumbprint is the keyid of web-bot-auth', async (algorithm, make) => {
    const { privateKey: key, publicKey } = make()
    const thumbprint = await calculateJwkThumbprint(await exportJWK(publicKey))
    const withoutPublicHalf: Signer = { algorithm, keyId: thumbprint, sign: () => Buffer.alloc(256) }
    const signers = [
      localSigner(key, { algorithm }),
      localSigner(key, { algorithm, keyId: thumbprint }),
      { ...withoutPublicHalf, sign: localSigner(key, { algorithm }).sign },
    ]
    for (const signer of signers)
      expect((await signed({ preset: 'web-bot-auth', keys: signer }, get)).read.parameters.keyid).toBe(thumbprint)
    const wrong = 'httpSignature: expected the RFC 7638 thumbprint of the public key as keyId; nothing was signed'
    for (const keyId of ['', 'k1', `${thumbprint}A`, `A${thumbprint}`, thumbprint.slice(1)])
      expect(
        await refusal(() => httpSignature({ preset: 'web-bot-auth', keys: { ...withoutPublicHalf, keyId } })),
      ).toMatchObject({ code: 'ERR_SIGN_KEY_UNSUITABLE', message: wrong })
  })

  test('of a ring the key of the moment signs', async () => {
    const next = localSigner(generateKeyPairSync('ed25519').privateKey, { keyId: 'k2' })
    const ring = keyRing([{ signer: keys }, { signer: next, activateAt: new Date(NOW + 1_000) }])
    const { sign, runtime } = bound(httpSignature({ keys: ring }))
    expect(readOf(get, await sign(get)).read.parameters.keyid).toBe('k1')
    await runtime.advance(1_000)
    expect(readOf(get, await sign(get)).read.parameters.keyid).toBe('k2')
  })

  test('requests to other origins are not signed', async () => {
    const { sign } = bound(httpSignature({ keys, allowedOrigins: ['https://api.example'] }))
    expect(await sign(signable({ url: 'https://other.example/' }))).toEqual({})
    expect((await sign(get)).headers).toHaveProperty('signature')
  })

  test('what a client is told of the signer', () => {
    const [bind, toJSON] = [expect.any(Function), expect.any(Function)]
    const told = { name: 'httpSignature', headers: ['signature', 'signature-input', 'content-digest'] }
    expect({ ...httpSignature({ keys }) }).toStrictEqual({ ...told, label: 'sig', body: 'digest', bind, toJSON })
    const buffers = httpSignature({ keys, label: 'two', contentDigest: { maxBufferBytes: 1 } })
    expect({ ...buffers }).toStrictEqual({ ...told, label: 'two', body: 'digest', maxBufferBytes: 1, bind, toJSON })
  })

  test('a change of keys is told by an event', async () => {
    const next = localSigner(generateKeyPairSync('ed25519').privateKey, { keyId: 'k2' })
    const ring = keyRing([{ signer: keys }, { signer: next, activateAt: new Date(NOW + 1_000) }])
    const { sign, runtime, events } = bound(httpSignature({ keys: ring }))
    await sign(get)
    await runtime.advance(1_000)
    await sign(get)
    expect(events).toMatchObject([{ type: 'sign.keyChanged', signer: 'httpSignature', before: 'k1', after: 'k2' }])
  })

  test('nothing of a key is shown', () => {
    expect(JSON.stringify(httpSignature({ keys: localSigner(createSecretKey(Buffer.alloc(32, 'z'))) }))).toBe(
      '{"name":"httpSignature","label":"sig"}',
    )
  })
})

const isPresent = hasVectors('signing/rfc9421')

describe.skipIf(!isPresent)('the examples of RFC 9421', () => {
  interface Row {
    readonly id: string
    readonly label: string
    readonly message: MessageRow
    readonly alg: SignatureAlgorithm
    readonly keyMaterial: { readonly privatePem?: string; readonly secretBase64?: string }
  }
  const rows = isPresent ? vectorLines<Row>('signing/rfc9421/signatures.jsonl') : []

  test.each(
    rows.filter(({ id }) => ['B.2.5', 'B.2.6', 'B.4/original'].includes(id)).map((row) => [row.id, row] as const),
  )(
    '%s: made to the letter',
    async (_, { message: row, label, alg, keyMaterial: { secretBase64, privatePem = '' } }) => {
      const message = messageOf(row) as RequestMessage
      const fields = message.fields.filter(([name]) => !name.startsWith('signature'))
      const expected = readSignatures(message.fields).get(label)
      const key = secretBase64 === undefined ? createPrivateKey(privatePem) : createSecretKey(secretBase64, 'base64')
      const signer = httpSignature({
        keys: localSigner(key, { algorithm: alg, keyId: expected?.parameters.keyid ?? '' }),
        label,
        components: expected?.components.map(({ name }) => name) ?? [],
        contentDigest: { when: 'never' },
        nonce: false,
        expiresInSec: false,
      })
      const { sign } = bound(signer, { now: (expected?.parameters.created ?? 0) * 1_000 })
      const patch = await sign({ ...signable({ url: message.url, method: message.method }), fields })
      expect(patch.headers).toEqual(Object.fromEntries(message.fields.filter(([name]) => name.startsWith('signature'))))
    },
  )
})

async function signed(options: Partial<HttpSignatureOptions>, request: SignableRequest) {
  return readOf(request, await bound(httpSignature({ keys, ...options })).sign(request))
}

/** What a server reads of a signed request; the last label is the new one. */
function readOf(request: SignableRequest, patch: RequestPatch) {
  const fields = Object.entries(patch.headers ?? {})
  const read = [...readSignatures(fields).values()].at(-1) ?? expect.unreachable('it is not signed')
  const covered = { ...request, fields: [...request.fields, ...fields.filter(([name]) => name === 'content-digest')] }
  const base = signatureBase(read.components, read.parametersText, covered)
  return { patch, read, base, names: read.components.map(({ name }) => name) }
}

function withField(request: SignableRequest, name: string, value: string): SignableRequest {
  return { ...request, fields: [...request.fields, [name, value]] }
}

function at(query: string): SignableRequest {
  return signable({ url: `https://api.example/${query}` })
}

function pair(kind: 'rsa' | 'ec' | 'ed25519', options: object = {}) {
  return generateKeyPairSync(kind as 'ec', options as { namedCurve: string })
}

function signerFor(algorithm: SignatureAlgorithm) {
  if (algorithm === 'hmac-sha256') {
    const secret = createSecretKey(Buffer.alloc(32, 7))
    return [localSigner(secret), verificationKey(secret, { keyId: '', algorithm })] as const
  }
  const made = {
    ed25519: () => pair('ed25519'),
    'ecdsa-p256-sha256': () => pair('ec', { namedCurve: 'prime256v1' }),
    'ecdsa-p384-sha384': () => pair('ec', { namedCurve: 'secp384r1' }),
    'rsa-pss-sha512': () => pair('rsa', { modulusLength: 2_048 }),
    'rsa-v1_5-sha256': () => pair('rsa', { modulusLength: 2_048 }),
  }[algorithm]()
  return [
    localSigner(made.privateKey, { algorithm }),
    verificationKey(made.publicKey, { keyId: '', algorithm }),
  ] as const
}
