import { createHash, generateKeyPairSync } from 'node:crypto'
import {
  localSigner,
  type SignResponsesOptions,
  signResponses,
  type VerifyResponsesOptions,
  verificationKey,
  verifyResponses,
} from 'pinfetch/signing'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { ClientEvent } from '../../src/events/events.ts'
import { type Component, componentIdentifier } from '../../src/signing/component.ts'
import { digestField } from '../../src/signing/content-digest.ts'
import type { FieldLine, Message, RequestMessage } from '../../src/signing/message.ts'
import { signatureBase } from '../../src/signing/signature-base.ts'
import { bindVerifier, isResponseVerifier } from '../../src/signing/verify-responses.ts'
import type { Inspection } from '../../src/transport/inspection.ts'
import { NOW, refusal } from './signable.ts'

const pair = generateKeyPairSync('ed25519')
const signer = localSigner(pair.privateKey, { keyId: 'bank' })
const RULES = {
  keys: verificationKey(pair.publicKey, { keyId: 'bank' }),
  algorithms: ['ed25519'],
  maxAgeSec: 300,
} as const
const HOST = 'api.example.com'
const SENT = { method: 'GET', authority: HOST, path: '/accounts?page=2', headers: ['X-Id', '7'] }
const REQUEST: RequestMessage = {
  kind: 'request',
  method: 'GET',
  url: `https://${HOST}/accounts?page=2`,
  fields: [['x-id', '7']],
}
const BODY = '{"balance":"10.00"}'
const digestOf = (text: string): string => digestField(['sha-256'], (hash) => createHash(hash).update(text).digest())

describe('which responses have to be signed', () => {
  const unsigned = { status: 503, fields: [['Content-Type', 'text/plain']], body: 'busy' } as const

  test('all of them, where nothing else is said: ERR_VERIFY_MISSING', async () => {
    const { inspect, events } = verifier()
    expect(await refusal(() => take(inspect(SENT), unsigned))).toMatchObject({
      name: 'VerifyError',
      code: 'ERR_VERIFY_MISSING',
      message: `${HOST}: expected a signed response, there is no signature`,
      host: HOST,
      requestSent: 'yes',
    })
    expect(events).toEqual([{ type: 'verify.result', host: HOST, outcome: 'refused', code: 'ERR_VERIFY_MISSING' }])
  })

  test('where only those that are signed are verified, the others pass, and an event tells of it', async () => {
    const { inspect, events } = verifier({ require: 'if-present' })
    expect(await take(inspect(SENT), unsigned)).toBe('pass')
    expect(events).toEqual([{ type: 'verify.result', host: HOST, outcome: 'unsigned' }])
  })

  test('a function is shown the head, frozen, and false alone lets it pass', async () => {
    const seen: unknown[] = []
    for (const answer of [true, undefined, 0, 'no']) {
      const { inspect } = verifier({ require: () => answer as boolean })
      expect(await refusal(() => take(inspect(SENT), unsigned))).toMatchObject({ code: 'ERR_VERIFY_MISSING' })
    }
    const { inspect } = verifier({
      require: (head) => {
        seen.push({ ...head, headers: [...head.headers], isFrozen: Object.isFrozen(head) })
        return false
      },
    })
    expect(await take(inspect(SENT), unsigned)).toBe('pass')
    const { method, url } = REQUEST
    expect(seen).toEqual([{ method, url, status: 503, headers: [['content-type', 'text/plain']], isFrozen: true }])
  })

  test('a function that fails gives no permission: ERR_CONFIG_INVALID, without its words', async () => {
    const { inspect, events } = verifier({
      require: () => {
        throw new Error('hunter2')
      },
    })
    const error = await refusal(() => take(inspect(SENT), unsigned))
    expect(error).toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      message: `${HOST}: verifyResponses.require failed`,
      host: HOST,
      requestSent: 'yes',
      cause: expect.objectContaining({ message: 'its message is withheld' }),
    })
    expect(events).toEqual([]) // nothing was found out about the response
  })

  test.each(['signature', 'signature-input'])(
    'whatever is asked for, %s alone is half of a signature: ERR_VERIFY_MALFORMED',
    async (half) => {
      const { fields, ...reply } = await signed()
      const { inspect, events } = verifier({ require: 'if-present' })
      const halved = fields.filter(([name]) => name === half || !name.startsWith('signature'))
      expect(await refusal(() => take(inspect(SENT), { ...reply, fields: halved }))).toMatchObject({
        code: 'ERR_VERIFY_MALFORMED',
      })
      expect(events).toMatchObject([{ outcome: 'refused', code: 'ERR_VERIFY_MALFORMED' }])
    },
  )
})

