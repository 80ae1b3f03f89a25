import { createPrivateKey } from 'node:crypto'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startManifestServer, startTlsServer, type TestCa, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { parseEnvelope } from '../../src/manifest/verify.ts'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { cli, cliJson, isoOf, type World, workplace } from './support.ts'

const DAY = 86_400_000
const NAME = ['--repo', 'acme/pins', '--env', 'prod']

const WRITTEN_BY_INIT = [
  'hosts.json',
  ...['crontab', 'github.yml', 'kubernetes.yml'].map((kind) => `jobs/heartbeat.${kind}`),
  'root.json',
  'roots/1.json',
]

describe('init, add-host, sign, verify', () => {
  test('make a directory that a client takes its pins from', async () => {
    const { ca, server, end, pins, repository } = await startSigned()
    expect(await cliJson(['manifest', 'verify', '--dir', repository])).toMatchObject({
      exitCode: 0,
      answer: { data: { hosts: [{ host: 'localhost', pins }] } },
    })
    const client = testClient({
      manifest: { url: repository, root: join(repository, 'root.json'), memoryOnly: true },
      anchors: ca.anchorPem,
    })
    expect(await (await client.fetch(server.origin)).text()).toBe('ok')

    server.setIdentity(ca.issue({ names: ['localhost'] }))
    server.destroyConnections()
    await refusalOf(client.fetch(server.origin), 'ERR_TRUST_PIN_MISMATCH')
    expect(end.pin).toBe(pins[0])
  })

  test('carry a rotation to a running client, and keep every version', async () => {
    const { ca, server, pins, repository } = await startSigned()
    const client = testClient({
      manifest: { url: repository, root: join(repository, 'root.json'), memoryOnly: true },
      anchors: ca.anchorPem,
    })
    await client.ready()
    const next = ca.issue({ names: ['localhost'] })
    await ok(['add-host', 'localhost', '--dir', repository, '--replace', ...pinOptions([next.pin, ...pins])])
    await ok(['sign', '--dir', repository])
    await expect.poll(() => client.manifest.refresh().then(() => client.manifest.version), { timeout: 5_000 }).toBe(2)
    server.setIdentity(next)
    server.destroyConnections()
    expect((await client.fetch(server.origin)).status).toBe(200)
    expect((await readdir(join(repository, 'manifests'))).map((name) => name.split('.')[0])).toEqual(['1', '2'])
  })

  test('work over https, where a client would look', async () => {
    const { ca, repository, path } = await startSigned()
    const files = await filesBelow(repository)
    const server = await until(startManifestServer({ files, identity: ca.issue({ names: ['localhost'] }) }))
    await writeFile(path('ca.pem'), ca.anchorPem)
    const ask = (...more: readonly string[]) =>
      cliJson(['manifest', 'verify', server.url, '--root', join(repository, 'root.json'), ...more])
    expect(await ask('--ca', path('ca.pem'))).toMatchObject({
      exitCode: 0,
      answer: { schema: 'pinfetch/manifest-verify/v1', data: { location: server.url, repo: 'acme/pins', env: 'prod' } },
    })
    expect(server.requests.map(({ path: asked }) => asked)).toEqual([
      '/roots/2.json',
      '/status.json',
      expect.stringMatching(/^\/manifests\/1\.[0-9a-f]{64}\.json$/),
    ])
    expect(await ask()).toMatchObject({
      exitCode: 3, // the server’s CA is unknown without --ca
      answer: {
        error: { code: 'ERR_MANIFEST_FETCH_NETWORK', message: expect.stringMatching('issued by CN=Test Root') },
      },
    })
    server.respond('roots/2.json', { status: 200, body: '<!doctype html>' })
    expect((await ask('--ca', path('ca.pem'))).answer.warnings).toContainEqual(expect.stringMatching('let it be 404'))
    await server.close()
    expect(await ask('--ca', path('ca.pem'))).toMatchObject({
      exitCode: 3,
      answer: { error: { code: 'ERR_MANIFEST_FETCH_NETWORK', message: expect.stringMatching('ECONNREFUSED') } },
    })
  })
})

