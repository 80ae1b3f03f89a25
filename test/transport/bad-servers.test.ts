/** Servers as badssl.com has them, made here: each is refused for its own flaw, and nothing reaches it but a ClientHello. */
import { execFile } from 'node:child_process'
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  getDiffieHellman,
  type KeyObject,
  sign,
} from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ClientOptions, PinfetchError } from 'pinfetch'
import { allowLegacy, allowTls12 } from 'pinfetch/dangerous'
import {
  extension,
  generateKey,
  type IssueOptions,
  type KeyPair,
  ocspResponse,
  type Relay,
  type ServerIdentity,
  selfSigned,
  startRelay,
  startTlsServer,
  type TestCertificate,
  type TestHosts,
  testCa,
} from 'pinfetch/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, startProgram } from '../../src/testing/lab/programs.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { certificates, expectOnlyClientHello, startScene } from '../support/scene.ts'
import { dhParameters, PROGRAMS, type TlsProgram } from '../support/tls-programs.ts'

const HOST = 'api.example.com'
const reason = 'a bad server'
const ca = testCa()
const other = testCa({ name: 'Other' })
const good = ca.issue({ names: [HOST] })
const anchors = [ca.anchorPem, other.anchorPem]

test.runIf(process.env['CI'] === 'true')(
  'openssl and gnutls-serv are installed where skipping counts as failing',
  () => {
    expect(PROGRAMS).toEqual({ openssl: true, 'gnutls-serv': true })
  },
)

/** From strict to loose; what the last refuses, no option lets in. */
const POLICIES = {
  default: {},
  tls12: { tls12Hosts: [allowTls12(HOST, { reason })] },
  legacy: { legacyHosts: [allowLegacy(HOST, { reason, sunset: new Date(Date.now() + 90 * 86_400_000) })] },
} satisfies Record<string, Partial<ClientOptions>>
type Policy = keyof typeof POLICIES

