import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { type as typed } from './process.ts'
import { cli, cliJson, isoOf, type World, workplace } from './support.ts'

const MINUTE = 60_000

describe('rotate', () => {
  test('announces, waits five polls, sees the server change, retires, and a client never notices', async () => {
    const { rotate, server, keys, next, served, client, url, start } = await startOwnHost()
    const first = await rotate({ now: start }, '--backup', next)
    const ready = start + 5 * 300 * 1.25 * 1_000
    expect(first.answer).toMatchObject({
      ok: true,
      data: { step: 'wait', retire: keys.old.pin, adopt: keys.next.pin, nextAt: isoOf(ready), swappedAt: null },
    })
    expect(first.stderr).toMatch(
      /next {2}not before \S+Z \(in 31 minutes\): give the server its new key, then: pinfetch rotate/,
    )
    expect(await served()).toEqual([keys.old.pin, keys.reserve.pin, keys.next.pin])

    const early = await rotate({ now: start + 30 * MINUTE })
    expect(early.answer.data).toMatchObject({ step: 'wait', nextAt: isoOf(ready) })

    const unchanged = await rotate({ now: ready })
    expect(unchanged).toMatchObject({ exitCode: 0, answer: { data: { step: 'swap', swappedAt: null } } })
    expect(unchanged.stderr).toContain(`give the server the new key (${keys.next.pin}`)

    const app = client()
    expect((await app.fetch(url)).status).toBe(200)
    server.setIdentity(keys.next)
    server.destroyConnections()
    expect((await app.fetch(url)).status).toBe(200)

    const last = await rotate({ now: ready + MINUTE })
    expect(last.answer).toMatchObject({ ok: true, data: { step: 'done', finishedAt: isoOf(ready + MINUTE) } })
    expect(await served()).toEqual([keys.reserve.pin, keys.next.pin])
    expect((await client().fetch(url)).status).toBe(200)
    server.setIdentity(keys.old)
    server.destroyConnections()
    await refusalOf(client().fetch(url), 'ERR_TRUST_PIN_MISMATCH')

    expect((await rotate({ now: ready + 2 * MINUTE }, '--backup', next)).answer.data).toMatchObject({ step: 'done' })
  })

  test('a server with a key that nobody announced is ERR_TRUST_PIN_MISMATCH, and nothing is retired', async () => {
    const { rotate, server, keys, next, served, ca, start } = await startOwnHost()
    await rotate({ now: start }, '--backup', next)
    server.setIdentity(ca.issue({ names: ['localhost'] }))
    const { exitCode, answer } = await rotate({ now: start + 60 * MINUTE })
    expect(answer).toMatchObject({ error: { code: 'ERR_TRUST_PIN_MISMATCH' }, data: { step: 'swap' } })
    expect(exitCode).toBe(1)
    expect(await served()).toContain(keys.old.pin)
  })

  test('of several servers, all have to show the new key', async () => {
    const { rotate, server, keys, next, served, start } = await startOwnHost()
    const second = await until(startTlsServer({ identity: keys.old }))
    const both = ['--connect', `localhost:${server.port}`, `localhost:${second.port}`]
    await rotate({ now: start }, '--backup', next, ...both)
    server.setIdentity(keys.next)
    const half = await rotate({ now: start + 60 * MINUTE }, ...both)
    expect(half.stderr).toContain('1 of 2 servers')
    expect(await served()).toContain(keys.old.pin)
    second.setIdentity(keys.next)
    expect((await rotate({ now: start + 61 * MINUTE }, ...both)).answer.data).toMatchObject({ step: 'done' })
  })

  test('a server that goes back between the look and the publication keeps its pin', async () => {
    const { path, rotate, server, keys, next, served, start } = await startOwnHost()
    await rotate({ now: start }, '--backup', next)
    server.setIdentity(keys.next)
    await rename(path('pins.keys/manifest.pem'), path('elsewhere.pem'))
    const stuck = await rotate({ now: start + 60 * MINUTE })
    expect(stuck).toMatchObject({ exitCode: 4, answer: { error: { code: 'ERR_MANIFEST_SIG_THRESHOLD' } } })
    await rename(path('elsewhere.pem'), path('pins.keys/manifest.pem'))
    server.setIdentity(keys.old)
    expect((await rotate({ now: start + 61 * MINUTE })).stderr).toContain('give the server the new key')
    expect(await served()).toContain(keys.old.pin)
    server.setIdentity(keys.next)
    expect((await rotate({ now: start + 62 * MINUTE })).answer.data).toMatchObject({ step: 'done' })
    expect(await served()).toEqual([keys.reserve.pin, keys.next.pin])
  })

  test('at a terminal one may stay until every client knows', async () => {
    const { rotate, keys, next, start } = await startOwnHost()
    const asked: string[] = []
    const world = { now: start, waited: 0 }
    const answer = await rotate(
      {
        clock: () => world.now,
        prompts: async () => ({ confirm: async (question) => asked.push(question) > 0, secret: async () => '' }),
        wait: async (ms) => {
          world.waited += ms
          world.now += ms
        },
      },
      '--backup',
      next,
    )
    expect(asked).toEqual([expect.stringMatching(/^Every client knows the key in 31 minutes/)])
    expect(world.waited).toBe(5 * 300 * 1.25 * 1_000)
    expect(answer.answer.data).toMatchObject({ step: 'swap', retire: keys.old.pin })
  })

  test('without --to, what others publish is seen in the repository', async () => {
    const { path, next, publish, keys, start, port } = await startOwnHost()
    const argv = ['rotate', 'localhost', '--port', port, '--dir', path('pins'), '--ca', path('ca.pem')]
    const before = await cliJson([...argv, '--backup', next], { now: start })
    expect(before.answer.data).toMatchObject({ step: 'announce', adopt: keys.next.pin })
    expect(before.stderr).toContain('pinfetch manifest publish')
    await publish(start)
    expect((await cliJson(argv, { now: start + MINUTE })).answer.data).toMatchObject({
      step: 'wait',
      announcedAt: isoOf(start + MINUTE),
    })
  })

  test('two of three: the quorum signs elsewhere, and the rotation goes on', async () => {
    const { path, rotate, next, start } = await startOwnHost('team')
    for (const number of [2, 3]) await rename(path(`pins.keys/manifest-${number}.pem`), path(`manifest-${number}.pem`))
    const pending = await rotate({ now: start }, '--backup', next)
    expect(pending).toMatchObject({
      exitCode: 4,
      answer: { data: { step: 'announce' }, error: { code: 'ERR_MANIFEST_SIG_THRESHOLD' } },
    })
    await cli(['manifest', 'sign', path('pins/pending/manifest.json'), '--keys', path('.')], { now: start })
    expect((await rotate({ now: start + MINUTE })).answer.data).toMatchObject({ step: 'wait' })
  })

  test.each([
    ['no key to begin with', [], 'no rotation is under way'],
    ['a pin that the entry does not have', ['--backup', 'NEXT', '--retire', 'STRANGE'], 'is not pinned'],
    ['the key in use', ['--pin', 'OLD'], 'is the key in use'],
    ['nothing to abandon', ['--abandon'], 'no rotation is under way'],
  ])('refuses %s', async (_, options, message) => {
    const { rotate, next, keys, start } = await startOwnHost()
    const words: Record<string, string> = { NEXT: next, OLD: keys.old.pin, STRANGE: testCa().issue().pin }
    const { exitCode, answer } = await rotate({ now: start }, ...options.map((word) => words[word] ?? word))
    expect(answer.error).toMatchObject({ code: 'ERR_CONFIG_USAGE', message: expect.stringContaining(message) })
    expect(exitCode).toBe(2)
  })

  test('one rotation at a time; --abandon forgets it and leaves the pins', async () => {
    const { rotate, next, keys, served, start, path } = await startOwnHost()
    await rotate({ now: start }, '--backup', next)
    const other = testCa().issue().pin
    expect(await rotate({ now: start }, '--pin', other)).toMatchObject({
      exitCode: 2,
      answer: { error: { message: expect.stringContaining('is under way') } },
    })
    expect((await rotate({ now: start }, '--abandon')).answer.data).toMatchObject({ step: 'abandoned' })
    expect(await served()).toContain(keys.next.pin)
    expect((await rotate({ now: start }, '--pin', other)).answer.data).toMatchObject({ step: 'wait', adopt: other })
    await writeFile(path('pins/rotations.json'), '{"rotations":[{"host":7}]}')
    expect(await rotate({ now: start })).toMatchObject({ exitCode: 2, answer: { error: { code: 'ERR_CONFIG_FILE' } } })
  })
})