describe('init', () => {
  test('makes keys that this user alone can read, outside of what is published', async () => {
    const { path } = await workplace()
    const { exitCode, stdout, stderr } = await cli(['manifest', 'init', '--dir', path('pins'), ...NAME])
    expect(exitCode).toBe(0)
    const keys = ['manifest.pem', 'root-spare.pem', 'root.pem', 'status.pem']
    expect((await readdir(path('pins.keys'))).sort()).toEqual(['.gitignore', ...keys])
    expect((await stat(path('pins.keys'))).mode & 0o777).toBe(0o700)
    for (const key of keys) {
      expect((await stat(path(`pins.keys/${key}`))).mode & 0o777).toBe(0o600)
      const pem = await readFile(path(`pins.keys/${key}`), 'utf8')
      const { d } = createPrivateKey(pem).export({ format: 'jwk' })
      expect(stdout + stderr).not.toContain(String(d))
    }
    expect([...(await filesBelow(path('pins'))).keys()].sort()).toEqual(WRITTEN_BY_INIT)
    expect(await readFile(path('pins/root.json'))).toEqual(await readFile(path('pins/roots/1.json')))
    for (const [, bytes] of await filesBelow(path('pins'))) {
      expect(Buffer.from(bytes).toString()).not.toContain('PRIVATE')
    }
    expect(stderr).toMatch(/move the root keys off this machine, to two places: root\.pem, root-spare\.pem/)
    expect(stderr).toMatch(/^next {2}pinfetch manifest add-host /m)
  })

  test('encrypts them with PINFETCH_PASSPHRASE, and signing needs it', async () => {
    const { path } = await workplace()
    const env = { PINFETCH_PASSPHRASE: 'correct horse' }
    await ok(['init', '--dir', path('pins'), ...NAME], { env })
    expect(await readFile(path('pins.keys/root.pem'), 'utf8')).toContain('BEGIN ENCRYPTED PRIVATE KEY')
    for (const wrong of [{}, { PINFETCH_PASSPHRASE: 'wrong' }]) {
      const { exitCode, answer } = await cliJson(['manifest', 'sign', '--dir', path('pins')], { env: wrong })
      expect(answer.error?.code).toBe('ERR_CONFIG_PASSPHRASE')
      expect(exitCode).toBe(2)
    }
    await ok(['sign', '--dir', path('pins')], { env })
  })

  test.each(['root.json', 'roots/1.json', 'hosts.json', '../pins.keys/root-spare.pem'])(
    'overwrites no %s',
    async (name) => {
      const { path } = await workplace()
      await ok(['init', '--dir', path('pins'), ...NAME])
      const before = await filesBelow(path('.'))
      for (const other of before.keys()) if (other !== join('pins', name)) await rm(path(other))
      const { exitCode, answer } = await cliJson(['manifest', 'init', '--dir', path('pins'), ...NAME])
      expect(answer.error).toMatchObject({
        code: 'ERR_STORE_EXISTS',
        message: expect.stringMatching(name.replace('../', '')),
      })
      expect(exitCode).toBe(3)
      expect([...(await filesBelow(path('.'))).keys()]).toEqual([join('pins', name)])
    },
  )

  test('makes a team’s keys with thresholds', async () => {
    const { path } = await workplace()
    await ok(['init', '--dir', path('pins'), ...NAME, '--profile', 'team', '--keys', path('elsewhere')])
    expect(await readdir(path('elsewhere'))).toHaveLength(8)
    await ok(['sign', '--dir', path('pins'), '--keys', path('elsewhere')])
    const { answer } = await cliJson(['manifest', 'verify', '--dir', path('pins')])
    expect(answer.data).toMatchObject({
      roles: {
        root: { threshold: 2, keys: { length: 3 } },
        manifest: { threshold: 2, signedBy: { length: 3 } },
        status: { threshold: 1 },
      },
    })
  })

  test.each([
    ['--repo', 'Acme Pins'],
    ['--env', 'PROD'],
    ['--profile', 'huge'],
  ])('refuses %s %s', async (option, value) => {
    const { path } = await workplace()
    const { exitCode, answer } = await cliJson(['manifest', 'init', '--dir', path('pins'), ...NAME, option, value])
    expect(answer.error?.code).toBe('ERR_CONFIG_USAGE')
    expect(exitCode).toBe(2)
  })
})

