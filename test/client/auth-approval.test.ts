import { createHash } from 'node:crypto'
import { mkdtempSync, openAsBlob, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { replayable } from 'pinfetch'
import { type ApprovalAnswer, type ApprovalOptions, type ApprovalSummary, approval, bearer, oauth } from 'pinfetch/auth'
import { createTestRuntime, type TestRuntime } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { API, authStage, ca, OTHER, oauthAt, PINS, type StageOptions } from '../support/auth-stage.ts'
import { refusalOf, testClient } from '../support/client.ts'

const isPost: ApprovalOptions['when'] = ({ method }) => method !== 'GET'
const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64')

/** An API behind oauth, and whoever is asked, one question after the other. */
async function scene(
  options: Partial<ApprovalOptions> = {},
  { client, ...more }: Partial<StageOptions> & { readonly client?: object } = {},
) {
  const asked: ApprovalSummary[] = []
  const signals: AbortSignal[] = []
  const policy = approval({
    when: isPost,
    ask: async (summary, { signal }) => {
      asked.push(summary)
      signals.push(signal)
      return { approved: true }
    },
    ...options,
  })
  const stage = await authStage({
    schemes: ({ server, api }) => oauth(oauthAt(server, api)),
    client: { approval: policy, ...client },
    ...more,
  })
  const sent = (): number => stage.api.accepted + stage.server.accepted
  return { ...stage, asked, signals, sent }
}

/** Answers when the test says so. */
function later() {
  const asked: {
    readonly summary: ApprovalSummary
    readonly signal: AbortSignal
    answer: (answer: ApprovalAnswer) => void
  }[] = []
  const ask: ApprovalOptions['ask'] = (summary, { signal }) =>
    new Promise((resolve) => void asked.push({ summary, signal, answer: resolve }))
  const when = async (count: number): Promise<void> => void (await expect.poll(() => asked.length).toBe(count))
  return { asked, ask, when }
}

const post = (body: RequestInit['body'], headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  body: body ?? null,
  headers,
})

