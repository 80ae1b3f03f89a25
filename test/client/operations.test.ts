import { inspect } from 'node:util'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type Operation, type OperationOption, PolicyError, type StandardSchema } from 'pinfetch'
import { fakeClient } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { resolveOptions } from '../../src/client/options.ts'
import { refusalOf } from '../support/client.ts'

const API = 'https://api.example.com'
const CANARY = 'canary-77aa'
const JSON_TYPE = { 'content-type': 'application/json' }
const Payment = z.strictObject({ amount: z.number().min(1), currency: z.enum(['EUR', 'USD']) })

/** A client over a server that answers as told and records what it was asked. */
function stage(operations: OperationOption, answer: () => Response = () => Response.json({ id: 'p1' })) {
  const asked: Request[] = []
  const client = fakeClient({
    operations,
    fetch: async (input, init) => {
      asked.push(new Request(input, init))
      return answer()
    },
  })
  return { asked, fetch: client.fetch }
}

const payments = (more: Partial<Operation> = {}): Operation => ({ method: 'POST', url: `${API}/payments`, ...more })
const post = (body: unknown, headers: Record<string, string> = JSON_TYPE): RequestInit => ({
  method: 'POST',
  body: body as string,
  headers,
})

/** The issues of the refusal, as `path: message`. */
async function issuesOf(call: Promise<unknown>, code: PolicyError['code']): Promise<string[]> {
  const error = await refusalOf(call, code)
  expect(error).toBeInstanceOf(PolicyError)
  expect(inspect(error, { depth: 9 })).not.toContain(CANARY)
  return (error as PolicyError).issues?.map(({ path, message }) => `${path}: ${message}`) ?? []
}