describe('add-host', () => {
  test('writes an entry as it will be signed', async () => {
    const { path, pins } = await startEmpty()
    await ok(['add-host', '*.Example.COM', '--dir', path('pins'), '--partner', '--port', '8443', ...pinOptions(pins)])
    expect(JSON.parse(await readFile(path('pins/hosts.json'), 'utf8'))).toEqual({
      profile: 'solo',
      hosts: [
        {
          host: '*.example.com',
          port: 8443,
          mode: 'enforce',
          keyControl: 'partner',
          pins: pins.map((spki) => ({ spki })),
        },
      ],
    })
  })

  test.each([
    ['one pin', 'api.example.com', 1, [], 'ERR_CONFIG_USAGE', '--single-pin'],
    ['the same pin twice', 'api.example.com', -1, [], 'ERR_CONFIG_USAGE', '--single-pin'],
    ['a URL', 'https://api.example.com', 2, [], 'ERR_CONFIG_HOST', 'without scheme'],
    ['a public suffix', '*.co.uk', 2, [], 'ERR_CONFIG_HOST', 'any depth'],
    ['a port that is none', 'api.example.com', 2, ['--port', '0'], 'ERR_CONFIG_USAGE', 'from 1 to 65535'],
    ['a pin that is none', 'api.example.com', 2, ['--pin', 'sha256/abc'], 'ERR_CONFIG_PIN', 'pinfetch pin'],
  ])('refuses %s', async (_, host, count, more, code, hint) => {
    const { path, pins } = await startEmpty()
    const given = count === -1 ? [pins[0], pins[0]] : pins.slice(0, count)
    const command = ['manifest', 'add-host', host, '--dir', path('pins'), ...pinOptions(given), ...more]
    const { exitCode, answer } = await cliJson(command)
    expect(answer.error).toMatchObject({ code, hint: expect.stringContaining(hint) })
    expect(exitCode).toBe(2)
  })

  test('replaces an entry only when told to, and takes a lone pin only when told to', async () => {
    const { path, pins } = await startEmpty()
    const add = (...more: readonly string[]) =>
      cliJson(['manifest', 'add-host', 'api.example.com', '--dir', path('pins'), ...pinOptions(pins), ...more])
    expect((await add()).exitCode).toBe(0)
    expect(await add()).toMatchObject({
      exitCode: 2,
      answer: { error: { hint: expect.stringContaining('--replace') } },
    })
    expect(await add('--replace')).toMatchObject({ answer: { ok: true, data: { replaced: true, hosts: 1 } } })
    const lone = ['manifest', 'add-host', 'b.example.com', '--dir', path('pins'), ...pinOptions(pins.slice(0, 1))]
    const { answer } = await cliJson([...lone, '--single-pin'])
    expect(answer).toMatchObject({
      ok: true,
      data: { entry: { singlePin: true } },
      warnings: [expect.stringMatching('one pin')],
    })
  })

  test('--report lets mismatches pass: clients read so, and a later entry without it enforces', async () => {
    const { path, pins } = await startEmpty()
    const published = async (...more: readonly string[]): Promise<unknown> => {
      await ok(['add-host', 'api.example.com', '--dir', path('pins'), ...pinOptions(pins), ...more])
      await ok(['publish', '--dir', path('pins'), '--to', path('public')])
      return (await cliJson(['manifest', 'verify', '--dir', path('public'), '--root', path('pins/root.json')])).answer
        .data?.['hosts']
    }
    expect(await published('--report')).toMatchObject([{ host: 'api.example.com', mode: 'report' }])
    expect(await published('--replace')).toMatchObject([{ host: 'api.example.com', mode: 'enforce' }])
  })

  test('needs a repository, and a list that it can read', async () => {
    const { path, pins } = await startEmpty()
    const add = (name: string) =>
      cliJson(['manifest', 'add-host', 'a.example.com', '--dir', path(name), ...pinOptions(pins)])
    expect(await add('nowhere')).toMatchObject({
      exitCode: 2,
      answer: { error: { code: 'ERR_CONFIG_USAGE', hint: expect.stringContaining('pinfetch manifest init') } },
    })
    for (const broken of ['{', '{"profile":"solo","hosts":[],"hosst":[]}']) {
      await writeFile(path('pins/hosts.json'), broken)
      expect(await add('pins')).toMatchObject({ exitCode: 2, answer: { error: { code: 'ERR_CONFIG_INVALID' } } })
    }
  })
})

