import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { EvidenceRequest } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { isPublicAddress } from '../../src/transport/addresses.ts'
import { createEvidenceFetcher, type EvidenceNetwork } from '../../src/transport/evidence-fetch.ts'

/** A server that counts what reaches it. */
async function startSource(handler: RequestListener) {
  const server = createServer(handler)
  let connections = 0
  server.on('connection', () => {
    connections += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, connections: () => connections }
}

async function startRaw(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket.on('error', () => socket.destroy()))
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** `inside.test` is a host whose private address is allowed, `evil.test` one whose is not; both are this machine. */
async function get(
  request: Partial<EvidenceRequest> & { readonly url: string },
  network: Partial<EvidenceNetwork> & {
    readonly addresses?: readonly string[]
    readonly localAddress?: string
  } = {},
): Promise<string> {
  const port = Number(/:(\d+)\//.exec(request.url)?.[1] ?? 80)
  const { addresses = ['127.0.0.1'], localAddress, ...rest } = network
  const fetcher = createEvidenceFetcher({
    runtime: systemRuntime,
    network: { allowPrivateHosts: ['inside.test'], ports: [port], ...rest },
    resolver: async () => addresses,
    ...(localAddress === undefined ? {} : { localAddress }),
  })
  onTestFinished(() => fetcher.close())
  const chunks: Uint8Array[] = []
  for await (const chunk of fetcher.fetch({ maxBytes: 100_000, timeoutMs: 5_000, ...request })) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

describe('addresses', () => {
  test('connections come from localAddress, where there is one', async () => {
    const source = await startSource(({ socket }, response) => response.end(socket.remoteAddress))
    const url = `http://inside.test:${source.port}/`
    expect(await get({ url }, { localAddress: '127.0.0.9' })).toBe('127.0.0.9')
    expect(await get({ url })).toBe('127.0.0.1')
  })

  test('what the client denies is denied here, to hosts that may be private too: ERR_TRUST_FETCH_BLOCKED_ADDRESS', async () => {
    const source = await startSource((_, response) => response.end('crl'))
    const url = `http://inside.test:${source.port}/`
    const deny = [{ bytes: [127, 0, 0, 1], prefix: 32 }]
    await expect(get({ url }, { deny })).rejects.toMatchObject({ code: 'ERR_TRUST_FETCH_BLOCKED_ADDRESS' })
    expect(source.connections()).toBe(0)
    expect(await get({ url })).toBe('crl')
  })

  test.each([
    '10.1.2.3',
    '127.0.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::7f00:1',
    '64:ff9b::7f00:1',
    '::ffff:0:127.0.0.1', // as SIIT translates it (RFC 7915)
    '4000::1',
    '8000::1',
    '2001::1',
    '3fff::1',
    '2002:7f00:1::',
    'fd00::1',
    'fe80::1',
    'ff02::1',
    'fec0::1',
    'localhost',
    '',
  ])('%s is not reached over the Internet', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  test.each(['8.8.8.8', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])('%s is', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })
})

describe('nothing is sent to', () => {
  test.each([
    ['an IPv4 address of this machine', 'http://127.0.0.1:PORT/'],
    ['its decimal notation', 'http://2130706433:PORT/'],
    ['its hexadecimal notation', 'http://0x7f000001:PORT/'],
    ['its octal notation', 'http://0177.0.0.1:PORT/'],
    ['its short notation', 'http://127.1:PORT/'],
    ['its IPv6 notation', 'http://[::ffff:127.0.0.1]:PORT/'],
    ['its NAT64 notation', 'http://[64:ff9b::7f00:1]:PORT/'],
    ['the address of every interface', 'http://0.0.0.0:PORT/'],
    ['a name that resolves to it', 'http://evil.test:PORT/'],
    ['a redirect to it', 'http://inside.test:PORT/redirect?to=http://evil.test:PORT/'],
    ['a redirect to its number', 'http://inside.test:PORT/redirect?to=http://127.0.0.1:PORT/'],
  ])('%s: ERR_TRUST_FETCH_BLOCKED_ADDRESS', async (_, pattern) => {
    const seen: string[] = []
    const source = await startSource((request, response) => {
      seen.push(request.url ?? '')
      const to = /to=(.*)$/.exec(request.url ?? '')?.[1]
      if (to !== undefined) response.writeHead(302, { location: to })
      response.end('secret')
    })
    const url = pattern.replaceAll('PORT', String(source.port))
    await expect(get({ url })).rejects.toMatchObject({ code: 'ERR_TRUST_FETCH_BLOCKED_ADDRESS' })
    expect(seen.filter((path) => !path.startsWith('/redirect'))).toEqual([])
    expect(source.connections()).toBe(seen.length)
  })

  test('the private ones among the addresses of a name', async () => {
    const source = await startSource((_, response) => response.end('secret'))
    const addresses = ['127.0.0.1', '::1']
    await expect(get({ url: `http://evil.test:${source.port}/` }, { addresses })).rejects.toMatchObject({
      code: 'ERR_TRUST_FETCH_BLOCKED_ADDRESS',
    })
    expect(source.connections()).toBe(0)
  })

  test.each<[string, () => Promise<unknown>]>([
    ['answers with no list', async () => 'nonsense'],
    ['answers with no addresses', async () => [null, 7, {}]],
    ['fails', () => Promise.reject(new Error('resolver'))],
  ])('a name whose resolver %s: ERR_TRUST_FETCH_…', async (_, answer) => {
    const fetcher = createEvidenceFetcher({
      runtime: systemRuntime,
      network: { allowPrivateHosts: ['inside.test'], ports: [80] },
      resolver: answer as () => Promise<string[]>,
    })
    onTestFinished(() => fetcher.close())
    const pieces = fetcher.fetch({ url: 'http://inside.test/', maxBytes: 100, timeoutMs: 5_000 })
    await expect(pieces[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_TRUST_FETCH_(NETWORK|BLOCKED_ADDRESS)$/),
    })
  })

  test.each([
    ['ftp://inside.test/', 'ERR_TRUST_FETCH_BAD_SCHEME'],
    ['ldap://inside.test/cn=ca', 'ERR_TRUST_FETCH_BAD_SCHEME'],
    ['file:///etc/passwd', 'ERR_TRUST_FETCH_BAD_SCHEME'],
    ['http://user:secret@inside.test/', 'ERR_TRUST_FETCH_BAD_URL'],
    ['not a URL', 'ERR_TRUST_FETCH_BAD_URL'],
    [`http://inside.test/${'a'.repeat(3_000)}`, 'ERR_TRUST_FETCH_BAD_URL'],
  ])('%s: %s', async (url, code) => {
    await expect(get({ url })).rejects.toMatchObject({ code })
  })

  test('a port that is not allowed: ERR_TRUST_FETCH_BAD_PORT', async () => {
    const source = await startSource((_, response) => response.end('secret'))
    await expect(get({ url: `http://inside.test:${source.port}/` }, { ports: [80, 443] })).rejects.toMatchObject({
      code: 'ERR_TRUST_FETCH_BAD_PORT',
    })
    expect(source.connections()).toBe(0)
  })
})

describe('an answer', () => {
  test('of an allowed host arrives, without credentials and without any header of the application', async () => {
    let seen: unknown
    const source = await startSource((request, response) => {
      seen = request.headers
      response.end('list')
    })
    expect(await get({ url: `http://inside.test:${source.port}/a.crl` })).toBe('list')
    expect(Object.keys(seen as object).sort()).toEqual(['accept-encoding', 'connection', 'host'])
  })

  test('is followed over two redirects and no more: ERR_TRUST_FETCH_TOO_MANY_REDIRECTS', async () => {
    const source = await startSource((request, response) => {
      const left = Number(request.url?.slice(1))
      if (left === 0) response.end('list')
      else response.writeHead(301, { location: `/${left - 1}` }).end()
    })
    expect(await get({ url: `http://inside.test:${source.port}/2` })).toBe('list')
    await expect(get({ url: `http://inside.test:${source.port}/3` })).rejects.toMatchObject({
      code: 'ERR_TRUST_FETCH_TOO_MANY_REDIRECTS',
    })
  })

  test('of another status is none: ERR_TRUST_FETCH_STATUS', async () => {
    const source = await startSource((_, response) => response.writeHead(404).end('<html>'))
    await expect(get({ url: `http://inside.test:${source.port}/` })).rejects.toMatchObject({
      code: 'ERR_TRUST_FETCH_STATUS',
    })
  })

  test('that never ends is cut at the limit: ERR_TRUST_FETCH_TOO_LARGE', async () => {
    const port = await startRaw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const more = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(16_384)));
      }
      socket.on('drain', more)
      more()
    })
    await expect(get({ url: `http://inside.test:${port}/` })).rejects.toMatchObject({
      code: 'ERR_TRUST_FETCH_TOO_LARGE',
    })
  })

  test('is not inflated', async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000))
    const source = await startSource((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
    })
    expect(await get({ url: `http://inside.test:${source.port}/` })).toBe(bomb.toString())
  })

  test.each([
    ['headers that never come', ''],
    ['headers that never end', 'HTTP/1.1 200 OK\r\nx: '],
    ['a body that never ends', 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n'],
  ])('of %s, an octet at a time, ends at the deadline: ERR_TRUST_FETCH_TIMEOUT', async (_, head) => {
    const port = await startRaw((socket) => {
      socket.write(head)
      const drip = setInterval(() => socket.destroyed || socket.write('a'), 20)
      socket.on('close', () => clearInterval(drip))
      if (head === '') clearInterval(drip)
    })
    await expect(get({ url: `http://inside.test:${port}/`, timeoutMs: 500 })).rejects.toMatchObject({
      code: 'ERR_TRUST_FETCH_TIMEOUT',
    })
  })

  test('of nobody is none: ERR_TRUST_FETCH_NETWORK', async () => {
    await expect(get({ url: 'http://inside.test:1/' })).rejects.toMatchObject({
      code: 'ERR_TRUST_FETCH_NETWORK',
      message: expect.stringContaining('ECONNREFUSED'),
    })
    await expect(get({ url: 'http://evil.test:1/' }, { addresses: [] })).rejects.toMatchObject({
      code: 'ERR_TRUST_FETCH_NETWORK',
      message: expect.stringContaining('ENOTFOUND'),
    })
  })

  test('to an OCSP request follows no redirect', async () => {
    const asked: string[] = []
    const source = await startSource((request, response) => {
      const body: Buffer[] = []
      request.on('data', (chunk: Buffer) => body.push(chunk))
      request.on('end', () => {
        asked.push(`${request.method} ${request.headers['content-type']} ${Buffer.concat(body)}`)
        if (request.url === '/moved') response.writeHead(307, { location: '/' })
        response.end('status')
      })
    })
    const ocspRequest = Buffer.from('asked')
    expect(await get({ url: `http://inside.test:${source.port}/`, ocspRequest })).toBe('status')
    expect(asked).toEqual(['POST application/ocsp-request asked'])
    await expect(get({ url: `http://inside.test:${source.port}/moved`, ocspRequest })).rejects.toMatchObject({
      code: 'ERR_TRUST_FETCH_STATUS',
    })
  })

  test('comes through a proxy that the application names', async () => {
    const asked: string[] = []
    const proxy = await startSource((request, response) => {
      asked.push(request.url ?? '')
      response.end('list')
    })
    const url = 'http://crl.example.com/a.crl'
    expect(await get({ url }, { ports: [80], proxy: `http://127.0.0.1:${proxy.port}` })).toBe('list')
    expect(asked).toEqual([url])
  })
})
