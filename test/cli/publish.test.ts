import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startManifestServer, startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { until } from '../support/client.ts'
import { cli, cliJson, isoOf, type World, workplace } from './support.ts'

const DAY = 86_400_000

describe('manifest publish', () => {
  test('writes what a client needs and nothing else, and says when clients would refuse', async () => {
    const now = Date.UTC(2030, 0, 1)
    const { path, publish } = await startRepository({ now })
    const { exitCode, answer } = await publish({ now })
    expect(answer.data).toMatchObject({
      written: [expect.stringMatching(/^manifests\/1\.[0-9a-f]{64}\.json$/), 'roots/1.json', 'status.json'],
      deadlines: { coldStartUntil: isoOf(now + 7 * DAY), refuseAt: isoOf(now + 14 * DAY) },
      readBack: { status: 1 },
    })
    expect(exitCode).toBe(0)
    expect((await readdir(path('public'))).sort()).toEqual(['manifests', 'roots', 'status.json'])
  })

  test('an unchanged list gets a new status alone, and a new manifest once two thirds of its life are over', async () => {
    const { publish } = await startRepository()
    await publish()
    const again = async (days: number) => (await publish({ now: Date.now() + days * DAY })).answer.data
    expect(await again(1)).toMatchObject({ manifest: { version: 1 }, status: { version: 2 }, written: ['status.json'] })
    expect(await again(61)).toMatchObject({ manifest: { version: 2 }, status: { version: 3 } })
  })

  test('hands every file to a command, the status last, and no shell reads the names', async () => {
    const { path } = await startRepository()
    await writeFile(path('put.mjs'), PUT)
    const command = `"${process.execPath}" ${path('put.mjs')} {file} {path} ${path('log')}`
    const argv = ['manifest', 'publish', '--dir', path('pins'), '--command', command]
    const { exitCode, answer } = await cliJson(argv)
    expect(answer.warnings).toContainEqual(expect.stringContaining('nothing was read back'))
    expect(exitCode).toBe(0)
    const log = (await readFile(path('log'), 'utf8')).trim().split('\n')
    expect(log.map((line) => line.replace(/[0-9a-f]{64}/, 'HASH'))).toEqual([
      'manifests/1.HASH.json',
      'roots/1.json',
      'status.json',
    ])
    const failing = `"${process.execPath}" -e process.exit(3) {file} {path}`
    expect(await cliJson([...argv.slice(0, -1), failing])).toMatchObject({
      exitCode: 3,
      answer: { error: { code: 'ERR_STORE_WRITE', message: expect.stringContaining('nothing was uploaded') } },
    })
    expect(await cliJson([...argv.slice(0, -1), 'cp {file}'])).toMatchObject({ exitCode: 2 })
  })

  test('reads back over https, and stops before the status when a file does not arrive', async () => {
    const { path, ca } = await startRepository()
    const files = () => new Map<string, Uint8Array>()
    const site = await until(startManifestServer({ files, identity: ca.issue({ names: ['localhost'] }) }))
    const argv = [
      'manifest',
      'publish',
      '--dir',
      path('pins'),
      '--to',
      path('public'),
      '--url',
      site.url,
      '--ca',
      path('ca.pem'),
    ]
    expect(await cliJson(argv)).toMatchObject({
      exitCode: 3,
      answer: {
        error: { code: 'ERR_MANIFEST_UNAVAILABLE', message: expect.stringContaining('status.json was not published') },
      },
    })
    expect(await readdir(path('public'))).not.toContain('status.json')
    site.serve(await filesBelow(path('public')))
    const status = await readFile(path('pins/status.json'))
    site.serve(new Map([...(await filesBelow(path('public'))), ['status.json', status]]))
    const { exitCode, answer } = await cliJson(argv)
    expect(answer.warnings).toContainEqual(expect.stringContaining('still serves status 1: a cache in between'))
    expect(exitCode).toBe(0)
  })

  test('a host that answers 200 to everything is refused with ERR_MANIFEST_ROOT_UNREADABLE before anything is written', async () => {
    const { path, ca } = await startRepository()
    const site = await until(
      startManifestServer({
        files: new Map([['roots/2.json', Buffer.from('<!doctype html>')]]),
        identity: ca.issue({ names: ['localhost'] }),
      }),
    )
    const argv = [
      'manifest',
      'publish',
      '--dir',
      path('pins'),
      '--to',
      path('public'),
      '--url',
      site.url,
      '--ca',
      path('ca.pem'),
    ]
    expect(await cliJson(argv)).toMatchObject({
      exitCode: 4,
      answer: { error: { code: 'ERR_MANIFEST_ROOT_UNREADABLE' } },
    })
    await expect(readdir(path('public'))).rejects.toThrow('ENOENT')
    await expect(readFile(path('pins/status.json'))).rejects.toThrow('ENOENT')
  })

  test('refuses with ERR_MANIFEST_LINT what lint refuses, unless the finding is set aside by name', async () => {
    const { path, publish, pins } = await startRepository()
    await publish()
    await cli(['manifest', 'deny', String(pins[0]), '--dir', path('pins')])
    await cli(['manifest', 'deny', String(pins[1]), '--dir', path('pins')])
    const { exitCode, answer } = await publish()
    expect(answer).toMatchObject({
      error: { code: 'ERR_MANIFEST_LINT' },
      data: { findings: [{ id: 'blocks-only-live-pin', severity: 'error', host: 'a.example.com' }] },
    })
    expect(exitCode).toBe(4)
    expect((await publish({}, '--allow', 'removes-host')).exitCode).toBe(4)
    expect((await publish({}, '--allow', 'blocks-only-live-pin')).exitCode).toBe(0)
  })

  test('--probe looks at the hosts, and refuses to take out the pin of the key in use', async () => {
    const { path, publish, ca } = await startRepository()
    const identity = ca.issue({ names: ['localhost'] })
    const server = await until(startTlsServer({ identity }))
    const port = ['--port', String(server.port), '--dir', path('pins')]
    const [reserve, other] = [ca.issue().pin, ca.issue().pin]
    await cli(['manifest', 'add-host', 'localhost', ...port, '--pin', identity.pin, '--pin', reserve])
    expect((await publish()).exitCode).toBe(0)
    await cli(['manifest', 'add-pin', 'localhost', other, ...port])
    await cli(['manifest', 'remove-pin', 'localhost', identity.pin, ...port])
    const refused = await publish({}, '--probe', '--ca', path('ca.pem'))
    expect(refused.answer.data).toMatchObject({ findings: [{ id: 'removes-pin-in-use' }] })
    await cli(['manifest', 'add-pin', 'localhost', identity.pin, ...port])
    expect((await publish({}, '--probe', '--ca', path('ca.pem'))).exitCode).toBe(0)
  })

  test('where everything was signed elsewhere it needs no key', async () => {
    const { path, publish } = await startRepository()
    await cli(['manifest', 'sign', '--dir', path('pins')])
    await rm(path('pins.keys'), { recursive: true })
    const { exitCode, answer } = await publish()
    expect(answer.data).toMatchObject({ status: { version: 1 } })
    expect(exitCode).toBe(0)
  })

  test.each([
    [['--to', 'PINS'], '--to is the folder of --dir'],
    [[], 'give either --to or --command'],
    [['--to', 'x', '--command', 'cp {file} {path}'], 'give either --to or --command'],
    [['--to', 'x', '--url', 'http://localhost/'], 'not an https URL'],
  ])('refuses %j', async (options, message) => {
    const { path } = await startRepository()
    const given = options.map((word) => (word === 'PINS' ? path('pins') : word === 'x' ? path('public') : word))
    const { exitCode, answer } = await cliJson(['manifest', 'publish', '--dir', path('pins'), ...given])
    expect(answer.error?.message).toContain(message)
    expect(exitCode).toBe(2)
  })
})