describe('sign', () => {
  test('says when clients would start to refuse', async () => {
    const now = Date.UTC(2030, 0, 1)
    const { path } = await startEmpty({ now })
    const { stdout } = await cli(['manifest', 'sign', '--dir', path('pins')], { now })
    expect(stdout).toBe(`manifest                     version 1, 0 hosts, until ${isoOf(now + 90 * DAY)}
status                       version 1, until ${isoOf(now + 7 * DAY)}
if nobody signs again
  clients that start refuse  ${isoOf(now + 7 * DAY)}  in 7 days
  running clients refuse     ${isoOf(now + 14 * DAY)}  in 14 days
`)
  })

  test('a machine with the status key alone keeps an unchanged manifest alive', async () => {
    const { repository, path, pins } = await startSigned()
    await rm(path('pins.keys/manifest.pem'))
    const sign = () => cliJson(['manifest', 'sign', '--dir', repository])
    expect(await sign()).toMatchObject({
      exitCode: 0,
      answer: { data: { manifest: { version: 1, new: false }, status: { version: 2 } } },
    })
    await ok(['add-host', 'new.example.com', '--dir', repository, ...pinOptions(pins)])
    expect(await sign()).toMatchObject({
      exitCode: 4,
      answer: {
        error: {
          code: 'ERR_MANIFEST_SIG_THRESHOLD',
          message: expect.stringMatching('1 of the role’s 1 keys must sign, 0'),
        },
      },
    })
    const { exitCode, answer } = await cliJson(['manifest', 'sign', '--dir', repository, '--status-only'])
    expect(answer).toMatchObject({ data: { status: { version: 3 } }, warnings: [expect.stringMatching('not signed')] })
    expect(exitCode).toBe(0)
  })

  test('a status cannot revive a manifest that expired, and there must be one', async () => {
    const { path } = await startEmpty()
    const heartbeat = (now: number) => cliJson(['manifest', 'sign', '--dir', path('pins'), '--status-only'], { now })
    expect(await heartbeat(Date.now())).toMatchObject({ exitCode: 2, answer: { error: { code: 'ERR_CONFIG_USAGE' } } })
    await ok(['sign', '--dir', path('pins')])
    expect(await heartbeat(Date.now() + 91 * DAY)).toMatchObject({
      exitCode: 1,
      answer: { error: { code: 'ERR_MANIFEST_EXPIRED' } },
    })
    await ok(['sign', '--dir', path('pins')], { now: Date.now() + 91 * DAY })
    expect(await heartbeat(Date.now() + 401 * DAY)).toMatchObject({
      exitCode: 1,
      answer: { error: { code: expect.stringMatching(/^ERR_MANIFEST_(ROOT_)?EXPIRED$/) } },
    })
  })

  test('keeps the denies of the status before', async () => {
    const { repository, path } = await startSigned()
    await signStatusWith(repository, path('pins.keys/status.pem'))
    await ok(['sign', '--dir', repository])
    const { answer } = await cliJson(['manifest', 'verify', '--dir', repository])
    expect(answer.data).toMatchObject({ status: { version: 3, denies: 1, pollSeconds: 60 } })
  })

  test('signs nothing with a stranger’s key, and no entry that clients would refuse', async () => {
    const { path, pins } = await startEmpty()
    const { privateJwk } = await generateSigningKey()
    const original = await readFile(path('pins.keys/manifest.pem'))
    const stranger = createPrivateKey({ key: { ...privateJwk }, format: 'jwk' }).export({
      type: 'pkcs8',
      format: 'pem',
    })
    await writeFile(path('pins.keys/manifest.pem'), stranger)
    const sign = () => cliJson(['manifest', 'sign', '--dir', path('pins')])
    expect(await sign()).toMatchObject({ exitCode: 4, answer: { error: { code: 'ERR_MANIFEST_SIG_THRESHOLD' } } })
    await writeFile(path('pins.keys/manifest.pem'), original)
    for (const [entry, code] of [
      [{ host: 'a.example.com', mode: 'enforce', pins: [{ spki: pins[0] }] }, 'ERR_MANIFEST_NO_BACKUP_PIN'],
      [{ host: 'a.example.com', mode: 'enforcing', pins: [{ spki: pins[0] }] }, 'ERR_MANIFEST_PAYLOAD_SCHEMA'],
    ] as const) {
      await writeFile(path('pins/hosts.json'), JSON.stringify({ profile: 'solo', hosts: [entry] }))
      expect(await sign()).toMatchObject({ exitCode: 4, answer: { error: { code } } })
    }
    expect([...(await filesBelow(path('pins'))).keys()].sort()).toEqual(WRITTEN_BY_INIT)
  })
})