describe('certificates', () => {
  const issue = (options: IssueOptions): TestCertificate => ca.issue({ names: [HOST], ...options })
  const now = Date.now()
  const DAY_MS = 86_400_000
  const mustStaple = extension.mustStaple()
  const unknown = { oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }
  const narrow = ca.issuer.issue({
    ca: true,
    subject: 'Narrow',
    nameConstraints: { permitted: [{ dns: 'other.test' }] },
  })
  const oldIssuer = ca.root.issue({ ca: true, subject: 'Old', hash: 'sha1' })
  const rsaIssuer = ca.root.issue({ ca: true, subject: 'RSA', keyType: 'RSA-2048' })

  const numbered = (length: number): readonly string[] => Array.from({ length }, (_, at) => `n${at}.example.com`)

  type Code = PinfetchError['code']
  const bad: readonly (readonly [string, Code, () => ServerIdentity & { readonly pin?: string }])[] = [
    ['expired', 'ERR_TRUST_CERT_EXPIRED', () => issue({ notBefore: now - 9 * DAY_MS, notAfter: now - DAY_MS })],
    [
      'not yet valid',
      'ERR_TRUST_CERT_NOT_YET_VALID',
      () => issue({ notBefore: now + DAY_MS, notAfter: now + 9 * DAY_MS }),
    ],
    ['of another host', 'ERR_TRUST_NAME_MISMATCH', () => ca.issue({ names: ['wrong.example.com'] })],
    ['for a whole top-level domain', 'ERR_TRUST_NAME_MISMATCH', () => ca.issue({ names: ['*.com'] })],
    ['without SAN', 'ERR_TRUST_NAME_MISMATCH', () => ca.issue({ subject: HOST })],
    ['of an untrusted root', 'ERR_TRUST_UNKNOWN_ISSUER', () => testCa({ name: 'Nobody' }).issue({ names: [HOST] })],
    ['without its intermediate', 'ERR_TRUST_UNKNOWN_ISSUER', () => certificates(good, good)],
    ['signed with SHA-1', 'ERR_TRUST_WEAK_SIGNATURE', () => issue({ hash: 'sha1' })],
    ['signed with MD5', 'ERR_TRUST_WEAK_SIGNATURE', () => withMd5(rsaIssuer.issue({ names: [HOST] }), rsaIssuer)],
    ['of an issuer signed with SHA-1', 'ERR_TRUST_WEAK_SIGNATURE', () => oldIssuer.issue({ names: [HOST] })],
    ['with its own signature', 'ERR_TRUST_UNKNOWN_ISSUER', () => selfSigned({ names: [HOST] })],
    ['with an RSA key of 512 bits', 'ERR_TRUST_WEAK_KEY', () => issue({ key: rsaKey(512) })],
    ['with an RSA key of 1024 bits', 'ERR_TRUST_WEAK_KEY', () => issue({ keyType: 'RSA-1024' })],
    ['for clients', 'ERR_TRUST_EXTENDED_KEY_USAGE', () => issue({ extendedKeyUsage: ['clientAuth'] })],
    ['signed by an end entity', 'ERR_TRUST_NOT_A_CA', () => issue({}).issue({ names: [HOST] })],
    ['outside of the issuer’s name constraints', 'ERR_TRUST_NAME_CONSTRAINTS', () => narrow.issue({ names: [HOST] })],
    ['with an unknown critical extension', 'ERR_TRUST_CRITICAL_EXTENSION', () => issue({ extensions: [unknown] })],
    ['that demands a staple and has none', 'ERR_TRUST_MUST_STAPLE_MISSING', () => issue({ extensions: [mustStaple] })],
    ['of another trusted CA', 'ERR_TRUST_PIN_MISMATCH', () => other.issue({ names: [HOST] })],
  ]

  test.each(bad)('%s: %s, and nothing sent', async (name, code, make) => {
    const identity = make()
    const isTls12 = name.includes('512 bits') // too short for a signature of TLS 1.3
    const scene = await startScene(identity, isTls12 ? { maxVersion: 'TLSv1.2' } : {})
    const pinned = 'pin' in identity && name !== 'of another trusted CA' ? String(identity.pin) : good.pin
    const client = testClient({ pins: { [HOST]: [pinned] }, anchors, ...(isTls12 ? POLICIES.tls12 : {}) })
    await refusalOf(client.fetch(scene.url(HOST)), code)
    await expectOnlyClientHello(scene)
  })

  test('with ten thousand names: more than OpenSSL takes in a handshake, ERR_TLS_HANDSHAKE', async () => {
    const identity = issue({ names: [HOST, ...numbered(9_999)] })
    const scene = await startScene(identity)
    await refusalOf(
      testClient({ pins: { [HOST]: [identity.pin] }, anchors }).fetch(scene.url(HOST)),
      'ERR_TLS_HANDSHAKE',
    )
    expect(scene.peer.applicationBytes).toBe(0)
  })

  test('of an interception product whose CA is trusted and whose key is pinned: ERR_TRUST_INTERCEPTION, or an event', async () => {
    const hosts: TestHosts = { [HOST]: [other.issuer.pin] }
    const { manifest, repository } = await startTestPins({ ca, name: 'pins.example.com', hosts })
    await repository.publish({ members: { interception: [other.issuer.pin] } })
    const scene = await startScene(other.issue({ names: [HOST] }))
    const clientThat = async (interception: 'report' | 'refuse') => {
      const client = testClient({ manifest, anchors, interception })
      const told: string[] = []
      client.on('tls.interception', ({ outcome }) => told.push(outcome))
      await client.ready()
      return { client, told }
    }
    const blocking = await clientThat('refuse')
    await refusalOf(blocking.client.fetch(scene.url(HOST)), 'ERR_TRUST_INTERCEPTION')
    await expectOnlyClientHello(scene)
    expect(blocking.told).toEqual(['refused'])
    const telling = await clientThat('report')
    expect((await telling.client.fetch(scene.url(HOST))).status).toBe(200)
    expect(telling.told).toEqual(['accepted'])
  })

  test('that asks for one of the client: ERR_TLS_CLIENT_CERTIFICATE_REQUIRED without, and with one it answers', async () => {
    const onSocket = (socket: TLSSocket): void => {
      if (socket.getPeerX509Certificate() === undefined) socket.destroy()
      else socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    }
    const scene = await startScene(good, { requestCert: true, onSocket })
    const options = { pins: { [HOST]: [good.pin] }, anchors }
    await refusalOf(testClient(options).fetch(scene.url(HOST)), 'ERR_TLS_CLIENT_CERTIFICATE_REQUIRED')
    const { pem: cert, keyPem: key } = ca.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] })
    expect((await testClient({ ...options, certificate: { cert, key } }).fetch(scene.url(HOST))).status).toBe(200)
  })

  test('revoked, as its staple says: ERR_TRUST_CERT_REVOKED, and nothing sent; a staple that says good passes', async () => {
    for (const status of ['revoked', 'good'] as const) {
      const staple = ocspResponse({ certificate: good, status, now: Date.now() })
      const scene = await startScene(good, { ocspResponse: staple })
      const call = testClient({ pins: { [HOST]: [good.pin] }, anchors }).fetch(scene.url(HOST))
      if (status === 'good') expect((await call).status).toBe(200)
      else {
        await refusalOf(call, 'ERR_TRUST_CERT_REVOKED')
        await expectOnlyClientHello(scene)
      }
    }
  })

  test.each<[string, () => ServerIdentity & { readonly pin?: string }]>([
    ['as it should be', () => good],
    ['in reversed order', () => certificates(good, good, ca.root, ca.issuer)],
    ['without a subject', () => issue({ subject: [] })],
    ['without a Common Name', () => issue({ subject: [['O', 'Example']] })],
    [
      'of a policy for extended validation',
      () => issue({ extensions: [extension.certificatePolicies(['2.23.140.1.1'])] }),
    ],
    ['of a wildcard and a name in Unicode', () => issue({ names: ['*.example.com', 'xn--n1aae7f7o.example.com'] })],
    ['of an RSA issuer', () => rsaIssuer.issue({ names: [HOST] })],
    ['of P-256', () => issue({ keyType: 'P-256' })],
    ['with a thousand names', () => issue({ names: [HOST, ...numbered(999)] })],
    ['of P-384', () => issue({ keyType: 'P-384' })],
    ['of RSA with 2048 bits', () => issue({ keyType: 'RSA-2048' })],
    ['of RSA with 3072 bits', () => issue({ keyType: 'RSA-3072' })],
    ['of RSA with 4096 bits', () => issue({ key: generateKey('RSA-4096') })],
    ['of RSA with 8192 bits', () => issue({ key: rsa8192() })],
    ['signed with SHA-384', () => issue({ hash: 'sha384' })],
    ['signed with SHA-512', () => issue({ hash: 'sha512' })],
  ])('the control: one %s is accepted', async (_, make) => {
    const identity = make()
    const scene = await startScene(identity)
    const pin = 'pin' in identity ? String(identity.pin) : good.pin
    expect((await testClient({ pins: { [HOST]: [pin] }, anchors }).fetch(scene.url(HOST))).status).toBe(200)
  })
})