describe('a critical request', () => {
  test('is sent once somebody approved what it is: method, target and content digest', async () => {
    const { client, url, api, asked, told } = await scene()
    const init = post('{"amount":12}', { 'content-type': 'application/json', 'idempotency-key': '7' })
    expect((await client.fetch(url('/transfers?a=1#part'), init)).status).toBe(200)
    expect(asked).toEqual([
      {
        method: 'POST',
        url: url('/transfers?a=1'),
        contentDigest: `sha-256=:${sha256('{"amount":12}')}:`,
        contentLength: 13,
        contentType: 'application/json',
        idempotencyKey: '7',
        digest: expect.stringMatching(/^[\w-]{43}$/),
      },
    ])
    expect(api.requests).toMatchObject([
      { method: 'POST', path: '/transfers?a=1', headers: { 'idempotency-key': '7' } },
    ])
    expect(told('approval.asked')).toMatchObject([{ host: `${API}:${api.port}`, digest: asked[0]?.digest }])
    expect(told('approval.granted')).toMatchObject([{ isReused: false }])
  })

  test('is the only one that anybody is asked about', async () => {
    const { client, url, asked } = await scene()
    await client.fetch(url())
    expect(asked).toEqual([])
  })

  test('sends nothing before it is approved: no connection, and no token is fetched', async () => {
    const { asked, ask, when } = later()
    const { client, url, sent } = await scene({ ask })
    const call = client.fetch(url(), post('x'))
    await when(1)
    await new Promise((resolve) => setImmediate(resolve))
    expect(sent()).toBe(0)
    asked[0]?.answer({ approved: true })
    expect((await call).status).toBe(200)
  })

  test('without anybody to ask is ERR_APPROVAL_REQUIRED, and nothing is sent (OOB-01)', async () => {
    const { client, url, sent, told } = await scene({ ask: undefined as never })
    const error = await refusalOf(client.fetch(url(), post('x')), 'ERR_APPROVAL_REQUIRED')
    expect(error).toMatchObject({ name: 'ApprovalError', requestSent: 'no', retryable: false })
    expect(sent()).toBe(0)
    expect(told('approval.refused')).toMatchObject([{ code: 'ERR_APPROVAL_REQUIRED', method: 'POST' }])
    expect((await client.fetch(url())).status).toBe(200)
  })

  test.each<[string, ApprovalOptions['when']]>([
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['answers nothing', () => undefined as never],
    ['answers by a promise', (async () => false) as never],
  ])('is every one where the rule %s', async (_, when) => {
    const { client, url, asked } = await scene({ when })
    await client.fetch(url())
    expect(asked).toHaveLength(1)
  })

  test.each<[string, (url: string) => Parameters<typeof fetch>]>([
    ['a stream', (url) => [url, { ...post(new Blob(['x']).stream()), duplex: 'half' } as RequestInit]],
    ['the body of a Request', (url) => [new Request(url, post('x'))]],
    ['a stream that is opened anew each time', (url) => [url, post(replayable(() => new Blob(['x']).stream()))]],
  ])('with %s cannot be shown before it is sent: ERR_APPROVAL_REQUIRED', async (what, given) => {
    const { client, url, asked, sent } = await scene()
    const error = await refusalOf(client.fetch(...given(url())), 'ERR_APPROVAL_REQUIRED')
    expect(error.message).toContain(what)
    expect([asked.length, sent()]).toEqual([0, 0])
  })

  test('that is renewed after a 401 is approved once, and sent with the same bytes', async () => {
    const { client, url, api, accepted, asked } = await scene()
    await client.fetch(url())
    accepted.clear()
    const form = new FormData()
    form.append('a', 'b')
    expect((await client.fetch(url(), post(form))).status).toBe(200)
    const [, first, second] = api.requests
    expect(Buffer.from(second?.body ?? [])).toEqual(Buffer.from(first?.body ?? []))
    expect(asked.map(({ contentDigest }) => contentDigest)).toEqual([
      `sha-256=:${sha256(Buffer.from(first?.body ?? []).toString())}:`,
    ])
  })
})

describe('what is changed after somebody was asked', () => {
  test.each<[string, Partial<StageOptions>]>([
    ['with a scheme after it', {}],
    ['alone', { schemes: () => [], judge: false }],
  ])('%s; bytes, parameters, headers and the URL: what was approved is sent (OOB-02)', async (_, more) => {
    const { asked, ask, when } = later()
    const { client, api, url } = await scene({ ask }, more)
    const [bytes, parameters] = [Buffer.from('small'), new URLSearchParams({ amount: '12' })]
    const [headers, target] = [new Headers({ 'idempotency-key': 'a' }), new URL(url('/approved'))]
    const road = { window: null } as RequestInit
    const calls = [
      client.fetch(target, { method: 'POST', body: bytes, headers, ...road }),
      client.fetch(url('/approved'), post(parameters)),
    ]
    await when(2)
    bytes.write('large')
    parameters.set('amount', '9999')
    headers.set('idempotency-key', 'b')
    target.pathname = '/other'
    for (const { answer } of asked) answer({ approved: true })
    await Promise.all(calls)
    const received = api.requests.map(({ path, body }) => `${path} ${Buffer.from(body)}`).sort()
    expect(received).toEqual(['/approved amount=12', '/approved small'])
    expect(api.requests.map(({ headers }) => headers['idempotency-key']).sort()).toEqual(['a', undefined])
  })

  test('a file behind a Blob: what was approved is sent', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pinfetch-approval-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'order')
    writeFileSync(path, 'small')
    const { asked, ask, when } = later()
    const { client, url, api } = await scene({ ask })
    const call = client.fetch(url(), post(await openAsBlob(path, { type: 'a/b' })))
    await when(1)
    writeFileSync(path, 'large')
    asked[0]?.answer({ approved: true })
    await call
    expect(api.requests).toMatchObject([{ headers: { 'content-type': 'a/b' } }])
    expect([Buffer.from(api.requests[0]?.body ?? []).toString(), readFileSync(path, 'utf8')]).toEqual([
      'small',
      'large',
    ])
  })

  test('an approver who saw another digest: ERR_APPROVAL_MISMATCH, and nothing is sent (OOB-02)', async () => {
    const other = await scene()
    await other.client.fetch(other.url(), post('other'))
    const digest = other.asked[0]?.digest ?? ''
    const { client, url, sent } = await scene({ ask: async () => ({ approved: true, digest }) })
    await refusalOf(client.fetch(url(), post('this')), 'ERR_APPROVAL_MISMATCH')
    expect(sent()).toBe(0)
    const same = await scene({ ask: async (summary) => ({ approved: true, digest: summary.digest }) })
    expect((await same.client.fetch(same.url(), post('this'))).status).toBe(200)
  })

  test.each<[string, string, RequestInit]>([
    ['method', '/', { method: 'PUT', body: 'x' }],
    ['target', '/?a', { method: 'POST', body: 'x' }],
    ['body', '/', { method: 'POST', body: 'y' }],
    ['absence of a body', '/', { method: 'POST' }],
    ['content type', '/', { method: 'POST', body: 'x', headers: { 'content-type': 'a/b' } }],
    ['idempotency key', '/', { method: 'POST', body: 'x', headers: { 'idempotency-key': '1' } }],
  ])('another %s has another digest', async (_, path, init) => {
    const { client, url, asked } = await scene()
    for (const given of [post('x'), init, post('x')]) await client.fetch(url(given === init ? path : '/'), given)
    const [one, two, three] = asked.map(({ digest }) => digest)
    expect(three).toBe(one)
    expect(two).not.toBe(one)
  })
})

