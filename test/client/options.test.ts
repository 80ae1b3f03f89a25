import { expect, onTestFinished, test } from 'vitest'
import { type ClientOptions, resolveOptions } from '../../src/client/options.ts'
import { systemRuntime } from '../../src/ports/system.ts'

const PIN = `sha256/${Buffer.alloc(32, 1).toString('base64')}`
const OTHER = `sha256/${Buffer.alloc(32, 2).toString('base64')}`
const pins = { 'api.example.com': [PIN, OTHER] }
const root = new Uint8Array([123, 125])

/** What a caller without types could pass. */
const resolve = (options: unknown) => () => resolveOptions(options as ClientOptions)

test.each<[string, unknown, string, RegExp]>([
  ['nothing', {}, 'ERR_CONFIG_INVALID', /`manifest` or `pins` is required/],
  ['a manifest without source', { manifest: { root } }, 'ERR_CONFIG_INVALID', /^manifest\.url: a base URL/],
  ['two sources', { manifest: { url: './pins', custom: { get: () => 1 }, root } }, 'ERR_CONFIG_INVALID', /give one of/],
  ['a source that cannot get', { manifest: { custom: {}, root } }, 'ERR_CONFIG_INVALID', /^manifest\.custom: expected/],
  [
    'a required cache without a directory',
    { manifest: { url: './pins', root, cache: 'required' } },
    'ERR_CONFIG_INVALID',
    /^manifest\.cache: /,
  ],
  ['no object', undefined, 'ERR_CONFIG_INVALID', /expected object/],
  ['empty pins', { pins: {} }, 'ERR_CONFIG_INVALID', /`manifest` or `pins` is required/],
  ['a misspelt option', { pins, revocaton: 'hard-fail' }, 'ERR_CONFIG_INVALID', /^revocaton: unknown option/],
  [
    'a misspelt nested option',
    { pins, timeouts: { conectMs: 1 } },
    'ERR_CONFIG_INVALID',
    /^timeouts\.conectMs: unknown/,
  ],
  [
    'rejectUnauthorized',
    { pins, rejectUnauthorized: false },
    'ERR_CONFIG_INVALID',
    /^rejectUnauthorized: unknown option/,
  ],
  ['an unknown mode', { pins, mode: 'off' }, 'ERR_CONFIG_INVALID', /^mode: /],
  ['a misspelt limit', { pins, limits: { bodyByte: 1 } }, 'ERR_CONFIG_INVALID', /^limits\.bodyByte: unknown/],
  ['no body at all', { pins, limits: { bodyBytes: 0 } }, 'ERR_CONFIG_INVALID', /^limits\.bodyBytes: /],
  ['a header limit below any', { pins, limits: { headerBytes: 10 } }, 'ERR_CONFIG_INVALID', /^limits\.headerBytes: /],
  ['a time of 0', { pins, timeouts: { connectMs: 0 } }, 'ERR_CONFIG_INVALID', /^timeouts\.connectMs: /],
  ['a host without pins', { pins: { 'a.com': [] } }, 'ERR_CONFIG_INVALID', /a\.com.*at least one pin/],
  ['a pin of another hash', { pins: { 'a.com': ['md5/AAAA'] } }, 'ERR_CONFIG_PIN', /a\.com.*md5\/AAAA/],
  ['a short pin', { pins: { 'a.com': ['sha256/AAAA'] } }, 'ERR_CONFIG_PIN', /a\.com.*sha256\/AAAA/],
  ['a URL as host', { pins: { 'https://a.com': [PIN] } }, 'ERR_CONFIG_HOST', /expected a host/],
  ['a wildcard below a registry', { pins: { '*.com': [PIN] } }, 'ERR_CONFIG_HOST', /expected a host/],
  [
    'one host in two spellings',
    { pins: { 'a.com': [PIN], 'A.com.': [PIN] } },
    'ERR_CONFIG_HOST',
    /a\.com is given twice/,
  ],
  ['a manifest without URL', { manifest: { root } }, 'ERR_CONFIG_INVALID', /^manifest\.url/],
  ['a manifest without root', { manifest: { url: 'https://a.com/' } }, 'ERR_CONFIG_INVALID', /^manifest\.root/],
  [
    'url and urls',
    { manifest: { url: 'https://a.com/', urls: ['https://b.com/'], root } },
    'ERR_CONFIG_INVALID',
    /^manifest: give one of/,
  ],
  ['a manifest in the clear', { manifest: { url: 'http://a.com/', root } }, 'ERR_CONFIG_URL', /got http:\/\/a\.com/],
  ['a malformed manifest URL', { manifest: { url: 'https://[', root } }, 'ERR_CONFIG_URL', /expected an https URL/],
  [
    'credentials in a URL',
    { manifest: { url: 'https://u:secret@a.com/', root } },
    'ERR_CONFIG_URL',
    /got https:\/\/a\.com$/,
  ],
  [
    'a missing root file',
    { manifest: { url: 'https://a.com/', root: '/nowhere/root.json' } },
    'ERR_CONFIG_INVALID',
    /nowhere/,
  ],
  [
    'a bootstrap pin that is none',
    { manifest: { url: 'https://a.com', root, bootstrapPins: ['x'] } },
    'ERR_CONFIG_PIN',
    /bootstrapPins\.0/,
  ],
  ['a certificate without key', { pins, certificate: { cert: 'x' } }, 'ERR_CONFIG_INVALID', /^certificate\.key/],
  [
    'a resolver that is no function',
    { pins, resolver: '1.1.1.1' },
    'ERR_CONFIG_INVALID',
    /^resolver: expected a function/,
  ],
  ...[
    null,
    'system',
    { ...systemRuntime, clock: null },
    { ...systemRuntime, clock: Date },
    { ...systemRuntime, clock: { monotonic: () => 0 } },
    { ...systemRuntime, random: undefined },
    { ...systemRuntime, schedule: 7 },
  ].map((runtime): [string, unknown, string, RegExp] => [
    `${JSON.stringify(runtime)} as runtime`,
    { pins, runtime },
    'ERR_CONFIG_INVALID',
    /^runtime: expected a Runtime/,
  ]),
])('refuses %s, naming the option', (_, options, code, message) => {
  expect(resolve(options)).toThrow(
    expect.objectContaining({ name: 'ConfigurationError', code, message: expect.stringMatching(message) }),
  )
})

