import { createHash } from 'node:crypto'
import tls from 'node:tls'
import type { ClientOptions } from 'pinfetch'
import {
  createTestRuntime,
  startInterceptor,
  startTlsServer,
  type TestHandler,
  type TestHosts,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { readPresented } from '../../src/transport/peer.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { createEvaluator, evaluateTrust } from '../../src/trust/evaluate.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { originOf, policyFor } from '../support/policy.ts'
import { runModule } from '../support/run.ts'
import { certificates, expectOnlyClientHello, onIpv6Loopback, refresh, settled, startScene } from '../support/scene.ts'

const HOST = 'api.example.com'
const OTHER = 'admin.example.com'
const PINS = 'pins.example.com'
const genuine = testCa({ name: 'Genuine' })
const rogue = testCa({ name: 'Rogue' })
const anchors = [genuine.anchorPem, rogue.anchorPem] // the attacker owns a CA that the client trusts
const server = genuine.issue({ names: [HOST, OTHER] })
const spare = genuine.issue({ names: [HOST, OTHER] })
const attacker = rogue.issue({ names: [HOST, OTHER] })

const secret = { method: 'POST', body: 'secret', headers: { authorization: 'Bearer secret' } }

/** Ends the connection with the response, so that the next request makes a handshake. */
const closing: TestHandler = (_, response) => response.writeHead(200, { connection: 'close' }).end('ok')

/** A TLS connection as any library makes it, kept open while `look` looks. */
async function plainTls<T>(
  { port, servername = HOST, ...more }: tls.ConnectionOptions & { readonly port: number },
  look: (socket: tls.TLSSocket) => T,
): Promise<Awaited<T>> {
  const socket = tls.connect({ host: '127.0.0.1', port, servername, ca: anchors, ...more })
  try {
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    return await look(socket)
  } finally {
    socket.destroy()
  }
}

const pinOfKey = (spki: Buffer): string => `sha256/${createHash('sha256').update(spki).digest('base64')}`

describe('B8: a host has one spelling', () => {
  const spellings = [
    'API.EXAMPLE.COM',
    'api.example.com.',
    'ａｐｉ.example.com',
    'api。example。com',
    '%61pi.Example.com',
  ]

  test.each(spellings)('%s is the pinned host: an attacker there is ERR_TRUST_PIN_MISMATCH', async (spelling) => {
    const here = await startScene(attacker)
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    await refusalOf(client.fetch(here.url(spelling), secret), 'ERR_TRUST_PIN_MISMATCH')
    await expectOnlyClientHello(here)
  })

  test('all of them share policy, SNI and pool with the plain one', async () => {
    const { url, peer } = await startScene(server)
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    for (const spelling of [HOST, ...spellings]) {
      expect((await client.fetch(url(spelling))).status, spelling).toBe(200)
      await new Promise((resolve) => setTimeout(resolve, 50)) // undici counts a connection as busy a little longer
    }
    expect(peer.connections.map(({ servername }) => servername)).toEqual([HOST])
  })

  test.each(['API.EXAMPLE.com', 'api.example.com.'])(
    'pins given for %s hold for the plain spelling',
    async (spelling) => {
      const [good, bad] = [await startScene(server), await startScene(attacker)]
      const client = testClient({ pins: { [spelling]: [server.pin] }, anchors })
      expect((await client.fetch(good.url(HOST))).status).toBe(200)
      await refusalOf(client.fetch(bad.url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
      await expectOnlyClientHello(bad)
    },
  )

  test('the control: looking pins up by the host as written finds none and lets the attacker pass', async () => {
    const { peer, url } = await startScene(attacker)
    const pins: Record<string, string[]> = { [HOST]: [server.pin] }
    const { hostname } = new URL(url(`${HOST}.`))
    const wanted = pins[hostname]
    const open = await plainTls(
      { port: peer.port, servername: HOST },
      (socket) => wanted === undefined && socket.authorized,
    )
    expect(open).toBe(true)
  })

  test('a name in Unicode and its A-label are one host, and the A-label is what the server is asked for', async () => {
    const punycode = 'xn--khttp-fde.com'
    const identity = genuine.issue({ names: [punycode] })
    const [good, bad] = [await startScene(identity), await startScene(rogue.issue({ names: [punycode] }))]
    const client = testClient({ pins: { 'σkhttp.com': [identity.pin] }, anchors })
    for (const spelling of [punycode, 'σkhttp.com', 'ΣKHTTP.com', 'XN--KHTTP-FDE.com.']) {
      expect((await client.fetch(good.url(spelling))).status, spelling).toBe(200)
      await refusalOf(client.fetch(bad.url(spelling), secret), 'ERR_TRUST_PIN_MISMATCH')
    }
    expect(new Set(good.peer.connections.map(({ servername }) => servername))).toEqual(new Set([punycode]))
    await expectOnlyClientHello(bad)
  })

  const v4Forms = ['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0177.0.0.1', '127.0.0.1.']

  test('an IPv4 address in any notation is one host, without SNI', async () => {
    const identity = genuine.issue({ ips: ['127.0.0.1'] })
    const [good, bad] = [await startScene(identity), await startScene(rogue.issue({ ips: ['127.0.0.1'] }))]
    const client = testClient({ pins: { '127.0.0.1': [identity.pin] }, anchors })
    for (const form of v4Forms) {
      expect((await client.fetch(good.url(form))).status, form).toBe(200)
      await refusalOf(client.fetch(bad.url(form), secret), 'ERR_TRUST_PIN_MISMATCH')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(good.peer.connections.map(({ servername }) => servername)).toEqual([undefined])
    await expectOnlyClientHello(bad)
  })

  test('an IPv6 literal in any notation is one host, without SNI', async () => {
    const identity = genuine.issue({ ips: ['::1'] })
    const [good, bad] = [await startScene(identity), await startScene(rogue.issue({ ips: ['::1'] }))]
    const [goodPort, badPort] = [await onIpv6Loopback(good.relay), await onIpv6Loopback(bad.relay)]
    for (const pattern of ['::1', '[::1]', '0:0:0:0:0:0:0:1']) {
      const client = testClient({ pins: { [pattern]: [identity.pin] }, anchors })
      for (const form of ['[::1]', '[0:0:0:0:0:0:0:1]', '[0000::0001]', '[::0.0.0.1]']) {
        expect((await client.fetch(`https://${form}:${goodPort}/`)).status, form).toBe(200)
        await refusalOf(client.fetch(`https://${form}:${badPort}/`, secret), 'ERR_TRUST_PIN_MISMATCH')
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    expect(good.peer.connections.map(({ servername }) => servername)).toEqual([undefined, undefined, undefined])
    expect(good.peer.requests[0]?.headers.host).toBe(`[::1]:${goodPort}`)
    await expectOnlyClientHello(bad)
  })

  test('an IPv4 address inside an IPv6 one is another host, and not covered: ERR_TRUST_HOST_NOT_COVERED', async () => {
    const { url, peer } = await startScene(genuine.issue({ ips: ['127.0.0.1'] }))
    const client = testClient({ pins: { '127.0.0.1': [server.pin] }, anchors })
    await refusalOf(client.fetch(url('[::ffff:127.0.0.1]')), 'ERR_TRUST_HOST_NOT_COVERED')
    expect(peer.accepted).toBe(0)
  })

  test('an address written as a DNS name in the certificate names nobody: ERR_TRUST_NAME_MISMATCH', async () => {
    for (const named of [{ names: ['127.0.0.1'] }, { names: ['*.0.0.1'] }, { subject: '127.0.0.1' }]) {
      const identity = genuine.issue(named)
      const here = await startScene(identity)
      const client = testClient({ pins: { '127.0.0.1': [identity.pin] }, anchors })
      await refusalOf(client.fetch(here.url('127.0.0.1'), secret), 'ERR_TRUST_NAME_MISMATCH')
      await expectOnlyClientHello(here)
    }
  })

  test.each(['api.example.com..', 'api..example.com', '.api.example.com', 'api_.example.com-'])(
    '%s is no host: ERR_CONFIG_URL, no packet',
    async (spelling) => {
      const { url, peer } = await startScene(server)
      const client = testClient({ pins: { [HOST]: [server.pin], '**.example.com': [server.pin] }, anchors })
      await refusalOf(client.fetch(url(spelling)), 'ERR_CONFIG_URL')
      expect(peer.accepted).toBe(0)
    },
  )
})

describe('B10: how the peer is read', () => {
  const chain = certificates(server, genuine.issuer)

  test('the control: after the X509Certificate view, the legacy view shows no certificate, and naive code has nothing to check', async () => {
    const { peer } = await startScene(chain)
    const blinded = await plainTls({ port: peer.port }, (socket) => {
      socket.getPeerX509Certificate()
      const { raw } = socket.getPeerCertificate(true) as Partial<tls.DetailedPeerCertificate>
      return raw === undefined // `if (cert.raw) compare(cert)` passes any key from here on
    })
    expect(blinded).toBe(Number(process.versions.node.split('.')[0]) < 26)
  })

  test('ours sees every presented certificate, as sent, the end entity first', async () => {
    const sent = [server, genuine.issuer, rogue.issuer, genuine.root]
    const { peer } = await startScene(certificates(server, ...sent.slice(1)))
    const read = await plainTls({ port: peer.port }, readPresented)
    expect(read.certificates.map((der) => Buffer.from(der))).toEqual(sent.map(({ der }) => Buffer.from(der)))
    expect(read.endEntity?.raw).toEqual(Buffer.from(server.der))
  })

  test('a wrong key is refused although something else in the process looked first', async () => {
    const [bad, good] = [await startScene(attacker), await startScene(server)]
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    const connect = tls.connect
    const nosy = vi.spyOn(tls, 'connect').mockImplementation(((options: tls.ConnectionOptions) => {
      const socket = connect(options)
      socket.on('OCSPResponse', () => void socket.getPeerX509Certificate()) // before the listener that judges
      return socket
    }) as never)
    try {
      const error = await client.fetch(bad.url(HOST), secret).catch((caught: { code: string }) => caught)
      expect(['ERR_TRUST_PIN_MISMATCH', 'ERR_TRUST_NODE_REFUSED']).toContain('code' in error ? error.code : 'passed')
    } finally {
      nosy.mockRestore()
    }
    expect(bad.peer.applicationBytes).toBe(0)
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
  })

  test('no certificate at all is a failure: ERR_TRUST_CHAIN_EMPTY', () => {
    const origin = originOf(`https://${HOST}/`)
    const verdict = evaluateTrust({
      presented: [],
      identity: { kind: 'dns', name: HOST },
      policy: policyFor(origin, [], { anchors: createAnchors(anchors) }), // not even without pins
      now: toUnixMs(Date.now()),
    })
    expect(verdict).toMatchObject({ kind: 'rejected', findings: [{ code: 'ERR_TRUST_CHAIN_EMPTY' }] })
  })

  test('a handshake in which Node shows no certificate is refused, though Node itself is content: ERR_TRUST_NODE_REFUSED', async () => {
    const here = await startScene(server)
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    const views = [
      vi.spyOn(tls.TLSSocket.prototype, 'getPeerCertificate').mockReturnValue({} as never),
      vi.spyOn(tls.TLSSocket.prototype, 'getPeerX509Certificate').mockReturnValue(undefined),
    ]
    try {
      await refusalOf(client.fetch(here.url(HOST), secret), 'ERR_TRUST_NODE_REFUSED')
    } finally {
      for (const view of views) view.mockRestore()
    }
    await here.relay.idle()
    expect(here.peer.applicationBytes).toBe(0)
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
  })
})

describe('B13: the most specific rule alone, never a union', () => {
  const wide = genuine.issue({ names: [HOST, 'www.example.com', 'a.b.example.com'] })
  const rules = {
    '**.example.com': [wide.pin],
    '*.example.com': [spare.pin],
    [HOST]: [server.pin],
  }
  const asManifest = async (hosts: TestHosts): Promise<ClientOptions> => {
    const { manifest } = await startTestPins({ ca: genuine, name: PINS, hosts })
    return { manifest, anchors }
  }

  test.each<[string, () => Promise<ClientOptions>]>([
    ['in code', async () => ({ pins: rules, anchors })],
    ['in a manifest', () => asManifest(rules)],
  ])('%s: the key of a wider rule is ERR_TRUST_PIN_MISMATCH on the stricter host', async (_, options) => {
    const client = testClient(await options())
    const here = await startScene(wide)
    await refusalOf(client.fetch(here.url(HOST), secret), 'ERR_TRUST_PIN_MISMATCH') // exact over one label
    await refusalOf(client.fetch(here.url('www.example.com'), secret), 'ERR_TRUST_PIN_MISMATCH') // one label over any depth
    await expectOnlyClientHello(here)
    expect((await client.fetch(here.url('a.b.example.com'))).status).toBe(200) // the key is good where its own rule holds
    const strict = await startScene(server)
    expect((await client.fetch(strict.url(HOST))).status).toBe(200)
  })

  test('the control: a union of all rules that fit lets it in', async () => {
    const { peer } = await startScene(wide)
    const union = Object.values(rules).flat().map(String)
    const seen = await plainTls({ port: peer.port }, (socket) =>
      pinOfKey(socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' }) ?? Buffer.alloc(0)),
    )
    expect(union).toContain(seen)
  })

  test('a rule for one port replaces the rule for every port there, and nowhere else', async () => {
    const [open, strict] = [await startScene(wide), await startScene(wide)]
    const rule = { host: HOST, mode: 'enforce', singlePin: true } as const
    const options = await asManifest([
      { ...rule, pins: [{ spki: wide.pin }] },
      { ...rule, port: strict.relay.port, pins: [{ spki: server.pin }] },
    ])
    const client = testClient(options)
    expect((await client.fetch(open.url(HOST))).status).toBe(200)
    await refusalOf(client.fetch(strict.url(HOST), secret), 'ERR_TRUST_PIN_MISMATCH')
    await expectOnlyClientHello(strict)
  })

  test('a host whose own rule has no active pin does not fall back to a wider one: ERR_TRUST_PIN_NONE_ACTIVE', async () => {
    const here = await startScene(wide)
    const hour = 3_600_000
    const instant = (ms: number): string => new Date(Date.now() + ms).toISOString().replace(/\.\d+Z$/, 'Z')
    const options = await asManifest([
      { host: '**.example.com', mode: 'enforce', singlePin: true, pins: [{ spki: wide.pin }] },
      {
        host: HOST,
        mode: 'enforce',
        pins: [
          { spki: wide.pin, notAfter: instant(-hour) },
          { spki: spare.pin, notBefore: instant(hour) },
        ],
      },
    ])
    const client = testClient(options)
    await refusalOf(client.fetch(here.url(HOST), secret), 'ERR_TRUST_PIN_NONE_ACTIVE')
    await expectOnlyClientHello(here)
    expect((await client.fetch(here.url('a.b.example.com'))).status).toBe(200)
  })
})

describe('B14: what is misspelt is refused, not unpinned', () => {
  test.each([
    ['a host with two letters swapped', 'api.exmaple.com'],
    ['a host below the pinned one', `v1.${HOST}`],
    ['the host above it', 'example.com'],
    ['the pinned host as the start of another', `${HOST}.evil.org`],
    ['the pinned host as the end of another', `not${HOST}`],
    ['the name of a member every object has', 'constructor'],
    ['the prototype', '__proto__'],
  ])('%s: ERR_TRUST_HOST_NOT_COVERED, no packet', async (_, typo) => {
    const here = await startScene(genuine.issue({ names: [HOST, 'api.exmaple.com', typo] }))
    const inCode = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    await refusalOf(inCode.fetch(here.url(typo), secret), 'ERR_TRUST_HOST_NOT_COVERED')
    expect(here.peer.accepted).toBe(0)
  })

  test('a manifest that is in force covers what it lists and nothing else', async () => {
    const here = await startScene(server)
    const { manifest } = await startTestPins({ ca: genuine, name: PINS, hosts: { [HOST]: [server.pin] } })
    const client = testClient({ manifest, pins: { [OTHER]: [server.pin] }, anchors })
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
    const before = here.peer.accepted
    await refusalOf(client.fetch(here.url(OTHER), secret), 'ERR_TRUST_HOST_NOT_COVERED') // in code only: a fallback, no addition
    await refusalOf(client.fetch(here.url(PINS), secret), 'ERR_TRUST_HOST_NOT_COVERED') // the manifest’s own host is no API
    expect(here.peer.accepted).toBe(before)
  })

  test.each<[string, object]>([
    ['Pins', { Pins: { [HOST]: [server.pin] } }],
    ['pin', { pin: { [HOST]: [server.pin] } }],
    ['ca', { ca: rogue.anchorPem }],
    ['rejectUnauthorized', { rejectUnauthorized: false }],
    ['checkServerIdentity', { checkServerIdentity: () => undefined }],
    ['insecure', { insecure: true }],
    ['dispatcher', { dispatcher: {} }],
    ['unlisted', { unlistedHosts: 'alow' }],
    ['a member of a host’s entry', { pins: { [HOST]: { pins: [server.pin], enforce: false } } }],
    ['a mode', { mode: 'Report' }],
    ['a mode of a host', { pins: { [HOST]: { pins: [server.pin], mode: 'off' } } }],
    ['an end that is no date', { pins: { [HOST]: { pins: [server.pin], notAfter: new Date('31.02.2030') } } }],
  ])('an option that does not exist or has another value, %s: ERR_CONFIG_INVALID', (_, wrong) => {
    const options = { pins: { [HOST]: [server.pin] }, anchors, ...wrong }
    expect(() => testClient(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    expect(() => testClient({ pins: { [HOST]: [server.pin] }, anchors })).not.toThrow()
  })

  test.each<[string, object]>([
    ['a pin with a space', { pins: { [HOST]: [`${server.pin} `] } }],
    ['a pin in base64url', { pins: { [HOST]: [`sha256/${'-_'.repeat(21)}A=`] } }],
    ['a pin without padding', { pins: { [HOST]: [server.pin.replace('=', '')] } }],
    ['a pin in capitals', { pins: { [HOST]: [server.pin.replace('sha256', 'SHA256')] } }],
    ['a pin with HPKP’s equals sign', { pins: { [HOST]: [server.pin.replace('/', '=')] } }],
    ['an empty pin', { pins: { [HOST]: [''] } }],
  ])('%s: ERR_CONFIG_PIN', (_, wrong) => {
    expect(() => testClient({ anchors, ...wrong })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_PIN' }))
  })
})

describe('B17: a verdict belongs to one host, one port and one policy', () => {
  // Both names resolve to one address, and one certificate names both.
  test('a host with other pins is judged by its own, on a connection of its own: ERR_TRUST_PIN_MISMATCH', async () => {
    const here = await startScene(server)
    const client = testClient({ pins: { [HOST]: [server.pin], [OTHER]: [spare.pin] }, anchors })
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
    await refusalOf(client.fetch(here.url(OTHER), secret), 'ERR_TRUST_PIN_MISMATCH')
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
    await refusalOf(client.fetch(here.url(OTHER), secret), 'ERR_TRUST_PIN_MISMATCH')
    await expectOnlyClientHello(here, 1)
    expect(here.peer.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined])
    expect(here.peer.connections.map(({ servername }) => servername)).toEqual([HOST])
  })

  test('a host that is not covered is refused while a socket to its very server is open: ERR_TRUST_HOST_NOT_COVERED', async () => {
    const here = await startScene(server)
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
    await refusalOf(client.fetch(here.url(OTHER), secret), 'ERR_TRUST_HOST_NOT_COVERED')
    expect(here.peer.accepted).toBe(1)
  })

  test('a host with the same pin makes its own handshake, and asks for itself', async () => {
    const here = await startScene(server)
    const client = testClient({ pins: { [HOST]: [server.pin], [OTHER]: [server.pin] }, anchors })
    for (const host of [HOST, OTHER]) expect((await client.fetch(here.url(host))).status).toBe(200)
    expect(here.peer.connections.map(({ servername, resumed }) => [servername, resumed])).toEqual([
      [HOST, false],
      [OTHER, false],
    ])
  })

  test('a certificate that was good for one name is not for another that the same pin covers: ERR_TRUST_NAME_MISMATCH', async () => {
    const here = await startScene(server)
    const client = testClient({ pins: { '**.example.com': [server.pin] }, anchors })
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
    await refusalOf(client.fetch(here.url('mail.example.com'), secret), 'ERR_TRUST_NAME_MISMATCH')
    await expectOnlyClientHello(here, 1)
  })

  test('the control: a cache of verdicts by certificate alone lets the second host in', async () => {
    const { peer } = await startScene(server)
    const good = new Set<string>()
    const digest = (socket: tls.TLSSocket): string => socket.getPeerX509Certificate()?.fingerprint256 ?? ''
    await plainTls({ port: peer.port, servername: HOST }, (socket) => good.add(digest(socket)))
    expect(await plainTls({ port: peer.port, servername: OTHER }, (socket) => good.has(digest(socket)))).toBe(true)
  })

  test('a remembered verdict serves the same host, policy and time, and nothing else', () => {
    const origin = originOf(`https://${HOST}/`)
    const hourFromNow = toUnixMs(Date.now() + 3_600_000)
    const trusting = { anchors: createAnchors(anchors) }
    const policy = policyFor(origin, [{ spki: server.pin, notAfter: hourFromNow }], trusting)
    const evaluate = createEvaluator()
    const judge = (change: Partial<Parameters<typeof evaluate>[0]> = {}): string => {
      const identity = { kind: 'dns', name: HOST } as const
      const verdict = evaluate({ presented: server.chain, identity, policy, now: toUnixMs(Date.now()), ...change })
      return verdict.kind === 'trusted' ? 'trusted' : verdict.findings[0].code
    }
    expect(judge()).toBe('trusted')
    expect(judge({ identity: { kind: 'dns', name: 'mail.example.com' } })).toBe('ERR_TRUST_NAME_MISMATCH')
    expect(judge({ identity: { kind: 'ip', address: '127.0.0.1' } })).toBe('ERR_TRUST_NAME_MISMATCH')
    expect(judge({ policy: policyFor(origin, [spare.pin], trusting) })).toBe('ERR_TRUST_PIN_MISMATCH')
    expect(judge({ presented: attacker.chain })).toBe('ERR_TRUST_PIN_MISMATCH')
    expect(judge({ presented: server.chain.slice(0, 1) })).toBe('ERR_TRUST_UNKNOWN_ISSUER')
    expect(judge({ now: hourFromNow })).toBe('ERR_TRUST_PIN_NONE_ACTIVE')
    expect(judge({ now: toUnixMs(Date.now() - 7 * 86_400_000) })).toBe('ERR_TRUST_CERT_NOT_YET_VALID') // a clock set back
    expect(judge()).toBe('trusted')
  })

  test('the same certificate is judged again after every change of the pins, whatever it was judged before', async () => {
    const runtime = createTestRuntime({ now: Date.now() })
    const here = await startScene(server)
    const { manifest, repository } = await startTestPins({
      ca: genuine,
      name: PINS,
      hosts: { [HOST]: [server.pin, spare.pin] },
      repository: { clock: runtime.clock },
    })
    const client = testClient({ manifest, anchors, runtime })
    await settled(client.ready(), runtime)
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
    const others = [spare.pin, attacker.pin]
    for (const [pins, expected] of [
      [others, 'ERR_TRUST_PIN_MISMATCH'],
      [[server.pin, spare.pin], 200],
      [others, 'ERR_TRUST_PIN_MISMATCH'],
    ] as const) {
      await repository.publish({ hosts: { [HOST]: pins } })
      await refresh(client, runtime)
      const outcome = await client.fetch(here.url(HOST)).then(
        ({ status }) => status,
        ({ code }: { code: string }) => code,
      )
      expect([client.manifest.version, outcome]).toEqual([client.manifest.version, expected])
    }
    expect(client.manifest.version).toBe(4)
  })
})

describe('B20: a locally installed CA', () => {
  test('an intercepting proxy whose CA is trusted reads nothing: ERR_TRUST_PIN_MISMATCH', async () => {
    const here = await startScene(server)
    const proxy = await until(startInterceptor({ target: here.relay, ca: rogue }))
    const url = `https://${HOST}:${proxy.port}/`
    for (const pinned of [server, genuine.issuer, genuine.root]) {
      const client = testClient({ pins: { [HOST]: [pinned.pin] }, anchors })
      await refusalOf(client.fetch(url, secret), 'ERR_TRUST_PIN_MISMATCH')
      expect((await client.fetch(here.url(HOST))).status).toBe(200)
    }
    expect([proxy.plaintext, proxy.applicationBytes]).toEqual(['', 0])
  })

  test('the control: without pins the proxy reads the token', async () => {
    const here = await startScene(server)
    const proxy = await until(startInterceptor({ target: here.relay, ca: rogue }))
    await plainTls({ port: proxy.port }, async (socket) => {
      socket.write(`GET / HTTP/1.1\r\nhost: ${HOST}\r\nauthorization: Bearer secret\r\n\r\n`)
      await vi.waitUntil(() => proxy.plaintext.includes('Bearer secret'))
    })
  })

  test('the proxy’s key is accepted where it was added to the pins on purpose, and on no other host', async () => {
    const here = await startScene(server)
    const proxy = await until(startInterceptor({ target: here.relay, ca: rogue }))
    const url = (host: string): string => `https://${host}:${proxy.port}/`
    const client = testClient({ pins: { [HOST]: [server.pin, rogue.root.pin], [OTHER]: [server.pin] }, anchors })
    expect((await client.fetch(url(HOST))).status).toBe(200)
    await refusalOf(client.fetch(url(OTHER), secret), 'ERR_TRUST_PIN_MISMATCH')
  })

  test('given anchors are the whole list: a CA outside it is ERR_TRUST_UNKNOWN_ISSUER even with its key pinned', async () => {
    const here = await startScene(attacker)
    const client = testClient({ pins: { [HOST]: [attacker.pin, rogue.root.pin] }, anchors: genuine.anchorPem })
    await refusalOf(client.fetch(here.url(HOST), secret), 'ERR_TRUST_UNKNOWN_ISSUER')
    await expectOnlyClientHello(here)
  })
})

/** A client whose manifest is in force, its own clock, the genuine server and an attacker's. */
async function startPinned(hosts: TestHosts = { [HOST]: [server.pin, spare.pin] }) {
  const runtime = createTestRuntime({ now: Date.now() })
  const pins = await startTestPins({ ca: genuine, name: PINS, hosts, repository: { clock: runtime.clock } })
  const client = testClient({ manifest: pins.manifest, anchors, runtime })
  await settled(client.ready(), runtime)
  const [good, bad] = [await startScene(server), await startScene(attacker)]
  const stillPinned = async (): Promise<void> => {
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    await refusalOf(client.fetch(bad.url(HOST), secret), 'ERR_TRUST_PIN_MISMATCH')
    await expectOnlyClientHello(bad)
  }
  return { ...pins, runtime, client, good, bad, stillPinned }
}

const base64url = (text: string): string => Buffer.from(text).toString('base64url')

describe('B21: what carries no signature is no manifest', () => {
  test.each<[string, string, string]>([
    ['an empty list as Wultra takes it', '{"fingerprints":[]}', 'ERR_MANIFEST_ENVELOPE_SHAPE'],
    ['an empty object', '{}', 'ERR_MANIFEST_ENVELOPE_SHAPE'],
    ['an empty array', '[]', 'ERR_MANIFEST_ENVELOPE_SHAPE'],
    ['null', 'null', 'ERR_MANIFEST_ENVELOPE_SHAPE'],
    ['no bytes', '', 'ERR_MANIFEST_ENVELOPE_JSON'],
    ['an empty payload without signatures', '{"payload":"","signatures":[]}', 'ERR_MANIFEST_ENVELOPE_SHAPE'],
    [
      'empty hosts without signatures',
      JSON.stringify({ payload: base64url('{"hosts":[]}'), signatures: [] }),
      'ERR_MANIFEST_ENVELOPE_SHAPE',
    ],
  ])('%s, as status and as manifest: refused, and the old pins stay', async (_, body, code) => {
    const { server: host, repository, client, runtime, stillPinned } = await startPinned()
    host.respond('status.json', { body })
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code })
    host.respond('status.json', undefined)
    await repository.publish({ hosts: { [HOST]: [server.pin, spare.pin], [OTHER]: [server.pin, spare.pin] } })
    for (const path of repository.files().keys()) if (path.startsWith('manifests/2.')) host.respond(path, { body })
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code })
    expect(client.manifest.version).toBe(1)
    await stillPinned()
  })

  test('the first manifest is no exception: ERR_TRUST_NO_TRUSTED_MANIFEST, no packet', async () => {
    const { server: host, manifest } = await startTestPins({ ca: genuine, name: PINS, hosts: { [HOST]: [server.pin] } })
    host.respond('status.json', { body: '{"fingerprints":[]}' })
    const bad = await startScene(attacker)
    const client = testClient({ manifest: { ...manifest, startupMs: 200 }, anchors })
    await refusalOf(client.fetch(bad.url(HOST), secret), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
    const failed = () => client.health().manifest?.lastError?.code // it may come later than the refusal
    await expect.poll(failed, { timeout: 30_000 }).toBe('ERR_MANIFEST_ENVELOPE_SHAPE')
    expect(bad.peer.accepted).toBe(0)
  })

  test('a part of a signed manifest under the signature of the whole: ERR_MANIFEST_LENGTH_MISMATCH', async () => {
    const { server: host, repository, client, runtime, stillPinned } = await startPinned()
    await repository.publish({ hosts: { [HOST]: [server.pin, spare.pin], [OTHER]: [server.pin, spare.pin] } })
    const [path, bytes] = [...repository.files()].find(([name]) => name.startsWith('manifests/2.')) ?? [
      '',
      new Uint8Array(),
    ]
    const envelope = JSON.parse(Buffer.from(bytes).toString()) as { payload: string }
    const payload = JSON.parse(Buffer.from(envelope.payload, 'base64url').toString())
    const partial = base64url(JSON.stringify({ ...payload, hosts: payload.hosts.slice(1) }))
    host.respond(path, { body: JSON.stringify({ ...envelope, payload: partial }) })
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code: 'ERR_MANIFEST_LENGTH_MISMATCH' })
    expect(client.manifest.version).toBe(1)
    await stillPinned()
  })

  test('hosts that are signed and empty close every host; they open none: ERR_TRUST_HOST_NOT_COVERED', async () => {
    const { repository, client, runtime, good, bad } = await startPinned()
    await repository.publish({ hosts: {} })
    await refresh(client, runtime)
    const before = bad.peer.accepted
    await refusalOf(client.fetch(bad.url(HOST), secret), 'ERR_TRUST_HOST_NOT_COVERED')
    await refusalOf(client.fetch(good.url(HOST), secret), 'ERR_TRUST_HOST_NOT_COVERED')
    expect([bad.peer.accepted, client.manifest.version]).toEqual([before, 2])
  })
})

describe('B22: nothing outside the signature is read', () => {
  test.each<[string, (envelope: Record<string, unknown>) => unknown, string]>([
    [
      'domainsConfig beside the payload',
      (whole) => ({ ...whole, domainsConfig: { [HOST]: { pinning: false } } }),
      'ENVELOPE_SHAPE',
    ],
    [
      'deny beside the payload',
      (whole) => ({ ...whole, deny: [{ spki: server.pin, reason: 'no' }] }),
      'ENVELOPE_SHAPE',
    ],
    ['poll beside the payload', (whole) => ({ ...whole, poll: { interval: 86_400, spread: 0 } }), 'ENVELOPE_SHAPE'],
    [
      'an unprotected header',
      (whole) => ({ ...whole, signatures: signaturesOf(whole).map((one) => ({ ...one, header: { b64: false } })) }),
      'ENVELOPE_SHAPE',
    ],
    [
      'a signature beside the signatures',
      (whole) => ({ ...whole, signature: 'AAAA', protected: 'AAAA' }),
      'ENVELOPE_SHAPE',
    ],
    [
      'the payload twice',
      ({ payload, signatures }) =>
        `{"payload":${JSON.stringify(base64url('{}'))},"payload":${JSON.stringify(payload)},"signatures":${JSON.stringify(signatures)}}`,
      'ENVELOPE_SHAPE',
    ],
    [
      'a member more in the protected header',
      (whole) => ({
        ...whole,
        signatures: signaturesOf(whole).map((one) => ({ ...one, protected: withMember(one.protected) })),
      }),
      'SIG_HEADER_FORBIDDEN',
    ],
    [
      'another payload',
      (whole) => ({
        ...whole,
        payload: base64url(`${Buffer.from(String(whole['payload']), 'base64url').toString()} `),
      }),
      'SIG_THRESHOLD',
    ],
  ])('a status with %s: refused, and the old pins stay', async (_, change, code) => {
    const { server: host, repository, client, runtime, stillPinned } = await startPinned()
    await repository.publishStatus()
    const genuineStatus = Buffer.from(repository.files().get('status.json') ?? new Uint8Array()).toString()
    const changed = change(JSON.parse(genuineStatus))
    host.respond('status.json', { body: typeof changed === 'string' ? changed : JSON.stringify(changed) })
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code: `ERR_MANIFEST_${code}` })
    await stillPinned()
    host.respond('status.json', { body: genuineStatus }) // the control: the same document as it was signed
    await refresh(client, runtime)
    expect(client.health().manifest?.statusVersion).toBe(2)
  })

  test('headers beside a genuine status change neither the pins nor when the next poll is', async () => {
    const { server: host, client, runtime, stillPinned } = await startPinned()
    const headers = {
      'retry-after': '86400',
      'cache-control': 'max-age=31536000, immutable',
      expires: 'Fri, 01 Jan 2100 00:00:00 GMT',
      'x-poll-interval': '86400',
      'public-key-pins': `pin-sha256="${attacker.pin.slice(7)}"; max-age=31536000; includeSubDomains`,
      location: 'https://elsewhere.example/',
      link: '<https://elsewhere.example/status.json>; rel="canonical"',
    }
    host.respond('status.json', { headers })
    await refresh(client, runtime)
    const { nextPollAt = 0 } = client.health().manifest ?? {}
    expect(nextPollAt - runtime.clock.now()).toBeLessThanOrEqual(375_000) // 300 s and a spread of 25 %, as signed
    await stillPinned()
  })

  test('an entity tag is no proof: a source that answers 304 for ever ends as if it answered nothing', async () => {
    const { server: host, client, runtime, bad, good } = await startPinned()
    host.respond('status.json', { status: 304, body: '' })
    await refresh(client, runtime)
    runtime.setWall(Date.now() + 30 * 86_400_000)
    await expect(refresh(client, runtime)).rejects.toMatchObject({ code: 'ERR_MANIFEST_STATUS_EXPIRED' })
    for (const { url } of [good, bad]) await refusalOf(client.fetch(url(HOST), secret), 'ERR_TRUST_PINSET_EXPIRED')
    expect([good.peer.accepted, bad.peer.accepted]).toEqual([0, 0])
  })
})

function signaturesOf(envelope: Record<string, unknown>): { protected: string; signature: string }[] {
  return envelope['signatures'] as { protected: string; signature: string }[]
}

function withMember(header: string): string {
  return base64url(
    JSON.stringify({ ...JSON.parse(Buffer.from(header, 'base64url').toString()), jku: 'https://evil.example/' }),
  )
}

describe('B23: a newer manifest is the whole set', () => {
  test('a pin that it leaves out no longer works: ERR_TRUST_PIN_MISMATCH; merging old and new would keep it', async () => {
    const { repository, client, runtime, good } = await startPinned()
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    await repository.publish({ hosts: { [HOST]: [spare.pin, genuine.issue().pin] } })
    await refresh(client, runtime)
    await refusalOf(client.fetch(good.url(HOST), secret), 'ERR_TRUST_PIN_MISMATCH')
    good.peer.setIdentity(spare)
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    expect(good.peer.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
  })

  test('a host that it leaves out is closed, its open connection included: ERR_TRUST_HOST_NOT_COVERED', async () => {
    const { repository, client, runtime, good } = await startPinned()
    const retired: unknown[] = []
    client.on('tls.retired', ({ connections, code }) => retired.push([connections, code]))
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    await repository.publish({ hosts: { [OTHER]: [server.pin, spare.pin] } })
    await refresh(client, runtime)
    expect(retired).toEqual([[1, 'ERR_TRUST_HOST_NOT_COVERED']]) // and not only when idle for long
    await good.relay.idle()
    await refusalOf(client.fetch(good.url(HOST), secret), 'ERR_TRUST_HOST_NOT_COVERED')
    expect((await client.fetch(good.url(OTHER))).status).toBe(200)
    expect(good.peer.requests).toHaveLength(2)
  })

  test('a deny beats a pin and survives a newer manifest that lists the key: ERR_TRUST_PIN_DENIED, until it says undeny', async () => {
    const { repository, client, runtime, good } = await startPinned()
    await repository.deny([server.pin], 'leaked')
    await refresh(client, runtime)
    await refusalOf(client.fetch(good.url(HOST), secret), 'ERR_TRUST_PIN_DENIED')
    await repository.publishStatus({ deny: [] })
    await repository.publish({ hosts: { [HOST]: [server.pin, spare.pin] } })
    await refresh(client, runtime)
    expect(client.manifest.version).toBe(2)
    await refusalOf(client.fetch(good.url(HOST), secret), 'ERR_TRUST_PIN_DENIED')
    await expectOnlyClientHello(good)
    await repository.publish({ members: { undeny: [server.pin] } })
    await refresh(client, runtime)
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
  })

  test('a denied issuer closes every key below it, pinned or not: ERR_TRUST_PIN_DENIED', async () => {
    const { repository, client, runtime, good } = await startPinned()
    await repository.deny([genuine.issuer.pin])
    await refresh(client, runtime)
    await refusalOf(client.fetch(good.url(HOST), secret), 'ERR_TRUST_PIN_DENIED')
    await expectOnlyClientHello(good)
  })
})

describe('B26: nothing is learned from the network', () => {
  test('after many handshakes through a pinned issuer, the key seen all along is still no pin', async () => {
    const here = await startScene(certificates(server, genuine.issuer), { handler: closing })
    const client = testClient({ pins: { [HOST]: [genuine.issuer.pin] }, anchors })
    for (let round = 0; round < 8; round += 1) expect((await client.fetch(here.url(HOST))).status).toBe(200)
    expect(here.peer.connections).toHaveLength(8)
    // The familiar key and name, now under a CA that is trusted and not pinned.
    here.peer.setIdentity(rogue.issue({ names: [HOST], key: server.key }))
    await refusalOf(client.fetch(here.url(HOST), secret), 'ERR_TRUST_PIN_MISMATCH')
    here.peer.setIdentity(spare)
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
  })

  test('an attacker who is refused often enough stays refused, and one seen first is no first use', async () => {
    const here = await startScene(attacker)
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    for (let round = 0; round < 5; round += 1)
      await refusalOf(client.fetch(here.url(HOST), secret), 'ERR_TRUST_PIN_MISMATCH')
    await expectOnlyClientHello(here)
    here.peer.setIdentity(server)
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
  })

  test('what a pinned server says about its next keys is not heard', async () => {
    const headers = {
      'public-key-pins': `pin-sha256="${attacker.pin.slice(7)}"; pin-sha256="${spare.pin.slice(7)}"; max-age=31536000; includeSubDomains`,
      'public-key-pins-report-only': `pin-sha256="${attacker.pin.slice(7)}"; report-uri="https://evil.example/"`,
      'expect-ct': 'max-age=0',
      'strict-transport-security': 'max-age=0',
      'alt-svc': `h3=":443"; ma=86400, h2="evil.example:443"`,
    }
    const here = await startScene(server, {
      handler: (_, response) => response.writeHead(200, { ...headers, connection: 'close' }).end('ok'),
    })
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    for (let round = 0; round < 3; round += 1) expect((await client.fetch(here.url(HOST))).status).toBe(200)
    here.peer.setIdentity(attacker)
    await refusalOf(client.fetch(here.url(HOST), secret), 'ERR_TRUST_PIN_MISMATCH')
    here.peer.setIdentity(spare)
    await refusalOf(client.fetch(here.url(HOST), secret), 'ERR_TRUST_PIN_MISMATCH')
    expect(here.peer.connections).toHaveLength(3)
  })

  test('a mismatch that report mode let through is a mismatch again the next time', async () => {
    const here = await startScene(attacker, { handler: closing })
    const client = testClient({ pins: { [HOST]: { pins: [server.pin], mode: 'report' } }, anchors })
    const reported: string[] = []
    client.on('tls.reported', ({ code }) => reported.push(code))
    for (let round = 0; round < 3; round += 1) expect((await client.fetch(here.url(HOST))).status).toBe(200)
    expect(reported).toEqual(Array(3).fill('ERR_TRUST_PIN_MISMATCH'))
  })
})

describe('B32: nothing goes around the pinned dispatchers', () => {
  test('every connection of a client, the manifest’s included, is made with the same strict options', async () => {
    const connect = vi.spyOn(tls, 'connect')
    onTestFinished(() => connect.mockRestore())
    const { client, good, server: host } = await startPinned()
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    const made = connect.mock.calls.map(
      ([options]) => options as unknown as tls.ConnectionOptions & tls.TLSSocketOptions,
    )
    expect(made.map(({ host: name }) => name)).toEqual(expect.arrayContaining([PINS, HOST]))
    expect(made).toHaveLength(host.connections.length + good.peer.connections.length)
    for (const { rejectUnauthorized, requestOCSP, servername, host: name } of made) {
      expect({ rejectUnauthorized, requestOCSP, servername }).toEqual({
        rejectUnauthorized: true,
        requestOCSP: true,
        servername: name,
      })
    }
  })

  test('a genuine manifest from a host with a wrong chain or name is not even read', async () => {
    const stranger = testCa({ name: 'Stranger' })
    for (const [ca, name, code] of [
      [stranger, PINS, 'ERR_TRUST_UNKNOWN_ISSUER'],
      [genuine, 'other.example.com', 'ERR_TRUST_NAME_MISMATCH'],
    ] as const) {
      const { server: host, manifest, repository } = await startTestPins({ ca, name, hosts: { [HOST]: [server.pin] } })
      const url = `https://${PINS}:${host.port}/`
      const client = testClient({ manifest: { ...manifest, url, startupMs: 200 }, anchors })
      const error = await client.ready().catch((caught: unknown) => caught)
      expect(error).toMatchObject({ cause: { code: 'ERR_MANIFEST_FETCH_NETWORK', cause: { code } } })
      expect([host.applicationBytes, client.manifest.version]).toEqual([0, 0])

      const honest = await until(
        startTlsServer({ identity: genuine.issue({ names: [PINS] }), handler: serve(repository.files()) }),
      )
      const control = testClient({ manifest: { ...manifest, url: `https://${PINS}:${honest.port}/` }, anchors })
      await control.ready()
      expect(control.manifest.version).toBe(1)
    }
  })

  test('a client certificate for the API is never shown to the host of the manifest', async () => {
    const identity = genuine.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] })
    const { repository, manifest } = await startTestPins({ ca: genuine, name: PINS, hosts: { [HOST]: [server.pin] } })
    const host = await until(
      startTlsServer({
        identity: genuine.issue({ names: [PINS] }),
        requestCert: true,
        handler: serve(repository.files()),
      }),
    )
    const here = await startScene(server, { requestCert: true })
    const certificate = { cert: identity.pem, key: identity.keyPem }
    const client = testClient({ manifest: { ...manifest, url: `https://${PINS}:${host.port}/` }, anchors, certificate })
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
    expect([host.clientCertificates.length, here.peer.clientCertificates.length]).toEqual([0, 1])
  })

  test('a dispatcher hidden in a Request loses to ours: ERR_TRUST_PIN_MISMATCH, and it is never asked', async () => {
    const here = await startScene(attacker)
    let asked = 0
    const dispatcher = { dispatch: () => ++asked > 0 } as never
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors })
    const request = new Request(here.url(HOST), { ...secret, dispatcher })
    await refusalOf(client.fetch(request), 'ERR_TRUST_PIN_MISMATCH')
    await expectOnlyClientHello(here)
    expect(asked).toBe(0)
  })

  test('a fetch that was patched after the client was made never sees its requests', async () => {
    const { client, good, server: host, runtime } = await startPinned()
    const patched = vi.fn(() => Promise.reject(new Error('patched')))
    vi.stubGlobal('fetch', patched)
    onTestFinished(() => void vi.unstubAllGlobals())
    expect((await client.fetch(good.url(HOST))).status).toBe(200)
    const before = host.requests.length
    await refresh(client, runtime)
    expect([patched.mock.calls.length, host.requests.length > before]).toEqual([0, true])
  })

  test('importing the library and making a client changes no global of the process', async () => {
    const here = await startScene(server)
    const script = `
      import https from 'node:https'
      import net from 'node:net'
      import tls from 'node:tls'
      void globalThis.Headers // Node's own fetch, and with it its dispatcher
      const symbols = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2'].map((name) => Symbol.for(name))
      const look = () => ({
        ...Object.fromEntries(['fetch', 'Headers', 'Request', 'Response', 'FormData', 'WebSocket', 'URL'].map((name) => [name, globalThis[name]])),
        ...Object.fromEntries(symbols.map((symbol) => [symbol.description, globalThis[symbol]])),
        ...Object.fromEntries(Object.keys(tls).filter((name) => name !== 'rootCertificates').map((name) => ['tls.' + name, tls[name]])),
        agent: https.globalAgent, request: https.request, get: https.get, connect: net.connect, emit: process.emit,
        env: JSON.stringify(process.env), listeners: JSON.stringify(process.eventNames().map(String)),
        // zod keeps its registry on the global object, under names of its own
        names: Object.getOwnPropertyNames(globalThis).filter((name) => !name.startsWith('__zod_')).sort().join(),
      })
      const before = look()
      const { createClient } = await import('./src/index.ts')
      const client = createClient({ pins: { '${HOST}': ['${server.pin}'] }, anchors: process.env.ANCHORS, resolver: async () => ['127.0.0.1'] })
      const status = await client.fetch('${here.url(HOST)}').then((response) => response.status)
      await client.close()
      const after = look()
      const changed = Object.keys(after).filter((name) => after[name] !== before[name])
      console.log(JSON.stringify({ status, changed }))`
    const { stdout, stderr } = await runModule(script, { ANCHORS: genuine.anchorPem })
    expect(JSON.parse(stdout || JSON.stringify(stderr))).toEqual({ status: 200, changed: [] })
  })
})

function serve(files: ReadonlyMap<string, Uint8Array>): TestHandler {
  return ({ path }, response) => {
    const file = files.get(path.slice(1))
    response.writeHead(file === undefined ? 404 : 200).end(file)
  }
}
