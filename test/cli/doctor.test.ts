import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  createTestRepository,
  type ServerIdentity,
  startInterceptor,
  startTlsServer,
  type TestHandler,
  type TestRepository,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { examineSurroundings, type Machine } from '../../src/cli/doctor-surroundings.ts'
import type { PinText } from '../../src/encoding/pin.ts'
import { until } from '../support/client.ts'
import { cli, cliJson, type JsonAnswer, workplace } from './support.ts'

interface Finding {
  readonly id: string
  readonly severity: string
  readonly subject: string
  readonly message: string
  readonly fix: string | null
}

/** Of the last source, or of the machine where none was given. */
function findingsOf({ data }: JsonAnswer): readonly Finding[] {
  const { sections = [] } = (data ?? {}) as { sections?: { findings: Finding[] }[] }
  return sections.at(-1)?.findings ?? []
}
const about = (answer: JsonAnswer, subject: string): readonly Finding[] =>
  findingsOf(answer).filter((finding) => finding.subject === subject)

const DAY = 86_400_000
const NOW = Date.UTC(2027, 0, 1)
const machine: Machine = {
  env: {},
  flags: [],
  replaced: [],
  node: '26.13.1',
  openssl: '3.5.2',
  hasHybrid: true,
  anchors: { bundled: 121, added: 0 },
  interfaces: [{ name: 'eth0', address: '192.0.2.7' }],
  now: NOW,
  driftMs: 0,
}

/** Writes a repository, and answers what a configuration beside it says of it. */
async function publishTo({ path, file }: Awaited<ReturnType<typeof workplace>>, { root, files }: TestRepository) {
  for (const [name, bytes] of files()) {
    await mkdir(dirname(path(`public/${name}`)), { recursive: true })
    await file(`public/${name}`, bytes)
  }
  await file('root.json', root)
  return { url: './public', root: './root.json' }
}

describe('this machine', () => {
  test('with nothing that weakens TLS has no warning', () => {
    expect(examineSurroundings(machine).map(({ severity, subject }) => `${severity} ${subject}`)).toEqual([
      'ok environment',
      'ok Node 26.13.1',
      'ok known flaws',
      'ok OpenSSL',
      'ok key exchange',
      'ok trust anchors',
      'ok wall clock',
      'info egress',
    ])
  })

  test.each([
    ['NODE_TLS_REJECT_UNAUTHORIZED', '0'],
    ['NODE_EXTRA_CA_CERTS', '/x.pem'],
    ['SSL_CERT_FILE', '/x.pem'],
    ['SSL_CERT_DIR', '/x'],
    ['HTTPS_PROXY', 'http://user:hunter2@proxy.example:3128'],
    ['HTTP_PROXY', 'http://user:hunter2@proxy.example:3128'],
    ['ALL_PROXY', 'socks5://proxy.example'],
    ['NODE_USE_SYSTEM_CA', '1'],
    ['NODE_USE_ENV_PROXY', '1'],
    ['OPENSSL_CONF', '/x.cnf'],
  ])('names the variable %s, and not its value', async (name, value) => {
    const { answer, stdout, stderr } = await cliJson(['doctor'], { env: { [name]: value } })
    expect(about(answer, name)).toMatchObject([{ severity: 'warning', fix: expect.stringContaining(name) }])
    expect(stdout + stderr).not.toContain('hunter2')
    expect(about((await cliJson(['doctor'])).answer, name)).toEqual([])
  })

  test.each([
    '--tls-min-v1.0',
    '--tls-keylog=/x',
    '--use-openssl-ca',
    '--use-system-ca',
    '--insecure-http-parser',
    '--tls-cipher-list=ALL',
    '--openssl-config=/x.cnf',
  ])('names the flag %s of NODE_OPTIONS', async (flag) => {
    const { answer } = await cliJson(['doctor'], { env: { NODE_OPTIONS: `--no-warnings ${flag}` } })
    expect(about(answer, flag.split('=')[0] ?? '')).toMatchObject([{ severity: 'warning' }])
  })

  test.each([
    ['20.19.0', 'warning', 'its end of life was 2026-04-30; this package still runs on it'],
    ['22.20.0', 'warning', 'its end of life is 2027-04-30'],
    ['24.9.0', 'ok', 'supported until 2028-04-30'],
    ['25.0.0', 'warning', 'no release with long-term support'],
  ])('says of Node %s: %s', (node, severity, message) => {
    const [, found] = examineSurroundings({ ...machine, node })
    expect(found).toMatchObject({ severity, message: expect.stringContaining(message) })
  })

  test.each([
    [20, '2026-04-30'],
    [22, '2027-04-30'],
    [24, '2028-04-30'],
    [26, '2029-04-30'],
  ])('knows the day on which Node %i ends, and is worried from four months before', (line, day) => {
    const end = Date.parse(day)
    const said = (now: number) => examineSurroundings({ ...machine, node: `${line}.19.0`, now })[1]
    expect(said(end - 120 * DAY)).toMatchObject({ severity: 'ok', message: `supported until ${day}` })
    expect(said(end - 119 * DAY)).toMatchObject({ severity: 'warning', message: `its end of life is ${day}` })
    expect(said(end)).toMatchObject({ severity: 'warning', message: expect.stringContaining(`was ${day}`) })
  })

  test('advises no release that is past its end', () => {
    const [, found] = examineSurroundings({ ...machine, node: '25.0.0', now: Date.UTC(2027, 4, 1) })
    expect(found?.fix).toBe('Use a release with long-term support: 24, 26.')
  })

  test('says that no hybrid key exchange is there', () => {
    const found = examineSurroundings({ ...machine, hasHybrid: false })
    expect(found).toContainEqual(expect.objectContaining({ severity: 'info', subject: 'key exchange' }))
  })
})

