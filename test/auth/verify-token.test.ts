import {
  createHash,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signBytes,
} from 'node:crypto'
import { inspect } from 'node:util'
import { CompactSign, SignJWT } from 'jose'
import { createClient } from 'pinfetch'
import { createTestRuntime, startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type VerifyTokenOptions, verifyToken } from '../../src/auth/verify-token.ts'
import { type JwksEvent, localJwks, type RemoteJwksOptions, remoteJwks } from '../../src/keys/jwks.ts'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const ed = generateKeyPairSync('ed25519')
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })

const jwk = (key: KeyObject, members: object = {}): object => ({ ...key.export({ format: 'jwk' }), ...members })
const SET = {
  keys: [
    jwk(ec.publicKey, { kid: 'ec', use: 'sig', alg: 'ES256' }),
    jwk(p384.publicKey, { kid: 'p384' }),
    jwk(rsa.publicKey, { kid: 'rsa' }),
    jwk(ed.publicKey, { kid: 'ed', alg: 'EdDSA' }),
  ],
}

const runtime = createTestRuntime()
const NOW = runtime.clock.now() / 1_000
const CLAIMS = {
  iss: 'https://login.example',
  aud: ['https://api.example', 'https://other.example'],
  iat: NOW - 60,
  nbf: NOW - 60,
  exp: NOW + 600,
  sub: 'kd83-subject',
}
const OPTIONS: VerifyTokenOptions = {
  keys: localJwks(SET),
  issuer: 'https://login.example',
  audience: 'https://api.example',
  algorithms: ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519', 'ES384'],
  type: 'at+jwt',
  runtime,
}
const HEADER = { alg: 'ES256', kid: 'ec', typ: 'at+jwt' }

const sign = (claims: object = {}, header: object = {}, key: KeyObject = ec.privateKey) =>
  new SignJWT({ ...CLAIMS, ...claims }).setProtectedHeader({ ...HEADER, ...header }).sign(key)
const encode = (value: object | string) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

test.each<[string, object, KeyObject]>([
  ['ES256', { alg: 'ES256', kid: 'ec' }, ec.privateKey],
  ['ES384', { alg: 'ES384', kid: 'p384' }, p384.privateKey],
  ['RS256', { alg: 'RS256', kid: 'rsa' }, rsa.privateKey],
  ['PS256', { alg: 'PS256', kid: 'rsa' }, rsa.privateKey],
  ['EdDSA', { alg: 'EdDSA', kid: 'ed' }, ed.privateKey],
  ['Ed25519', { alg: 'Ed25519', kid: 'ed' }, ed.privateKey],
])('a token of the issuer is accepted: %s', async (alg, header, key) => {
  const { claims, ...rest } = await verifyToken(await sign({}, header, key), OPTIONS)
  expect(claims).toMatchObject(CLAIMS)
  expect(rest.alg).toBe(alg)
})

