import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  createTestRepository,
  startTlsServer,
  type TestRepository,
  type TestTlsServer,
  type TlsServerOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import type { Machine } from '../../src/cli/doctor-surroundings.ts'
import { until } from '../support/client.ts'
import { cliJson, workplace } from './support.ts'

/** A clean machine, configuration and server; each seed spoils one thing. */
interface Site {
  readonly machine: Partial<Machine>
  readonly config: Readonly<Record<string, unknown>>
  readonly repository?: TestRepository
  readonly anchors: string
  /** `false`: no URL is given. */
  readonly server: Partial<TlsServerOptions> | false
  readonly headers: Readonly<Record<string, string>>
}

const DAY = 86_400_000
const ca = testCa({ name: 'Public' })
const [known, spare, third] = [ca.issue({ names: ['localhost'] }), ca.issue(), ca.issue()]
const stranger = testCa({ name: 'Stranger' })
const product = testCa({ name: 'Zscaler' })
const deep = testCa({ name: 'Deep', intermediates: 2 })
const far = deep.issue({ names: ['localhost'] })
const inspected = product.issue({ names: ['localhost'] })

const CLEAN: Site = {
  machine: {
    env: {},
    flags: [],
    replaced: [],
    node: '26.13.1',
    openssl: '3.5.9',
    hasHybrid: true,
    anchors: { bundled: 121, added: 0 },
    interfaces: [],
    now: Date.UTC(2026, 11, 1), // of the machine alone: certificates are judged by the real clock
    driftMs: 0,
  },
  config: { pins: { localhost: [known.pin, spare.pin] } },
  anchors: ca.anchorPem,
  server: { identity: known, minVersion: 'TLSv1.3' },
  headers: { 'strict-transport-security': 'max-age=31536000' },
}

type Seed = Partial<Site> | Promise<Partial<Site>>
interface Weakness {
  readonly id: string
  readonly grade: string
  /** What is to be done, as the line says it. */
  readonly fix: RegExp
  readonly seed: () => Seed
  /** What follows from the same seed. */
  readonly also?: readonly string[]
}

const machine = (changed: Partial<Machine>): Partial<Site> => ({ machine: { ...CLEAN.machine, ...changed } })
const env = (name: string, value: string) => machine({ env: { [name]: value } })
const server = (changed: Partial<TlsServerOptions>): Partial<Site> => ({ server: { ...CLEAN.server, ...changed } })
const headers = (changed: Readonly<Record<string, string>>): Partial<Site> => ({
  headers: { ...CLEAN.headers, ...changed },
})
const HOSTS = { localhost: [known.pin, spare.pin, third.pin] } as const
const manifest = (more: object = { cacheDir: './cache' }) => ({
  manifest: { url: './public', root: './root.json', ...more },
})
const published = async (
  options: Parameters<typeof createTestRepository>[0] = { hosts: HOSTS },
): Promise<Partial<Site>> => ({
  config: manifest(),
  repository: await createTestRepository(options),
})

