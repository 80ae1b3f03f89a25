import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type ClientOptions, createClient } from 'pinfetch'
import { allowUnpinned } from 'pinfetch/dangerous'
import { createTestRepository, selfSigned, startTlsServer } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { withoutRoads } from '../../src/cli/drill-config.ts'
import { type Check, runDrill } from '../../src/cli/drill-run.ts'
import type { CanonicalHost } from '../../src/encoding/host.ts'
import { until } from '../support/client.ts'
import { cli, cliJson, workplace } from './support.ts'

const HOST = 'api.example.com'
const host = HOST as CanonicalHost
const [own, spare] = [selfSigned().pin, selfSigned().pin]
const pins = { [HOST]: [own, spare] }

const CHECKS = [
  'control: with these settings, a server of the drill with a pinned key is answered',
  'control: whoever accepts the interceptor’s CA is read by it',
  'refused with ERR_TRUST_PIN_MISMATCH',
  'nothing of the request and no client certificate reached the interceptor',
  'one event tls.rejected',
  'one report of the violated pin at a collector',
  'one alarm for a SIEM (OCSF 2004)',
  'one bundle of evidence, which gives the same code again, offline',
]
const CONTAINING = [
  'contained: every further call ends with ERR_POLICY_CONTAINED, before any connection',
  'released: calls are judged by pins again',
]

describe('a configuration that holds', () => {
  test('passes every line, containment among them, and exits with 0', async () => {
    const config = await configured({ pins })
    const { exitCode, answer, stderr } = await cliJson(['drill', config, '--contain'])
    expect(failedOf(answer.data)).toEqual([])
    expect(answer.data).toMatchObject({ host: HOST, setAside: [] })
    expect(checksOf(answer.data).map(({ what }) => what)).toEqual([...CHECKS, ...CONTAINING])
    expect(exitCode).toBe(0)
    expect(stderr).toContain('Nothing left this machine')
  })

  test('is printed as a list of what was expected and what was seen', async () => {
    const { exitCode, stdout } = await cli(['drill', await configured({ pins })])
    expect(exitCode).toBe(0)
    expect(stdout).toContain(`passed  refused with ERR_TRUST_PIN_MISMATCH\n          ERR_TRUST_PIN_MISMATCH: ${HOST}`)
    expect(stdout).toContain('0 octets read; on the wire 0 encrypted records from the client')
    expect(stdout).toContain('8 checks passed, 0 failed')
  })

  test('is found by PINFETCH_CONFIG, and a pattern stands for a host that it covers', async () => {
    const env = { PINFETCH_CONFIG: await configured({ pins: { '*.example.com': [own, spare] } }) }
    const { exitCode, answer } = await cliJson(['drill'], { env })
    expect(answer.data).toMatchObject({ host: 'pinfetch-drill.example.com' })
    expect(exitCode).toBe(0)
  })

  test('has its proxy, its sockets and its limits set aside, and none of them is called', async () => {
    const proxy = await until(startTlsServer({ identity: selfSigned({ names: ['localhost'] }) }))
    const config = await configured({
      pins,
      proxy: `http://127.0.0.1:${proxy.port}`,
      egress: { origins: ['other.example.com'] },
      http2: 'require',
    })
    const { exitCode, answer, stderr } = await cliJson(['drill', config])
    expect(answer.data).toMatchObject({ setAside: ['proxy', 'egress', 'http2'] })
    expect(stderr).toContain('Set aside for the drill: proxy, egress, http2.')
    expect(proxy.accepted).toBe(0)
    expect(exitCode).toBe(0)
  })
})