test('heartbeat signs and publishes a status alone, and says what is not signed', async () => {
  const { path, publish } = await startRepository()
  await publish()
  await rm(path('pins.keys/manifest.pem'))
  const extra = [testCa().issue().pin, testCa().issue().pin]
  await cli(['manifest', 'add-host', 'c.example.com', '--dir', path('pins'), '--pin', ...extra])
  const argv = ['manifest', 'heartbeat', '--dir', path('pins'), '--to', path('public'), '--poll-interval', '60']
  const { exitCode, answer } = await cliJson(argv)
  expect(answer).toMatchObject({
    data: { written: ['status.json'], manifest: { version: 1 }, status: { version: 2 } },
    warnings: [expect.stringContaining('not signed')],
  })
  expect(exitCode).toBe(0)
  const verify = ['manifest', 'verify', '--dir', path('public'), '--root', path('pins/root.json')]
  expect((await cliJson(verify)).answer.data).toMatchObject({ status: { pollSeconds: 60 } })
})

async function startRepository(world: World = {}) {
  const ca = testCa()
  const { path } = await workplace()
  const pins = [ca.issue().pin, ca.issue().pin]
  await writeFile(path('ca.pem'), ca.anchorPem)
  await cli(['init', path('pins'), '--repo', 'acme/pins'], world)
  await cli(['manifest', 'add-host', 'a.example.com', '--dir', path('pins'), '--pin', ...pins], world)
  const publish = (when: World = {}, ...more: readonly string[]) =>
    cliJson(['manifest', 'publish', '--dir', path('pins'), '--to', path('public'), ...more], when)
  return { ca, path, pins, publish }
}

async function filesBelow(directory: string): Promise<Map<string, Uint8Array>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return new Map(
    await Promise.all(files.map(async (path) => [path.slice(directory.length + 1), await readFile(path)] as const)),
  )
}

const PUT = `
import { appendFileSync, readFileSync } from 'node:fs'
const [file, path, log] = process.argv.slice(2)
readFileSync(file)
appendFileSync(log, path + '\\n')
`