describe('rotate, killed', () => {
  test.each(['manifests/', 'status.json'])(
    'while %s is uploaded, first announcing, then retiring: the next run goes on, and clients never see half of it',
    async (at) => {
      const { path, server, keys, next, port, rotate, url, served, client } = await startOwnHost()
      await writeFile(path('put.mjs'), PUT)
      const run = (killAt: string, more = '') =>
        typed(
          `npx pinfetch rotate localhost --port ${port} --dir pins --ca ca.pem ${more} --command "${process.execPath} put.mjs {file} {path} ${killAt}"`,
          { cwd: path('.') },
        )
      expect((await run(at, `--backup ${next}`)).exitCode).toBe(null)
      expect((await client().fetch(url)).status).toBe(200)
      const announced = await run('never')
      expect(announced.output).toContain('not before')
      expect(await served()).toContain(keys.next.pin)

      const later = JSON.parse(await readFile(path('pins/rotations.json'), 'utf8'))
      later.rotations[0].announced.ready = later.rotations[0].announced.at // half an hour later
      await writeFile(path('pins/rotations.json'), JSON.stringify(later))
      server.setIdentity(keys.next)
      expect((await run(at)).exitCode).toBe(null)
      expect((await client().fetch(url)).status).toBe(200)
      await rotate({}, '--ca', path('ca.pem'))
      expect(await served()).toEqual([keys.reserve.pin, keys.next.pin])
      expect((await client().fetch(url)).status).toBe(200)
    },
  )

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'before write %i of its records: run again, it ends where it should',
    async (count) => {
      const { path, rotate, server, keys, next, served, start } = await startOwnHost()
      const { onWrite } = await dyingAfter(path('pins'), count)
      let now = start
      let done = false
      for (let runs = 0; runs < 12 && !done; runs += 1) {
        await onWrite()
        const { answer } = await rotate({ now }, ...(runs < 2 ? ['--backup', next] : []))
        done = answer.data?.['step'] === 'done'
        if (answer.data?.['step'] === 'swap') server.setIdentity(keys.next)
        now += 20 * MINUTE
      }
      expect(done).toBe(true)
      expect(await served()).toEqual([keys.reserve.pin, keys.next.pin])
    },
  )
})