describe('the body of a request', () => {
  const { fetch, asked } = stage([payments({ body: Payment })])
  const call = (init: RequestInit) => fetch(`${API}/payments`, init)

  test('that its schema takes is sent, byte by byte', async () => {
    const text = '{ "amount": 1e1,\n "currency": "EUR" }'
    expect((await call(post(text))).status).toBe(200)
    const [request] = asked.splice(0)
    expect(await request?.text()).toBe(text)
    expect(request?.headers.get('content-type')).toBe('application/json')
  })

  test.each<[string, string, string[]]>([
    ['of another type', `{"amount":"${CANARY}","currency":"EUR"}`, ['body.amount: expected number, got string']],
    ['too small', '{"amount":0,"currency":"EUR"}', ['body.amount: expected at least 1, got number']],
    ['that misses a member', '{"currency":"EUR"}', ['body.amount: expected number, got nothing']],
    [
      'with another member',
      `{"amount":1,"currency":"EUR","${CANARY}":"${CANARY}"}`,
      ['body: expected no other members, got object'],
    ],
    [
      'with a value that is not listed',
      `{"amount":1,"currency":"${CANARY}"}`,
      ['body.currency: expected one of the values listed, got string'],
    ],
    [
      'that is wrong twice',
      '{"amount":null,"currency":[]}',
      ['body.amount: expected number, got null', 'body.currency: expected one of the values listed, got array'],
    ],
    ['that is no JSON', `{"amount":${CANARY}`, ['body: expected JSON, got something else']],
    [
      'with a member twice',
      '{"amount":1,"amount":1000000,"currency":"EUR"}',
      ['body: expected each member name once in an object, got one twice'],
    ],
    [
      'with a member twice, spelt otherwise',
      '{"amount":1,"\\u0061mount":1000000,"currency":"EUR"}',
      ['body: expected each member name once in an object, got one twice'],
    ],
    ['that is too deep', `${'['.repeat(5_000)}${']'.repeat(5_000)}`, ['body: expected at most 100 levels, got more']],
    ['that is empty', '', ['body: expected object, got nothing']],
  ])('%s is refused: ERR_POLICY_REQUEST_INVALID', async (_, body, issues) => {
    expect(await issuesOf(call(post(body)), 'ERR_POLICY_REQUEST_INVALID')).toEqual(issues)
    expect(asked).toEqual([])
  })

  test('that is no UTF-8 is refused: ERR_POLICY_REQUEST_INVALID', async () => {
    const body = Buffer.from('{"amount":1,"currency":"\xff"}', 'latin1')
    const issues = await issuesOf(call(post(body)), 'ERR_POLICY_REQUEST_INVALID')
    expect(issues).toEqual(['body: expected JSON in UTF-8 (RFC 8259 §8.1), got other bytes'])
  })

  test('that is not there is refused, unless the schema allows it: ERR_POLICY_REQUEST_INVALID', async () => {
    await refusalOf(call({ method: 'POST' }), 'ERR_POLICY_REQUEST_INVALID')
    const other = stage([payments({ body: Payment.optional() })])
    expect((await other.fetch(`${API}/payments`, { method: 'POST' })).status).toBe(200)
  })

  test.each([
    ['no type', undefined, 'no media type'],
    ['text without one', 'text/plain;charset=UTF-8', 'type text/plain'],
    ['octets', 'application/octet-stream', 'type application/octet-stream'],
    ['two types', 'application/json, text/plain', 'no media type'],
    ['what only begins with JSON', 'application/jsonx', 'type application/jsonx'],
    ['a form whose fields nobody knows', 'multipart/form-data; boundary=x', 'type multipart/form-data'],
  ])('with %s no schema can judge: ERR_POLICY_CONTENT_TYPE', async (_, type, shown) => {
    const body = Buffer.from('{"amount":1,"currency":"EUR"}')
    const error = await refusalOf(
      call({ method: 'POST', body, ...(type !== undefined && { headers: { 'content-type': type } }) }),
      'ERR_POLICY_CONTENT_TYPE',
    )
    expect(error.message).toContain(shown)
    expect([error.requestSent, asked.length]).toEqual(['no', 0])
  })

  test.each<[string, () => unknown]>([
    ['text', () => '{"amount":1,"currency":"EUR"}'],
    ['bytes', () => Buffer.from('{"amount":1,"currency":"EUR"}')],
    ['an ArrayBuffer', () => new TextEncoder().encode('{"amount":1,"currency":"EUR"}').buffer],
    ['a Blob', () => new Blob(['{"amount":1,', '"currency":"EUR"}'])],
    ['a stream', () => new Blob(['{"amount":1,"currency":"EUR"}']).stream()],
  ])('is read of %s', async (_, body) => {
    const init = { ...post(body(), { 'Content-Type': 'application/vnd.payment+json; charset=utf-8' }), duplex: 'half' }
    await call(init as RequestInit)
    const [request] = asked.splice(0)
    expect(await request?.json()).toEqual({ amount: 1, currency: 'EUR' })
    const wrong = { ...post(body(), JSON_TYPE), duplex: 'half', body: new Blob(['{}']).stream() }
    await refusalOf(call(wrong as RequestInit), 'ERR_POLICY_REQUEST_INVALID')
  })

  test('of a Request is read and sent: ERR_POLICY_REQUEST_INVALID', async () => {
    const request = (body: string) => new Request(`${API}/payments`, post(body))
    await fetch(request('{"amount":1,"currency":"EUR"}'))
    const [sent] = asked.splice(0)
    expect([sent?.method, await sent?.text()]).toEqual(['POST', '{"amount":1,"currency":"EUR"}'])
    await refusalOf(fetch(request('{}')), 'ERR_POLICY_REQUEST_INVALID')
    expect(asked).toEqual([])
  })

  test('that is a form is judged by name, a name that comes twice as a list: ERR_POLICY_REQUEST_INVALID', async () => {
    const form = stage([payments({ body: z.strictObject({ a: z.string(), b: z.array(z.string()) }) })])
    const send = (body: URLSearchParams | FormData) => form.fetch(`${API}/payments`, { method: 'POST', body })
    await send(new URLSearchParams('a=1&b=2&b=3'))
    const data = new FormData()
    for (const [name, value] of [
      ['a', '1'],
      ['b', '2'],
      ['b', '3'],
    ] as const)
      data.append(name, value)
    await send(data)
    expect(await form.asked[0]?.text()).toBe('a=1&b=2&b=3')
    expect([...((await form.asked[1]?.formData()) ?? [])]).toEqual([...data])
    const twice = await issuesOf(send(new URLSearchParams('a=1&a=2&b=2&b=3')), 'ERR_POLICY_REQUEST_INVALID')
    expect(twice).toEqual(['body.a: expected string, got array'])
    data.append('c', new File(['x'], 'x.txt'))
    await refusalOf(send(data), 'ERR_POLICY_REQUEST_INVALID')
    expect(form.asked.length).toBe(2)
  })

  test('is the one that was judged, whatever the caller does while the schema is asked', async () => {
    let open = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const slow = stage([
      payments({ body: Payment.refine(async () => gate.then(() => true)), headers: z.looseObject({}) }),
    ])
    const bytes = Buffer.from('{"amount":1,"currency":"EUR"}')
    const headers = new Headers(JSON_TYPE)
    const url = new URL(`${API}/payments`)
    const init = { method: 'POST', body: bytes, headers }
    const call = slow.fetch(url, init)
    bytes.write('{"amount":9')
    headers.set('x-later', '1')
    url.pathname = '/other'
    init.method = 'PUT'
    open()
    await call
    const [request] = slow.asked
    expect([request?.method, request?.url]).toEqual(['POST', `${API}/payments`])
    expect(request?.headers.get('x-later')).toBeNull()
    expect(await request?.text()).toBe('{"amount":1,"currency":"EUR"}')
  })

  test('is not changed by a schema that transforms', async () => {
    const trimming = stage([payments({ body: z.object({ a: z.string().trim() }).transform(() => 'other') })])
    await trimming.fetch(`${API}/payments`, post('{"a":" x ","b":1}'))
    expect(await trimming.asked[0]?.text()).toBe('{"a":" x ","b":1}')
  })

  test('may have as many bytes as maxRequestBytes says: ERR_POLICY_BODY_TOO_LARGE', async () => {
    const bodies: [string, (text: string) => unknown][] = [
      ['text', (text) => text],
      ['bytes', (text) => Buffer.from(text)],
      ['a Blob', (text) => new Blob([text])],
      ['parameters', (text) => new URLSearchParams([[text.slice(1), '']])],
      ['a stream', (text) => new Blob([text]).stream()],
    ]
    for (const body of [undefined, z.any()]) {
      const small = stage([payments({ maxRequestBytes: 6, ...(body && { body }) })])
      for (const [name, make] of bodies) {
        const send = (text: string) => {
          const headers = name === 'parameters' ? {} : JSON_TYPE
          return small.fetch(`${API}/payments`, { ...post(make(text), headers), duplex: 'half' } as RequestInit)
        }
        expect([name, (await send('123456')).status]).toEqual([name, 200])
        const isCounted = name === 'a stream' && body === undefined // counted while it is sent, which this fetch does not
        if (!isCounted) await refusalOf(send('1234567'), 'ERR_POLICY_BODY_TOO_LARGE')
      }
      expect(small.asked.length).toBe(bodies.length)
    }
  })

  test('is read of a stream up to 1 MiB where nothing else is said: ERR_POLICY_BODY_TOO_LARGE', async () => {
    const any = stage([payments({ body: z.any() })])
    const send = (bytes: number) => {
      const text = JSON.stringify('x'.repeat(bytes - 2))
      return any.fetch(`${API}/payments`, { ...post(new Blob([text]).stream()), duplex: 'half' } as RequestInit)
    }
    expect((await send(1_048_576)).status).toBe(200)
    await refusalOf(send(1_048_577), 'ERR_POLICY_BODY_TOO_LARGE')
  })
})

