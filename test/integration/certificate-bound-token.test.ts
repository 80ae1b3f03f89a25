import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { Client } from 'pinfetch'
import { oauth } from 'pinfetch/auth'
import { startTlsServer, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { API, ca, identity, oauthAt, SERVER } from '../support/auth-stage.ts'
import { testClient, until } from '../support/client.ts'

const clients = testCa({ name: 'Clients', intermediates: 0 })
const issue = (n: number): TestCertificate =>
  clients.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'], serial: Uint8Array.of(1, n) })

const thumbprint = (der: Uint8Array): string => createHash('sha256').update(der).digest('base64url')

/** RFC 8705 §3.1: what the connection of a request showed. */
const shownOn = (socket: unknown): string => thumbprint((socket as TLSSocket).getPeerCertificate().raw)

interface Stage {
  readonly client: Client
  readonly url: string
  readonly ask: () => Promise<number>
  /** Gives the client another certificate, and resolves with its thumbprint once it is in force. */
  readonly swap: () => Promise<string>
  readonly issued: ReadonlySet<string>
  /** Of the certificates on whose connections a request was taken. */
  readonly taken: readonly string[]
  /** Certificates that did not fit the token. */
  readonly refused: readonly string[]
}

/** An API that takes a token over connections of its own certificate alone, and a client whose certificate is in files. */
async function stage(http2: 'never' | 'require' = 'never'): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-bound-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const at = (name: string): string => join(folder, name)
  let turn = -1
  const write = (): TestCertificate => {
    turn += 1
    const next = issue(turn)
    mkdirSync(at(`..${turn}`))
    writeFileSync(at(`..${turn}/tls.crt`), next.pem)
    writeFileSync(at(`..${turn}/tls.key`), next.keyPem, { mode: 0o600 })
    symlinkSync(`..${turn}`, at('..next'))
    renameSync(at('..next'), at('..data'))
    return next
  }
  write()
  for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, at(name))

  const issued = new Set<string>()
  const taken: string[] = []
  const refused: string[] = []
  const judge = (authorization: string | undefined, shown: string): 200 | 401 => {
    const [, token = ''] = String(authorization).split(' ')
    const fits = issued.has(token) && token.startsWith(`${shown}.`)
    if (fits) taken.push(shown)
    else refused.push(shown)
    return fits ? 200 : 401
  }
  const answerToken = (socket: unknown): string => {
    const access_token = `${shownOn(socket)}.${issued.size}`
    issued.add(access_token)
    return JSON.stringify({ access_token, token_type: 'Bearer', expires_in: 3600 })
  }
  const speaker = createServer((request: Http2ServerRequest, response: Http2ServerResponse) => {
    const { socket } = request
    if (request.authority.startsWith(SERVER)) {
      response.setHeader('content-type', 'application/json')
      return void response.end(answerToken(socket))
    }
    const status = judge(request.headers.authorization, shownOn(socket))
    response.writeHead(status, status === 401 ? INVALID : {}).end('ok')
  })
  const alpn =
    http2 === 'never' ? {} : { alpn: ['h2'], onSocket: (socket: TLSSocket) => void speaker.emit('connection', socket) }
  const server = await until(
    startTlsServer({
      identity,
      requestCert: true,
      ...alpn,
      handler: (_request, response, { socket }) => {
        response.setHeader('content-type', 'application/json')
        response.end(answerToken(socket))
      },
    }),
  )
  const api = await until(
    startTlsServer({
      identity,
      requestCert: true,
      ...alpn,
      handler: ({ headers }, response, { socket }) => {
        const status = judge(String(headers.authorization), shownOn(socket))
        response.writeHead(status, status === 401 ? INVALID : {}).end('ok')
      },
    }),
  )
  const options = oauthAt(`https://${SERVER}:${server.port}`, `https://${API}:${api.port}`, {
    senderConstraint: 'mtls',
  })
  const client = testClient({
    http2,
    pins: { [API]: [identity.pin], [SERVER]: [identity.pin] },
    anchors: ca.anchorPem,
    certificate: { certFile: at('tls.crt'), keyFile: at('tls.key') },
    auth: [oauth(options)],
  })
  const url = `https://${API}:${api.port}/`
  const ask = async (): Promise<number> => {
    const response = await client.fetch(url)
    await response.text()
    return response.status
  }
  const swap = async (): Promise<string> => {
    const before = client.health().certificate?.serial
    const next = write()
    await expect.poll(() => client.health().certificate?.serial, { timeout: 30_000 }).not.toBe(before)
    return thumbprint(next.der)
  }
  return { client, url, ask, swap, issued, taken, refused }
}

const INVALID = { 'www-authenticate': 'Bearer error="invalid_token"' }

test('tokens are bound to the client certificate: the first request with a new one gets a token of its own first (BIND-11)', async () => {
  const { ask, swap, issued, taken, refused } = await stage()
  expect(await ask()).toBe(200)
  for (let turn = 1; turn <= 3; turn += 1) {
    const next = await swap()
    expect(await ask()).toBe(200)
    expect(taken.at(-1)).toBe(next)
  }
  expect(issued.size).toBe(4)
  expect(refused).toEqual([])
})

describe.each(['never', 'require'] as const)('under load, with http2 %s', (http2) => {
  test('no token meets a connection of another certificate, and each certificate costs one token (BIND-11)', async () => {
    const { ask, swap, issued, taken, refused } = await stage(http2)
    const statuses = new Map<number, number>()
    let isOver = false
    const asking = Array.from({ length: ASKERS }, async () => {
      while (!isOver) {
        const status = await ask()
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    })
    await expect.poll(() => taken.length, { timeout: 30_000 }).toBeGreaterThan(0)
    for (let turn = 1; turn <= SWAPS; turn += 1) {
      const next = await swap()
      await expect.poll(() => taken.at(-1), { timeout: 30_000 }).toBe(next)
    }
    isOver = true
    await Promise.all(asking)
    expect(refused).toEqual([])
    expect([...statuses.keys()]).toEqual([200])
    expect(issued.size).toBe(1 + SWAPS)
  })
})

const ASKERS = 8
const SWAPS = 3
