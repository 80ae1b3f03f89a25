import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { verifyResponses } from 'pinfetch/signing'
import { describe, expect, test } from 'vitest'
import { refusalOf } from '../support/client.ts'
import { changed, type Reply, ROADS, RULES, signed, stranger, verifyStage, without } from '../support/verify-stage.ts'

const digestOf = (body: string | Uint8Array, algorithm = 'sha256'): string =>
  createHash(algorithm).update(body).digest('base64')

describe.each(ROADS)('over %s', (_, { isHttp2, init }) => {
  const stage = (options: Parameters<typeof verifyStage>[0] = {}) => verifyStage({ isHttp2, ...options })

  test('a response that is signed as it should be is handed over as it is', async () => {
    const { client, url, results } = await stage()
    const response = await client.fetch(url('/orders?id=7'), init)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ ok: true })
    expect(results).toMatchObject([{ outcome: 'verified', keyId: 'server-1' }])
  })

  test('one without a signature is refused before its body is given out: ERR_VERIFY_MISSING (VER-01)', async () => {
    const { client, url, results } = await stage({
      answer: async (request) => without(await signed(request), 'signature', 'signature-input'),
    })
    const refusal = await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_MISSING')
    expect(refusal).toMatchObject({ requestSent: 'yes', retryable: false })
    expect(results).toMatchObject([{ outcome: 'refused', code: 'ERR_VERIFY_MISSING' }])
  })

  test('a body with one octet changed is never handed over: ERR_VERIFY_DIGEST_MISMATCH (VER-09)', async () => {
    const { client, url } = await stage({
      answer: async (request) => ({ ...(await signed(request)), body: Buffer.from('{"ok":trve}') }),
    })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_DIGEST_MISMATCH')
  })

  test('a body that nobody signed beside a head that somebody did is ERR_VERIFY_COVERAGE (VER-06)', async () => {
    const { client, url } = await stage({
      answer: async (request) => ({ ...(await signed(request, { body: '' })), body: Buffer.from('added') }),
    })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_COVERAGE')
    const empty = await stage({ answer: (request) => signed(request, { body: '' }) })
    expect(await (await empty.client.fetch(empty.url(), init)).text()).toBe('')
  })

  test.each([
    ['the status', (reply: Reply) => ({ ...reply, status: 201 })],
    ['a covered field', (reply: Reply) => changed(reply, 'content-type', () => 'text/html')],
    ['a covered field, taken out', (reply: Reply) => without(reply, 'content-type')],
    ['a covered field, twice', (reply: Reply) => ({ ...reply, headers: [...reply.headers, ['x-kind', 'b'] as const] })],
    [
      'the parameters',
      (reply: Reply) => changed(reply, 'signature-input', (text) => text.replace('"server-1"', '"server-1";tag="x"')),
    ],
  ])('%s, changed on the way, is ERR_VERIFY_FAILED', async (__, change) => {
    const answer = (request: Parameters<typeof signed>[0]) =>
      signed(
        request,
        {
          headers: [
            ['content-type', 'application/json'],
            ['x-kind', 'a'],
          ],
        },
        { components: ['@status', 'content-type', 'x-kind', 'content-digest', ...BOUND] },
      )
    const { client, url } = await stage({ answer: async (request) => change(await answer(request)) })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_FAILED')
    const control = await stage({ answer })
    expect((await control.client.fetch(control.url(), init)).status).toBe(200)
  })

  test('one by another key is ERR_VERIFY_FAILED', async () => {
    const { client, url } = await stage({ answer: (request) => signed(request, {}, { keys: stranger }) })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_FAILED')
  })

  test('one that answers another request is refused, whichever part of it differs (VER-07)', async () => {
    const others = [
      (request: object) => ({ ...request, method: 'PUT' }),
      (request: { url: string }) => ({ ...request, url: `${request.url}&a=2` }),
      (request: { url: string }) => ({ ...request, url: request.url.replace('/orders', '/order') }),
      (request: { url: string }) => ({ ...request, url: request.url.replace('api.', 'other.') }),
    ] as const
    const { client, url } = await stage({
      answer: (request, number) => signed((others[number]?.(request) ?? request) as typeof request),
    })
    for (const _ of others)
      await refusalOf(client.fetch(url('/orders?a=1'), { ...init, method: 'POST' }), 'ERR_VERIFY_FAILED')
    expect((await client.fetch(url('/orders?a=1'), { ...init, method: 'POST' })).status).toBe(200)
  })

  test('one that is bound to no request is ERR_VERIFY_REQUEST_BINDING, unless that is not asked for (VER-07)', async () => {
    const { client, url } = await stage({ answer: () => signed(undefined) })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_REQUEST_BINDING')
    const lax = await stage({ answer: () => signed(undefined), verify: { bindRequest: false } })
    expect((await lax.client.fetch(lax.url(), init)).status).toBe(200)
  })

  test('the digest is of the encoded bytes, and what the caller reads is decoded (VER-10)', async () => {
    const text = 'a'.repeat(40_000)
    const gzip = [['content-encoding', 'gzip']] as const
    const { client, url } = await stage({
      answer: (request, number) =>
        number === 0
          ? signed(request, { headers: gzip, body: gzipSync(text) })
          : signed(request, { headers: gzip, body: text }).then((reply) => ({ ...reply, body: gzipSync(text) })),
    })
    expect(await (await client.fetch(url(), init)).text()).toBe(text)
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_DIGEST_MISMATCH') // one over the decoded bytes
  })

  test('of a digest by algorithms that prove nothing none is made: ERR_VERIFY_DIGEST_UNSUPPORTED (VER-11)', async () => {
    const answer = async (request: Parameters<typeof signed>[0], digest: string): Promise<Reply> => {
      const { headers } = await signed(
        request,
        { body: '', headers: [['x-digest', 'x']] },
        { components: ['@status', ...BOUND] },
      )
      return { status: 200, headers: [...headers, ['content-digest', digest]], body: Buffer.from('hello') }
    }
    const md5 = `md5=:${digestOf('hello', 'md5')}:, unixsum=:AAA=:`
    const { client, url } = await stage({ answer: (request) => answer(request, md5) })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_DIGEST_UNSUPPORTED')
    // one that proves something, and is not signed, is no better
    const uncovered = await stage({ answer: (request) => answer(request, `sha-256=:${digestOf('hello')}:`) })
    await refusalOf(uncovered.client.fetch(uncovered.url(), init), 'ERR_VERIFY_COVERAGE')
    // where no digest is asked for, the first counts as absent
    const lax = await stage({ answer: (request) => answer(request, md5), verify: { digest: 'if-present' } })
    expect(await (await lax.client.fetch(lax.url(), init)).text()).toBe('hello')
  })

  test.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('%s with status %i has no body, and is verified all the same', async (method, status) => {
    const answer = (request: Parameters<typeof signed>[0]) =>
      signed(request, { status, body: status === 200 ? 'of a GET' : '' })
    const { client, url } = await stage({
      answer: async (request, number) =>
        number === 0
          ? answer(request)
          : changed(await answer(request), 'signature', (text) => text.replace(/=:./, '=:_')),
    })
    const response = await client.fetch(url(), { ...init, method })
    expect(response.status).toBe(status)
    expect(await response.text()).toBe('')
    await expect(client.fetch(url(), { ...init, method })).rejects.toMatchObject({ code: 'ERR_VERIFY_MALFORMED' })
  })

  test('a redirect that is not signed is refused, and not followed', async () => {
    const { client, url, requests } = await stage({
      answer: async (request, number) => {
        if (number === 0) return { status: 302, headers: [['location', '/elsewhere']] }
        if (number === 1) return signed(request, { status: 302, headers: [['location', '/elsewhere']], body: '' })
        return signed(request)
      },
      client: { redirect: 'same-origin' },
    })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_MISSING')
    expect(requests.length).toBe(1)
    expect((await client.fetch(url(), init)).redirected).toBe(true)
    expect(requests.length).toBe(3)
  })

  test('interim responses are nobody’s answer: what follows them is verified', async () => {
    const { client, url } = await stage({
      answer: async (request, number) => ({
        ...(number === 0 ? await signed(request) : without(await signed(request), 'signature', 'signature-input')),
        interim: 2,
      }),
    })
    expect(await (await client.fetch(url(), init)).json()).toEqual({ ok: true })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_MISSING')
  })

  test('a body that may not be held any longer is ERR_VERIFY_BODY_TOO_LARGE, announced or not', async () => {
    const verify = { maxHeldBytes: 50_000 }
    for (const extra of [{}, { trailers: { 'x-end': '1' } }]) {
      const answer = async (request: Parameters<typeof signed>[0], number: number): Promise<Reply> => ({
        ...(await signed(request, { body: 'a'.repeat(number === 0 ? 50_001 : 50_000) })),
        ...extra,
      })
      const { client, url } = await stage({ answer, verify })
      await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_BODY_TOO_LARGE')
      expect((await (await client.fetch(url(), init)).text()).length).toBe(50_000)
    }
  })

  test('a connection that ends half-way is that, and nothing of the body is handed over', async () => {
    const { client, url } = await stage({ answer: async (request) => ({ ...(await signed(request)), after: 'cut' }) })
    await refusalOf(client.fetch(url(), init), 'ERR_TRANSPORT_CLOSED')
  })

  test('a caller that gives up while the response is held gets its own reason', async () => {
    const given = new AbortController()
    const { client, url } = await stage({
      answer: async (request) => {
        setTimeout(() => given.abort(new Error('enough')), 20)
        return { ...(await signed(request)), after: 'silence' }
      },
    })
    await expect(client.fetch(url(), { ...init, signal: given.signal })).rejects.toThrow('enough')
  })

  test('a response refused at its head leaves no connection in a wrong state', async () => {
    const { client, url, connections } = await stage({
      answer: async (request, number) =>
        number % 2 === 0
          ? { status: 200, headers: [], body: Buffer.alloc(300_000, 'HTTP/1.1 200 OK\r\n\r\n') }
          : signed(request, { body: `answer ${number}` }),
    })
    for (let round = 0; round < 3; round += 1) {
      await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_MISSING')
      expect(await (await client.fetch(url(), init)).text()).toBe(`answer ${2 * round + 1}`)
    }
    // HTTP/1.1 has no other way to end a response; a stream of HTTP/2 ends alone
    expect(new Set(connections).size).toBe(isHttp2 ? 1 : 4)
  })

  test('after one refused at its end the connection serves on', async () => {
    const { client, url, connections } = await stage({
      answer: async (request, number) =>
        number === 0 ? { ...(await signed(request)), body: Buffer.from('{"ok":trve}') } : signed(request),
    })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_DIGEST_MISMATCH')
    expect(await (await client.fetch(url(), init)).json()).toEqual({ ok: true })
    expect(new Set(connections).size).toBe(1)
  })

  describe('with the body as a stream', () => {
    const verify = { body: 'stream' } as const

    test('what is right is read to its end', async () => {
      const body = 'b'.repeat(400_000)
      const { client, url } = await stage({ answer: (request) => signed(request, { body }), verify })
      expect(await (await client.fetch(url(), init)).text()).toBe(body)
    })

    test('a body with one octet changed ends with ERR_VERIFY_DIGEST_MISMATCH in place of its end (VER-09)', async () => {
      const body = Buffer.alloc(400_000, 'b')
      const { client, url, results } = await stage({
        answer: async (request) => {
          const reply = await signed(request, { body })
          const other = Buffer.from(body)
          other[other.length - 1] = 0x63
          return { ...reply, body: other }
        },
        verify,
      })
      const whole = await client.fetch(url(), init)
      expect(whole.status).toBe(200)
      await refusalOf(whole.text(), 'ERR_VERIFY_DIGEST_MISMATCH')
      const pieces = (await client.fetch(url(), init)).body?.getReader()
      const read = async (): Promise<void> => {
        for (;;) if ((await pieces?.read())?.done !== false) return
      }
      await refusalOf(read(), 'ERR_VERIFY_DIGEST_MISMATCH')
      expect(results.map(({ outcome }) => outcome)).toEqual(['refused', 'refused'])
    })

    test('the head is verified before anything is handed over: ERR_VERIFY_FAILED, ERR_VERIFY_MISSING', async () => {
      const { client, url } = await stage({
        answer: async (request, number) => {
          const reply = await signed(request, { body: 'c'.repeat(100_000) })
          return number === 0 ? { ...reply, status: 201 } : without(reply, 'signature', 'signature-input')
        },
        verify,
      })
      await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_FAILED')
      await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_MISSING')
    })

    test('of a body that nothing speaks for not one octet is handed over: ERR_VERIFY_COVERAGE', async () => {
      const { client, url } = await stage({
        answer: async (request) => ({ ...(await signed(request, { body: '' })), body: Buffer.alloc(100_000) }),
        verify,
      })
      const outcome = client.fetch(url(), init).then((response) => response.arrayBuffer())
      await refusalOf(outcome, 'ERR_VERIFY_COVERAGE')
    })

    test('what is compressed is decoded while it arrives, and hashed before', async () => {
      const text = 'stream '.repeat(30_000)
      const headers = [['content-encoding', 'gzip']] as const
      const { client, url } = await stage({
        answer: (request) => signed(request, { headers, body: gzipSync(text) }),
        verify,
      })
      expect(await (await client.fetch(url(), init)).text()).toBe(text)
    })

    test.each([
      ['HEAD', 200],
      ['GET', 204],
      ['GET', 304],
    ])('%s with status %i comes to its end', async (method, status) => {
      const { client, url } = await stage({
        answer: (request) => signed(request, { status, body: status === 200 ? 'of a GET' : '' }),
        verify,
      })
      const response = await client.fetch(url(), { ...init, method })
      expect([response.status, await response.text()]).toEqual([status, ''])
    })
  })
})

