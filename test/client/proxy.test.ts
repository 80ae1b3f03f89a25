import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { type ClientOptions, configFromFile, createClient, type ProxyOption } from 'pinfetch'
import { allowUnpinned } from 'pinfetch/dangerous'
import { describe, expect, test } from 'vitest'
import { resolveOptions } from '../../src/client/options.ts'
import { findLoosenings, findPosture } from '../../src/client/posture.ts'
import { ProxySchema, type ResolvedProxy, resolveProxy } from '../../src/client/proxy.ts'
import { parseBypass } from '../../src/client/proxy-bypass.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { originOf } from '../support/policy.ts'

const PIN = `sha256/${Buffer.alloc(32, 1).toString('base64')}`
const pins = { 'api.example.com': [PIN] }
const noEnvironment = {}

const resolved = (option: ProxyOption): ResolvedProxy => {
  const proxy = resolveProxy(ProxySchema.parse(option), noEnvironment)
  return proxy ?? expect.fail('no proxy')
}

describe('the URL', () => {
  test.each([
    ['http://proxy.corp.example:3128', 'http://proxy.corp.example:3128'],
    ['http://proxy.corp.example', 'http://proxy.corp.example:80'],
    ['http://Proxy.Corp.Example./', 'http://proxy.corp.example:80'],
    ['https://proxy.corp.example', 'https://proxy.corp.example:443'],
    ['socks5://proxy', 'socks5://proxy:1080'],
    ['SOCKS5H://PROXY:1081', 'socks5h://proxy:1081'],
    ['socks5://[::1]:9050', 'socks5://[::1]:9050'],
    ['socks5://127.0.0.1', 'socks5://127.0.0.1:1080'],
    [new URL('http://user:pw@proxy:1'), 'http://proxy:1'],
  ])('%s is %s', (option, text) => {
    expect(resolved(option).server.text).toBe(text)
  })

  test.each([
    'proxy.corp.example:3128',
    'ftp://proxy:1',
    'socks4://user:hunter2@proxy:1',
    'socks://proxy:1',
    'http://user:hunter2@proxy:1/path',
    'http://user:hunter2@proxy:1/?q',
    'http://user:hunter2@',
    'http://user:hunter2@proxy:99999',
    'socks5://',
    'hunter2',
  ])('%s is ERR_CONFIG_URL, without what stands in it', (option) => {
    const call = () => createClient({ pins, proxy: option })
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_URL' }))
    expect(call).toThrow(/^proxy: expected the URL of a proxy without path/)
    expect(call).not.toThrow(/hunter2/)
  })

  test('other shapes are ERR_CONFIG_INVALID, and an unknown member is named', () => {
    for (const proxy of [true, 3128, {}, { url: 'http://proxy', pin: [PIN] }, { url: 'http://proxy', bypass: 'x' }]) {
      const call = () => createClient({ pins, proxy } as unknown as ClientOptions)
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    }
  })
})

describe('credentials', () => {
  test('come from the URL, percent-decoded, or from the option, which wins', () => {
    const inUrl = resolved('http://us%40er:p%3Aw@proxy:1').server.credentials?.()
    expect(inUrl).toEqual({ username: 'us@er', password: 'p:w' })
    const given = resolved({ url: 'http://a:b@proxy:1', credentials: { username: 'c', password: 'd' } })
    expect(given.server.credentials?.()).toEqual({ username: 'c', password: 'd' })
    expect(resolved('http://proxy:1').server.credentials).toBe(undefined)
  })

  test('are printed by nobody who prints the options', () => {
    const options = resolveOptions({ pins, proxy: 'http://user:hunter2@proxy:1' })
    for (const text of [inspect(options, { depth: 9, showHidden: true }), JSON.stringify(options)]) {
      expect(text).not.toMatch(/hunter2|user|aHVudGVyMg/)
    }
  })

  test.each([
    ['a colon in a user name of Basic', { url: 'http://proxy', credentials: { username: 'a:b', password: 'hunter2' } }],
    ['a line break', { url: 'http://proxy', credentials: { username: 'a', password: 'hunter2\r\nx: y' } }],
    ['SOCKS without a password', { url: 'socks5://hunter2@proxy' }],
    [
      'SOCKS with a long one',
      { url: 'socks5://a@proxy', credentials: { username: 'a', password: 'hunter2'.repeat(40) } },
    ],
    ['octets that are no UTF-8', { url: 'http://a:hunter2%ff@proxy' }],
  ])('%s: ERR_CONFIG_INVALID, without the value', (_, proxy) => {
    const call = () => createClient({ pins, proxy })
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    expect(call).not.toThrow(/hunter2/)
  })

  test('in the clear are named in a posture event, over TLS not', () => {
    const subjects = (proxy: ProxyOption): readonly string[] =>
      findLoosenings(resolveOptions({ pins, proxy }), toUnixMs(0)).map(({ subject }) => subject)
    expect(subjects('http://user:hunter2@proxy:1')).toEqual(['http://proxy:1'])
    expect(subjects('socks5://user:hunter2@proxy:1')).toEqual(['socks5://proxy:1'])
    expect(subjects('https://user:hunter2@proxy:1')).toEqual([])
    expect(subjects('http://proxy:1')).toEqual([])
  })
})