describe('a signed manifest', () => {
  test('is read from --manifest in place of its URL; the cache directory stays as it was', async () => {
    const { config, published, cacheDir } = await withManifest({ [HOST]: [own, spare] })
    const { exitCode, answer } = await cliJson(['drill', config, '--host', HOST, '--manifest', published, '--contain'])
    expect(failedOf(answer.data)).toEqual([])
    expect(exitCode).toBe(0)
    expect(await readdir(cacheDir)).toEqual([])
  })

  test('with an entry for one port is tried at that port', async () => {
    const relayed = await until(startTlsServer({ identity: selfSigned() }))
    const port = relayed.port
    await relayed.close() // free now
    const entry = { host: HOST, port, mode: 'enforce' as const, pins: [{ spki: own }, { spki: spare }] }
    const { config, published } = await withManifest([entry])
    const common = ['drill', config, '--manifest', published, '--host']
    expect(await cliJson([...common, `${HOST}:${port}`])).toMatchObject({ exitCode: 0 })
    const { exitCode, answer } = await cliJson([...common, HOST])
    expect(exitCode).toBe(1)
    expect(seenOf(answer.data, CHECKS[2])).toContain('ERR_TRUST_HOST_NOT_COVERED')
  })

  test('that asks for report mode is enforced all the same: a file cannot allow it', async () => {
    const reported = { host: HOST, mode: 'report' as const, pins: [{ spki: own }, { spki: spare }] }
    const { config, published } = await withManifest([reported])
    const { answer } = await cliJson(['drill', config, '--host', HOST, '--manifest', published])
    expect(checksOf(answer.data).filter(({ passed }) => !passed)).toEqual([])
  })

  test('that was cached serves a drill without --manifest, and one that was not refuses the host', async () => {
    const { config, published, cacheDir, path } = await withManifest({ [HOST]: [own, spare] })
    const empty = await cliJson(['drill', config, '--host', HOST])
    expect(empty.exitCode).toBe(1)
    expect(seenOf(empty.answer.data, CHECKS[2])).toContain('ERR_TRUST_NO_TRUSTED_MANIFEST')
    const client = createClient({ manifest: { url: published, root: path('root.json'), cacheDir } })
    await client.ready()
    await client.close()
    const kept = await readdir(cacheDir, { recursive: true })
    expect(kept.length).toBeGreaterThan(0)
    const { exitCode, answer } = await cliJson(['drill', config, '--host', HOST])
    expect(failedOf(answer.data)).toEqual([])
    expect(exitCode).toBe(0)
    expect(await readdir(cacheDir, { recursive: true })).toEqual(kept)
  })
})

describe('a configuration that is defeated fails, and the line says by what', () => {
  test('report mode: the interceptor is answered, and reads it: ERR_POLICY_DRILL', async () => {
    const { exitCode, answer, stderr } = await cliJson(['drill', await configured({ pins, mode: 'report' })])
    expect(exitCode).toBe(1)
    expect(answer.error).toMatchObject({ code: 'ERR_POLICY_DRILL' })
    expect(failedOf(answer.data)).toEqual(expect.arrayContaining(CHECKS.slice(2, 5)))
    expect(failedOf(answer.data)).not.toEqual(expect.arrayContaining(CHECKS.slice(0, 1)))
    expect(seenOf(answer.data, CHECKS[2])).toBe('answered with 200')
    expect(seenOf(answer.data, CHECKS[3])).toMatch(/^[1-9]\d* octets read/)
    expect(stderr).toContain('first: refused with ERR_TRUST_PIN_MISMATCH (answered with 200)')
  })

  test('a host without pins: nothing goes there, and nothing is proven: ERR_POLICY_DRILL', async () => {
    const { exitCode, answer } = await cliJson(['drill', await configured({ pins }), '--host', 'other.example.org'])
    expect(exitCode).toBe(1)
    expect(answer.error).toMatchObject({ code: 'ERR_POLICY_DRILL' })
    expect(seenOf(answer.data, CHECKS[2])).toContain('ERR_TRUST_HOST_NOT_COVERED')
    expect(seenOf(answer.data, CHECKS[3])).toBe('no connection was made')
    expect(failedOf(answer.data)).toEqual(CHECKS.slice(2))
  })

  test('a host that is allowed without pins: it is answered; beside a host with pins that holds', async () => {
    const reason = 'the drill has to notice it'
    const options = { pins, unlistedHosts: [allowUnpinned('open.example.com', { reason })] }
    const open = await runDrill(options, { host: 'open.example.com' as CanonicalHost }, { contain: true })
    expect(open.filter(({ passed }) => !passed).map(({ what }) => what)).toEqual([...CHECKS.slice(2), CONTAINING[1]])
    const pinned = await runDrill(options, { host }, { contain: true })
    expect(pinned.filter(({ passed }) => !passed)).toEqual([])
  })

  test('pins that have ended: refused, and not for the interceptor’s key', async () => {
    const ended: ClientOptions = { pins: { [HOST]: { pins: [own, spare], notAfter: new Date(0) } } }
    const checks = await runDrill(ended, { host }, { contain: false })
    expect(checks.find(({ what }) => what === CHECKS[2])).toMatchObject({
      passed: false,
      seen: expect.stringContaining('ERR_TRUST_'),
    })
  })
})

