/**
 * B3, B4 and B5 of TLS sessions, on the wire: a resumed connection shows no certificate, so it must not carry what a full
 * handshake would refuse.
 */
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import tls from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createTestRuntime, extension, ocspResponse, startRelay, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { PinfetchError } from '../../src/errors/errors.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { Evidence } from '../../src/transport/connector.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { DEFAULT_REVOCATION } from '../../src/trust/revocation/policy.ts'
import { refusalOf } from '../support/client.ts'
import { identityOf } from '../support/identity.ts'
import { originOf } from '../support/policy.ts'
import {
  type Change,
  ca,
  closing,
  dispatcherFor,
  expectOnlyClientHello,
  HOST,
  next,
  OTHER,
  policyOfVersion,
  resumedAt,
  server,
  start,
  startPeer,
  VERSIONS,
  watchOffers,
} from './session-stage.ts'

const MINUTE_MS = 60_000

/** Changes that a full handshake with the same server would notice. */
const CHANGES: readonly { readonly what: string; readonly change: Change; readonly code: PinfetchError['code'] }[] = [
  { what: 'the pin was removed', change: { pins: [next.pin] }, code: 'ERR_TRUST_PIN_MISMATCH' },
  {
    what: 'the key was denied',
    change: { denies: [{ spki: server.pin, reason: 'leaked' }] },
    code: 'ERR_TRUST_PIN_DENIED',
  },
  {
    what: 'the anchors were replaced',
    change: { anchors: createAnchors(testCa({ name: 'Another' }).anchorPem) },
    code: 'ERR_TRUST_UNKNOWN_ISSUER',
  },
  {
    what: 'the manifest revoked the certificate',
    change: { revoked: revocationOf(server.der) },
    code: 'ERR_TRUST_CERT_REVOKED',
  },
  {
    what: 'a staple is demanded',
    change: { revocation: { ...DEFAULT_REVOCATION, staple: 'always' } },
    code: 'ERR_TRUST_STAPLE_MISSING',
  },
]

function revocationOf(der: Uint8Array): NonNullable<Change['revoked']> {
  const certificates = new Set([createHash('sha256').update(der).digest('hex')])
  return { id: 'a', certificates, serials: [], distrusted: [] }
}

/** Lists that say nothing until they are told to. */
function evidenceStage() {
  let version = 1
  let isRevoked = false
  const revoked = { status: 'revoked', revokedAt: 0, thisUpdate: 0, validUntil: Number.POSITIVE_INFINITY } as const
  const evidence: Evidence = {
    source: {
      get version() {
        return version
      },
      crls: () => (isRevoked ? [revoked] : []),
      ocspResponses: () => [],
    },
    want: () => undefined,
    gather: async () => undefined,
  }
  return {
    evidence,
    set: (to: { readonly version: number; readonly isRevoked: boolean }) => {
      version = to.version
      isRevoked = to.isRevoked
    },
  }
}