describe('the environment', () => {
  const read = (env: Record<string, string>) => resolveProxy('environment', env)

  test.each([
    [{ HTTPS_PROXY: 'http://a:1' }, 'http://a:1'],
    [{ https_proxy: 'http://a:1', HTTPS_PROXY: 'http://b:1' }, 'http://a:1'],
    [{ https_proxy: '', HTTPS_PROXY: 'http://b:1' }, 'http://b:1'],
    [{ ALL_PROXY: 'socks5h://c:1' }, 'socks5h://c:1'],
    [{ all_proxy: 'http://c:1', HTTPS_PROXY: 'http://b:1' }, 'http://b:1'],
    [{ HTTPS_PROXY: 'proxy.corp.example:3128' }, 'http://proxy.corp.example:3128'],
    [{ HTTPS_PROXY: 'user:hunter2@proxy:3128' }, 'http://proxy:3128'],
    [{ HTTP_PROXY: 'http://a:1' }, undefined],
    [{}, undefined],
  ])('%j is %s', (env, text) => {
    expect(read(env)?.server.text).toBe(text)
  })

  test('is read where the option says so, and nowhere else', () => {
    process.env['https_proxy'] = 'http://user:hunter2@proxy:1'
    try {
      expect(resolveOptions({ pins }).proxy).toBe(undefined)
      expect(resolveOptions({ pins, proxy: 'http://other:1' }).proxy?.server.text).toBe('http://other:1')
      expect(resolveOptions({ pins, proxy: 'environment' }).proxy?.server.text).toBe('http://proxy:1')
    } finally {
      delete process.env['https_proxy']
    }
  })

  test('a variable that is no proxy is named, and its value not: ERR_CONFIG_URL', () => {
    const call = () => read({ HTTPS_PROXY: 'quic://user:hunter2@proxy' })
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_URL' }))
    expect(call).toThrow(/^HTTPS_PROXY: /)
    expect(call).not.toThrow(/hunter2/)
  })

  test('no_proxy is read along, commas and spaces apart, and what it cannot mean is skipped', () => {
    const proxy = read({
      HTTPS_PROXY: 'http://a:1',
      NO_PROXY: 'localhost, .corp.example <local> 10.0.0.0/8,,bad host:x',
    })
    const isDirect = (url: string): boolean | undefined => proxy?.server.bypasses(originOf(url))
    const direct = ['https://localhost', 'https://a.corp.example', 'https://10.1.2.3']
    const proxied = ['https://api.example.com', 'https://11.1.2.3', 'https://bad_']
    expect([direct.map(isDirect), proxied.map(isDirect)]).toEqual([
      [true, true, true],
      [false, false, false],
    ])
  })

  test('posture says whether the variables are followed', () => {
    const surroundings = { env: { HTTPS_PROXY: 'x', HTTP_PROXY: 'y' }, flags: [], replaced: [] }
    const effects = (proxy?: ResolvedProxy) => findPosture(surroundings, proxy).map(({ effect }) => effect.slice(0, 9))
    expect(effects()).toEqual(['no effect', 'no effect'])
    expect(effects(resolved('http://a:1'))).toEqual(['no effect', 'no effect'])
    expect(effects(read({ HTTPS_PROXY: 'http://a:1' }))).toEqual(['in force:', 'no effect'])
  })
})