describe('a body', () => {
  test.each(['hold', 'stream'] as const)('with "%s" is compared with the digest that was signed', async (body) => {
    const { inspect, events } = verifier({ body })
    expect(await take(inspect(SENT), await signed())).toBe(body)
    expect(events).toEqual([{ type: 'verify.result', host: HOST, outcome: 'verified', keyId: 'bank' }])
    const other = { ...(await signed()), body: BODY.replace('1', '9') }
    expect(await refusal(() => take(inspect(SENT), other))).toMatchObject({
      code: 'ERR_VERIFY_DIGEST_MISMATCH',
      message: `${HOST}: the body is not the one whose digest was signed`,
      requestSent: 'yes',
    })
    expect(events.slice(1)).toMatchObject([{ outcome: 'refused', code: 'ERR_VERIFY_DIGEST_MISMATCH' }])
  })

  test('is held, and needs a digest, where nothing else is said: ERR_VERIFY_COVERAGE', async () => {
    const bare = await signed({ body: '' })
    expect(await take(verifier().inspect(SENT), bare)).toBe('hold')
    const { inspect, events } = verifier()
    const error = await refusal(() => take(inspect(SENT), { ...bare, body: BODY }))
    expect(error).toMatchObject({ code: 'ERR_VERIFY_COVERAGE' })
    expect(events).toMatchObject([{ outcome: 'refused' }])
    await take(verifier({ digest: 'if-present' }).inspect(SENT), { ...bare, body: BODY })
  })

  test('that is held may be so long and no longer, announced or not: ERR_VERIFY_BODY_TOO_LARGE', async () => {
    const { inspect, events } = verifier({ maxHeldBytes: BODY.length })
    const announcing = async (length: number, status = 200) => {
      const { fields, ...reply } = await signed({ status })
      return { ...reply, fields: [...fields, ['Content-Length', `${length}`]] as FieldLine[] }
    }
    await take(inspect(SENT), await announcing(BODY.length))
    await take(inspect({ ...SENT, method: 'HEAD' }), { ...(await signed({}, { method: 'HEAD' })), body: '' })
    events.length = 0
    const tooLarge = {
      code: 'ERR_VERIFY_BODY_TOO_LARGE',
      message: `${HOST}: expected a body of at most ${BODY.length} bytes, to be held until it is verified (maxHeldBytes)`,
    }
    const announced = await announcing(BODY.length + 1)
    expect(await refusal(() => inspect(SENT).begin(headOf(announced)))).toMatchObject(tooLarge)
    expect(() => inspect(SENT).hold(BODY.length)).not.toThrow()
    expect(await refusal(() => inspect(SENT).hold(BODY.length + 1))).toMatchObject(tooLarge)
    expect(events).toMatchObject([{ code: 'ERR_VERIFY_BODY_TOO_LARGE' }, { code: 'ERR_VERIFY_BODY_TOO_LARGE' }])
    // the length that HEAD and 304 announce is that of another response
    expect(inspect({ ...SENT, method: 'HEAD' }).begin(headOf(announced))).toBe('hold')
    expect(inspect(SENT).begin(headOf(await announcing(BODY.length + 1, 304)))).toBe('hold')
    expect(verifier({ body: 'stream', maxHeldBytes: 1 }).inspect(SENT).begin(headOf(announced))).toBe('stream')
  })

  test.each([
    ['HEAD', 200],
    ['GET', 304],
  ])('there is none in the answer to %s with %i, whatever digest it has', async (method, status) => {
    const reply = await signed({ status }, { method })
    const { inspect } = verifier()
    await take(inspect({ ...SENT, method }), { ...reply, body: '' })
    expect(await refusal(() => take(inspect({ ...SENT, method }), reply))).toMatchObject({
      code: 'ERR_VERIFY_DIGEST_MISMATCH',
    })
  })

  test('that is a part of the representation is not what a Repr-Digest speaks for: ERR_VERIFY_COVERAGE', async () => {
    const fields: FieldLine[] = [['repr-digest', digestOf(BODY)]]
    const over = (status: number) =>
      signed({ status, fields, body: '' }, {}, { components: ['@status', 'repr-digest', ...BOUND] })
    await take(verifier().inspect(SENT), { ...(await over(200)), body: BODY })
    const error = await refusal(async () => take(verifier().inspect(SENT), { ...(await over(206)), body: BODY }))
    expect(error).toMatchObject({ code: 'ERR_VERIFY_COVERAGE' })
  })
})