const WEAKNESSES: Readonly<Record<string, Weakness>> = {
  'TLS verification switched off for the process': {
    id: 'ENV-TLS',
    grade: 'C',
    fix: /^Unset NODE_TLS_REJECT_UNAUTHORIZED/,
    seed: () => env('NODE_TLS_REJECT_UNAUTHORIZED', '0'),
  },
  'an extra CA in the environment': {
    id: 'ENV-ANCHORS',
    grade: 'B',
    fix: /^Unset NODE_EXTRA_CA_CERTS/,
    seed: () => env('NODE_EXTRA_CA_CERTS', '/x.pem'),
  },
  'a proxy in the environment': {
    id: 'ENV-PROXY',
    grade: 'B',
    fix: /^Unset HTTPS_PROXY/,
    seed: () => env('HTTPS_PROXY', 'http://proxy.example:3128'),
  },
  'a log of TLS keys': {
    id: 'ENV-KEYLOG',
    grade: 'C',
    fix: /^Unset --tls-keylog/,
    seed: () => machine({ flags: ['--tls-keylog=/tmp/keys'] }),
  },
  'a lenient HTTP parser': {
    id: 'ENV-PARSER',
    grade: 'B',
    fix: /^Remove the flag/,
    seed: () => machine({ flags: ['--insecure-http-parser'] }),
  },
  'a name check that a module replaced': {
    id: 'ENV-REPLACED',
    grade: 'C',
    fix: /^Find the module/,
    seed: () => machine({ replaced: ['tls.checkServerIdentity'] }),
  },
  'a Node that ends soon': {
    id: 'NODE-EOL',
    grade: 'B',
    fix: /^Move to a newer release/,
    seed: () => machine({ node: '22.23.5', now: Date.UTC(2027, 2, 1) }),
  },
  'a Node that lacks a fix of TLS': {
    id: 'NODE-CVE',
    grade: 'C',
    fix: /^Update Node to 26\.13\.1/,
    seed: () => machine({ node: '26.12.1' }),
  },
  'a clock before this version was made': {
    id: 'CLOCK-WALL',
    grade: 'D',
    fix: /^Set the clock/,
    seed: () => machine({ now: Date.UTC(2020, 0, 1) }),
  },
  'a clock that was set while the command ran': {
    id: 'CLOCK-WALL',
    grade: 'B',
    fix: /^Set the clock/,
    seed: () => machine({ driftMs: -60_000 }),
  },
  'a host without a backup pin': {
    id: 'PIN-BACKUP',
    grade: 'B',
    fix: /^Pin a backup key/,
    seed: () => ({ config: { pins: { localhost: [ca.issuer.pin] } } }),
  },
  'one pin alone, of the end entity': {
    id: 'PIN-LEAF',
    grade: 'B',
    fix: /^Pin the key of its issuer/,
    seed: () => ({ config: { pins: { localhost: [known.pin] } } }),
    also: ['PIN-BACKUP'],
  },
  'end-entity keys that a partner replaces': {
    id: 'PIN-LEAF',
    grade: 'B',
    fix: /^Pin the key of its issuer/,
    seed: () => {
      const pins = [known.pin, spare.pin].map((spki) => ({ spki, require: 'endEntity' as const }))
      return published({ hosts: [{ host: 'localhost', mode: 'enforce', keyControl: 'partner', pins }] })
    },
  },
  'pins that end in ten days': {
    id: 'PIN-EXPIRY',
    grade: 'B',
    fix: /^Renew them/,
    seed: () => {
      const notAfter = new Date(Date.now() + 10 * DAY).toISOString()
      return { config: { pins: { localhost: { pins: [known.pin, spare.pin], notAfter } } } }
    },
  },
  'a pin that is denied': {
    id: 'PIN-DENIED',
    grade: 'B',
    fix: /^Pin the key that takes its place/,
    seed: async () => {
      const site = await published()
      await site.repository?.deny([third.pin])
      return site
    },
  },
  'a denied pin that was the backup': {
    id: 'PIN-BACKUP',
    grade: 'B',
    fix: /^Pin a backup key/,
    seed: async () => {
      const site = await published({ hosts: { localhost: [known.pin, spare.pin] } })
      await site.repository?.deny([spare.pin])
      return site
    },
    also: ['PIN-DENIED'],
  },
  'pins that are only reported': {
    id: 'CONFIG-REPORT',
    grade: 'C',
    fix: /^Enforce/,
    seed: () => ({ config: { ...CLEAN.config, mode: 'report' } }),
  },
  'a configuration that refuses the server': {
    id: 'CONFIG-CLIENT',
    grade: 'D',
    fix: /^pinfetch explain ERR_TRUST_PIN_MISMATCH/,
    seed: () => ({ config: { pins: { localhost: [spare.pin, third.pin] } } }),
  },
  'an address that no interface has': {
    id: 'NET-BIND',
    grade: 'D',
    fix: /VPN/,
    seed: () => ({ config: { ...CLEAN.config, localAddress: '192.0.2.99' }, server: false }),
  },
  'a manifest that cannot be had': {
    id: 'MANIFEST-FETCH',
    grade: 'D',
    fix: /^pinfetch explain ERR_/,
    seed: async () => ({
      ...(await published()),
      config: { manifest: { url: './nowhere', root: './root.json' } },
      server: false,
    }),
  },
  'a manifest without a cache': {
    id: 'MANIFEST-CACHE',
    grade: 'B',
    fix: /^Name one/,
    seed: async () => ({ ...(await published()), config: manifest({}) }),
  },
  'a status that is late': {
    id: 'MANIFEST-FRESH',
    grade: 'B',
    fix: /^Sign the next one/,
    seed: () => published({ hosts: HOSTS, clock: { now: () => Date.now() - 5 * DAY } }),
  },
  'a clock behind the one that signed': {
    id: 'CLOCK-SIGNED',
    grade: 'B',
    fix: /^Set the clock/,
    seed: () => published({ hosts: HOSTS, clock: { now: () => Date.now() + 120_000 } }),
  },
  'a clock apart from the server’s': {
    id: 'CLOCK-SERVER',
    grade: 'D',
    fix: /^Set the clock/,
    seed: () => headers({ date: new Date(Date.now() - 3_600_000).toUTCString() }),
  },
  'a server whose path does not verify': {
    id: 'SERVER-PATH',
    grade: 'D',
    fix: /^pinfetch explain ERR_TRUST_UNKNOWN_ISSUER/,
    seed: () => ({ anchors: stranger.anchorPem }),
    also: ['CONFIG-CLIENT'],
  },
  'a certificate that ends in five days': {
    id: 'SERVER-EXPIRY',
    grade: 'B',
    fix: /renewal/,
    seed: () => {
      const [notBefore, notAfter] = [Date.now() - 85 * DAY, Date.now() + 5 * DAY]
      return server({ identity: ca.issue({ names: ['localhost'], key: known.key, notBefore, notAfter }) })
    },
  },
  'a certificate of a private CA for three years': {
    id: 'SERVER-LIFETIME',
    grade: 'B',
    fix: /ACME/,
    seed: () => {
      const [notBefore, notAfter] = [Date.now() - 400 * DAY, Date.now() + 426 * DAY]
      return server({ identity: ca.issue({ names: ['localhost'], key: known.key, notBefore, notAfter }) })
    },
  },
  'an RSA key of 2048 bits beyond 2030': {
    id: 'SERVER-KEY',
    grade: 'B',
    fix: /P-256 key, or for RSA with 3072 bits/,
    seed: () => {
      const identity = ca.issue({ names: ['localhost'], keyType: 'RSA-2048', notAfter: Date.UTC(2031, 0, 1) })
      return { config: { pins: { localhost: [identity.pin, spare.pin] } }, ...server({ identity }) }
    },
    also: ['SERVER-LIFETIME'],
  },
  'a certificate beside the path': {
    id: 'SERVER-CHAIN',
    grade: 'B',
    fix: /its path alone/,
    seed: () => server({ identity: { certificates: [...known.chain, stranger.issuer.der], key: known.keyPem } }),
  },
  'certificates out of order': {
    id: 'SERVER-CHAIN',
    grade: 'B',
    fix: /^Sort it/,
    seed: () => {
      const [endEntity = known.der, ...issuers] = far.chain
      return {
        anchors: deep.anchorPem,
        config: { pins: { localhost: [far.pin, spare.pin] } },
        ...server({ identity: { certificates: [endEntity, ...issuers.toReversed()], key: far.keyPem } }),
      }
    },
  },
  'a protocol that was retired': {
    id: 'SERVER-TLS',
    grade: 'B',
    fix: /TLS 1\.2 and 1\.3 alone/,
    seed: () => server({ minVersion: 'TLSv1' }),
    also: ['SERVER-SUITE'], // of those that it has, none is an AEAD
  },
  'a suite without AEAD': {
    id: 'SERVER-SUITE',
    grade: 'B',
    fix: /^Have the server accept ECDHE/,
    seed: () => server({ minVersion: 'TLSv1.2' }),
  },
  'no Strict-Transport-Security': {
    id: 'SERVER-HSTS',
    grade: 'B',
    fix: /max-age=31536000/,
    seed: () => ({ headers: {} }),
  },
  'a proxy in front of the server': {
    id: 'SERVER-PROXY',
    grade: 'B',
    fix: /find out who/,
    seed: () => headers({ via: '1.1 squid' }),
  },
  'an interception product that the configuration lets in': {
    id: 'INTERCEPTION',
    grade: 'F',
    fix: /another network/,
    seed: () => ({
      anchors: product.anchorPem,
      config: { pins: { localhost: [inspected.pin, spare.pin] } },
      ...server({ identity: inspected }),
    }),
  },
}

