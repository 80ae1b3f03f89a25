import { createPublicKey, generateKeyPairSync, verify as verifyWith } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ClientAuthentication } from '../../src/auth/client-authentication.ts'
import type { SecretCallback } from '../../src/keys/secret-source.ts'
import { localSigner, type Signer } from '../../src/keys/signer.ts'
import { refusalOf } from '../support/client.ts'
import {
  type Asked,
  ask,
  ca,
  claimsOf,
  expectNoTrace,
  headerOf,
  oauthError,
  protocolAt,
  SECRET,
  skewedRuntime,
  startStage,
  token,
} from './server-stage.ts'

const NEWER = 'kd83-newer-Pq02xnv7-secret-of-32-octets-x'
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

const client = (authentication: ClientAuthentication) => ({ client: { id: 'client:1', authentication } })

describe('client authentication', () => {
  test('none and mutual TLS send the client_id, and no secret', async () => {
    const own = ca.issue({ names: ['client.example.com'], extendedKeyUsage: ['clientAuth'] })
    const stage = await startStage(() => token(), {
      tls: { requestCert: true },
      client: { certificate: { cert: own.pem, key: own.keyPem } },
    })
    for (const method of ['none', 'tls_client_auth', 'self_signed_tls_client_auth'] as const)
      await ask(protocolAt(stage, client({ method })))
    for (const { form } of stage.asked)
      expect(Object.fromEntries(form)).toEqual({ grant_type: 'client_credentials', client_id: 'client:1' })
    expect(stage.peer.clientCertificates.length).toBeGreaterThan(0)
  })

  test('client_secret_basic encodes both parts as a form does (RFC 6749 §2.3.1), and sends neither in the body', async () => {
    const stage = await startStage(() => token())
    const secret = { value: 'kd83 colon: and % and ü' }
    await ask(protocolAt(stage, client({ method: 'client_secret_basic', secret })))
    const [, credentials = ''] = stage.asked[0]?.headers.authorization?.split(' ') ?? []
    expect(Buffer.from(credentials, 'base64').toString()).toBe('client%3A1:kd83+colon%3A+and+%25+and+%C3%BC')
    expect(Object.fromEntries(stage.asked[0]?.form ?? [])).toEqual({ grant_type: 'client_credentials' })
  })

  test('client_secret_jwt signs with the secret and does not send it', async () => {
    const stage = await startStage(() => token())
    await ask(protocolAt(stage, client({ method: 'client_secret_jwt', secret: { value: SECRET } })))
    const assertion = assertionOf(stage.asked[0])
    expect(headerOf(assertion)).toEqual({ alg: 'HS256' })
    expect(JSON.stringify(stage.asked)).not.toContain(SECRET)
  })

  test('private_key_jwt is for the issuer alone, short-lived, and another one each time', async () => {
    const stage = await startStage(() => token())
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const protocol = protocolAt(
      stage,
      client({ method: 'private_key_jwt', signer: localSigner(privateKey, { keyId: 'k1' }) }),
    )
    await ask(protocol)
    await ask(protocol)
    const [first, second] = stage.asked.map(assertionOf)
    expect(headerOf(first)).toEqual({ alg: 'ES256', kid: 'k1' })
    const { jti, iat, exp, ...claims } = claimsOf(first)
    expect(claims).toEqual({ iss: 'client:1', sub: 'client:1', aud: stage.issuer })
    expect(Number(exp) - Number(iat)).toBe(60)
    expect(claimsOf(second)['jti']).not.toBe(jti)
    const [head, payload, signature = ''] = (first ?? '').split('.')
    const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const
    expect(verifyWith('sha256', Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, 'base64url'))).toBe(true)
    expect(stage.asked[0]?.form.get('client_assertion_type')).toBe(JWT_BEARER)
  })

  test('the aliases for mutual TLS are used by a client that shows a certificate, and by no other (TOK-47)', async () => {
    const stage = await startStage(({ path }) => (path.endsWith('revoke') ? { body: '' } : token()))
    const { issuer } = stage
    const metadata = {
      token_endpoint: `${issuer}/token`,
      revocation_endpoint: `${issuer}/revoke`,
      mtls_endpoint_aliases: { token_endpoint: `${issuer}/mtls/token`, revocation_endpoint: `${issuer}/mtls/revoke` },
    }
    const bound = protocolAt(stage, { metadata, ...client({ method: 'tls_client_auth' }) })
    await ask(bound)
    await bound.endpoint.revoke('at', 'access_token', new AbortController().signal)
    await ask(protocolAt(stage, { metadata, senderConstraint: 'mtls' }))
    await ask(protocolAt(stage, { metadata }))
    expect(stage.asked.map(({ path }) => path)).toEqual(['/mtls/token', '/mtls/revoke', '/mtls/token', '/token'])
  })
})