describe.each(VERSIONS)('under %s', (version) => {
  test('a new connection resumes, says so, and its own session is resumed in turn', async () => {
    const { get, peer, events } = await start(version)
    for (let round = 0; round < 4; round += 1) expect(await get()).toBe(200)
    expect(resumedAt(peer)).toEqual([false, true, true, true])
    const told = events.flatMap((event) => (event.type === 'revocation.checked' ? [event.resumed] : []))
    expect(told).toEqual([undefined, true, true, true])
  })

  describe('B3: what changed since the session began is seen before it is offered', () => {
    test.each(CHANGES)('$what: $code', async ({ change, code }) => {
      for (const isTold of [true, false]) {
        const { get, peer, relay, origin, dispatcher, policy, setPolicy } = await start(version)
        const offers = watchOffers()
        const before = policy()
        for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
        setPolicy(policyOfVersion(origin, version, change))
        if (isTold) dispatcher.policyChanged()
        await refusalOf(get(), code)
        await expectOnlyClientHello(relay)
        expect([peer.requests.length, resumedAt(peer), offers()]).toEqual([2, [false, true], [false, true, false]])
        setPolicy(before)
        for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
        expect(resumedAt(peer)).toEqual([false, true, false, true])
        vi.restoreAllMocks()
      }
    })

    test('a list arrived that revokes the certificate: ERR_TRUST_CERT_REVOKED', async () => {
      for (const isTold of [true, false]) {
        const { evidence, set } = evidenceStage()
        const { get, peer, relay, dispatcher } = await start(version, {}, { evidence })
        for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
        set({ version: 2, isRevoked: true })
        if (isTold) dispatcher.evidenceChanged()
        await refusalOf(get(), 'ERR_TRUST_CERT_REVOKED')
        await expectOnlyClientHello(relay)
        set({ version: 3, isRevoked: false })
        for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
        expect([peer.requests.length, resumedAt(peer)]).toEqual([4, [false, true, false, true]])
      }
    })

    test('a change that accepts the server too costs one full handshake', async () => {
      const { get, peer, origin, setPolicy } = await start(version)
      for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
      setPolicy(policyOfVersion(origin, version, { pins: [server.pin, next.pin] }))
      for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
      expect(resumedAt(peer)).toEqual([false, true, false, true])
    })

    test('sessions are dropped when the change is told, so that taking it back does not revive them', async () => {
      const { evidence, set } = evidenceStage()
      const { get, peer, dispatcher, origin, policy, setPolicy } = await start(version, {}, { evidence })
      const before = policy()
      await get()
      setPolicy(policyOfVersion(origin, version, { pins: [next.pin] }))
      dispatcher.policyChanged()
      setPolicy(before)
      await get()
      set({ version: 2, isRevoked: false })
      dispatcher.evidenceChanged()
      set({ version: 1, isRevoked: false })
      await get()
      await get()
      expect(resumedAt(peer)).toEqual([false, false, false, true])
    })

    test('a certificate that ended meanwhile: ERR_TRUST_CERT_EXPIRED', async () => {
      const runtime = createTestRuntime({ now: Date.now() })
      const brief = ca.issue({ names: [HOST], key: server.key, notAfter: Date.now() + 5 * MINUTE_MS })
      const { get, peer, relay } = await start(version, { identity: brief }, { runtime })
      expect(await get()).toBe(200)
      await runtime.advance(4 * MINUTE_MS)
      expect(await get()).toBe(200)
      await runtime.advance(2 * MINUTE_MS)
      await refusalOf(get(), 'ERR_TRUST_CERT_EXPIRED')
      await expectOnlyClientHello(relay)
      expect(resumedAt(peer)).toEqual([false, true])
    })

    test('a staple that ended is asked for again, and refused where it is demanded: ERR_TRUST_OCSP_EXPIRED', async () => {
      const now = Math.floor(Date.now() / 1_000) * 1_000
      for (const mustStaple of [true, false]) {
        const runtime = createTestRuntime({ now })
        const extensions = mustStaple ? [extension.mustStaple()] : []
        const identity = ca.issue({ names: [HOST], key: server.key, extensions })
        const staple = ocspResponse({ certificate: identity, now, nextUpdate: now + 5 * MINUTE_MS })
        const { get, peer, relay, events } = await start(version, { identity, ocspResponse: staple }, { runtime })
        for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
        await runtime.advance(11 * MINUTE_MS) // past the end, and past what clocks may differ by
        if (mustStaple) {
          await refusalOf(get(), 'ERR_TRUST_OCSP_EXPIRED')
          await expectOnlyClientHello(relay)
        } else {
          expect(await get()).toBe(200)
          expect(events.at(-1)).toMatchObject({ type: 'revocation.checked', status: 'undetermined' })
        }
        expect(resumedAt(peer)).toEqual(mustStaple ? [false, true] : [false, true, false])
      }
    })

    test('a policy that waits for evidence, or only reports, sees the certificates every time', async () => {
      const { evidence } = evidenceStage()
      const { get, peer, origin, setPolicy } = await start(version, {}, { evidence })
      setPolicy(policyOfVersion(origin, version, { revocation: { ...DEFAULT_REVOCATION, fetch: 'blocking' } }))
      for (let round = 0; round < 3; round += 1) expect(await get()).toBe(200)
      setPolicy(policyOfVersion(origin, version, { pins: [next.pin], mode: 'report' }))
      for (let round = 0; round < 3; round += 1) expect(await get()).toBe(200)
      expect(resumedAt(peer)).toEqual(Array(6).fill(false))
    })

    test('sessions are held strongly: they outlive a collection of garbage', async () => {
      setFlagsFromString('--expose-gc')
      const collect = runInNewContext('gc') as () => void
      const { get, peer } = await start(version)
      expect(await get()).toBe(200)
      for (let round = 0; round < 3; round += 1) {
        collect()
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(await get()).toBe(200)
      expect(resumedAt(peer)).toEqual([false, true])
    })
  })

  describe('B3: what changes while the handshake runs is seen before the connection is released', () => {
    test.each(CHANGES)('$what: $code', async ({ change, code }) => {
      const { get, peer, relay, origin, policy, setPolicy, onConnecting, events } = await start(version)
      const before = policy()
      const offers = watchOffers()
      for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
      const bytes = peer.applicationBytes
      onConnecting(() => setPolicy(policyOfVersion(origin, version, change)))
      await refusalOf(get(), code)
      await relay.idle()
      expect([peer.requests.length, peer.applicationBytes]).toEqual([2, bytes])
      expect(offers()).toEqual([false, true, true])
      expect(events.at(-1)).toMatchObject({ type: 'tls.rejected', code })
      onConnecting(() => undefined)
      setPolicy(before) // the very policy of the session, which is gone all the same
      expect(await get()).toBe(200)
      expect(offers()).toEqual([false, true, true, false])
    })

    test('a list that revokes the certificate: ERR_TRUST_CERT_REVOKED', async () => {
      const { evidence, set } = evidenceStage()
      const { get, peer, relay, onConnecting } = await start(version, {}, { evidence })
      for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
      const bytes = peer.applicationBytes
      onConnecting(() => set({ version: 2, isRevoked: true }))
      await refusalOf(get(), 'ERR_TRUST_CERT_REVOKED')
      await relay.idle()
      expect([peer.requests.length, peer.applicationBytes]).toEqual([2, bytes])
    })

    test('the end of the certificate: ERR_TRUST_CERT_EXPIRED', async () => {
      const runtime = createTestRuntime({ now: Date.now() })
      const brief = ca.issue({ names: [HOST], key: server.key, notAfter: Date.now() + 5 * MINUTE_MS })
      const { get, peer, relay, onConnecting } = await start(version, { identity: brief }, { runtime })
      for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
      const bytes = peer.applicationBytes
      onConnecting(() => runtime.setWall(runtime.clock.now() + 6 * MINUTE_MS))
      await refusalOf(get(), 'ERR_TRUST_CERT_EXPIRED')
      await relay.idle()
      expect([peer.requests.length, peer.applicationBytes]).toEqual([2, bytes])
    })

    test('nothing that is refused: the resumed connection is used', async () => {
      const { get, peer, origin, setPolicy, onConnecting } = await start(version)
      expect(await get()).toBe(200)
      onConnecting(() => setPolicy(policyOfVersion(origin, version, { pins: [server.pin, next.pin] })))
      expect(await get()).toBe(200)
      expect(resumedAt(peer)).toEqual([false, true])
    })
  })

  describe('B4: a session stays with the name, port and client it was made for', () => {
    test('another name of the same server, in the same certificate, makes its own handshake', async () => {
      const { get, peer, relay } = await start(version)
      const other = originOf(`https://${OTHER}:${relay.port}`)
      const offers = watchOffers()
      for (const at of [undefined, undefined, other, other]) expect(await get(at)).toBe(200)
      expect([resumedAt(peer), offers()]).toEqual([
        [false, true, false, true],
        [false, true, false, true],
      ])
      expect([0, 2].map((index) => peer.connections[index]?.servername)).toEqual([HOST, OTHER])
    })

    test('another port that leads to the same server makes its own handshake, though a naive client resumes there', async () => {
      const { get, peer, relay } = await start(version)
      const second = await startRelay({ target: peer })
      onTestFinished(() => second.close())
      const offers = watchOffers()
      const elsewhere = originOf(`https://${HOST}:${second.port}`)
      for (const at of [undefined, undefined, elsewhere, elsewhere]) expect(await get(at)).toBe(200)
      expect([resumedAt(peer), offers()]).toEqual([
        [false, true, false, true],
        [false, true, false, true],
      ])
      const session = await naive(relay.port)
      if (session === undefined) expect.fail('no session came')
      expect(await naive(second.port, session)).toBeDefined()
      expect(resumedAt(peer).slice(4)).toEqual([false, true])
    })

    test('an address has sessions of its own, without a name in the ClientHello', async () => {
      const { get, peer, relay } = await start(version)
      const address = originOf(`https://127.0.0.1:${relay.port}`)
      for (const at of [undefined, address, address]) expect(await get(at)).toBe(200)
      expect(resumedAt(peer)).toEqual([false, false, true])
      expect(peer.connections.map(({ servername }) => servername)).toEqual([HOST, undefined, undefined])
    })

    test('a second client with other pins has none of the first’s: ERR_TRUST_PIN_MISMATCH', async () => {
      const { get, peer, relay } = await start(version)
      for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
      const second = dispatcherFor(version, relay)
      second.setPolicy(policyOfVersion(second.origin, version, { pins: [next.pin] }))
      await refusalOf(second.get(), 'ERR_TRUST_PIN_MISMATCH')
      await expectOnlyClientHello(relay)
      second.setPolicy(policyOfVersion(second.origin, version))
      expect(await second.get()).toBe(200)
      expect(resumedAt(peer)).toEqual([false, true, false])
    })

    test('a client without a certificate does not resume as one that has shown its own', async () => {
      const own = identityOf(certified)
      const { peer, relay } = await startPeer(version, { requestCert: true })
      const known = dispatcherFor(version, relay, { certificate: () => own })
      const stranger = dispatcherFor(version, relay)
      for (const one of [known, known, stranger, stranger]) expect(await one.get()).toBe(200)
      expect(resumedAt(peer)).toEqual([false, true, false, true])
      const shown = peer.connections.map(({ clientCertificates }) => clientCertificates.length)
      expect(shown.slice(2)).toEqual([0, 0])
      expect(shown[0]).toBe(1)
    })
  })

  describe('what resuming cannot see is bounded', () => {
    test('another certificate behind the same ticket keys is seen ten minutes after the last full handshake: ERR_TRUST_PIN_MISMATCH', async () => {
      const runtime = createTestRuntime({ now: Date.now() })
      const { get, peer, relay } = await start(version, { ticketKeys: Buffer.alloc(48, 1) }, { runtime })
      expect(await get()).toBe(200)
      peer.setIdentity(next)
      for (let minute = 1; minute < 10; minute += 1) {
        await runtime.advance(MINUTE_MS)
        expect(await get()).toBe(200) // a session that was renewed a minute ago
      }
      expect(resumedAt(peer)).toEqual([false, ...Array(9).fill(true)])
      await runtime.advance(MINUTE_MS)
      await refusalOf(get(), 'ERR_TRUST_PIN_MISMATCH')
      await expectOnlyClientHello(relay)
      expect(peer.requests.length).toBe(10)
    })

    test('a session that a resumed connection brings is as old as the one it resumed', async () => {
      const runtime = createTestRuntime({ now: Date.now() })
      let handler = closing
      const { get, peer } = await start(version, { handler: (...call) => handler(...call) }, { runtime })
      const connect = vi.spyOn(tls, 'connect')
      onTestFinished(() => connect.mockRestore())
      expect(await get()).toBe(200)
      await runtime.advance(9 * MINUTE_MS)
      const arrived = new Promise<() => void>((resolve) => {
        handler = (...call) => resolve(() => closing(...call))
      })
      const inFlight = get()
      const answer = await arrived
      const socket: unknown = connect.mock.results.at(-1)?.value
      if (!(socket instanceof tls.TLSSocket)) expect.fail('no socket was made')
      socket.emit('session', socket.getSession()) // as servers do that renew a ticket on every resumption
      handler = closing
      answer()
      expect(await inFlight).toBe(200)
      await runtime.advance(2 * MINUTE_MS)
      expect(await get()).toBe(200)
      expect(resumedAt(peer)).toEqual([false, true, false])
    })

    test('a wall clock that is set back or forward by hours does not make a session last longer', async () => {
      const runtime = createTestRuntime({ now: Date.now() })
      const { get, peer } = await start(version, {}, { runtime })
      const begun = runtime.clock.now()
      for (const wall of [begun, begun - MINUTE_MS, begun + 11 * MINUTE_MS]) {
        runtime.setWall(toUnixMs(wall))
        expect(await get()).toBe(200)
      }
      expect(resumedAt(peer)).toEqual([false, false, false])
      await runtime.advance(9 * MINUTE_MS)
      runtime.setWall(toUnixMs(begun + 12 * MINUTE_MS))
      expect(await get()).toBe(200)
      await runtime.advance(MINUTE_MS)
      runtime.setWall(toUnixMs(begun + 12 * MINUTE_MS))
      expect(await get()).toBe(200)
      expect(resumedAt(peer)).toEqual([false, false, false, true, false])
    })

    test('a server that lost its ticket keys makes a full handshake, and its new sessions are resumed', async () => {
      const { get, peer } = await start(version)
      for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
      peer.setIdentity(server)
      for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
      expect(resumedAt(peer)).toEqual([false, true, false, true])
    })

    test('an attempt that fails is repeated without its session', async () => {
      const { get, peer, relay } = await start(version)
      expect(await get()).toBe(200)
      const garbage = createServer((socket) =>
        socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      )
      await new Promise<void>((resolve) => garbage.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => void garbage.close())
      relay.setTarget(garbage.address() as { port: number })
      const offers = watchOffers()
      await refusalOf(get(), 'ERR_TLS_HANDSHAKE')
      relay.setTarget(peer)
      for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
      expect(offers()).toEqual([true, false, true])
    })
  })

  test('a resumption that was not asked for carries nothing: ERR_TLS_RESUMED', async () => {
    const { get, peer, relay } = await start(version)
    const session = await naive(relay.port)
    const plain = tls.connect.bind(tls) as (options: tls.ConnectionOptions) => tls.TLSSocket
    const connect = vi.spyOn(tls, 'connect') // somebody in this process puts a session of another client in
    connect.mockImplementation(((options: tls.ConnectionOptions) => plain({ ...options, ...{ session } })) as never)
    onTestFinished(() => connect.mockRestore())
    const bytes = peer.applicationBytes
    await refusalOf(get(), 'ERR_TLS_RESUMED')
    await relay.idle()
    expect([peer.requests.length, peer.applicationBytes]).toEqual([1, bytes])
    connect.mockRestore()
    expect(await get()).toBe(200)
    expect(resumedAt(peer).at(-1)).toBe(false)
  })

  test('sessions come over the second address as well, where the first refuses', async () => {
    const { get, peer } = await start(version, {}, { resolver: async () => ['127.0.0.99', '127.0.0.1'] })
    for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
    expect(resumedAt(peer)).toEqual([false, true])
  })

  test('a connection that was refused leaves no session behind', async () => {
    const { evidence } = evidenceStage()
    let whenJudged = (): void => undefined
    const crls = () => {
      setImmediate(whenJudged)
      return []
    }
    const source = { ...evidence.source, crls }
    const { get, peer, origin, policy, setPolicy } = await start(version, {}, { evidence: { ...evidence, source } })
    const before = policy()
    whenJudged = () => setPolicy(policyOfVersion(origin, version, { pins: [next.pin] }))
    await refusalOf(get(), 'ERR_TRUST_PIN_MISMATCH')
    whenJudged = () => undefined
    setPolicy(before)
    const offers = watchOffers()
    for (let round = 0; round < 2; round += 1) expect(await get()).toBe(200)
    expect([peer.requests.length, offers()]).toEqual([2, [false, true]])
  })

  test('another handshake on a resumed connection ends it: ERR_TLS_SECOND_HANDSHAKE', async () => {
    let handler = closing
    const { get, peer } = await start(version, { handler: (...call) => handler(...call) })
    expect(await get()).toBe(200)
    handler = () => undefined
    const connect = vi.spyOn(tls, 'connect')
    onTestFinished(() => connect.mockRestore())
    const inFlight = get()
    await vi.waitUntil(() => peer.requests.length === 2, { timeout: 10_000 })
    expect(resumedAt(peer)).toEqual([false, true])
    const socket: unknown = connect.mock.results.at(-1)?.value
    if (!(socket instanceof tls.TLSSocket)) expect.fail('no socket was made')
    socket.emit('OCSPResponse', null) // what OpenSSL’s next certificate message would raise
    expect(socket.destroyed).toBe(true)
    await refusalOf(inFlight, 'ERR_TLS_SECOND_HANDSHAKE')
  })

  test('64 connections at once are resumed, all of them, after one', async () => {
    const answers: (() => void)[] = []
    const { get, peer } = await start(version, {
      handler: (_, response) => void answers.push(() => response.writeHead(200, { connection: 'close' }).end()),
    })
    const burst = async (count: number): Promise<void> => {
      const calls = Array.from({ length: count }, () => get())
      await expect.poll(() => answers.length, { timeout: 20_000 }).toBe(count)
      for (const answer of answers.splice(0)) answer()
      expect(await Promise.all(calls)).toEqual(Array(count).fill(200))
    }
    await burst(1)
    for (let round = 0; round < 2; round += 1) await burst(64)
    expect(resumedAt(peer)).toEqual([false, ...Array(128).fill(true)])
  })
})

test('a session of TLS 1.2 is not offered once the policy asks for 1.3', async () => {
  const { get, peer, origin, setPolicy } = await start('TLSv1.2', { maxVersion: 'TLSv1.3' })
  setPolicy(policyOfVersion(origin, 'TLSv1.2'))
  expect(await get()).toBe(200)
  const offers = watchOffers()
  setPolicy(policyOfVersion(origin, 'TLSv1.3'))
  expect(await get()).toBe(200)
  expect([peer.connections.at(-1)?.protocol, offers()]).toEqual(['TLSv1.3', [false]])
})

const certified = testCa({ name: 'Client' }).issue({ names: ['client'], extendedKeyUsage: ['clientAuth'] })

/** A request without this library. @returns The newest session. */
function naive(port: number, session?: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, servername: HOST, ca: ca.anchorPem }
    const socket = tls.connect(session === undefined ? options : { ...options, session })
    let newest = session
    socket.on('session', (bytes) => {
      newest = bytes
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(newest))
    socket.end('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    socket.resume()
  })
}
