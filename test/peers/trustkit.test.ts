import { selfSigned, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { type ClientOptions, resolveOptions } from '../../src/client/options.ts'
import { canonicalHost } from '../../src/encoding/host.ts'
import { hostIndex, parseHostPattern } from '../../src/encoding/host-pattern.ts'
import type { PinText } from '../../src/encoding/pin.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { evaluateTrust } from '../../src/trust/evaluate.ts'
import type { HostPolicy } from '../../src/trust/policy.ts'
import { refusalOf, testClient } from '../support/client.ts'
import { originOf, policyFor } from '../support/policy.ts'
import { certificates, expectOnlyClientHello, startScene } from '../support/scene.ts'

/*
 * TrustKit's tests, iOS and Android, by name, with what happens here. Where TrustKit's behaviour is a weakness, the sentence
 * says what is different.
 */

const HOST = 'www.good.com'
const ca = testCa({ name: 'Good' })
const elsewhere = testCa({ name: 'Elsewhere' })
const server = ca.issue({ names: [HOST] })
const bad = ca.issue().pin
const now = Date.now()

/** `trusted`, `reported` where report mode let a mismatch pass, or the code of the first finding. */
function judge(
  pins: readonly (PinText | HostPolicy['pinGroups'][number][number])[],
  {
    presented = server.chain,
    name = HOST,
    anchors = [ca.root, elsewhere.root],
    ...more
  }: Partial<Omit<HostPolicy, 'anchors'>> & {
    readonly presented?: readonly Uint8Array[]
    readonly name?: string
    readonly anchors?: readonly TestCertificate[]
  } = {},
): string {
  const verdict = evaluateTrust({
    presented,
    identity: { kind: 'dns', name },
    policy: policyFor(originOf(`https://${name}/`), pins, {
      anchors: createAnchors(anchors.map(({ der }) => der)),
      ...more,
    }),
    now: toUnixMs(now),
  })
  if (verdict.kind === 'rejected') return verdict.findings[0].code
  return verdict.peer.reported.length > 0 ? 'reported' : 'trusted'
}

const options = (given: unknown) => () => resolveOptions(given as ClientOptions)
const refusedWith = (code: string) => expect.objectContaining({ name: 'ConfigurationError', code })

function ruleFor(text: string, ...patterns: string[]): string {
  const rules = patterns.map((pattern) => [parseHostPattern(pattern) ?? expect.fail(pattern), pattern] as const)
  const host = canonicalHost(text)
  return host === undefined ? 'no host' : (hostIndex(rules)(host) ?? 'none')
}

describe('TSKPinningValidatorTests, TSKEndToEndTests and SSLSocketFactoryTest', () => {
  test('AnyPublicKey, CAPublicKey, LeafPublicKey: a pinned key anywhere on the verified path passes', () => {
    for (const { pin } of [server, ca.issuer, ca.root]) expect(judge([pin])).toBe('trusted')
  })

  test('BadPublicKey, InvalidPin: ERR_TRUST_PIN_MISMATCH', () => {
    expect(judge([bad])).toBe('ERR_TRUST_PIN_MISMATCH')
  })

  test('LeafAndBad: one good pin of several is enough', () => {
    expect(judge([bad, server.pin])).toBe('trusted')
  })

  test('BadPublicKeyPinsExpired, InvalidPinPolicyExpired: here pins that ended refuse, ERR_TRUST_PIN_NONE_ACTIVE, where TrustKit stops enforcing', () => {
    const notAfter = toUnixMs(now - 1)
    expect(judge([{ spki: server.pin, notAfter }])).toBe('ERR_TRUST_PIN_NONE_ACTIVE')
    expect(judge([{ spki: bad, notAfter }])).toBe('ERR_TRUST_PIN_NONE_ACTIVE')
    expect(judge([{ spki: server.pin, notAfter: toUnixMs(now + 1) }])).toBe('trusted')
  })

  test('BadPublicKeyPinningNotEnforced, InvalidPinNotEnforced: report mode lets it pass and reports', () => {
    expect(judge([bad], { mode: 'report' })).toBe('reported')
  })

  test('CaPublicKeyAndBadCertificateChain, ExpiredChain, UntrustedChainNotEnforced: a broken chain is refused although its pin fits and nothing is enforced', () => {
    const expired = ca.issue({ names: [HOST], notBefore: now - 2 * 86_400_000, notAfter: now - 86_400_000 })
    const stranger = testCa().issue({ names: [HOST] })
    for (const mode of ['enforce', 'report'] as const) {
      expect(judge([expired.pin, ca.issuer.pin], { presented: expired.chain, mode })).toBe('ERR_TRUST_CERT_EXPIRED')
      expect(judge([stranger.pin], { presented: stranger.chain, mode })).toBe('ERR_TRUST_UNKNOWN_ISSUER')
    }
  })

  test('CaPublicKeyAndBadHostname, WrongHost: ERR_TRUST_NAME_MISMATCH, under report mode too', () => {
    for (const mode of ['enforce', 'report'] as const) {
      expect(judge([ca.issuer.pin], { name: 'www.bad.com', mode })).toBe('ERR_TRUST_NAME_MISMATCH')
    }
  })

  test('InjectedCaPublicKey: the pinned CA appended to a valid chain of another is ERR_TRUST_PIN_MISMATCH, 0 bytes', async () => {
    const attacker = elsewhere.issue({ names: [HOST] })
    const injected = certificates(attacker, elsewhere.issuer, ca.issuer, ca.root)
    const anchors = [ca.anchorPem, elsewhere.anchorPem]
    const here = await startScene(injected)
    const client = testClient({ pins: { [HOST]: [ca.issuer.pin, ca.root.pin] }, anchors })
    await refusalOf(client.fetch(here.url(HOST)), 'ERR_TRUST_PIN_MISMATCH')
    await expectOnlyClientHello(here)
    here.peer.setIdentity(server)
    expect((await client.fetch(here.url(HOST))).status).toBe(200)
  })

  test('DomainNotPinned, NonPinnedSuccess, HandleChallengeNotPinned, ExcludedSubdomain: here what is not pinned is refused, ERR_TRUST_HOST_NOT_COVERED', async () => {
    const here = await startScene(ca.issue({ names: ['www.other.com', 'api.www.good.com'] }))
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: ca.anchorPem })
    for (const host of ['www.other.com', 'api.www.good.com']) {
      await refusalOf(client.fetch(here.url(host)), 'ERR_TRUST_HOST_NOT_COVERED')
    }
    expect(here.peer.accepted).toBe(0)
  })

  test('DebugOverrides ×5, SystemCaDebug: a self-signed server is refused whatever build this is: ERR_TRUST_UNKNOWN_ISSUER', async () => {
    const debug = selfSigned({ names: [HOST] })
    const here = await startScene(certificates(debug))
    const client = testClient({ pins: { [HOST]: [debug.pin] }, anchors: ca.anchorPem })
    await refusalOf(client.fetch(here.url(HOST)), 'ERR_TRUST_UNKNOWN_ISSUER')
    await expectOnlyClientHello(here)
    expect(options({ pins: { [HOST]: [bad] }, debugOverrides: {} })).toThrow(refusedWith('ERR_CONFIG_INVALID'))
  })
})