describe('a signer that fails', () => {
  const sign = (answer: () => unknown): Signer => ({
    algorithm: 'ed25519',
    keyId: 'k',
    sign: answer as Signer['sign'],
  })

  test.each<[string, () => unknown]>([
    ['rejects', () => Promise.reject(new Error('hsm says pin-4711'))],
    [
      'throws',
      () => {
        throw new RangeError('hsm says pin-4711')
      },
    ],
    ['answers nothing', () => new Uint8Array()],
    ['answers text', () => 'pin-4711'],
  ])('and %s is ERR_AUTH_SIGNER_FAILED; nothing is sent or shown', async (_, answer) => {
    const stage = await startStage(() => token())
    const options = client({ method: 'private_key_jwt', signer: sign(answer) })
    const error = await refusalOf(ask(protocolAt(stage, options)), 'ERR_AUTH_SIGNER_FAILED')
    expect(error.requestSent).toBe('no')
    expectNoTrace(error, ['pin-4711'])
    expect(stage.asked).toEqual([])
  })
})

describe('a secret that the server refuses', () => {
  const secretsOf = (asked: readonly Asked[]) => asked.map(({ form }) => form.get('client_secret'))

  test('is read again, and the new one tried once (TOK-22, TOK-23)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'client-secret-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'secret')
    writeFileSync(file, SECRET, { mode: 0o600 })
    const stage = await startStage(({ form }) =>
      form.get('client_secret') === NEWER ? token() : oauthError('invalid_client', { status: 401 }),
    )
    const protocol = protocolAt(stage, client({ method: 'client_secret_post', secret: { file, watch: false } }))
    writeFileSync(`${file}.new`, NEWER, { mode: 0o600 })
    renameSync(`${file}.new`, file)
    expect((await ask(protocol)).accessToken).toBe('at-1')
    await ask(protocol)
    expect(secretsOf(stage.asked)).toEqual([SECRET, NEWER, NEWER])
  })

  test('and has no successor is ERR_AUTH_CLIENT_REJECTED, and is not sent again before it changes (TOK-22)', async () => {
    const runtime = createTestRuntime()
    let value = SECRET
    const callback: SecretCallback = async () => ({ value })
    const stage = await startStage(
      ({ form }) => (form.get('client_secret') === NEWER ? token() : oauthError('invalid_client', { status: 401 })),
      { runtime },
    )
    const protocol = protocolAt(stage, client({ method: 'client_secret_post', secret: callback }))
    const error = await refusalOf(ask(protocol), 'ERR_AUTH_CLIENT_REJECTED')
    expect(error).toMatchObject({ oauthError: 'invalid_client', requestSent: 'yes', retryable: false })
    for (const _ of 'abc') {
      await runtime.advance(60_000)
      const again = await refusalOf(ask(protocol), 'ERR_AUTH_CLIENT_REJECTED')
      expect(again).toMatchObject({ requestSent: 'no' })
      expectNoTrace(again, [SECRET])
    }
    expect(secretsOf(stage.asked)).toEqual([SECRET])
    value = NEWER
    await runtime.advance(60_000)
    expect((await ask(protocol)).accessToken).toBe('at-1')
    expect(secretsOf(stage.asked)).toEqual([SECRET, NEWER])
  })

  test('because it is newer than the server knows: the one before serves for the overlap, then the new one (TOK-23)', async () => {
    const runtime = createTestRuntime()
    let value = SECRET
    let known = SECRET
    const stage = await startStage(
      ({ form }) => (form.get('client_secret') === known ? token() : oauthError('invalid_client', { status: 401 })),
      { runtime },
    )
    const secret: SecretCallback = async () => ({ value, expiresAt: new Date(runtime.clock.now() + 600_000) })
    const protocol = protocolAt(stage, client({ method: 'client_secret_post', secret }))
    await ask(protocol)
    value = NEWER
    await runtime.advance(545_000) // less than a minute is left, so the source is asked again
    await ask(protocol)
    await runtime.advance(1_000)
    expect((await ask(protocol)).accessToken).toBe('at-1')
    await runtime.advance(2_000)
    expect((await ask(protocol)).accessToken).toBe('at-1')
    expect(secretsOf(stage.asked)).toEqual([SECRET, SECRET, NEWER, SECRET, SECRET])
    expect(stage.events).toContainEqual(expect.objectContaining({ kind: 'client-secret-previous' }))
    known = NEWER
    await runtime.advance(400_000)
    expect((await ask(protocol)).accessToken).toBe('at-1')
    expect(secretsOf(stage.asked).at(-1)).toBe(NEWER)
  })

  test('says nothing about a client without one: it is asked once, each time', async () => {
    const stage = await startStage(() => oauthError('invalid_client', { status: 401 }))
    const protocol = protocolAt(stage, client({ method: 'none' }))
    await refusalOf(ask(protocol), 'ERR_AUTH_CLIENT_REJECTED')
    await refusalOf(ask(protocol), 'ERR_AUTH_CLIENT_REJECTED')
    expect(stage.asked).toHaveLength(2)
  })
})