describe('a token that was changed or made by somebody else', () => {
  test('signed by another key is ERR_VERIFY_FAILED', async () => {
    expect(await refused(await sign({}, {}, stranger.privateKey))).toBe('ERR_VERIFY_FAILED')
  })

  test('whose claims were changed is ERR_VERIFY_FAILED', async () => {
    const [header, , signature] = (await sign()).split('.')
    const forged = `${header}.${encode({ ...CLAIMS, sub: 'admin' })}.${signature}`
    expect(await refused(forged)).toBe('ERR_VERIFY_FAILED')
  })

  test('without a signature is refused, however `none` is spelt: ERR_VERIFY_MALFORMED, ERR_VERIFY_ALG_MISMATCH', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE']) {
      const bare = `${encode({ ...HEADER, alg })}.${encode(CLAIMS)}.`
      expect(await refused(bare)).toBe('ERR_VERIFY_MALFORMED')
      expect(await refused(`${bare}AA`)).toBe('ERR_VERIFY_ALG_MISMATCH')
    }
  })

  test.each(['HS256', 'HS384', 'HS512'])(
    'with the public key as the secret of %s is ERR_VERIFY_ALG_MISMATCH',
    async (alg) => {
      for (const secret of [
        rsa.publicKey.export({ type: 'spki', format: 'pem' }),
        rsa.publicKey.export({ type: 'spki', format: 'der' }),
        JSON.stringify(jwk(rsa.publicKey)),
      ]) {
        const text = `${encode({ alg, kid: 'rsa', typ: 'at+jwt' })}.${encode(CLAIMS)}`
        const mac = createHmac(`sha${alg.slice(2)}`, secret)
          .update(text)
          .digest('base64url')
        expect(await refused(`${text}.${mac}`)).toBe('ERR_VERIFY_ALG_MISMATCH')
      }
    },
  )

  test('with an algorithm that is not allowed here is ERR_VERIFY_ALG_MISMATCH', async () => {
    const token = await sign({}, { alg: 'RS256', kid: 'rsa' }, rsa.privateKey)
    expect(await refused(token, { algorithms: ['PS256', 'ES256'] })).toBe('ERR_VERIFY_ALG_MISMATCH')
  })

  test('that names a key of another kind is ERR_VERIFY_ALG_MISMATCH', async () => {
    expect(await refused(await sign({}, { kid: 'rsa' }))).toBe('ERR_VERIFY_ALG_MISMATCH')
    expect(await refused(await sign({}, { kid: 'p384' }))).toBe('ERR_VERIFY_ALG_MISMATCH')
  })

  test('that brings its own key along is ERR_VERIFY_KEY_UNKNOWN or ERR_VERIFY_FAILED', async () => {
    const own = jwk(stranger.publicKey, { kid: 'mine' })
    const { privateKey } = stranger
    expect(await refused(await sign({}, { jwk: own, kid: 'mine' }, privateKey))).toBe('ERR_VERIFY_KEY_UNKNOWN')
    const elsewhere = { jku: 'https://evil.example/jwks', x5u: 'https://evil.example/x5u', jwk: own }
    expect(await refused(await sign({}, elsewhere, privateKey))).toBe('ERR_VERIFY_FAILED')
  })

  test.each(['../../dev/null', "' OR 1=1 --", '__proto__', 'constructor', 'ec\0'])(
    'whose kid is %j is ERR_VERIFY_KEY_UNKNOWN',
    async (kid) => {
      expect(await refused(await sign({}, { kid }))).toBe('ERR_VERIFY_KEY_UNKNOWN')
    },
  )

  test('with an extension that has to be understood is ERR_VERIFY_MALFORMED', async () => {
    for (const header of [{ crit: ['exp'], exp: 1 }, { crit: [] }, { crit: ['b64'], b64: false }]) {
      const text = `${encode({ ...HEADER, ...header })}.${encode(CLAIMS)}`
      const raw = signBytes('sha256', Buffer.from(text), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' })
      expect(await refused(`${text}.${raw.toString('base64url')}`)).toBe('ERR_VERIFY_MALFORMED')
    }
  })

  test.each([
    ['nothing', ''],
    ['no text', 7],
    ['two parts', 'a.b'],
    ['five parts, as of a JWE', 'a.b.c.d.e'],
    ['no base64url', 'a+b.c.d'],
    ['no JSON', `${Buffer.from('{').toString('base64url')}.AA.AA`],
    ['a header that is a list', `${Buffer.from('[]').toString('base64url')}.AA.AA`],
    ['a JWS in JSON', '{"payload":"e30","signatures":[]}'],
  ])('that is %s is ERR_VERIFY_MALFORMED', async (_, token) => {
    expect(await refused(token as string)).toBe('ERR_VERIFY_MALFORMED')
  })

  test('that is longer than 16 KiB is ERR_VERIFY_MALFORMED, whoever signed it', async () => {
    expect((await verifyToken(await sign({ more: 'x'.repeat(10_000) }), OPTIONS)).kid).toBe('ec')
    expect(await refused(await sign({ more: 'x'.repeat(20_000) }))).toBe('ERR_VERIFY_MALFORMED')
  })

  test('that is signed and no JSON object is ERR_VERIFY_MALFORMED', async () => {
    for (const payload of ['[]', '7', 'null', 'kd83']) {
      const token = await new CompactSign(Buffer.from(payload)).setProtectedHeader(HEADER).sign(ec.privateKey)
      expect(await refused(token)).toBe('ERR_VERIFY_MALFORMED')
    }
  })
})

