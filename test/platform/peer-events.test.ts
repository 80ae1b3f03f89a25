/**
 * The two facts about node:tls on which the connector rests, without any code of the connector: the `OCSPResponse` event
 * comes before the client has said anything but its ClientHello, and the peer's certificates can be read there, in one
 * order of calls. Run on every supported Node: if one of these fails, the connector is unsafe there.
 */
import { once } from 'node:events'
import * as tls from 'node:tls'
import {
  expiredTwinOf,
  forgedTwinOf,
  type Relay,
  startRelay,
  startTlsServer,
  type TestTlsServer,
  type TlsServerOptions,
  testCa,
} from 'pinfetch/testing'
import { afterEach, describe, expect, test } from 'vitest'

const CLIENT_HELLO = { type: 22, firstByte: 1 }
const CERTIFICATE = { type: 22, firstByte: 11 }
const REFUSED = new Error('refused by the test')

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const strangers = testCa({ name: 'Stranger' })
const clientCertificate = testCa({ name: 'Client' }).issue({ names: ['client'], extendedKeyUsage: ['clientAuth'] })

const opened: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]()
})

const versions = ['TLSv1.2', 'TLSv1.3'] as const
const trust = [
  { chain: 'a trusted', anchor: ca.anchorPem },
  { chain: 'an untrusted', anchor: strangers.anchorPem },
]

describe.each(versions)('the OCSPResponse event under %s', (maxVersion) => {
  describe.each(trust)('with $chain chain', ({ anchor }) => {
    test('fires once, without a staple, and shows the peer’s certificates', async () => {
      const { relay } = await wire({ identity, maxVersion })
      const seen: { staple: unknown; endEntity: Buffer | undefined }[] = []
      const socket = open(relay, { ca: anchor })
      socket.on('OCSPResponse', (staple) => seen.push({ staple, endEntity: socket.getPeerCertificate(true).raw }))
      await sendAndClose(socket)
      expect(seen).toEqual([{ staple: null, endEntity: Buffer.from(identity.der) }])
    })

    test('destroying the socket in it leaves the ClientHello as the only record of the client', async () => {
      const { relay, server } = await wire({ identity, maxVersion })
      const socket = open(relay, { ca: anchor })
      socket.on('OCSPResponse', () => socket.destroy(REFUSED))
      expect(await sendAndClose(socket)).toBe(REFUSED)
      await relay.idle()
      expect(relay.clientToServer.records).toEqual([expect.objectContaining(CLIENT_HELLO)])
      expect(server.applicationBytes).toBe(0)
      expect(server.connections).toHaveLength(0)
    })

    test('destroying the socket in it keeps the client certificate from a server that asks for one', async () => {
      const { relay, server } = await wire({ identity, maxVersion, requestCert: true })
      const socket = open(relay, { ca: anchor, cert: clientCertificate.pem, key: clientCertificate.keyPem })
      socket.on('OCSPResponse', () => socket.destroy(REFUSED))
      expect(await sendAndClose(socket)).toBe(REFUSED)
      await relay.idle()
      expect(relay.clientToServer.records).toEqual([expect.objectContaining(CLIENT_HELLO)])
      expect(server.clientCertificates).toHaveLength(0)
    })
  })

  test('hands over a staple as sent, whatever it holds', async () => {
    const { relay } = await wire({ identity, maxVersion, ocspResponse: Uint8Array.of(0x30, 0x03, 0x0a, 0x01, 0x06) })
    const socket = open(relay)
    const staple = once(socket, 'OCSPResponse')
    await sendAndClose(socket)
    expect(await staple).toEqual([Buffer.of(0x30, 0x03, 0x0a, 0x01, 0x06)])
  })

  test('fires before checkServerIdentity and before secureConnect', async () => {
    const { relay } = await wire({ identity, maxVersion })
    const order: string[] = []
    const socket = open(relay, {
      checkServerIdentity: () => {
        order.push('checkServerIdentity')
        return undefined
      },
    })
    socket.on('OCSPResponse', () => order.push('OCSPResponse'))
    socket.on('secureConnect', () => order.push('secureConnect'))
    await sendAndClose(socket)
    expect(order).toEqual(['OCSPResponse', 'checkServerIdentity', 'secureConnect'])
  })

  test('control: the same connection, not destroyed, delivers the client certificate and the request', async () => {
    const { relay, server } = await wire({ identity, maxVersion, requestCert: true })
    const socket = open(relay, { cert: clientCertificate.pem, key: clientCertificate.keyPem })
    socket.on('OCSPResponse', () => {})
    expect(await sendAndClose(socket)).toBeUndefined()
    await relay.idle()
    expect(relay.clientToServer.applicationData).toBeGreaterThan(0)
    expect(server.clientCertificates).toEqual([clientCertificate.der])
    expect(server.requests).toHaveLength(1)
    expect(server.applicationBytes).toBe(REQUEST.length)
  })

  test('100 refusals in a row are clean', async () => {
    const { relay, server } = await wire({ identity, maxVersion })
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const socket = open(relay)
      socket.on('OCSPResponse', () => socket.destroy(REFUSED))
      expect(await sendAndClose(socket)).toBe(REFUSED)
    }
    await relay.idle()
    expect(relay.clientToServer.records).toEqual(Array(100).fill(expect.objectContaining(CLIENT_HELLO)))
    expect(server.connections).toHaveLength(0)
  })

  test('on a resumed session there is no certificate to judge: no event under 1.2, one with an empty peer under 1.3', async () => {
    const { relay, server } = await wire({ identity, maxVersion })
    const first = open(relay)
    const sessions: Buffer[] = []
    first.on('session', (session) => sessions.push(session))
    await sendAndClose(first)

    const [session] = sessions
    const second = open(relay, session === undefined ? {} : { session })
    const peers: tls.DetailedPeerCertificate[] = []
    const atSecureConnect: (tls.DetailedPeerCertificate | boolean)[] = []
    second.on('OCSPResponse', () => peers.push(second.getPeerCertificate(true)))
    second.on('secureConnect', () => atSecureConnect.push(second.isSessionReused(), second.getPeerCertificate(true)))
    expect(await sendAndClose(second)).toBeUndefined()
    expect(server.sessionsReused).toBe(1)
    expect(peers).toEqual(maxVersion === 'TLSv1.2' ? [] : [{}])
    expect(atSecureConnect).toEqual([true, {}])
  })
})