describe('a clock that is off (DPOP-08)', () => {
  const signer = localSigner(generateKeyPairSync('ed25519').privateKey)
  const dated = client({ method: 'private_key_jwt', signer })

  const strictServer = (runtimeMs: number) =>
    startStage(
      ({ form }) => {
        const { iat } = claimsOf(form.get('client_assertion') ?? undefined)
        const isOn = Math.abs(Number(iat) - Date.now() / 1_000) < 15
        return isOn ? token() : oauthError('invalid_client', { status: 401 })
      },
      { runtime: skewedRuntime(runtimeMs) },
    )

  test.each([45_000, -45_000, 290_000])(
    'by %i ms: learned from the refusal, one more attempt, told once',
    async (ms) => {
      const stage = await strictServer(ms)
      const protocol = protocolAt(stage, dated)
      expect((await ask(protocol)).accessToken).toBe('at-1')
      await ask(protocol)
      expect(stage.asked).toHaveLength(3)
      const told = stage.events.filter(({ type }) => type === 'clock.offset')
      expect(told).toHaveLength(1)
      const [{ offsetMs }] = told as unknown as [{ offsetMs: number }]
      expect(Math.abs(offsetMs + ms)).toBeLessThan(3_000)
    },
  )

  test('by more than five minutes is ERR_AUTH_CLOCK_SKEW with the offset, and is not followed', async () => {
    const stage = await strictServer(-7_200_000)
    const error = await refusalOf(ask(protocolAt(stage, dated)), 'ERR_AUTH_CLOCK_SKEW')
    expect(error).toMatchObject({ retryable: false, requestSent: 'yes' })
    expect(Math.abs((error as { offsetMs?: number }).offsetMs ?? 0) - 7_200_000).toBeLessThan(3_000)
    expect(stage.asked).toHaveLength(1)
  })

  test('is no reason to ask again where nothing that was sent has a date', async () => {
    const stage = await startStage(() => oauthError('invalid_grant'), { runtime: skewedRuntime(45_000) })
    await refusalOf(ask(protocolAt(stage)), 'ERR_AUTH_GRANT_REJECTED')
    expect(stage.asked).toHaveLength(1)
  })
})

describe('localSigner', () => {
  const keys = {
    ed25519: generateKeyPairSync('ed25519'),
    'ecdsa-p256-sha256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    'ecdsa-p384-sha384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    'rsa-pss-sha512': generateKeyPairSync('rsa', { modulusLength: 2048 }),
  } as const
  const { signal } = new AbortController()

  test.each(Object.entries(keys))(
    '%s is chosen by the key, from a KeyObject, PEM and JWK alike',
    async (algorithm, pair) => {
      const pem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
      for (const key of [pair.privateKey, pem, pair.privateKey.export({ format: 'jwk' })]) {
        const signer = localSigner(key)
        expect(signer.algorithm).toBe(algorithm)
        const signature = await signer.sign(Buffer.from('message'), { signal })
        const [hash, how] = {
          ed25519: [null, {}],
          'ecdsa-p256-sha256': ['sha256', { dsaEncoding: 'ieee-p1363' }],
          'ecdsa-p384-sha384': ['sha384', { dsaEncoding: 'ieee-p1363' }],
          'rsa-pss-sha512': ['sha512', { padding: 6, saltLength: 64 }],
        }[algorithm as keyof typeof keys] as [string | null, object]
        expect(verifyWith(hash, Buffer.from('message'), { key: createPublicKey(pem), ...how }, signature)).toBe(true)
      }
    },
  )

  test.each<[string, () => Signer]>([
    ['an RSA key of 1024 bits', () => localSigner(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey)],
    ['another kind of key', () => localSigner(keys.ed25519.privateKey, { algorithm: 'ecdsa-p256-sha256' })],
    ['a public key', () => localSigner(keys.ed25519.publicKey)],
    ['a curve without an algorithm', () => localSigner(generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey)],
    ['a short secret', () => localSigner({ kty: 'oct', k: Buffer.from('short-4711').toString('base64url') })],
    ['no key at all', () => localSigner('-----BEGIN nonsense-4711')],
  ])('refuses %s with ERR_SIGN_KEY_UNSUITABLE, without showing it', (_, make) => {
    let error: unknown
    try {
      make()
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code: 'ERR_SIGN_KEY_UNSUITABLE' })
    expectNoTrace(error, ['4711'])
  })
})

function assertionOf(asked: Asked | undefined): string {
  return asked?.form.get('client_assertion') ?? ''
}