describe('what a signature has to cover', () => {
  test('the status, where nothing else is said: ERR_VERIFY_COVERAGE', async () => {
    const reply = await signed({}, {}, { components: ['content-digest', ...BOUND] })
    expect(await refusal(() => take(verifier().inspect(SENT), reply))).toMatchObject({
      code: 'ERR_VERIFY_COVERAGE',
      message: `${HOST}: expected a signature that covers "@status"`,
    })
    await take(verifier({ components: [] }).inspect(SENT), reply)
  })

  test('the request, unless that is not asked for: ERR_VERIFY_REQUEST_BINDING', async () => {
    const reply = await signed({}, null)
    expect(await refusal(() => take(verifier().inspect(SENT), reply))).toMatchObject({
      code: 'ERR_VERIFY_REQUEST_BINDING',
      message: `${HOST}: expected a signature that covers "@method";req`,
    })
    await take(verifier({ bindRequest: false }).inspect(SENT), reply)
  })

  test.each<[string, object]>([
    ['method', { method: 'POST' }],
    ['authority', { authority: 'api.example.net' }],
    ['path', { path: '/accounts' }],
    ['query', { path: '/accounts?page=3' }],
  ])(
    'an answer to a request with another %s is ERR_VERIFY_FAILED, and the message says what it may be',
    async (_, other) => {
      const reply = await signed()
      await take(verifier().inspect(SENT), reply)
      const sent = { ...SENT, ...other }
      expect(await refusal(() => take(verifier().inspect(sent), reply))).toMatchObject({
        code: 'ERR_VERIFY_FAILED',
        message: `${sent.authority}: the signature is not one of the key; something was changed, or it answers another request`,
      })
      const unbound = { ...(await signed({}, null)), status: 201 }
      expect(await refusal(() => take(verifier({ bindRequest: false }).inspect(SENT), unbound))).toMatchObject({
        message: `${HOST}: the signature is not one of the key; something was changed`,
      })
    },
  )

  test('a field of the request that was not sent is ERR_VERIFY_REQUEST_BINDING, one of the response ERR_VERIFY_FAILED', async () => {
    const fields: FieldLine[] = [['x-own', '1']]
    const ofRequest = { name: 'x-id', req: true } as const
    const reply = await signed(
      { fields },
      {},
      { components: ['@status', 'content-digest', 'x-own', ofRequest, ...BOUND] },
    )
    await take(verifier().inspect(SENT), reply)
    expect(await refusal(() => take(verifier().inspect({ ...SENT, headers: [] }), reply))).toMatchObject({
      code: 'ERR_VERIFY_REQUEST_BINDING',
      message: expect.stringContaining('x-id'),
    })
    const cut = { ...reply, fields: reply.fields.filter(([name]) => name !== 'x-own') }
    expect(await refusal(() => take(verifier().inspect(SENT), cut))).toMatchObject({
      code: 'ERR_VERIFY_FAILED',
      message: expect.stringContaining('x-own'),
    })
  })

  test('a field of the response that is not there is ERR_VERIFY_FAILED beside one of the request that cannot be read', async () => {
    const ofRequest = { name: 'x-id', req: true } as const
    const components = ['@status', 'x-own', ofRequest, ...BOUND]
    const { fields, ...reply } = await signed({ fields: [['x-own', '1']], body: '' }, {}, { components })
    const cut = { ...reply, fields: fields.filter(([name]) => name !== 'x-own') }
    const sent = { ...SENT, headers: ['X-Id', 'é'] }
    expect(await refusal(() => take(verifier().inspect(sent), cut))).toMatchObject({ code: 'ERR_VERIFY_FAILED' })
  })

  test('of two signatures that fall short, that is said of which covers more: ERR_VERIFY_REQUEST_BINDING', async () => {
    const bound = await signed({ body: '' }, {}, { label: 'a', components: BOUND })
    const own = await signed({ body: '' }, {}, { label: 'b', components: ['@status'] })
    for (const [one, two] of [
      [bound, own],
      [own, bound],
    ] as const) {
      const fields = one.fields.map(([name, value], at): FieldLine => [name, `${value}, ${two.fields[at]?.[1]}`])
      const error = await refusal(() => take(verifier().inspect(SENT), { ...one, fields }))
      expect(error).toMatchObject({ code: 'ERR_VERIFY_REQUEST_BINDING' })
    }
  })

  test('a trailer is a component of its own: another one is ERR_VERIFY_FAILED', async () => {
    const total = { name: 'x-total', tr: true } as const
    const reply = { ...(await withTrailer('7', ['@status', total])), body: '' }
    const inspect = () => verifier({ components: [total], bindRequest: false }).inspect(SENT)
    await take(inspect(), reply, [['X-Total', '7']])
    for (const trailers of [[['X-Total', '8']], []] as const)
      expect(await refusal(() => take(inspect(), reply, trailers))).toMatchObject({ code: 'ERR_VERIFY_FAILED' })
  })
})

