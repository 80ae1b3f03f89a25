import { createHmac, createSecretKey, generateKeyPairSync, sign, timingSafeEqual, verify } from 'node:crypto'
import { component, createSignature, verifySignature } from 'http-message-sig'
import { httpbis } from 'http-message-signatures'
import { localSigner, type Message, type RequestMessage, type ResponseMessage, verificationKey } from 'pinfetch/signing'
import { describe, expect, test } from 'vitest'
import { VerifyError } from '../../src/errors/errors.ts'
import { keysById } from '../../src/keys/verification-key.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { type Component, componentIdentifier } from '../../src/signing/component.ts'
import { componentValue } from '../../src/signing/component-value.ts'
import { signatureBase } from '../../src/signing/signature-base.ts'
import { type Refuse, verifyMessage } from '../../src/signing/verify-message.ts'

const MESSAGES = 10_000
const pair = generateKeyPairSync('ed25519')
const secret = Buffer.alloc(32, 0x5a)
const signers = [
  localSigner(createSecretKey(secret), { keyId: 'shared' }),
  localSigner(pair.privateKey, { keyId: 'own' }),
] as const
const policy = {
  keys: keysById([
    verificationKey(createSecretKey(secret), { keyId: 'shared' }),
    verificationKey(pair.publicKey, { keyId: 'own' }),
  ]),
  algorithms: ['hmac-sha256', 'ed25519'],
  maxAgeSec: 300,
  clockSkewSec: 0,
} as const
const now = toUnixMs(Date.UTC(2026, 0, 1))
const created = now / 1_000
const context = {
  now,
  required: [],
  refuse: (code: Parameters<Refuse>[0], what: string) => new VerifyError(code, what),
}

const signHere = (algorithm: string, data: Uint8Array): Buffer =>
  algorithm === 'ed25519' ? sign(null, data, pair.privateKey) : createHmac('sha256', secret).update(data).digest()
const isRight = (algorithm: string, data: Uint8Array, signature: Uint8Array): boolean => {
  if (algorithm === 'ed25519') return verify(null, data, pair.publicKey, signature)
  const expected = signHere(algorithm, data)
  return expected.length === signature.length && timingSafeEqual(expected, signature)
}

/** Says the same in every run (mulberry32). */
function dice(seed: number) {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const text = (letters: string, most: number): string => {
    const list = [...letters]
    return Array.from({ length: 1 + below(most) }, () => pick(list)).join('')
  }
  return { below, pick, text, some: <T>(list: readonly T[]) => shuffled(list, below).slice(0, 1 + below(list.length)) }
}

function shuffled<T>(list: readonly T[], below: (limit: number) => number): T[] {
  const result = [...list]
  for (let at = result.length - 1; at > 0; at -= 1) {
    const other = below(at + 1)
    ;[result[at], result[other]] = [result[other] as T, result[at] as T]
  }
  return result
}

const PATH = "abcXYZ019-._~!$&'()*+,;=:@/"
const QUERY = 'abcXYZ019-._~!$()*+,;:@/?=&'
const VALUE = ' abcdefXYZ0123456789!#$%&\'()*+,-./:;<=>?@[]^_`{|}~"\\'

type Dice = ReturnType<typeof dice>

function randomRequest(roll: Dice): RequestMessage {
  const port = roll.pick(['', '', ':8443'])
  const path = `/${roll.text(PATH, 20).replaceAll(/\/\/+|\.\.?(?=\/|$)/g, 'x')}`
  const query = roll.pick(['', `?${roll.text(QUERY, 20)}`])
  return {
    kind: 'request',
    method: roll.pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY']),
    url: `https://${roll.text('abc0', 8)}.example.com${port}${path}${query}`,
    fields: randomFields(roll),
  }
}

function randomFields(roll: Dice): Message['fields'] {
  const value = (): string => roll.text(VALUE, 40).trim()
  const lines = roll
    .some(['host', 'date', 'content-type', 'x-one', 'authorization'])
    .map((name) => [name, value()] as const)
  const several = Array.from({ length: 1 + roll.below(3) }, () => ['x-several', value()] as const)
  const others = roll.some(['b="two words";q=1;z', 'c', 'd=:AAEC:', 'e=(1 "2" three);f=?0', 'g=-1.5', 'h=tok/en'])
  const members = shuffled(['a=1', ...others], roll.below)
  return [...lines, ...several, ['x-members', `${roll.pick(['', ' '])}${members.join(roll.pick([', ', ',', ' ,  ']))}`]]
}

