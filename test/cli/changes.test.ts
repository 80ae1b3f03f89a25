import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { Prompts } from '../../src/cli/prompts.ts'
import { until } from '../support/client.ts'
import { cli, cliJson, type World, workplace } from './support.ts'

const DAY = 86_400_000

describe('add-host --partner', () => {
  test('in a pipe needs a pin that came another way, and says what to type', async () => {
    const { add, end } = await startPartner()
    for (const more of [[], ['--yes']]) {
      expect(await add(...more)).toMatchObject({
        exitCode: 2,
        answer: { error: { code: 'ERR_CONFIG_USAGE', hint: expect.stringContaining(`--yes --expect ${end.pin}`) } },
      })
    }
  })

  test('--expect takes any key of the verified path, and refuses with ERR_TRUST_PIN_MISMATCH what is not on it', async () => {
    const { ca, add, list } = await startPartner()
    const stranger = await add('--yes', '--expect', ca.issue().pin)
    expect(stranger).toMatchObject({ exitCode: 1, answer: { error: { code: 'ERR_TRUST_PIN_MISMATCH' } } })
    expect((await list()).hosts).toEqual([])
    const { exitCode, answer } = await add('--yes', '--expect', ca.issuer.pin)
    expect(answer).toMatchObject({ ok: true, data: { entry: { host: 'localhost', keyControl: 'partner' } } })
    expect(exitCode).toBe(0)
  })

  test('records the path it saw, and pins its key and its issuer', async () => {
    const { ca, add, end, list, server } = await startPartner()
    await add('--yes', '--expect', end.pin)
    expect(await list()).toMatchObject({
      hosts: [{ host: 'localhost', port: server.port, pins: [{ spki: end.pin }, { spki: ca.issuer.pin }] }],
      seen: [{ host: 'localhost', port: server.port, path: [{ pins: [end.pin, {}, {}] }, {}, {}] }],
    })
  })

  test('--report proposes the same pins, and lets mismatches pass', async () => {
    const { add, end, list } = await startPartner()
    await add('--yes', '--expect', end.pin, '--report')
    expect(await list()).toMatchObject({
      hosts: [{ host: 'localhost', mode: 'report', pins: [{ spki: end.pin }, {}] }],
    })
  })

  test('asks at a terminal, shows the chain before, and takes no for an answer', async () => {
    const { ca, add, end, list } = await startPartner()
    const asked: string[] = []
    const answering =
      (answer: boolean): World['prompts'] =>
      async (): Promise<Prompts> => ({
        confirm: async (question) => asked.push(question) > 0 && answer,
        secret: async () => '',
      })
    const no = await add.with({ prompts: answering(false) })
    expect(no).toMatchObject({
      exitCode: 2,
      answer: { error: { code: 'ERR_CONFIG_USAGE', message: expect.stringContaining('not confirmed') } },
    })
    expect(no.stderr).toContain(ca.issuer.pin)
    expect((await list()).hosts).toEqual([])
    expect((await add.with({ prompts: answering(true) })).exitCode).toBe(0)
    expect(asked).toEqual(['Pin these for localhost?', 'Pin these for localhost?'])
    expect(end.pin).toMatch(/^sha256/)
  })

  test('proposes nothing from a chain that nobody vouches for', async () => {
    const { path, server } = await startPartner()
    const argv = [
      'manifest',
      'add-host',
      'localhost',
      '--port',
      String(server.port),
      '--partner',
      '--dir',
      path('pins'),
    ]
    expect(await cliJson(argv)).toMatchObject({ exitCode: 1, answer: { error: { code: 'ERR_TRUST_UNKNOWN_ISSUER' } } })
  })

  test('a wildcard needs a server to look at', async () => {
    const { path, ca, server, end } = await startPartner(['*.example.com', 'localhost'])
    const argv = [
      'manifest',
      'add-host',
      '*.example.com',
      '--partner',
      '--dir',
      path('pins'),
      '--ca',
      path('ca.pem'),
      '--yes',
      '--expect',
      end.pin,
    ]
    expect(await cliJson(argv)).toMatchObject({
      exitCode: 2,
      answer: { error: { hint: expect.stringContaining('--connect') } },
    })
    const looked = await cliJson([...argv, '--connect', `localhost:${server.port}`])
    expect(looked.answer).toMatchObject({ ok: true, data: { entry: { host: '*.example.com' } } })
    expect(ca.issuer.pin).toMatch(/^sha256/)
  })
})

