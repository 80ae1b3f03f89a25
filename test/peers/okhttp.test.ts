import { impostorOf, selfSigned, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { type ClientOptions, resolveOptions } from '../../src/client/options.ts'
import { canonicalHost } from '../../src/encoding/host.ts'
import { hostIndex, parseHostPattern } from '../../src/encoding/host-pattern.ts'
import { isPinText, type PinText } from '../../src/encoding/pin.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { evaluateTrust } from '../../src/trust/evaluate.ts'
import { findPath } from '../../src/trust/path/build.ts'
import { refusalOf, testClient } from '../support/client.ts'
import { originOf, policyFor } from '../support/policy.ts'
import { certificates, expectOnlyClientHello, startScene as start } from '../support/scene.ts'

/*
 * OkHttp's tests of its certificate pinner and chain cleaner, by name, with what happens here. Where OkHttp's behaviour is
 * a weakness, the sentence says what is different.
 */

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const other = ca.issue({ names: [HOST] })
const now = toUnixMs(Date.now())

/** `trusted`, or the code of the first finding. */
function judge(pins: readonly PinText[], presented = server.chain, host = HOST, anchors = ca.anchors): string {
  const verdict = evaluateTrust({
    presented,
    identity: { kind: 'dns', name: host },
    policy: policyFor(originOf(`https://${host}/`), pins, { anchors: createAnchors(anchors) }),
    now,
  })
  return verdict.kind === 'trusted' ? 'trusted' : verdict.findings[0].code
}

const configured =
  (pattern: string, ...pins: string[]) =>
  () =>
    resolveOptions({ pins: { [pattern]: pins } } satisfies ClientOptions)
const refusedWith = (code: string) => expect.objectContaining({ name: 'ConfigurationError', code })

/** The pattern that serves a host, `none` when the host would be refused. */
function ruleFor(text: string, ...patterns: string[]): string {
  const find = hostIndex(
    patterns.map((pattern) => [parseHostPattern(pattern) ?? expect.fail(pattern), pattern] as const),
  )
  const host = canonicalHost(text)
  return host === undefined ? 'no host' : (find(host) ?? 'none')
}

describe('CertificatePinnerTest and CertificatePinnerKotlinTest', () => {
  test.each([
    ['malformedPin: an unknown hash', HOST, 'md5/DmxUShsZuNiqPQsX2Oi9uv2sCnw=', 'ERR_CONFIG_PIN'],
    ['malformedBase64', HOST, 'sha256/DmxUShsZuNiqPQsX2Oi9uv2sCnw*', 'ERR_CONFIG_PIN'],
    ['testBadPin: a digest that is too short', HOST, 'sha256/a', 'ERR_CONFIG_PIN'],
    ['testBadAlgorithm: a digest of another hash’s length', HOST, `sha512/${server.pin.slice(7)}`, 'ERR_CONFIG_PIN'],
    [
      'testMatchesSha1, successfulCheckSha1Pin: SHA-1 is no pin here',
      HOST,
      'sha1/B3/sPmDVBPjJcJlRMkqMVkbsSWI=',
      'ERR_CONFIG_PIN',
    ],
    ['testBadHost: a wildcard that is not on the left', 'example.*', server.pin, 'ERR_CONFIG_HOST'],
  ])('%s is refused when the client is made: %s %s', (_, pattern, pin, code) => {
    expect(configured(pattern, pin)).toThrow(refusedWith(code))
    expect(configured(HOST, server.pin)).not.toThrow()
  })

  test('testGoodPin, pinList: the pins given are the pins held, each once', () => {
    const { pins } = configured(HOST, server.pin, other.pin, server.pin)()
    expect(pins.map(({ pins: list }) => list)).toEqual([[server.pin, other.pin]])
    expect(isPinText(server.pin)).toBe(true)
  })

  test('sameKeypairSamePin: two certificates of one key have one pin, two keys have two', () => {
    const again = ca.issue({ names: ['b.example.com'], key: server.key })
    expect([again.pin, other.pin === server.pin]).toEqual([server.pin, false])
  })

  test('successfulCheck, testMatchesSha256: the pinned key passes', () => {
    expect(judge([server.pin])).toBe('trusted')
  })

  test('unsuccessfulCheck: another key is ERR_TRUST_PIN_MISMATCH', () => {
    expect(judge([other.pin])).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  test('successfulMatchAcceptsAnyMatchingCertificate, …Old: a pin may match any certificate of the verified path', () => {
    for (const { pin } of [server, ca.issuer, ca.root]) expect(judge([pin])).toBe('trusted')
  })

  test('multipleCertificatesForOneHostname: any of several pins is enough', () => {
    const pins = [server.pin, other.pin]
    expect([judge(pins), judge(pins, other.chain)]).toEqual(['trusted', 'trusted'])
    expect(judge(pins, ca.issue({ names: [HOST] }).chain)).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  test('multipleHostnamesForOneCertificate: one pin on several hosts, each judged for itself', () => {
    const both = ca.issue({ names: [HOST, 'b.example.com'] })
    for (const host of [HOST, 'b.example.com']) expect(judge([both.pin], both.chain, host)).toBe('trusted')
    expect(judge([both.pin], both.chain, 'c.example.com')).toBe('ERR_TRUST_NAME_MISMATCH')
  })

  test('absentHostnameMatches: here a host without pins is refused, ERR_TRUST_HOST_NOT_COVERED, before any packet', async () => {
    const { peer, url } = await start(server)
    const client = testClient({ pins: { 'other.example.com': [server.pin] }, anchors: ca.anchorPem })
    await refusalOf(client.fetch(url(HOST)), 'ERR_TRUST_HOST_NOT_COVERED')
    expect(peer.accepted).toBe(0)
  })

  test.each([
    ['successfulCheckForHostnameWithWildcard', true],
    ['unsuccessfulCheckForHostnameWithWildcard', false],
    ['successfulCheckForHostnameWithWildcardAndMultiplePins', true],
    ['unsuccessfulCheckForHostnameWithWildcardAndMultiplePins', false],
  ])('%s: a wildcard’s pins are enforced like a host’s', async (name, good) => {
    const { url } = await start(good ? server : ca.issue({ names: [HOST] }))
    const pins = name.endsWith('MultiplePins') ? [other.pin, server.pin] : [server.pin]
    const call = testClient({ pins: { '*.example.com': pins }, anchors: ca.anchorPem }).fetch(url(HOST))
    if (good) expect((await call).status).toBe(200)
    else await refusalOf(call, 'ERR_TRUST_PIN_MISMATCH')
  })

  test('successfulCheckForOneHostnameWithWildcardAndDirectCertificate: here no union, the host’s own pins stand alone', async () => {
    const { url, peer } = await start(other)
    const pins = { '*.example.com': [other.pin], [HOST]: [server.pin] }
    const client = testClient({ pins, anchors: ca.anchorPem })
    await refusalOf(client.fetch(url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
    peer.setIdentity(server)
    expect((await client.fetch(url(HOST))).status).toBe(200)
  })

  test('unsuccessfulCheckForOneHostnameWithWildcardAndDirectCertificate: a third key fails both', async () => {
    const { url } = await start(ca.issue({ names: [HOST] }))
    const pins = { '*.example.com': [other.pin], [HOST]: [server.pin] }
    await refusalOf(testClient({ pins, anchors: ca.anchorPem }).fetch(url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
  })

  test('checkForHostnameWithDoubleAsterisk: the apex and every depth, and neither the suffix nor a longer name', () => {
    const rule = '**.example.co.uk'
    for (const host of ['example.co.uk', 'foo.example.co.uk', 'foo.bar.example.co.uk'])
      expect(ruleFor(host, rule)).toBe(rule)
    for (const host of ['uk', 'co.uk', 'anotherexample.co.uk', 'foo.anotherexample.co.uk']) {
      expect(ruleFor(host, rule), host).toBe('none')
    }
  })

  test('successfulFindMatchingPins, successfulFindMatchingPinsForWildcardAndDirectCertificates: the look-up gives one rule, the most specific', () => {
    expect(ruleFor(HOST, HOST, 'b.example.com')).toBe(HOST)
    expect(ruleFor(HOST, '*.example.com', HOST, '**.example.com')).toBe(HOST)
    expect(ruleFor('b.example.com', '*.example.com', HOST, '**.example.com')).toBe('*.example.com')
  })

  test('wildcardHostnameShouldNotMatchThroughDot: one asterisk is one label', () => {
    for (const host of ['example.com', 'a.b.example.com']) expect(ruleFor(host, '*.example.com'), host).toBe('none')
    for (const host of ['.example.com', '..example.com', 'a..example.com']) {
      expect(ruleFor(host, '*.example.com'), host).toBe('no host')
    }
    expect(ruleFor('a.example.com', '*.example.com')).toBe('*.example.com')
  })

  test('doubleWildcardHostnameShouldMatchThroughDot: two asterisks are any number of them; what is no host is refused', () => {
    for (const host of ['example.com', 'a.example.com', 'a.b.c.example.com']) {
      expect(ruleFor(host, '**.example.com'), host).toBe('**.example.com')
    }
    for (const host of ['.example.com', '..example.com', 'a..example.com']) {
      expect(ruleFor(host, '**.example.com'), host).toBe('no host')
    }
  })

  test('doubleWildcardHostnameShouldNotMatchSuffix: a rule ends at a dot', () => {
    for (const host of ['xample.com', 'dexample.com', 'barnexample.com']) {
      expect(ruleFor(host, '**.example.com'), host).toBe('none')
    }
  })

  test('successfulFindMatchingPinsIgnoresCase', () => {
    expect(ruleFor('API.Example.com', 'aPi.EXAMPLE.com')).toBe('aPi.EXAMPLE.com')
  })

  test('successfulFindMatchingPinPunycode: Unicode and A-label are one name, in rule and host', () => {
    for (const host of ['xn--khttp-fde.com', 'σkhttp.com', 'ΣKHTTP.com']) {
      expect(ruleFor(host, 'σkhttp.com')).toBe('σkhttp.com')
      expect(ruleFor(host, 'xn--khttp-fde.com')).toBe('xn--khttp-fde.com')
    }
  })

  test('checkSubstringMatch: a rule is no substring', () => {
    for (const rule of ['*.example.com', '**.example.com', 'a.example.com']) {
      for (const host of ['a.example.com.notexample.com', 'ple.com', 'com', 'example.co', 'a-example.com']) {
        expect(ruleFor(host, rule), `${rule} ${host}`).toBe('none')
      }
      expect(ruleFor('a.example.com', rule)).toBe(rule)
    }
  })
})

describe('CertificatePinnerChainValidationTest', () => {
  const rogue = testCa({ name: 'Rogue' })
  const anchors = [ca.anchorPem, rogue.anchorPem]
  const request = { method: 'POST', body: 'secret', headers: { authorization: 'Bearer secret' } }

  test('pinRootNotPresentInChain: the root of the trust store may be the pin although nobody sends it', async () => {
    const { url } = await start(certificates(server, ca.issuer))
    expect((await testClient({ pins: { [HOST]: [ca.root.pin] }, anchors }).fetch(url(HOST))).status).toBe(200)
  })

  test('pinIntermediatePresentInChain: passes, and passes again on a second connection, which resumes', async () => {
    const { url, peer } = await start(certificates(server, ca.issuer), {
      handler: (_, response) => response.writeHead(200, { connection: 'close' }).end('ok'),
    })
    const client = testClient({ pins: { [HOST]: [ca.issuer.pin] }, anchors })
    for (let round = 0; round < 2; round += 1) expect((await client.fetch(url(HOST))).status).toBe(200)
    expect([peer.connections.length, peer.sessionsReused]).toEqual([2, 1])
  })

  const spoofed = impostorOf(ca.issuer, { issuer: rogue.root })
  const leafAsCa = testCa().issue({ names: ['evil.example.com'] })
  const noIntermediates = testCa({ name: 'Short', intermediate: { pathLength: 0 } })
  const tooMany = noIntermediates.issuer.issue({ ca: true, subject: 'One too many' })

  test.each<[string, Parameters<typeof start>[0], PinText, readonly string[], string]>([
    [
      'unrelatedPinnedLeafCertificateInChain: a rogue chain and the good end entity appended',
      certificates(rogue.issue({ names: [HOST] }), rogue.issuer, server),
      server.pin,
      anchors,
      'ERR_TRUST_PIN_MISMATCH',
    ],
    [
      'unrelatedPinnedIntermediateCertificateInChain: a rogue intermediate with the pinned one’s name, the good one beside it',
      certificates(spoofed.issue({ names: [HOST] }), spoofed, ca.issuer),
      ca.issuer.pin,
      anchors,
      'ERR_TRUST_PIN_MISMATCH',
    ],
    [
      'signersMustHaveCaBitSet: an end entity of the pinned CA signs as a CA',
      certificates(leafAsCa.issue({ names: [HOST] }), leafAsCa, ...rootsOf(leafAsCa)),
      (rootsOf(leafAsCa)[0] ?? leafAsCa).pin,
      [...anchors, ...rootsOf(leafAsCa).map(({ pem }) => pem)],
      'ERR_TRUST_NOT_A_CA',
    ],
    [
      'intermediateMustNotHaveMoreIntermediatesThanSigner: one CA more than the pinned one allows below it',
      certificates(tooMany.issue({ names: [HOST] }), tooMany, noIntermediates.issuer),
      noIntermediates.issuer.pin,
      [...anchors, noIntermediates.anchorPem],
      'ERR_TRUST_PATH_LENGTH',
    ],
  ])('%s: refused, 0 bytes', async (_, identity, pin, trusted, code) => {
    const here = await start(identity)
    const client = testClient({ pins: { [HOST]: [pin] }, anchors: trusted })
    await refusalOf(client.fetch(here.url(HOST), request), code as 'ERR_TRUST_PIN_MISMATCH')
    await expectOnlyClientHello(here)
  })

  test('the controls: with the CA bit, and within the path length, the same shapes pass', async () => {
    const issuing = ca.issuer.issue({ ca: true, subject: 'Below' })
    const roomy = testCa({ name: 'Roomy', intermediate: { pathLength: 1 } })
    const below = roomy.issuer.issue({ ca: true, subject: 'Within the limit' })
    for (const [identity, pin, anchor] of [
      [certificates(issuing.issue({ names: [HOST] }), issuing, ca.issuer), ca.issuer.pin, ca.anchorPem],
      [certificates(below.issue({ names: [HOST] }), below, roomy.issuer), roomy.issuer.pin, roomy.anchorPem],
    ] as const) {
      const { url } = await start(identity)
      expect((await testClient({ pins: { [HOST]: [pin] }, anchors: anchor }).fetch(url(HOST))).status).toBe(200)
    }
  })

  test('lonePinnedCertificate: a self-signed certificate that is anchor and pin passes; pinned alone it is ERR_TRUST_UNKNOWN_ISSUER', async () => {
    const lone = selfSigned({ names: [HOST] })
    const { url } = await start(certificates(lone))
    const pins = { [HOST]: [lone.pin] }
    expect((await testClient({ pins, anchors: lone.pem }).fetch(url(HOST))).status).toBe(200)
    await refusalOf(testClient({ pins, anchors }).fetch(url(HOST), request), 'ERR_TRUST_UNKNOWN_ISSUER')
  })
})

/** The CAs above a certificate, its issuer first. */
function rootsOf({ issuer }: TestCertificate): readonly TestCertificate[] {
  return issuer === undefined ? [] : [issuer, ...rootsOf(issuer)]
}

describe('CertificateChainCleanerTest', () => {
  const [root, middle] = [ca.root, ca.issuer]

  /** The certificates of the path found, by name, or the code of the first finding. */
  function clean(
    presented: readonly { readonly der: Uint8Array }[],
    anchors: readonly { readonly der: Uint8Array }[] = [root],
  ) {
    const result = findPath({
      presented: presented.map(({ der }) => der),
      anchors: createAnchors(anchors.map(({ der }) => der)),
      now,
    })
    return result.kind === 'valid' ? result.path.certificates.map(({ der }) => hex(der)) : result.findings[0]?.code
  }
  const hex = (der: Uint8Array): string => Buffer.from(der).toString('hex')
  const path = (...list: readonly { readonly der: Uint8Array }[]): string[] => list.map(({ der }) => hex(der))

  test('equalsFromCertificate, equalsFromTrustManager: equal sets of anchors are one, whatever their order', () => {
    const more = testCa().root
    const digest = (...list: TestCertificate[]): string => createAnchors(list.map(({ der }) => der)).digest
    expect(digest(root, more)).toBe(digest(more, root, more))
    expect(digest(root)).not.toBe(digest(more))
  })

  test('normalizeSingleSelfSignedCertificate: a trusted one is its own path', () => {
    const lone = selfSigned({ names: [HOST] })
    expect(clean([lone], [lone])).toEqual(path(lone))
  })

  test('normalizeUnknownSelfSignedCertificate: ERR_TRUST_UNKNOWN_ISSUER', () => {
    expect(clean([selfSigned({ names: [HOST] })])).toBe('ERR_TRUST_UNKNOWN_ISSUER')
  })

  test.each([
    ['orderedChainOfCertificatesWithRoot: stays as it is', [server, middle, root]],
    ['orderedChainOfCertificatesWithoutRoot: the root is added', [server, middle]],
    ['unorderedChainOfCertificatesWithRoot: is put in order', [server, root, middle]],
    ['unrelatedCertificatesAreOmitted', [server, other, testCa().issuer, middle, testCa().root]],
  ])('%s', (_, presented) => {
    expect(clean(presented)).toEqual(path(server, middle, root))
  })

  test('unorderedChainOfCertificatesWithoutRoot: two intermediates in the wrong order', () => {
    const deep = testCa({ intermediates: 2 })
    const [upper, lower] = [deep.intermediates[0] ?? deep.root, deep.issuer]
    const end = deep.issue({ names: [HOST] })
    expect(clean([end, upper, lower], [deep.root])).toEqual(path(end, lower, upper, deep.root))
  })

  test('chainGoesAllTheWayToSelfSignedRoot: with intermediate and root trusted, the root’s pin is found although the path may end earlier', () => {
    const anchors = [root.der, middle.der]
    for (const { pin } of [server, middle, root]) expect(judge([pin], server.chain, HOST, anchors)).toBe('trusted')
    expect(judge([other.pin], server.chain, HOST, anchors)).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  test('trustedRootNotSelfSigned: an anchor need not be self-signed', () => {
    expect(clean([server, middle], [middle])).toEqual(path(server, middle))
  })

  const chainOf = (intermediates: number) => {
    const deep = testCa({ intermediates })
    const end = deep.issue({ names: [HOST] })
    return { presented: [end, ...deep.intermediates.toReversed()], anchors: [deep.root] }
  }

  test('chainMaxLength, chainTooLong: ten intermediates pass (OkHttp: eight), the eleventh is ERR_TRUST_PATH_LENGTH', () => {
    for (const [intermediates, expected] of [
      [8, 10],
      [10, 12],
    ] as const) {
      const { presented, anchors } = chainOf(intermediates)
      expect(clean(presented, anchors)).toHaveLength(expected)
    }
    const { presented, anchors } = chainOf(11)
    expect(clean(presented, anchors)).toBe('ERR_TRUST_PATH_LENGTH')
  })
})
