import { createHash, generateKeyPairSync, randomBytes, sign as signWith, verify } from 'node:crypto'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { type ExternalSignerOptions, externalSigner } from '../../src/keys/external-signer.ts'
import { refusalOf } from '../support/client.ts'
import { settled } from '../support/scene.ts'

const { signal } = new AbortController()
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const message = Buffer.from('"@method": POST')
const der = async (data: Uint8Array, key = p256.privateKey) => signWith('sha256', data, key)

function kms(options: Partial<ExternalSignerOptions> = {}) {
  return externalSigner({
    keyId: 'kms-1',
    algorithm: 'ecdsa-p256-sha256',
    input: 'message',
    output: 'der',
    publicKey: p256.publicKey,
    sign: (data) => der(data),
    ...options,
  })
}

describe('SIG-15: a signature in DER', () => {
  test('becomes r || s, however short its integers are', async () => {
    for (let i = 0; i < 300; i += 1) {
      const raw = await kms().sign(message, { signal }) // one in 128 has a short r or s
      expect(raw).toHaveLength(64)
      expect(verify('sha256', message, { key: p256.publicKey, dsaEncoding: 'ieee-p1363' }, raw)).toBe(true)
    }
    const large = kms({
      algorithm: 'ecdsa-p384-sha384',
      publicKey: p384.publicKey,
      sign: async (data) => signWith('sha384', data, p384.privateKey),
    })
    expect(await large.sign(message, { signal })).toHaveLength(96)
  })

  test('is cut to nothing else: ERR_SIGN_KEY_UNSUITABLE', async () => {
    const good = await der(message)
    const raw = signWith('sha256', message, { key: p256.privateKey, dsaEncoding: 'ieee-p1363' })
    const bad = [
      new Uint8Array(),
      good.subarray(0, -1),
      Buffer.concat([good, Buffer.from([0])]),
      raw,
      Buffer.from('3007020101020101', 'hex'), // longer than it is
      Buffer.from('30080201010201010500', 'hex'), // something after s
      Buffer.from('3006020100020101', 'hex'), // r is zero
      Buffer.from('3006020181020101', 'hex'), // r is negative
      Buffer.from('300702020001020101', 'hex'), // r is too long
      Buffer.concat([Buffer.from([0x30, 36, 2, 33, 1]), randomBytes(32), Buffer.from([2, 1, 1])].slice(0, 3)),
      signWith('sha384', message, p384.privateKey),
    ]
    for (const signature of bad)
      await refusalOf(
        kms({ sign: async () => signature }).sign(message, { signal }) as Promise<Uint8Array>,
        'ERR_SIGN_KEY_UNSUITABLE',
      )
  })

  test('that is said to be r || s is refused by its length: ERR_SIGN_KEY_UNSUITABLE', async () => {
    await refusalOf(kms({ output: 'raw' }).sign(message, { signal }) as Promise<Uint8Array>, 'ERR_SIGN_KEY_UNSUITABLE')
  })
})

test('a service that takes a digest gets the digest of the algorithm', async () => {
  const seen: Uint8Array[] = []
  const sign = async (data: Uint8Array) => {
    seen.push(data)
    return der(message)
  }
  await kms({ input: 'digest', sign }).sign(message, { signal })
  expect(seen).toEqual([createHash('sha256').update(message).digest()])
})

