import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { codeOf, createWorld, forge, host, payloadOf, pin, startedWorld, type World } from './world.ts'

type Json = Record<string, unknown>

/** What a client says to a status, changed and well signed. */
async function judgeStatus(change: (status: Json) => unknown): Promise<string> {
  const { world, updater } = await startedWorld()
  const view = updater.current()
  await world.repository.publishStatus({ now: world.now() })
  const status = payloadOf(world.repository.files().get('status.json'))
  world.serve('status.json', forge(asObject(change(status)) ?? status, 'status', world.repository.roles().status.keys))
  const code = await codeOf(world.refresh(updater)).catch((error: Error) => error.message)
  expect(updater.current()).toBe(view)
  const accepted = updater.health().statusVersion > 1
  await updater.close()
  return accepted ? 'accepted' : code
}

/** What a client says to a manifest, changed and well signed, with a status that names exactly it. */
async function judgeManifest(change: (manifest: Json & { hosts: Json[] }, world: World) => unknown): Promise<string> {
  const { world, updater } = await startedWorld()
  await world.repository.publishManifest([host('api.example.com')], { now: world.now(), status: false })
  const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/2.')) as string
  const manifest = payloadOf(world.repository.files().get(path)) as Json & { hosts: Json[] }
  const payload = Buffer.from(JSON.stringify(asObject(change(manifest, world)) ?? manifest))
  const pointer = { version: 2, length: payload.length, sha256: createHash('sha256').update(payload).digest('hex') }
  await world.repository.publishStatus({ now: world.now(), members: { manifest: pointer } })
  world.serve(`manifests/2.${pointer.sha256}.json`, forge(payload, 'manifest', world.repository.roles().manifest.keys))
  const code = await codeOf(world.refresh(updater)).catch(() => 'accepted')
  expect(updater.current().version).toBe(code === 'accepted' ? 2 : 1)
  await updater.close()
  return code
}

const asObject = (value: unknown): object | undefined =>
  typeof value === 'object' && value !== null ? value : undefined

const SCHEMA = 'ERR_MANIFEST_PAYLOAD_SCHEMA'

describe('common members', () => {
  test.each([
    ['another env', { env: 'staging' }, 'ERR_MANIFEST_WRONG_ENV'],
    ['another repo', { repo: 'acme/other' }, 'ERR_MANIFEST_WRONG_REPO'],
    ['spec 2.0', { spec: '2.0' }, 'ERR_MANIFEST_SPEC_UNSUPPORTED'],
    [
      'an unknown member named critical',
      { spec: '1.7', later: 1, critical: ['later'] },
      'ERR_MANIFEST_UNKNOWN_CRITICAL_FIELD',
    ],
    ['an absent member named critical', { critical: ['toString'] }, 'ERR_MANIFEST_UNKNOWN_CRITICAL_FIELD'],
    ['an expiry that is no date', { expires: 'not-a-date' }, SCHEMA],
    ['30 February', { expires: '2026-02-30T00:00:00Z' }, SCHEMA],
    ['a leap second', { expires: '2026-06-30T23:59:60Z' }, SCHEMA],
    ['24 o’clock', { expires: '2026-01-05T24:00:00Z' }, SCHEMA],
    ['an offset', { expires: '2026-01-05T00:00:00+01:00' }, SCHEMA],
    ['fractional seconds', { expires: '2026-01-05T00:00:00.5Z' }, SCHEMA],
    ['version 1.5', { version: 1.5 }, SCHEMA],
    ['version 2^53', { version: 2 ** 53 }, SCHEMA],
    ['version 0', { version: 0 }, SCHEMA],
    ['version −1', { version: -1 }, SCHEMA],
    ['version "1"', { version: '1' }, SCHEMA],
    ['a deny with an unknown member', { deny: [{ spki: pin('one'), reason: '', unless: 'x' }] }, SCHEMA],
    ['no type', { type: undefined }, 'ERR_MANIFEST_PAYLOAD_TYPE'],
  ])('%s is refused with its code (cases 62 to 70)', async (_, members, code) => {
    expect(await judgeStatus((status) => void Object.assign(status, members))).toBe(code)
  })

  test('a later minor version with an unknown member is accepted (case 65)', async () => {
    expect(await judgeStatus((status) => void Object.assign(status, { spec: '1.7', later: { a: 1 } }))).toBe('accepted')
  })

  test('a known member may be critical', async () => {
    expect(await judgeStatus((status) => void Object.assign(status, { critical: ['deny', 'poll'] }))).toBe('accepted')
  })

  test('a payload that is no object is refused with ERR_MANIFEST_PAYLOAD_SCHEMA', async () => {
    expect(await judgeStatus(() => [1])).toBe(SCHEMA)
  })
})

