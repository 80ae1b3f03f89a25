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
import { verifySignature } from '../../src/keys/verification-key.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { Component } from '../../src/signing/component.ts'
import { componentIdentifier } from '../../src/signing/component.ts'
import { signatureBase } from '../../src/signing/signature-base.ts'
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
    expect(refusal.retryable).toBe(true)
    expect(String(refusal.cause)).not.toContain('hunter2')
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
    await refusalOf(verify(request, null), 'ERR_VERIFY_REPLAY')
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
    expect(String(refusal.cause)).not.toContain('hunter2')
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
  test.each<[string, object, string]>([
    ['no algorithm', { algorithms: [] }, 'verifyRequests.algorithms'],
    ['an algorithm that nobody knows', { algorithms: ['none'] }, 'verifyRequests.algorithms.0'],
    ['no age', { maxAgeSec: 0 }, 'verifyRequests.maxAgeSec'],
    ['an age without end', { maxAgeSec: Number.POSITIVE_INFINITY }, 'verifyRequests.maxAgeSec'],
    ['a skew that takes away', { clockSkewSec: -1 }, 'verifyRequests.clockSkewSec'],
    ['a component that is none', { components: ['X-Upper'] }, 'verifyRequests.components'],
    ['an origin with a path', { origin: 'https://api.example.com/' }, 'verifyRequests.origin'],
    ['no key', { keys: [] }, 'verification key'],
    ['a misspelt option', { clockskewSec: 1 }, 'verifyRequests'],
  ])('%s is ERR_CONFIG_INVALID', (_, options, where) => {
    expect(() => verifier(options)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining(where) }),
    )
  })

  test('memoryNonces without room is ERR_CONFIG_INVALID', () => {
    expect(() => memoryNonces({ maxPerKey: 0 })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })
})