describe('a server', () => {
  const HSTS = { 'strict-transport-security': 'max-age=31536000' }
  const answering =
    (headers: Readonly<Record<string, string>>): TestHandler =>
    (_, response) =>
      response.writeHead(200, headers).end()

  async function look(headers: Readonly<Record<string, string>>, world: { now?: number } = {}) {
    const ca = testCa()
    const identity = ca.issue({ names: ['localhost'] })
    const peer = await until(startTlsServer({ identity, minVersion: 'TLSv1.3', handler: answering(headers) }))
    const { file } = await workplace()
    const roots = await file('roots.pem', ca.anchorPem)
    const ran = await cliJson(['doctor', `https://localhost:${peer.port}/health?token=hunter2`, '--ca', roots], world)
    return { ...ran, peer }
  }

  test('shows what it offers', async () => {
    const { answer } = await look(HSTS)
    expect(answer).toMatchObject({ schema: 'pinfetch/doctor/v1', command: 'doctor' })
    expect(about(answer, 'connection')).toMatchObject([
      { message: expect.stringMatching(/^TLSv1\.3, TLS_AES_\w+, \w+$/) },
    ])
    expect(about(answer, 'OCSP')).toMatchObject([{ severity: 'info', message: 'no response is stapled' }])
    expect(about(answer, 'end entity CN=localhost')).toMatchObject([
      { severity: 'info', message: expect.stringMatching(/^EC P-256, ecdsa-with-SHA256, until .+ names localhost$/) },
    ])
    expect(findingsOf(answer).filter(({ severity }) => severity === 'warning' || severity === 'error')).toEqual([])
  })

  test('is asked once, by HEAD, without query and credentials', async () => {
    const { peer } = await look(HSTS)
    expect(peer.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['HEAD /health'])
    expect(Object.keys(peer.requests[0]?.headers ?? {})).not.toContain('authorization')
  })

  test.each([
    ['missing', {}],
    ['max-age=0 switches it off', { 'strict-transport-security': 'max-age=0' }],
    ['not as RFC 6797 §6.1 writes it', { 'strict-transport-security': 'yes' }],
  ])('without HSTS is told so: %s', async (message, headers: Record<string, string>) => {
    const { answer } = await look(headers)
    expect(about(answer, 'Strict-Transport-Security')).toMatchObject([{ severity: 'warning', message }])
    expect(about((await look(HSTS)).answer, 'Strict-Transport-Security')).toMatchObject([{ severity: 'ok' }])
  })

  test.each([
    ['via', '1.1 squid'],
    ['x-forwarded-for', '192.0.2.1'],
    ['forwarded', 'for=192.0.2.1'],
  ])('behind a proxy that adds %s', async (name, value) => {
    const { answer } = await look({ ...HSTS, [name]: value })
    expect(about(answer, name)).toMatchObject([{ severity: 'warning', message: expect.stringContaining(value) }])
    expect(about((await look(HSTS)).answer, name)).toEqual([])
  })

  test.each([
    [-400, 'error', '400 s behind'],
    [-100, 'warning', '100 s behind'],
    [0, 'ok', '0 s ahead of'],
  ])('whose clock is %i seconds apart', async (seconds, severity, message) => {
    const now = Math.floor(Date.now() / 1_000) * 1_000
    const { answer } = await look({ ...HSTS, date: new Date(now - seconds * 1_000).toUTCString() }, { now })
    expect(about(answer, 'clock')).toMatchObject([{ severity, message: expect.stringContaining(message) }])
  })

  test('whose certificate ends within two weeks', async () => {
    const { answer } = await look(HSTS, { now: Date.now() + 80 * DAY })
    expect(about(answer, 'end entity CN=localhost')).toMatchObject([{ severity: 'warning' }])
  })

  test('behind an interception product is told so, and is sent nothing while its CA is not trusted', async () => {
    const peer = await until(startTlsServer({ identity: testCa().issue({ names: ['localhost'] }) }))
    const box = await until(startInterceptor({ target: peer, ca: testCa({ name: 'Zscaler' }) }))
    const { exitCode, answer } = await cliJson(['doctor', `https://localhost:${box.port}/`])
    expect(about(answer, 'interception')).toMatchObject([
      { severity: 'error', message: expect.stringContaining('Zscaler') },
    ])
    expect(exitCode).toBe(1)
    expect(answer).toMatchObject({ ok: false, error: { code: 'ERR_POLICY_DOCTOR' }, data: { grade: 'F' } })
    expect(peer.applicationBytes).toBe(0)
    const { file } = await workplace()
    const roots = await file('roots.pem', box.ca.anchorPem)
    const trusting = await cliJson(['doctor', `https://localhost:${box.port}/`, '--ca', roots])
    expect(about(trusting.answer, 'interception')).toMatchObject([{ severity: 'error' }])
  })

  test('that speaks TLS 1.2 at most: ERR_TLS_VERSION, and nothing is sent', async () => {
    const ca = testCa()
    const peer = await until(startTlsServer({ identity: ca.issue({ names: ['localhost'] }), maxVersion: 'TLSv1.2' }))
    const roots = await (await workplace()).file('roots.pem', ca.anchorPem)
    const { answer, exitCode } = await cliJson(['doctor', `https://localhost:${peer.port}/`, '--ca', roots])
    expect(about(answer, 'ERR_TLS_VERSION')).toMatchObject([{ severity: 'error' }])
    expect([exitCode, peer.applicationBytes]).toEqual([1, 0])
  })

  test('that is not there: ERR_TRANSPORT_CONNECT, exit 3', async () => {
    const peer = await startTlsServer({ identity: testCa().issue({ names: ['localhost'] }) })
    await peer.close()
    const { exitCode, answer } = await cliJson(['doctor', `https://localhost:${peer.port}/`])
    expect(exitCode).toBe(3)
    expect(answer.error?.code).toBe('ERR_TRANSPORT_CONNECT')
  })

  test.each(['http://api.example.com/', 'https://word@api.example.com/', 'https://:word@api.example.com/'])(
    'by a URL such as %s: exit 2',
    async (url) => {
      expect(await cli(['doctor', url])).toMatchObject({ exitCode: 2, stderr: expect.not.stringContaining('word@') })
    },
  )
})

