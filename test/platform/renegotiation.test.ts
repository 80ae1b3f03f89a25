/**
 * TLS 1.2 lets a server start a second handshake on a live connection and show another certificate in it. What node:tls
 * offers against that, on node:tls alone. TLS 1.3 has no renegotiation (RFC 8446 §4.1.2).
 */
import { constants } from 'node:crypto'
import * as tls from 'node:tls'
import { certificatePem, type Relay, startRelay, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'

const good = testCa().issue({ names: ['localhost'] })
const other = testCa({ name: 'Other' }).issue({ names: ['localhost'] })
const anchors = [good, other].map(({ chainWithRoot }) => certificatePem(chainWithRoot.at(-1) ?? new Uint8Array()))

test('disableRenegotiation() on a client stops nothing: the server shows another certificate and goes on', async () => {
  const { relay, finished } = await renegotiatingServer()
  const { socket, shown, received } = open(relay)
  socket.disableRenegotiation()
  await finished
  expect(shown).toEqual([Buffer.from(good.der), Buffer.from(other.der)])
  expect(received()).toBe('after')
  expect(socket.authorized).toBe(true)
})

test('a full second handshake fires the event again, and destroying there sends nothing but its ClientHello', async () => {
  const { relay } = await renegotiatingServer()
  const { socket, shown, received, closed } = open(relay)
  let before = 0
  socket.once('secureConnect', () => {
    before = relay.clientToServer.records.length
  })
  socket.on('OCSPResponse', () => {
    if (shown.length === 2) socket.destroy(new Error('a second certificate'))
  })
  expect(await closed).toMatchObject({ message: 'a second certificate' })
  await relay.idle()
  expect(relay.clientToServer.records.slice(before)).toMatchObject([{ type: 22 }])
  expect(received()).toBe('')
})

test('SSL_OP_NO_RENEGOTIATION in the client’s context refuses the second handshake', async () => {
  const { relay } = await renegotiatingServer()
  const { shown, received, closed } = open(relay, { secureOptions: constants.SSL_OP_NO_RENEGOTIATION })
  expect(await closed).toMatchObject({ code: expect.stringContaining('HANDSHAKE_FAILURE') })
  expect(shown).toEqual([Buffer.from(good.der)])
  expect(received()).toBe('')
})

/** Swaps its certificate on the live connection, asks for a second handshake, then says `after`. */
async function renegotiatingServer(): Promise<{ relay: Relay; finished: Promise<void> }> {
  let finish: () => void = () => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const server = await startTlsServer({
    identity: good,
    maxVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION, // in full, not from the ticket
    onSocket: (socket) => {
      const swappable = socket as tls.TLSSocket & { setKeyCert(identity: { key: string; cert: string }): void }
      swappable.setKeyCert({ key: other.keyPem, cert: other.chain.map(certificatePem).join('') })
      socket.resume()
      socket.renegotiate({ rejectUnauthorized: false }, (error) => {
        if (error === null) socket.write('after', () => setTimeout(finish, 20))
      })
    },
  })
  const relay = await startRelay({ target: server })
  onTestFinished(async () => {
    await relay.close()
    await server.close()
  })
  return { relay, finished }
}

function open(relay: Relay, context: tls.SecureContextOptions = {}) {
  const settings: tls.ConnectionOptions & Pick<tls.TLSSocketOptions, 'requestOCSP'> = {
    host: relay.host,
    port: relay.port,
    servername: 'localhost',
    secureContext: tls.createSecureContext({ ca: anchors, ...context }),
    requestOCSP: true,
  }
  const socket = tls.connect(settings)
  const shown: Buffer[] = []
  const chunks: Buffer[] = []
  socket.on('OCSPResponse', () => shown.push(socket.getPeerCertificate(true).raw))
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const closed = new Promise<Error | undefined>((resolve) => {
    let failure: Error | undefined
    socket.on('error', (error) => {
      failure = error
    })
    socket.on('close', () => resolve(failure))
  })
  return { socket, shown, closed, received: () => Buffer.concat(chunks).toString() }
}