test('--backup pins a key file in place of its pin', async () => {
  const { path } = await startPartner()
  const [live, reserve] = [testCa().issue(), testCa().issue()]
  await writeFile(path('next.pem'), reserve.keyPem)
  const argv = [
    'manifest',
    'add-host',
    'own.example.com',
    '--dir',
    path('pins'),
    '--pin',
    live.pin,
    '--backup',
    path('next.pem'),
  ]
  expect((await cliJson(argv)).answer.data).toMatchObject({
    entry: { pins: [{ spki: live.pin }, { spki: reserve.pin }] },
  })
})

describe('add-pin and remove-pin', () => {
  test('change the pins of one entry, with windows', async () => {
    const { path, list } = await startOwn()
    const pin = testCa().issue().pin
    const dir = ['--dir', path('pins')]
    await cliJson([
      'manifest',
      'add-pin',
      'a.example.com',
      pin,
      ...dir,
      '--not-before',
      '2031-01-01',
      '--label',
      'next',
    ])
    expect((await list()).hosts[0]?.pins[2]).toEqual({ spki: pin, notBefore: '2031-01-01T00:00:00Z', label: 'next' })
    const { answer } = await cliJson(['manifest', 'remove-pin', 'a.example.com', pin, ...dir])
    expect(answer).toMatchObject({ ok: true, data: { entry: { pins: { length: 2 } } } })
  })

  test('never leave one pin behind, and know which entries there are', async () => {
    const { path, pins } = await startOwn()
    const dir = ['--dir', path('pins')]
    for (const [argv, said] of [
      [['remove-pin', 'a.example.com', pins[0]], 'Add one first'],
      [['remove-pin', 'a.example.com', testCa().issue().pin], 'It has: '],
      [['add-pin', 'a.example.com', pins[0]], 'Nothing to do'],
      [['add-pin', 'a.example.com'], '--backup'],
      [['add-pin', 'x.example.com', pins[0]], 'There is: a.example.com'],
      [['add-pin', 'a.example.com', testCa().issue().pin, '--not-after', 'soon'], 'Write 2027-01-31'],
    ] as const) {
      const { exitCode, answer } = await cliJson(['manifest', ...argv.map(String), ...dir])
      expect(answer.error?.hint).toContain(said)
      expect(exitCode).toBe(2)
    }
  })
})

test('undeny ends a deny through the manifest, and a key denied again is denied', async () => {
  const { path, pins, publish } = await startOwn()
  const run = (...argv: readonly string[]) => cliJson(['manifest', ...argv, '--dir', path('pins')])
  const denies = async () => {
    const { answer } = await cliJson(['manifest', 'verify', '--dir', path('public'), '--root', path('pins/root.json')])
    const status = answer.data?.['status'] as { readonly denies: number } | undefined
    return status?.denies
  }
  await publish()
  await run('deny', String(pins[0]), '--reason', 'leaked', '--hosts', 'a.example.com')
  await publish()
  expect(await denies()).toBe(1)
  await run('undeny', String(pins[0]))
  await publish()
  expect(await denies()).toBe(0)
  const again = await run('deny', String(pins[0]))
  expect(again.answer.warnings).toContainEqual(expect.stringContaining('the manifest keys are needed'))
  expect((await publish()).answer.data).toMatchObject({ manifest: { version: 3 } })
  expect(await denies()).toBe(1)
})

test('diff shows what is not signed yet, and what differs between two manifests', async () => {
  const { path, pins, publish } = await startOwn()
  await publish()
  expect((await cliJson(['manifest', 'diff', path('pins')])).stderr).toContain('no difference')
  const next = testCa().issue().pin
  await cli(['manifest', 'add-pin', 'a.example.com', next, '--dir', path('pins')])
  await cli(['manifest', 'add-host', 'b.example.com', '--dir', path('pins'), '--pin', ...pins])
  const { answer, stderr } = await cliJson(['manifest', 'diff', path('pins')])
  expect(answer.data).toMatchObject({
    added: [{ host: 'b.example.com' }],
    removed: [],
    changed: [{ host: 'a.example.com', pinsAdded: [next], pinsRemoved: [] }],
    members: [],
  })
  expect(stderr).toContain('+ b.example.com  2 pins')
  const first = path(`pins/manifests/${await nameOfManifest(path('pins/manifests'))}`)
  expect((await cliJson(['manifest', 'diff', path('pins'), first])).answer.data).toMatchObject({
    removed: [{ host: 'b.example.com' }],
  })
  expect(await cliJson(['manifest', 'diff', first])).toMatchObject({ exitCode: 2 })
})