describe('verify', () => {
  test('prints who signed what until when', async () => {
    const { repository } = await startSigned()
    const { stdout, stderr, exitCode } = await cli(['manifest', 'verify', '--dir', repository])
    expect(stdout).toMatch(
      /^acme\/pins \(prod\): every document verifies\nroot +version 1 +signed by 2, 1 of 2 needed +until \S+Z +in 400 days\n/,
    )
    expect(stdout).toMatch(/\nhost {2}localhost {2}enforce {2}2 pins\nif nobody signs again\n/)
    expect(stderr).toMatch(/^next {2}pinfetch manifest sign/)
    expect(exitCode).toBe(0)
  })

  test.each([
    [
      'a manifest whose payload was changed',
      'manifests',
      (text: string) => withPayload(text, 'localhost', 'localhorst'),
      'ERR_MANIFEST_LENGTH_MISMATCH',
    ],
    [
      'a manifest of the same length',
      'manifests',
      (text: string) => withPayload(text, 'localhost', 'localhosT'),
      'ERR_MANIFEST_HASH_MISMATCH',
    ],
    [
      'a status whose payload was changed',
      'status.json',
      (text: string) => withPayload(text, '"interval": 300', '"interval": 900'),
      'ERR_MANIFEST_SIG_THRESHOLD',
    ],
    ['a status that is no JSON', 'status.json', () => '<html>', 'ERR_MANIFEST_ENVELOPE_JSON'],
    [
      'a root whose payload was changed',
      'root.json',
      (text: string) => withPayload(text, '"mayDeny": true', '"mayDeny": null'),
      'ERR_MANIFEST_PAYLOAD_SCHEMA',
    ],
  ])('%s exits with 4', async (_, name, change, code) => {
    const { repository } = await startSigned()
    const [file = name] =
      name === 'manifests' ? (await readdir(join(repository, name))).map((one) => join(name, one)) : []
    const path = join(repository, file)
    await writeFile(path, change(await readFile(path, 'utf8')))
    const { exitCode, answer } = await cliJson(['manifest', 'verify', '--dir', repository])
    expect(answer).toMatchObject({ ok: false, data: null, error: { code } })
    expect(exitCode).toBe(4)
    expect((await cliJson(['manifest', 'sign', '--dir', repository])).exitCode).toBe(4) // nobody builds on it either
  })

  test('a root of another repository exits with 4', async () => {
    const { repository, path } = await startSigned()
    await ok(['init', '--dir', path('other'), '--repo', 'other/pins', '--env', 'prod'])
    const { exitCode, answer } = await cliJson([
      'manifest',
      'verify',
      '--dir',
      repository,
      '--root',
      path('other/root.json'),
    ])
    expect(answer.error?.code).toBe('ERR_MANIFEST_SIG_THRESHOLD')
    expect(exitCode).toBe(4)
  })

  test('a missing document exits with 3, an expired one with 1', async () => {
    const { repository } = await startSigned()
    const ask = (now: number) => cliJson(['manifest', 'verify', '--dir', repository], { now })
    expect(await ask(Date.now() + 8 * DAY)).toMatchObject({
      exitCode: 1,
      answer: { error: { code: 'ERR_MANIFEST_STATUS_EXPIRED' } },
    })
    await rm(join(repository, 'status.json'))
    expect(await ask(Date.now())).toMatchObject({ exitCode: 3, answer: { error: { code: 'ERR_MANIFEST_FETCH_HTTP' } } })
  })

  test('warns before a manifest and a root are late', async () => {
    const { repository } = await startSigned()
    const later = Date.now() + 61 * DAY
    await ok(['sign', '--dir', repository, '--status-only'], { now: later })
    const { answer } = await cliJson(['manifest', 'verify', '--dir', repository], { now: later })
    expect(answer.warnings).toEqual([expect.stringMatching('sign a new manifest before')])
    const evenLater = Date.now() + 201 * DAY
    await ok(['sign', '--dir', repository], { now: evenLater })
    const { answer: second } = await cliJson(['manifest', 'verify', '--dir', repository], { now: evenLater })
    expect(second.warnings).toEqual([expect.stringMatching('half of the root’s life is over')])
  })

  test.each(['http://pins.example.com/', 'https://me:secret@pins.example.com/', 'pins'])('takes no %s', async (url) => {
    const { exitCode, answer } = await cliJson(['manifest', 'verify', url, '--root', 'root.json'])
    expect(answer.error?.code).toBe('ERR_CONFIG_URL')
    expect(exitCode).toBe(2)
  })
})