describe('path, query and header fields', () => {
  const { fetch, asked } = stage([
    {
      name: 'read payments',
      method: 'GET',
      url: `${API}/accounts/{account}/payments/{id}`,
      params: z.strictObject({ account: z.string().regex(/^[A-Z]{2}\d+$/), id: z.uuid() }),
      query: z.strictObject({ page: z.string().regex(/^\d+$/).optional(), tag: z.array(z.string()).optional() }),
      headers: z.looseObject({ 'x-tenant': z.string() }),
    },
  ])
  const id = '0189e6a2-7b1c-7c3e-8f00-0242ac120002'
  const get = (path: string, headers: Record<string, string> = { 'X-Tenant': 't1' }) =>
    fetch(`${API}${path}`, { headers })

  test('that their schemas take are sent as they are', async () => {
    await get(`/accounts/DE12/payments/${id}?page=2&tag=a&tag=b`)
    await get(`/accounts/%44E12/payments/${id}`)
    expect(asked.splice(0).map(({ url }) => url)).toEqual([
      `${API}/accounts/DE12/payments/${id}?page=2&tag=a&tag=b`,
      `${API}/accounts/%44E12/payments/${id}`,
    ])
  })

  test.each<[string, string, Record<string, string> | undefined, string[]]>([
    [
      'a segment',
      `/accounts/${CANARY}/payments/${id}`,
      undefined,
      ['params.account: expected the format regex, got string'],
    ],
    [
      'a query',
      `/accounts/DE1/payments/${id}?page=${CANARY}`,
      undefined,
      ['query.page: expected the format regex, got string'],
    ],
    [
      'a name that comes twice',
      `/accounts/DE1/payments/${id}?page=1&page=2`,
      undefined,
      ['query.page: expected string, got array'],
    ],
    [
      'another name',
      `/accounts/DE1/payments/${id}?${CANARY}=1`,
      undefined,
      ['query: expected no other members, got object'],
    ],
    [
      '__proto__',
      `/accounts/DE1/payments/${id}?__proto__=1`,
      undefined,
      ['query: expected no other members, got object'],
    ],
    ['a missing field', `/accounts/DE1/payments/${id}`, {}, ['headers.x-tenant: expected string, got nothing']],
    [
      'all at once',
      `/accounts/x/payments/y?page=z`,
      {},
      [
        'params.account: expected the format regex, got string',
        'params.id: expected the format uuid, got string',
        'query.page: expected the format regex, got string',
        'headers.x-tenant: expected string, got nothing',
      ],
    ],
  ])('%s that its schema refuses: ERR_POLICY_REQUEST_INVALID', async (_, path, headers, issues) => {
    expect(await issuesOf(get(path, headers), 'ERR_POLICY_REQUEST_INVALID')).toEqual(issues)
    expect(asked).toEqual([])
  })

  test('an error names the operation, three places and how many more', async () => {
    const error = await refusalOf(get('/accounts/x/payments/y?page=z', {}), 'ERR_POLICY_REQUEST_INVALID')
    expect(error).toMatchObject({
      operation: 'read payments',
      requestSent: 'no',
      host: 'api.example.com',
      retryable: false,
    })
    expect(error.message).toBe(
      'api.example.com: read payments: the request is not what its schemas expect: params.account: expected the format regex, got string; params.id: expected the format uuid, got string; query.page: expected the format regex, got string; and 1 more; nothing was sent',
    )
  })
})