describe('TSKPinConfigurationTests, DomainPinningPolicyTest and TrustKitConfigurationTest', () => {
  test('a pin given twice: kept once', () => {
    expect(options({ pins: { [HOST]: [bad, bad] } })().pins.map(({ pins }) => pins)).toEqual([[bad]])
  })

  test('OnePin: one pin in code is accepted, where TrustKit asks for a backup', () => {
    expect(options({ pins: { [HOST]: [bad] } })).not.toThrow()
  })

  test('NoPinsAndNotEnforced, DomainWithNoPinsIgnored: here a host without pins is ERR_CONFIG_INVALID, in either mode', () => {
    for (const mode of ['enforce', 'report']) {
      expect(options({ mode, pins: { [HOST]: [] } })).toThrow(refusedWith('ERR_CONFIG_INVALID'))
      expect(options({ pins: { [HOST]: { pins: [], mode } } })).toThrow(refusedWith('ERR_CONFIG_INVALID'))
    }
  })

  test('NoDomains, EmptyConfiguration: here a client without any pins is ERR_CONFIG_INVALID', () => {
    for (const given of [{}, { pins: {} }]) expect(options(given)).toThrow(refusedWith('ERR_CONFIG_INVALID'))
  })

  test('Tld, IncludeSubdomainsForSuffix: a public suffix is no rule for its subdomains: ERR_CONFIG_HOST, and nothing crashes (#210)', () => {
    for (const pattern of ['**.com', '*.co.uk', '**.co.uk', '**.github', '*']) {
      expect(options({ pins: { [pattern]: [bad] } }), pattern).toThrow(refusedWith('ERR_CONFIG_HOST'))
    }
    expect(ruleFor('com', '**.good.com')).toBe('none')
  })

  test('BadHostnames: ERR_CONFIG_HOST', () => {
    for (const host of ['', ' ', 'www..good.com', 'www.good.com/', 'https://www.good.com', '-good.com', 'good_.com-']) {
      expect(options({ pins: { [host]: [bad] } }), host).toThrow(refusedWith('ERR_CONFIG_HOST'))
    }
  })

  test('IdnHost: a name in Unicode is its A-label', () => {
    expect(ruleFor('xn--mnchen-3ya.de', 'münchen.de')).toBe('münchen.de')
  })

  test('IncludeSubdomainsEnabled, …Disabled, …SameDomain, …SubSubDomain, …NotSubdomain, …OtherTld', () => {
    const subdomains = '**.good.com'
    for (const host of ['good.com', 'www.good.com', 'sub.www.good.com'])
      expect(ruleFor(host, subdomains)).toBe(subdomains)
    expect(ruleFor('sub.www.good.com.www.good.com', `**.${HOST}`)).toBe(`**.${HOST}`)
    for (const host of ['evilgood.com', 'www.good.com.evil.org', 'good.org']) {
      expect(ruleFor(host, subdomains), host).toBe('none')
    }
    expect(ruleFor('sub.www.good.com', HOST)).toBe('none')
  })

  test('SpecificBeatsParent, OverlappingSubdomains, NestedDomainConfig: the longest rule stands alone', () => {
    const rules = ['**.good.com', '**.www.good.com', 'api.www.good.com']
    expect(['x.good.com', 'x.www.good.com', 'api.www.good.com'].map((host) => ruleFor(host, ...rules))).toEqual(rules)
  })

  test('ExpirationDate: an instant, not a local day; what is no date is ERR_CONFIG_INVALID, where TrustKit never expires', () => {
    for (const notAfter of ['2030-01-01', new Date('soon'), 1_893_456_000_000, null]) {
      expect(options({ pins: { [HOST]: { pins: [bad], notAfter } } })).toThrow(refusedWith('ERR_CONFIG_INVALID'))
    }
    const notAfter = new Date('2030-01-01T00:00:00Z')
    expect(options({ pins: { [HOST]: { pins: [bad], notAfter } } })().pins[0]?.notAfter).toBe(notAfter.getTime())
  })

  test('EnforceDefault: enforced unless said otherwise', () => {
    const { mode, pins } = options({ pins: { [HOST]: [bad] } })()
    expect([mode, pins[0]?.mode]).toEqual(['enforce', 'enforce'])
  })
})

describe('TSKPublicKeyAlgorithmTests and PublicKeyPinTest', () => {
  test.each(['RSA-2048', 'RSA-3072', 'RSA-4096', 'P-256', 'P-384', 'P-521', 'Ed25519'] as const)(
    '%s: the key can be pinned, and another of its type is refused',
    (keyType) => {
      const one = ca.issue({ names: [HOST], keyType })
      expect(judge([one.pin], { presented: one.chain })).toBe('trusted')
      expect(judge([ca.issue({ keyType: 'P-256' }).pin], { presented: one.chain })).toBe('ERR_TRUST_PIN_MISMATCH')
    },
  )

  test.each(['not base64', 'sha256/not base64', 'sha256/AAAA', `sha256/${'A'.repeat(86)}==`])(
    'FromString, NotBase64, BadLength: %s is ERR_CONFIG_PIN',
    (pin) => {
      expect(options({ pins: { [HOST]: [pin] } })).toThrow(refusedWith('ERR_CONFIG_PIN'))
    },
  )
})