function randomMessage(roll: Dice): { readonly message: Message; readonly components: readonly Component[] } {
  const request = randomRequest(roll)
  const ofRequest: Component[] = [...DERIVED, ...fieldsOf(request)]
  if (roll.below(2) === 0) return { message: request, components: roll.some(ofRequest) }
  const message: ResponseMessage = {
    kind: 'response',
    status: 200 + roll.below(400),
    fields: randomFields(roll),
    request,
  }
  const bound = ofRequest.map(
    (one) => (typeof one === 'string' ? { name: one, req: true } : { ...one, req: true }) as Component,
  )
  return { message, components: roll.some(['@status', ...fieldsOf(message), ...bound]) }
}

const DERIVED = ['@method', '@target-uri', '@authority', '@scheme', '@path', '@query'] as const

function fieldsOf({ fields }: Message): Component[] {
  const members = fields.find(([name]) => name === 'x-members')?.[1] ?? ''
  const keys = [...'abcdegh'].filter((key) => new RegExp(`(^|, *| ,  )${key}(=|,|$| )`).test(members.trim()))
  return [...new Set(fields.map(([name]) => name)), ...keys.map((key) => ({ name: 'x-members', key }))]
}

/** Signed by our core. */
function signedByUs({ message, components }: ReturnType<typeof randomMessage>, number: number): Message {
  const signer = signers[number % 10 === 0 ? 1 : 0]
  const covered = components.map(componentIdentifier)
  const text = `(${covered.map((one) => one.text).join(' ')});created=${created};keyid="${signer.keyId}";alg="${signer.algorithm}"`
  const signature = signHere(signer.algorithm, Buffer.from(signatureBase(covered, text, message)))
  return withSignature(message, `sig=${text}`, `sig=:${signature.toString('base64')}:`)
}

const withSignature = (message: Message, input: string, signature: string): Message => ({
  ...message,
  fields: [...message.fields, ['signature-input', input], ['signature', signature]],
})

const UNSUPPORTED = expect.objectContaining({ code: 'UnsupportedFeature' })
const seed = Number(process.env['PINFETCH_SEED'] ?? 9421)