describe('which operation a request is', () => {
  const operation = (name: string, method: string, path: string): Operation => ({
    name,
    method,
    url: `${API}${path}`,
    query: z.strictObject({}),
  })
  const list = [
    operation('any', 'GET', '/payments/{id}'),
    operation('mine', 'GET', '/payments/mine'),
    operation('part', 'GET', '/payments/{id}/parts/{part}'),
    operation('first part', 'GET', '/payments/{id}/parts/first'),
    operation('parts of mine', 'GET', '/payments/mine/parts/{part}'),
    operation('root', 'GET', ''),
    operation('put', 'PUT', '/payments/{id}'),
    { ...operation('elsewhere', 'GET', '/payments/{id}'), url: 'https://other.example:8443/payments/{id}' },
  ]
  /** The name stands in the error: every one of them refuses `fail`. */
  const nameAt = async (url: string, method = 'GET'): Promise<unknown> => {
    const error = await stage(list)
      .fetch(url, { method })
      .then(
        () => undefined,
        (caught: PolicyError) => caught,
      )
    return error?.operation ?? error?.code
  }

  test.each([
    ['/payments/1', 'any'],
    ['/payments/mine', 'mine'],
    ['/payments/%6dine', 'mine'],
    ['/payments/a%20b', 'any'],
    ['/payments/1/parts/2', 'part'],
    ['/payments/1/parts/first', 'first part'],
    ['/payments/mine/parts/first', 'parts of mine'],
    ['', 'root'],
    ['/', 'root'],
    ['/./payments/1', 'any'],
  ])('GET %s is %j', async (path, name) => {
    expect(await nameAt(`${API}${path}?fail=1`)).toBe(name)
    expect(await nameAt(`${API}${path}`)).toBeUndefined()
  })

  test.each([
    ['another method', '/payments/1', 'DELETE'],
    ['another case', '/Payments/1', 'GET'],
    ['an empty segment', '/payments/', 'GET'],
    ['a slash at the end', '/payments/1/', 'GET'],
    ['two slashes', '//payments/1', 'GET'],
    ['a longer path', '/payments/1/2', 'GET'],
    ['a path parameter', '/payments;x=1/1', 'GET'],
    ['an encoded slash', '/payments/1%2fparts', 'GET'],
    ['a dot segment twice encoded', '/payments/%252e%252e', 'GET'],
    ['an encoded backslash', '/payments/1%5c2', 'GET'],
    ['a dot segment with a parameter', '/payments/..;/1', 'GET'],
    ['octets that are no UTF-8', '/payments/%c0%ae', 'GET'],
    ['an encoded line break', '/payments/%0d%0a', 'GET'],
  ])('%s is none: ERR_POLICY_OPERATION_UNLISTED', async (_, path, method) => {
    expect(await nameAt(`${API}${path}`, method)).toBe('ERR_POLICY_OPERATION_UNLISTED')
  })

  test('an origin has its port: ERR_POLICY_OPERATION_UNLISTED', async () => {
    expect(await nameAt('https://other.example:8443/payments/1?fail=1')).toBe('elsewhere')
    expect(await nameAt('https://OTHER.example.:8443/payments/1?fail=1')).toBe('elsewhere')
    expect(await nameAt('https://other.example/payments/1')).toBe('ERR_POLICY_OPERATION_UNLISTED')
    expect(await nameAt('https://third.example/payments/1')).toBe('ERR_POLICY_OPERATION_UNLISTED')
  })

  test('one that no operation describes may pass where the option says so; what is ambiguous never: ERR_POLICY_OPERATION_UNLISTED', async () => {
    const open = stage({ list, unlisted: 'allow' })
    expect((await open.fetch(`${API}/other`)).status).toBe(200)
    expect((await open.fetch('https://third.example/a%2fb')).status).toBe(200)
    await refusalOf(open.fetch(`${API}/payments/1?fail=1`), 'ERR_POLICY_REQUEST_INVALID')
    await refusalOf(open.fetch(`${API}/payments%2f1?fail=1`), 'ERR_POLICY_OPERATION_UNLISTED')
    expect(open.asked.length).toBe(2)
  })

  test('an http URL is judged as what it may become: ERR_POLICY_REQUEST_INVALID, ERR_POLICY_PLAINTEXT', async () => {
    const open = stage({ list, unlisted: 'allow' })
    await refusalOf(open.fetch('http://api.example.com/payments/1?fail=1'), 'ERR_POLICY_REQUEST_INVALID')
    await refusalOf(open.fetch('http://api.example.com/payments/1'), 'ERR_POLICY_PLAINTEXT')
  })

  test('what is no URL or no header field is refused as without operations: ERR_CONFIG_URL, ERR_POLICY_HEADER_INVALID', async () => {
    const { fetch } = stage(list)
    await refusalOf(fetch('/payments/1'), 'ERR_CONFIG_URL')
    await refusalOf(fetch('https://u:p@api.example.com/payments/1'), 'ERR_CONFIG_URL')
    await refusalOf(fetch(`${API}/payments/1`, { headers: { 'x-a': 'a\r\nb: c' } }), 'ERR_POLICY_HEADER_INVALID')
  })
})

