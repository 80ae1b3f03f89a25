import { createSecretKey, generateKeyPairSync, sign } from 'node:crypto'
import {
  localSigner,
  memoryNonces,
  type NonceStore,
  type VerificationKey,
  verificationKey,
  verifyRequests,
} from 'pinfetch/signing'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { CodeIn } from '../../src/errors/codes.ts'
import { type PinfetchError, VerifyError } from '../../src/errors/errors.ts'
import type { KeySet } from '../../src/keys/jwks.ts'
import { verifySignature } from '../../src/keys/verification-key.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { Component } from '../../src/signing/component.ts'
import { componentIdentifier } from '../../src/signing/component.ts'
import { signatureBase } from '../../src/signing/signature-base.ts'
import { coversField, requireCoverage } from '../../src/signing/verify-coverage.ts'
import type { Refuse } from '../../src/signing/verify-message.ts'
import { timeProblem } from '../../src/signing/verify-time.ts'
import { refusalOf } from '../support/client.ts'

const NOW = 1_767_225_600
const ORIGIN = 'https://api.example.com'
const keys = Object.fromEntries(
  (
    [
      ['ed25519', generateKeyPairSync('ed25519')],
      ['ecdsa-p256-sha256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
      ['ecdsa-p384-sha384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
      ['rsa-pss-sha512', generateKeyPairSync('rsa', { modulusLength: 2048 })],
      ['rsa-v1_5-sha256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ] as const
  ).map(([algorithm, { privateKey, publicKey }]) => [
    algorithm,
    {
      signer: localSigner(privateKey, { keyId: algorithm, algorithm }),
      key: verificationKey(publicKey, { keyId: algorithm, algorithm }),
    },
  ]),
)
const secret = createSecretKey(Buffer.alloc(32, 7))
keys['hmac-sha256'] = {
  signer: localSigner(secret, { keyId: 'hmac-sha256' }),
  key: verificationKey(secret, { keyId: 'hmac-sha256' }),
}
const ALGORITHMS = Object.keys(keys) as (keyof typeof keys)[]
const of = (algorithm: string) => {
  const found = keys[algorithm]
  if (found === undefined) throw new Error(algorithm)
  return found
}

interface Signing {
  readonly with?: string
  readonly label?: string
  readonly components?: readonly Component[]
  /** In place of `;created=…;keyid="…"`. */
  readonly parameters?: string
}

const REQUEST = { method: 'POST', url: '/orders?id=7', rawHeaders: ['Host', 'api.example.com', 'X-Amount', '10'] }

const requestWith = (signings: readonly Signing[]) => (signings.length === 0 ? REQUEST : signedRequest(...signings))

/** A request with one signature a signing. */
async function signedRequest(...signings: readonly Signing[]) {
  const { rawHeaders } = REQUEST
  const fields = [['host', 'api.example.com'] as const, ['x-amount', '10'] as const]
  const message = { kind: 'request', method: 'POST', url: `${ORIGIN}/orders?id=7`, fields } as const
  const inputs: string[] = []
  const signatures: string[] = []
  for (const { with: name = 'ed25519', label = 'sig', components = COVERED, parameters } of signings) {
    const covered = components.map(componentIdentifier)
    const text = `(${covered.map((one) => one.text).join(' ')})${parameters ?? `;created=${NOW};keyid="${name}"`}`
    const signature = await of(name).signer.sign(Buffer.from(signatureBase(covered, text, message)), {
      signal: AbortSignal.any([]),
    })
    inputs.push(`${label}=${text}`)
    signatures.push(`${label}=:${Buffer.from(signature).toString('base64')}:`)
  }
  return {
    ...REQUEST,
    rawHeaders: [...rawHeaders, 'Signature-Input', inputs.join(', '), 'Signature', signatures.join(', ')],
  }
}

const COVERED = ['@method', '@target-uri', 'x-amount']

function verifier(options: Partial<Parameters<typeof verifyRequests>[0]> = {}, at = NOW) {
  return verifyRequests({
    keys: ALGORITHMS.map((algorithm) => of(String(algorithm)).key),
    algorithms: ALGORITHMS as never,
    maxAgeSec: 300,
    clockSkewSec: 30,
    origin: ORIGIN,
    runtime: createTestRuntime({ now: at * 1_000 }),
    ...options,
  })
}

test.each(ALGORITHMS)('a signature by %s says who made it and what it covers', async (algorithm) => {
  const request = await signedRequest({ with: String(algorithm) })
  expect(await verifier()(request, null)).toMatchObject({
    label: 'sig',
    keyId: algorithm,
    algorithm,
    created: NOW,
    components: ['"@method"', '"@target-uri"', '"x-amount"'],
  })
  for (const change of CHANGES) await refusalOf(verifier()(change(request), null), 'ERR_VERIFY_FAILED')
})

test('what a signature does not say is not made up, and what it says is handed on', async () => {
  const { message, ...least } = await verifier()(await signedRequest({}), null)
  const components = ['"@method"', '"@target-uri"', '"x-amount"']
  const always = { label: 'sig', keyId: 'ed25519', algorithm: 'ed25519', created: NOW, components }
  expect(least).toEqual(always)
  expect(Object.keys(least).sort()).toEqual(Object.keys(always).sort()) // not even as undefined
  expect(message).toMatchObject({ method: 'POST', url: `${ORIGIN}/orders?id=7` })
  const said = { expires: NOW + 60, nonce: 'n-1', tag: 'payment' }
  const parameters = `;created=${NOW};keyid="ed25519";expires=${NOW + 60};nonce="n-1";tag="payment"`
  expect(await verifier()(await signedRequest({ parameters }), null)).toEqual({
    ...always,
    ...said,
    message: expect.anything(),
  })
})

describe('a refusal says what was expected, and nothing that the sender wrote but the names it asked for', () => {
  const by = (parameters: string): Signing => ({ parameters: `;created=${NOW}${parameters}` })
  const two = { algorithms: ['ed25519', 'hmac-sha256'] } as const

  test.each<[string, Partial<Parameters<typeof verifyRequests>[0]>, readonly Signing[], PinfetchError['code'], string]>(
    [
      ['no signature', {}, [], 'ERR_VERIFY_MISSING', 'expected a signature, there is none'],
      [
        'none with the tag and the label',
        { tag: 'pay', label: 'ours' },
        [{}],
        'ERR_VERIFY_MISSING',
        'expected a signature as "ours" with the tag "pay", there is none',
      ],
      [
        'none with the label',
        { label: 'ours' },
        [{}],
        'ERR_VERIFY_MISSING',
        'expected a signature as "ours", there is none',
      ],
      [
        'an algorithm that is not allowed',
        two,
        [by(';keyid="ed25519";alg="rsa-pss-sha512"')],
        'ERR_VERIFY_ALG_MISMATCH',
        'expected ed25519 or hmac-sha256, signed with another algorithm',
      ],
      [
        'a key for an algorithm that is not allowed',
        two,
        [{ with: 'ecdsa-p256-sha256' }],
        'ERR_VERIFY_ALG_MISMATCH',
        'the key is for ecdsa-p256-sha256, expected ed25519 or hmac-sha256',
      ],
      [
        'a key that is none for its algorithm',
        { keys: () => ({ keyId: '', algorithm: 'hmac-sha256', key: of('ed25519').key.key }) },
        [{}],
        'ERR_VERIFY_ALG_MISMATCH',
        'the key that was found is none for hmac-sha256',
      ],
      [
        'a key that nobody knows',
        {},
        [by(';keyid="x"')],
        'ERR_VERIFY_KEY_UNKNOWN',
        'the signature is by a key that is not known',
      ],
      [
        'a key that was retired',
        { keys: () => ({ ...of('ed25519').key, retireAt: toUnixMs(NOW * 1_000) }) },
        [{}],
        'ERR_VERIFY_KEY_UNKNOWN',
        'the signature is by a key that was retired',
      ],
      ['no nonce', { nonces: memoryNonces() }, [{}], 'ERR_VERIFY_COVERAGE', 'expected a nonce, the signature has none'],
      [
        'components that are not covered',
        { components: ['@method', 'x-amount'] },
        [{ components: ['x-amount'] }],
        'ERR_VERIFY_COVERAGE',
        'expected a signature that covers "@method"',
      ],
      [
        'another key',
        { keys: { ...of('hmac-sha256').key, key: createSecretKey(Buffer.alloc(32, 8)) } },
        [{ with: 'hmac-sha256' }],
        'ERR_VERIFY_FAILED',
        'the signature is not one of the key; something was changed',
      ],
      [
        'no time',
        {},
        [{ parameters: ';keyid="ed25519"' }],
        'ERR_VERIFY_TIME',
        'expected `created`, the signature does not say when it was made',
      ],
      [
        'an end before the beginning',
        {},
        [by(`;keyid="ed25519";expires=${NOW - 1}`)],
        'ERR_VERIFY_TIME',
        `ends before it begins (expires ${NOW - 1}, created ${NOW}, now ${NOW}, skew 30)`,
      ],
    ],
  )('%s', async (_, options, signings, code, what) => {
    const refusal = await refusalOf(verifier(options)(await requestWith(signings), null), code)
    expect(refusal.message).toBe(`request: ${what}`)
    expect(refusal).not.toHaveProperty('cause')
  })
})

const CHANGES: readonly ((request: typeof REQUEST) => typeof REQUEST)[] = [
  (request) => ({ ...request, method: 'PUT' }),
  (request) => ({ ...request, url: '/order?id=7' }),
  (request) => ({ ...request, url: '/orders?id=8' }),
  (request) => ({ ...request, url: '/orders?id=7&' }),
  (request) => ({ ...request, rawHeaders: request.rawHeaders.map((text) => (text === '10' ? '11' : text)) }),
  (request) => ({ ...request, rawHeaders: [...request.rawHeaders, 'X-Amount', '10'] }),
  (request) => ({ ...request, rawHeaders: request.rawHeaders.filter((_, at) => at !== 2 && at !== 3) }),
]

test('a fragment, which nothing covers, is refused wherever it stands: ERR_VERIFY_MALFORMED', async () => {
  const request = await signedRequest({ components: ['@method', '@path'] })
  const verify = verifier({ components: ['@method', '@path'] })
  for (const url of ['/orders#?id=7', '/orders?id=7#', `${ORIGIN}/orders?id=7#x`, '*#'])
    await refusalOf(verify({ ...request, url }, null), 'ERR_VERIFY_MALFORMED')
  const headers = Array.from({ length: request.rawHeaders.length / 2 }, (_, at): [string, string] => [
    request.rawHeaders[2 * at] ?? '',
    request.rawHeaders[2 * at + 1] ?? '',
  ])
  const fetched = { method: 'POST', url: `${ORIGIN}/orders?id=7`, headers }
  await refusalOf(verify({ ...fetched, url: `${fetched.url}#x` }, null), 'ERR_VERIFY_MALFORMED')
  expect(await verify(fetched, null)).toMatchObject({ label: 'sig' })
  expect(await verify(request, null)).toMatchObject({ label: 'sig' })
})

describe('the length of an HMAC and its value are both compared (VER-13)', () => {
  test.each([0, 1, 31, 33, 64])('%i octets: ERR_VERIFY_FAILED', async (length) => {
    const request = await signedRequest({ with: 'hmac-sha256' })
    const bytes = Buffer.alloc(length, Buffer.from(request.rawHeaders.at(-1)?.slice(5, -1) ?? '', 'base64'))
    const rawHeaders = [...request.rawHeaders.slice(0, -1), `sig=:${bytes.toString('base64')}:`]
    await refusalOf(verifier()({ ...request, rawHeaders }, null), 'ERR_VERIFY_FAILED')
  })
})

describe('a message whose signatures can be read in two ways is refused: ERR_VERIFY_MALFORMED', () => {
  test.each<[string, (rawHeaders: string[]) => string[]]>([
    ['a label in Signature alone (VER-02)', (raw) => [...raw, 'Signature', 'other=:AAAA:']],
    ['a label in Signature-Input alone (VER-02)', (raw) => [...raw, 'Signature-Input', 'other=();created=1']],
    ['a label twice in Signature (VER-03)', (raw) => [...raw, 'Signature', 'sig=:AAAA:']],
    ['a label twice in Signature-Input (VER-03)', (raw) => [...raw, 'Signature-Input', `sig=();created=${NOW}`]],
    ['a parameter twice (VER-03)', (raw) => raw.map((text) => text.replace(';keyid=', `;created=${NOW};keyid=`))],
    ['a component twice', (raw) => raw.map((text) => text.replace('"@method"', '"@method" "@method"'))],
    ['a component that nobody knows', (raw) => raw.map((text) => text.replace('"@method"', '"@verb"'))],
    ['a component of a response', (raw) => raw.map((text) => text.replace('"@method"', '"@status"'))],
    [
      'a parameter of a component that nobody knows',
      (raw) => raw.map((text) => text.replace('"@method"', '"@method";x')),
    ],
    ['created as a text', (raw) => raw.map((text) => text.replace(`created=${NOW}`, `created="${NOW}"`))],
    ['a signature that is a text', (raw) => raw.map((text) => text.replace(/^sig=:.*:$/, 'sig="x"'))],
    [
      'more than twenty signatures',
      (raw) => [
        ...raw,
        ...Array.from({ length: 20 }, (_, n) => [
          'Signature-Input',
          `s${n}=();created=1`,
          'Signature',
          `s${n}=:AAAA:`,
        ]).flat(),
      ],
    ],
  ])('%s', async (_, change) => {
    const request = await signedRequest({})
    await refusalOf(
      verifier({ components: [] })({ ...request, rawHeaders: change(request.rawHeaders) }, null),
      'ERR_VERIFY_MALFORMED',
    )
    expect(await verifier({ components: [] })(request, null)).toMatchObject({ label: 'sig' })
  })
})

describe('the algorithm is one of the policy and one of the key (VER-04)', () => {
  const signed = (alg: string) => signedRequest({ parameters: `;created=${NOW};keyid="ed25519";alg="${alg}"` })

  test('one that says another than the key has is ERR_VERIFY_ALG_MISMATCH', async () => {
    await refusalOf(verifier()(await signed('ecdsa-p256-sha256'), null), 'ERR_VERIFY_ALG_MISMATCH')
    await refusalOf(verifier()(await signed('none'), null), 'ERR_VERIFY_ALG_MISMATCH')
    expect(await verifier()(await signed('ed25519'), null)).toMatchObject({ algorithm: 'ed25519' })
  })

  test('one that is not allowed is ERR_VERIFY_ALG_MISMATCH, whether it is named or not', async () => {
    const strict = verifier({ algorithms: ['ecdsa-p256-sha256'] })
    await refusalOf(strict(await signed('ed25519'), null), 'ERR_VERIFY_ALG_MISMATCH')
    await refusalOf(strict(await signedRequest({}), null), 'ERR_VERIFY_ALG_MISMATCH')
    expect(await strict(await signedRequest({ with: 'ecdsa-p256-sha256' }), null)).toMatchObject({ label: 'sig' })
  })

  test('a public key is no secret of an HMAC: ERR_VERIFY_ALG_MISMATCH', async () => {
    const request = await signedRequest({
      with: 'hmac-sha256',
      parameters: `;created=${NOW};keyid="ed25519";alg="hmac-sha256"`,
    })
    await refusalOf(verifier()(request, null), 'ERR_VERIFY_ALG_MISMATCH')
  })
})

describe('keys', () => {
  test('one that nobody has is ERR_VERIFY_KEY_UNKNOWN, and so is none among several', async () => {
    for (const parameters of [`;created=${NOW};keyid="other"`, `;created=${NOW}`])
      await refusalOf(verifier()(await signedRequest({ parameters }), null), 'ERR_VERIFY_KEY_UNKNOWN')
  })

  test('a function that fails is ERR_VERIFY_KEYS_UNAVAILABLE, and its words are not repeated', async () => {
    const failing = verifier({
      keys: () => {
        throw new Error('password hunter2')
      },
    })
    const refusal = await refusalOf(failing(await signedRequest({}), null), 'ERR_VERIFY_KEYS_UNAVAILABLE')
    expect(refusal).toMatchObject({ retryable: true, message: 'request: the keys could not be had' })
    expect(refusal.cause).toMatchObject({ message: 'its message is withheld' })
  })

  test.each([
    ['a KeyObject', of('ed25519').key.key],
    ['a JWK', { kty: 'OKP', crv: 'Ed25519', x: '' }],
    ['null', null],
  ])('a function that answers %s is ERR_VERIFY_KEYS_UNAVAILABLE, and says what was expected', async (_, answer) => {
    const odd = verifier({ keys: () => answer as never })
    const refusal = await refusalOf(odd(await signedRequest({}), null), 'ERR_VERIFY_KEYS_UNAVAILABLE')
    expect(refusal.message).toBe('request: expected a key that verificationKey() made, saw something else')
  })

  test('a key set that refuses says why: the code is its own', async () => {
    const set = (code: CodeIn<'VERIFY'>): KeySet => ({
      keyFor: () => Promise.reject(new VerifyError(code, 'of the set')),
    })
    for (const [code, what] of [
      ['ERR_VERIFY_ALG_MISMATCH', 'the key of that name is for another algorithm'],
      ['ERR_VERIFY_KEY_UNKNOWN', 'the signature is by a key that is not known'],
      ['ERR_VERIFY_KEYS_UNAVAILABLE', 'no keys, or none that are recent enough'],
      ['ERR_VERIFY_TIME', 'no key'],
    ] as const) {
      const refusal = await refusalOf(verifier({ keys: set(code) })(await signedRequest({}), null), code)
      expect(refusal.message).toBe(`request: ${what}`)
      expect(refusal.cause).toMatchObject({ message: 'of the set' })
    }
    const known: KeySet = { keyFor: async () => of('ed25519').key.key }
    expect(await verifier({ keys: known })(await signedRequest({}), null)).toMatchObject({ keyId: 'ed25519' })
  })

  test('a function may answer a key that was retired, or is none for its algorithm: both are refused', async () => {
    const { key, keyId } = of('ed25519').key
    const answering = (found: VerificationKey) => verifier({ keys: () => found })
    const ends = (atSec: number) => verificationKey(key, { keyId, retireAt: new Date(atSec * 1_000) })
    await refusalOf(answering(ends(NOW))(await signedRequest({}), null), 'ERR_VERIFY_KEY_UNKNOWN')
    expect(await answering(ends(NOW + 1))(await signedRequest({}), null)).toMatchObject({ keyId })
    for (const algorithm of ['hmac-sha256', 'rsa-pss-sha512', 'ecdsa-p256-sha256'] as const)
      await refusalOf(answering({ keyId, algorithm, key })(await signedRequest({}), null), 'ERR_VERIFY_ALG_MISMATCH')
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const request = await signedRequest({})
    const base = Buffer.from(
      `"@method": POST\n"@target-uri": ${ORIGIN}/orders?id=7\n"x-amount": 10\n"@signature-params": ${request.rawHeaders.at(-3)?.slice(4)}`,
    )
    const weak = sign('sha256', base, privateKey).toString('base64')
    const rawHeaders = [...request.rawHeaders.slice(0, -1), `sig=:${weak}:`]
    const found = { keyId, algorithm: 'rsa-v1_5-sha256', key: publicKey } as const
    expect(verifySignature(found, base, Buffer.from(weak, 'base64'))).toBe(true)
    await refusalOf(answering(found)({ ...request, rawHeaders }, null), 'ERR_VERIFY_ALG_MISMATCH')
  })

  test('a function is told what is wanted, and nothing is asked for a signature that fails before', async () => {
    const wanted: unknown[] = []
    const asking = verifier({
      keys: (asked) => {
        wanted.push(asked)
        return of('ed25519').key
      },
    })
    await asking(await signedRequest({}), null)
    expect(wanted).toEqual([{ keyId: 'ed25519', algorithms: ALGORITHMS, now: NOW * 1_000 }])
    await refusalOf(asking(await signedRequest({ components: ['@method'] }), null), 'ERR_VERIFY_COVERAGE')
    await refusalOf(asking(await signedRequest({ parameters: `;created=1;keyid="x"` }), null), 'ERR_VERIFY_TIME')
    expect(wanted.length).toBe(1)
  })
})

describe('coverage is of components with their parameters (VER-06)', () => {
  test.each<[string, readonly Component[], readonly Component[]]>([
    ['one is missing', ['@method'], ['@method', '@target-uri']],
    ['none at all', [], ['@method']],
    ['as bytes in place of as it is', [{ name: 'x-amount', bs: true }], ['x-amount']],
    ['another parameter of the query', ['@query-param:id'], ['@query-param:name']],
  ])('%s: ERR_VERIFY_COVERAGE', async (_, components, required) => {
    const refusal = await refusalOf(
      verifier({ components: required })(await signedRequest({ components }), null),
      'ERR_VERIFY_COVERAGE',
    )
    expect(refusal.message).toContain('expected a signature that covers')
    expect(await verifier({ components })(await signedRequest({ components }), null)).toMatchObject({ label: 'sig' })
  })

  test('of a way all has to be covered, and of several ways one is enough', () => {
    const way = (...names: string[]) => names.map(componentIdentifier)
    const required = [
      { ways: [way('@target-uri'), way('@authority', '@path')], code: 'ERR_VERIFY_REQUEST_BINDING' },
    ] as const
    const refuse: Refuse = (code, what) => new VerifyError(code, what)
    for (const names of [['@target-uri'], ['@authority', '@path'], ['@method', '@path', '@authority']])
      expect(() => requireCoverage(way(...names), required, refuse)).not.toThrow()
    for (const names of [[], ['@authority'], ['@path', '@method']])
      expect(() => requireCoverage(way(...names), required, refuse)).toThrow(
        expect.objectContaining({
          code: 'ERR_VERIFY_REQUEST_BINDING',
          message: 'expected a signature that covers "@target-uri", or "@authority" and "@path"',
        }),
      )
  })

  test('of a field a member, a trailer or that of the request is not the field', () => {
    const covers = (component: Component) => coversField([componentIdentifier(component)], 'content-digest')
    for (const whole of ['content-digest', { name: 'content-digest', sf: true }, { name: 'content-digest', bs: true }])
      expect(covers(whole as Component)).toBe(true)
    for (const part of [{ key: 'sha-256' }, { req: true }, { tr: true }])
      expect(covers({ name: 'content-digest', ...part } as Component)).toBe(false)
    expect(covers('repr-digest')).toBe(false)
  })

  test('the order of parameters counts for nothing', async () => {
    const message = await signedRequest({})
    const turned = message.rawHeaders.map((text) => text.replace('"@method"', '"x-amount";tr;bs'))
    const verify = verifier({ components: [{ name: 'x-amount', bs: true, tr: true }] })
    await refusalOf(verify({ ...message, rawHeaders: turned }, null), 'ERR_VERIFY_FAILED') // and not of its coverage
  })
})

describe('time: the skew is added to every limit, and never taken away (VER-08)', () => {
  const problem = (parameters: { created?: number; expires?: number }, clockSkewSec: number, now: number) =>
    timeProblem(parameters, { maxAgeSec: 300, clockSkewSec }, toUnixMs(now * 1_000))

  test.each([0, 1, 30, 300])('with %i seconds of it', (skew) => {
    expect(problem({ created: NOW }, skew, NOW)).toBeUndefined()
    expect(problem({ created: NOW + skew }, skew, NOW)).toBeUndefined()
    expect(problem({ created: NOW + skew + 1 }, skew, NOW)).toMatch('in the future')
    expect(problem({ created: NOW }, skew, NOW + 300 + skew)).toBeUndefined()
    expect(problem({ created: NOW }, skew, NOW + 300 + skew + 0.001)).toMatch('older than 300 seconds')
    expect(problem({ created: NOW, expires: NOW + 60 }, skew, NOW + 60 + skew - 0.001)).toBeUndefined()
    expect(problem({ created: NOW, expires: NOW + 60 }, skew, NOW + 60 + skew)).toMatch('has expired')
  })

  test('a signature may end when it begins, and no earlier', () => {
    expect(problem({ created: NOW, expires: NOW }, 30, NOW)).toBeUndefined()
    expect(problem({ created: NOW, expires: NOW - 1 }, 30, NOW)).toMatch('ends before it begins')
  })

  test('a limit that is met without skew is met with any', () => {
    for (let offset = -400; offset <= 400; offset += 1) {
      for (const skew of [1, 17, 300]) {
        const parameters = { created: NOW + offset, expires: NOW + offset + 100 }
        if (problem(parameters, 0, NOW) === undefined) expect(problem(parameters, skew, NOW)).toBeUndefined()
      }
    }
  })

  test.each<[string, string]>([
    ['none is said', ';keyid="ed25519"'],
    ['it ends before it begins', `;created=${NOW};expires=${NOW - 1};keyid="ed25519"`],
    ['it is of the future', `;created=${NOW + 31};keyid="ed25519"`],
    ['it is old', `;created=${NOW - 331};keyid="ed25519"`],
    ['it has expired', `;created=${NOW - 100};expires=${NOW - 30};keyid="ed25519"`],
  ])('%s: ERR_VERIFY_TIME with the numbers', async (_, parameters) => {
    await refusalOf(verifier()(await signedRequest({ parameters }), null), 'ERR_VERIFY_TIME')
  })

  test('the message has the numbers', async () => {
    const parameters = `;created=${NOW - 331};keyid="ed25519"`
    const refusal = await refusalOf(verifier()(await signedRequest({ parameters }), null), 'ERR_VERIFY_TIME')
    expect(refusal.message).toBe(`request: older than 300 seconds (created ${NOW - 331}, now ${NOW}, skew 30)`)
  })
})

describe('a nonce counts once (VER-12)', () => {
  const withNonce = (nonce: string, more: Signing = {}) =>
    signedRequest({ parameters: `;created=${NOW};keyid="${more.with ?? 'ed25519'}";nonce="${nonce}"`, ...more })

  test('the second time it is ERR_VERIFY_REPLAY, for as long as the signature would be accepted', async () => {
    const runtime = createTestRuntime({ now: NOW * 1_000 })
    const verify = verifier({ nonces: memoryNonces(), runtime })
    const request = await withNonce('n-1')
    expect(await verify(request, null)).toMatchObject({ nonce: 'n-1' })
    const replayed = await refusalOf(verify(request, null), 'ERR_VERIFY_REPLAY')
    expect(replayed.message).toBe('request: the nonce of the signature was seen before')
    await runtime.advance(330_000)
    await refusalOf(verify(request, null), 'ERR_VERIFY_REPLAY')
    await runtime.advance(1)
    await refusalOf(verify(request, null), 'ERR_VERIFY_TIME')
    expect(await verifier({ nonces: memoryNonces() })(await withNonce('n-2'), null)).toMatchObject({ nonce: 'n-2' })
  })

  test('of two at once one is refused', async () => {
    const verify = verifier({ nonces: memoryNonces() })
    const request = await withNonce('n-1')
    const outcomes = await Promise.allSettled([verify(request, null), verify(request, null)])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  test('one without a nonce is ERR_VERIFY_COVERAGE', async () => {
    await refusalOf(verifier({ nonces: memoryNonces() })(await signedRequest({}), null), 'ERR_VERIFY_COVERAGE')
  })

  test('one whose signature is wrong uses none up', async () => {
    const verify = verifier({ nonces: memoryNonces() })
    const request = await withNonce('n-1')
    await refusalOf(verify({ ...request, method: 'PUT' }, null), 'ERR_VERIFY_FAILED')
    expect(await verify(request, null)).toMatchObject({ nonce: 'n-1' })
  })

  test('a key has its own nonces, and its own room', async () => {
    const verify = verifier({ nonces: memoryNonces({ maxPerKey: 2 }) })
    for (const nonce of ['a', 'b']) await verify(await withNonce(nonce), null)
    const refusal = await refusalOf(verify(await withNonce('c'), null), 'ERR_VERIFY_NONCES_UNAVAILABLE')
    expect(refusal.retryable).toBe(true)
    await refusalOf(verify(await withNonce('a'), null), 'ERR_VERIFY_REPLAY') // none was forgotten for it
    expect(await verify(await withNonce('a', { with: 'hmac-sha256' }), null)).toMatchObject({ keyId: 'hmac-sha256' })
  })

  test('room comes back when signatures are too old', async () => {
    const runtime = createTestRuntime({ now: NOW * 1_000 })
    const nonces = memoryNonces({ maxPerKey: 1 })
    const verify = verifier({ nonces, runtime })
    await verify(await withNonce('a'), null)
    await runtime.advance(332_000)
    const later = `;created=${NOW + 332};keyid="ed25519";nonce="b"`
    expect(await verify(await signedRequest({ parameters: later }), null)).toMatchObject({ nonce: 'b' })
  })

  test('a store that fails, or answers something else, lets nothing pass: ERR_VERIFY_NONCES_UNAVAILABLE, ERR_VERIFY_REPLAY', async () => {
    const failing: NonceStore = { claim: () => Promise.reject(new Error('redis://:hunter2@host')) }
    const refusal = await refusalOf(
      verifier({ nonces: failing })(await withNonce('a'), null),
      'ERR_VERIFY_NONCES_UNAVAILABLE',
    )
    expect(refusal.message).toBe('request: nobody can tell whether the signature was seen before')
    expect(refusal.cause).toMatchObject({ message: 'its message is withheld' })
    const odd = { claim: () => 'OK' } as unknown as NonceStore
    await refusalOf(verifier({ nonces: odd })(await withNonce('a'), null), 'ERR_VERIFY_REPLAY')
  })

  test('a message seen under one of its signatures does not pass under another: ERR_VERIFY_REPLAY', async () => {
    const verify = verifier({ nonces: memoryNonces() })
    const two = await signedRequest(
      { label: 'a', parameters: `;created=${NOW};keyid="ed25519";nonce="1"` },
      { label: 'b', with: 'hmac-sha256', parameters: `;created=${NOW};keyid="hmac-sha256";nonce="2"` },
    )
    const [input = '', , signature = ''] = two.rawHeaders.slice(-3)
    const second = (text: string): string => text.slice(text.indexOf(', b=') + 2)
    const stripped = [...two.rawHeaders.slice(0, -3), second(input), 'Signature', second(signature)]
    expect(await verify(two, null)).toMatchObject({ label: 'a' })
    await refusalOf(verify({ ...two, rawHeaders: stripped }, null), 'ERR_VERIFY_REPLAY')
    await refusalOf(verify(two, null), 'ERR_VERIFY_REPLAY')
    // the second alone is sound
    const fresh = verifier({ nonces: memoryNonces() })
    expect(await fresh({ ...two, rawHeaders: stripped }, null)).toMatchObject({ label: 'b' })
  })
})

describe('of several signatures', () => {
  test('one that is right is enough, and the one that came furthest says what is wrong', async () => {
    const stray = { label: 'proxy', parameters: `;created=${NOW};keyid="nobody"` }
    expect(await verifier()(await signedRequest(stray, {}), null)).toMatchObject({ label: 'sig' })
    const both = await signedRequest(stray, {})
    await refusalOf(verifier()({ ...both, method: 'PUT' }, null), 'ERR_VERIFY_FAILED')
    await refusalOf(verifier()(await signedRequest(stray), null), 'ERR_VERIFY_KEY_UNKNOWN')
  })

  test('wherever it stands, the one that came furthest says what is wrong; of two the first', async () => {
    const unknown = { label: 'a', parameters: `;created=${NOW};keyid="nobody"` }
    const late = (label: string, created: number) => ({ label, parameters: `;created=${created};keyid="ed25519"` })
    for (const signings of [
      [late('b', 1), unknown, late('c', 2)],
      [unknown, late('b', 1), late('c', 2)],
    ]) {
      const refusal = await refusalOf(verifier()(await signedRequest(...signings), null), 'ERR_VERIFY_TIME')
      expect(refusal.message).toContain('created 1,')
    }
  })

  describe('of what is wrong with two, that is said which says most, in either order', () => {
    const LEAST_FIRST: readonly (readonly [PinfetchError['code'], Signing])[] = [
      ['ERR_VERIFY_ALG_MISMATCH', { parameters: `;created=${NOW};keyid="ed25519";alg="none"` }],
      ['ERR_VERIFY_KEY_UNKNOWN', { parameters: `;created=${NOW};keyid="nobody"` }],
      ['ERR_VERIFY_KEYS_UNAVAILABLE', { parameters: `;created=${NOW};keyid="failing"` }],
      ['ERR_VERIFY_COVERAGE', { components: ['@target-uri'] }],
      ['ERR_VERIFY_TIME', { parameters: ';created=1;keyid="ed25519"' }],
      ['ERR_VERIFY_MALFORMED', { components: ['@method', 'x-amount'] }],
      ['ERR_VERIFY_FAILED', { with: 'ecdsa-p256-sha256', parameters: `;created=${NOW};keyid="ed25519"` }],
    ]
    const verify = verifier({
      components: ['@method'],
      keys: ({ keyId }) => {
        if (keyId === 'failing') throw new Error('no issuer')
        return keyId === 'nobody' ? undefined : of('ed25519').key
      },
    })
    const unreadable = async (signings: readonly Signing[]) => {
      const labelled = signings.map((one, at) => ({ components: ['@method'], label: `s${at}`, ...one }))
      const request = await signedRequest(...labelled)
      return { ...request, rawHeaders: request.rawHeaders.map((text) => (text === '10' ? 'é' : text)) }
    }

    test.each(LEAST_FIRST.slice(1).map(([code, signing], at) => ({ code, signing, before: LEAST_FIRST[at] })))(
      '$code rather than $before.0',
      async ({ code, signing, before }) => {
        const [lesser, other] = before ?? [code, {}]
        await refusalOf(verify(await unreadable([other]), null), lesser)
        for (const signings of [
          [other, signing],
          [signing, other],
        ])
          await refusalOf(verify(await unreadable(signings), null), code)
      },
    )
  })

  test('after one that is right no other is looked at, unless each of them uses up a nonce', async () => {
    const asked: unknown[] = []
    const keys = ({ keyId }: { readonly keyId: string | undefined }) => {
      asked.push(keyId)
      return of(keyId ?? '').key
    }
    const both = (nonce: string): Signing[] =>
      ['ed25519', 'hmac-sha256'].map((name) => ({
        ...{ with: name, label: name.slice(0, 4) },
        parameters: `;created=${NOW};keyid="${name}"${nonce}`,
      }))
    await verifier({ keys })(await signedRequest(...both('')), null)
    expect(asked).toEqual(['ed25519'])
    await verifier({ keys, nonces: memoryNonces() })(await signedRequest(...both(';nonce="n"')), null)
    expect(asked).toEqual(['ed25519', 'ed25519', 'hmac-sha256'])
  })

  test('those without the tag, or the label, that is asked for are left aside: ERR_VERIFY_MISSING', async () => {
    const request = await signedRequest({ parameters: `;created=${NOW};keyid="ed25519";tag="payment"` })
    expect(await verifier({ tag: 'payment' })(request, null)).toMatchObject({ tag: 'payment' })
    expect(await verifier({ label: 'sig' })(request, null)).toMatchObject({ label: 'sig' })
    await refusalOf(verifier({ tag: 'login' })(request, null), 'ERR_VERIFY_MISSING')
    await refusalOf(verifier({ label: 'other' })(request, null), 'ERR_VERIFY_MISSING')
    await refusalOf(verifier()(REQUEST, null), 'ERR_VERIFY_MISSING')
  })
})

describe('options', () => {
  const { key } = of('ed25519')
  const omit = ({ ...rest }: VerificationKey, name: keyof VerificationKey): object => {
    delete (rest as Partial<VerificationKey>)[name]
    return rest
  }
  const expectedKeys = 'keys: expected verification keys, a key set, or a function that finds a key'
  const expectedOrigin =
    'origin: expected an origin as https://api.example, in lower case, without a path and without the port of the scheme'

  test.each<[string, object, string]>([
    ['no algorithm', { algorithms: [] }, 'algorithms'],
    ['an algorithm that nobody knows', { algorithms: ['none'] }, 'algorithms.0'],
    ['no age', { maxAgeSec: 0 }, 'maxAgeSec'],
    ['more than a month', { maxAgeSec: 2_678_401 }, 'maxAgeSec'],
    ['an age without end', { maxAgeSec: Number.POSITIVE_INFINITY }, 'maxAgeSec'],
    ['a skew that takes away', { clockSkewSec: -1 }, 'clockSkewSec'],
    ['a skew of more than five minutes', { clockSkewSec: 301 }, 'clockSkewSec'],
    ['an empty tag', { tag: '' }, 'tag'],
    ['a tag without end', { tag: 'x'.repeat(257) }, 'tag'],
    ['an empty label', { label: '' }, 'label'],
    ['nonces that cannot be claimed', { nonces: {} }, 'nonces: expected a NonceStore'],
    ['no nonces', { nonces: null }, 'nonces: expected a NonceStore'],
    ['a digest rule that nobody knows', { digest: 'never' }, 'digest'],
    ['a runtime that is none', { runtime: 'system' }, 'runtime: expected a Runtime'],
    ['null in place of a runtime', { runtime: null }, 'runtime: expected a Runtime'],
    ['a component that is none', { components: ['X-Upper'] }, 'components: component'],
    ...['@method', [null], [7], [{}], [{ name: 7 }], { 0: '@method' }].map((components): [string, object, string] => [
      `${JSON.stringify(components)} in place of components`,
      { components },
      'components: expected a list of components',
    ]),
    ...[
      'https://api.example.com/',
      'api.example.com',
      'ftp://api.example.com',
      'https://API.example.com',
      'https://api.example.com:443',
    ].map((origin): [string, object, string] => [`the origin ${origin}`, { origin }, expectedOrigin]),
    ['no key', { keys: [] }, 'verification key'],
    ['null in place of keys', { keys: null }, expectedKeys],
    ['a text in place of keys', { keys: 'PEM' }, expectedKeys],
    ['null among the keys', { keys: [null] }, expectedKeys],
    ['an object that is no key', { keys: {} }, expectedKeys],
    ['a key set that finds nothing', { keys: { keyFor: 'x' } }, expectedKeys],
    ['something else among the keys', { keys: [key, {}] }, expectedKeys],
    ...(['keyId', 'algorithm', 'key'] as const).map((name): [string, object, string] => [
      `a key without its ${name}`,
      { keys: omit(key, name) },
      expectedKeys,
    ]),
    ['a misspelt option', { clockskewSec: 1 }, 'verifyRequests: '],
    ['a function among the components', { components: [() => '@method'] }, 'expected a list of components'],
  ])('%s is ERR_CONFIG_INVALID', (_, options, where) => {
    expect(() => verifier(options)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining(where) }),
    )
  })

  test('at their limits, and of every kind, are taken', async () => {
    const request = await signedRequest({})
    for (const options of [
      { maxAgeSec: 1, clockSkewSec: 0 },
      { maxAgeSec: 2_678_400, clockSkewSec: 300 },
      { keys: key },
      { components: ['@method', { name: 'x-amount' }] },
      { runtime: createTestRuntime({ now: NOW * 1_000 }) },
    ])
      expect(await verifier(options)(request, null)).toMatchObject({ keyId: 'ed25519' })
    for (const origin of ['http://localhost:8080', 'http://api.example.com', 'https://api.example.com:8443'])
      await refusalOf(verifier({ origin })(request, null), 'ERR_VERIFY_FAILED') // it was signed for another one
  })

  test('a body needs a digest that is signed, unless the rule is if-present: ERR_VERIFY_COVERAGE', async () => {
    const request = await signedRequest({})
    const body = Buffer.from('{}')
    for (const options of [{}, { digest: 'require' }] as const) {
      await refusalOf(verifier(options)(request, body), 'ERR_VERIFY_COVERAGE')
      expect(await verifier(options)(request, null)).toMatchObject({ keyId: 'ed25519' })
    }
    expect(await verifier({ digest: 'if-present' })(request, body)).toMatchObject({ keyId: 'ed25519' })
  })

  test('without a skew of its own a verifier allows thirty seconds', async () => {
    const request = await signedRequest({})
    const at = (second: number) => verifier({ clockSkewSec: undefined as never }, NOW + second)
    expect(await at(-30)(request, null)).toMatchObject({ created: NOW })
    await refusalOf(at(-31)(request, null), 'ERR_VERIFY_TIME')
  })
})
