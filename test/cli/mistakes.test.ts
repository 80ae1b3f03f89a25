import { chmod, cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startManifestServer, startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { until } from '../support/client.ts'
import { cli, cliJson, type World, workplace } from './support.ts'

/*
 * What people new to this do wrong, and what they read then: the code, and the sentence that mends it, on one screen.
 */

const DAY = 86_400_000
const SCREEN = { rows: 24, columns: 100 }

describe('a beginner’s mistake is answered with its fix on one screen:', () => {
  test('1. the wrong file: a certificate where a key should be', async () => {
    const { path, ca, publish } = await startRepository()
    await writeFile(path('pins.keys/manifest.pem'), ca.root.pem)
    await mended(publish(), 2, 'ERR_CONFIG_CERTIFICATE', 'Give a private key as PKCS #8 in PEM')
  })

  test('2. the wrong key: one that the root does not know', async () => {
    const { path, publish, addAnother } = await startRepository()
    await cli(['init', path('elsewhere'), '--repo', 'acme/other'])
    await cp(path('elsewhere.keys/manifest.pem'), path('pins.keys/manifest.pem'))
    await addAnother()
    await mended(publish(), 4, 'ERR_MANIFEST_SIG_THRESHOLD', 'pinfetch keys list shows which keys the root knows')
  })

  test('3. expired: nobody ran the heartbeat', async () => {
    const { path, publish } = await startRepository()
    await publish()
    const argv = ['manifest', 'verify', '--dir', path('public'), '--root', path('pins/root.json')]
    await mended([argv, { now: Date.now() + 8 * DAY }], 1, 'ERR_MANIFEST_STATUS_EXPIRED', 'Run the heartbeat job')
  })

  test('4. a clock that is off', async () => {
    const { path, publish } = await startRepository()
    await publish()
    const argv = ['manifest', 'verify', '--dir', path('public'), '--root', path('pins/root.json')]
    await mended([argv, { now: Date.now() - DAY }], 4, 'ERR_MANIFEST_CLOCK_SKEW', 'Check this machine’s clock')
  })

  test('5. a forgotten signature', async () => {
    const { path } = await workplace()
    await cli(['init', path('pins'), '--repo', 'acme/pins', '--profile', 'team'])
    for (const number of [2, 3]) await rm(path(`pins.keys/manifest-${number}.pem`))
    const pins = [testCa().issue().pin, testCa().issue().pin]
    await cli([
      'manifest',
      'add-host',
      'a.example.com',
      '--dir',
      path('pins'),
      ...pins.flatMap((pin) => ['--pin', pin]),
    ])
    const argv = ['manifest', 'publish', '--dir', path('pins'), '--to', path('public')]
    await mended([argv], 4, 'ERR_MANIFEST_SIG_THRESHOLD', 'to 1 more holder of its keys: pinfetch manifest sign')
  })

  test('6. a host with a typo', async () => {
    const { path, pins } = await startRepository()
    const argv = ['manifest', 'add-host', 'https://api.example.com/v1', '--dir', path('pins'), '--pin', ...pins]
    await mended([argv], 2, 'ERR_CONFIG_HOST', 'without scheme and path')
    const change = ['manifest', 'add-pin', 'localhots', testCa().issue().pin, '--dir', path('pins')]
    await mended([change], 2, 'ERR_CONFIG_USAGE', 'There is: localhost')
  })

  test('7. the pin of the wrong thing: the server does not show it', async () => {
    const { path, server, publish } = await startRepository()
    const port = String(server.port)
    await cli([
      'manifest',
      'add-host',
      'localhost',
      '--port',
      port,
      '--partner',
      '--dir',
      path('pins'),
      '--ca',
      path('ca.pem'),
      '--yes',
      '--expect',
      server.pin,
    ])
    await publish()
    const [old, issuer] = await pinsOf(path('pins'), server.port)
    await cli([
      'manifest',
      'add-pin',
      'localhost',
      '--port',
      port,
      testCa().issue().pin,
      testCa().issue().pin,
      '--dir',
      path('pins'),
    ])
    await cli([
      'manifest',
      'remove-pin',
      'localhost',
      '--port',
      port,
      String(old),
      String(issuer),
      '--dir',
      path('pins'),
    ])
    await mended(publish(), 4, 'ERR_MANIFEST_LINT', 'Keep it until the server has changed')
    const fingerprint = `sha256/${Buffer.from('AB:CD').toString('base64')}`
    const argv = ['manifest', 'add-pin', 'localhost', fingerprint, '--dir', path('pins')]
    await mended([argv], 2, 'ERR_CONFIG_PIN', 'Paste a line of: pinfetch pin')
  })

  test('8. a host that answers 200 to everything', async () => {
    const { path, ca } = await startRepository()
    const identity = ca.issue({ names: ['localhost'] })
    const site = await until(
      startManifestServer({ files: new Map([['roots/2.json', Buffer.from('<html>')]]), identity }),
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
    await mended([argv], 4, 'ERR_MANIFEST_ROOT_UNREADABLE', 'Let the host answer 404')
  })

  test('9. no permission to write', async () => {
    const { path } = await startRepository()
    await writeFile(path('public'), 'a file where the folder should be') // what root may do, too, it may not do here
    const argv = ['manifest', 'publish', '--dir', path('pins'), '--to', path('public')]
    await mended([argv], 3, 'ERR_STORE_WRITE', 'check space, owner and mode of the directory')
  })

  test('10. the wrong root', async () => {
    const { path, publish, server } = await startRepository()
    await publish()
    await cli(['init', path('staging'), '--repo', 'acme/pins', '--env', 'staging'])
    const argv = ['verify', server.origin, '--manifest', path('public'), '--root', path('staging/root.json')]
    await mended([argv], 4, 'ERR_MANIFEST_SIG_THRESHOLD', 'Use the root.json that lies beside its hosts.json')
    const list = ['verify', server.origin, '--manifest', path('public'), '--root', path('pins/hosts.json')]
    await mended([list], 4, 'ERR_MANIFEST_ENVELOPE_SHAPE', 'is no root: give the root.json that init made')
  })

  test('11. the wrong folder', async () => {
    const { path } = await startRepository()
    const argv = ['manifest', 'publish', '--dir', path('pins.keys'), '--to', path('public')]
    await mended([argv], 2, 'ERR_CONFIG_USAGE', 'Name the folder that init made (--dir)')
    const list = ['manifest', 'add-host', 'a.example.com', '--dir', path('elsewhere'), '--pin', testCa().issue().pin]
    await mended([list], 2, 'ERR_CONFIG_USAGE', 'Name the folder that init made (--dir)')
    const keys = ['manifest', 'publish', '--dir', path('pins'), '--to', path('pins.keys')]
    await mended([keys], 2, 'ERR_CONFIG_USAGE', 'Name another folder, or move the key away first')
  })

  test('12. two repositories mixed in one folder', async () => {
    const { path, publish } = await startRepository()
    await publish()
    await cli(['init', path('other'), '--repo', 'acme/other'])
    const argv = ['manifest', 'publish', '--dir', path('other'), '--to', path('public')]
    await mended([argv], 3, 'ERR_STORE_EXISTS', 'Use another directory')
  })
})

test('what a mistake stopped works once it is mended: the same commands with the right file', async () => {
  const { path, ca, publish } = await startRepository()
  await cp(path('pins.keys/manifest.pem'), path('kept.pem'))
  await writeFile(path('pins.keys/manifest.pem'), ca.root.pem)
  expect((await publish()).exitCode).toBe(2)
  await cp(path('kept.pem'), path('pins.keys/manifest.pem'))
  await chmod(path('pins.keys/manifest.pem'), 0o600)
  expect((await publish()).exitCode).toBe(0)
})

/** The exit code, the code, the sentence that mends it, and what fits on a screen. */
async function mended(
  asked:
    | readonly [argv: readonly string[], world?: World]
    | Promise<{ exitCode: number; stdout: string; stderr: string }>,
  exitCode: number,
  code: string,
  fix: string,
): Promise<void> {
  const ran = asked instanceof Promise ? await asked : await cli(...asked)
  const shown = ran.stdout + ran.stderr
  expect(shown).toContain(code)
  expect(shown).toContain(fix)
  expect(ran.exitCode).toBe(exitCode)
  const rows = shown
    .trimEnd()
    .split('\n')
    .map((line) => Math.max(1, Math.ceil(line.length / SCREEN.columns)))
  expect(rows.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(SCREEN.rows)
}

async function startRepository() {
  const ca = testCa()
  const identity = ca.issue({ names: ['localhost'] })
  const started = await until(startTlsServer({ identity }))
  const server = { port: started.port, origin: started.origin, pin: identity.pin }
  const { path } = await workplace()
  const pins = [identity.pin, ca.issue().pin]
  await writeFile(path('ca.pem'), ca.anchorPem)
  await cli(['init', path('pins'), '--repo', 'acme/pins'])
  await cli(['manifest', 'add-host', 'localhost', '--dir', path('pins'), ...pins.flatMap((pin) => ['--pin', pin])])
  const publish = () => cli(['manifest', 'publish', '--dir', path('pins'), '--to', path('public')])
  const addAnother = () =>
    cli(['manifest', 'add-host', 'b.example.com', '--dir', path('pins'), ...pins.flatMap((pin) => ['--pin', pin])])
  await mkdir(join(path('pins'), 'roots'), { recursive: true })
  return { ca, server, path, pins, publish, addAnother }
}

async function pinsOf(directory: string, port: number): Promise<readonly string[]> {
  const { answer } = await cliJson(['manifest', 'verify', '--dir', directory])
  const hosts = answer.data?.['hosts'] as readonly { readonly port: number | null; readonly pins: readonly string[] }[]
  return hosts.find((entry) => entry.port === port)?.pins ?? []
}
