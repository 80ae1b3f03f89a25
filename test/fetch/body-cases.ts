import { type Case, outcome, type Routes, seen } from './roads.ts'

/** Reading: every method, readers of both kinds, twice, in parts, and after the fact. */
export function bodyCases({ http }: Routes): readonly Case[] {
  http.set('/json', (_, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":[1,"ü"]}'),
  )
  http.set('/bom', (_, response) => response.end(Buffer.from('\ufeff{"a":1}')))
  http.set('/text', (_, response) => response.end('not json'))
  http.set('/none', (_, response) => response.end())
  http.set('/empty', (_, response) => response.writeHead(204).end())
  http.set('/binary', (_, response) =>
    response.writeHead(200, { 'content-type': 'Image/PNG; a=B' }).end(Buffer.from([0, 255, 128, 195])),
  )
  http.set('/large', (_, response) => response.end(Buffer.alloc(3_000_000, 'large')))
  http.set('/slow', (_, response) => {
    response.write('first,')
    setTimeout(() => response.end('second'), 30)
  })
  http.set('/late', (_, response) => {
    response.flushHeaders()
    setTimeout(() => response.end('late'), 30)
  })
  http.set('/endless', (_, response) => {
    const more = (): void => {
      while (response.writable && response.write(Buffer.alloc(65_536, 'e')));
      response.once('drain', more)
    }
    more()
  })
  http.set('/form', (request, response) => {
    response
      .writeHead(200, { 'content-type': String(request.headers['content-type'] ?? 'text/plain') })
      .end(request.body)
  })
  http.set('/multipart', (_, response) => {
    response.writeHead(200, { 'content-type': 'multipart/form-data; boundary=b' })
    response.end(
      '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\nContent-Type: text/css\r\n\r\nfile\r\n--b--\r\n',
    )
  })
  http.set('/types', (_, response) => {
    response
      .writeHead(
        200,
        [
          ['content-type', 'text/plain'],
          ['content-type', 'text/html;charset=gbk'],
        ].flat(),
      )
      .end('<p>')
  })

  const reads = (name: string, route: string, look: (response: Response) => unknown): Case => ({
    name,
    run: async ({ fetch, at }) => look(await fetch(at(route))),
  })
  const methods: readonly Case[] = [
    '/json',
    '/bom',
    '/text',
    '/none',
    '/empty',
    '/binary',
    '/slow',
    '/late',
    '/types',
  ].flatMap((route) =>
    (['text', 'json', 'arrayBuffer', 'blob', 'formData'] as const).map((method) =>
      reads(`${method}() of ${route}`, route, (response) =>
        seen(response, async (one) => described(await one[method]())),
      ),
    ),
  )
  return [
    ...methods,
    reads('bytes()', '/binary', (response) =>
      seen(response, (one) => Reflect.apply(Reflect.get(one, 'bytes') ?? (() => 'none'), one, [])),
    ),
    reads('text() of three megabytes', '/large', async (response) => (await response.text()).length),
    reads('arrayBuffer() of three megabytes', '/large', async (response) => (await response.arrayBuffer()).byteLength),
    reads('a buffer of one’s own to change', '/json', async (response) => {
      const buffer = new Uint8Array(await response.arrayBuffer())
      return [buffer.byteOffset, buffer.byteLength, buffer.buffer.byteLength]
    }),
    reads('formData() of a form', '/multipart', (response) =>
      seen(response, async (one) => described(await one.formData())),
    ),
    {
      name: 'FormData sent and received',
      run: async ({ fetch, at }) => {
        const body = new FormData()
        body.append('a', 'ü')
        body.append('f', new File(['file'], 'x.txt', { type: 'text/css' }))
        return described(await (await fetch(at('/form'), { method: 'POST', body })).formData())
      },
    },
    {
      name: 'URLSearchParams sent and received',
      run: async ({ fetch, at }) => {
        const response = await fetch(at('/form'), { method: 'POST', body: new URLSearchParams({ a: 'b c' }) })
        return described(await response.formData())
      },
    },
    reads('text() twice', '/json', async (response) => [
      await outcome(() => response.text()),
      await outcome(() => response.text()),
    ]),
    reads('json() after text()', '/json', async (response) => [
      await response.text(),
      await outcome(() => response.json()),
    ]),
    reads('two at once', '/json', async (response) =>
      Promise.all([outcome(() => response.text()), outcome(() => response.json())]),
    ),
    reads('text() after cancel', '/json', async (response) => {
      await response.body?.cancel()
      return [await outcome(() => response.text()), response.bodyUsed]
    }),
    reads('text() while locked', '/json', async (response) => {
      response.body?.getReader()
      return [await outcome(() => response.text()), response.bodyUsed, response.body?.locked]
    }),
    reads('locked and let go', '/json', async (response) => {
      const reader = response.body?.getReader()
      const before = response.bodyUsed
      reader?.releaseLock()
      return [before, response.bodyUsed, await outcome(() => response.text())]
    }),
    reads('a null body read twice', '/empty', async (response) => [
      await response.text(),
      await response.text(),
      response.bodyUsed,
    ]),
    reads('a default reader', '/json', (response) => drained(response.body?.getReader())),
    reads('a default reader of nothing', '/none', (response) => drained(response.body?.getReader())),
    reads('a default reader of three megabytes', '/large', async (response) => {
      const { total, kinds } = await drained(response.body?.getReader())
      return [total, [...new Set(kinds)]]
    }),
    reads('a default reader of a slow body', '/slow', (response) => drained(response.body?.getReader())),
    reads('chunks whose buffer is theirs', '/json', async (response) => {
      const { value } = (await response.body?.getReader().read()) ?? {}
      return [value?.byteOffset, value?.byteLength === value?.buffer.byteLength]
    }),
    reads('closed of a reader', '/json', async (response) => {
      const reader = response.body?.getReader()
      await drained(reader)
      return outcome(() => reader?.closed)
    }),
    reads('a byob reader', '/json', async (response) => {
      const reader = response.body?.getReader({ mode: 'byob' })
      let text = ''
      for (;;) {
        const { done, value } = (await reader?.read(new Uint8Array(4))) ?? { done: true, value: undefined }
        text += Buffer.from(value ?? []).toString('latin1')
        if (done) return [text, value?.byteLength]
      }
    }),
    reads('a byob reader of nothing', '/none', async (response) => {
      const result = await response.body?.getReader({ mode: 'byob' }).read(new Uint8Array(4))
      return [result?.done, result?.value?.byteLength]
    }),
    reads('a byob reader that waits', '/late', async (response) => {
      const reader = response.body?.getReader({ mode: 'byob' })
      const first = await reader?.read(new Uint8Array(100))
      const second = await reader?.read(new Uint8Array(100))
      return [Buffer.from(first?.value ?? []).toString(), second?.done, second?.value?.byteLength]
    }),
    reads('for await', '/slow', async (response) => {
      let text = ''
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>)
        text += Buffer.from(chunk).toString()
      return [text, response.bodyUsed, response.body?.locked]
    }),
    reads('for await, left early', '/endless', async (response) => {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>)
        return [chunk.length > 0, response.bodyUsed]
      return undefined
    }),
    reads('tee', '/json', async (response) => {
      const [one, two] = response.body?.tee() ?? []
      return [
        await new Response(one).text(),
        await new Response(two).text(),
        response.bodyUsed,
        await outcome(() => response.text()),
      ]
    }),
    reads('pipeThrough', '/slow', async (response) => {
      const text = response.body?.pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>)
      let all = ''
      for await (const part of text as unknown as AsyncIterable<string>) all += part
      return [all, response.bodyUsed]
    }),
    reads('pipeTo', '/json', async (response) => {
      const parts: Uint8Array[] = []
      await response.body?.pipeTo(new WritableStream({ write: (chunk) => void parts.push(chunk) }))
      return Buffer.concat(parts).toString()
    }),
    reads('the same body each time', '/json', (response) => {
      const { body } = response
      return body === response.body
    }),
    reads('cancel of a body that goes on', '/endless', async (response) =>
      outcome(() => response.body?.cancel('enough')),
    ),
    reads('cancel after some of it', '/endless', async (response) => {
      const reader = response.body?.getReader()
      await reader?.read()
      await reader?.cancel('enough')
      return [await reader?.read(), response.bodyUsed]
    }),
    reads('clone of a slow body', '/slow', async (response) => {
      const copy = response.clone()
      return Promise.all([response.text(), copy.text()])
    }),
    reads('a response before its body', '/late', async (response) => [
      response.status,
      response.bodyUsed,
      await response.text(),
    ]),
    {
      name: 'many at once',
      run: async ({ fetch, at }) => {
        const responses = await Promise.all(Array.from({ length: 20 }, () => fetch(at('/json'))))
        return (await Promise.all(responses.map((one) => one.text()))).length
      },
    },
  ]
}

async function described(value: unknown): Promise<unknown> {
  if (value instanceof Blob) return ['Blob', value.type, value.size, await value.text()]
  if (!(value instanceof FormData)) return value
  return Promise.all(
    [...value].map(async ([name, entry]) =>
      typeof entry === 'string' ? [name, entry] : [name, entry.name, entry.type, await entry.text()],
    ),
  )
}

async function drained(reader: ReadableStreamDefaultReader<Uint8Array> | undefined) {
  const [chunks, kinds]: [Uint8Array[], string[]] = [[], []]
  let total = 0
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
    if (done || value === undefined)
      return { total, kinds, text: total < 1_000 ? Buffer.concat(chunks).toString() : '' }
    chunks.push(value)
    kinds.push(value.constructor.name)
    total += value.length
  }
}
