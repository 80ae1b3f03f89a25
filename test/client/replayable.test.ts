import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { constants, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { type BodySource, replayable } from 'pinfetch'
import type { AuthScheme, Outcome } from 'pinfetch/auth'
import { describe, expect, test } from 'vitest'
import { authStage } from '../support/auth-stage.ts'
import { refusalOf } from '../support/client.ts'

type Handler = (request: IncomingMessage, response: ServerResponse, number: number) => void

const VERSIONS = ['HTTP/1.1', 'HTTP/2'] as const
const PIECES = Array.from({ length: 40 }, (_, i) => new Uint8Array(10_000).fill(i))
const DIGEST = createHash('sha256').update(Buffer.concat(PIECES)).digest('hex')

async function* generator(): AsyncGenerator<Uint8Array> {
  yield* PIECES
}

const SOURCES: readonly (readonly [string, () => BodySource])[] = [
  ['a stream of the web', () => ReadableStream.from(PIECES) as ReadableStream<Uint8Array>],
  ['a stream of Node', () => Readable.from(PIECES)],
  ['an async generator', generator],
]

/** Asks for another attempt after each answer that is a 401. */
const scheme = (origin: string): AuthScheme => ({
  name: 'custom',
  credentialHeaders: ['x-test'],
  allowedOrigins: [origin],
  bind: () => ({
    apply: ({ number }) => ({ 'x-test': `attempt ${number}` }),
    onResponse: ({ status }): Outcome => (status === 401 ? { retry: 'token', reason: 'it was refused' } : 'done'),
  }),
})

/** A server of one version that handles a request when its head is there. */
async function scene(version: (typeof VERSIONS)[number], handler: Handler) {
  let number = 0
  const closed: unknown[] = []
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    number += 1
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    handler(request, response, number)
  }
  const speaker = version === 'HTTP/2' ? createHttp2Server(listener as never) : createServer(listener)
  const stage = await authStage({
    schemes: ({ api }) => scheme(api),
    judge: false,
    api: {
      ...(version === 'HTTP/2' && { alpn: ['h2'] }),
      onSocket: (socket) => {
        socket.once('close', () => closed.push(socket))
        speaker.emit('connection', socket)
      },
    },
    client: { http2: version === 'HTTP/2' ? 'require' : 'never', redirect: 'same-origin' },
  })
  return { ...stage, closed, sent: () => number }
}

/** Answers when the whole body is there, and keeps its digest. */
function whole(
  digests: string[],
  answer: (request: IncomingMessage, response: ServerResponse, number: number) => void,
): Handler {
  return (request, response, number) => {
    const hash = createHash('sha256')
    request.on('data', (chunk) => hash.update(chunk))
    request.on('end', () => {
      digests.push(hash.digest('hex'))
      answer(request, response, number)
    })
  }
}

/** A source that never ends, and tells what became of it. */
function endless(): {
  readonly open: () => ReadableStream<Uint8Array>
  readonly state: { opened: number; cancelled: number }
} {
  const state = { opened: 0, cancelled: 0 }
  const open = (): ReadableStream<Uint8Array> => {
    state.opened += 1
    return new ReadableStream(
      {
        pull: async (controller) => {
          await new Promise((resolve) => setImmediate(resolve))
          controller.enqueue(new Uint8Array(1_000))
        },
        cancel: () => {
          state.cancelled += 1
        },
      },
      { highWaterMark: 0 },
    )
  }
  return { open, state }
}