describe('simulate', () => {
  test.each([
    ['1d', 'fresh', 'accepted', 'enforced'],
    ['8d', 'stale', 'status expired', 'enforced'],
    ['15d', 'expired', 'status expired', 'refused'],
    ['2020-01-01', 'fresh', 'not yet issued', 'enforced'],
  ])('at %s a running client is %s, one that starts says %s', async (at, state, coldStart, decision) => {
    const { path, publish } = await startOwn()
    await publish()
    const { exitCode, answer } = await cliJson(['manifest', 'simulate', '--dir', path('pins'), '--at', at])
    expect(answer.data).toMatchObject({ state, coldStart, hosts: [{ host: 'a.example.com', decision }] })
    expect(exitCode).toBe(0)
  })

  test('says which pins are active, and what clients allow', async () => {
    const { path, publish, list } = await startOwn()
    const held = await list()
    const [entry] = held.hosts
    const staged = {
      ...entry,
      mode: 'report',
      onStale: 'report',
      pins: [{ ...entry?.pins[0], notAfter: soon(2) }, entry?.pins[1]],
    }
    await writeFile(path('pins/hosts.json'), JSON.stringify({ ...held, hosts: [staged] }))
    await publish()
    const ask = async (...more: readonly string[]) =>
      (await cliJson(['manifest', 'simulate', '--dir', path('pins'), ...more])).answer.data?.['hosts']
    expect(await ask()).toMatchObject([
      { decision: 'enforced', activePins: { length: 2 }, note: expect.stringContaining('asks for report') },
    ])
    expect(await ask('--at', '3d', '--may', 'report')).toMatchObject([
      { decision: 'report', activePins: { length: 1 } },
    ])
    expect(await ask('--at', '20d')).toMatchObject([{ decision: 'refused' }])
    expect(await ask('--at', '20d', '--may', 'stale')).toMatchObject([{ decision: 'report' }])
  })

  test('needs something that clients could have, and a time', async () => {
    const { path } = await startOwn()
    expect(await cliJson(['manifest', 'simulate', '--dir', path('pins')])).toMatchObject({
      answer: { error: { code: 'ERR_MANIFEST_UNAVAILABLE' } },
    })
    expect(await cliJson(['manifest', 'simulate', '--dir', path('pins'), '--at', 'soon'])).toMatchObject({
      exitCode: 2,
    })
  })
})

test('merge refuses copies of different payloads, and what is no document', async () => {
  const { path, publish } = await startOwn()
  await publish()
  await cli(['manifest', 'add-pin', 'a.example.com', testCa().issue().pin, '--dir', path('pins')])
  const first = path(`pins/manifests/${await nameOfManifest(path('pins/manifests'))}`)
  await writeFile(path('one.json'), await readFile(first))
  await publish()
  const second = path(`pins/manifests/${await nameOfManifest(path('pins/manifests'), 2)}`)
  expect(await cliJson(['manifest', 'merge', path('one.json'), second])).toMatchObject({
    exitCode: 2,
    answer: { error: { code: 'ERR_CONFIG_FILE', message: expect.stringContaining('different payloads') } },
  })
  expect(await cliJson(['manifest', 'merge', path('one.json'), path('pins/hosts.json')])).toMatchObject({
    exitCode: 2,
    answer: { error: { code: 'ERR_CONFIG_FILE' } },
  })
  expect((await cliJson(['manifest', 'merge', path('one.json'), first, '--out', path('two.json')])).exitCode).toBe(0)
  expect(await readFile(path('two.json'))).toEqual(await readFile(first))
})

test('signatures over what the list no longer says are not added to, and given up only when told to', async () => {
  const { path } = await workplace()
  await cli(['init', path('pins'), '--repo', 'acme/pins', '--profile', 'team'])
  await mkdir(path('alice'))
  await rename(path('pins.keys/manifest-1.pem'), path('alice/manifest-1.pem'))
  const sign = (...more: readonly string[]) => cliJson(['manifest', 'sign', '--dir', path('pins'), ...more])
  expect((await sign('--keys', path('alice'))).answer.data).toMatchObject({ manifest: { pending: true, signed: 1 } })
  const pins = [testCa().issue().pin, testCa().issue().pin]
  await cli(['manifest', 'add-host', 'a.example.com', '--dir', path('pins'), '--pin', ...pins])
  expect(await sign()).toMatchObject({
    exitCode: 2,
    answer: { error: { code: 'ERR_CONFIG_USAGE', hint: expect.stringContaining('--restart') } },
  })
  expect((await sign('--restart')).answer.data).toMatchObject({ manifest: { version: 1, new: true }, hosts: 1 })
})

