import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import {
  crossSign,
  EXTENSION_OID,
  expiredTwinOf,
  extension,
  forgedTwinOf,
  type IssueOptions,
  impostorOf,
  type KeyPair,
  type KeyType,
  type ServerIdentity,
  selfSigned,
  type TestCertificate,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { EventOf } from '../../src/events/events.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { evaluateTrust } from '../../src/trust/evaluate.ts'
import * as der from '../../src/x509/der-writer.ts'
import { refusalOf, testClient } from '../support/client.ts'
import { originOf, policyFor } from '../support/policy.ts'
import { runModule } from '../support/run.ts'
import { certificates, expectOnlyClientHello, type Scene, startScene } from '../support/scene.ts'

/**
 * Two validators judge every peer: ours and OpenSSL's, which is Node's own, and both must accept. These tests hold, for
 * each class of chains on which they disagree, what `client.fetch` does on the wire. Where no Node is named, Node 20
 * (OpenSSL 3.0) and 22, 24 and 26 (OpenSSL 3.5) agree.
 */
const HOST = 'api.example.com'
const NODE = Number(process.versions.node.split('.')[0])
const secret = { method: 'POST', body: 'secret', headers: { authorization: 'Bearer secret' } }
const names = [HOST]

const ca = testCa()
const other = testCa({ name: 'Other' })
const server = ca.issue({ names })

type Pem = { readonly pem: string }

/** What a plain client of this Node says, its name check included: `ok`, or the code of its refusal. */
async function nodeVerdict(
  { peer }: Scene,
  anchors: readonly Pem[],
  options: { readonly host?: string; readonly allowPartialTrustChain?: boolean } = {},
): Promise<string> {
  const { host = HOST, ...more } = options
  const { authorized, error } = await visit(peer.port, anchors, { servername: host, ...more }, () => [])
  return authorized ? 'ok' : error
}

/** The pins that a client sees which takes whatever is presented for the chain. */
const presentedPins = async (
  { peer }: Scene,
  anchors: readonly Pem[],
): Promise<{ authorized: boolean; pins: string[] }> => {
  const { authorized, result } = await visit(peer.port, anchors, { servername: HOST }, (socket) => {
    const pins: string[] = []
    let at = socket.getPeerX509Certificate()
    for (; at !== undefined; at = at.issuerCertificate) pins.push(pinOf(at))
    return pins
  })
  return { authorized, pins: result }
}

function visit<T>(
  port: number,
  anchors: readonly Pem[],
  options: tls.ConnectionOptions,
  read: (socket: tls.TLSSocket) => T,
): Promise<{ authorized: boolean; error: string; result: T }> {
  return new Promise((resolve, reject) => {
    const ca = anchors.map(({ pem }) => pem)
    const socket = tls.connect({ host: '127.0.0.1', port, ca, rejectUnauthorized: false, ...options })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      const cause: unknown = socket.authorizationError // a code in OpenSSL's words, or the error of the name check
      const error = cause instanceof Error ? String((cause as Error & { code?: unknown }).code) : String(cause)
      resolve({ authorized: socket.authorized, error, result: read(socket) })
      socket.destroy()
    })
  })
}

function pinOf(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' })
  return `sha256/${createHash('sha256').update(spki).digest('base64')}`
}

function clientOf(anchors: readonly Pem[], pin: TestCertificate['pin'], host = HOST) {
  return testClient({ pins: { [host]: [pin] }, anchors: anchors.map(({ pem }) => pem) })
}

/** Our verdict alone, on what the server presents. */
function ourVerdict(
  identity: ServerIdentity,
  anchors: readonly TestCertificate[],
  pin: TestCertificate['pin'],
  host: string,
) {
  const presented =
    'chain' in identity ? identity.chain : identity.certificates.filter((one) => typeof one !== 'string')
  return evaluateTrust({
    presented,
    identity: { kind: 'dns', name: host },
    policy: policyFor(originOf(`https://${host}/`), [pin], {
      anchors: createAnchors(anchors.map((anchor) => anchor.der)),
    }),
    now: toUnixMs(Date.now()),
  }).kind
}

/** Refused before anything but the ClientHello left. */
async function expectRefused(
  here: Scene,
  anchors: readonly Pem[],
  pin: TestCertificate['pin'],
  code: Parameters<typeof refusalOf>[1],
  host = HOST,
) {
  const error = await refusalOf(clientOf(anchors, pin, host).fetch(here.url(host), secret), code)
  await here.relay.idle()
  await expectOnlyClientHello(here)
  expect(here.peer.requests).toEqual([])
  return error
}