describe('the body of a response', () => {
  const Receipt = z.object({ id: z.string().max(8) })
  const ask = (operation: Partial<Operation>, answer: () => Response, init: RequestInit = post('{}')) =>
    stage([payments({ ...operation, method: init.method ?? 'GET' })], answer).fetch(`${API}/payments`, init)
  const json =
    (body: unknown, init: ResponseInit = {}) =>
    () =>
      Response.json(body, init)

  test('that its schema takes is handed over as it came', async () => {
    const text = '{ "id": "p1", "more": [1, 2] }'
    const headers = { 'content-type': 'application/json; charset=utf-8', 'x-a': 'b' }
    const answer = () => new Response(text, { status: 201, statusText: 'Made', headers })
    const response = await ask({ response: Receipt }, answer)
    expect([response.status, response.statusText, response.ok]).toEqual([201, 'Made', true])
    expect(response.headers.get('x-a')).toBe('b')
    expect(response).toBeInstanceOf(Response)
    expect(await response.clone().text()).toBe(text)
    expect(await response.clone().arrayBuffer()).toHaveProperty('byteLength', text.length)
    const chunks: Uint8Array[] = []
    for await (const chunk of response.clone().body ?? []) chunks.push(chunk)
    expect(Buffer.concat(chunks).toString()).toBe(text)
    expect(response.bodyUsed).toBe(false)
    expect(await response.json()).toEqual(JSON.parse(text))
    expect(response.bodyUsed).toBe(true)
  })

  test.each<[string, () => Response, string[]]>([
    ['of another shape', json({ id: `${CANARY}-long` }), ['body.id: expected at most 8, got string']],
    ['that is no object', json([CANARY]), ['body: expected object, got array']],
    [
      'that is no JSON',
      () => new Response(CANARY, { headers: JSON_TYPE }),
      ['body: expected JSON, got something else'],
    ],
    [
      'with a member twice',
      () => new Response('{"id":"p1","id":"p2"}', { headers: JSON_TYPE }),
      ['body: expected each member name once in an object, got one twice'],
    ],
    [
      'that is empty',
      () => new Response('', { headers: { ...JSON_TYPE, 'content-length': '0' } }),
      ['body: expected object, got nothing'],
    ],
    ['that is not there', () => new Response(null, { status: 204 }), ['body: expected object, got nothing']],
  ])('%s is refused: ERR_POLICY_RESPONSE_INVALID', async (_, answer, issues) => {
    const call = ask({ response: Receipt }, answer)
    expect(await issuesOf(call, 'ERR_POLICY_RESPONSE_INVALID')).toEqual(issues)
    await expect(call).rejects.toMatchObject({
      requestSent: 'yes',
      status: answer().status,
      operation: 'POST /payments',
    })
  })

  test('a schema by itself judges every success, and no other status', async () => {
    await refusalOf(ask({ response: Receipt }, json({}, { status: 202 })), 'ERR_POLICY_RESPONSE_INVALID')
    const failure = await ask({ response: Receipt }, json({ error: 'x' }, { status: 422 }))
    expect([failure.status, await failure.json()]).toEqual([422, { error: 'x' }])
  })

  const response = {
    200: Receipt,
    204: z.undefined(),
    404: z.strictObject({ code: z.literal('gone') }),
    '4XX': z.object({ code: z.string() }),
    '5XX': z.object({ code: z.number() }),
  }
  test.each<[number, unknown]>([
    [200, { id: 'p1' }],
    [404, { code: 'gone' }],
    [422, { code: 'other' }],
    [503, { code: 5 }],
  ])('status %i has a schema of its own, of its class: ERR_POLICY_RESPONSE_INVALID', async (status, body) => {
    expect(await (await ask({ response }, json(body, { status }))).json()).toEqual(body)
    await refusalOf(ask({ response }, json({ code: null }, { status })), 'ERR_POLICY_RESPONSE_INVALID')
  })

  test('a success that no schema describes is refused, unless there is a default: ERR_POLICY_RESPONSE_INVALID', async () => {
    const error = await refusalOf(ask({ response }, json({ id: 'p1' }, { status: 201 })), 'ERR_POLICY_RESPONSE_INVALID')
    expect(error.message).toContain('the response 201 is a success that no schema describes')
    expect((await ask({ response }, () => new Response(null, { status: 204 }))).status).toBe(204)
    const open = { ...response, default: z.object({ other: z.string() }) }
    expect((await ask({ response: open }, json({ other: 'x' }, { status: 201 }))).status).toBe(201)
    await refusalOf(ask({ response: open }, json({ id: 'p1' }, { status: 201 })), 'ERR_POLICY_RESPONSE_INVALID')
    const { default: _, ...named } = open
    expect(
      (await ask({ response: named }, json({}, { status: 302 }), { ...post('{}'), redirect: 'manual' })).status,
    ).toBe(302)
  })

  test('a response to HEAD has no body to judge', async () => {
    const answer = () => new Response(null, { headers: JSON_TYPE })
    expect((await ask({ response: Receipt }, answer, { method: 'HEAD' })).status).toBe(200)
  })

  test.each<[string, string | undefined]>([
    ['text', 'text/plain'],
    ['a page', 'text/html; charset=utf-8'],
    ['two types', 'application/json, text/html'],
    ['no type', undefined],
  ])('that is %s no schema can judge: ERR_POLICY_CONTENT_TYPE', async (_, type) => {
    const answer = () =>
      new Response(Buffer.from('{"id":"p1"}'), type === undefined ? {} : { headers: { 'content-type': type } })
    await refusalOf(ask({ response: Receipt }, answer), 'ERR_POLICY_CONTENT_TYPE')
    expect(await (await ask({}, answer)).text()).toBe('{"id":"p1"}')
  })

  test('has one of the media types that are named, whatever its status: ERR_POLICY_CONTENT_TYPE', async () => {
    const contentTypes = ['application/json', 'image/*']
    const typed =
      (type: string, status = 200) =>
      () =>
        new Response('{}', { status, headers: { 'content-type': type } })
    for (const type of ['application/json', 'APPLICATION/JSON ; charset=utf-8', 'image/png'])
      expect((await ask({ contentTypes }, typed(type))).status).toBe(200)
    for (const type of ['text/html', 'application/xml', 'imagex/png', 'application/json, image/png', 'image', ''])
      await refusalOf(ask({ contentTypes }, typed(type)), 'ERR_POLICY_CONTENT_TYPE')
    const error = await refusalOf(ask({ contentTypes }, typed('text/html', 502)), 'ERR_POLICY_CONTENT_TYPE')
    expect(error).toMatchObject({ status: 502, requestSent: 'yes' })
    expect(error.message).toContain('is text/html; expected application/json, image/* (contentTypes)')
    expect((await ask({ contentTypes }, () => new Response(null, { status: 204 }))).status).toBe(204)
  })

  test('of a type that is named and no JSON is passed on beside a schema', async () => {
    const contentTypes = ['application/json', 'application/pdf']
    const typed = (type: string) => () => new Response('%PDF', { headers: { 'content-type': type } })
    const pdf = await ask({ contentTypes, response: Receipt }, typed('application/pdf'))
    expect(await pdf.text()).toBe('%PDF')
    await refusalOf(ask({ contentTypes, response: Receipt }, typed('application/json')), 'ERR_POLICY_RESPONSE_INVALID')
  })

  test('may have as many bytes as maxResponseBytes says, judged or not: ERR_POLICY_BODY_TOO_LARGE', async () => {
    const text =
      (bytes: number, headers = {}) =>
      () =>
        new Response(JSON.stringify('x'.repeat(bytes - 2)), { headers: { ...JSON_TYPE, ...headers } })
    const judged = { response: z.string(), maxResponseBytes: 10 }
    expect(await (await ask(judged, text(10))).text()).toHaveLength(10)
    await refusalOf(ask(judged, text(11)), 'ERR_POLICY_BODY_TOO_LARGE')
    const passed = { maxResponseBytes: 10 }
    expect(await (await ask(passed, text(10))).text()).toHaveLength(10)
    await refusalOf((await ask(passed, text(11))).text(), 'ERR_POLICY_BODY_TOO_LARGE')
    await refusalOf(ask(passed, text(11, { 'content-length': '11' })), 'ERR_POLICY_BODY_TOO_LARGE')
    expect((await ask({ response: z.string() }, text(1_048_576))).status).toBe(200)
    await refusalOf(ask({ response: z.string() }, text(1_048_577)), 'ERR_POLICY_BODY_TOO_LARGE')
  })
})