describe('keys', () => {
  test('that never come hold a response up for fifteen seconds: ERR_VERIFY_KEYS_UNAVAILABLE', async () => {
    const { inspect, runtime, events } = verifier({ keys: () => new Promise(() => undefined) })
    const refused = refusal(async () => take(inspect(SENT), await signed()))
    await runtime.advance(14_999)
    expect(events).toEqual([])
    await runtime.advance(1)
    expect(await refused).toMatchObject({
      code: 'ERR_VERIFY_KEYS_UNAVAILABLE',
      message: `${HOST}: whether the signature is right could not be told within 15000 ms`,
      retryable: true,
    })
    expect(events).toMatchObject([{ outcome: 'refused', code: 'ERR_VERIFY_KEYS_UNAVAILABLE' }])
  })

  test('that cannot be had are the cause of the refusal, without the words of the application', async () => {
    const { inspect } = verifier({ keys: () => Promise.reject(new Error('hunter2')) })
    const error = await refusal(async () => take(inspect(SENT), await signed()))
    expect(error).toMatchObject({
      code: 'ERR_VERIFY_KEYS_UNAVAILABLE',
      message: `${HOST}: the keys could not be had`,
      cause: expect.objectContaining({ message: 'its message is withheld' }),
    })
    const unknown = verifier({ keys: () => undefined })
    const other = await refusal(async () => take(unknown.inspect(SENT), await signed()))
    expect(other).toMatchObject({ code: 'ERR_VERIFY_KEY_UNKNOWN' })
    expect(other).not.toHaveProperty('cause')
  })

  test('that come leave no timer behind', async () => {
    const { inspect, runtime } = verifier()
    await take(inspect(SENT), await signed())
    expect(runtime.pendingTimers).toBe(0)
  })

  test('of an issuer are fetched by the client that verifies, by its clock', async () => {
    const asked: string[] = []
    const { inspect } = verifier({ keys: { jwksUri: 'https://as.example/jwks' } }, async (input) => {
      asked.push(String(input))
      return Response.json({ keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'bank' }] })
    })
    for (let call = 0; call < 2; call += 1) await take(inspect(SENT), await signed())
    expect(asked).toEqual(['https://as.example/jwks'])
  })
})

