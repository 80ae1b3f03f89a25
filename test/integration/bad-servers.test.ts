/**
 * What test/transport/bad-servers.test.ts, which has the rest of the badssl.com cases, cannot make out of a certificate or a program:
 * certificates that no log has seen, and Diffie-Hellman groups that no library serves any more.
 */
import { createServer, type Socket } from 'node:net'
import { connect } from 'node:tls'
import { allowLegacy } from 'pinfetch/dangerous'
import { startRelay, testCa, testLog, testLogList } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startListener } from '../support/client-hello.ts'
import { expectOnlyClientHello, startScene } from '../support/scene.ts'

const HOST = 'api.example.com'
const ca = testCa()
const good = ca.issue({ names: [HOST] })
const anchors = ca.anchorPem

describe('certificates that have to be logged', () => {
  const logs = [testLog({ operator: 'A' }), testLog({ operator: 'B' })]
  const strangers = [testLog({ operator: 'A' }), testLog({ operator: 'B' })]
  const ct = { mode: 'require', logList: testLogList(logs) } as const
  const clientOf = () => testClient({ pins: { [HOST]: [ca.issuer.pin] }, anchors, ct })

  test.each([
    ['in no log', good, 'ERR_TRUST_CT_NOT_ENOUGH_SCTS'],
    ['in logs that nobody knows', ca.issue({ names: [HOST], loggedIn: strangers }), 'ERR_TRUST_CT_NOT_ENOUGH_SCTS'],
  ] as const)('%s: refused for that, and nothing sent', async (_, identity, code) => {
    const scene = await startScene(identity)
    await refusalOf(clientOf().fetch(scene.url(HOST)), code)
    await expectOnlyClientHello(scene)
  })

  test('the control: one in the logs of the list is accepted', async () => {
    const scene = await startScene(ca.issue({ names: [HOST], loggedIn: logs }))
    expect((await clientOf().fetch(scene.url(HOST))).status).toBe(200)
  })
})

describe('Diffie-Hellman groups of 480 and 512 bits, composite ones, and ones with small subgroups', () => {
  const sunset = new Date(Date.now() + 30 * 86_400_000)
  const loosest = { legacyHosts: [allowLegacy(HOST, { reason: 'a bad server', sunset })] }
  const clientOf = () => testClient({ pins: { [HOST]: [good.pin] }, anchors, ...loosest })
  const DHE_SUITES = [0x9e, 0x9f, 0x33, 0x39, 0x67, 0x6b, 0xccaa, 0xc09e, 0xc09f, 0xc0a2, 0xc0a3, 0x16]

  test('are no part of a ClientHello, however old the host may be', async () => {
    const { port, hellos } = await startListener()
    await clientOf()
      .fetch(`https://${HOST}:${port}/`)
      .catch(() => undefined)
    const [hello] = hellos
    expect(hello?.suites.length).toBeGreaterThan(0)
    expect(hello?.suites.filter((suite) => DHE_SUITES.includes(suite))).toEqual([])
    expect(hello?.groups.filter((group) => group >= 0x100 && group <= 0x1ff)).toEqual([]) // ffdhe (RFC 7919)
  })

  test('a server that takes DHE unasked: ERR_TLS_HANDSHAKE; the control, a client that asked for it, goes on', async () => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.once('data', () => socket.end(DHE_HELLO))
    })
    onTestFinished(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const relay = await until(startRelay({ target: { port } }))
    const error = await refusalOf(clientOf().fetch(`https://${HOST}:${relay.port}/`), 'ERR_TLS_HANDSHAKE')
    expect(error.requestSent).toBe('no')
    expect(String((error.cause as { code?: string } | undefined)?.code)).toMatch(/CIPHER/)

    const naive = await new Promise<string>((resolve) => {
      const suite = { ciphers: 'DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0', maxVersion: 'TLSv1.2' } as const
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...suite })
      socket.once('error', ({ code, message }: NodeJS.ErrnoException) => resolve(code ?? message))
    })
    expect(naive).not.toMatch(/CIPHER/) // it waits for the certificate, and the server has gone
  })
})

/** A ServerHello of TLS 1.2 with TLS_DHE_RSA_WITH_AES_128_GCM_SHA256. */
const DHE_HELLO = Buffer.from(`160303002a020000260303${'5a'.repeat(32)}00009e00`, 'hex')
