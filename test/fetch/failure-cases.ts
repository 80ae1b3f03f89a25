import { type Case, outcome, type Routes, seen, type Wanted } from './roads.ts'

const REASON_EVERYWHERE: Wanted = {
  reason: 'older runtimes call the body used up, or tell of an abort without its reason',
  ours: { value: { error: { name: 'Error', message: 'mine' } } },
  on: (node) => node < 24,
}

/** Aborts at every moment, connections that break, answers that are none. */
export function failureCases({ http, raw }: Routes): readonly Case[] {
  http.set('/hang', () => undefined)
  http.set('/part', (_, response) => {
    response.writeHead(200, { 'content-length': 100 })
    response.write('part')
  })
  http.set('/ok', (_, response) => response.end('ok'))
  const broken = (name: string, bytes: string, how: 'end' | 'reset' = 'end'): Case => {
    const route = `/${name.replaceAll(/\W+/g, '-')}`
    raw.set(route, (socket) => {
      if (how === 'end') socket.end(Buffer.from(bytes, 'latin1'))
      else socket.write(Buffer.from(bytes, 'latin1'), () => setTimeout(() => socket.destroy(), 20))
    })
    return { name, run: async ({ fetch, at }) => seen(await fetch(at(route))) }
  }
  const REASONS: readonly (readonly [string, unknown])[] = [
    ['no reason', undefined],
    ['an Error', new Error('mine')],
    ['a TypeError', new TypeError('mine')],
    ['a string', 'mine'],
    ['null', null],
    ['an AbortError', new DOMException('mine', 'AbortError')],
    ['an error with a code', Object.assign(new Error('mine'), { code: 'ERR_MINE' })],
  ]
  return [
    ...REASONS.map(
      ([name, reason]): Case => ({
        name: `aborted before the call: ${name}`,
        run: async ({ fetch, at }) => fetch(at('/ok'), { signal: AbortSignal.abort(reason) }),
      }),
    ),
    ...REASONS.map(
      ([name, reason]): Case => ({
        name: `aborted in the tick of the call: ${name}`,
        isRace: true,
        run: async ({ fetch, at }) => {
          const controller = new AbortController()
          const call = fetch(at('/hang'), { signal: controller.signal })
          controller.abort(reason)
          const ended = await outcome(() => call)
          return ended
        },
      }),
    ),
    ...REASONS.map(
      ([name, reason]): Case => ({
        name: `aborted while the server thinks: ${name}`,
        run: async ({ fetch, at, arrived }) => {
          const controller = new AbortController()
          const call = outcome(() => fetch(at('/hang'), { signal: controller.signal }))
          await arrived(1)
          controller.abort(reason)
          return call
        },
      }),
    ),
    ...REASONS.map(
      ([name, reason]): Case => ({
        name: `aborted in the body: ${name}`,
        run: async ({ fetch, at }) => {
          const controller = new AbortController()
          const response = await fetch(at('/part'), { signal: controller.signal })
          const reader = response.body?.getReader()
          const first = await reader?.read()
          controller.abort(reason)
          return [
            Buffer.from(first?.value ?? []).toString(),
            await outcome(() => reader?.read()),
            await outcome(() => reader?.closed),
          ]
        },
      }),
    ),
    {
      name: 'aborted while text() waits',
      run: async ({ fetch, at }) => {
        const controller = new AbortController()
        const response = await fetch(at('/part'), { signal: controller.signal })
        const text = outcome(() => response.text())
        await new Promise((resolve) => setImmediate(resolve))
        controller.abort(new Error('mine'))
        return text
      },
    },
    {
      name: 'aborted between headers and text()',
      wanted: REASON_EVERYWHERE,
      run: async ({ fetch, at }) => {
        const controller = new AbortController()
        const response = await fetch(at('/part'), { signal: controller.signal })
        controller.abort(new Error('mine'))
        return outcome(() => response.text())
      },
    },
    {
      name: 'aborted between a complete response and text()',
      wanted: REASON_EVERYWHERE,
      run: async ({ fetch, at }) => {
        const controller = new AbortController()
        const response = await fetch(at('/ok'), { signal: controller.signal })
        controller.abort(new Error('mine'))
        return outcome(() => response.text())
      },
    },
    {
      name: 'aborted after it was read',
      run: async ({ fetch, at }) => {
        const controller = new AbortController()
        const response = await fetch(at('/ok'), { signal: controller.signal })
        const text = await response.text()
        controller.abort()
        return [text, response.bodyUsed, await outcome(() => response.text())]
      },
    },
    {
      name: 'aborted, the copy of a clone',
      run: async ({ fetch, at }) => {
        const controller = new AbortController()
        const response = await fetch(at('/part'), { signal: controller.signal })
        const copy = response.clone()
        const [one, two] = [outcome(() => response.text()), outcome(() => copy.text())]
        await new Promise((resolve) => setImmediate(resolve))
        controller.abort(new Error('mine'))
        return [await one, await two]
      },
    },
    {
      name: 'aborted by a timeout',
      isRace: true,
      run: async ({ fetch, at }) => fetch(at('/hang'), { signal: AbortSignal.timeout(30) }),
    },
    {
      name: 'aborted by any of two',
      run: async ({ fetch, at, arrived }) => {
        const [one, two] = [new AbortController(), new AbortController()]
        const call = outcome(() => fetch(at('/hang'), { signal: AbortSignal.any([one.signal, two.signal]) }))
        await arrived(1)
        two.abort(new Error('second'))
        return call
      },
    },
    {
      name: 'aborted by the signal of a Request',
      run: async ({ fetch, at, arrived }) => {
        const controller = new AbortController()
        const call = outcome(() => fetch(new Request(at('/hang'), { signal: controller.signal })))
        await arrived(1)
        controller.abort(new Error('mine'))
        return call
      },
    },
    {
      name: 'aborted before, with a body',
      run: async ({ fetch, at }) =>
        fetch(at('/ok'), { method: 'POST', body: 'x', signal: AbortSignal.abort(new Error('mine')) }),
    },
    {
      name: 'aborted with a stream under way',
      wanted: {
        reason: 'nobody reads the stream any more, so its source is told (WHATWG Fetch, abort)',
        ours: { value: [{}, false] },
      },
      run: async ({ fetch, at }) => {
        const controller = new AbortController()
        let cancelled: unknown
        const body = new ReadableStream({
          start: (stream) => stream.enqueue(new Uint8Array(10)),
          cancel: (reason) => {
            cancelled = String(reason)
          },
        })
        const call = outcome(() =>
          fetch(at('/hang'), { method: 'POST', body, duplex: 'half', signal: controller.signal } as RequestInit),
        )
        await new Promise((resolve) => setTimeout(resolve, 50))
        controller.abort(new Error('mine'))
        return [await call, cancelled === undefined]
      },
    },
    {
      name: 'a wrong argument and an aborted signal',
      run: async ({ fetch, at }) => fetch(at('/ok'), { body: 'x', signal: AbortSignal.abort(new Error('mine')) }),
    },
    {
      name: 'a stream that fails',
      run: async ({ fetch, at }) => {
        const body = new ReadableStream({ pull: (controller) => controller.error(new Error('mine')) })
        return fetch(at('/ok'), { method: 'POST', body, duplex: 'half' } as RequestInit)
      },
    },
    broken('no answer', ''),
    broken('half a status line', 'HTTP/1.1 2'),
    broken('half the headers', 'HTTP/1.1 200 OK\r\nx-a: '),
    broken('no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'),
    broken('HTTP of another version', 'HTTP/3.7 200 OK\r\n\r\n'),
    broken('a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'),
    broken('a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'),
    broken('a field without colon', 'HTTP/1.1 200 OK\r\nx-a\r\n\r\n'),
    broken('a field with a null byte', 'HTTP/1.1 200 OK\r\nx-a: a\0b\r\n\r\n'),
    broken('a field name with a space', 'HTTP/1.1 200 OK\r\nx a: 1\r\n\r\n'),
    broken('a content-length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nhi'),
    broken('a negative content-length', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nhi'),
    broken('two content-lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi'),
    broken('the same content-length twice', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nhi'),
    broken(
      'both lengths',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    ),
    broken('a chunk that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhi'),
    broken('a body cut off in one piece', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart'),
    broken('chunks cut off in one piece', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n'),
    broken('a body cut off later', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart', 'reset'),
    broken('chunks cut off later', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n', 'reset'),
    broken('a body that ends with the connection, cut off', 'HTTP/1.1 200 OK\r\n\r\npart', 'reset'),
    broken('headers cut off later', 'HTTP/1.1 200 OK\r\nx-a: 1\r\n', 'reset'),
    broken('more than the content-length', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi there'),
    broken('switching protocols unasked', 'HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    broken('interim responses and no end', 'HTTP/1.1 103 E\r\n\r\n'),
    {
      name: 'a blocked port',
      run: async ({ fetch }) => fetch('https://localhost:6000/'),
    },
    {
      name: 'a wrong content-length',
      run: async ({ fetch, at }) =>
        fetch(at('/ok'), { method: 'POST', body: '12345', headers: { 'content-length': '9' } }),
    },
    {
      name: 'no arguments',
      wanted: { reason: 'what is no absolute URL has a code of its own', ours: { error: 'network error' } },
      run: async ({ fetch }) => Reflect.apply(fetch, undefined, []),
    },
    {
      name: 'never throws',
      run: async ({ fetch }) => {
        const call = fetch('https://localhost/', { method: 'TRACE' })
        return outcome(() => call)
      },
    },
  ]
}
