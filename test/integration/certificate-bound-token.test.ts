import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { oauth } from 'pinfetch/auth'
import { startTlsServer, type TestCertificate, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { API, ca, identity, oauthAt, SERVER } from '../support/auth-stage.ts'
import { testClient, until } from '../support/client.ts'

const clients = testCa({ name: 'Clients', intermediates: 0 })
const issue = (n: number): TestCertificate =>
  clients.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'], serial: Uint8Array.of(1, n) })

const thumbprint = (der: Uint8Array): string => createHash('sha256').update(der).digest('base64url')

/** RFC 8705 §3.1: what the connection of a request showed. */
const shownOn = ({ socket }: IncomingMessage): string => thumbprint((socket as TLSSocket).getPeerCertificate().raw)

test('tokens are bound to the client certificate: the first request with a new one gets a token of its own first (BIND-11)', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-bound-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const at = (name: string): string => join(folder, name)
  const swap = (next: TestCertificate, turn: number): void => {
    mkdirSync(at(`..${turn}`))
    writeFileSync(at(`..${turn}/tls.crt`), next.pem)
    writeFileSync(at(`..${turn}/tls.key`), next.keyPem, { mode: 0o600 })
    symlinkSync(`..${turn}`, at('..next'))
    renameSync(at('..next'), at('..data'))
  }
  swap(issue(0), 0)
  for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, at(name))

  const issued = new Set<string>()
  const taken: string[] = []
  let refused = 0
  const server = await until(
    startTlsServer({
      identity,
      requestCert: true,
      handler: (_request, response, message) => {
        const access_token = `${shownOn(message)}.${issued.size}`
        issued.add(access_token)
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ access_token, token_type: 'Bearer', expires_in: 3600 }))
      },
    }),
  )
  const api = await until(
    startTlsServer({
      identity,
      requestCert: true,
      handler: ({ headers }, response, message) => {
        const shown = shownOn(message)
        const [, token = ''] = String(headers.authorization).split(' ')
        if (issued.has(token) && token.startsWith(`${shown}.`)) {
          taken.push(shown)
          return response.end('ok')
        }
        refused += 1
        return response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
      },
    }),
  )
  const options = oauthAt(`https://${SERVER}:${server.port}`, `https://${API}:${api.port}`, {
    senderConstraint: 'mtls',
  })
  const client = testClient({
    pins: { [API]: [identity.pin], [SERVER]: [identity.pin] },
    anchors: ca.anchorPem,
    certificate: { certFile: at('tls.crt'), keyFile: at('tls.key') },
    auth: [oauth(options)],
  })
  const ask = async (): Promise<number> => {
    const response = await client.fetch(`https://${API}:${api.port}/`)
    await response.text()
    return response.status
  }
  expect(await ask()).toBe(200)
  for (let turn = 1; turn <= 3; turn += 1) {
    const before = client.health().certificate?.serial
    const next = issue(turn)
    swap(next, turn)
    await expect.poll(() => client.health().certificate?.serial, { timeout: 30_000 }).not.toBe(before)
    expect(await ask()).toBe(200)
    expect(taken.at(-1)).toBe(thumbprint(next.der))
  }
  expect(issued.size).toBe(4)
  expect(refused).toBe(0)
})