describe('options', () => {
  const KEYS = 'expected verification keys, a key set, a function that finds a key, or { jwksUri }'
  const REQUIRE = 'expected always, if-present, or a function that tells whether a response has to be signed'
  test.each<[object, string]>([
    [{ keys: { jwksUri: 'http://as.example/jwks' } }, '.keys.jwksUri: expected an https URL'],
    [{ keys: { jwksUri: 'shttps://as.example/jwks' } }, '.keys.jwksUri: expected an https URL'],
    [{ keys: { jwksUri: 'https2://as.example/jwks' } }, '.keys.jwksUri: expected an https URL'],
    [{ keys: { jwksUri: 'https://as.example/jwks', kid: '1' } }, '.keys: '],
    [{ keys: 'https://as.example/jwks' }, `.keys: ${KEYS}`],
    [{ keys: {} }, `.keys: ${KEYS}`],
    [{ require: 'sometimes' }, `.require: ${REQUIRE}`],
    [{ require: 1 }, `.require: ${REQUIRE}`],
    [{ components: ['X-Upper'] }, '.components: '],
    [{ bindRequest: 'method' }, '.bindRequest: expected true, false, or signature'],
    [{ digest: 'never' }, '.digest: '],
    [{ body: 'drop' }, '.body: '],
    [{ maxHeldBytes: 0 }, '.maxHeldBytes: '],
    [{ maxHeldBytes: 1_073_741_825 }, '.maxHeldBytes: '],
    [{ maxHeldByte: 1 }, ': '],
  ])('%j is ERR_CONFIG_INVALID', (options, where) => {
    expect(() => verifyResponses({ ...RULES, ...options } as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        message: expect.stringContaining(`verifyResponses${where}`),
      }),
    )
  })

  test('at their limits, and of every kind, are taken', () => {
    const defaults = { require: 'always', bindRequest: true, digest: 'require', body: 'hold' } as const
    const others = { require: 'if-present', bindRequest: 'signature', digest: 'if-present', body: 'stream' } as const
    for (const options of [defaults, others, { maxHeldBytes: 1 }, { maxHeldBytes: 1_073_741_824 }])
      expect(verifyResponses({ ...RULES, ...options })).toEqual({ name: 'verifyResponses' })
  })

  test('a verifier is one that verifyResponses made: ERR_CONFIG_INVALID for a copy', () => {
    const made = verifyResponses(RULES)
    expect(isResponseVerifier(made)).toBe(true)
    expect(Object.isFrozen(made)).toBe(true)
    for (const other of [{ ...made }, null, undefined, 'verifyResponses']) expect(isResponseVerifier(other)).toBe(false)
    const host = { fetch, runtime: createTestRuntime(), emit: () => undefined }
    expect(() => bindVerifier({ ...made }, host)).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        message: 'verify: expected what verifyResponses answers',
      }),
    )
  })
})

const BOUND = ['@method', '@target-uri'].map((name) => ({ name, req: true }) as const)

interface Reply {
  readonly status: number
  readonly fields: readonly FieldLine[]
  readonly body: string
}

/** A response as a server signs it, to the request or to one that differs from it; `null`: to none. */
async function signed(
  { status = 200, fields = [], body = BODY }: Partial<Reply> = {},
  request: Partial<RequestMessage> | null = {},
  options: Partial<SignResponsesOptions> = {},
): Promise<Reply> {
  const sign = signResponses({ keys: signer, runtime: createTestRuntime({ now: NOW }), ...options })
  const added = await sign(
    { status, headers: fields, body: Buffer.from(body) },
    request === null ? undefined : { ...REQUEST, ...request },
  )
  return { status, fields: [...fields, ...Object.entries(added)], body }
}

async function withTrailer(total: string, components: readonly Component[]): Promise<Omit<Reply, 'body'>> {
  const covered = components.map(componentIdentifier)
  const text = `(${covered.map((one) => one.text).join(' ')});created=${NOW / 1_000};keyid="bank"`
  const message: Message = { kind: 'response', status: 200, fields: [], trailers: [['x-total', total]] }
  const signature = await signer.sign(Buffer.from(signatureBase(covered, text, message)), {
    signal: AbortSignal.any([]),
  })
  const fields: FieldLine[] = [
    ['signature-input', `sig=${text}`],
    ['signature', `sig=:${Buffer.from(signature).toString('base64')}:`],
  ]
  return { status: 200, fields }
}

function verifier(options: Partial<VerifyResponsesOptions> = {}, fetch: typeof globalThis.fetch = unreachable) {
  const runtime = createTestRuntime({ now: NOW })
  const events: ClientEvent[] = []
  const host = { fetch, runtime, emit: (event: ClientEvent) => void events.push(event) }
  return { inspect: bindVerifier(verifyResponses({ ...RULES, ...options }), host), runtime, events }
}

const unreachable = (): never => {
  throw new Error('nothing is fetched')
}

const rawOf = (lines: readonly FieldLine[]): Buffer[] => lines.flat().map((text) => Buffer.from(text, 'latin1'))
const headOf = ({ status, fields }: Omit<Reply, 'body'>) => ({ status, fields: rawOf(fields) })

/** As the dispatcher shows a response to its inspection; what `begin` answered. */
async function take(inspection: Inspection, reply: Reply, trailers: readonly FieldLine[] = []): Promise<string> {
  const how = inspection.begin(headOf(reply))
  if (how === 'pass') return how
  const check = await inspection.judge(headOf(reply), rawOf(trailers))
  check.update(Buffer.from(reply.body))
  check.end()
  return how
}
