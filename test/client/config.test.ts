import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { configFromEnv, configFromFile, configSchema, createClient } from 'pinfetch'
import { testCa } from 'pinfetch/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { resolveOptions } from '../../src/client/options.ts'

const ca = testCa()
const identity = ca.issue({ subject: 'client' })
const pins = { 'api.example.com': [ca.issuer.pin, ca.root.pin] }
let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinfetch-config-'))
  for (const [name, text] of Object.entries({
    'ca.pem': ca.anchorPem,
    'cert.pem': identity.pem,
    'key.pem': identity.keyPem,
  }))
    writeFileSync(join(folder, name), text)
  writeFileSync(join(folder, 'root.json'), '{}')
})
afterAll(() => rmSync(folder, { recursive: true }))

function write(config: unknown): string {
  const path = join(folder, 'pinfetch.json')
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config))
  return path
}

test('reads every member; paths are relative to the file, PEM is named and not pasted', () => {
  const path = write({
    $schema: './node_modules/pinfetch/config.schema.json',
    manifest: { url: './pins', root: 'root.json', cacheDir: 'cache', cache: 'required', startupMs: 5_000 },
    pins: { ...pins, '*.example.com': { pins: [ca.root.pin], mode: 'report', notAfter: '2027-01-01T00:00:00Z' } },
    anchorsFile: 'ca.pem',
    certificate: { certFile: 'cert.pem', keyFile: 'key.pem' },
    timeouts: { connectMs: 2_000 },
    limits: { bodyBytes: 1_000 },
    addresses: { deny: ['10.0.0.5/32'], private: 'refuse' },
    localAddress: '127.0.0.1',
    unixSockets: { 'api.example.com': '/run/api.sock' },
    egress: { origins: ['api.example.com'], methods: ['GET'] },
    redirect: { follow: ['files.example.com'] },
    retry: { maxAttempts: 5, budget: { tokens: 20 } },
    rate: { rules: [{ limit: { kind: 'tokenBucket', requests: 10, perMs: 1_000 } }], maxPauseMs: 60_000 },
    breaker: { openMs: 1_000 },
    upgradeInsecure: 'hsts',
    http2: 'prefer',
    monitor: { traffic: false },
  })
  for (const options of [
    configFromFile(path),
    configFromFile(pathToFileURL(path)),
    configFromEnv({ PINFETCH_CONFIG: path }),
  ]) {
    const resolved = resolveOptions(options)
    expect(resolved.manifests[0]).toMatchObject({
      locations: [{ kind: 'directory', path: join(folder, 'pins') }],
      cacheDir: join(folder, 'cache'),
      cache: 'required',
      startupMs: 5_000,
    })
    expect(resolved.pins.map(({ mode }) => mode)).toEqual(['enforce', 'report'])
    expect(resolved.pins[1]?.notAfter).toBe(Date.parse('2027-01-01T00:00:00Z'))
    expect([resolved.anchors.everywhere, resolved.certificate]).toEqual([
      [ca.anchorPem],
      { kind: 'files', certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem'), with: {} },
    ])
    expect(resolved.timeouts).toMatchObject({ connectMs: 2_000, headersMs: 30_000 })
    expect(resolved.limits).toMatchObject({ bodyBytes: 1_000, headerBytes: 16_384 })
    expect(resolved.addresses).toEqual({ deny: [{ bytes: [10, 0, 0, 5], prefix: 32 }], private: 'refuse' })
    expect(resolved.egress).toEqual([{ origins: ['api.example.com'], methods: ['GET'] }])
    expect(resolved).toMatchObject({
      localAddress: '127.0.0.1',
      unixSockets: { 'api.example.com': '/run/api.sock' },
      upgradeInsecure: 'hsts',
      http2: 'prefer',
      monitor: { timing: true, traffic: false },
      redirect: { follow: ['files.example.com'], maxHops: 5 },
      retry: { maxAttempts: 5, baseMs: 200, budget: { tokens: 20, perSuccess: 0.1 } },
      rate: {
        rules: [{ limit: { kind: 'tokenBucket', requests: 10, perMs: 1_000 }, per: 'origin' }],
        maxPauseMs: 60_000,
      },
      breaker: { openMs: 1_000, failureRatio: 0.5 },
    })
  }
})

test('reads the environment alone, and single variables win over the file', () => {
  const env = { PINFETCH_MANIFEST_URL: 'https://pins.example.com/', PINFETCH_MANIFEST_ROOT: join(folder, 'root.json') }
  expect(configFromEnv({ ...env, PINFETCH_ANCHORS: join(folder, 'ca.pem') })).toEqual({
    manifest: { url: env.PINFETCH_MANIFEST_URL, root: env.PINFETCH_MANIFEST_ROOT },
    anchors: ca.anchorPem,
  })
  const path = write({ manifest: { url: 'https://old.example.com/', root: 'root.json' } })
  expect(configFromEnv({ PINFETCH_CONFIG: path, ...env }).manifest?.url).toBe(env.PINFETCH_MANIFEST_URL)
})

test.each<[string, unknown, RegExp]>([
  ['no JSON', '{', /not readable as JSON/],
  ['an unknown member', { pins, revocaton: 'off' }, /: revocaton: unknown member/],
  ['a nested unknown member', { manifest: { url: '.', root: 'r', url2: '' } }, /: manifest\.url2: unknown member/],
  [
    'an option that loosens',
    { pins, unlistedHosts: [{ pattern: 'a.com', reason: 'x' }] },
    /unlistedHosts: unknown member/,
  ],
  ['pasted PEM', { pins, anchorsFile: ca.anchorPem }, /cannot be read/],
])('refuses %s: ERR_CONFIG_FILE', (_, config, message) => {
  const path = write(config)
  expect(() => configFromFile(path)).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_FILE', message: expect.stringMatching(message) }),
  )
})

test('a certificate that is missing is noticed when the client is made: ERR_CONFIG_FILE', () => {
  const path = write({ pins, certificate: { certFile: 'none.pem', keyFile: 'key.pem' } })
  expect(() => createClient(configFromFile(path))).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_FILE', message: expect.stringContaining(join(folder, 'none.pem')) }),
  )
})

test('refuses a missing file, and an environment with half of what is needed: ERR_CONFIG_FILE', () => {
  expect(() => configFromFile(join(folder, 'absent.json'))).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_FILE' }),
  )
  const half = { PINFETCH_MANIFEST_URL: 'https://pins.example.com/' }
  expect(() => configFromEnv(half)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_FILE' }))
})

test('the JSON Schema knows the same members', () => {
  expect(configSchema()).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    additionalProperties: false,
    properties: {
      manifest: { required: ['root'], additionalProperties: false },
      pins: {},
      mode: {},
      timeouts: {},
      limits: {},
    },
  })
})