describe('an answer', () => {
  test.each<[string, ApprovalOptions['ask']]>([
    ['no', async () => ({ approved: false })],
    ['nothing', async () => undefined as never],
    ['a word', async () => 'yes' as never],
    ['a number for a truth', async () => ({ approved: 1 }) as never],
    [
      'an error',
      async () => {
        throw new Error('kd83-secret')
      },
    ],
    [
      'an error at once',
      () => {
        throw new Error('kd83-secret')
      },
    ],
  ])('%s is ERR_APPROVAL_DENIED; nothing is sent, and nobody is asked again (OOB-03)', async (_, ask) => {
    let count = 0
    const { client, url, sent } = await scene({
      ask: (summary, context) => {
        count += 1
        return ask?.(summary, context) as never
      },
    })
    const error = await refusalOf(client.fetch(url(), post('x')), 'ERR_APPROVAL_DENIED')
    expect(`${error.stack} ${error.cause}`).not.toContain('kd83')
    expect([sent(), count, error.retryable]).toEqual([0, 1, false])
  })

  const timed = async (options: Partial<ApprovalOptions>) => {
    const runtime: TestRuntime = createTestRuntime({ now: Date.now() })
    const policy = approval({ when: isPost, ...options })
    const client = testClient({ pins: PINS, anchors: ca.anchorPem, approval: policy, runtime })
    return { client, runtime }
  }

  test('that does not come in time is ERR_APPROVAL_DENIED, and whoever is asked hears of it (OOB-03)', async () => {
    const { asked, ask, when } = later()
    const { client, runtime } = await timed({ ask, timeoutMs: 60_000 })
    const call = client.fetch(`https://${API}/`, post('x'))
    call.catch(() => undefined)
    await when(1)
    await runtime.advance(59_000)
    expect(asked[0]?.signal.aborted).toBe(false)
    await runtime.advance(1_000)
    expect((await refusalOf(call, 'ERR_APPROVAL_DENIED')).message).toContain('60000 ms')
    expect([asked[0]?.signal.aborted, asked.length]).toEqual([true, 1])
  })

  test('is not waited for by a caller who aborts', async () => {
    const { asked, ask, when } = later()
    const { client, url, sent } = await scene({ ask })
    const control = new AbortController()
    const call = client.fetch(url(), { ...post('x'), signal: control.signal })
    call.catch(() => undefined)
    await when(1)
    control.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
    expect([asked[0]?.signal.aborted, sent()]).toEqual([true, 0])
  })

  test('is not waited for by a client that is closed: ERR_TRANSPORT_CLIENT_CLOSED', async () => {
    const { asked, ask, when } = later()
    const { client, url, sent } = await scene({ ask })
    const call = client.fetch(url(), post('x'))
    call.catch(() => undefined)
    await when(1)
    await client.close()
    await refusalOf(call, 'ERR_TRANSPORT_CLIENT_CLOSED')
    expect([asked[0]?.signal.aborted, sent()]).toEqual([true, 0])
  })

  test('with evidence carries it to the server, in place of what the caller wrote there', async () => {
    const { client, url, api } = await scene({
      ask: async () => ({ approved: true, evidence: 'signed-by-alice' }),
      attach: { header: 'X-Approval' },
    })
    await client.fetch(url(), post('x', { 'x-approval': 'forged' }))
    expect(api.requests[0]?.headers['x-approval']).toBe('signed-by-alice')
  })

  test.each<[string, string | undefined]>([
    ['no evidence', undefined],
    ['evidence with a line break', 'a\r\nb: c'],
  ])('with %s for its header is ERR_APPROVAL_DENIED', async (_, evidence) => {
    const answer = { approved: true, ...(evidence !== undefined && { evidence }) }
    const { client, url, sent } = await scene({ ask: async () => answer, attach: { header: 'x-approval' } })
    await refusalOf(client.fetch(url(), post('x')), 'ERR_APPROVAL_DENIED')
    expect(sent()).toBe(0)
  })

  test('stands for the same request under its Idempotency-Key for a while (OOB-04)', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const { client, url, asked, told } = await scene(
      { reuseMs: 60_000 },
      {
        schemes: ({ api }) => bearer({ source: { value: 'kd83-first-Zq91mmw2' }, allowedOrigins: [api] }),
        judge: false,
        client: { runtime },
      },
    )
    const again = () => client.fetch(url(), post('x', { 'idempotency-key': '7' }))
    await again()
    await again()
    expect(asked).toHaveLength(1)
    expect(told('approval.granted')).toMatchObject([{ isReused: false }, { isReused: true }])
    await client.fetch(url(), post('x')) // without a key, each is one of its own
    await client.fetch(url(), post('x'))
    expect(asked).toHaveLength(3)
    await runtime.advance(60_000)
    await again()
    expect(asked).toHaveLength(4)
  })

  test('stands for ten minutes where nothing else is said (OOB-04)', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const schemes = ({ api }: { api: string }) =>
      bearer({ source: { value: 'kd83-first-Zq91mmw2' }, allowedOrigins: [api] })
    const { client, url, asked } = await scene({}, { schemes, judge: false, client: { runtime } })
    const again = () => client.fetch(url(), post('x', { 'idempotency-key': '7' }))
    await again()
    await runtime.advance(599_000)
    await again()
    expect(asked).toHaveLength(1)
    await runtime.advance(1_000)
    await again()
    expect(asked).toHaveLength(2)
  })

  test('does not stand for another request under the same key: ERR_APPROVAL_MISMATCH (OOB-04)', async () => {
    const { client, url, api, asked } = await scene()
    await client.fetch(url(), post('x', { 'idempotency-key': '7' }))
    await refusalOf(client.fetch(url(), post('y', { 'idempotency-key': '7' })), 'ERR_APPROVAL_MISMATCH')
    expect([asked.length, api.requests.length]).toEqual([1, 1])
    await client.fetch(url(), post('y', { 'idempotency-key': '8' }))
    expect(asked).toHaveLength(2)
  })

  test('that was no stands as well: ERR_APPROVAL_DENIED without asking again (OOB-03)', async () => {
    let count = 0
    const { client, url, sent } = await scene({
      ask: async () => {
        count += 1
        return { approved: false }
      },
    })
    for (let i = 0; i < 3; i += 1)
      await refusalOf(client.fetch(url(), post('x', { 'idempotency-key': '7' })), 'ERR_APPROVAL_DENIED')
    expect([count, sent()]).toEqual([1, 0])
  })

  test('is shared by those who ask at once, and one of them may leave', async () => {
    const { asked, ask, when } = later()
    const { client, url, api } = await scene({ ask })
    const control = new AbortController()
    const init = post('x', { 'idempotency-key': '7' })
    const [gone, stays] = [client.fetch(url(), { ...init, signal: control.signal }), client.fetch(url(), init)]
    gone.catch(() => undefined)
    await when(1)
    await new Promise((resolve) => setImmediate(resolve))
    control.abort(new Error('enough'))
    await expect(gone).rejects.toThrow('enough')
    expect(asked[0]?.signal.aborted).toBe(false)
    asked[0]?.answer({ approved: true })
    expect((await stays).status).toBe(200)
    expect([asked.length, api.requests.length]).toEqual([1, 1])
  })
})

