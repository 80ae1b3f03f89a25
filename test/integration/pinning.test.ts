import { constants, createHash, X509Certificate } from 'node:crypto'
import https from 'node:https'
import tls from 'node:tls'
import {
  expiredTwinOf,
  forgedTwinOf,
  impostorOf,
  type Relay,
  type ServerIdentity,
  startRelay,
  startTlsServer,
  type TestCertificate,
  type TestHandler,
  type TestTlsServer,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { runModule } from '../support/run.ts'

const HOST = 'api.example.com'
const genuine = testCa({ name: 'Genuine' })
const rogue = testCa({ name: 'Rogue' })
const anchors = [genuine.anchorPem, rogue.anchorPem] // the attacker owns a CA that the client trusts
const server = genuine.issue({ names: [HOST] })
const attacker = rogue.issue({ names: [HOST] })

interface Scene {
  readonly relay: Relay
  readonly peer: TestTlsServer
  readonly url: string
}

async function scene(identity: ServerIdentity | readonly ServerIdentity[], options = {}): Promise<Scene> {
  const peer = await until(startTlsServer({ identity, ...options }))
  const relay = await until(startRelay({ target: peer }))
  return { peer, relay, url: `https://${HOST}:${relay.port}/v1/accounts` }
}

const certificates = (key: TestCertificate, ...list: { readonly der: Uint8Array }[]): ServerIdentity => ({
  certificates: [key.der, ...list.map(({ der }) => der)],
  key: key.keyPem,
})

/** What the wire and the server saw of a refused client: its ClientHello, nothing decrypted. */
async function expectOnlyClientHello({ relay, peer }: Scene): Promise<void> {
  await relay.idle()
  for (const { clientToServer } of relay.connections) {
    expect(clientToServer.records.map(({ type, firstByte }) => [type, firstByte])).toEqual([[22, 1]])
  }
  expect(relay.connections.length).toBeGreaterThan(0)
  expect(peer.applicationBytes).toBe(0)
}

/** Ends the connection with the response, so that the next request makes a handshake. */
const closing: TestHandler = (_, response) => response.writeHead(200, { connection: 'close' }).end('ok')

const request = { method: 'POST', body: 'secret', headers: { authorization: 'Bearer secret' } }

/** The pin check as it is found in the wild: walk the issuers Node shows and look for the key. */
async function naiveCheck(port: number, pin: string, view: 'legacy' | 'x509', ca = anchors): Promise<boolean> {
  const socket = tls.connect({ host: '127.0.0.1', port, servername: HOST, ca })
  try {
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    const seen: string[] = []
    const digest = (spki: Buffer): string => `sha256/${createHash('sha256').update(spki).digest('base64')}`
    if (view === 'x509') {
      for (
        let at: X509Certificate | undefined = socket.getPeerX509Certificate();
        at !== undefined;
        at = at.issuerCertificate
      ) {
        seen.push(digest(at.publicKey.export({ type: 'spki', format: 'der' })))
      }
    } else {
      let at = socket.getPeerCertificate(true)
      for (const done = new Set<object>(); at?.raw !== undefined && !done.has(at); at = at.issuerCertificate) {
        done.add(at)
        seen.push(digest(new X509Certificate(at.raw).publicKey.export({ type: 'spki', format: 'der' })))
      }
    }
    return socket.authorized && seen.includes(pin)
  } finally {
    socket.destroy()
  }
}

test('the control: a pinned server under a trusted CA answers', async () => {
  for (const pinned of [server, genuine.issuer, genuine.root]) {
    const { url, peer } = await scene(server)
    const response = await testClient({ pins: { [HOST]: [pinned.pin] }, anchors }).fetch(url, request)
    expect([response.status, await response.text()]).toEqual([200, 'ok'])
    expect(peer.requests[0]?.headers.authorization).toBe('Bearer secret')
  }
})

test('a key that is not pinned is refused, and the error shows the verified path as pins to paste', async () => {
  const here = await scene(attacker)
  const client = testClient({ pins: { [HOST]: [server.pin, genuine.issuer.pin] }, anchors })
  const error = await refusalOf(client.fetch(here.url, request), 'ERR_TRUST_PIN_MISMATCH')
  expect(error).toMatchObject({
    name: 'TrustError',
    retryable: false,
    requestSent: 'no',
    host: `${HOST}:${here.relay.port}`,
  })
  expect(error).toBeInstanceOf(TypeError)
  for (const { pin } of [attacker, rogue.issuer, rogue.root]) expect(error.message).toContain(`\n    ${pin}  `)
  for (const pin of [server.pin, genuine.issuer.pin]) expect(error.message).toContain(pin)
  await expectOnlyClientHello(here)
})

describe('B1: a pinned certificate that is presented, but not part of the verified path', () => {
  test.each<[string, ServerIdentity, string]>([
    ['appended as it is', certificates(attacker, rogue.issuer, genuine.issuer), genuine.issuer.pin],
    ['the pinned end entity appended', certificates(attacker, rogue.issuer, server), server.pin],
    [
      'with the real root’s subject, key identifier and a garbage signature',
      certificates(attacker, rogue.issuer, forgedTwinOf(rogue.root, { spki: genuine.root.spki })),
      genuine.root.pin,
    ],
  ])('%s: ERR_TRUST_PIN_MISMATCH, while walking the issuers finds it', async (_, identity, pin) => {
    const here = await scene(identity)
    expect(await naiveCheck(here.peer.port, pin, 'x509')).toBe(true)
    const client = testClient({ pins: { [HOST]: [pin] }, anchors })
    await refusalOf(client.fetch(here.url, request), 'ERR_TRUST_PIN_MISMATCH')
    expect(here.peer.applicationBytes).toBe(0)
    await expectOnlyClientHello(here)
  })

  test('a pinned certificate on the path is accepted beside superfluous ones', async () => {
    const { url } = await scene(certificates(server, rogue.issuer, genuine.issuer, genuine.root))
    const client = testClient({ pins: { [HOST]: [genuine.issuer.pin] }, anchors })
    expect((await client.fetch(url)).status).toBe(200)
  })
})

describe('B2: issuers linked by name and key identifier', () => {
  // A2: the attacker's trusted root looks like the pinned intermediate. A3: so does an intermediate under its own root.
  const rootLikePinned = impostorOf(genuine.issuer)
  const a2 = rootLikePinned.issue({ names: [HOST] })
  const intermediateLikePinned = impostorOf(genuine.issuer, { issuer: rogue.root })
  const a3 = intermediateLikePinned.issue({ names: [HOST] })
  // B: and an expired certificate of the pinned key stands first among the issuers.
  const expired = expiredTwinOf(genuine.issuer)

  test.each<[string, ServerIdentity, 'legacy' | 'x509', readonly string[]]>([
    [
      'A2: a trusted root with its subject and key identifier',
      certificates(a2, genuine.issuer),
      'legacy',
      [rootLikePinned.pem],
    ],
    ['A3: an intermediate of that look', certificates(a3, intermediateLikePinned, genuine.issuer), 'x509', []],
    ['B: behind an expired twin of the pinned one', certificates(a3, expired, intermediateLikePinned), 'legacy', []],
  ])('%s: ERR_TRUST_PIN_MISMATCH, while walking the issuers finds the pin', async (_, identity, view, more) => {
    const here = await scene(identity)
    expect(await naiveCheck(here.peer.port, genuine.issuer.pin, view, [...anchors, ...more])).toBe(true)
    const pins = { [HOST]: [genuine.issuer.pin] }
    const client = testClient({ pins, anchors: [...anchors, ...more] })
    await refusalOf(client.fetch(here.url, request), 'ERR_TRUST_PIN_MISMATCH')
    await expectOnlyClientHello(here)
    const control = await scene(server)
    expect((await testClient({ pins, anchors }).fetch(control.url)).status).toBe(200)
  })
})

describe('B3: a resumed session shows no certificate and skips the name check', () => {
  test('a session is resumed with who holds its keys; another server is seen and refused: ERR_TRUST_PIN_MISMATCH', async () => {
    const here = await scene(server, { handler: closing })
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    const resumed: (true | undefined)[] = []
    client.on('revocation.checked', (event) => resumed.push(event.resumed))
    for (let round = 0; round < 3; round += 1) expect((await client.fetch(here.url)).status).toBe(200)
    expect([here.peer.connections.length, here.peer.sessionsReused]).toEqual([3, 2])
    expect(resumed).toEqual([undefined, true, true])
    const elsewhere = await until(startTlsServer({ identity: attacker }))
    here.relay.setTarget(elsewhere)
    await refusalOf(client.fetch(here.url, request), 'ERR_TRUST_PIN_MISMATCH')
    await here.relay.idle()
    expect(here.relay.connections[3]?.clientToServer.records).toEqual([
      expect.objectContaining({ type: 22, firstByte: 1 }),
    ])
    expect(elsewhere.applicationBytes).toBe(0)
  })

  test('the control: a naive agent resumes and never sees the new key', async () => {
    const { peer } = await scene(server, { handler: closing, maxVersion: 'TLSv1.2', ticketKeys: Buffer.alloc(48, 1) })
    let checks = 0
    const agent = new https.Agent({ ca: anchors, checkServerIdentity: () => void checks++ })
    const get = (): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const options = { host: '127.0.0.1', port: peer.port, servername: HOST, agent }
        https
          .get(options, (response) => response.resume().once('end', () => resolve(response.statusCode)))
          .once('error', reject)
      })
    expect(await get()).toBe(200)
    peer.setIdentity(attacker)
    expect(await get()).toBe(200)
    expect([checks, peer.sessionsReused]).toEqual([1, 1])
    agent.destroy()
  })
})

