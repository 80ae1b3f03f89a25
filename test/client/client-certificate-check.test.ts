import { createPrivateKey } from 'node:crypto'
import { createTestRuntime, type IssueOptions, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { checkIdentity } from '../../src/client/certificate-check.ts'
import type { KeyedCertificate } from '../../src/transport/client-certificate.ts'

const { clock } = createTestRuntime()
const DAY = 86_400_000
const ca = testCa({ name: 'Clients', now: clock.now() })
const CLIENT = { subject: 'client', extendedKeyUsage: ['clientAuth'] } as const
const PLACES = { cert: 'tls.crt', key: 'tls.key' }

const client = ca.issue(CLIENT)
const chainPem = `${client.pem}${ca.issuer.pem}`
const check = (material: KeyedCertificate) => checkIdentity(material, PLACES, clock.now())
const of = (made: TestCertificate, cert = made.pem): KeyedCertificate => ({ cert, key: made.keyPem })
const issued = (options: IssueOptions): KeyedCertificate => of(ca.issue({ ...CLIENT, ...options }))

const encrypted = (passphrase: string): string =>
  createPrivateKey(client.keyPem).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }).toString()
const legacy = createPrivateKey(client.keyPem)
  .export({ type: 'sec1', format: 'pem', cipher: 'des-ede3-cbc', passphrase: 'open' })
  .toString()

describe('takes', () => {
  test.each<[string, KeyedCertificate]>([
    ['an end entity alone', of(client)],
    ['one with its intermediate', of(client, chainPem)],
    ['one with the whole chain, root included', of(client, chainPem + ca.root.pem)],
    [
      'certificate and key in one text, with comments',
      { cert: `me\n${client.keyPem}${client.pem}`, key: `x\n${client.pem}${client.keyPem}` },
    ],
    ['CRLF', { cert: client.pem.replaceAll('\n', '\r\n'), key: client.keyPem.replaceAll('\n', '\r\n') }],
    ['no usages at all', issued({ omit: ['2.5.29.15', '2.5.29.37'] })],
    ['a key for every purpose', issued({ extendedKeyUsage: ['2.5.29.37.0'] })],
    ['Ed25519', issued({ keyType: 'Ed25519' })],
    ['RSA of 2048 bits', issued({ keyType: 'RSA-2048' })],
    ['an encrypted key with its passphrase', { cert: client.pem, key: encrypted('open'), passphrase: 'open' }],
    ['a key encrypted as OpenSSL used to', { cert: client.pem, key: legacy, passphrase: 'open' }],
  ])('%s', (_, material) => {
    expect(check(material)).toMatchObject({ subject: 'CN=client', serial: expect.stringMatching(/^[0-9a-f]+$/) })
  })

  test('says whose it is and how long it lasts', () => {
    const made = ca.issue({ ...CLIENT, serial: Uint8Array.of(0x12, 0xab), notAfter: clock.now() + DAY })
    expect(check(of(made))).toMatchObject({
      subject: 'CN=client',
      serial: '12ab',
      notBefore: clock.now() - DAY,
      notAfter: clock.now() + DAY,
    })
  })
})

const other = testCa({ name: 'Others', now: clock.now() })
const twin = testCa({ name: 'Clients', now: clock.now() })
let late: TestCertificate | undefined
let lateClient: TestCertificate | undefined