describe('schemas', () => {
  /** As other libraries say it: with the value in the message. */
  const other = (validate: StandardSchemaV1.Props['validate']): StandardSchemaV1 => ({
    '~standard': { version: 1, vendor: 'other', validate },
  })
  const Text = other((value) =>
    typeof value === 'string' ? { value } : { issues: [{ message: `expected a text, got ${JSON.stringify(value)}` }] },
  )
  const call = (body: StandardSchema, value: unknown) =>
    stage([payments({ body })]).fetch(`${API}/payments`, post(JSON.stringify(value)))

  test('of any library that speaks Standard Schema do; their messages, which print values, do not: ERR_POLICY_REQUEST_INVALID', async () => {
    expect((await call(Text, 'x')).status).toBe(200)
    expect(await issuesOf(call(Text, { token: CANARY }), 'ERR_POLICY_REQUEST_INVALID')).toEqual([
      'body: refused by its schema, got object',
    ])
  })

  test('may be functions with a member, as those of ArkType', async () => {
    const schema = Object.assign(() => undefined, Text) as unknown as StandardSchema
    expect((await call(schema, 'x')).status).toBe(200)
    await refusalOf(call(schema, 1), 'ERR_POLICY_REQUEST_INVALID')
  })

  test('may name the place in either way: ERR_POLICY_REQUEST_INVALID', async () => {
    const at = (...path: (PropertyKey | { key: PropertyKey })[]) =>
      other(() => ({ issues: [{ message: CANARY, path }] }))
    const value = { items: [{ price: 'x' }] }
    expect(await issuesOf(call(at('items', 0, 'price'), value), 'ERR_POLICY_REQUEST_INVALID')).toEqual([
      'body.items.0.price: refused by its schema, got string',
    ])
    expect(await issuesOf(call(at({ key: 'items' }, { key: 0 }), value), 'ERR_POLICY_REQUEST_INVALID')).toEqual([
      'body.items.0: refused by its schema, got object',
    ])
    const odd = at('a\r\nb', Symbol('x'), CANARY.repeat(9), '__proto__', 'constructor')
    expect(await issuesOf(call(odd, value), 'ERR_POLICY_REQUEST_INVALID')).toEqual([
      'body.*.*.*.__proto__.constructor: refused by its schema, got nothing',
    ])
  })

  test('may be asynchronous: ERR_POLICY_REQUEST_INVALID', async () => {
    const slow = z.string().refine(async (text) => text === 'x')
    expect((await call(slow, 'x')).status).toBe(200)
    expect(await issuesOf(call(slow, CANARY), 'ERR_POLICY_REQUEST_INVALID')).toEqual([
      'body: refused by its schema, got string',
    ])
  })

  test.each<[string, StandardSchema, string]>([
    [
      'throws',
      other(() => {
        throw new Error(CANARY)
      }),
      'the schema failed',
    ],
    ['rejects', other(async () => Promise.reject(new Error(CANARY))), 'the schema failed'],
    ['answers nothing', other(() => undefined as never), 'the schema failed'],
    ['answers something else', other(() => ({ ok: true }) as never), 'the schema gave no result'],
    ['names no issue', other(() => ({ issues: [] })), 'refused by its schema'],
    ['names issues that are none', other(() => ({ issues: [null, CANARY] }) as never), 'the schema failed'],
  ])('one that %s takes nothing: ERR_POLICY_REQUEST_INVALID', async (_, schema, message) => {
    expect(await issuesOf(call(schema, CANARY), 'ERR_POLICY_REQUEST_INVALID')).toEqual([`body: ${message}`])
  })

  test('one that never answers ends with the signal of the call', async () => {
    const reason = new Error('enough')
    const controller = new AbortController()
    const { fetch, asked } = stage([payments({ body: other(() => new Promise(() => undefined)) })])
    const waiting = fetch(`${API}/payments`, { ...post('{}'), signal: controller.signal })
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    await expect(fetch(`${API}/payments`, { ...post('{}'), signal: controller.signal })).rejects.toBe(reason)
    expect(asked).toEqual([])
  })

  test.each([
    ['body.address2.line_1', ['address2', 'line_1']],
    ['body.accounts.*', ['accounts', '4111111111111111']],
    ['body.accounts.*', ['accounts', 'DE89370400440532013000']],
    ['body.*.iban', ['ghp_16C7e42F292c6912E7710c838347Ae178B4a', 'iban']],
  ])('a name that may be a number of an account or a token is not told: %s', async (place, path) => {
    const issues = await issuesOf(
      call(
        other(() => ({ issues: [{ message: 'x', path }] })),
        {},
      ),
      'ERR_POLICY_REQUEST_INVALID',
    )
    expect(issues).toMatchObject([expect.stringContaining(place)])
    expect(issues.join()).not.toMatch(/\d{4}/)
  })

  test('at most twenty issues are told', async () => {
    const many = other(() => ({ issues: Array.from({ length: 1_000 }, (_, at) => ({ message: 'x', path: [at] })) }))
    expect(await issuesOf(call(many, {}), 'ERR_POLICY_REQUEST_INVALID')).toHaveLength(20)
  })
})