test('after a HelloRetryRequest a refused server has two ClientHellos, and still nothing else', async () => {
  const { relay, server } = await wire({ identity, groups: 'P-521' }) // no client sends a share for it unasked
  const socket = open(relay)
  socket.on('OCSPResponse', () => socket.destroy(REFUSED))
  expect(await sendAndClose(socket)).toBe(REFUSED)
  await relay.idle()
  const hello = expect.objectContaining(CLIENT_HELLO)
  const dummy = expect.objectContaining({ type: 20, length: 1 }) // RFC 8446 §D.4, for middleboxes
  expect(relay.clientToServer.records).toEqual([hello, dummy, hello])
  expect(server.applicationBytes).toBe(0)
})

describe('contrast: what a later verdict has already given away', () => {
  test('under TLS 1.2 a socket destroyed at secureConnect has shown the client certificate', async () => {
    const { relay, server } = await wire({ identity, maxVersion: 'TLSv1.2', requestCert: true })
    const socket = open(relay, { cert: clientCertificate.pem, key: clientCertificate.keyPem })
    socket.on('secureConnect', () => socket.destroy(REFUSED))
    expect(await sendAndClose(socket)).toBe(REFUSED)
    await relay.idle()
    expect(relay.clientToServer.records).toContainEqual(expect.objectContaining(CERTIFICATE))
    expect(server.clientCertificates).toEqual([clientCertificate.der])
  })

  test('under TLS 1.2 so has a chain that Node itself refuses', async () => {
    const { relay, server } = await wire({ identity, maxVersion: 'TLSv1.2', requestCert: true })
    const settings = { ca: strangers.anchorPem, cert: clientCertificate.pem, key: clientCertificate.keyPem }
    expect(await sendAndClose(open(relay, settings))).toMatchObject({ code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' })
    await relay.idle()
    expect(server.clientCertificates).toEqual([clientCertificate.der])
  })

  test('under TLS 1.3 a socket destroyed in the tick of secureConnect has sent the ClientHello only', async () => {
    const { relay, server } = await wire({ identity, maxVersion: 'TLSv1.3', requestCert: true })
    const socket = open(relay, { cert: clientCertificate.pem, key: clientCertificate.keyPem })
    socket.on('secureConnect', () => socket.destroy(REFUSED))
    expect(await sendAndClose(socket)).toBe(REFUSED)
    await relay.idle()
    expect(relay.clientToServer.records).toEqual([expect.objectContaining(CLIENT_HELLO)])
    expect(server.clientCertificates).toHaveLength(0)
  })

  test('under TLS 1.3 one await before the verdict shows the client certificate', async () => {
    const { relay, server } = await wire({ identity, maxVersion: 'TLSv1.3', requestCert: true })
    const socket = open(relay, { cert: clientCertificate.pem, key: clientCertificate.keyPem })
    socket.on('secureConnect', () => setTimeout(() => socket.destroy(REFUSED), 50))
    expect(await closed(socket)).toBe(REFUSED)
    await relay.idle()
    expect(relay.clientToServer.applicationData).toBeGreaterThan(0)
    expect(server.clientCertificates).toEqual([clientCertificate.der])
  })
})

describe.each(versions)('reading the peer in the event under %s', (maxVersion) => {
  const presented = [
    identity.der,
    expiredTwinOf(ca.issuer).der,
    forgedTwinOf(ca.root).der,
    ca.issuer.der,
    strangers.root.der,
    strangers.issuer.der,
  ]
  const bag: TlsServerOptions = { identity: { certificates: presented, key: identity.keyPem }, maxVersion }

  test('getPeerCertificate(true), then getPeerX509Certificate() once, hold every presented certificate in order', async () => {
    const { relay } = await wire(bag)
    const socket = open(relay, { checkServerIdentity: () => undefined }) // Node's own reads what may be empty by then
    const read: { legacy: Buffer[]; positional: Buffer[] }[] = []
    socket.on('OCSPResponse', () => read.push({ legacy: legacyChain(socket), positional: positionalChain(socket) }))
    expect(await sendAndClose(socket)).toBeUndefined()
    expect(read).toHaveLength(1)
    expect(read[0]?.positional).toEqual(presented.map((der) => Buffer.from(der)))
    expect(read[0]?.legacy[0]).toEqual(Buffer.from(identity.der))
  })

  test('neither view follows signatures: the forged root and the expired intermediate are linked in', async () => {
    const { relay } = await wire(bag)
    const socket = open(relay)
    const links: boolean[] = []
    socket.on('OCSPResponse', () => {
      const endEntity = socket.getPeerX509Certificate()
      for (let at = endEntity; at?.issuerCertificate !== undefined; at = at.issuerCertificate) {
        links.push(at.verify(at.issuerCertificate.publicKey))
      }
    })
    await sendAndClose(socket)
    expect(links).toContain(false)
  })

  test('with both calls made, Node’s own identity check refuses a good peer wherever they emptied its view', async () => {
    const { relay } = await wire(bag)
    const socket = open(relay)
    socket.on('OCSPResponse', () => [legacyChain(socket), positionalChain(socket)])
    const failure = await sendAndClose(socket)
    if (await secondCallEmptiesTheFirst()) expect(failure).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    else expect(failure).toBeUndefined()
  })

  test('the second call either leaves the first one’s answer alone or empties it for good', async () => {
    const { relay } = await wire(bag)
    const shownToIdentityCheck: tls.PeerCertificate[] = []
    const socket = open(relay, {
      checkServerIdentity: (_host, certificate) => {
        shownToIdentityCheck.push(certificate)
        return undefined
      },
    })
    const after: { legacy: Buffer[]; positional: Buffer[] }[] = []
    const readAgain = (): void => {
      after.push({ legacy: legacyChain(socket), positional: positionalChain(socket) })
    }
    socket.on('OCSPResponse', () => {
      legacyChain(socket)
      positionalChain(socket)
      readAgain()
    })
    socket.on('secureConnect', readAgain)
    expect(await sendAndClose(socket)).toBeUndefined()

    expect(after).toHaveLength(2)
    if (await secondCallEmptiesTheFirst()) {
      expect(after).toEqual(Array(2).fill({ legacy: [], positional: [] }))
      expect(shownToIdentityCheck).toEqual([{}])
    } else {
      const all = presented.map((der) => Buffer.from(der))
      expect(after.map(({ positional }) => positional)).toEqual([all, all])
      expect(shownToIdentityCheck).toMatchObject([{ raw: Buffer.from(identity.der) }])
    }
  })
})

/** Node 20 to 24 take the end entity off OpenSSL's own list (node#65579); asked of the runtime, since patches arrive. */
async function secondCallEmptiesTheFirst(): Promise<boolean> {
  const { relay } = await wire({ identity })
  const socket = open(relay)
  let emptied = false
  socket.on('secureConnect', () => {
    socket.getPeerX509Certificate()
    emptied = legacyChain(socket).length === 0
  })
  await sendAndClose(socket)
  return emptied
}

async function wire(options: TlsServerOptions): Promise<{ relay: Relay; server: TestTlsServer }> {
  const server = await startTlsServer(options)
  const relay = await startRelay({ target: server })
  opened.push(relay, server)
  return { relay, server }
}

function open(relay: Relay, settings: tls.ConnectionOptions = {}): tls.TLSSocket {
  const withStaple: tls.ConnectionOptions & Pick<tls.TLSSocketOptions, 'requestOCSP'> = {
    host: relay.host,
    port: relay.port,
    servername: 'localhost',
    ca: ca.anchorPem,
    rejectUnauthorized: true,
    requestOCSP: true,
    ...settings,
  }
  return tls.connect(withStaple)
}

/** Writes a request as soon as Node lets it out, and answers with the error the socket ended with, if any. */
function sendAndClose(socket: tls.TLSSocket): Promise<Error | undefined> {
  socket.on('secureConnect', () => {
    if (!socket.destroyed) socket.end(REQUEST)
  })
  return closed(socket)
}

function closed(socket: tls.TLSSocket): Promise<Error | undefined> {
  return new Promise((resolve) => {
    let failure: Error | undefined
    socket.on('error', (error) => {
      failure = error
    })
    socket.on('close', () => resolve(failure))
    socket.resume()
  })
}

/** Linked by issuer name and key identifier; ends at a certificate that names itself as issuer, or with none. */
function legacyChain(socket: tls.TLSSocket): Buffer[] {
  const chain: Buffer[] = []
  let at: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (at?.raw !== undefined && !chain.some((raw) => raw.equals(at?.raw ?? Buffer.alloc(0)))) {
    chain.push(at.raw)
    at = at.issuerCertificate
  }
  return chain
}

/** Linked by position in the presented list. */
function positionalChain(socket: tls.TLSSocket): Buffer[] {
  const chain: Buffer[] = []
  for (let at = socket.getPeerX509Certificate(); at !== undefined; at = at.issuerCertificate) chain.push(at.raw)
  return chain
}

const REQUEST = 'GET / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer secret\r\nconnection: close\r\n\r\n'