test.each<[string, KeyedCertificate, string, RegExp]>([
  ['no certificate', { cert: 'tomorrow', key: client.keyPem }, 'ERR_CONFIG_CERTIFICATE', /^tls\.crt: .*no certificate/],
  [
    'the key as certificate',
    { cert: client.keyPem, key: client.keyPem },
    'ERR_CONFIG_CERTIFICATE',
    /^tls\.crt: .*no certificate/,
  ],
  ['half a certificate', { cert: client.pem.slice(0, 300), key: client.keyPem }, 'ERR_CONFIG_CERTIFICATE', /cut short/],
  ['a second certificate by half', of(client, chainPem.slice(0, -100)), 'ERR_CONFIG_CERTIFICATE', /cut short/],
  [
    'a certificate that is none',
    of(client, client.pem.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA')),
    'ERR_CONFIG_CERTIFICATE',
    /certificate 1 cannot be read/,
  ],
  ['no key', { cert: client.pem, key: client.pem }, 'ERR_CONFIG_CERTIFICATE', /^tls\.key: .*found 0/],
  [
    'half a key',
    { cert: client.pem, key: client.keyPem.slice(0, 90) },
    'ERR_CONFIG_CERTIFICATE',
    /^tls\.key: .*cut short/,
  ],
  ['several keys', { cert: client.pem, key: client.keyPem + ca.issuer.keyPem }, 'ERR_CONFIG_CERTIFICATE', /found 2/],
  [
    'a key that is none',
    { cert: client.pem, key: client.keyPem.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA') },
    'ERR_CONFIG_CERTIFICATE',
    /^tls\.key: .*cannot be read/,
  ],
  [
    'the key of another certificate',
    { cert: client.pem, key: ca.issue(CLIENT).keyPem },
    'ERR_CONFIG_CERTIFICATE_MISMATCH',
    /^tls\.key: not the key of CN=client in tls\.crt$/,
  ],
  [
    'an encrypted key without passphrase',
    { cert: client.pem, key: encrypted('open') },
    'ERR_CONFIG_PASSPHRASE',
    /is encrypted/,
  ],
  [
    'a wrong passphrase',
    { cert: client.pem, key: encrypted('open'), passphrase: 'shut' },
    'ERR_CONFIG_PASSPHRASE',
    /does not open/,
  ],
  [
    'an old encrypted key without passphrase',
    { cert: client.pem, key: legacy },
    'ERR_CONFIG_PASSPHRASE',
    /is encrypted/,
  ],
  [
    'one past its end',
    issued({ notAfter: clock.now() - 1 }),
    'ERR_CONFIG_CERTIFICATE_EXPIRED',
    /was valid until 2025-12-31T23:59:59/,
  ],
  [
    'one before its beginning',
    issued({ notBefore: clock.now() + DAY }),
    'ERR_CONFIG_CERTIFICATE_NOT_YET_VALID',
    /valid from 2026-01-02T/,
  ],
  ['a server’s', issued({ extendedKeyUsage: ['serverAuth'] }), 'ERR_CONFIG_CERTIFICATE_USAGE', /lacks clientAuth/],
  [
    'one that may not sign',
    issued({ keyUsage: ['keyEncipherment'] }),
    'ERR_CONFIG_CERTIFICATE_USAGE',
    /lacks digitalSignature/,
  ],
  ['a CA’s', issued({ ca: true }), 'ERR_CONFIG_CERTIFICATE_USAGE', /one of a CA/],
  ['RSA of 1024 bits', issued({ keyType: 'RSA-1024' }), 'ERR_CONFIG_CERTIFICATE_WEAK', /saw RSA of 1024 bits/],
  ['issuer first', of(client, ca.issuer.pem + client.pem), 'ERR_CONFIG_CERTIFICATE_CHAIN', /belongs to certificate 2/],
  [
    'root before intermediate',
    of(client, client.pem + ca.root.pem + ca.issuer.pem),
    'ERR_CONFIG_CERTIFICATE_CHAIN',
    /is not named as the issuer/,
  ],
  [
    'an unrelated certificate',
    of(client, chainPem + other.root.pem),
    'ERR_CONFIG_CERTIFICATE_CHAIN',
    /certificate 3, CN=Others Root, is not named/,
  ],
  [
    'a namesake of the issuer',
    of(client, client.pem + twin.issuer.pem),
    'ERR_CONFIG_CERTIFICATE_CHAIN',
    /did not sign/,
  ],
  ['an issuer past its end', of(lateIssuer().client, lateIssuer().text), 'ERR_CONFIG_CERTIFICATE_EXPIRED', /CN=Late/],
  ['eleven certificates', of(client, client.pem.repeat(11)), 'ERR_CONFIG_CERTIFICATE_CHAIN', /at most 10/],
])('refuses %s', (_, material, code, message) => {
  expect(() => check(material)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }))
})

test('refuses an issuer that is no CA: ERR_CONFIG_CERTIFICATE_CHAIN', () => {
  const pretender = ca.issue({ subject: 'Pretender' })
  const below = pretender.issue(CLIENT)
  expect(() => check(of(below, below.pem + pretender.pem))).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_CERTIFICATE_CHAIN', message: expect.stringContaining('is no CA') }),
  )
})

test('no message repeats a line of the key', () => {
  const lines = client.keyPem.split('\n').filter((line) => line.length > 30 && !line.startsWith('-'))
  for (const key of [client.keyPem.slice(0, 150), client.keyPem + client.keyPem, encrypted('open')]) {
    try {
      check({ cert: client.pem, key })
      expect.fail('expected a refusal')
    } catch (error) {
      expect(lines.filter((line) => String(error).includes(line))).toEqual([])
    }
  }
})

function lateIssuer(): { client: TestCertificate; text: string } {
  late ??= ca.issuer.issue({ subject: 'Late', ca: true, notAfter: clock.now() - 1 })
  lateClient ??= late.issue(CLIENT)
  return { client: lateClient, text: lateClient.pem + late.pem }
}