describe('the grade', () => {
  test('is A where nothing is to be done, with pins in code and with a manifest', async () => {
    for (const spoiled of [{}, await published()]) {
      const { answer, exitCode, said } = await examine(spoiled)
      expect(said.filter(({ severity }) => severity !== 'ok' && severity !== 'info')).toEqual([])
      expect(answer.data).toMatchObject({ grade: 'A', lowered: [] })
      expect(exitCode).toBe(0)
    }
  })

  test.each(Object.entries(WEAKNESSES))('is lowered by %s', async (_, { id, grade, fix, seed, also = [] }) => {
    const { answer, said } = await examine(await seed())
    const { data } = answer as unknown as { data: { grade: string; lowered: { id: string; grade: string }[] } }
    expect(data.lowered.map((one) => one.id).toSorted()).toEqual([id, ...also].toSorted())
    expect(data.lowered).toContainEqual({ id, grade })
    expect(data.grade).toBe(grade)
    const lines = said.filter((one) => one.id === id && (one.severity === 'warning' || one.severity === 'error'))
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) expect(line.fix).toMatch(fix)
  })

  test('says what of the checklist was looked at, and how it comes about', async () => {
    const { answer } = await examine({ headers: {} })
    expect(answer.data).toMatchObject({ rule: expect.stringContaining('the lowest grade'), knownUntil: '2026-11-11' })
    const checklist = (answer.data?.['checklist'] ?? []) as { id: string; result: string | null }[]
    const resultOf = (id: string) => checklist.find((check) => check.id === id)?.result
    expect(['SERVER-HSTS', 'SERVER-PATH', 'SERVER-STAPLE', 'MANIFEST-FETCH'].map(resultOf)).toEqual([
      'warning',
      'ok',
      'info',
      null,
    ])
    const unknown = Object.values(WEAKNESSES).filter(({ id }) => !checklist.some((check) => check.id === id))
    expect(unknown).toEqual([])
  })
})

