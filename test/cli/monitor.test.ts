import { readFile, writeFile } from 'node:fs/promises'
import { startManifestServer, startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { until } from '../support/client.ts'
import { cli, cliJson, isoOf, workplace } from './support.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2030, 0, 1)

describe('monitor', () => {
  test('says what lapses when, soonest first, and that all is well', async () => {
    const { monitor } = await startRepository()
    const { exitCode, answer, stderr } = await monitor(NOW)
    expect(answer.data).toMatchObject({
      counts: { lapsed: 0, warn: 0, ok: 4 },
      lapses: [
        { what: 'status', at: isoOf(NOW + 7 * DAY), in: 'in 7 days', level: 'ok' },
        { what: 'grace', at: isoOf(NOW + 14 * DAY), level: 'ok' },
        { what: 'manifest', at: isoOf(NOW + 90 * DAY), level: 'ok' },
        { what: 'root', at: isoOf(NOW + 400 * DAY), level: 'ok' },
      ],
    })
    expect(stderr).toMatch(/ok {2}2030-01-08T00:00:00Z {2}in 7 days +status +clients that start refuse/)
    expect(exitCode).toBe(0)
    expect((await monitor(NOW, '--fail-on', 'warn')).exitCode).toBe(0)
  })

  test('missed heartbeats warn, and are exit code 5 where that is asked for', async () => {
    const { monitor } = await startRepository()
    const late = await monitor(NOW + 4 * DAY)
    expect(late).toMatchObject({ exitCode: 0, answer: { ok: true, warnings: [expect.stringContaining('in 3 days')] } })
    expect(late.stderr).toContain('pinfetch manifest heartbeat')
    expect((await monitor(NOW + 4 * DAY, '--fail-on', 'warn')).exitCode).toBe(5)
  })

  test.each([
    [8, 'ERR_MANIFEST_STATUS_EXPIRED', 'status: 2030-01-08T00:00:00Z (1 day ago)'],
    [91, 'ERR_MANIFEST_STATUS_EXPIRED', '2 more lapses'],
  ])('after %i days without anyone it is %s and exit code 1, and the whole list is there', async (days, code, said) => {
    const { monitor } = await startRepository()
    const { exitCode, answer } = await monitor(NOW + days * DAY, '--fail-on', 'warn')
    expect(answer.error).toMatchObject({ code, message: expect.stringContaining(said) })
    expect(answer.data?.['lapses']).toHaveLength(4)
    expect(exitCode).toBe(1)
  })

  test('half of a root’s life, two thirds of a manifest’s', async () => {
    const { monitor, publish } = await startRepository()
    const levels = async (days: number) => {
      await publish(NOW + days * DAY)
      const { lapses } = (await monitor(NOW + days * DAY)).answer.data as { lapses: { what: string; level: string }[] }
      return Object.fromEntries(lapses.map(({ what, level }) => [what, level]))
    }
    expect(await levels(59)).toMatchObject({ manifest: 'ok', root: 'ok' })
    expect(await levels(199)).toMatchObject({ manifest: 'ok', root: 'ok' }) // signed anew
    expect(await levels(201)).toMatchObject({ root: 'warn' })
    expect((await monitor(NOW + 262 * DAY)).answer.data).toMatchObject({ counts: { lapsed: 2 } })
  })

  test('pins, reports, exceptions and reviews of hosts', async () => {
    const { path, monitor, publish } = await startRepository()
    const list = JSON.parse(await readFile(path('pins/hosts.json'), 'utf8'))
    const [entry] = list.hosts
    const at = (days: number) => isoOf(NOW + days * DAY)
    list.hosts = [
      { ...entry, pins: [{ ...entry.pins[0], notAfter: at(3) }, entry.pins[1]], enforceFrom: at(50) },
      { ...entry, host: 'b.example.com', profile: 'legacy', sunset: at(6), reason: 'old' },
      { ...entry, host: 'c.example.com', minTlsVersion: '1.2', reviewBy: at(2), reason: 'old' },
    ]
    await writeFile(path('pins/hosts.json'), JSON.stringify(list))
    await publish(NOW)
    expect((await monitor(NOW)).answer.data?.['lapses']).toMatchObject([
      { what: 'review', subject: 'c.example.com', at: at(2), level: 'warn' },
      { what: 'pin', subject: 'a.example.com', at: at(3), level: 'warn' },
      { what: 'legacy', subject: 'b.example.com', at: at(6), level: 'warn' },
      { what: 'status' },
      { what: 'grace' },
      { what: 'report', subject: 'a.example.com', at: at(50), level: 'ok' },
      { what: 'manifest' },
      { what: 'root' },
    ])
    const over = await monitor(NOW + 6.5 * DAY)
    expect(over).toMatchObject({ exitCode: 1, answer: { error: { code: 'ERR_POLICY_SUNSET' } } })
    expect(over.answer.data?.['lapses']).toMatchObject([
      { what: 'review', level: 'warn' },
      { what: 'pin', level: 'warn' },
      {},
      {},
      {},
      {},
      {},
      {},
    ])
  })

  test('--connect looks at the certificates of the hosts', async () => {
    const { path, publish } = await startRepository({ hosts: false, now: Date.now() })
    const ca = testCa()
    const now = Date.now()
    const identity = ca.issue({ names: ['localhost'], notBefore: now - 80 * DAY, notAfter: now + 5 * DAY })
    const server = await until(startTlsServer({ identity }))
    await writeFile(path('ca.pem'), ca.anchorPem)
    const pins = [identity.pin, ca.issue().pin]
    await cli([
      'manifest',
      'add-host',
      'localhost',
      '--port',
      String(server.port),
      '--dir',
      path('pins'),
      '--pin',
      ...pins,
    ])
    await publish(now)
    const argv = [
      'monitor',
      '--dir',
      path('public'),
      '--root',
      path('pins/root.json'),
      '--connect',
      '--ca',
      path('ca.pem'),
    ]
    const soon = await cliJson([...argv, '--fail-on', 'warn'], { now })
    expect(soon.answer.data?.['lapses']).toMatchObject([
      { what: 'certificate', level: 'warn', in: 'in 5 days' },
      {},
      {},
      {},
      {},
    ])
    expect(soon.exitCode).toBe(5)
    const { key } = identity
    server.setIdentity(ca.issue({ names: ['localhost'], key, notBefore: now - 65 * DAY, notAfter: now + 25 * DAY }))
    const renewing = await cliJson([...argv, '--fail-on', 'warn'], { now }) // with a third of its life left, as ACME clients do
    expect(renewing.answer.data?.['lapses']).toContainEqual(
      expect.objectContaining({ what: 'certificate', level: 'ok' }),
    )
    await server.close()
    const gone = await cliJson(argv, { now })
    expect(gone).toMatchObject({ exitCode: 0, answer: { warnings: [expect.stringContaining('not compared')] } })
  })

  test('reads from where clients do', async () => {
    const now = Date.now()
    const { path, files } = await startRepository({ now })
    const ca = testCa()
    await writeFile(path('ca.pem'), ca.anchorPem)
    const site = await until(
      startManifestServer({ files: await files(), identity: ca.issue({ names: ['localhost'] }) }),
    )
    const argv = ['monitor', '--url', site.url, '--ca', path('ca.pem')]
    expect(await cliJson(argv, { now })).toMatchObject({
      exitCode: 2,
      answer: { error: { code: 'ERR_CONFIG_USAGE' } },
    })
    const root = ['--root', path('pins/root.json')]
    expect((await cliJson([...argv, ...root], { now })).answer).toMatchObject({
      ok: true,
      data: { counts: { ok: 4 } },
    })
    site.serve(new Map())
    expect(await cliJson([...argv, ...root], { now })).toMatchObject({ exitCode: 3 })
  })
})

async function startRepository({ hosts = true, now = NOW } = {}) {
  const { path } = await workplace()
  await cli(['init', path('pins'), '--repo', 'acme/pins'], { now })
  const pins = [testCa().issue().pin, testCa().issue().pin]
  if (hosts) await cli(['manifest', 'add-host', 'a.example.com', '--dir', path('pins'), '--pin', ...pins])
  const publish = async (at: number) => {
    const ran = await cli(['manifest', 'publish', '--dir', path('pins'), '--to', path('public')], { now: at })
    if (ran.exitCode !== 0) throw new Error(ran.stderr)
  }
  if (hosts) await publish(now)
  return {
    path,
    publish,
    monitor: (at: number, ...more: readonly string[]) =>
      cliJson(['monitor', '--dir', path('public'), '--root', path('pins/root.json'), ...more], { now: at }),
    files: async () => {
      const { answer } = await cliJson(
        ['manifest', 'verify', '--dir', path('public'), '--root', path('pins/root.json')],
        { now },
      )
      const { manifest } = answer.data as { manifest: { path: string } }
      const names = ['roots/1.json', 'status.json', manifest.path]
      return new Map(
        await Promise.all(names.map(async (name) => [name, await readFile(path(`public/${name}`))] as const)),
      )
    },
  }
}