describe('a redirect of an approved request', () => {
  const moved = (location: () => string): Pick<StageOptions, 'judge' | 'handler'> => ({
    judge: false,
    handler: ({ path }, response) => {
      if (path === '/') response.writeHead(307, { location: location() }).end()
      else response.end('ok')
    },
  })

  test('is another target, about which somebody is asked again', async () => {
    const { client, url, asked, api } = await scene(
      {},
      { ...moved(() => '/there'), client: { redirect: 'same-origin' } },
    )
    expect((await client.fetch(url(), post('x', { 'idempotency-key': '7' }))).status).toBe(200)
    expect(asked.map((summary) => summary.url)).toEqual([url('/'), url('/there')])
    expect(api.requests).toHaveLength(2)
  })

  test('is not followed where that one is denied: ERR_APPROVAL_DENIED', async () => {
    const { client, url, api } = await scene(
      { ask: async (summary) => ({ approved: new URL(summary.url).pathname === '/' }) },
      { ...moved(() => '/there'), client: { redirect: 'same-origin' } },
    )
    const error = await refusalOf(client.fetch(url(), post('x')), 'ERR_APPROVAL_DENIED')
    expect([error.requestSent, api.requests.length]).toEqual(['yes', 1])
  })

  test('takes no evidence to another origin, also where the caller wrote the header', async () => {
    const place = { url: '' }
    const { client, url, api } = await scene(
      {
        when: ({ url: { pathname } }) => pathname === '/',
        ask: async () => ({ approved: true, evidence: 'signed' }),
        attach: { header: 'x-confirmed' },
      },
      { ...moved(() => place.url), client: { redirect: { follow: [`${OTHER}:*`] } } },
    )
    place.url = `https://${OTHER}:${api.port}/there`
    await client.fetch(url(), { headers: { 'x-confirmed': 'own' } })
    expect(api.requests.map(({ headers }) => headers['x-confirmed'])).toEqual(['signed', undefined])
  })
})

test.each<[string, unknown]>([
  ['no rule', {}],
  ['a rule that is none', { when: true }],
  ['an unknown member', { when: isPost, timeout: 1 }],
  ['a header that is taken', { when: isPost, attach: { header: 'content-type' } }],
])('%s is ERR_CONFIG_INVALID', (_, options) => {
  expect(() => approval(options as never)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
})

test('a policy that is not of `approval`, or with the header of a scheme, is ERR_CONFIG_INVALID', () => {
  const make = (options: object) => () => testClient({ pins: PINS, anchors: ca.anchorPem, ...options })
  const invalid = expect.objectContaining({ code: 'ERR_CONFIG_INVALID' })
  expect(make({ approval: { when: isPost, timeoutMs: 1, reuseMs: 1 } })).toThrow(invalid)
  const auth = bearer({ source: { value: 'kd83-first-Zq91mmw2' }, allowedOrigins: [`https://${API}`] })
  expect(make({ auth, approval: approval({ when: isPost, attach: { header: 'authorization' } }) })).toThrow(invalid)
  expect(make({ auth, approval: approval({ when: isPost, attach: { header: 'x-approval' } }) })).not.toThrow()
})