async function expectAccepted(
  identity: ServerIdentity,
  anchors: readonly Pem[],
  pin: TestCertificate['pin'],
  host = HOST,
): Promise<void> {
  const { url, peer } = await startScene(identity)
  expect((await clientOf(anchors, pin, host).fetch(url(host), secret)).status).toBe(200)
  expect(peer.requests).toHaveLength(1)
}

const unknownExtension = (oid: string, critical: boolean, value = der.nothing()) => ({ oid, critical, value })
const UNKNOWN = '1.3.6.1.4.1.55738.666.1'
const PRECERTIFICATE_POISON = '1.3.6.1.4.1.11129.2.4.3'
const NETSCAPE_CERT_TYPE = '2.16.840.1.113730.1.1'

/** A key the test kit has no name for. */
function keyOf({ privateKey, publicKey }: Pick<KeyPair, 'privateKey' | 'publicKey'>, type: KeyType = 'P-256'): KeyPair {
  return { type, privateKey, publicKey, spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })) }
}
const onCurve = (namedCurve: string): KeyPair => keyOf(generateKeyPairSync('ec', { namedCurve }))

describe('OpenSSL refuses what we accept: ERR_TRUST_NODE_REFUSED', () => {
  /** One more certificate of the intermediate's name and key, from the same root, with a fault. */
  const twin = (fault: IssueOptions): TestCertificate =>
    ca.root.issue({ ...ca.issuer.options, subject: ca.issuer.subject, ...fault })
  const dead = crossSign(ca.issuer, other.root)

  // OpenSSL takes the first issuer whose name, key identifier and dates fit, and never comes back to the next.
  test.each<[string, string, readonly { readonly der: Uint8Array }[]]>([
    ['excludes the name', 'UNSPECIFIED', [twin({ nameConstraints: { excluded: [{ dns: 'example.com' }] } })]],
    ['is for code signing', 'INVALID_PURPOSE', [twin({ extendedKeyUsage: ['codeSigning'] })]],
    ['has no basicConstraints', 'INVALID_CA', [twin({ omit: [EXTENSION_OID.basicConstraints] })]],
    ['is no CA', 'INVALID_PURPOSE', [twin({ extensions: [extension.basicConstraints(false)] })]],
    ['may not sign certificates', 'UNSPECIFIED', [twin({ keyUsage: ['cRLSign'] })]],
    ['is signed with SHA-1', 'UNSPECIFIED', [twin({ hash: 'sha1' })]],
    ['has an unknown critical extension', 'UNSPECIFIED', [twin({ extensions: [unknownExtension(UNKNOWN, true)] })]],
    ['is signed by an untrusted root', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', [dead]],
    ['is signed by an untrusted root, sent too', 'SELF_SIGNED_CERT_IN_CHAIN', [dead, other.root]],
    ['has a signature that does not verify', 'CERT_SIGNATURE_FAILURE', [forgedTwinOf(ca.issuer)]],
    ['has another key', 'CERT_SIGNATURE_FAILURE', [impostorOf(ca.issuer, { issuer: other.root })]],
  ])('the intermediate’s twin that comes first %s (%s)', async (_, error, twins) => {
    const identity = certificates(server, ...twins, ca.issuer)
    const here = await startScene(identity)
    expect(await nodeVerdict(here, [ca.root])).toBe(error)
    expect(ourVerdict(identity, [ca.root], server.pin, HOST)).toBe('trusted')
    const refusal = await expectRefused(await startScene(identity), [ca.root], server.pin, 'ERR_TRUST_NODE_REFUSED')
    expect(refusal.message).toContain(error)
    await expectAccepted(certificates(server, ca.issuer, ...twins), [ca.root], server.pin) // in the order that helps
  })

  const dated = testCa({ intermediates: 0 })
  const below = dated.issue({ names })
  const impostor = impostorOf(dated.root)
  const local = selfSigned({ names, ca: true, keyUsage: ['digitalSignature', 'keyCertSign'] })

  test.each<[string, string, ServerIdentity, readonly TestCertificate[], readonly TestCertificate[]]>([
    [
      'the only anchor is an intermediate',
      'UNABLE_TO_GET_ISSUER_CERT',
      server,
      [ca.issuer],
      [ca.issuer, ca.root], // the control: with its root beside it
    ],
    [
      'the only anchor is an intermediate, and its root is presented',
      'UNABLE_TO_GET_ISSUER_CERT',
      certificates(server, ca.issuer, ca.root),
      [ca.issuer],
      [ca.root],
    ],
    [
      'the anchor is an end entity of an absent CA',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      certificates(server),
      [server],
      [server, ca.root, ca.issuer],
    ],
    [
      'an impostor with the root’s subject and key identifier stands before it among the anchors',
      'CERT_SIGNATURE_FAILURE',
      below,
      [impostor, dated.root],
      [dated.root, impostor], // the control: the other order
    ],
  ])('%s (%s)', async (_, error, identity, anchors, better) => {
    const here = await startScene(identity)
    expect(await nodeVerdict(here, anchors)).toBe(error)
    const { pin } = 'pin' in identity ? identity : server
    expect(ourVerdict(identity, anchors, pin, HOST)).toBe('trusted')
    await expectRefused(await startScene(identity), anchors, pin, 'ERR_TRUST_NODE_REFUSED')
    await expectAccepted(identity, better, pin)
  })

  test('allowPartialTrustChain would make OpenSSL agree about anchors that are not self-signed, on every Node', async () => {
    for (const [identity, anchor] of [[server, ca.issuer] as const, [certificates(server), server] as const]) {
      const here = await startScene(identity)
      expect(await nodeVerdict(here, [anchor])).not.toBe('ok')
      expect(await nodeVerdict(here, [anchor], { allowPartialTrustChain: true })).toBe('ok')
    }
  })

  test.each<[string, string, IssueOptions, IssueOptions]>([
    ['a CA for anyExtendedKeyUsage', 'INVALID_PURPOSE', { extendedKeyUsage: ['any'] }, {}],
    ['a CA for any and clientAuth', 'INVALID_PURPOSE', { extendedKeyUsage: ['any', 'clientAuth'] }, {}],
    [
      'an authorityKeyIdentifier that is not the issuer’s',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      {},
      { authorityKeyIdentifier: new Uint8Array(20).fill(7) },
    ],
    [
      'an authorityKeyIdentifier with another issuer and serial number',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      {},
      {
        extensions: [
          {
            oid: EXTENSION_OID.authorityKeyIdentifier,
            critical: false,
            value: der.sequence(
              der.tagged(1, der.tagged(4, other.root.subject)),
              der.taggedPrimitive(2, Uint8Array.of(5)),
            ),
          },
        ],
      },
    ],
    [
      'a critical subjectKeyIdentifier',
      'UNSPECIFIED',
      {},
      { extensions: [{ ...extension.subjectKeyIdentifier(new Uint8Array(20)), critical: true }] },
    ],
  ])('%s (%s)', async (_, error, intermediate, endEntity) => {
    const odd = testCa({ intermediate })
    const identity = odd.issue({ names, ...endEntity })
    const here = await startScene(identity)
    expect(await nodeVerdict(here, [odd.root])).toBe(error)
    expect(ourVerdict(identity, [odd.root], identity.pin, HOST)).toBe('trusted')
    await expectRefused(await startScene(identity), [odd.root], identity.pin, 'ERR_TRUST_NODE_REFUSED')
  })

  test('a wildcard for a label with an underscore: OpenSSL’s matcher wants letters, digits and hyphens', async () => {
    const wild = ca.issue({ names: ['*.example.com'] })
    const host = 'a_b.example.com'
    const here = await startScene(wild)
    expect(new X509Certificate(wild.pem).checkHost(host)).toBe(undefined)
    expect(ourVerdict(wild, [ca.root], wild.pin, host)).toBe('trusted')
    await expectRefused(here, [ca.root], wild.pin, 'ERR_TRUST_NODE_REFUSED', host)
    await expectAccepted(wild, [ca.root], wild.pin)
    const exact = ca.issue({ names: [host] })
    await expectAccepted(exact, [ca.root], exact.pin, host)
  })

  test('the control: a chain in any order, superfluous, expired and untrusted certificates, cross-signs', async () => {
    const deep = testCa({ name: 'Deep', intermediates: 3 })
    const leaf = deep.issue({ names })
    const [upper = leaf, middle = leaf, lower = leaf] = deep.intermediates
    await expectAccepted(certificates(leaf, upper, lower, middle), [deep.root], leaf.pin)
    await expectAccepted(certificates(server, other.issuer, other.root, ca.issuer), [ca.root], server.pin)
    await expectAccepted(certificates(server, expiredTwinOf(ca.issuer), ca.issuer), [ca.root], server.pin)
    const cross = crossSign(ca.root, other.root)
    await expectAccepted(certificates(server, ca.issuer, expiredTwinOf(cross), cross), [other.root], server.pin)
    await expectAccepted(local, [local], local.pin)
  })
})

describe('we refuse what OpenSSL accepts, with the code of the reason and 0 bytes sent', () => {
  const weak = (bits: number): KeyPair => keyOf(generateKeyPairSync('rsa', { modulusLength: bits }), 'RSA-1024')
  const rsa1024 = weak(1024)
  /** Security level 2, which Node 24 brought, asks for 112 bits too. */
  const levelTwo = NODE >= 24 ? 'UNSPECIFIED' : 'ok'

  test.each<[string, Parameters<typeof refusalOf>[1], string, IssueOptions]>([
    ['RSA-1024', 'ERR_TRUST_WEAK_KEY', levelTwo, { key: rsa1024 }],
    ['RSA of 2047 bits', 'ERR_TRUST_WEAK_KEY', 'ok', { key: weak(2047) }],
    ['SHA-1', 'ERR_TRUST_WEAK_SIGNATURE', 'UNSPECIFIED', { hash: 'sha1' }], // OpenSSL 3 refuses it at level 1
    ['a Common Name and no subjectAltName', 'ERR_TRUST_NAME_MISMATCH', 'ok', { names: [], subject: HOST }],
    ['a partial wildcard, a*', 'ERR_TRUST_NAME_MISMATCH', 'ok', { names: ['a*.example.com'] }],
    ['a partial wildcard, *i', 'ERR_TRUST_NAME_MISMATCH', 'ok', { names: ['*i.example.com'] }],
    ['a dot after the name', 'ERR_TRUST_NAME_MISMATCH', 'ok', { names: ['api.example.com.'] }],
    ['a dot after the wildcard', 'ERR_TRUST_NAME_MISMATCH', 'ok', { names: ['*.example.com.'] }],
    ['the CA bit', 'ERR_TRUST_CA_AS_END_ENTITY', 'ok', { ca: true, keyUsage: ['digitalSignature', 'keyCertSign'] }],
    ['keyUsage keyEncipherment alone', 'ERR_TRUST_KEY_USAGE', 'ok', { keyUsage: ['keyEncipherment'] }],
    ['keyUsage keyAgreement alone', 'ERR_TRUST_KEY_USAGE', 'ok', { keyUsage: ['keyAgreement'] }],
    ['keyCertSign without the CA bit', 'ERR_TRUST_KEY_USAGE', 'ok', { keyUsage: ['digitalSignature', 'keyCertSign'] }],
    ['extendedKeyUsage any alone', 'ERR_TRUST_EXTENDED_KEY_USAGE', 'INVALID_PURPOSE', { extendedKeyUsage: ['any'] }],
    [
      'extendedKeyUsage for Microsoft’s server-gated crypto alone',
      'ERR_TRUST_EXTENDED_KEY_USAGE',
      'ok',
      { extendedKeyUsage: ['1.3.6.1.4.1.311.10.3.3'] },
    ],
    [
      'extendedKeyUsage for Netscape’s server-gated crypto alone',
      'ERR_TRUST_EXTENDED_KEY_USAGE',
      'ok',
      { extendedKeyUsage: ['2.16.840.1.113730.4.1'] },
    ],
    [
      'an unknown critical extension',
      'ERR_TRUST_CRITICAL_EXTENSION',
      'UNSPECIFIED',
      { extensions: [unknownExtension(UNKNOWN, true)] },
    ],
    [
      'a critical Netscape certificate type',
      'ERR_TRUST_CRITICAL_EXTENSION',
      'ok',
      { extensions: [unknownExtension(NETSCAPE_CERT_TYPE, true, Uint8Array.of(3, 2, 6, 0x40))] },
    ],
    [
      'critical address blocks (RFC 3779)',
      'ERR_TRUST_CRITICAL_EXTENSION',
      'ok',
      {
        extensions: [
          unknownExtension(
            '1.3.6.1.5.5.7.1.7',
            true,
            der.sequence(der.sequence(der.octetString(Uint8Array.of(0, 1)), der.nothing())),
          ),
        ],
      },
    ],
    [
      'a precertificate’s poison, not critical',
      'ERR_TRUST_CRITICAL_EXTENSION',
      'ok',
      { extensions: [unknownExtension(PRECERTIFICATE_POISON, false)] },
    ],
    [
      'one extension twice',
      'ERR_TRUST_CERT_MALFORMED',
      'ok',
      { extensions: [unknownExtension(UNKNOWN, false), unknownExtension(UNKNOWN, false)] },
    ],
    [
      'one policy twice',
      'ERR_TRUST_CERT_MALFORMED',
      'ok',
      { extensions: [extension.certificatePolicies(['1.2.3', '1.2.3'])] },
    ],
  ])('an end entity with %s: %s (OpenSSL: %s)', async (_, code, verdict, options) => {
    const identity = ca.issue({ names, ...options })
    expect(await nodeVerdict(await startScene(identity), [ca.root])).toBe(verdict)
    const error = await expectRefused(await startScene(identity), [ca.root], identity.pin, code)
    expect(error).toMatchObject({ name: 'TrustError', requestSent: 'no' })
  })

  const constrained = (nameConstraints: NonNullable<IssueOptions['nameConstraints']>): IssueOptions => ({
    nameConstraints,
  })
  const rawIp = (...octets: number[]) =>
    constrained({ permitted: [{ raw: der.taggedPrimitive(7, Uint8Array.from(octets)) }] })
  const explicitPolicy = unknownExtension('2.5.29.36', true, der.sequence(der.taggedPrimitive(0, Uint8Array.of(0))))

  test.each<[string, Parameters<typeof refusalOf>[1], string, 'intermediate' | 'root', IssueOptions]>([
    ['RSA-1024', 'ERR_TRUST_WEAK_KEY', levelTwo, 'intermediate', { key: rsa1024 }],
    ['RSA-1024', 'ERR_TRUST_WEAK_KEY', levelTwo, 'root', { key: rsa1024 }],
    ['P-192', 'ERR_TRUST_WEAK_KEY', levelTwo, 'intermediate', { key: onCurve('prime192v1') }],
    ['P-224', 'ERR_TRUST_WEAK_KEY', 'ok', 'intermediate', { key: onCurve('secp224r1') }],
    ['P-224', 'ERR_TRUST_WEAK_KEY', 'ok', 'root', { key: onCurve('secp224r1') }],
    ['SHA-1', 'ERR_TRUST_WEAK_SIGNATURE', 'UNSPECIFIED', 'intermediate', { hash: 'sha1' }],
    ['an empty subject', 'ERR_TRUST_CERT_MALFORMED', 'ok', 'intermediate', { subject: der.sequence() }],
    ['an explicit policy required', 'ERR_TRUST_POLICY', 'ok', 'intermediate', { extensions: [explicitPolicy] }],
    [
      'a precertificate’s poison, not critical',
      'ERR_TRUST_CRITICAL_EXTENSION',
      'ok',
      'intermediate',
      { extensions: [unknownExtension(PRECERTIFICATE_POISON, false)] },
    ],
    [
      'a critical Netscape certificate type',
      'ERR_TRUST_CRITICAL_EXTENSION',
      'ok',
      'intermediate',
      { extensions: [unknownExtension(NETSCAPE_CERT_TYPE, true, Uint8Array.of(3, 2, 0, 7))] },
    ],
    ['an address constraint of 3 octets', 'ERR_TRUST_NAME_CONSTRAINTS', 'ok', 'intermediate', rawIp(1, 2, 3)],
    [
      'an address constraint whose mask has a hole',
      'ERR_TRUST_NAME_CONSTRAINTS',
      'ok',
      'intermediate',
      rawIp(127, 0, 0, 1, 255, 0, 255, 0),
    ],
    [
      'a wildcard as name constraint',
      'ERR_TRUST_NAME_CONSTRAINTS',
      'ok',
      'intermediate',
      constrained({ excluded: [{ dns: '*.example.com' }] }),
    ],
    [
      'empty name constraints',
      'ERR_TRUST_CERT_MALFORMED',
      'ok',
      'intermediate',
      { extensions: [unknownExtension('2.5.29.30', true, der.sequence())] },
    ],
    [
      'an unknown critical extension',
      'ERR_TRUST_CRITICAL_EXTENSION',
      'UNSPECIFIED',
      'root',
      { extensions: [unknownExtension(UNKNOWN, true)] },
    ],
  ])('a CA with %s: %s (OpenSSL: %s), %s', async (_, code, verdict, place, options) => {
    const odd = testCa({ [place]: options })
    const identity = odd.issue({ names })
    expect(await nodeVerdict(await startScene(identity), [odd.root])).toBe(verdict)
    await expectRefused(await startScene(identity), [odd.root], identity.pin, code)
  })

  test('a wildcard that reaches into an excluded name: ERR_TRUST_NAME_CONSTRAINTS', async () => {
    const excluding = (dns: string) => testCa({ intermediate: { nameConstraints: { excluded: [{ dns }] } } })
    const reaching = excluding('secret.example.com')
    const identity = reaching.issue({ names: ['*.example.com'] })
    expect(await nodeVerdict(await startScene(identity), [reaching.root])).toBe('ok')
    await expectRefused(await startScene(identity), [reaching.root], identity.pin, 'ERR_TRUST_NAME_CONSTRAINTS')
    const beside = excluding('secret.example.org')
    const control = beside.issue({ names: ['*.example.com'] })
    await expectAccepted(control, [beside.root], control.pin)
  })

  test('eleven intermediates: ERR_TRUST_PATH_LENGTH; ten are accepted', async () => {
    const [eleven, ten] = [testCa({ intermediates: 11 }), testCa({ intermediates: 10 })]
    const identity = eleven.issue({ names })
    expect(await nodeVerdict(await startScene(identity), [eleven.root])).toBe('ok')
    await expectRefused(await startScene(identity), [eleven.root], identity.pin, 'ERR_TRUST_PATH_LENGTH')
    const control = ten.issue({ names })
    await expectAccepted(control, [ten.root], control.pin)
  })

  test('49 certificates presented: ERR_TRUST_CHAIN_TOO_LARGE; 48 are accepted', async () => {
    const junk = Array.from({ length: 47 }, (_, i) => other.issue({ subject: `Superfluous ${i}` }))
    const identity = certificates(server, ca.issuer, ...junk)
    expect(await nodeVerdict(await startScene(identity), [ca.root])).toBe('ok')
    await expectRefused(await startScene(identity), [ca.root], server.pin, 'ERR_TRUST_CHAIN_TOO_LARGE')
    await expectAccepted(certificates(server, ca.issuer, ...junk.slice(1)), [ca.root], server.pin)
  })

  test('the control: the same certificates without the fault', async () => {
    const plain = testCa()
    const identity = plain.issue({ names })
    await expectAccepted(identity, [plain.root], identity.pin)
    const good = {
      names: ['*.example.com'],
      keyUsage: ['digitalSignature', 'keyEncipherment'] as const,
      extendedKeyUsage: ['serverAuth', 'any'] as const,
      extensions: [unknownExtension(UNKNOWN, false), extension.certificatePolicies(['1.2.3', '1.2.4'])],
      keyType: 'RSA-2048' as const,
    }
    const rich = plain.issue(good)
    await expectAccepted(rich, [plain.root], rich.pin)
  })
})

describe('what is presented is not what was verified', () => {
  const rogue = testCa({ name: 'Rogue' }) // the attacker owns a CA that the client trusts
  const attacker = rogue.issue({ names })
  const anchors = [ca.root, rogue.root]
  const pinned = ca.issuer

  test.each<[string, ServerIdentity, boolean]>([
    [
      'end entity, intermediate, root, forged root',
      certificates(attacker, rogue.issuer, rogue.root, forgedTwinOf(rogue.root, { spki: pinned.spki })),
      true,
    ],
    [
      'end entity, intermediate, forged intermediate',
      certificates(attacker, rogue.issuer, forgedTwinOf(rogue.issuer, { spki: pinned.spki })),
      true,
    ],
    [
      'end entity, forged intermediate with another key identifier, intermediate',
      certificates(
        attacker,
        forgedTwinOf(rogue.issuer, { spki: pinned.spki, subjectKeyIdentifier: new Uint8Array(20) }),
        rogue.issuer,
      ),
      true,
    ],
    [
      'end entity, forged intermediate, intermediate', // OpenSSL stops at the forged one; whoever checks pins alone does not
      certificates(attacker, forgedTwinOf(rogue.issuer, { spki: pinned.spki }), rogue.issuer),
      false,
    ],
  ])('%s: ERR_TRUST_PIN_MISMATCH, and the naive check finds the pin', async (_, identity, authorized) => {
    const naive = await presentedPins(await startScene(identity), anchors)
    expect(naive).toEqual({ authorized, pins: expect.arrayContaining([pinned.pin]) })
    const here = await startScene(identity)
    const error = await expectRefused(here, anchors, pinned.pin, 'ERR_TRUST_PIN_MISMATCH')
    const path = 'chain' in error && Array.isArray(error.chain) ? error.chain.map(({ spki }) => spki) : []
    expect(path).toEqual([attacker.pin, rogue.issuer.pin, rogue.root.pin])
    await expectAccepted(server, anchors, pinned.pin)
  })

  test.each<[string, IssueOptions]>([
    ['as every end entity is', {}],
    ['with keyCertSign', { keyUsage: ['digitalSignature', 'keyCertSign'] }],
    [
      'with keyCertSign and no basicConstraints',
      {
        keyUsage: ['digitalSignature', 'keyCertSign'],
        omit: [EXTENSION_OID.basicConstraints, EXTENSION_OID.extendedKeyUsage],
      },
    ],
  ])('an end entity of the pinned CA used as a CA, %s: ERR_TRUST_NOT_A_CA', async (_, options) => {
    const partner = ca.issue({ names: ['partner.example.com'], ...options })
    const minted = certificates(partner.issue({ names }), partner, ca.issuer)
    const naive = await presentedPins(await startScene(minted), anchors)
    expect(naive).toEqual({ authorized: false, pins: expect.arrayContaining([pinned.pin]) }) // pin-only clients pass it
    await expectRefused(await startScene(minted), anchors, pinned.pin, 'ERR_TRUST_NOT_A_CA')
    await expectAccepted(server, anchors, pinned.pin)
  })

  test('one CA below what pathLenConstraint allows: ERR_TRUST_PATH_LENGTH', async () => {
    const limited = testCa({ intermediate: { pathLength: 0 } })
    const sub = limited.issuer.issue({ ca: true, subject: 'Below' })
    const identity = sub.issue({ names })
    const naive = await presentedPins(await startScene(identity), [limited.root])
    expect(naive).toEqual({ authorized: false, pins: expect.arrayContaining([limited.issuer.pin]) })
    await expectRefused(await startScene(identity), [limited.root], limited.issuer.pin, 'ERR_TRUST_PATH_LENGTH')
    await expectAccepted(limited.issue({ names }), [limited.root], limited.issuer.pin)
  })
})

describe('B11: a path that is shorter or longer than the one that was pinned', () => {
  const cross = crossSign(ca.root, other.root)

  test('an intermediate among the anchors does not hide the pinned root above it', async () => {
    await expectAccepted(server, [ca.issuer, ca.root], ca.root.pin)
    await expectAccepted(certificates(server, ca.issuer, cross), [ca.issuer, other.root, ca.root], other.root.pin)
  })

  test('a root that is presented and no anchor is not on the path, pinned or not: ERR_TRUST_PIN_MISMATCH', async () => {
    const identity = certificates(server, ca.issuer, ca.root)
    const naive = await presentedPins(await startScene(identity), [ca.issuer])
    expect(naive.pins).toContain(ca.root.pin)
    await expectRefused(await startScene(identity), [ca.issuer], ca.root.pin, 'ERR_TRUST_PIN_MISMATCH')
  })

  test('a cross-signed root: pins of either root match while both are trusted, and of the old one no longer after', async () => {
    const identity = certificates(server, ca.issuer, cross)
    for (const { pin } of [ca.root, other.root]) await expectAccepted(identity, [ca.root, other.root], pin)
    await expectAccepted(identity, [other.root], ca.root.pin) // the cross-certificate has the pinned key
    await expectRefused(await startScene(identity), [ca.root], other.root.pin, 'ERR_TRUST_PIN_MISMATCH')
  })
})

describe('B11: the only path with a pinned key may soon be gone', () => {
  const day = 86_400_000
  const cross = crossSign(ca.root, other.root)

  async function fragilityOf(identity: ServerIdentity, anchors: readonly Pem[], pin: TestCertificate['pin']) {
    const { url } = await startScene(identity)
    const client = clientOf(anchors, pin)
    const seen: EventOf<'tls.fragile'>[] = []
    client.on('tls.fragile', (event) => seen.push(event))
    expect((await client.fetch(url(HOST), secret)).status).toBe(200)
    return seen
  }

  test('a root that is reached by a cross-certificate alone, beside a path without it', async () => {
    const identity = certificates(server, ca.issuer, cross)
    const [event, ...more] = await fragilityOf(identity, [ca.root, other.root], other.root.pin)
    expect(more).toEqual([])
    expect(event?.message).toMatch(/^a pinned key is on the path only by way of .+; another path is valid without it$/)
    expect(event?.chain.map(({ spki }) => spki)).toEqual([server.pin, ca.issuer.pin, ca.root.pin, other.root.pin])
    for (const { pin } of [server, ca.issuer, ca.root]) {
      expect(await fragilityOf(identity, [ca.root, other.root], pin)).toEqual([])
    }
    expect(await fragilityOf(identity, [other.root], other.root.pin)).toEqual([]) // no other path: nothing to compare with
    expect(await fragilityOf(server, [ca.issuer, ca.root], ca.root.pin)).toEqual([]) // the same way, a step further
  })

  test('a root with less than 30 days, beside a path without it; one with more days is no news', async () => {
    for (const [days, warnings] of [
      [29, 1],
      [31, 0],
    ] as const) {
      const old = testCa({ name: 'Old', root: { notAfter: Date.now() + days * day } })
      const leaf = old.issue({ names })
      const identity = certificates(leaf, old.issuer, crossSign(old.issuer, other.root))
      const seen = await fragilityOf(identity, [old.root, other.root], old.root.pin)
      expect(seen).toHaveLength(warnings)
      expect(seen.every(({ message }) => /which ends at \d{4}-/.test(message))).toBe(true)
      expect(await fragilityOf(identity, [old.root], old.root.pin)).toEqual([])
      expect(await fragilityOf(identity, [old.root, other.root], old.issuer.pin)).toEqual([])
    }
  })
})

describe('B12: a key of a type that cannot be used is no match, and ends nothing', () => {
  const curve = onCurve('secp256k1')

  test('among superfluous certificates, whatever key they show', async () => {
    const keys = [curve, onCurve('brainpoolP256r1'), keyOf(generateKeyPairSync('x25519')), onCurve('secp224r1')]
    const junk = keys.map((key, i) => ca.root.issue({ subject: `Superfluous ${i}`, ca: true, spki: key.spki }))
    for (const pinned of [server, ca.issuer, ca.root]) {
      await expectAccepted(certificates(server, ...junk, ca.issuer), [ca.root], pinned.pin)
    }
    for (const { pin } of junk) {
      const here = await startScene(certificates(server, ...junk, ca.issuer))
      await expectRefused(here, [ca.root], pin, 'ERR_TRUST_PIN_MISMATCH')
    }
  })

  test.each(['intermediate', 'root'] as const)(
    'on the path, as %s: ERR_TRUST_WEAK_KEY, pinned or not',
    async (place) => {
      const odd = testCa({ [place]: { key: curve } })
      const identity = odd.issue({ names })
      for (const { pin } of [identity, odd.issuer, odd.root]) {
        await expectRefused(await startScene(identity), [odd.root], pin, 'ERR_TRUST_WEAK_KEY')
      }
    },
  )

  test('a process survives a certificate in the root’s name whose curve has no NIST name', async () => {
    const twin = forgedTwinOf(ca.root, { spki: curve.spki })
    const { peer, url } = await startScene(certificates(server, ca.issuer, twin))
    const script = `
      import { createClient } from './src/index.ts'
      const resolver = async () => ['127.0.0.1']
      const client = createClient({ pins: { '${HOST}': ['${server.pin}'] }, anchors: process.env.ANCHORS, resolver })
      console.log(await client.fetch('${url(HOST)}').then((r) => r.status, (e) => e.code))
      await client.close()`
    expect(await runModule(script, { ANCHORS: ca.root.pem })).toMatchObject({ exitCode: 0, stdout: '200\n' })
    expect(peer.requests).toHaveLength(1)
  })
})

describe('B25: a pinned key opens nothing that the path does not', () => {
  const day = 86_400_000
  const now = Date.now()
  const past = { notBefore: now - 9 * day, notAfter: now - day }
  const stranger = testCa({ name: 'Stranger' })
  const old = testCa({ intermediate: past })

  test.each<[string, Parameters<typeof refusalOf>[1], TestCertificate, readonly TestCertificate[]]>([
    ['under an untrusted root', 'ERR_TRUST_UNKNOWN_ISSUER', stranger.issue({ names }), [ca.root]],
    ['self-signed', 'ERR_TRUST_UNKNOWN_ISSUER', selfSigned({ names }), [ca.root]],
    ['expired', 'ERR_TRUST_CERT_EXPIRED', ca.issue({ names, ...past }), [ca.root]],
    ['not yet valid', 'ERR_TRUST_CERT_NOT_YET_VALID', ca.issue({ names, notBefore: now + day }), [ca.root]],
    ['for another name', 'ERR_TRUST_NAME_MISMATCH', ca.issue({ names: ['other.example.com'] }), [ca.root]],
    ['under an expired intermediate', 'ERR_TRUST_CERT_EXPIRED', old.issue({ names }), [old.root]],
    ['for clients', 'ERR_TRUST_EXTENDED_KEY_USAGE', ca.issue({ names, extendedKeyUsage: ['clientAuth'] }), [ca.root]],
  ])('%s: %s, while a client that checks pins alone is content', async (_, code, identity, anchors) => {
    const naive = await presentedPins(await startScene(identity), anchors)
    expect(naive).toEqual({ authorized: false, pins: expect.arrayContaining([identity.pin]) })
    await expectRefused(await startScene(identity), anchors, identity.pin, code)
    const sound = ca.issue({ names, key: identity.key })
    await expectAccepted(sound, [ca.root], identity.pin) // the control: the same key in a sound chain
  })
})

describe('a self-signed server certificate that is itself the anchor', () => {
  test.each<[string, IssueOptions]>([
    ['as an end entity', {}],
    ['with the CA bit', { ca: true, keyUsage: ['digitalSignature', 'keyCertSign'] }],
  ])('is accepted when pinned, %s, and refused under another pin or as a twin', async (_, options) => {
    const local = selfSigned({ names, ...options })
    await expectAccepted(local, [local], local.pin)
    await expectRefused(await startScene(local), [local], server.pin, 'ERR_TRUST_PIN_MISMATCH')
    const twin = selfSigned({ names, ...options, key: local.key })
    await refusalOf(
      clientOf([local], local.pin).fetch((await startScene(twin)).url(HOST)),
      options.ca === true ? 'ERR_TRUST_CA_AS_END_ENTITY' : 'ERR_TRUST_UNKNOWN_ISSUER',
    )
  })
})