describe('B7: the name that is checked is the name in the URL', () => {
  test('a Host header does not steer it', async () => {
    const { url, relay, peer } = await scene(server)
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    await client.fetch(url, { headers: { host: 'other.example.com' } }) // WHATWG fetch drops the header
    expect(peer.requests[0]?.headers.host).toBe(`${HOST}:${relay.port}`)
    expect(peer.connections[0]?.servername).toBe(HOST)
  })

  test('a certificate for another name is refused under the right pin: ERR_TRUST_NAME_MISMATCH', async () => {
    const other = genuine.issue({ names: ['other.example.com'] })
    const here = await scene(other)
    const client = testClient({ pins: { [HOST]: [other.pin] }, anchors })
    await refusalOf(client.fetch(here.url, request), 'ERR_TRUST_NAME_MISMATCH')
    await expectOnlyClientHello(here)
  })

  test('case and a trailing dot in the URL name the same host', async () => {
    const { relay, peer } = await scene(server)
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    expect((await client.fetch(`https://API.Example.COM.:${relay.port}/`)).status).toBe(200)
    expect(peer.connections[0]?.servername).toBe(HOST)
  })
})

describe('B9: verification switched off elsewhere', () => {
  test('the option does not exist: ERR_CONFIG_INVALID', () => {
    const options = { pins: { [HOST]: [server.pin] }, rejectUnauthorized: false }
    expect(() => testClient(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })

  test('NODE_TLS_REJECT_UNAUTHORIZED=0 opens plain fetch and changes nothing here: ERR_TRUST_UNKNOWN_ISSUER', async () => {
    const untrusted = testCa({ name: 'Untrusted' }).issue({ names: [HOST, 'localhost'] })
    const here = await scene(untrusted)
    const script = `
      import { createClient } from './src/index.ts'
      const resolver = async () => ['127.0.0.1']
      const client = createClient({ pins: { '${HOST}': ['${untrusted.pin}'] }, anchors: process.env.ANCHORS, resolver })
      const plain = await fetch('https://localhost:${here.peer.port}/').then((r) => r.status, (e) => e.cause.code)
      const ours = await client.fetch('${here.url}').then((r) => r.status, (e) => e.code)
      console.log(JSON.stringify({ plain, ours }))`
    const { stdout, stderr } = await runModule(script, {
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      ANCHORS: genuine.anchorPem,
    })
    expect(JSON.parse(stdout || JSON.stringify(stderr))).toEqual({ plain: 200, ours: 'ERR_TRUST_UNKNOWN_ISSUER' })
  })
})

describe('B16: the connection that is judged is the connection that is used', () => {
  test('an attacker who lets the first connection through is refused on the second: ERR_TRUST_PIN_MISMATCH', async () => {
    const honest = await until(startTlsServer({ identity: server, handler: closing }))
    const hostile = await until(startTlsServer({ identity: attacker }))
    const relay = await until(startRelay({ target: honest }))
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    const url = `https://${HOST}:${relay.port}/`
    expect((await client.fetch(url)).status).toBe(200)
    relay.setTarget(hostile)
    await refusalOf(client.fetch(url, request), 'ERR_TRUST_PIN_MISMATCH')
    await relay.idle()
    expect(relay.connections[1]?.clientToServer.records.map(({ type }) => type)).toEqual([22])
    expect(hostile.applicationBytes).toBe(0)
  })
})

test('a server that alternates two pinned keys, RSA and ECDSA, always passes, and a third key is refused', async () => {
  const rsa = genuine.issue({ names: [HOST], keyType: 'RSA-2048' })
  const third = genuine.issue({ names: [HOST] })
  const here = await scene([rsa, server], { handler: closing, secureOptions: constants.SSL_OP_NO_TICKET })
  const client = testClient({ pins: { [HOST]: [rsa.pin, server.pin] }, anchors })
  for (let round = 0; round < 6; round += 1) expect((await client.fetch(here.url)).status).toBe(200)
  expect(here.peer.connections.length).toBe(6)
  here.peer.setIdentity([rsa, server, third])
  const outcomes: (number | string)[] = []
  for (let round = 0; round < 6; round += 1) {
    outcomes.push(
      await client.fetch(here.url).then(
        ({ status }) => status,
        ({ code }) => code,
      ),
    )
  }
  expect(outcomes.filter((outcome) => outcome === 'ERR_TRUST_PIN_MISMATCH')).toHaveLength(2)
  expect(outcomes.filter((outcome) => outcome === 200)).toHaveLength(4)
})

test('report mode lets a mismatch through with an event, and nothing else', async () => {
  const here = await scene(attacker)
  const client = testClient({ pins: { [HOST]: { pins: [server.pin], mode: 'report' } }, anchors })
  const reported: string[] = []
  client.on('tls.reported', ({ code, chain }) => reported.push(code, ...chain.map(({ spki }) => spki)))
  expect((await client.fetch(here.url)).status).toBe(200)
  expect(reported).toEqual(['ERR_TRUST_PIN_MISMATCH', attacker.pin, rogue.issuer.pin, rogue.root.pin])
  const strict = testClient({ pins: { [HOST]: [attacker.pin] }, mode: 'report', anchors: genuine.anchorPem })
  await refusalOf(strict.fetch(here.url), 'ERR_TRUST_UNKNOWN_ISSUER')
})

test('a host that no pin covers is refused before any packet: ERR_TRUST_HOST_NOT_COVERED', async () => {
  const here = await scene(server)
  const client = testClient({ pins: { 'other.example.com': [server.pin] }, anchors })
  await refusalOf(client.fetch(here.url, request), 'ERR_TRUST_HOST_NOT_COVERED')
  expect(here.peer.accepted).toBe(0)
})

test('the client certificate is used for a pinned server and never reaches a refused one', async () => {
  const identity = rogue.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] })
  const certificate = { cert: identity.chain.length > 0 ? identity.pem : '', key: identity.keyPem }
  const client = testClient({ pins: { [HOST]: [server.pin] }, anchors, certificate })
  const good = await scene(server, { requestCert: true })
  expect((await client.fetch(good.url)).status).toBe(200)
  expect(good.peer.clientCertificates.map((der) => Buffer.from(der).equals(identity.der))).toEqual([true])
  const bad = await scene(attacker, { requestCert: true })
  await refusalOf(client.fetch(bad.url), 'ERR_TRUST_PIN_MISMATCH')
  await expectOnlyClientHello(bad)
  expect(bad.peer.clientCertificates).toEqual([])
})

test('a certificate that does not belong to its key is refused at once: ERR_CONFIG_CERTIFICATE_MISMATCH', () => {
  const certificate = { cert: server.pem, key: attacker.keyPem }
  expect(() => testClient({ pins: { [HOST]: [server.pin] }, anchors, certificate })).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_CERTIFICATE_MISMATCH' }),
  )
})