test('answers frozen options with every default', () => {
  const resolved = resolveOptions({ pins })
  expect(resolved).toMatchObject({
    mode: 'enforce',
    timeouts: { totalMs: 30_000, connectMs: 10_000, tlsMs: 10_000, headersMs: 30_000, bodyMs: 30_000 },
    limits: {
      headerBytes: 16_384,
      bodyBytes: 268_435_456,
      inflateRatio: 100,
      minBytesPerSecond: 8_192,
      connectionAgeMs: 600_000,
    },
  })
  expect(Object.isFrozen(resolved)).toBe(true)
  expect(Object.isFrozen(resolved.pins[0]?.pins)).toBe(true)
  expect(() => Object.assign(resolved.timeouts, { connectMs: 1 })).toThrow(TypeError)
})

test('keeps the end of pins though the caller’s Date changes later', () => {
  const notAfter = new Date('2027-01-01T00:00:00Z')
  const resolved = resolveOptions({ pins: { 'a.com': { pins: [PIN], notAfter } } })
  notAfter.setFullYear(2099)
  expect(resolved.pins[0]?.notAfter).toBe(Date.parse('2027-01-01T00:00:00Z'))
})

test('a host’s own mode wins over the client’s', () => {
  const resolved = resolveOptions({
    mode: 'report',
    pins: { 'a.com': [PIN], 'b.com': { pins: [PIN], mode: 'enforce' } },
  })
  expect(resolved.pins.map(({ mode }) => mode)).toEqual(['report', 'enforce'])
})

test('takes a path, a file URL and an https base with or without its last slash', () => {
  const locate = (url: string) => resolveOptions({ manifest: { url, root } }).manifests[0]?.locations[0]
  expect(locate('./pins')).toEqual({ kind: 'directory', path: './pins' })
  expect(locate('file:///srv/pins')).toEqual({ kind: 'directory', path: '/srv/pins' })
  expect(locate('https://a.com/pins')).toEqual({ kind: 'https', url: new URL('https://a.com/pins/') })
  expect(locate('https://a.com/')).toEqual({ kind: 'https', url: new URL('https://a.com/') })
  expect(locate('/etc/pins/pins.json')).toEqual({ kind: 'file', path: '/etc/pins/pins.json' })
})

test('reads a bundle from the environment, as JSON or base64; anything else is ERR_CONFIG_INVALID', () => {
  onTestFinished(() => void delete process.env['PINFETCH_TEST_BUNDLE'])
  const read = (text: string) => {
    process.env['PINFETCH_TEST_BUNDLE'] = text
    const [location] =
      resolveOptions({ manifest: { url: 'env:PINFETCH_TEST_BUNDLE', root } }).manifests[0]?.locations ?? []
    return (
      location?.kind === 'bundle' && [location.path, Buffer.from(location.bundle.get('status.json') ?? '').toString()]
    )
  }
  const bundle = '{"status":{"payload":"YQ"},"manifest":{"payload":"Yg"}}'
  expect(read(bundle)).toEqual(['env:PINFETCH_TEST_BUNDLE', '{"payload":"YQ"}'])
  expect(read(Buffer.from(bundle).toString('base64'))).toEqual(['env:PINFETCH_TEST_BUNDLE', '{"payload":"YQ"}'])
  for (const text of ['', '{}', 'pins']) {
    expect(() => read(text)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  }
})

test('leaves the caller’s own source as it is', async () => {
  const custom = {
    asked: 0,
    get: async () => {
      custom.asked += 1
      return undefined
    },
  }
  const resolved = resolveOptions({ manifest: { custom, root } }).manifests[0]
  await resolved?.custom?.mirrors[0]?.get('status.json', { maxBytes: 1, signal: new AbortController().signal })
  expect([custom.asked, Object.isFrozen(custom)]).toEqual([1, false])
})