describe('what is connected to directly', () => {
  const names = ['example.com', 'example.com:8443', 'a.example.com', 'a.example.com:8443', 'a.b.example.com']
  const addresses = ['10.1.2.3', '10.1.2.3:8443', '127.0.0.1', '127.0.0.1:8443', '[::1]', '[::1]:8443', '[fd00::1]']
  const others = ['notexample.com', 'example.com.evil.example', '11.1.2.3', '[fe00::1]']
  const everything = [...names, ...addresses, ...others]

  test.each([
    ['example.com', names],
    ['.example.com', names],
    ['*.example.com', names],
    ['EXAMPLE.com.', names],
    ['example.com:8443', ['example.com:8443', 'a.example.com:8443']],
    ['10.0.0.0/8', ['10.1.2.3', '10.1.2.3:8443']],
    ['fd00::/8', ['[fd00::1]']],
    ['127.0.0.1', ['127.0.0.1', '127.0.0.1:8443']],
    ['127.0.0.1:8443', ['127.0.0.1:8443']],
    ['::1', ['[::1]', '[::1]:8443']],
    ['[::1]:8443', ['[::1]:8443']],
    ['*', everything],
  ])('%s stands for %j, and for no other', (entry, hosts) => {
    const bypass = parseBypass(entry) ?? expect.fail('no entry')
    expect(everything.filter((host) => bypass(originOf(`https://${host}`)))).toEqual(hosts)
  })

  test.each(['', 'a b', 'http://a', 'a/b', 'a:0', 'a:99999', 'a:b', '10.0.0.0/33', '<local>'])(
    '%j is no entry: ERR_CONFIG_INVALID',
    (entry) => {
      expect(parseBypass(entry)).toBe(undefined)
      expect(() => createClient({ pins, proxy: { url: 'http://proxy', bypass: [entry] } })).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
      )
    },
  )
})

describe('what could not work', () => {
  const root = new Uint8Array([1])
  const manifest = { url: 'https://pins.example.com/', root, memoryOnly: true }
  const invalid = expect.objectContaining({ code: 'ERR_CONFIG_INVALID' })

  test('pins for a proxy that shows no certificate: ERR_CONFIG_INVALID', () => {
    for (const scheme of ['http', 'socks5', 'socks5h']) {
      expect(() => resolveOptions({ pins, proxy: { url: `${scheme}://proxy`, pins: [PIN] } })).toThrow(invalid)
    }
    expect(() => resolveOptions({ pins, proxy: { url: 'https://proxy', pins: ['sha256/x'] } })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_PIN' }),
    )
    expect(resolveOptions({ pins, proxy: { url: 'https://proxy', pins: [PIN] } }).proxy?.pins).toEqual([PIN])
  })

  test('a proxy that only the manifest behind it could vouch for: ERR_CONFIG_INVALID', () => {
    const url = 'https://proxy.corp.example'
    expect(() => resolveOptions({ manifest, proxy: url })).toThrow(invalid)
    expect(() => resolveOptions({ manifest, pins: { 'proxy.corp.example': [PIN] }, proxy: url })).toThrow(invalid)
    const unlistedHosts = [allowUnpinned('proxy.corp.example', { reason: 'the test has no pin for it' })]
    const fine: readonly Partial<ClientOptions>[] = [
      { proxy: { url, pins: [PIN] } },
      { proxy: { url, bypass: ['pins.example.com'] } },
      { proxy: url, unlistedHosts },
      { proxy: 'http://proxy.corp.example' },
      { proxy: url, manifest: { ...manifest, url: '/etc/pins' } },
    ]
    for (const options of fine) expect(() => resolveOptions({ manifest, ...options })).not.toThrow()
  })

  test('names left to the proxy beside rules for addresses: ERR_CONFIG_INVALID', () => {
    const beside =
      (more: Partial<ClientOptions>, scheme = 'socks5h') =>
      () =>
        resolveOptions({ pins, proxy: `${scheme}://proxy`, ...more })
    const rules: readonly Partial<ClientOptions>[] = [
      { resolver: async () => [] },
      { addresses: { private: 'refuse' } },
      { addresses: { deny: ['10.0.0.0/8'] } },
      { addresses: { allow: ['10.0.0.0/8'] } },
    ]
    for (const rule of rules) {
      expect(beside(rule)).toThrow(invalid)
      expect(beside(rule, 'socks5')).not.toThrow()
      expect(beside(rule, 'http')).not.toThrow()
    }
    expect(beside({})).not.toThrow()
  })
})

test('a file can name a proxy', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pinfetch-'))
  const path = join(directory, 'pinfetch.json')
  const read = (proxy: unknown) => {
    writeFileSync(path, JSON.stringify({ pins, proxy }))
    return configFromFile(path)
  }
  try {
    const given = { url: 'https://proxy', pins: [PIN], bypass: ['corp.example'] }
    expect(resolveOptions(read(given)).proxy?.server.text).toBe('https://proxy:443')
    expect(resolveOptions(read('socks5://proxy')).proxy?.server.text).toBe('socks5://proxy:1080')
    expect(() => read({ ...given, credentials: { username: 'a', password: 'b' } })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_FILE' }),
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})
