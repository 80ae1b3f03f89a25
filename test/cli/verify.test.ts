import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { until } from '../support/client.ts'
import { cli, cliJson, workplace } from './support.ts'

test('says trusted, with the pins it considered, and sends no request', async () => {
  const { server, ask, pins } = await startPublished()
  const { exitCode, answer } = await ask()
  expect(answer).toMatchObject({
    ok: true,
    schema: 'pinfetch/verify/v1',
    data: {
      trusted: true,
      manifestVersion: 1,
      pins: [
        { spki: pins[0], matched: true },
        { spki: pins[1], matched: false },
      ],
      chain: [{ position: 'endEntity', spki: pins[0] }, {}, {}],
      findings: [],
    },
  })
  expect(exitCode).toBe(0)
  expect(server.applicationBytes).toBe(0)
})

test('another key is refused with every pin and the path, and exits with 1', async () => {
  const { ca, server, ask, pins } = await startPublished()
  const other = ca.issue({ names: ['localhost'] })
  server.setIdentity(other)
  const { exitCode, answer, stderr } = await ask()
  expect(answer).toMatchObject({
    ok: false,
    data: {
      trusted: false,
      pins: [{ matched: false }, { matched: false }],
      findings: [{ code: 'ERR_TRUST_PIN_MISMATCH' }],
      chain: [{ spki: other.pin }, {}, {}],
    },
    error: { code: 'ERR_TRUST_PIN_MISMATCH' },
  })
  expect(stderr).toContain(`${pins[0]}  not on the path`)
  expect(exitCode).toBe(1)
})

test('a host that the manifest does not list is refused before any packet', async () => {
  const { server, argv } = await startPublished()
  const { exitCode, answer } = await cliJson(['verify', `https://127.0.0.1:${server.port}`, ...argv])
  expect(answer.error?.code).toBe('ERR_TRUST_HOST_NOT_COVERED')
  expect(server.connections).toHaveLength(0)
  expect(exitCode).toBe(1)
})

test('a denied key is refused', async () => {
  const { ask, path, pins } = await startPublished()
  for (const command of [
    ['manifest', 'deny', String(pins[0]), '--dir', path('pins')],
    ['manifest', 'heartbeat', '--dir', path('pins'), '--to', path('public'), '--allow', 'blocks-only-live-pin'],
  ]) {
    const { exitCode, stderr } = await cli(command)
    expect([exitCode, stderr]).toEqual([0, expect.anything()])
  }
  expect(await ask()).toMatchObject({ exitCode: 1, answer: { error: { code: 'ERR_TRUST_PIN_DENIED' } } })
})

test('another root exits with 4, an expired status with 1, a server that is not there with 3, a bad URL with 2', async () => {
  const { server, ask, path, argv } = await startPublished()
  await cli(['init', path('other'), '--repo', 'other/pins'])
  expect(await ask('--root', path('other/root.json'))).toMatchObject({
    exitCode: 4,
    answer: { error: { code: 'ERR_MANIFEST_SIG_THRESHOLD' } },
  })
  expect(await ask('--at', '8d')).toMatchObject({
    exitCode: 1,
    answer: { error: { code: 'ERR_MANIFEST_STATUS_EXPIRED' } },
  })
  expect(await ask('--at', '6d')).toMatchObject({ exitCode: 0 })
  expect(await cliJson(['verify', 'http://localhost', ...argv])).toMatchObject({ exitCode: 2 })
  await server.close()
  expect(await ask()).toMatchObject({ exitCode: 3, answer: { error: { code: 'ERR_TRANSPORT_CONNECT' } } })
})

test('--explain shows pins, path and deadlines of a trusted server', async () => {
  const { server, argv, pins } = await startPublished()
  const { stdout } = await cli(['verify', server.origin, ...argv, '--explain'])
  expect(stdout).toMatch(/^trusted {2}localhost:\d+ {2}manifest 1, 1 of 2 pins matched\n/)
  expect(stdout).toContain(`${pins[0]}  on the path`)
  expect(stdout).toMatch(/running clients refuse +\S+Z +in 14 days/)
})

test('takes a bundle in a file where clients do, and says what is none', async () => {
  const { server, path, argv } = await startPublished()
  await writeFile(path('pins.json'), await bundleOf(path('public')))
  await writeFile(path('other.json'), '{"status":{}}')
  const ask = (file: string) => cliJson(['verify', server.origin, ...argv, '--manifest', path(file)])
  expect(await ask('pins.json')).toMatchObject({ exitCode: 0, answer: { data: { trusted: true, manifestVersion: 1 } } })
  expect(await ask('other.json')).toMatchObject({
    exitCode: 2,
    answer: { error: { code: 'ERR_CONFIG_USAGE', hint: expect.stringContaining('"status"') } },
  })
  expect(await ask('nowhere.json')).toMatchObject({ exitCode: 3, answer: { error: { code: 'ERR_STORE_READ' } } })
})

/** The newest documents of a published folder, as one. */
async function bundleOf(folder: string): Promise<string> {
  const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(folder, name), 'utf8'))
  const [manifest = ''] = await readdir(join(folder, 'manifests'))
  return JSON.stringify({ status: await read('status.json'), manifest: await read(join('manifests', manifest)) })
}

async function startPublished() {
  const ca = testCa()
  const end = ca.issue({ names: ['localhost'] })
  const server = await until(startTlsServer({ identity: end }))
  const { path } = await workplace()
  const pins = [end.pin, ca.issue().pin]
  await writeFile(path('ca.pem'), ca.anchorPem)
  for (const command of [
    ['init', path('pins'), '--repo', 'acme/pins'],
    ['manifest', 'add-host', 'localhost', '--dir', path('pins'), ...pins.flatMap((pin) => ['--pin', pin])],
    ['manifest', 'publish', '--dir', path('pins'), '--to', path('public')],
  ]) {
    const { exitCode, stderr } = await cli(command)
    if (exitCode !== 0) throw new Error(stderr)
  }
  const argv = ['--manifest', path('public'), '--root', path('pins/root.json'), '--ca', path('ca.pem')]
  const ask = (...more: readonly string[]) => cliJson(['verify', server.origin, ...argv, ...more])
  return { ca, server, pins, path, argv, ask }
}