describe('a configuration', () => {
  const pin = (letter: string): `sha256/${string}` => `sha256/${letter.repeat(43)}=`
  async function examine(config: object, now?: number) {
    const { file } = await workplace()
    const ran = await cliJson(
      ['doctor', await file('pinfetch.json', JSON.stringify(config))],
      now === undefined ? {} : { now },
    )
    return { ...ran, findings: findingsOf(ran.answer) }
  }

  test('with a backup pin has nothing to mend, and without one a warning', async () => {
    const two = await examine({ pins: { 'api.example.com': [pin('A'), pin('E')] } })
    expect(two.findings).toMatchObject([
      { severity: 'ok', subject: 'pins of api.example.com' },
      { severity: 'info', subject: 'trust anchors' },
    ])
    const one = await examine({ pins: { 'api.example.com': [pin('A')] } })
    expect(one.findings[0]).toMatchObject({ severity: 'warning', message: expect.stringContaining('no backup pin') })
  })

  test.each([
    [10, 'warning', 'in 10 days'],
    [-10, 'error', '10 days ago'],
  ])('whose pins end in %i days', async (days, severity, message) => {
    const pins = { pins: [pin('A'), pin('E')], notAfter: new Date(NOW + days * DAY).toISOString() }
    const { findings } = await examine({ pins: { 'api.example.com': pins } }, NOW)
    expect(findings[0]).toMatchObject({ severity, message: expect.stringContaining(message) })
  })

  test('names what loosens it, its proxy, and a local address that is not there', async () => {
    const { findings } = await examine({
      pins: { 'api.example.com': [pin('A'), pin('E')] },
      mode: 'report',
      localAddress: '192.0.2.99',
      proxy: 'http://proxy.example:3128',
    })
    expect(findings).toContainEqual(expect.objectContaining({ severity: 'warning', subject: 'mode: report' }))
    expect(findings).toContainEqual(
      expect.objectContaining({
        severity: 'info',
        subject: 'proxy',
        message: expect.stringContaining('proxy.example'),
      }),
    )
    expect(findings).toContainEqual(expect.objectContaining({ severity: 'error', subject: 'localAddress 192.0.2.99' }))
    const here = await examine({ pins: { 'api.example.com': [pin('A'), pin('E')] }, localAddress: '127.0.0.1' })
    expect(here.findings).toContainEqual(expect.objectContaining({ severity: 'ok', subject: 'localAddress 127.0.0.1' }))
  })

  async function published(repository: TestRepository): Promise<string> {
    const place = await workplace()
    return place.file('c.json', JSON.stringify({ manifest: await publishTo(place, repository) }))
  }

  test('whose manifest is fetched: how fresh it is, and the pins without a backup', async () => {
    const hosts = { 'api.example.com': [pin('A'), pin('E')], 'old.example.com': [pin('I')] } as const
    const config = await published(await createTestRepository({ hosts }))
    const { answer } = await cliJson(['doctor', config])
    expect(about(answer, 'manifest')).toMatchObject([
      { severity: 'ok', message: expect.stringMatching(/^version 1, until /) },
      { severity: 'warning', message: expect.stringContaining('no cacheDir') },
    ])
    expect(about(answer, 'status')).toMatchObject([{ severity: 'ok' }])
    expect(about(answer, 'pins of old.example.com')).toMatchObject([{ severity: 'warning' }])
    expect(about(answer, 'pins of api.example.com')).toMatchObject([{ severity: 'ok' }])
    const late = await cliJson(['doctor', config], { now: Date.now() + 1_000 * DAY })
    expect(about(late.answer, 'manifest')).toMatchObject([
      { severity: 'error', message: expect.stringContaining('EXPIRED') },
    ])
  })

  test('before whose manifest the clock is: a warning, and ERR_MANIFEST_CLOCK_SKEW where it is too far behind', async () => {
    const clock = { now: () => NOW }
    const config = await published(
      await createTestRepository({ clock, hosts: { 'api.example.com': [pin('A'), pin('E')] } }),
    )
    const behind = await cliJson(['doctor', config], { now: NOW - 60_000 })
    const warning = (name: string) => ({
      severity: 'warning',
      message: expect.stringContaining(`the ${name} was signed in`),
    })
    expect(about(behind.answer, 'clock')).toMatchObject(['root', 'status', 'manifest'].map(warning))
    expect(about((await cliJson(['doctor', config], { now: NOW })).answer, 'clock')).toEqual([])
    const tooFar = await cliJson(['doctor', config], { now: NOW - DAY })
    expect(about(tooFar.answer, 'manifest')).toMatchObject([
      { severity: 'error', message: expect.stringContaining('ERR_MANIFEST_CLOCK_SKEW') },
    ])
  })

  test('whose manifest has lived two thirds of its life: a warning', async () => {
    const clock = { now: () => NOW }
    const config = await published(
      await createTestRepository({ clock, hosts: { 'api.example.com': [pin('A'), pin('E')] } }),
    )
    const { answer } = await cliJson(['doctor', config], { now: NOW + 5 * DAY })
    expect(about(answer, 'status')).toMatchObject([{ severity: 'warning', fix: 'Sign the next one.' }])
  })

  test('that is none: exit 2', async () => {
    expect((await examine({ pin: {} })).exitCode).toBe(2)
  })
})