describe('the option `operations`', () => {
  const pins = { 'api.example.com': ['sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='] }

  test('keeps schemas as they are: what they hold is theirs', () => {
    const plain = {
      '~standard': { version: 1 as const, vendor: 'x', validate: (value: unknown) => ({ value }) },
      cache: {},
    }
    const { operations } = resolveOptions({ pins, operations: [payments({ body: plain, response: { 200: plain } })] })
    expect(operations?.unlisted).toBe('reject')
    expect(operations?.list[0]?.body).toBe(plain)
    expect([Object.isFrozen(plain), Object.isFrozen(plain.cache)]).toEqual([false, false])
  })

  test.each<[string, unknown, string]>([
    ['nothing', [], 'operations.list'],
    ['another word', { list: [payments()], unlisted: 'maybe' }, 'operations.unlisted'],
    ['an unknown member', [{ ...payments(), bodies: z.any() }], 'operations.list.0.bodies'],
    ['a method that nobody sends', [payments({ method: 'post' })], 'operations.list.0.method'],
    ['what is no schema', [{ ...payments(), body: { amount: 'number' } }], 'operations.list.0.body'],
    [
      'another version of schemas',
      [{ ...payments(), body: { '~standard': { version: 2, vendor: 'x', validate: () => ({}) } } }],
      'operations.list.0.body',
    ],
    ['no schema for a status', [{ ...payments(), response: {} }], 'operations.list.0.response'],
    ['a status that is none', [{ ...payments(), response: { 20: z.any() } }], 'operations.list.0.response'],
    ['a class that is none', [{ ...payments(), response: { '1XX': z.any() } }], 'operations.list.0.response'],
    [
      'a media type with a parameter',
      [payments({ contentTypes: ['text/plain; charset=utf-8'] })],
      'operations.list.0.contentTypes.0',
    ],
    ['no media type', [payments({ contentTypes: [] })], 'operations.list.0.contentTypes'],
    ['a negative limit', [payments({ maxRequestBytes: -1 })], 'operations.list.0.maxRequestBytes'],
  ])('%s is refused: ERR_CONFIG_INVALID', async (_, operations, path) => {
    const given = { pins, operations } as Parameters<typeof resolveOptions>[0]
    const error = await refusalOf(
      Promise.resolve().then(() => resolveOptions(given)),
      'ERR_CONFIG_INVALID',
    )
    expect(error.message.startsWith(`${path}: `), error.message).toBe(true)
  })

  test.each([
    'http://api.example.com/payments',
    'api.example.com/payments',
    '/payments',
    'https:///payments',
    'https://u:p@api.example.com/payments',
    'https://api.example.com/payments?x=1',
    'https://api.example.com/payments#x',
    'https://api.example.com?x=1',
    'https://{host}/payments',
    'https://api.example.com/{id}x',
    'https://api.example.com/{}',
    'https://api.example.com/{a b}',
    'https://api.example.com/{id}/{id}',
    'https://api.example.com/../x',
    'https://api.example.com/a%2fb',
    'https://api.example.com/grün',
    'https://api.example.com/a\n',
  ])('%j is no URL of an operation: ERR_CONFIG_INVALID', async (url) => {
    const made = Promise.resolve().then(() => fakeClient({ operations: [{ method: 'GET', url }] }))
    const error = await refusalOf(made, 'ERR_CONFIG_INVALID')
    expect(error.message).toContain('operations.list.0.url: ')
  })

  test('two that one request would be contradict each other: ERR_CONFIG_INVALID', async () => {
    const twins = [payments({ url: `${API}/{a}/b` }), payments({ url: `${API}/{c}/%62` })]
    const made = Promise.resolve().then(() => fakeClient({ operations: twins }))
    await refusalOf(made, 'ERR_CONFIG_INVALID')
    expect(
      fakeClient({ operations: [payments({ url: `${API}/{a}/b` }), payments({ url: `${API}/a/{c}` })] }),
    ).toBeDefined()
  })

  test('a schema of the specification’s own types is one of ours', () => {
    const theirs: StandardSchemaV1 = z.string()
    const ours: StandardSchema = theirs
    expect(ours['~standard'].vendor).toBe('zod')
  })
})