test('what leads away from this machine never takes part, nor what asks somebody', () => {
  const away = { proxy: 'http://proxy.example.com:3128', auth: [], verify: undefined, localAddress: '192.0.2.1' }
  const { options, setAside } = withoutRoads({ pins, ...away } as unknown as ClientOptions)
  expect(options).toEqual({ pins })
  expect(setAside).toEqual(['proxy', 'auth', 'localAddress'])
})

describe('a wrong configuration is an error of usage', () => {
  test.each([
    ['no JSON', '{', 'ERR_CONFIG_FILE'],
    ['an unknown member', JSON.stringify({ pins, pinz: {} }), 'ERR_CONFIG_FILE'],
    ['no pin', JSON.stringify({ pins: { [HOST]: ['sha256/short'] } }), 'ERR_CONFIG_PIN'],
    ['an option that would not take part', JSON.stringify({ pins, localAddress: 'here' }), 'ERR_CONFIG_INVALID'],
    ['neither pins nor manifest', '{}', 'ERR_CONFIG_USAGE'],
  ])('%s', async (_, text, code) => {
    const { file } = await workplace()
    const { exitCode, answer } = await cliJson(['drill', await file('pinfetch.json', text)])
    expect([exitCode, answer.error?.code]).toEqual([2, code])
  })

  test.each(['https://api.example.com', 'a b', '192.0.2.1', '[::1]', 'user@api.example.com', 'api.example.com/x', ''])(
    '--host %j',
    async (name) => {
      const { exitCode, answer } = await cliJson(['drill', await configured({ pins }), '--host', name])
      expect([exitCode, answer.error?.code]).toEqual([2, 'ERR_CONFIG_USAGE'])
    },
  )

  test('a manifest behind a URL alone, which a drill does not fetch', async () => {
    const { path, file } = await workplace()
    await file('root.json', (await createTestRepository({ hosts: pins })).root)
    const manifest = { url: 'https://pins.example.com/', root: 'root.json' }
    const config = await file('pinfetch.json', JSON.stringify({ manifest }))
    const { exitCode, answer } = await cliJson(['drill', config, '--host', HOST])
    expect([exitCode, answer.error?.code]).toEqual([2, 'ERR_CONFIG_USAGE'])
    expect(answer.error?.hint).toContain('--manifest')
    expect(path('')).toBeDefined()
  })
})

async function configured(config: object): Promise<string> {
  return (await workplace()).file('pinfetch.json', JSON.stringify(config))
}

async function withManifest(hosts: NonNullable<Parameters<typeof createTestRepository>[0]>['hosts']) {
  const { path, file } = await workplace()
  const repository = await createTestRepository(hosts === undefined ? {} : { hosts })
  await file('root.json', repository.root)
  const published = path('published')
  for (const [name, bytes] of repository.files()) {
    await mkdir(dirname(`${published}/${name}`), { recursive: true })
    await writeFile(`${published}/${name}`, bytes)
  }
  await mkdir(path('cache'), { mode: 0o700 })
  const manifest = { url: 'https://pins.example.com/', root: 'root.json', cacheDir: 'cache', startupMs: 3_000 }
  const config = await file('pinfetch.json', JSON.stringify({ manifest }))
  return { config, published, cacheDir: path('cache'), path }
}

const checksOf = (data: unknown): readonly Check[] => (data as { readonly checks: readonly Check[] }).checks
const failedOf = (data: unknown): readonly string[] =>
  checksOf(data)
    .filter(({ passed }) => !passed)
    .map(({ what }) => what)
const seenOf = (data: unknown, what: string | undefined): string =>
  checksOf(data).find((check) => check.what === what)?.seen ?? ''