describe('http-message-signatures', () => {
  const headersOf = (message: Message): Record<string, string[]> => {
    const headers: Record<string, string[]> = {}
    for (const [name, value] of message.fields) headers[name] = [...(headers[name] ?? []), value]
    return headers
  }
  const theirs = (message: Message) =>
    message.kind === 'request'
      ? { method: message.method, url: message.url, headers: headersOf(message) }
      : { status: message.status, headers: headersOf(message) }
  const requestOf = (message: Message) =>
    (message.kind === 'response' && message.request !== undefined ? theirs(message.request) : undefined) as never

  test(`verifies ${MESSAGES} messages of ours, and we verify as many of theirs`, { timeout: 180_000 }, async () => {
    const roll = dice(seed)
    for (let number = 0; number < MESSAGES; number += 1) {
      const draft = randomMessage(roll)
      const ours = signedByUs(draft, number)
      const keyLookup = async ({ alg = '' }: { alg?: string }) => ({
        verify: async (data: Buffer, signature: Buffer) => isRight(alg, data, signature),
      })
      const config = { keyLookup, notAfter: created }
      const outcome = await httpbis.verifyMessage(config, theirs(ours) as never, requestOf(ours))
      if (outcome !== true) expect.fail(`seed ${seed}, message ${number}: ${JSON.stringify(ours)}`)

      const algorithm = number % 10 === 0 ? 'ed25519' : 'hmac-sha256'
      const signed = await httpbis.signMessage(
        {
          key: {
            id: algorithm === 'ed25519' ? 'own' : 'shared',
            alg: algorithm,
            sign: async (data) => signHere(algorithm, data),
          },
          fields: draft.components.map((one) => componentIdentifier(one).text),
          params: ['created', 'keyid', 'alg'],
          paramValues: { created: new Date(now) },
        },
        theirs(draft.message) as never,
        requestOf(draft.message),
      )
      const { headers } = signed as { headers: Record<string, string> }
      const received = withSignature(draft.message, headers['Signature-Input'] ?? '', headers['Signature'] ?? '')
      await verifyMessage(received, policy, context)
    }
  })

  describe('gets wrong, and we do not', () => {
    const request = (url: string, method = 'GET', headers: Record<string, string | string[]> = {}) => ({
      method,
      url,
      headers,
    })
    const message = (url: string, method = 'GET', fields: Message['fields'] = []): Message => ({
      kind: 'request',
      method,
      url,
      fields,
    })
    const value = (one: Component, of: Message): string => componentValue(componentIdentifier(one), of)
    const derived = (
      name: string,
      of: ReturnType<typeof request>,
      params: readonly (readonly [string, string | true])[] = [],
    ) => httpbis.deriveComponent(name, new Map(params) as never, of)

    test('the method, which is case-sensitive (RFC 9421 §2.2.1)', () => {
      expect(derived('@method', request('https://a.example/', 'get'))).toEqual(['GET'])
      expect(value('@method', message('https://a.example/', 'get'))).toBe('get')
    })

    test('a question mark at the end, which the request target keeps (§2.2.5)', () => {
      expect(derived('@request-target', request('https://a.example/x?'))).toEqual(['/x'])
      expect(value('@request-target', message('https://a.example/x?'))).toBe('/x?')
    })

    test('what is percent-encoded in a query parameter (§2.2.8)', () => {
      expect(derived('@query-param', request("https://a.example/?a='!"), [['name', 'a']])).toEqual(["'!"])
      expect(value('@query-param:a', message("https://a.example/?a='!"))).toBe('%27%21')
    })

    test('a query parameter that occurs twice, which must not be covered (§2.2.8)', () => {
      expect(derived('@query-param', request('https://a.example/?a=1&a=2'), [['name', 'a']])).toEqual(['1', '2'])
      expect(() => value('@query-param:a', message('https://a.example/?a=1&a=2'))).toThrow('occurs twice')
    })

    test('a component that is covered twice (§2, each occurs once)', () => {
      const config = { fields: ['"@method"', '"@method"'] }
      expect(httpbis.createSignatureBase(config, request('https://a.example/')).length).toBe(2)
      const fields = [
        ['signature-input', 's=("@method" "@method");created=1'],
        ['signature', 's=:AAAA:'],
      ] as const
      return expect(verifyMessage(message('https://a.example/', 'GET', fields), policy, context)).rejects.toMatchObject(
        { code: 'ERR_VERIFY_MALFORMED' },
      )
    })

    test('a dictionary of members that are true, which it takes for a list (§2.1.2)', () => {
      const headers = { 'x-a': 'b, c' }
      const read = () =>
        httpbis.extractHeader('x-a', new Map([['key', 'b']]) as never, request('https://a.example/', 'GET', headers))
      expect(read).toThrow('Unable to parse header as dictionary')
      expect(value({ name: 'x-a', key: 'b' }, message('https://a.example/', 'GET', [['x-a', 'b, c']]))).toBe('?1')
    })

    test('octets beyond ASCII as bytes, which it takes for UTF-8 (§2.1.3)', () => {
      const headers = { 'x-a': 'caf\u00e9' }
      const bytes = httpbis.extractHeader('x-a', new Map([['bs', true]]), request('https://a.example/', 'GET', headers))
      expect(bytes).toEqual([`:${Buffer.from('caf\u00e9', 'utf8').toString('base64')}:`])
      expect(value({ name: 'x-a', bs: true }, message('https://a.example/', 'GET', [['x-a', 'caf\u00e9']]))).toBe(
        `:${Buffer.from('caf\u00e9', 'latin1').toString('base64')}:`,
      )
    })

    test('tolerance, which it takes away from the age that a signature may have', async () => {
      const at = Math.floor(Date.now() / 1_000) - 90
      const text = `();created=${at};keyid="shared";alg="hmac-sha256"`
      const of = message('https://a.example/')
      const signature = signHere('hmac-sha256', Buffer.from(signatureBase([], text, of)))
      const signed = withSignature(of, `sig=${text}`, `sig=:${signature.toString('base64')}:`)
      const keyLookup = async () => ({
        verify: async (data: Buffer, given: Buffer) => isRight('hmac-sha256', data, given),
      })
      const theirAnswer = (tolerance: number) =>
        httpbis.verifyMessage({ keyLookup, maxAge: 100, tolerance }, theirs(signed) as never)
      expect(await theirAnswer(0)).toBe(true)
      await expect(theirAnswer(30)).rejects.toThrow('too old')
      for (const clockSkewSec of [0, 30]) {
        const ages = { maxAgeSec: 100, clockSkewSec }
        await verifyMessage(signed, { ...policy, ...ages }, { ...context, now: toUnixMs((at + 90) * 1_000) })
      }
    })

    test('a label that stands twice, of which it keeps the last (RFC 9651 §3.2 lets it; we refuse)', async () => {
      const fields = [
        [
          'signature-input',
          `s=("@method");created=${created}, s=();created=${created};keyid="shared";alg="hmac-sha256"`,
        ],
        ['signature', ''],
      ] as const
      const text = `();created=${created};keyid="shared";alg="hmac-sha256"`
      const of = message('https://a.example/')
      const signature = signHere('hmac-sha256', Buffer.from(signatureBase([], text, of)))
      const twice = { ...of, fields: [fields[0], ['signature', `s=:${signature.toString('base64')}:`] as const] }
      const keyLookup = async () => ({
        verify: async (data: Buffer, given: Buffer) => isRight('hmac-sha256', data, given),
      })
      expect(await httpbis.verifyMessage({ keyLookup, notAfter: created }, theirs(twice) as never)).toBe(true)
      await expect(verifyMessage(twice, policy, context)).rejects.toMatchObject({ code: 'ERR_VERIFY_MALFORMED' })
    })
  })
})