/** Between two runs a record falls back to what it was so many writes ago, as after a crash that lost the last of them. */
async function dyingAfter(directory: string, count: number) {
  const versions: string[] = []
  let runs = 0
  const name = `${directory}/rotations.json`
  return {
    onWrite: async () => {
      runs += 1
      versions.push(await readFile(name, 'utf8').catch(() => ''))
      if (runs !== count) return
      const before = versions.at(-2) ?? ''
      if (before === '') await rm(name, { force: true })
      else await writeFile(name, before)
    },
  }
}

async function startOwnHost(profile = 'solo') {
  const ca = testCa()
  const { path } = await workplace()
  const start = Date.now() - 6 * 60 * MINUTE // what happens later in a test is still the past for a client
  const issue = () => ca.issue({ names: ['localhost'] })
  const keys = { old: issue(), reserve: issue(), next: issue() }
  const server = await until(startTlsServer({ identity: keys.old }))
  const port = String(server.port)
  await writeFile(path('ca.pem'), ca.anchorPem)
  await writeFile(path('next.pem'), keys.next.keyPem)
  await cli(['init', path('pins'), '--repo', 'acme/pins', '--profile', profile], { now: start })
  const pins = [keys.old.pin, keys.reserve.pin]
  await cli(['manifest', 'add-host', 'localhost', '--port', port, '--dir', path('pins'), '--pin', ...pins])
  const publish = async (now: number) => {
    const argv = ['manifest', 'publish', '--dir', path('pins'), '--to', path('public')]
    const ran = await cli(argv, { now })
    if (ran.exitCode !== 0) throw new Error(ran.stderr)
  }
  await publish(start)
  const served = async (): Promise<unknown> => {
    const argv = ['manifest', 'verify', '--dir', path('public'), '--root', path('pins/root.json')]
    const { answer } = await cliJson(argv)
    const hosts = (answer.data?.['hosts'] ?? []) as readonly { readonly pins: readonly string[] }[]
    return hosts[0]?.pins
  }
  const argv = ['rotate', 'localhost', '--port', port, '--dir', path('pins'), '--to', path('public')]
  return {
    ca,
    path,
    start,
    keys,
    server,
    port,
    publish,
    served,
    next: path('next.pem'),
    url: `https://localhost:${port}/`,
    rotate: (world: World, ...more: readonly string[]) => cliJson([...argv, '--ca', path('ca.pem'), ...more], world),
    client: () =>
      testClient({
        manifest: { url: path('public'), root: path('pins/root.json'), memoryOnly: true },
        anchors: ca.anchorPem,
      }),
  }
}

/** Uploads a file, and kills whoever called when told to. */
const PUT = `
import { cpSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
const [file, path, killAt] = process.argv.slice(2)
if (path.startsWith(killAt)) process.kill(process.ppid, 'SIGKILL')
const target = join('public', path)
mkdirSync(dirname(target), { recursive: true })
cpSync(file, target)
`