/** The loosest policy that refuses the server, with which code, and the strictest that accepts it. */
interface Case {
  readonly name: string
  readonly program: TlsProgram
  readonly args: readonly string[]
  readonly refusedBy?: readonly [Policy, PinfetchError['code']]
  readonly acceptedBy?: Policy
  /** What a client that lets it happen is told to speak. */
  readonly naive: readonly string[]
}

const anyCipher = (list = 'ALL:COMPLEMENTOFALL'): readonly string[] => ['-cipher', `${list}:@SECLEVEL=0`]
const gnutls = (priority: string): readonly string[] => ['--priority', `NONE:${priority}:+COMP-NULL:+SIGN-ALL`]
const suite = (name: string, refusedBy: Policy, ...more: readonly string[]) => ({
  program: 'openssl' as const,
  args: ['-tls1_2', ...anyCipher(name), ...more],
  refusedBy: [refusedBy, 'ERR_TLS_HANDSHAKE'] as const,
  naive: ['-tls1_2', ...anyCipher(name)],
})

const CASES: readonly Case[] = [
  {
    name: 'TLS 1.0',
    program: 'openssl',
    args: ['-tls1', ...anyCipher()],
    refusedBy: ['legacy', 'ERR_TLS_VERSION'],
    naive: ['-tls1', ...anyCipher()],
  },
  {
    name: 'TLS 1.1',
    program: 'openssl',
    args: ['-tls1_1', ...anyCipher()],
    refusedBy: ['legacy', 'ERR_TLS_VERSION'],
    naive: ['-tls1_1', ...anyCipher()],
  },
  {
    name: 'TLS 1.2',
    program: 'openssl',
    args: ['-tls1_2'],
    refusedBy: ['default', 'ERR_TLS_VERSION'],
    acceptedBy: 'tls12',
    naive: ['-tls1_2'],
  },
  { name: 'TLS 1.3', program: 'openssl', args: ['-tls1_3'], acceptedBy: 'default', naive: ['-tls1_3'] },
  { name: 'CBC', ...suite('ECDHE-RSA-AES128-SHA', 'tls12'), acceptedBy: 'legacy' },
  { name: 'CBC with SHA-384', ...suite('ECDHE-RSA-AES256-SHA384', 'tls12'), acceptedBy: 'legacy' },
  { name: 'static RSA', ...suite('AES128-GCM-SHA256', 'legacy') },
  { name: 'static RSA with CBC', ...suite('AES256-SHA', 'legacy') },
  { name: 'DHE with 1024 bits', ...suite('DHE-RSA-AES128-GCM-SHA256', 'legacy', '-dhparam', 'dh1024.pem') },
  { name: 'DHE with 2048 bits', ...suite('DHE-RSA-AES256-GCM-SHA384', 'legacy', '-dhparam', 'dh2048.pem') },
  { name: 'no encryption', ...suite('NULL-SHA256', 'legacy') },
  { name: 'no encryption under ECDHE', ...suite('ECDHE-RSA-NULL-SHA', 'legacy') },
  { name: 'no certificate', ...suite('ADH-AES256-GCM-SHA384:AECDH-AES256-SHA', 'legacy', '-nocert') },
  { name: 'Camellia', ...suite('ECDHE-RSA-CAMELLIA256-SHA384', 'legacy') },
  { name: 'CCM', ...suite('DHE-RSA-AES256-CCM8', 'legacy') },
  {
    name: 'RC4',
    program: 'gnutls-serv',
    args: gnutls('+VERS-TLS1.2:+ECDHE-RSA:+RSA:+ARCFOUR-128:+SHA1:+CURVE-ALL'),
    refusedBy: ['legacy', 'ERR_TLS_HANDSHAKE'],
    naive: gnutls('+VERS-TLS1.2:+ECDHE-RSA:+RSA:+ARCFOUR-128:+SHA1:+CURVE-ALL'),
  },
  {
    name: 'RC4 with MD5',
    program: 'gnutls-serv',
    args: gnutls('+VERS-TLS1.2:+RSA:+ARCFOUR-128:+MD5'),
    refusedBy: ['legacy', 'ERR_TLS_HANDSHAKE'],
    naive: gnutls('+VERS-TLS1.2:+RSA:+ARCFOUR-128:+MD5'),
  },
  {
    name: '3DES',
    program: 'gnutls-serv',
    args: gnutls('+VERS-TLS1.2:+ECDHE-RSA:+RSA:+3DES-CBC:+SHA1:+CURVE-ALL'),
    refusedBy: ['legacy', 'ERR_TLS_HANDSHAKE'],
    naive: gnutls('+VERS-TLS1.2:+ECDHE-RSA:+RSA:+3DES-CBC:+SHA1:+CURVE-ALL'),
  },
  {
    name: 'TLS 1.3 of GnuTLS',
    program: 'gnutls-serv',
    args: gnutls('+VERS-TLS1.3:+AES-256-GCM:+AEAD:+GROUP-ALL'),
    acceptedBy: 'default',
    naive: gnutls('+VERS-TLS1.3:+AES-256-GCM:+AEAD:+GROUP-ALL'),
  },
]