test('prints lines for people, a grade at the end, and exits with 5 for warnings under --strict', async () => {
  const { file } = await workplace()
  const config = await file(
    'pinfetch.json',
    JSON.stringify({ pins: { 'api.example.com': [`sha256/${'A'.repeat(43)}=`] } }),
  )
  const { stdout } = await cli(['doctor', config])
  expect(stdout).toContain(`
${config}
  warning  pins of api.example.com: no backup pin: a lost key is an outage  PIN-BACKUP
           Pin a backup key that is kept elsewhere (RFC 7469 §4.3): pinfetch pin <host> --backup <key file>
`)
  expect(stdout).toMatch(/\n\ngrade [B-F] {2}0 errors, \d+ warnings?; held down by [A-Z-]+/)
  expect((await cli(['doctor', config, '--strict'])).exitCode).toBe(5)
  expect((await cli(['doctor', config])).exitCode).toBe(0) // whatever Node runs this
})

describe('a server and a configuration', () => {
  const ca = testCa({ name: 'Public' })
  const [known, spare, other] = [ca.issue({ names: ['localhost'] }), ca.issue(), ca.issue({ names: ['localhost'] })]

  /** What is said of a server beside a configuration. `listed`: it has a manifest, which lists these keys of products. */
  async function compare(
    identity: ServerIdentity,
    config: object,
    { listed, anchors = [ca.anchorPem] }: { listed?: readonly PinText[]; anchors?: readonly string[] } = {},
  ) {
    const peer = await until(startTlsServer({ identity, handler: (_, response) => response.end() }))
    const place = await workplace()
    await place.file('roots.pem', anchors.join('\n'))
    const content: Record<string, unknown> = { anchorsFile: './roots.pem', ...config }
    if (listed !== undefined) {
      const repository = await createTestRepository({ hosts: PINS })
      await repository.publish({ members: { interception: listed } })
      content['manifest'] = await publishTo(place, repository)
    }
    const name = await place.file('c.json', JSON.stringify(content))
    const ran = await cliJson(['doctor', name, `https://localhost:${peer.port}/`])
    return { ...ran, peer, verdict: about(ran.answer, `with ${name}`) }
  }
  const PINS = { localhost: [known.pin, spare.pin] }

  test('that has its pins: a client connects, and one HEAD is sent', async () => {
    for (const [config, listed] of [[{ pins: PINS }], [{}, []]] as const) {
      const { verdict, peer, exitCode, answer } = await compare(known, config, listed && { listed })
      expect(verdict).toMatchObject([{ severity: 'ok', message: 'a client connects' }])
      expect(about(answer, 'interception')).toEqual([])
      expect([exitCode, peer.requests.map(({ method }) => method)]).toEqual([0, ['HEAD']])
    }
  })

  test('that has other keys: ERR_TRUST_PIN_MISMATCH, and nothing is sent', async () => {
    for (const [config, listed] of [[{ pins: PINS }], [{}, []]] as const) {
      const { verdict, peer, exitCode } = await compare(other, config, listed && { listed })
      expect(verdict).toMatchObject([{ severity: 'error', message: expect.stringContaining('ERR_TRUST_PIN_MISMATCH') }])
      expect([exitCode, peer.applicationBytes]).toEqual([1, 0])
    }
  })

  test('that says nothing of it: ERR_TRUST_HOST_NOT_COVERED, and nothing is sent', async () => {
    const { verdict, peer } = await compare(known, { pins: { 'api.example.com': [known.pin, spare.pin] } })
    expect(verdict).toMatchObject([{ message: expect.stringContaining('ERR_TRUST_HOST_NOT_COVERED') }])
    expect(peer.applicationBytes).toBe(0)
  })

  test('in report mode: what is let through is a warning', async () => {
    const { verdict } = await compare(other, { pins: PINS, mode: 'report' })
    expect(verdict).toMatchObject([
      { severity: 'warning', message: expect.stringMatching(/^let through by report mode: .+ERR_TRUST_PIN_MISMATCH/) },
    ])
  })

  test('whose manifest cannot be had: ERR_TRUST_NO_TRUSTED_MANIFEST', async () => {
    const { root } = await createTestRepository()
    const { file } = await workplace()
    const manifest = { url: './nowhere', root: await file('root.json', root) }
    const { verdict, peer } = await compare(known, { manifest })
    expect(verdict).toMatchObject([{ message: expect.stringContaining('ERR_TRUST_NO_TRUSTED_MANIFEST') }])
    expect(peer.applicationBytes).toBe(0)
  })

  test('whose manifest lists a key of its chain as one of a product without a name', async () => {
    const box = testCa({ name: 'Inspection Box' })
    const intercepted = box.issue({ names: ['localhost'] })
    for (const anchors of [[ca.anchorPem], [ca.anchorPem, box.anchorPem]]) {
      const { answer, peer } = await compare(intercepted, {}, { listed: [box.issuer.pin], anchors })
      expect(about(answer, 'interception')).toMatchObject([
        { severity: 'error', message: expect.stringContaining(box.issuer.pin) },
      ])
      expect(peer.applicationBytes).toBe(0)
      const unlisted = await compare(intercepted, {}, { listed: [], anchors })
      expect(about(unlisted.answer, 'interception')).toEqual([])
    }
  })

  test('that refuses interception, its pins notwithstanding: ERR_TRUST_INTERCEPTION, and nothing is sent', async () => {
    const listed = [ca.issuer.pin]
    const refusing = await compare(known, { interception: 'refuse' }, { listed })
    expect(refusing.verdict).toMatchObject([
      { severity: 'error', message: expect.stringContaining('ERR_TRUST_INTERCEPTION') },
    ])
    expect(refusing.peer.applicationBytes).toBe(0)
    const reporting = await compare(known, {}, { listed })
    expect(reporting.verdict).toMatchObject([{ severity: 'ok' }])
    expect(about(reporting.answer, 'interception')).toMatchObject([{ severity: 'error' }])
  })
})