describe('a token for somebody or something else', () => {
  test.each<[string, object, object, string]>([
    ['another issuer', { iss: 'https://login.example/' }, {}, 'ERR_VERIFY_CLAIM'],
    ['no issuer', { iss: undefined }, {}, 'ERR_VERIFY_CLAIM'],
    ['another audience', { aud: 'https://other.example' }, {}, 'ERR_VERIFY_CLAIM'],
    ['no audience', { aud: undefined }, {}, 'ERR_VERIFY_CLAIM'],
    ['another type', {}, { typ: 'JWT' }, 'ERR_VERIFY_CLAIM'],
    ['no type', {}, { typ: undefined }, 'ERR_VERIFY_CLAIM'],
    ['no end', { exp: undefined }, {}, 'ERR_VERIFY_CLAIM'],
    ['an end that is text', { exp: '2099' }, {}, 'ERR_VERIFY_CLAIM'],
    ['an end that is over', { exp: NOW - 30 }, {}, 'ERR_VERIFY_TIME'],
    ['a begin that is to come', { nbf: NOW + 31 }, {}, 'ERR_VERIFY_TIME'],
    ['an issue that is to come', { iat: NOW + 31 }, {}, 'ERR_VERIFY_TIME'],
    ['an issue that is no number', { iat: 'now' }, {}, 'ERR_VERIFY_CLAIM'],
  ])('with %s is refused: %s %s %s', async (_, claims, header, code) => {
    const text = `${encode({ ...HEADER, ...header })}.${encode({ ...CLAIMS, ...claims })}`
    const raw = signBytes('sha256', Buffer.from(text), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' })
    expect(await refused(`${text}.${raw.toString('base64url')}`)).toBe(code)
  })

  test('within the clock skew is accepted', async () => {
    for (const claims of [{ exp: NOW - 29 }, { nbf: NOW + 30 }, { iat: NOW + 30 }])
      expect((await verifyToken(await sign(claims), OPTIONS)).claims).toMatchObject(claims)
    expect(await refused(await sign({ exp: NOW - 1 }), { clockSkewMs: 0 })).toBe('ERR_VERIFY_TIME')
  })

  test('older than is allowed is ERR_VERIFY_TIME, and without the time of issue ERR_VERIFY_CLAIM', async () => {
    const maxAgeMs = 300_000
    expect(await refused(await sign({ iat: NOW - 331 }), { maxAgeMs })).toBe('ERR_VERIFY_TIME')
    expect(await refused(await sign({ iat: undefined }), { maxAgeMs })).toBe('ERR_VERIFY_CLAIM')
    expect((await verifyToken(await sign({ iat: NOW - 329 }), { ...OPTIONS, maxAgeMs })).kid).toBe('ec')
  })

  test('without a required claim is ERR_VERIFY_CLAIM', async () => {
    expect(await refused(await sign(), { requiredClaims: ['client_id'] })).toBe('ERR_VERIFY_CLAIM')
    expect((await verifyToken(await sign(), { ...OPTIONS, requiredClaims: ['sub'] })).kid).toBe('ec')
  })

  test('shows nothing of itself in the error', async () => {
    const token = await sign({ exp: NOW - 900 })
    const error = await verifyToken(token, OPTIONS).catch((reason) => reason)
    const shown = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)
    expect(error.name).toBe('VerifyError')
    expect(shown).not.toMatch(/kd83/)
    expect(shown).not.toContain(token.slice(0, 40))
  })
})

