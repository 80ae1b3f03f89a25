import { certSpotter, crtSh } from 'pinfetch/monitor'
import { poisoned } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import { check, issuanceStage } from './stage.ts'

const SOURCES = [
  ['certspotter', certSpotter, '/v1/issuances'],
  ['crtsh', crtSh, '/'],
] as const

describe.each(SOURCES)('%s', (name, source, path) => {
  test('an issuance with an unknown key is told once, a known backup pin is silent (case 616)', async () => {
    const { server, own, backup, rogue, known } = await issuanceStage()
    const bad = rogue()
    server.issue(own)
    server.issue(backup, { precertificate: poisoned(backup) })
    server.issue(bad)
    const { serialNumber, issuer, sha256, notBefore, notAfter } = parseCertificate(bad.der)
    expect(await check({ ...known, sources: [source({ baseUrl: server.url })] })).toMatchObject({
      failures: [],
      unexpected: [
        {
          type: 'ct.unexpected',
          names: ['login.example.com'],
          spki: bad.pin,
          issuer: issuer.text,
          serial: Buffer.from(serialNumber).toString('hex'),
          sha256,
          notBefore,
          notAfter,
          source: name,
        },
      ],
    })
  })

  test('precertificate and certificate are one issuance', async () => {
    const { server, rogue, known } = await issuanceStage()
    const bad = rogue()
    server.issue(bad, { precertificate: poisoned(bad) })
    const { unexpected } = await check({ ...known, sources: [source({ baseUrl: server.url })] })
    expect(unexpected).toHaveLength(1)
  })

  test('the same serial number of the same issuer with another key is another issuance', async () => {
    const { ca, server, rogue, known } = await issuanceStage()
    const bad = rogue()
    server.issue(bad)
    server.issue(ca.issue({ names: ['login.example.com'], serial: bad.serial }))
    const { unexpected } = await check({ ...known, sources: [source({ baseUrl: server.url })] })
    expect(unexpected).toHaveLength(2)
  })

  test.each([
    ['no JSON', { body: '<html>overloaded</html>' }, 'ERR_MONITOR_SOURCE_MALFORMED'],
    ['an object in place of a list', { body: '{"error":"x"}' }, 'ERR_MONITOR_SOURCE_MALFORMED'],
    ['members of other types', { body: '[{"id":{},"name_value":7}]' }, 'ERR_MONITOR_SOURCE_MALFORMED'],
    ['nothing', { body: '' }, 'ERR_MONITOR_SOURCE_MALFORMED'],
    ['depth', { body: `${'['.repeat(100_000)}${']'.repeat(100_000)}` }, 'ERR_MONITOR_SOURCE_MALFORMED'],
    ['a member twice', { body: '[{"id":"1","id":"2"}]' }, 'ERR_MONITOR_SOURCE_MALFORMED'],
    ['too much', { body: Buffer.alloc(33 * 1024 * 1024, ' ') }, 'ERR_MONITOR_SOURCE_TOO_LARGE'],
    ['a redirect', { status: 302, headers: { location: 'https://attacker.example/' } }, 'ERR_MONITOR_SOURCE_REDIRECT'],
    ['a refusal', { status: 401 }, 'ERR_MONITOR_SOURCE_STATUS'],
    ['a failure', { status: 503 }, 'ERR_MONITOR_SOURCE_STATUS'],
  ])('answers with %s: a failure, and nothing is lost', async (_what, fault, code) => {
    const { server, rogue, known } = await issuanceStage()
    server.issue(rogue())
    server.misbehave({ path, ...fault })
    const options = { ...known, sources: [source({ baseUrl: server.url })] }
    expect(await check(options)).toMatchObject({ unexpected: [], failures: [{ source: name, code }] })
    expect(await check(options)).toMatchObject({ unexpected: [{}], failures: [] })
  })

  test('a server that is gone is ERR_MONITOR_SOURCE_UNREACHABLE', async () => {
    const { server, known } = await issuanceStage()
    await server.close()
    const { failures } = await check({ ...known, sources: [source({ baseUrl: server.url })] })
    expect(failures).toMatchObject([{ code: 'ERR_MONITOR_SOURCE_UNREACHABLE' }])
  })

  test('a certificate that cannot be read to its end is told of', async () => {
    const { ca, server, known } = await issuanceStage()
    const broken = { oid: '2.5.29.17', critical: false, value: Uint8Array.of(0x30, 0x7f, 0x82) }
    const odd = ca.issue({ names: ['www.example.com'], extensions: [broken] })
    expect(() => parseCertificate(odd.der)).toThrow()
    const readable = ca.issue({ names: ['www.example.com'] })
    server.issue(Object.assign({}, readable, { der: readable.der, pem: odd.pem }))
    const { unexpected } = await check({ ...known, sources: [crtSh({ baseUrl: server.url })] })
    expect(unexpected).toMatchObject([{ spki: odd.pin }])
  })

  test.each(['http://localhost/', 'https://user:secret@localhost/', 'https://localhost/?q=1', 'nothing'])(
    'refuses %s as its base URL',
    (baseUrl) => {
      expect(() => source({ baseUrl })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_URL' }))
    },
  )
})

describe('several sources', () => {
  test('one issuance that two of them know of is told once', async () => {
    const { server, rogue, known } = await issuanceStage()
    const bad = rogue()
    server.issue(bad, { precertificate: poisoned(bad) })
    const { unexpected } = await check({
      ...known,
      sources: [certSpotter({ baseUrl: server.url }), crtSh({ baseUrl: server.url })],
    })
    expect(unexpected).toHaveLength(1)
  })

  test('one that fails keeps the other from nothing', async () => {
    const { server, rogue, known } = await issuanceStage()
    server.issue(rogue())
    server.misbehave({ path: '/v1/issuances', status: 500, times: 3 })
    const sources = [certSpotter({ baseUrl: server.url }), crtSh({ baseUrl: server.url })]
    expect(await check({ ...known, sources })).toMatchObject({
      unexpected: [{ source: 'crtsh' }],
      failures: [{ source: 'certspotter', code: 'ERR_MONITOR_SOURCE_STATUS' }],
    })
  })
})

describe('Cert Spotter', () => {
  test('is who is asked where no source is named', async () => {
    const { known } = await issuanceStage()
    const asked: string[] = []
    const ask: typeof fetch = async (url) => {
      asked.push(new URL(String(url)).hostname)
      return new Response('[]', { headers: { 'content-type': 'application/json' } })
    }
    expect(await check({ ...known, fetch: ask })).toMatchObject({ unexpected: [], failures: [] })
    expect(asked).toEqual(['api.certspotter.com'])
  })

  test('is asked for subdomains and wildcards, page after page', async () => {
    const { ca, server, known } = await issuanceStage({ pageSize: 2 })
    for (const name of ['a', 'b', 'c', 'd', 'e']) server.issue(ca.issue({ names: [`${name}.example.com`] }))
    const { unexpected } = await check({ ...known, sources: [certSpotter({ baseUrl: server.url })] })
    expect(unexpected).toHaveLength(5)
    const asked = server.requests.map(({ path }) => new URL(path, server.url).searchParams)
    expect(asked.map((query) => query.get('after'))).toEqual([null, '2', '4', '5'])
    expect(Object.fromEntries(asked[0] ?? [])).toMatchObject({
      domain: 'example.com',
      include_subdomains: 'true',
      match_wildcards: 'true',
    })
    expect(asked[0]?.getAll('expand')).toEqual(['dns_names', 'issuer', 'cert'])
  })

  test('gets the token, in no other place than its header', async () => {
    const { server, known } = await issuanceStage()
    const token = 'k40152_0123456789abcdef'
    server.misbehave({ status: 403 })
    const result = await check({ ...known, sources: [certSpotter({ baseUrl: server.url, token })] })
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${token}`)
    expect(server.requests[0]?.path).not.toContain(token)
    expect(JSON.stringify(result)).not.toContain(token)
    expect(result.failures).toHaveLength(1)
  })

  test('that shows no certificate is believed in its key', async () => {
    const { server, own, rogue, known } = await issuanceStage()
    const told = (id: string, certificate: ReturnType<typeof rogue>, names: readonly string[]) => ({
      id,
      pubkey_sha256: parseCertificate(certificate.der).spkiSha256,
      dns_names: names,
      not_before: '2026-01-01T00:00:00Z',
      not_after: '2026-04-01T00:00:00Z',
      a_member_that_is_new: { x: [1] },
    })
    const bad = rogue()
    const list = [
      told('1', own, ['www.example.com']),
      told('2', bad, ['x.example.com\u001b[2J']),
      told('3', bad, ['a.org']),
    ]
    server.misbehave({ body: JSON.stringify(list) })
    const { unexpected } = await check({ ...known, sources: [certSpotter({ baseUrl: server.url })] })
    expect(unexpected).toMatchObject([{ spki: bad.pin, names: ['x.example.com\\u{1b}[2J'] }])
  })

  test('that gives the same page for ever is ERR_MONITOR_SOURCE_MALFORMED, not a loop', async () => {
    const { server, own, known } = await issuanceStage()
    const { spkiSha256 } = parseCertificate(own.der)
    const same = { id: '7', pubkey_sha256: spkiSha256, dns_names: ['example.com'], not_before: '', not_after: '' }
    server.misbehave({ body: JSON.stringify([same]), times: 100 })
    const { failures } = await check({ ...known, sources: [certSpotter({ baseUrl: server.url })] })
    expect(failures).toMatchObject([{ code: 'ERR_MONITOR_SOURCE_MALFORMED' }])
    expect(server.requests).toHaveLength(2)
  })
})

describe('crt.sh', () => {
  test('is asked for the domain and what is below, and for each certificate once', async () => {
    const { server, own, rogue, known } = await issuanceStage()
    server.issue(own)
    server.issue(rogue())
    await check({ ...known, sources: [crtSh({ baseUrl: server.url })] })
    const asked = server.requests.map(({ path }) => new URL(path, server.url).searchParams)
    expect(asked.map((query) => query.get('q') ?? `d=${query.get('d')}`)).toEqual([
      'example.com',
      '%.example.com',
      'd=2',
      'd=4',
    ])
  })

  test('a download that fails does not keep the others, and is tried again', async () => {
    const { server, rogue, known } = await issuanceStage()
    const [first, second] = [rogue(), rogue()]
    server.issue(Object.assign({}, first, { pem: 'gone' }))
    server.issue(second)
    const result = await check({ ...known, sources: [crtSh({ baseUrl: server.url })] })
    expect(result).toMatchObject({
      unexpected: [{ spki: second.pin }],
      failures: [{ code: 'ERR_MONITOR_SOURCE_MALFORMED' }],
    })
  })
})

describe('options', () => {
  const options = { domains: ['example.com'], pins: [], fetch: globalThis.fetch }
  const pin = 'sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='

  test.each([
    ['no pins', {}],
    ['a pin that is none', { pins: ['sha256/abc'] }],
    ['no domain', { pins: [pin], domains: [] }],
    ['a public suffix', { pins: [pin], domains: ['co.uk'] }],
    ['a top-level domain', { pins: [pin], domains: ['com'] }],
    ['an address', { pins: [pin], domains: ['192.0.2.1'] }],
    ['no fetch', { pins: [pin], fetch: undefined }],
    ['a clock without timers', { runtime: { clock: Date } }],
    ['a name that nobody knows', { pins: [pin], domain: 'example.com' }],
  ])('%s is ERR_CONFIG_INVALID', async (_what, given) => {
    const wrong = { ...options, ...given } as Parameters<typeof check>[0]
    await expect(check(wrong)).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
  })

  test('pins that a function cannot give are a failure of the pass, not of the process', async () => {
    const { server, rogue, known } = await issuanceStage()
    server.issue(rogue())
    const sources = [certSpotter({ baseUrl: server.url })]
    for (const pins of [() => [], () => Promise.reject(new Error('down'))]) {
      const { failures, unexpected } = await check({ ...known, pins, sources })
      expect(failures).toMatchObject([{ code: 'ERR_CONFIG_INVALID' }])
      expect(unexpected).toEqual([])
    }
    expect((await check({ ...known, pins: async () => [pin], sources })).unexpected).toHaveLength(1)
  })
})
