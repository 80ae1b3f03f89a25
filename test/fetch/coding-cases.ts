import * as zlib from 'node:zlib'
import { TRIMMED } from './response-cases.ts'
import { type Case, outcome, type Routes, seen } from './roads.ts'

const TEXT = Buffer.from('the quick brown fox '.repeat(200))
const gzipped = zlib.gzipSync(TEXT)
const large = Buffer.alloc(600_000, 'the quick brown fox jumps over the lazy dog. ')
const noise = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i * 31 + (i >> 3) * 7) & 0xff))

/** Bodies with a Content-Encoding: good, cut off, broken, named wrongly, several. */
export function codingCases({ http, raw }: Routes): readonly Case[] {
  const served = (
    name: string,
    coding: string,
    body: Uint8Array,
    options: { method?: string; status?: number } = {},
  ): Case => {
    const route = `/coding-${name.replaceAll(/\W+/g, '-')}`
    http.set(route, (_, response) => {
      response.writeHead(options.status ?? 200, { 'content-encoding': coding, 'content-type': 'text/plain' })
      if (options.method === 'HEAD' || options.status === 304) response.end()
      else response.end(body)
    })
    return {
      name,
      run: async ({ fetch, at }) =>
        seen(await fetch(at(route), { method: options.method ?? 'GET' }), async (one) => digest(await one.text())),
    }
  }
  raw.set('/coding-slow', (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${gzipped.length}\r\n\r\n`)
    socket.write(gzipped.subarray(0, 20))
    setTimeout(() => socket.end(gzipped.subarray(20)), 30)
  })
  raw.set('/coding-cut', (socket) => {
    socket.end(
      Buffer.concat([
        Buffer.from('HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 900\r\n\r\n'),
        gzipped.subarray(0, 40),
      ]),
    )
  })
  raw.set('/coding-two-fields', (socket) => {
    const body = zlib.gzipSync(zlib.deflateSync(TEXT))
    socket.end(
      Buffer.concat([
        Buffer.from(
          `HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`,
        ),
        body,
      ]),
    )
  })
  const flipped = Buffer.from(gzipped)
  flipped[30] = (flipped[30] ?? 0) ^ 0xff
  const wrongSum = Buffer.from(gzipped)
  wrongSum[gzipped.length - 6] = (wrongSum[gzipped.length - 6] ?? 0) ^ 0xff
  const gzippedNoise = zlib.gzipSync(noise)
  const brokenNoise = Buffer.concat([
    gzippedNoise.subarray(0, 100_000),
    Buffer.alloc(200, 255),
    gzippedNoise.subarray(100_200),
  ])
  const zstd = Reflect.get(zlib, 'zstdCompressSync') as ((bytes: Uint8Array) => Uint8Array) | undefined
  return [
    served('gzip', 'gzip', gzipped),
    served('x-gzip', 'x-gzip', gzipped),
    served('GZIP in capitals', 'GZip', gzipped),
    { ...served('gzip with spaces', '  gzip  ', gzipped), wanted: TRIMMED },
    served('deflate as zlib', 'deflate', zlib.deflateSync(TEXT)),
    served('deflate bare', 'deflate', zlib.deflateRawSync(TEXT)),
    served('br', 'br', zlib.brotliCompressSync(TEXT)),
    served('zstd', 'zstd', zstd?.(TEXT) ?? TEXT),
    served('zstd cut off', 'zstd', zstd?.(TEXT).subarray(0, 20) ?? TEXT),
    served('zstd broken', 'zstd', TEXT),
    served('gzip of a large body', 'gzip', zlib.gzipSync(large)),
    served('gzip of noise', 'gzip', gzippedNoise),
    served('br of a large body', 'br', zlib.brotliCompressSync(large)),
    served(
      'br of noise',
      'br',
      zlib.brotliCompressSync(noise, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
    ),
    served('deflate of noise', 'deflate', zlib.deflateSync(noise)),
    served('bare deflate of noise', 'deflate', zlib.deflateRawSync(noise)),
    served('gzip of nothing', 'gzip', zlib.gzipSync('')),
    served('gzip over an empty body', 'gzip', Buffer.alloc(0)),
    served('deflate over an empty body', 'deflate', Buffer.alloc(0)),
    served('br over an empty body', 'br', Buffer.alloc(0)),
    served('gzip cut off', 'gzip', gzipped.subarray(0, gzipped.length - 20)),
    served('gzip without its trailer', 'gzip', gzipped.subarray(0, gzipped.length - 8)),
    served('gzip cut off in its header', 'gzip', gzipped.subarray(0, 5)),
    served('gzip cut off after its header', 'gzip', gzipped.subarray(0, 10)),
    served('deflate cut off', 'deflate', zlib.deflateSync(TEXT).subarray(0, 20)),
    served('deflate of one byte', 'deflate', Buffer.from([0x78])),
    served('br cut off', 'br', zlib.brotliCompressSync(TEXT).subarray(0, 20)),
    served('noise cut off', 'gzip', gzippedNoise.subarray(0, 150_000)),
    served('gzip flipped', 'gzip', flipped),
    served('gzip with a wrong checksum', 'gzip', wrongSum),
    served('gzip that is text', 'gzip', TEXT),
    served('deflate that is text', 'deflate', Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])),
    served('br that is text', 'br', Buffer.alloc(50, 255)),
    served('noise broken in the middle', 'gzip', brokenNoise),
    served('two members', 'gzip', Buffer.concat([gzipped, zlib.gzipSync('second')])),
    served('a member and garbage', 'gzip', Buffer.concat([gzipped, Buffer.from('garbage')])),
    served('a member and zeroes', 'gzip', Buffer.concat([gzipped, Buffer.alloc(20)])),
    served('deflate and garbage', 'deflate', Buffer.concat([zlib.deflateSync(TEXT), Buffer.from('garbage')])),
    served('br and garbage', 'br', Buffer.concat([zlib.brotliCompressSync(TEXT), Buffer.from('garbage')])),
    served('deflate, gzip', 'deflate, gzip', zlib.gzipSync(zlib.deflateSync(TEXT))),
    served('gzip,br', 'gzip,br', zlib.brotliCompressSync(gzipped)),
    served('three times', 'gzip, gzip, gzip', zlib.gzipSync(zlib.gzipSync(gzipped))),
    served(
      'five times',
      'gzip, gzip, gzip, gzip, gzip',
      [1, 2, 3, 4].reduce((bytes) => zlib.gzipSync(bytes), gzipped),
    ),
    served('six times', 'gzip, gzip, gzip, gzip, gzip, gzip', gzipped),
    served('twice, the inner one broken', 'gzip, gzip', zlib.gzipSync(TEXT)),
    served(
      'twice, large',
      'deflate, br',
      zlib.brotliCompressSync(zlib.deflateSync(noise), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
    ),
    served('identity', 'identity', TEXT),
    served('an unknown coding', 'rot13', TEXT),
    served('gzip and an unknown one', 'rot13, gzip', gzipped),
    served('an empty element', 'gzip,', gzipped),
    served('a coding named constructor', 'constructor', TEXT),
    served('HEAD with gzip', 'gzip', gzipped, { method: 'HEAD' }),
    served('304 with gzip', 'gzip', gzipped, { status: 304 }),
    served('404 with gzip', 'gzip', gzipped, { status: 404 }),
    served('a redirect without location, gzip', 'gzip', gzipped, { status: 302 }),
    {
      name: 'gzip in two pieces',
      run: async ({ fetch, at }) => seen(await fetch(at('/coding-slow')), async (one) => digest(await one.text())),
    },
    { name: 'gzip whose connection is cut', run: async ({ fetch, at }) => seen(await fetch(at('/coding-cut'))) },
    {
      name: 'two fields',
      run: async ({ fetch, at }) =>
        seen(await fetch(at('/coding-two-fields')), async (one) => digest(await one.text())),
    },
    {
      name: 'gzip, cloned',
      run: async ({ fetch, at }) => {
        const response = await fetch(at('/coding-gzip'))
        const copy = response.clone()
        return [digest(await response.text()), digest(await copy.text())]
      },
    },
    {
      name: 'gzip, cancelled in the middle',
      run: async ({ fetch, at }) => {
        const reader = (await fetch(at('/coding-gzip-of-noise'))).body?.getReader()
        const first = await reader?.read()
        return [first?.done, await outcome(() => reader?.cancel('enough')), await reader?.read()]
      },
    },
    {
      name: 'what came before the break',
      run: async ({ fetch, at }) => {
        const reader = (await fetch(at('/coding-gzip-with-a-wrong-checksum'))).body?.getReader()
        const reads: unknown[] = []
        for (let i = 0; i < 2; i += 1) reads.push(await outcome(async () => (await reader?.read())?.value?.length))
        return reads.at(-1)
      },
    },
  ]
}

function digest(text: string): unknown {
  return text.length < 100 ? text : [text.length, text.slice(0, 20), text.slice(-20)]
}