describe('a set of keys', () => {
  const only = (...keys: object[]) => ({ keys: localJwks({ keys }) })

  test('where two fit one name is ERR_VERIFY_KEY_UNKNOWN', async () => {
    const twice = only(jwk(ec.publicKey, { kid: 'ec' }), jwk(stranger.publicKey, { kid: 'ec' }))
    expect(await refused(await sign(), twice)).toBe('ERR_VERIFY_KEY_UNKNOWN')
    const kinds = only(jwk(rsa.publicKey, { kid: 'ec' }), jwk(ec.publicKey, { kid: 'ec' }))
    expect((await verifyToken(await sign(), { ...OPTIONS, ...kinds })).kid).toBe('ec')
  })

  test('serves a token without kid where one key fits, otherwise it is ERR_VERIFY_KEY_UNKNOWN', async () => {
    const nameless = await sign({}, { kid: undefined })
    expect((await verifyToken(nameless, OPTIONS)).kid).toBeUndefined()
    const two = only(jwk(ec.publicKey), jwk(stranger.publicKey))
    expect(await refused(nameless, two)).toBe('ERR_VERIFY_KEY_UNKNOWN')
  })

  test('lends no key for what it is not for', async () => {
    const spare = jwk(stranger.publicKey, { kid: 'spare' })
    for (const members of [{ use: 'enc' }, { key_ops: ['sign'] }, { key_ops: 'verify' }, { kid: 7 }]) {
      const set = only(spare, jwk(ec.publicKey, { kid: 'ec', ...members }))
      expect(await refused(await sign(), set)).toBe('ERR_VERIFY_KEY_UNKNOWN')
    }
    const other = only(jwk(ec.publicKey, { kid: 'ec', alg: 'ES384' }))
    expect(await refused(await sign(), other)).toBe('ERR_VERIFY_ALG_MISMATCH')
    const fitting = only(jwk(ec.publicKey, { kid: 'ec', use: 'sig', key_ops: ['verify'], alg: 'ES256' }))
    expect((await verifyToken(await sign(), { ...OPTIONS, ...fitting })).kid).toBe('ec')
  })

  test('has no place for weak, secret and unknown keys: ERR_CONFIG_INVALID where there is no other', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey
    const point = { ...jwk(ec.publicKey), x: 'AAAA' }
    for (const key of [jwk(weak), { kty: 'oct', k: 'AAAA' }, { kty: 'new' }, point, {}, []])
      expect(() => localJwks({ keys: [key] })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    const many = Array.from({ length: 101 }, () => jwk(ec.publicKey))
    expect(() => localJwks({ keys: many })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    expect(() => localJwks({ keys: many.slice(1) })).not.toThrow()
  })

  test('has no RSA key with an exponent for which anyone can sign, or one that takes seconds to read: ERR_VERIFY_KEY_UNKNOWN', async () => {
    const input = `${encode({ ...HEADER, alg: 'RS256', kid: 'rsa' })}.${encode(CLAIMS)}`
    const hash = createHash('sha256').update(input).digest()
    const digestInfo = Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), hash])
    const padding = Buffer.alloc(256 - 3 - digestInfo.length, 0xff)
    const forged = Buffer.concat([Buffer.from([0, 1]), padding, Buffer.from([0]), digestInfo]) // to the power of 1
    const ofAnyone = `${input}.${forged.toString('base64url')}`
    const honest = jwk(rsa.publicKey, { kid: 'rsa' })
    const long = Buffer.alloc(125_000, 0xa7).toString('base64url')
    for (const members of [{ e: 'AQ' }, { e: 'Aw' }, { e: 'AQAA' }, { n: long }, { n: long, e: long }]) {
      const set = only({ ...honest, ...members }, jwk(ec.publicKey, { kid: 'ec' }))
      expect(await refused(ofAnyone, set)).toBe('ERR_VERIFY_KEY_UNKNOWN')
    }
    expect(await refused(ofAnyone, only(honest))).toBe('ERR_VERIFY_FAILED')
    const own = await sign({}, { alg: 'RS256', kid: 'rsa' }, rsa.privateKey)
    expect((await verifyToken(own, { ...OPTIONS, ...only(honest) })).alg).toBe('RS256')
  })

  test('that holds a private key gives the public half', async () => {
    const { keyFor } = localJwks({ keys: [jwk(ec.privateKey, { kid: 'ec' })] })
    const key = await keyFor('ES256', 'ec')
    expect(key.type).toBe('public')
    expect(key.equals(createPublicKey(ec.privateKey))).toBe(true)
  })
})

