import { readFile, writeFile } from 'node:fs/promises'
import {
  createRfc6962Log,
  createTestLog,
  poisoned,
  startIssuanceServer,
  startLogServer,
  startManifestServer,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test, vi } from 'vitest'
import { until } from '../support/client.ts'
import { cli, cliJson, workplace } from './support.ts'

const TOKEN = 'k40152_0123456789abcdef'

describe('ct watch --once', () => {
  test('an issuance with an unknown key is exit code 1, and says which', async () => {
    const { ca, server, own, argv } = await stage()
    server.issue(own)
    const rogue = ca.issue({ names: ['login.example.com'] })
    server.issue(rogue, { precertificate: poisoned(rogue) })
    const { exitCode, answer, stderr } = await cliJson([...argv, '--once'])
    expect(answer).toMatchObject({
      schema: 'pinfetch/ct-watch/v1',
      ok: false,
      data: {
        domains: ['example.com'],
        sources: ['certspotter'],
        unexpected: [{ type: 'ct.unexpected', spki: rogue.pin, names: ['login.example.com'], source: 'certspotter' }],
        failures: [],
      },
      error: { code: 'ERR_MONITOR_UNEXPECTED_CERTIFICATE', message: expect.stringContaining('login.example.com') },
    })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('asked without pins')
  })

  test('known pins, of the command line or of a manifest, are silent', async () => {
    const { server, own, argv, from, manifest } = await stage()
    server.issue(own)
    expect(await cliJson([...argv, '--once'])).toMatchObject({ exitCode: 0, answer: { ok: true } })
    const place = await manifest('www.example.com', own.pin)
    expect(await cliJson([...from, ...place, '--once'])).toMatchObject({ exitCode: 0, answer: { ok: true } })
  })

  test('pins that the manifest has of somebody else’s host are not ours', async () => {
    const { server, own, from, manifest } = await stage()
    server.issue(own)
    const place = await manifest('www.example.org', own.pin)
    expect(await cliJson([...from, ...place, '--once'])).toMatchObject({
      exitCode: 2,
      answer: { error: { code: 'ERR_CONFIG_USAGE', message: expect.stringContaining('no host of example.com') } },
    })
  })

  test('--exact leaves names below the domains alone, and the domains themselves not', async () => {
    const { ca, server, argv } = await stage()
    server.issue(ca.issue({ names: ['login.example.com'] }))
    expect(await cliJson([...argv, '--once'])).toMatchObject({ exitCode: 1 })
    expect(await cliJson([...argv, '--once', '--exact'])).toMatchObject({ exitCode: 0 })
    server.issue(ca.issue({ names: ['example.com'] }))
    expect(await cliJson([...argv, '--once', '--exact'])).toMatchObject({
      exitCode: 1,
      answer: { data: { unexpected: [{ names: ['example.com'] }] } },
    })
  })

  test('the cursor goes on where the last run ended', async () => {
    const { ca, server, argv, path } = await stage()
    server.issue(ca.issue({ names: ['a.example.com'] }))
    const look = () => cliJson([...argv, '--once', '--cursor', path('ct.json')])
    expect(await look()).toMatchObject({ exitCode: 1 })
    expect(await look()).toMatchObject({ exitCode: 0, answer: { data: { unexpected: [] } } })
    await writeFile(path('ct.json'), 'x')
    expect(await look()).toMatchObject({ exitCode: 2, answer: { error: { code: 'ERR_MONITOR_CURSOR_INVALID' } } })
  })

  test('a source that fails is exit code 3; an alert of the other one comes first', async () => {
    const { ca, server, argv } = await stage()
    server.misbehave({ status: 503 })
    expect(await cliJson([...argv, '--once'])).toMatchObject({
      exitCode: 3,
      answer: { error: { code: 'ERR_MONITOR_SOURCE_STATUS' }, warnings: [expect.stringContaining('503')] },
    })
    server.issue(ca.issue({ names: ['b.example.com'] }))
    const crtsh = argv.map((word) => (word === 'certspotter' ? 'crtsh' : word))
    expect(await cliJson([...crtsh, '--once'])).toMatchObject({ exitCode: 1 })
  })

  test('the token of the environment is sent, and printed nowhere', async () => {
    const { server, argv } = await stage()
    server.misbehave({ status: 401 })
    const ran = await cli([...argv, '--once', '--json', '--token-env', 'CT_TOKEN'], { env: { CT_TOKEN: TOKEN } })
    expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`)
    expect(ran.exitCode).toBe(3)
    expect(ran.stdout + ran.stderr).not.toContain(TOKEN)
  })

  test('a log is read with its key alone', async () => {
    const { ca, path, own, file } = await stage()
    const log = createTestLog({ origin: 'log.example.com/2026' })
    const identity = ca.issue({ names: ['localhost'] })
    const server = await until(startManifestServer({ files: log, identity }))
    log.add(own)
    const base = ['ct', 'watch', 'example.com', '--pins', own.pin, '--ca', path('ca.pem')]
    const of = ['--log', server.url, '--log-origin', log.origin, '--log-from', '0', '--once']
    expect(await cliJson([...base, ...of])).toMatchObject({ exitCode: 2 })
    expect(await cliJson([...base, ...of, '--log-key', log.publicKey])).toMatchObject({
      exitCode: 0,
      answer: { data: { sources: [log.origin] } },
    })
    log.add(ca.issue({ names: ['c.example.com'] }))
    const pem = await file('log.pem', log.key.publicKey.export({ type: 'spki', format: 'pem' }).toString())
    expect(await cliJson([...base, ...of, '--log-key', pem])).toMatchObject({ exitCode: 1 })
    const other = createTestLog({ origin: log.origin })
    expect(await cliJson([...base, ...of, '--log-key', other.publicKey])).toMatchObject({
      exitCode: 1,
      answer: { error: { code: 'ERR_MONITOR_LOG_SIGNATURE' } },
    })
  })

  test('a log of RFC 6962 is read by get-entries', async () => {
    const { ca, path, own } = await stage()
    const log = createRfc6962Log()
    const server = await until(startLogServer({ log, identity: ca.issue({ names: ['localhost'] }) }))
    log.add(own)
    const look = (...more: readonly string[]) =>
      cliJson([
        ...['ct', 'watch', 'example.com', '--pins', own.pin, '--ca', path('ca.pem'), '--once', '--log', server.url],
        ...['--log-api', 'rfc6962', '--log-key', log.publicKey, '--log-from', '0', ...more],
      ])
    expect(await look()).toMatchObject({ exitCode: 0, answer: { data: { failures: [] } } })
    log.add(ca.issue({ names: ['c.example.com'] }))
    expect(await look()).toMatchObject({
      exitCode: 1,
      answer: { data: { unexpected: [{ names: ['c.example.com'] }] } },
    })
    expect(await look('--log-origin', 'log.example.com/2026')).toMatchObject({
      exitCode: 2,
      answer: { error: { code: 'ERR_CONFIG_USAGE', message: expect.stringContaining('--log-origin') } },
    })
  })

  test.each([
    ['no pins', []],
    ['a manifest without its root', ['--manifest', './public']],
    ['a token that is not set', ['--pins', 'PIN', '--token-env', 'CT_TOKEN']],
    ['one base URL for two sources', ['--pins', 'PIN', '--source', 'crtsh', 'certspotter', '--base-url', 'https://x/']],
    ['an interval that is none', ['--pins', 'PIN', '--interval', 'often']],
  ])('%s is exit code 2', async (_what, more) => {
    const pin = 'sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    const argv = ['ct', 'watch', 'example.com', '--once', ...more.map((word) => (word === 'PIN' ? pin : word))]
    expect(await cliJson(argv)).toMatchObject({ exitCode: 2, answer: { error: { code: 'ERR_CONFIG_USAGE' } } })
  })
})

describe('ct watch', () => {
  test('prints a line of JSON for each event, and ends when it is interrupted', async () => {
    const { ca, server, argv, path } = await stage()
    const rogue = ca.issue({ names: ['login.example.com'] })
    server.issue(rogue)
    const interrupt = new AbortController()
    const cursor = path('ct.json')
    const running = cli([...argv, '--json', '--cursor', cursor], { signal: interrupt.signal })
    await vi.waitFor(async () => expect(await readFile(cursor, 'utf8')).toContain('certspotter'), { timeout: 20_000 })
    interrupt.abort()
    const { exitCode, stdout } = await running
    expect(exitCode).toBe(130)
    const lines = stdout.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { schema: 'pinfetch/ct-watch-event/v1', event: { type: 'ct.unexpected', spki: rogue.pin } },
    ])
  })
})

async function stage() {
  const { path, file } = await workplace()
  const ca = testCa()
  const server = await until(startIssuanceServer({ identity: ca.issue({ names: ['localhost'] }) }))
  const own = ca.issue({ names: ['www.example.com'] })
  await file('ca.pem', ca.anchorPem)
  const where = ['--source', 'certspotter', '--base-url', server.url, '--ca', path('ca.pem')]
  const from = ['ct', 'watch', 'example.com', ...where]
  return {
    ca,
    server,
    own,
    path,
    file,
    from,
    argv: [...from, '--pins', own.pin],
    /** A published repository that pins the key for the host. */
    manifest: async (host: string, pin: string) => {
      const dir = path('pins')
      const run = async (...argv: string[]) => expect(await cli(argv)).toMatchObject({ exitCode: 0 })
      await run('manifest', 'init', dir, '--repo', 'example', '--env', 'prod', '--profile', 'solo')
      await run('manifest', 'add-host', host, '--dir', dir, '--pin', pin, testCa().issue().pin)
      await run('manifest', 'publish', '--dir', dir, '--to', path('public'))
      return ['--manifest', path('public'), '--root', path('pins/root.json')]
    },
  }
}