describe('SIG-16: a service that is slow or fails', () => {
  test('is asked again, twice, and then the request fails: ERR_SIGN_SIGNER_UNAVAILABLE, without its words', async () => {
    let calls = 0
    const sign = async () => {
      calls += 1
      throw new Error('throttled, secret 4711')
    }
    const error = await refusalOf(
      kms({ sign }).sign(message, { signal }) as Promise<Uint8Array>,
      'ERR_SIGN_SIGNER_UNAVAILABLE',
    )
    expect([calls, error.retryable]).toEqual([3, true])
    expect(`${error.message} ${String(error.cause)}`).not.toContain('4711')
  })

  test('and answers the second time has signed', async () => {
    let calls = 0
    const sign = async (data: Uint8Array) => {
      calls += 1
      if (calls === 1) throw new Error('throttled')
      return der(data)
    }
    expect(await kms({ sign }).sign(message, { signal })).toHaveLength(64)
  })

  test('is given up after timeoutMs, and told so: ERR_SIGN_SIGNER_UNAVAILABLE', async () => {
    const runtime = createTestRuntime()
    const seen: AbortSignal[] = []
    const sign: ExternalSignerOptions['sign'] = (_, context) => {
      seen.push(context.signal)
      return new Promise(() => undefined)
    }
    const signing = kms({ sign, runtime, timeoutMs: 2_000 }).sign(message, { signal }) as Promise<Uint8Array>
    const error = await settled(refusalOf(signing, 'ERR_SIGN_SIGNER_UNAVAILABLE'), runtime)
    expect(error.message).toContain('within 2000 ms')
    expect(seen.map(({ aborted }) => aborted)).toEqual([true])
  })

  test('is ended by the signal of the caller, with its reason, and leaves its turn to the next', async () => {
    const control = new AbortController()
    let isStuck = true
    const sign = (data: Uint8Array) => (isStuck ? new Promise<Uint8Array>(() => undefined) : der(data))
    const signer = kms({ sign, concurrency: 1 })
    const first = signer.sign(message, { signal: control.signal }) as Promise<Uint8Array>
    const waiting = signer.sign(message, { signal: control.signal }) as Promise<Uint8Array>
    const next = signer.sign(message, { signal }) as Promise<Uint8Array>
    isStuck = false
    await new Promise((resolve) => setImmediate(resolve))
    const stuck = kms({ sign: () => new Promise(() => undefined) }).sign(message, { signal: control.signal })
    control.abort(new Error('enough'))
    await expect(stuck).rejects.toThrow('enough')
    await Promise.allSettled([first, waiting])
    expect(await next).toHaveLength(64)
  })

  test('is asked for no more than `concurrency` at once, and serves all', async () => {
    let [busy, most] = [0, 0]
    const sign = async (data: Uint8Array) => {
      busy += 1
      most = Math.max(most, busy)
      await new Promise((resolve) => setImmediate(resolve))
      busy -= 1
      return der(data)
    }
    const signer = kms({ sign, concurrency: 3 })
    const all = await Promise.all(Array.from({ length: 30 }, () => signer.sign(message, { signal })))
    expect([all.length, most, busy]).toEqual([30, 3, 0])
  })
})

describe('SIG-17: the first signature of each key version', () => {
  const shifting = (versions: { current: string; key: typeof p256.privateKey }) =>
    kms({ sign: async (data) => ({ signature: await der(data, versions.key), version: versions.current }) })

  test('is checked with the published key: ERR_SIGN_SELF_CHECK_FAILED, each time', async () => {
    const signer = kms({ sign: (data) => der(data, other.privateKey) })
    for (let i = 0; i < 2; i += 1)
      await refusalOf(signer.sign(message, { signal }) as Promise<Uint8Array>, 'ERR_SIGN_SELF_CHECK_FAILED')
  })

  test('another version, of another key, is found out at its first signature', async () => {
    const versions = { current: '1', key: p256.privateKey }
    const signer = shifting(versions)
    expect(await signer.sign(message, { signal })).toHaveLength(64)
    Object.assign(versions, { current: '2', key: other.privateKey })
    await refusalOf(signer.sign(message, { signal }) as Promise<Uint8Array>, 'ERR_SIGN_SELF_CHECK_FAILED')
    Object.assign(versions, { current: '1', key: p256.privateKey })
    expect(await signer.sign(message, { signal })).toHaveLength(64)
  })
})

test.each<[string, Partial<ExternalSignerOptions>, string]>([
  ['a public key of another kind', { publicKey: p384.publicKey }, 'ERR_SIGN_KEY_UNSUITABLE'],
  ['a private key as the public one', { publicKey: p256.privateKey }, 'ERR_SIGN_KEY_UNSUITABLE'],
  [
    'DER for Ed25519',
    { algorithm: 'ed25519', publicKey: generateKeyPairSync('ed25519').publicKey },
    'ERR_CONFIG_INVALID',
  ],
  ['a digest for Ed25519', { algorithm: 'ed25519', output: 'raw', input: 'digest' }, 'ERR_CONFIG_INVALID'],
  ['no function', { sign: undefined as never }, 'ERR_CONFIG_INVALID'],
  ['no turn at all', { concurrency: 0 }, 'ERR_CONFIG_INVALID'],
])('%s makes no signer', (_, options, code) => {
  expect(() => kms(options)).toThrow(expect.objectContaining({ code }))
  expect(() => kms()).not.toThrow()
})