describe('remoteJwks', () => {
  test('comes through the pinned client, once, and not from a server with another key', async () => {
    const ca = testCa()
    const identity = ca.issue({ names: ['login.example'] })
    const server = await startTlsServer({ identity, handler: (_, response) => response.end(JSON.stringify(SET)) })
    onTestFinished(() => server.close())
    const clientFor = (pin: string) => {
      const transport = { anchors: ca.anchorPem, resolver: async () => ['127.0.0.1'] }
      const client = createClient({ ...transport, pins: { 'login.example': [pin as `sha256/${string}`] } })
      onTestFinished(() => client.close())
      return client
    }
    const url = `https://login.example:${server.port}/jwks`
    const keys = remoteJwks(url, { fetch: clientFor(identity.pin).fetch })
    const tokens = await Promise.all([sign(), sign(), sign()])
    await Promise.all(tokens.map((token) => verifyToken(token, { ...OPTIONS, keys })))
    expect(server.requests.map(({ path }) => path)).toEqual(['/jwks'])

    const other = ca.issue({ names: ['other.example'] })
    const strict = remoteJwks(url, { fetch: clientFor(other.pin).fetch })
    const error = await verifyToken(tokens[0] ?? '', { ...OPTIONS, keys: strict }).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'ERR_VERIFY_KEYS_UNAVAILABLE', cause: { code: 'ERR_TRUST_PIN_MISMATCH' } })
    expect(server.requests).toHaveLength(1)
  })

  test('asks again for a key that it does not know, and not more often than the cooldown lets it', async () => {
    const { keys, world, answers } = remote({ keys: [jwk(stranger.publicKey, { kid: 'old' })] })
    const token = await sign()
    await world.advance(0)
    expect(await refused(token, { keys })).toBe('ERR_VERIFY_KEY_UNKNOWN')
    expect(answers).toEqual([200])
    for (let i = 0; i < 50; i += 1) {
      const kid = `k${i}`
      expect(await refused(await sign({}, { kid }), { keys })).toBe('ERR_VERIFY_KEY_UNKNOWN')
    }
    expect(answers).toEqual([200])
    state.set = SET
    await world.advance(30_000)
    expect((await verifyToken(token, { ...OPTIONS, keys })).kid).toBe('ec')
    expect(answers).toEqual([200, 200])
  })

  test('lets go of a key that the issuer removed', async () => {
    const { keys, world } = remote(SET)
    const token = await sign()
    await verifyToken(token, { ...OPTIONS, keys })
    state.set = { keys: [jwk(stranger.publicKey, { kid: 'new' })] }
    await world.advance(599_000)
    expect((await verifyToken(token, { ...OPTIONS, keys })).kid).toBe('ec')
    await world.advance(1_000)
    expect(await refused(token, { keys })).toBe('ERR_VERIFY_KEY_UNKNOWN')
  })

  test('serves its last keys for an hour while the issuer is down, and says so; then it is ERR_VERIFY_KEYS_UNAVAILABLE', async () => {
    const { keys, world, events, answers } = remote(SET)
    const token = await sign()
    await verifyToken(token, { ...OPTIONS, keys })
    state.set = undefined
    for (let minute = 0; minute < 59; minute += 1) {
      await world.advance(60_000)
      expect((await verifyToken(token, { ...OPTIONS, keys })).kid).toBe('ec')
    }
    expect(events.at(-1)).toMatchObject({ type: 'jwks.failed', url: 'https://login.example/jwks', usable: true })
    await world.advance(60_000)
    expect(await refused(token, { keys })).toBe('ERR_VERIFY_KEYS_UNAVAILABLE')
    expect(events.at(-1)).toMatchObject({ message: 'status 503, expected 200', usable: false })
    const asked = answers.length
    for (let i = 0; i < 20; i += 1) await refused(token, { keys })
    expect(answers).toHaveLength(asked)
    state.set = SET
    await world.advance(30_000)
    expect((await verifyToken(token, { ...OPTIONS, keys })).kid).toBe('ec')
  })

  test.each([
    ['no JSON', () => new Response('<html>')],
    ['no set', () => Response.json({ key: [] })],
    ['an empty set', () => Response.json({ keys: [] })],
    ['a set of 101 keys', () => Response.json({ keys: Array.from({ length: 101 }, () => jwk(ec.publicKey)) })],
    ['a set of 300 KB', () => Response.json({ ...SET, more: 'x'.repeat(300_000) })],
    ['404', () => Response.json(SET, { status: 404 })],
    ['an error', () => Promise.reject(new Error('kd83'))],
  ])('that answers %s is ERR_VERIFY_KEYS_UNAVAILABLE', async (_, answer) => {
    const { keys } = remote(SET, { fetch: async () => answer() })
    const error = await verifyToken(await sign(), { ...OPTIONS, keys }).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'ERR_VERIFY_KEYS_UNAVAILABLE', retryable: true })
    expect(inspect(error, { depth: 9 })).not.toMatch(/kd83/)
  })

  test('that never answers is ERR_VERIFY_KEYS_UNAVAILABLE after five seconds', async () => {
    const never: typeof fetch = (_, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason))
      })
    const { keys, world } = remote(SET, { fetch: never })
    const answer = refused(await sign(), { keys })
    await world.advance(5_000)
    expect(await answer).toBe('ERR_VERIFY_KEYS_UNAVAILABLE')
    expect(world.pendingTimers).toBe(0)
  })

  test.each(['http://login.example/jwks', 'https://user:kd83@login.example/', 'jwks', ''])(
    'at %j is ERR_CONFIG_INVALID',
    (url) => {
      expect(() => remoteJwks(url, { fetch })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    },
  )
})