test.each([
  ['a longer life', { expires: '2099-01-01T00:00:00Z' }],
  ['another grace', { staleGrace: 999_999_999 }],
  ['a member that nobody knows', { critical: [] }],
  ['a beginning that no calendar has', { issuedAt: '+275760-09-13T00:00:00Z', expires: '2099-01-01T00:00:00Z' }],
])('what others signed is countersigned only as it would be signed here: not with %s', async (_, change) => {
  const { path } = await workplace()
  await cli(['init', path('pins'), '--repo', 'acme/pins', '--profile', 'team'])
  await mkdir(path('alice'))
  await rename(path('pins.keys/manifest-1.pem'), path('alice/manifest-1.pem'))
  const sign = (...more: readonly string[]) => cliJson(['manifest', 'sign', '--dir', path('pins'), ...more])
  await sign('--keys', path('alice'))
  const genuine = await readFile(path('pins/pending/manifest.json'))
  const document = JSON.parse(genuine.toString())
  const payload = { ...JSON.parse(Buffer.from(document.payload, 'base64url').toString()), ...change }
  const forged = { ...document, payload: Buffer.from(JSON.stringify(payload)).toString('base64url') }
  await writeFile(path('pins/pending/manifest.json'), JSON.stringify(forged))
  expect(await sign()).toMatchObject({ exitCode: 2, answer: { error: { code: 'ERR_CONFIG_USAGE' } } })
  await writeFile(path('pins/pending/manifest.json'), genuine)
  expect((await sign()).answer.data).toMatchObject({ manifest: { version: 1, new: true } })
})

test('init names the repository after package.json, and high is three of five', async () => {
  const { path } = await workplace()
  await writeFile(path('package.json'), JSON.stringify({ name: '@acme/Web Shop' }))
  const { answer } = await cliJson(['init', path('pins'), '--profile', 'high'])
  expect(answer.data).toMatchObject({ repo: 'acme/web-shop', env: 'prod', keys: { length: 10 } })
  await cli(['manifest', 'sign', '--dir', path('pins')])
  const { data } = (await cliJson(['manifest', 'verify', '--dir', path('pins')])).answer
  expect(data).toMatchObject({
    roles: {
      root: { threshold: 3, keys: { length: 5 } },
      manifest: { threshold: 2, keys: { length: 3 } },
      status: { threshold: 1, keys: { length: 2 } },
    },
  })
})

async function startPartner(names: readonly string[] = ['localhost']) {
  const ca = testCa()
  const end = ca.issue({ names: [...names] })
  const server = await until(startTlsServer({ identity: end }))
  const { path } = await workplace()
  await writeFile(path('ca.pem'), ca.anchorPem)
  await cli(['init', path('pins'), '--repo', 'acme/pins'])
  const argv = [
    'manifest',
    'add-host',
    'localhost',
    '--port',
    String(server.port),
    '--partner',
    '--dir',
    path('pins'),
    '--ca',
    path('ca.pem'),
  ]
  const add = Object.assign((...more: readonly string[]) => cliJson([...argv, ...more]), {
    with: (world: World) => cliJson(argv, world),
  })
  return { ca, end, server, path, add, list: () => listIn(path('pins')) }
}

async function startOwn() {
  const { path } = await workplace()
  const pins = [testCa().issue().pin, testCa().issue().pin]
  await cli(['init', path('pins'), '--repo', 'acme/pins'])
  await cli(['manifest', 'add-host', 'a.example.com', '--dir', path('pins'), '--pin', ...pins])
  const publish = () => cliJson(['manifest', 'publish', '--dir', path('pins'), '--to', path('public')])
  return { path, pins, publish, list: () => listIn(path('pins')) }
}

async function listIn(directory: string) {
  return JSON.parse(await readFile(`${directory}/hosts.json`, 'utf8')) as {
    readonly hosts: readonly { readonly pins: readonly object[] }[]
  }
}

async function nameOfManifest(directory: string, version = 1): Promise<string> {
  const { readdir } = await import('node:fs/promises')
  return (await readdir(directory)).find((name) => name.startsWith(`${version}.`)) ?? ''
}

const soon = (days: number): string => new Date(Date.now() + days * DAY).toISOString().replace(/\.\d+Z$/, 'Z')
