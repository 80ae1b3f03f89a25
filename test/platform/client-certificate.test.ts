/**
 * Two facts about node:tls on which the words about client certificates rest: `getSharedSigalgs()` answers something in the
 * `OCSPResponse` event exactly where the server sent a CertificateRequest, and an alert that arrives has its number in the message.
 */
import * as tls from 'node:tls'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const own = ca.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] })

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('under %s', (maxVersion) => {
  test.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('a server that asks: %j, a client that has a certificate: %j', async (requestCert, hasOne) => {
    const peer = await until(startTlsServer({ identity, requestCert, maxVersion }))
    const seen: number[] = []
    const settings: tls.ConnectionOptions & Pick<tls.TLSSocketOptions, 'requestOCSP'> = {
      host: '127.0.0.1',
      port: peer.port,
      servername: 'localhost',
      ca: ca.anchorPem,
      requestOCSP: true,
      ...(hasOne ? { cert: own.pem, key: own.keyPem } : {}),
    }
    const socket = tls.connect(settings)
    socket.on('OCSPResponse', () => seen.push(socket.getSharedSigalgs().length))
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    socket.destroy()
    expect(seen.map((count) => count > 0)).toEqual([requestCert])
  })

  test('the message of a received alert ends with its number', async () => {
    const settings = { cert: identity.chain.map(pemOf).join(''), key: identity.keyPem, ca: ca.anchorPem, maxVersion }
    const server = tls.createServer({ ...settings, requestCert: true, rejectUnauthorized: true })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.anchorPem })
    socket.resume()
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve))
    socket.destroy()
    server.close()
    expect(error.message.trim()).toMatch(maxVersion === 'TLSv1.2' ? /SSL alert number 40$/ : /SSL alert number 116$/)
  })
})

function pemOf(der: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`
}