test('the checklist keeps its ids, which dashboards compare from one release to the next', async () => {
  const { answer } = await examine({ server: false })
  const checklist = (answer.data?.['checklist'] ?? []) as { id: string; about: string }[]
  expect(checklist.map(({ id }) => id)).toEqual(IDS.trim().split(/\s+/))
  expect(checklist.filter(({ about }) => about.length < 10)).toEqual([])
})

async function examine(spoiled: Partial<Site>) {
  const site = { ...CLEAN, ...spoiled }
  const { path, file } = await workplace()
  for (const [name, bytes] of site.repository?.files() ?? []) {
    await mkdir(dirname(path(`public/${name}`)), { recursive: true })
    await file(`public/${name}`, bytes)
  }
  if (site.repository !== undefined) await file('root.json', site.repository.root)
  await file('roots.pem', site.anchors)
  const config = await file('pinfetch.json', JSON.stringify({ anchorsFile: './roots.pem', ...site.config }))
  const peer = site.server === false ? undefined : await serve(site.server, site.headers)
  const url = peer === undefined ? [] : [`https://localhost:${peer.port}/`]
  const ran = await cliJson(['doctor', config, ...url], { machine: site.machine })
  const { sections = [] } = (ran.answer.data ?? {}) as { sections?: { findings: Line[] }[] }
  return { ...ran, said: sections.flatMap(({ findings }) => findings) }
}

interface Line {
  readonly id: string
  readonly severity: string
  readonly fix: string | null
}

function serve(options: Partial<TlsServerOptions>, fields: Readonly<Record<string, string>>): Promise<TestTlsServer> {
  const handler: TlsServerOptions['handler'] = (_, response) => response.writeHead(200, fields).end()
  return until(startTlsServer({ identity: known, ...options, handler }))
}

const IDS = `
  ENV-TLS ENV-ANCHORS ENV-PROXY ENV-KEYLOG ENV-PARSER ENV-REPLACED NODE-EOL NODE-CVE NODE-OPENSSL
  NODE-KEX NODE-ANCHORS CLOCK-WALL CLOCK-SIGNED CLOCK-SERVER NET-EGRESS NET-BIND NET-PROXY CONFIG-REPORT CONFIG-LOOSENED CONFIG-ANCHORS CONFIG-CLIENT PIN-BACKUP PIN-EXPIRY PIN-DENIED PIN-LEAF
  MANIFEST-FETCH MANIFEST-FRESH MANIFEST-CACHE SERVER-PATH SERVER-EXPIRY SERVER-LIFETIME SERVER-KEY SERVER-CHAIN SERVER-TLS
  SERVER-SUITE SERVER-STAPLE SERVER-HSTS SERVER-PROXY SERVER-ANSWER INTERCEPTION
`