describe.each(VERSIONS)('a body of `replayable` over %s', (version) => {
  test.each(SOURCES)('is opened for each sending, from %s: after a 401 and by redirects (TOK-07)', async (_, open) => {
    const digests: string[] = []
    const { client, url, told } = await scene(
      version,
      whole(digests, (_, response, number) => {
        if (number === 1) response.writeHead(401).end()
        else if (number === 2) response.writeHead(307, { location: '/second' }).end()
        else if (number === 3) response.writeHead(308, { location: '/third' }).end()
        else response.end('stored')
      }),
    )
    let opened = 0
    const body = replayable(() => {
      opened += 1
      return open()
    })
    const response = await client.fetch(url(), { method: 'PUT', body })
    expect([response.status, await response.text(), response.url]).toEqual([200, 'stored', url('/third')])
    expect([opened, digests]).toEqual([4, Array(4).fill(DIGEST)])
    await client.fetch(url(), { method: 'PUT', body, duplex: 'half' } as RequestInit)
    expect([opened, digests.length, told('auth.notReplayed')]).toEqual([5, 5, []])
  })

  test('in a Request is sent again as well', async () => {
    const digests: string[] = []
    const { client, url } = await scene(
      version,
      whole(digests, (_, response, number) => void response.writeHead(number === 1 ? 401 : 200).end()),
    )
    const init = { method: 'POST', body: replayable(generator), duplex: 'half', headers: { 'content-type': 'a/b' } }
    const response = await client.fetch(new Request(url(), init as RequestInit))
    expect([response.status, digests]).toEqual([200, [DIGEST, DIGEST]])
  })

  test('that a 401 cuts short is cancelled, and opened once more (TOK-08)', async () => {
    const source = endless()
    const digests: string[] = []
    const { client, url } = await scene(version, (request, response, number) => {
      if (number === 1) request.once('data', () => response.writeHead(401).end('no'))
      else whole(digests, () => response.end('stored'))(request, response, number)
    })
    let opened = 0
    const body = replayable(() => {
      opened += 1
      return opened === 1 ? source.open() : generator()
    })
    const response = await client.fetch(url(), { method: 'PUT', body })
    expect([response.status, await response.text(), digests]).toEqual([200, 'stored', [DIGEST]])
    expect(opened).toBe(2)
    await expect.poll(() => source.state.cancelled, { timeout: 20_000 }).toBe(1)
  })

  test('is cancelled when the call is aborted, or nothing of it can be sent', async () => {
    const source = endless()
    const { client, url, sent } = await scene(version, (request) => void request.resume())
    const control = new AbortController()
    const call = client.fetch(url(), { method: 'PUT', body: replayable(source.open), signal: control.signal })
    call.catch(() => undefined)
    await expect.poll(sent, { timeout: 20_000 }).toBe(1)
    control.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
    await expect.poll(() => source.state, { timeout: 20_000 }).toEqual({ opened: 1, cancelled: 1 })
    const wrong = { method: 'GET', body: replayable(source.open) }
    await expect(client.fetch(url(), wrong)).rejects.toThrow(TypeError) // GET has no body
    await expect.poll(() => source.state, { timeout: 20_000 }).toEqual({ opened: 2, cancelled: 2 })
  })

  test('that cannot be opened is ERR_TRANSPORT_BODY_UNAVAILABLE, with what its function threw', async () => {
    const { client, url, sent } = await scene(
      version,
      whole([], (_, response) => void response.writeHead(401).end()),
    )
    const [missing, once] = [new Error('ENOENT'), new Blob(['x']).stream()]
    const openings: [() => unknown, number][] = [
      [() => Promise.reject(missing).catch(() => undefined), 0],
      [() => 'text', 0],
      [
        () => {
          throw missing
        },
        0,
      ],
      [() => once, 1],
    ]
    for (const [open, before] of openings) {
      const already = sent()
      const call = client.fetch(url(), { method: 'PUT', body: replayable(open as () => BodySource) })
      const error = await refusalOf(call, 'ERR_TRANSPORT_BODY_UNAVAILABLE')
      expect([error.requestSent, sent() - already]).toEqual([before === 0 ? 'no' : 'yes', before])
    }
    const error = await refusalOf(
      client.fetch(url(), { method: 'PUT', body: replayable(openings[2]?.[0] as () => BodySource) }),
      'ERR_TRANSPORT_BODY_UNAVAILABLE',
    )
    expect(error.cause).toBe(missing)
  })
})

describe.each(VERSIONS)('a stream that can be read once, over %s', (version) => {
  test('is given up at a 401 that comes before its end: its source hears of it, and no half looks like the whole (TOK-08)', async () => {
    const source = endless()
    // The server of Node 24 ends a stream by itself once it has answered, so that its code says nothing of the client's.
    const closesItself = version === 'HTTP/2' && Number(process.versions.node.split('.')[0]) >= 24
    const ends: string[] = []
    let hasEnded = false
    let finish = (): void => undefined
    const { client, url, told, closed } = await scene(version, (request, response, number) => {
      if (number === 1) request.once('end', () => (hasEnded = true))
      const { stream } = request as unknown as { stream?: ServerHttp2Stream }
      // Node raises `end` for a stream of HTTP/2 that was cut as well.
      const isCut = (): boolean =>
        stream === undefined ? !request.complete : stream.rstCode === constants.NGHTTP2_CANCEL
      ;(stream ?? request.socket).once('close', () => ends.push(isCut() ? 'cut' : 'whole'))
      request.once('data', () => {
        if (number > 1) return
        response.writeHead(401).write('n')
        finish = () => response.end('o')
      })
      request.resume()
      if (number > 1) response.end('ok')
    })
    const init = { method: 'PUT', body: source.open(), duplex: 'half' } as RequestInit
    const response = await client.fetch(url(), init)
    expect(response.status).toBe(401)
    expect(told('auth.notReplayed')).toMatchObject([{ code: 'ERR_AUTH_BODY_NOT_REPLAYABLE' }])
    await expect.poll(() => source.state.cancelled, { timeout: 20_000 }).toBe(1) // while the answer still comes
    expect((await client.fetch(url())).status).toBe(200) // over HTTP/2 behind what was sent of the first
    expect(hasEnded).toBe(false)
    finish()
    expect(await response.text()).toBe('no')
    await expect.poll(() => ends.includes('cut') || closesItself, { timeout: 20_000 }).toBe(true)
    expect((await client.fetch(url())).status).toBe(200)
    expect(closed).toHaveLength(version === 'HTTP/2' ? 0 : 1) // a stream of the connection was enough
  })
})

test('a body of `replayable` is a stream like any other elsewhere, and opened only when it is read', async () => {
  let opened = 0
  const open = (): BodySource => {
    opened += 1
    return generator()
  }
  const bytes = await new Response(replayable(open)).arrayBuffer()
  expect(createHash('sha256').update(new Uint8Array(bytes)).digest('hex')).toBe(DIGEST)
  await replayable(open).cancel()
  expect(opened).toBe(1)
  const broken = replayable(() => [] as never)
  await expect(broken.getReader().read()).rejects.toMatchObject({ code: 'ERR_TRANSPORT_BODY_UNAVAILABLE' })
})

test('`replayable` without a function is ERR_CONFIG_INVALID', () => {
  expect(() => replayable(generator() as never)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
})