/** A repository for a running server: its key, a key in reserve, one signed manifest. */
async function startSigned() {
  const ca = testCa()
  const end = ca.issue({ names: ['localhost'] })
  const pins = [end.pin, ca.issue().pin]
  const server = await until(startTlsServer({ identity: end }))
  const { path } = await workplace()
  await ok(['init', '--dir', path('pins'), ...NAME])
  await ok(['add-host', 'localhost', '--dir', path('pins'), ...pinOptions(pins)])
  await ok(['sign', '--dir', path('pins')])
  return { ca, end, server, pins, path, repository: path('pins') }
}

async function startEmpty(world: World = {}, ca: TestCa = testCa()) {
  const { path } = await workplace()
  await ok(['init', '--dir', path('pins'), ...NAME], world)
  return { path, pins: [ca.issue().pin, ca.issue().pin] }
}

async function ok(argv: readonly string[], world?: World): Promise<void> {
  const { exitCode, stderr } = await cli(['manifest', ...argv], world)
  expect(stderr).not.toContain('error')
  expect(exitCode).toBe(0)
}

const pinOptions = (pins: readonly (string | undefined)[]): readonly string[] =>
  pins.flatMap((pin) => (pin === undefined ? [] : ['--pin', pin]))

async function filesBelow(directory: string): Promise<Map<string, Uint8Array>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return new Map(
    await Promise.all(files.map(async (path) => [path.slice(directory.length + 1), await readFile(path)] as const)),
  )
}

/** The same signatures around another payload. */
function withPayload(document: string, from: string, to: string): string {
  const envelope = JSON.parse(document) as { payload: string }
  const text = Buffer.from(envelope.payload, 'base64url').toString()
  if (!text.includes(from)) throw new Error(`${from} is not in ${text}`)
  return JSON.stringify({ ...envelope, payload: Buffer.from(text.replace(from, to)).toString('base64url') })
}

/** What an operator’s other tools may have published: a status with a deny and another poll hint. */
async function signStatusWith(repository: string, keyPath: string): Promise<void> {
  const { signDocument } = await import('../../src/publisher/sign.ts')
  const { readKeys } = await import('../../src/cli/key-files.ts')
  const keys = await readKeys(join(keyPath, '..'), 'status', { env: {} } as never)
  const path = join(repository, 'status.json')
  const { payload } = parseEnvelope(await readFile(path), { document: 'status' })
  const status = JSON.parse(Buffer.from(payload).toString()) as object
  const deny = [{ spki: `sha256/${Buffer.alloc(32).toString('base64')}`, reason: 'stolen' }]
  const changed = { ...status, version: 2, deny, poll: { interval: 60, spread: 0.25 } }
  await writeFile(path, await signDocument(Buffer.from(JSON.stringify(changed)), 'status', keys))
}