interface Running {
  readonly port: number
  readonly end: () => Promise<void>
  readonly relay: Relay
}

describe('versions and suites', () => {
  const rsa = ca.issue({ names: [HOST], keyType: 'RSA-2048' })
  const running = new Map<string, Running>()

  beforeAll(async () => {
    const files = {
      'cert.pem': rsa.pem,
      'chain.pem': rsa.pem + ca.issuer.pem,
      'key.pem': rsa.keyPem,
      'dh1024.pem': dhParameters('modp2'),
      'dh2048.pem': dhParameters('modp14'),
    }
    await Promise.all(
      CASES.filter(({ program }) => PROGRAMS[program]).map(async ({ name, program, args }) => {
        const identity = args.includes('-nocert')
          ? []
          : ['-cert', 'cert.pem', '-cert_chain', 'chain.pem', '-key', 'key.pem']
        const port = await freePort()
        const started = await startProgram(program, {
          args:
            program === 'openssl'
              ? ['s_server', '-accept', `127.0.0.1:${port}`, '-www', ...identity, ...args]
              : ['--http', '-p', String(port), '--x509certfile', 'chain.pem', '--x509keyfile', 'key.pem', ...args],
          ports: [port],
          files,
        })
        running.set(name, { port, end: started.close, relay: await startRelay({ target: { port } }) })
      }),
    )
  })
  afterAll(async () => {
    await Promise.all([...running.values()].flatMap(({ end, relay }) => [relay.close(), end()]))
  })

  const statusFrom = async (name: string, policy: Policy) => {
    const { relay } = running.get(name) ?? expect.fail(`${name} does not run`)
    const client = testClient({ pins: { [HOST]: [rsa.pin] }, anchors, ...POLICIES[policy] })
    const before = relay.connections.length
    const call = client.fetch(`https://${HOST}:${relay.port}/`)
    return { call, sent: () => relay.connections.slice(before).flatMap(({ clientToServer }) => clientToServer.records) }
  }

  const of = (wanted: 'refusedBy' | 'acceptedBy') => CASES.filter((one) => one[wanted] !== undefined)
  for (const { name, program, refusedBy } of of('refusedBy')) {
    const [policy = 'default', code = 'ERR_TLS_HANDSHAKE'] = refusedBy ?? []
    test.runIf(PROGRAMS[program])(
      `${name}: ${code}, however loose up to ${policy}; nothing but a ClientHello is sent`,
      async () => {
        const upTo = Object.keys(POLICIES).indexOf(policy) + 1
        for (const each of (Object.keys(POLICIES) as Policy[]).slice(0, upTo)) {
          const { call, sent } = await statusFrom(name, each)
          const error = await refusalOf(call, each === policy ? code : expect.any(String))
          expect(['ERR_TLS_HANDSHAKE', 'ERR_TLS_VERSION']).toContain(error.code)
          expect(error.requestSent).toBe('no')
          await expect.poll(() => sent().length).toBeGreaterThan(0)
          const [hello, ...alerts] = sent().map(({ type, firstByte }) =>
            type === 22 ? `handshake ${firstByte}` : `type ${type}`,
          )
          expect(hello).toBe('handshake 1')
          expect(alerts.filter((record) => record !== 'type 21')).toEqual([])
        }
      },
    )
  }
  for (const { name, program, acceptedBy = 'default' } of of('acceptedBy')) {
    test.runIf(PROGRAMS[program])(`the control: ${name} is accepted under ${acceptedBy}`, async () => {
      const { call } = await statusFrom(name, acceptedBy)
      expect((await call).status).toBe(200)
    })
  }
  for (const { name, program, naive } of CASES) {
    test.runIf(PROGRAMS[program])(`the control: ${name} is served to a client that lets it happen`, async () => {
      const { port } = running.get(name) ?? expect.fail(`${name} does not run`)
      const output = await (program === 'openssl'
        ? outputOf('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...naive])
        : outputOf('gnutls-cli', ['--insecure', ...naive, '-p', String(port), '127.0.0.1']))
      expect(output).toMatch(
        program === 'openssl' ? /New, (TLSv1|SSLv3)[\d.]*, Cipher is (?!\(NONE\))/ : /Handshake was completed/,
      )
    })
  }
})

describe('servers that speak something else', () => {
  const SSL3_HELLO = Buffer.from(`160300002a020000260300${'5a'.repeat(32)}00002f00`, 'hex')
  const SSL2_HELLO = Buffer.from(`8010040001000200000000000b${'5a'.repeat(5)}`, 'hex')

  test.each<[string, PinfetchError['code'], Buffer | string]>([
    ['SSL 3.0', 'ERR_TLS_VERSION', SSL3_HELLO],
    ['SSL 2.0', 'ERR_TLS_HANDSHAKE', SSL2_HELLO],
    ['plain HTTP', 'ERR_TLS_HANDSHAKE', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ])('%s: %s, even for a legacy host; nothing but a ClientHello is sent', async (_, code, answer) => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.once('data', () => socket.write(answer))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const relay = await until(startRelay({ target: { port: typeof address === 'object' ? (address?.port ?? 0) : 0 } }))
    try {
      const client = testClient({ pins: { [HOST]: [good.pin] }, anchors, ...POLICIES.legacy })
      const error = await refusalOf(client.fetch(`https://${HOST}:${relay.port}/`), code)
      expect(error.requestSent).toBe('no')
      await expect.poll(() => relay.clientToServer.records.length).toBeGreaterThan(0)
      const kinds = relay.clientToServer.records.map(({ type, firstByte }) =>
        type === 22 ? firstByte : `type ${type}`,
      )
      expect(kinds.filter((kind) => kind !== 'type 21')).toEqual([1])
    } finally {
      server.close()
      for (const socket of sockets) socket.destroy()
    }
  })

  test('the control: behind the same relay, a server that speaks TLS is accepted', async () => {
    const peer = await until(startTlsServer({ identity: good }))
    const relay = await until(startRelay({ target: peer }))
    const client = testClient({ pins: { [HOST]: [good.pin] }, anchors, ...POLICIES.legacy })
    expect((await client.fetch(`https://${HOST}:${relay.port}/`)).status).toBe(200)
  })
})

const keyPair = (privateKey: KeyObject): KeyPair => {
  const publicKey = createPublicKey(privateKey)
  return {
    type: 'RSA-2048',
    privateKey,
    publicKey,
    spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
  }
}

const rsaKey = (modulusLength: number): KeyPair => keyPair(generateKeyPairSync('rsa', { modulusLength }).privateKey)

/** To look for two primes takes long; these of RFC 3526 are known, which does no harm in a test. */
function rsa8192(): KeyPair {
  const [p, q] = ['modp17', 'modp14'].map((name) => BigInt(`0x${getDiffieHellman(name).getPrime('hex')}`)) as [
    bigint,
    bigint,
  ]
  const e = 65_537n
  const phi = (p - 1n) * (q - 1n)
  const d = inverse(e, phi)
  const numbers = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) }
  const hex = (value: bigint): string => value.toString(16).replace(/^(?=(..)*.$)/, '0')
  const key = Object.fromEntries(
    Object.entries(numbers).map(([name, value]) => [name, Buffer.from(hex(value), 'hex').toString('base64url')]),
  )
  return keyPair(createPrivateKey({ key: { kty: 'RSA', ...key }, format: 'jwk' }))
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [r, next, s, t] = [modulus, value, 0n, 1n]
  while (next !== 0n) [r, next, s, t] = [next, r % next, t, s - (r / next) * t]
  return (s + modulus) % modulus
}

/** Of an RSA issuer that signs with SHA-256: the same certificate, with md5WithRSAEncryption (RFC 3279 §2.2.1) in its place. */
function withMd5(certificate: TestCertificate, issuer: TestCertificate): ServerIdentity & { readonly pin: string } {
  const der = Buffer.from(certificate.der)
  const sha256 = Buffer.from('2a864886f70d01010b', 'hex')
  for (let at = der.indexOf(sha256); at >= 0; at = der.indexOf(sha256)) der[at + sha256.length - 1] = 4
  const signed = der.subarray(4, 4 + 4 + der.readUInt16BE(6)) // the first member, with a length of two octets as the whole
  sign('md5', signed, issuer.key.privateKey).copy(der, der.length - 256)
  const [, ...issuers] = certificate.chain
  return { certificates: [new Uint8Array(der), ...issuers], key: certificate.keyPem, pin: certificate.pin }
}

function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(program, [...args], { timeout: 30_000 }, (_, stdout, stderr) =>
      resolve(`${stdout}${stderr}`),
    )
    child.stdin?.end()
  })
}