test.each<[string, object]>([
  ['no algorithm', { algorithms: [] }],
  ['none', { algorithms: ['none'] }],
  ['an HMAC', { algorithms: ['ES256', 'HS256'] }],
  ['a name of every object', { algorithms: ['toString'] }],
  ['no audience', { audience: undefined }],
  ['an empty audience', { audience: [] }],
  ['no issuer', { issuer: '' }],
  ['no type', { type: undefined }],
  ['no keys', { keys: SET }],
  ['a clock that may be anywhere', { clockSkewMs: 86_400_000 }],
  ['an unknown option', { audiences: ['a'] }],
  ['null in place of a runtime', { runtime: null }],
])('%s is ERR_CONFIG_INVALID', async (_, options) => {
  await expect(verifyToken(await sign(), { ...OPTIONS, ...options })).rejects.toMatchObject({
    code: 'ERR_CONFIG_INVALID',
  })
})

/** What the scripted issuer has; `undefined`: it is down. */
const state: { set: object | undefined } = { set: undefined }

function remote(set: object, options: Partial<RemoteJwksOptions> = {}) {
  state.set = set
  const world = createTestRuntime()
  const events: JwksEvent[] = []
  const answers: number[] = []
  const fetch: typeof globalThis.fetch = async () => {
    const response = state.set === undefined ? new Response('', { status: 503 }) : Response.json(state.set)
    answers.push(response.status)
    return response
  }
  const onEvent = (event: JwksEvent): void => void events.push(event)
  const keys = remoteJwks('https://login.example/jwks', { fetch, runtime: world, onEvent, ...options })
  return { keys, world, events, answers }
}

async function refused(token: string, options: Partial<VerifyTokenOptions> = {}): Promise<string> {
  return verifyToken(token, { ...OPTIONS, ...options }).then(
    () => 'accepted',
    ({ code }) => code,
  )
}