const serials = (count: number) => ({
  issuerSpkiSha256: pin('ca'),
  serials: Array.from({ length: count }, (_, at) => (at + 4096).toString(16)),
})

const LOG = {
  description: 'Example 2026h1',
  log_id: createHash('sha256').update('key of a log').digest('base64'),
  key: Buffer.from('key of a log').toString('base64'),
  url: 'https://ct.example.com/2026h1/',
  mmd: 86_400,
  state: { usable: { timestamp: '2025-01-01T00:00:00Z' } },
  temporal_interval: { start_inclusive: '2026-01-01T00:00:00Z', end_exclusive: '2026-07-01T00:00:00Z' },
  log_type: 'prod', // a member of the public lists that nobody here reads
}
const CT = {
  policy: 'report',
  logList: {
    timestamp: '2025-12-31T00:00:00Z',
    operators: [{ name: 'Example', email: ['ct@example.com'], logs: [LOG], tiled_logs: [] }],
  },
} as const

describe('manifest', () => {
  const withHost = (members: Json) => judgeManifest(({ hosts: [entry = {}] }) => void Object.assign(entry, members))

  test('two entries for one host are refused with ERR_MANIFEST_DUPLICATE_HOST (case 71)', async () => {
    expect(await judgeManifest(({ hosts }) => void hosts.push({ ...hosts[0] }))).toBe('ERR_MANIFEST_DUPLICATE_HOST')
  })

  test('two entries for one host on different ports are accepted', async () => {
    expect(await judgeManifest(({ hosts }) => void hosts.push({ ...hosts[0], port: 8443 }))).toBe('accepted')
  })

  test.each([
    'API.example.com',
    '__proto__',
    'api.example.com.',
    'bücher.example',
    '010.0.0.1',
    '::0001',
    '[::1]',
    '*.127.0.0.1',
    '*.com',
    'a.*.example.com',
    'https://api.example.com',
    'api.example.com:443',
    '',
  ])('the host %j is refused with ERR_MANIFEST_PAYLOAD_SCHEMA (case 72)', async (name) => {
    expect(await withHost({ host: name })).toBe(SCHEMA)
  })

  test.each(['*.example.com', '**.example.com', '10.0.0.1', '::1', 'xn--bcher-kva.example', 'localhost'])(
    'the host %j is accepted',
    async (name) => {
      expect(await withHost({ host: name })).toBe('accepted')
    },
  )

  test('one enforced pin is refused with ERR_MANIFEST_NO_BACKUP_PIN, unless the entry says so (case 73)', async () => {
    expect(await withHost({ pins: [{ spki: pin('one') }] })).toBe('ERR_MANIFEST_NO_BACKUP_PIN')
    expect(await withHost({ pins: [{ spki: pin('one') }], singlePin: true })).toBe('accepted')
    expect(await withHost({ pins: [{ spki: pin('one') }], mode: 'report' })).toBe('accepted')
  })

  test('a pin listed twice is refused with ERR_MANIFEST_DUPLICATE_PIN (case 74)', async () => {
    const pins = [{ spki: pin('one') }, { spki: pin('one'), label: 'again' }]
    expect(await withHost({ pins })).toBe('ERR_MANIFEST_DUPLICATE_PIN')
  })

  test('a pin that ends before it begins is refused with ERR_MANIFEST_PIN_WINDOW (case 75)', async () => {
    const window = { notBefore: '2026-02-01T00:00:00Z', notAfter: '2026-02-01T00:00:00Z' }
    expect(await withHost({ pins: [{ spki: pin('one'), ...window }, { spki: pin('two') }] })).toBe(
      'ERR_MANIFEST_PIN_WINDOW',
    )
  })

  test('both or neither of hosts and blobs is refused with ERR_MANIFEST_PAYLOAD_SCHEMA (case 76)', async () => {
    const blobs = [{ sha256: 'a'.repeat(64), length: 10 }]
    expect(await judgeManifest((manifest) => ({ ...manifest, blobs }))).toBe(SCHEMA)
    expect(await judgeManifest(({ hosts: _, ...manifest }) => manifest)).toBe(SCHEMA)
  })

  test('10,000 revocations of all kinds together are accepted, one more is refused with ERR_MANIFEST_PAYLOAD_SCHEMA', async () => {
    const certificate = Array.from({ length: 4_999 }, (_, at) => ({ sha256: at.toString(16).padStart(64, '0') }))
    const serials = Array.from({ length: 5_000 }, (_, at) => at.toString(16).padStart(4, '0'))
    const issuerSerial = [{ issuerSpkiSha256: pin('issuer'), serials }]
    const spki = [{ sha256: pin('gone'), since: '2026-01-01T00:00:00Z', reason: 'stolen' }]
    const revocations = { certificate, issuerSerial, spki, unrevoked: [{ sha256: pin('back'), reason: 'found' }] }
    expect(await judgeManifest((manifest) => ({ ...manifest, revocations }))).toBe('accepted')
    const distrustAfter = [{ spkiSha256: pin('ca'), notBefore: '2026-01-01T00:00:00Z' }]
    expect(await judgeManifest((manifest) => ({ ...manifest, revocations: { ...revocations, distrustAfter } }))).toBe(
      SCHEMA,
    )
  })

  test.each<[string, object]>([
    ['without a reason', { sha256: pin('back') }],
    ['with an empty one', { sha256: pin('back'), reason: '' }],
    ['with an unknown member', { sha256: pin('back'), reason: 'found', until: '2030-01-01T00:00:00Z' }],
    ['with a certificate on some hosts', { sha256: 'a'.repeat(64), hosts: ['api.example.com'], reason: 'found' }],
    ['with distrust of no date', { spkiSha256: pin('ca'), reason: 'found' }],
    ['that is a text', pin('back') as unknown as object],
    ['for more than 10,000 serial numbers', { ...serials(10_001), reason: 'found' }],
  ])('a record of `unrevoked` %s is refused with ERR_MANIFEST_PAYLOAD_SCHEMA', async (_, record) => {
    const unrevoked = (list: readonly object[]) =>
      judgeManifest((manifest) => ({ ...manifest, revocations: { unrevoked: list } }))
    expect(await unrevoked([{ sha256: pin('back'), reason: 'found' }])).toBe('accepted')
    expect(await unrevoked([{ ...serials(10_000), reason: 'found' }])).toBe('accepted')
    expect(await unrevoked([record])).toBe(SCHEMA)
  })

  test('hosts of 1 MiB and more do not stand inline: ERR_MANIFEST_PAYLOAD_SCHEMA', async () => {
    const sized = (count: number) => Array.from({ length: count }, (_, at) => host(`h${at}.example.com`))
    expect(await judgeManifest((manifest) => ({ ...manifest, hosts: sized(4_000) }))).toBe('accepted')
    expect(await judgeManifest((manifest) => ({ ...manifest, hosts: sized(9_000) }))).toBe(SCHEMA)
  })

  test('200,001 hosts are refused with ERR_MANIFEST_PAYLOAD_SCHEMA (case 77)', async () => {
    const hosts = Array.from({ length: 200_001 }, (_, at) => host(`h${at}.example.com`))
    expect(await judgeManifest((manifest) => ({ ...manifest, hosts }))).toBe(SCHEMA)
  }, 120_000)

  test.each([
    ['TLS 1.2 without a reason (case 160)', { minTlsVersion: '1.2' }],
    ['the legacy profile without sunset (case 161)', { profile: 'legacy' }],
    ['an unknown member', { pinsToo: [] }],
    ['an unknown member of a pin', { pins: [{ spki: pin('one'), maxAge: 1 }, { spki: pin('two') }] }],
    ['a pin that is no digest', { pins: [{ spki: 'sha256/AAAA' }, { spki: pin('two') }] }],
    ['a pin of another hash', { pins: [{ spki: `sha1/${'A'.repeat(27)}=` }, { spki: pin('two') }] }],
    ['no pin', { pins: [] }],
    ['seventeen pins', { pins: Array.from({ length: 17 }, (_, at) => ({ spki: pin(`${at}`) })) }],
    ['a group that names a missing pin', { allOf: [[0], [2]] }],
    ['revocation switched off', { revocation: { mode: 'off' } }],
    ['an anchor set that is not there', { trustAnchors: ['partner'] }],
    ['an address block that is none', { allowedAddresses: ['10.0.0.0/33'] }],
    ['port 0', { port: 0 }],
    ['rampPercent 0', { rampPercent: 0 }],
  ])('a host entry with %s is refused with ERR_MANIFEST_PAYLOAD_SCHEMA', async (_, members) => {
    expect(await withHost(members)).toBe(SCHEMA)
  })

  test('every member of a host entry is read', async () => {
    const members = {
      port: 8443,
      enforceFrom: '2026-02-01T00:00:00Z',
      rampPercent: 30,
      allOf: [[0], [1]],
      keyControl: 'partner',
      onStale: 'report',
      revocation: {
        mode: 'hard-fail',
        sources: ['staple', 'crl'],
        depth: 'chain',
        staple: 'always',
        fetch: 'blocking',
      },
      requireSct: true,
      minTlsVersion: '1.2',
      reason: 'appliance',
      reviewBy: '2026-03-01T00:00:00Z',
      clientCertificate: 'required',
      expectedUri: 'spiffe://example.org/api',
      allowedAddresses: ['10.0.0.0/8', '2001:db8::/32'],
      maxConnectionAge: 600,
      profile: 'legacy',
      sunset: '2026-06-01T00:00:00Z',
      contained: true,
    }
    expect(await withHost(members)).toBe('accepted')
  })

  test('a manifest that carries another version than its status says is refused with ERR_MANIFEST_VERSION_MISMATCH (case 97)', async () => {
    expect(await judgeManifest((manifest) => ({ ...manifest, version: 3 }))).toBe('ERR_MANIFEST_VERSION_MISMATCH')
  })

  test('an expired manifest is refused with ERR_MANIFEST_EXPIRED (case 99)', async () => {
    expect(await judgeManifest((manifest) => ({ ...manifest, expires: '2026-01-01T00:00:00Z' }))).toBe(
      'ERR_MANIFEST_EXPIRED',
    )
  })

  test('a manifest issued tomorrow is refused with ERR_MANIFEST_CLOCK_SKEW', async () => {
    expect(await judgeManifest((manifest) => ({ ...manifest, issuedAt: '2026-01-02T00:00:00Z' }))).toBe(
      'ERR_MANIFEST_CLOCK_SKEW',
    )
  })

  test('transparency logs and interception products are read, and stand in the view', async () => {
    const world = await createWorld()
    const members = { ct: CT, interception: [pin('proxy')] }
    await world.repository.publishManifest([host()], { now: world.now(), members })
    const updater = world.start()
    await world.drive(updater.ready())
    const { ct, interception } = updater.current()
    expect(interception).toEqual([pin('proxy')])
    expect(ct).toMatchObject({
      policy: 'report',
      logList: { operators: [{ name: 'Example', logs: [{ log_id: LOG.log_id }] }] },
    })
    expect(ct?.logList.timestamp).toBe(Date.parse(CT.logList.timestamp))
    await updater.close()
  })

  const listing = (log: object) => ({
    ...CT,
    logList: { ...CT.logList, operators: [{ name: 'Example', logs: [log] }] },
  })
  test('a list of logs may have members and kinds of logs that nobody here knows (case 608)', async () => {
    const list = { ...CT.logList, log_list_timestamp: CT.logList.timestamp, version: '99' }
    const operators = [{ ...CT.logList.operators[0], quantum_logs: [{ id: 1 }] }]
    const ct = { ...CT, logList: { ...list, operators } }
    expect(await judgeManifest((manifest) => ({ ...manifest, ct }))).toBe('accepted')
  })

  test.each<[string, object]>([
    ['a policy that is none', { ct: { ...CT, policy: 'on' } }],
    ['no list', { ct: { policy: 'report' } }],
    ['an unknown member', { ct: { ...CT, hosts: [] } }],
    ['a list without a date', { ct: { ...CT, logList: { operators: CT.logList.operators } } }],
    ['a list without operators', { ct: { ...CT, logList: { ...CT.logList, operators: [] } } }],
    ['a log under a foreign id (case 610)', { ct: listing({ ...LOG, key: Buffer.from('other').toString('base64') }) }],
    ['a log in no state', { ct: listing({ ...LOG, state: {} }) }],
    ['a log in two states', { ct: listing({ ...LOG, state: { ...LOG.state, retired: LOG.state.usable } }) }],
    ['a log whose key is no base64', { ct: listing({ ...LOG, key: '*' }) }],
    ['an interception key that is no pin', { interception: ['proxy'] }],
    ['interception keys that are no list', { interception: pin('proxy') }],
  ])('ct or interception with %s is refused with ERR_MANIFEST_PAYLOAD_SCHEMA', async (_, members) => {
    expect(await judgeManifest((manifest) => ({ ...manifest, ct: listing(LOG), interception: [pin('proxy')] }))).toBe(
      'accepted',
    )
    expect(await judgeManifest((manifest) => ({ ...manifest, ...members }))).toBe(SCHEMA)
  })

  test('members that this version reads but does not act on may not be critical', async () => {
    expect(await judgeManifest((manifest) => ({ ...manifest, critical: ['interception'] }))).toBe(
      'ERR_MANIFEST_UNKNOWN_CRITICAL_FIELD',
    )
    expect(await judgeManifest((manifest) => ({ ...manifest, critical: ['ct'] }))).toBe('accepted')
  })
})

test('a manifest served with another hash or length is refused with its code (cases 95, 96)', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/')) as string
  const { manifest } = world.repository.roles()
  const payload = Buffer.from(JSON.stringify(payloadOf(world.repository.files().get(path)), null, 1)).toString()
  const updater = world.start()
  world.serve(path, forge(Buffer.from(`${payload.replace('api', 'apj')}\n`), 'manifest', manifest.keys))
  expect(await codeOf(world.drive(updater.refresh()))).toBe('ERR_MANIFEST_HASH_MISMATCH')
  world.serve(path, forge(Buffer.from(`${payload}  \n`), 'manifest', manifest.keys))
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_LENGTH_MISMATCH')
  await updater.close()
})