const BOUND = [
  { name: '@method', req: true },
  { name: '@target-uri', req: true },
] as const

describe('which responses have to be signed', () => {
  const answer = async (request: Parameters<typeof signed>[0], number: number): Promise<Reply> =>
    number === 0
      ? { status: 503, headers: [['content-type', 'text/plain']], body: Buffer.from('busy') }
      : { ...(await signed(request)), status: 201 }

  test('those that have a signature are verified in any case: ERR_VERIFY_FAILED', async () => {
    const { client, url, results } = await verifyStage({ answer, verify: { require: 'if-present' } })
    expect(await (await client.fetch(url())).text()).toBe('busy')
    await refusalOf(client.fetch(url()), 'ERR_VERIFY_FAILED')
    expect(results.map(({ outcome }) => outcome)).toEqual(['unsigned', 'refused'])
  })

  test('half of a signature is one that is wrong: ERR_VERIFY_MALFORMED (VER-02)', async () => {
    for (const name of ['signature', 'signature-input']) {
      const { client, url } = await verifyStage({
        answer: async (request) => without(await signed(request), name),
        verify: { require: 'if-present' },
      })
      await refusalOf(client.fetch(url()), 'ERR_VERIFY_MALFORMED')
    }
  })

  test('a function is asked with the head, and what it throws is no permission: ERR_CONFIG_INVALID', async () => {
    const seen: unknown[] = []
    const { client, url, authority } = await verifyStage({
      answer,
      verify: {
        require: (head) => {
          seen.push([head.url, head.method, head.status, head.headers.get('content-type')])
          if (seen.length > 1) throw new Error('of the application')
          return head.status !== 503
        },
      },
    })
    expect((await client.fetch(url('/a?b'))).status).toBe(503)
    expect(seen).toEqual([[`https://${authority}/a?b`, 'GET', 503, 'text/plain']])
    const failing = await verifyStage({
      answer,
      verify: {
        require: () => {
          throw new Error('of the application')
        },
      },
    })
    await refusalOf(failing.client.fetch(failing.url()), 'ERR_CONFIG_INVALID')
  })

  test('a verifier is one that verifyResponses made: ERR_CONFIG_INVALID', async () => {
    const made = verifyResponses(RULES)
    await expect(verifyStage({ client: { verify: { ...made } } })).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
    const { client, url } = await verifyStage({ client: { verify: made } })
    expect((await client.fetch(url())).status).toBe(200)
  })
})