describe('http-message-sig', () => {
  const linesOf = (message: Message) => message.fields.map(([name, value]) => ({ name, value }))
  const request = (message: RequestMessage) =>
    ({ kind: 'request', method: message.method, targetUri: message.url, fields: linesOf(message) }) as const
  const theirs = (message: Message) =>
    message.kind === 'request'
      ? request(message)
      : ({
          kind: 'response',
          status: message.status,
          fields: linesOf(message),
          ...(message.request && { request: request(message.request) }),
        } as const)
  const named = (one: Component) => {
    const { name, key, req } = componentIdentifier(one)
    return component(name, { ...(key !== undefined && { key }), ...(req && { req: true }) })
  }
  const verifier = (algorithm: string) => ({
    algorithm,
    verify: (data: Uint8Array, signature: Uint8Array) => isRight(algorithm, data, signature),
  })

  test(`verifies ${MESSAGES} messages of ours, and we verify as many of theirs`, { timeout: 180_000 }, async () => {
    const roll = dice(seed + 1)
    for (let number = 0; number < MESSAGES; number += 1) {
      const draft = randomMessage(roll)
      const ours = signedByUs(draft, number)
      const policyOfTheirs = {
        algorithms: ['hmac-sha256', 'ed25519'],
        requiredComponents: draft.components.map(named),
        requiredParameters: ['created', 'keyid'],
        maxAge: 300,
        now: created,
      }
      await verifySignature(theirs(ours), {
        policy: policyOfTheirs,
        resolveVerifier: ({ algorithm = '' }) => verifier(algorithm),
      }).catch((error) => expect.fail(`seed ${seed}, message ${number}: ${error} ${JSON.stringify(ours)}`))

      const signer = signers[number % 10 === 0 ? 1 : 0]
      const { algorithm, keyId } = signer
      const { signature, signatureInput } = await createSignature(theirs(draft.message), {
        label: 'sig',
        components: draft.components.map(named),
        parameters: { created, keyid: keyId, alg: algorithm },
        signer: { algorithm, sign: (data) => signHere(algorithm, data) },
      })
      await verifyMessage(withSignature(draft.message, signatureInput, signature), policy, context)
    }
  })

  describe('lacks, or gets wrong, and we do not', () => {
    const of = (url: string, fields: Message['fields'] = []): RequestMessage => ({
      kind: 'request',
      method: 'GET',
      url,
      fields,
    })
    const theirBase = async (
      message: RequestMessage,
      ...components: Parameters<typeof createSignature>[1]['components']
    ) => {
      let base = ''
      const signer = {
        algorithm: 'hmac-sha256',
        sign: (data: Uint8Array) => {
          base = Buffer.from(data).toString('latin1')
          return new Uint8Array(32)
        },
      }
      const parameters = { created, keyid: 'shared', alg: 'hmac-sha256' }
      await createSignature(request(message), { label: 's', components, parameters, signer })
      return base.split('\n')
    }
    const ourLine = (one: Component, message: Message): string => {
      const identifier = componentIdentifier(one)
      return `${identifier.text}: ${componentValue(identifier, message)}`
    }

    test('the target URI and the authority of a URL that is not normalised (RFC 9421 §2.2.2, RFC 9110 §4.2.3)', async () => {
      const message = of('HTTPS://A.example:443')
      expect((await theirBase(message, '@target-uri'))[0]).toBe('"@target-uri": HTTPS://A.example:443')
      expect(ourLine('@target-uri', message)).toBe('"@target-uri": https://a.example/')
    })

    test('several Set-Cookie lines, which cannot be joined (§2.1, RFC 9110 §5.3)', async () => {
      const message = of('https://a.example/', [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ])
      expect((await theirBase(message, 'set-cookie'))[0]).toBe('"set-cookie": a=1, b=2')
      expect(() => ourLine('set-cookie', message)).toThrow('cannot be joined')
    })

    test.each<[string, Component, object]>([
      ['sf (§2.1.1)', { name: 'priority', sf: true }, { sf: true }],
      ['bs (§2.1.3)', { name: 'priority', bs: true }, { bs: true }],
    ])('%s', async (_, one, parameters) => {
      const message = of('https://a.example/', [['priority', 'u=1,  i']])
      expect(() => component('priority', parameters as never)).toThrow(UNSUPPORTED)
      expect(ourLine(one, message)).toContain('"priority"')
    })

    test('query parameters (§2.2.8)', async () => {
      const message = of('https://a.example/?a=b%20c')
      expect(() => component('@query-param', { name: 'a' })).toThrow(UNSUPPORTED)
      expect(ourLine('@query-param:a', message)).toBe('"@query-param";name="a": b%20c')
    })
  })
})
