/** The format of the three documents, member by member: what is read and what is refused, at both sides of each limit. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ManifestError } from '../../src/errors/errors.ts'
import { readManifest, readRoot, readStatus, schemaFault } from '../../src/manifest/payload.ts'
import { formatInstant, HostEntry } from '../../src/manifest/schema.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { testCa } from '../../src/testing/ca.ts'

type Json = Readonly<Record<string, unknown>>
/** What is limited, members that are read, members that are refused, and what is said: the place, or place and message. */
type Limit = readonly [string, Json, Json, string]

const many = <T>(count: number, item: (at: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, at) => item(at))
const long = (length: number, one = 'x'): string => one.repeat(length)
const base64 = (value: string | Uint8Array): string => Buffer.from(value).toString('base64')
const pin = (seed: string | number): string => `sha256/${createHash('sha256').update(`${seed}`).digest('base64')}`
const hex = (at: number): string => at.toString(16).padStart(64, '0')
const [march, april] = ['2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z']

/** What is wrong with a document; empty when nothing is. */
function faultIn(document: Json): string {
  const bytes = Buffer.from(JSON.stringify(document))
  const read = { root: readRoot, status: readStatus, manifest: readManifest }[String(document['type'])]
  try {
    read?.(bytes, {})
  } catch (error) {
    if (error instanceof ManifestError && error.code === 'ERR_MANIFEST_PAYLOAD_SCHEMA')
      return error.message.replace(/^\w+( \d+)?: /, '')
    throw error
  }
  return read === undefined ? 'no such document' : ''
}

/** What is wrong with a host entry. */
function faultInEntry(entry: Json): string {
  const { error } = HostEntry.safeParse(entry)
  return error === undefined ? '' : schemaFault(error)
}

function judge(limits: readonly Limit[], faultOf: (members: Json) => string): void {
  test.each(limits)('%s', (_, good, bad, fault) => {
    expect(faultOf(good)).toBe('')
    const seen = faultOf(bad)
    expect(fault.includes(': ') ? seen : seen.replace(/: .*/, '')).toBe(fault)
  })
}

const COMMON = { spec: '1.0', repo: 'acme/pins', env: 'prod', version: 1, issuedAt: march, expires: april }
const NO_DATE = 'expected YYYY-MM-DDTHH:MM:SSZ, a real date'
const NO_PIN = 'expected sha256/ and base64'
const NO_HOST = 'expected a host, *.host or **.host in canonical form'
const NO_DIGEST = 'expected 64 lower-case hexadecimal digits'
const ONE_INSTANT = 'one of notBefore, sctNotAfter'

const POINTER = { version: 1, length: 1, sha256: hex(1) }
const STATUS = {
  ...COMMON,
  type: 'status',
  epoch: 1,
  root: { version: 1 },
  manifest: POINTER,
  poll: { interval: 300, spread: 0.25 },
}
const inStatus = (members: Json): string => faultIn({ ...STATUS, ...members })

describe('members of every document', () => {
  judge(
    [
      ['a minor version of one digit to five', { spec: '1.99999' }, { spec: '1' }, 'spec'],
      ['nothing before the version', {}, { spec: 'v1.0' }, 'spec'],
      ['nothing behind the version', {}, { spec: '1.0-beta' }, 'spec'],
      ['a version that is text', { spec: '1.0' }, { spec: 1 }, 'spec'],
      ['a repository of one character', { repo: 'a' }, { repo: '' }, 'repo'],
      ['a repository of 128', { repo: long(128) }, { repo: long(129) }, 'repo'],
      ['a repository with separators inside', { repo: '0a._/-z9' }, { repo: '-a' }, 'repo'],
      ['a repository in lower case', { repo: 'acme/pins' }, { repo: 'acme/Pins' }, 'repo'],
      ['a repository without spaces', { repo: 'acme/pins' }, { repo: 'acme pins' }, 'repo'],
      ['an environment of one character', { env: '-' }, { env: '' }, 'env'],
      ['an environment of 32', { env: long(32) }, { env: long(33) }, 'env'],
      ['an environment of lower case, digits and hyphens', { env: 'eu-1' }, { env: 'eu_1' }, 'env'],
      ['an environment in one word', { env: 'prod' }, { env: 'prod eu' }, 'env'],
      ['version 1', { version: 1 }, { version: 0 }, 'version'],
      ['version 2^53−1', { version: Number.MAX_SAFE_INTEGER }, { version: 2 ** 53 }, 'version'],
      ['whole versions', { version: 2 }, { version: 1.5 }, 'version'],
      ['epoch 1', { epoch: 1 }, { epoch: 0 }, 'epoch'],
      ['64 critical members', { critical: many(64, () => 'deny') }, { critical: many(65, () => 'deny') }, 'critical'],
      ['a list of critical members', { critical: [] }, { critical: 'deny' }, 'critical'],
      [
        'the day before March',
        { issuedAt: '2026-02-28T23:59:59Z' },
        { issuedAt: '2026-02-29T23:59:59Z' },
        `issuedAt: ${NO_DATE}`,
      ],
      ['a leap day', { expires: '2028-02-29T00:00:00Z' }, { expires: '2028-02-30T00:00:00Z' }, `expires: ${NO_DATE}`],
      ['December', { expires: '2026-12-31T00:00:00Z' }, { expires: '2026-13-31T00:00:00Z' }, `expires: ${NO_DATE}`],
      [
        'a year of four digits',
        { expires: '9999-01-01T00:00:00Z' },
        { expires: '+010000-01-01T00:00:00Z' },
        `expires: ${NO_DATE}`,
      ],
      ['whole seconds', { expires: april }, { expires: '2026-04-01T00:00:00.000Z' }, `expires: ${NO_DATE}`],
      ['nothing behind the date', { expires: april }, { expires: `${april} ` }, `expires: ${NO_DATE}`],
      ['dates that are text', { expires: april }, { expires: Date.parse(april) }, 'expires'],
    ],
    inStatus,
  )

  test('an instant is written in seconds', () => {
    expect(formatInstant(toUnixMs(Date.parse('2026-03-01T00:00:59.999Z')))).toBe('2026-03-01T00:00:59Z')
  })
})

describe('root', () => {
  const x = Buffer.alloc(32, 1).toString('base64url')
  const ed25519 = { kty: 'OKP', crv: 'Ed25519', alg: 'Ed25519', x }
  const p256 = { kty: 'EC', crv: 'P-256', alg: 'ES256', x, y: x }
  const role = { keys: ['kid'], threshold: 1 }
  const roles = { root: role, manifest: { ...role, epoch: 1 }, status: { ...role, epoch: 1, mayDeny: true } }
  const ROOT = { ...COMMON, type: 'root', keys: [ed25519, p256], roles }
  const inRoot = (members: Json): string => faultIn({ ...ROOT, ...members })
  const withKey = (members: Json) => ({ keys: [ed25519, { ...p256, ...members }] })
  const withRole = (name: 'root' | 'manifest' | 'status', members: Json) => ({
    roles: { ...roles, [name]: { ...roles[name], ...members } },
  })
  const NO_COORDINATE = 'expected 32 bytes as base64url'
  const bytes = (length: number): string => Buffer.alloc(length, 1).toString('base64url')

  judge(
    [
      ['two keys', {}, { keys: [ed25519] }, 'keys'],
      ['32 keys', { keys: many(32, () => p256) }, { keys: many(33, () => p256) }, 'keys'],
      ['known key types', {}, withKey({ kty: 'RSA' }), 'keys[1].kty'],
      ['known curves', {}, withKey({ crv: 'P-384' }), 'keys[1].crv'],
      ['known algorithms', {}, withKey({ alg: 'EdDSA' }), 'keys[1].alg'],
      ['x of 32 bytes', withKey({ x: bytes(32) }), withKey({ x: bytes(31) }), `keys[1].x: ${NO_COORDINATE}`],
      ['y of 32 bytes', withKey({ y: bytes(32) }), withKey({ y: bytes(33) }), `keys[1].y: ${NO_COORDINATE}`],
      ['x in base64url', {}, withKey({ x: `${x}=` }), `keys[1].x: ${NO_COORDINATE}`],
      ['a holder with a name', withKey({ holder: 'x' }), withKey({ holder: '' }), 'keys[1].holder'],
      ['a name of 256 characters', withKey({ holder: long(256) }), withKey({ holder: long(257) }), 'keys[1].holder'],
      ['a note of 1,024', withKey({ note: long(1_024) }), withKey({ note: long(1_025) }), 'keys[1].note'],
      ['a kid that is text', withKey({ kid: 'kid' }), withKey({ kid: 1 }), 'keys[1].kid'],
      ...['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'].map(
        (member): Limit => [
          `no private member: ${member}`,
          withKey({ use: 'sig' }),
          withKey({ [member]: 'AAAA' }),
          'keys[1]: a private key member must not be published',
        ],
      ),
      ['every role', {}, { roles: { root: roles.root, manifest: roles.manifest } }, 'roles.status'],
      ['a key of a role', {}, withRole('root', { keys: [] }), 'roles.root.keys'],
      [
        '16 keys of a role',
        withRole('root', { keys: many(16, () => 'kid') }),
        withRole('root', { keys: many(17, () => 'kid') }),
        'roles.root.keys',
      ],
      ['a threshold from 1', {}, withRole('manifest', { threshold: 0 }), 'roles.manifest.threshold'],
      [
        'a threshold to 16',
        withRole('root', { threshold: 16 }),
        withRole('root', { threshold: 17 }),
        'roles.root.threshold',
      ],
      ['a whole threshold', {}, withRole('status', { threshold: 1.5 }), 'roles.status.threshold'],
      ['the epoch of the manifest role', {}, withRole('manifest', { epoch: 0 }), 'roles.manifest.epoch'],
      ['the epoch of the status role', {}, withRole('status', { epoch: undefined }), 'roles.status.epoch'],
      [
        'whether status may deny',
        withRole('status', { mayDeny: false }),
        withRole('status', { mayDeny: 1 }),
        'roles.status.mayDeny',
      ],
    ],
    inRoot,
  )
})

describe('status', () => {
  const withDeny = (members: Json) => ({ deny: [{ spki: pin('one'), reason: '', ...members }] })
  const canary = (members: Json) => ({ canary: { manifest: POINTER, percent: 1, salt: '', ...members } })
  const denies = (count: number) => ({ deny: many(count, () => ({ spki: pin('one'), reason: '' })) })
  const hosts = (count: number) => many(count, (at) => `h${at}.example.com`)
  const MAX_LENGTH = 64 * 1024 * 1024

  judge(
    [
      ['the version of the root', {}, { root: {} }, 'root.version'],
      ['the version of the manifest', {}, { manifest: { ...POINTER, version: 0 } }, 'manifest.version'],
      ['the length of the manifest, from 1', {}, { manifest: { ...POINTER, length: 0 } }, 'manifest.length'],
      [
        'the length of the manifest, to 64 MiB',
        { manifest: { ...POINTER, length: MAX_LENGTH } },
        { manifest: { ...POINTER, length: MAX_LENGTH + 1 } },
        'manifest.length',
      ],
      ...[hex(1).toUpperCase().replace('0', 'A'), hex(1).slice(1), `${hex(1)}0`, `${hex(1)}\n`].map(
        (sha256): Limit => [
          `the hash of the manifest, not ${JSON.stringify(sha256)}`,
          {},
          { manifest: { ...POINTER, sha256 } },
          `manifest.sha256: ${NO_DIGEST}`,
        ],
      ),
      ['where the manifest of a canary is', canary({}), canary({ manifest: {} }), 'canary.manifest.version'],
      ['a canary from 0 %', canary({ percent: 0 }), canary({ percent: -0.1 }), 'canary.percent'],
      ['a canary to 100 %', canary({ percent: 100 }), canary({ percent: 100.1 }), 'canary.percent'],
      ['the salt of a canary', canary({ salt: 'autumn' }), canary({ salt: undefined }), 'canary.salt'],
      ['256 denies', denies(256), denies(257), 'deny'],
      [
        'a pin to deny',
        withDeny({ spki: pin('two') }),
        withDeny({ spki: pin('two').slice(0, -1) }),
        `deny[0].spki: ${NO_PIN}`,
      ],
      ['a pin that is text', withDeny({}), withDeny({ spki: 1 }), `deny[0].spki: ${NO_PIN}`],
      ['the reason of a deny', withDeny({ reason: long(256) }), withDeny({ reason: long(257) }), 'deny[0].reason'],
      ['a host of a deny', withDeny({ hosts: hosts(1) }), withDeny({ hosts: [] }), 'deny[0].hosts'],
      ['1,000 hosts of a deny', withDeny({ hosts: hosts(1_000) }), withDeny({ hosts: hosts(1_001) }), 'deny[0].hosts'],
      [
        'hosts of a deny as entries spell them',
        withDeny({ hosts: ['**.a.example'] }),
        withDeny({ hosts: ['A.example'] }),
        `deny[0].hosts[0]: ${NO_HOST}`,
      ],
      ['members of a deny', withDeny({}), withDeny({ until: april }), 'deny[0]: unknown member "until"'],
      [
        'an interval of a second',
        { poll: { interval: 1, spread: 0 } },
        { poll: { interval: 0, spread: 0 } },
        'poll.interval',
      ],
      ['a spread from 0', { poll: { interval: 1, spread: 0 } }, { poll: { interval: 1, spread: -0.1 } }, 'poll.spread'],
      ['a spread to 1', { poll: { interval: 1, spread: 1 } }, { poll: { interval: 1, spread: 1.1 } }, 'poll.spread'],
    ],
    inStatus,
  )
})

describe('host entry', () => {
  const ENTRY = { host: 'api.example.com', mode: 'enforce', pins: [{ spki: pin('one') }, { spki: pin('two') }] }
  const inEntry = (members: Json): string => faultInEntry({ ...ENTRY, ...members })
  const withPin = (members: Json) => ({ pins: [{ spki: pin('one'), ...members }, { spki: pin('two') }] })
  const revocation = (members: Json) => ({ revocation: { mode: 'report', ...members } })
  const blocks = (count: number) => many(count, (at) => `10.0.${at}.0/24`)
  const sets = (count: number) => many(count, (at) => `set-${at}`)
  const uri = (length: number): string => `spiffe://example.org/${long(length - 21)}`

  judge(
    [
      ...[
        'API.example.com',
        'api.example.com.',
        '_dmarc.example.com',
        '*._tcp.example.com',
        'a_.example.com',
        'example.com_',
        '*.com',
        '',
      ].map(
        (host): Limit => [
          `a host, not ${JSON.stringify(host)}`,
          { host: 'a_b.example.com' },
          { host },
          `host: ${NO_HOST}`,
        ],
      ),
      [
        'a host as long as any',
        { host: `**.${long(60)}.${long(60)}.${long(60)}.${long(60)}.example` },
        { host: long(301) },
        'host',
      ],
      ['a port from 1', { port: 1 }, { port: 0 }, 'port'],
      ['a port to 65,535', { port: 65_535 }, { port: 65_536 }, 'port'],
      ['the mode enforce', { mode: 'enforce' }, { mode: 'off' }, 'mode'],
      ['the mode report', { mode: 'report' }, { mode: '' }, 'mode'],
      ['when it begins', { enforceFrom: april }, { enforceFrom: '2026-04' }, `enforceFrom: ${NO_DATE}`],
      ['a ramp from 1 %', { rampPercent: 1 }, { rampPercent: 0.9 }, 'rampPercent'],
      ['a ramp to 100 %', { rampPercent: 100 }, { rampPercent: 100.1 }, 'rampPercent'],
      ['a pin', { pins: [{ spki: pin('one') }] }, { pins: [] }, 'pins'],
      [
        '16 pins',
        { pins: many(16, (at) => ({ spki: pin(at) })) },
        { pins: many(17, (at) => ({ spki: pin(at) })) },
        'pins',
      ],
      [
        'pins of three hashes',
        withPin({ spki: `sha512/${base64(long(64))}` }),
        withPin({ spki: `sha1/${base64(long(20))}` }),
        `pins[0].spki: ${NO_PIN}`,
      ],
      [
        'the beginning of a pin',
        withPin({ notBefore: march }),
        withPin({ notBefore: 'march' }),
        `pins[0].notBefore: ${NO_DATE}`,
      ],
      ['the end of a pin', withPin({ notAfter: april }), withPin({ notAfter: 1 }), 'pins[0].notAfter'],
      ['a pin of the end entity', withPin({ require: 'endEntity' }), withPin({ require: 'leaf' }), 'pins[0].require'],
      ['a pin of an issuer', withPin({ require: 'issuer' }), withPin({ require: '' }), 'pins[0].require'],
      ['a label', withPin({ label: long(256) }), withPin({ label: long(257) }), 'pins[0].label'],
      ['members of a pin', {}, withPin({ maxAge: 1 }), 'pins[0]: unknown member "maxAge"'],
      ['two groups', { allOf: [[0], [1]] }, { allOf: [[0]] }, 'allOf'],
      ['groups with a pin each', { allOf: [[0], [0, 1]] }, { allOf: [[], [1]] }, 'allOf[0]'],
      ['groups of 16', { allOf: [many(16, () => 0), [1]] }, { allOf: [many(17, () => 0), [1]] }, 'allOf[0]'],
      ['pins of a group from 0', { allOf: [[0], [1]] }, { allOf: [[0], [-1]] }, 'allOf[1][0]'],
      [
        'pins of a group to 15',
        { pins: many(16, (at) => ({ spki: pin(at) })), allOf: [[0], [15]] },
        { pins: many(16, (at) => ({ spki: pin(at) })), allOf: [[0], [16]] },
        'allOf[1][0]',
      ],
      [
        'pins of the first group that are listed',
        {},
        { allOf: [[2], [1]] },
        'payload: allOf names a pin that is not listed',
      ],
      [
        'pins of the second group that are listed',
        {},
        { allOf: [[0], [1, 2]] },
        'payload: allOf names a pin that is not listed',
      ],
      ['one pin alone, said to be so', { singlePin: true }, { singlePin: false }, 'singlePin'],
      ['own keys', { keyControl: 'own' }, { keyControl: 'none' }, 'keyControl'],
      ['a partner’s keys', { keyControl: 'partner' }, { keyControl: '' }, 'keyControl'],
      ['to block when stale', { onStale: 'block' }, { onStale: 'allow' }, 'onStale'],
      ['to report when stale', { onStale: 'report' }, { onStale: '' }, 'onStale'],
      ...['report', 'soft-fail', 'hard-fail'].map(
        (mode): Limit => [
          `revocation: ${mode}, never off`,
          revocation({ mode }),
          revocation({ mode: 'off' }),
          'revocation.mode',
        ],
      ),
      [
        'sources of revocation',
        revocation({ sources: ['short-lived', 'staple', 'cache', 'crl', 'ocsp'] }),
        revocation({ sources: [''] }),
        'revocation.sources[0]',
      ],
      ['a source of revocation', revocation({ sources: ['crl'] }), revocation({ sources: [] }), 'revocation.sources'],
      [
        'revocation of the end entity',
        revocation({ depth: 'endEntity' }),
        revocation({ depth: 'all' }),
        'revocation.depth',
      ],
      ['revocation of the chain', revocation({ depth: 'chain' }), revocation({ depth: '' }), 'revocation.depth'],
      ...['never', 'if-must-staple', 'always'].map(
        (staple): Limit => [
          `stapling: ${staple}`,
          revocation({ staple }),
          revocation({ staple: '' }),
          'revocation.staple',
        ],
      ),
      ...['background', 'blocking', 'never'].map(
        (fetch): Limit => [`fetching: ${fetch}`, revocation({ fetch }), revocation({ fetch: '' }), 'revocation.fetch'],
      ),
      ['members of revocation', revocation({}), revocation({ soft: true }), 'revocation: unknown member "soft"'],
      ['an SCT that is required', { requireSct: true }, { requireSct: 'yes' }, 'requireSct'],
      ['TLS 1.3', { minTlsVersion: '1.3' }, { minTlsVersion: '1.1' }, 'minTlsVersion'],
      [
        'TLS 1.2 with a reason',
        { minTlsVersion: '1.2', reason: 'x' },
        { minTlsVersion: '1.2' },
        'payload: minTlsVersion 1.2 needs a reason',
      ],
      ['a version of TLS that is one', { reason: 'x' }, { minTlsVersion: '', reason: 'x' }, 'minTlsVersion'],
      ['a reason with words', { reason: long(256) }, { reason: '' }, 'reason'],
      ['a review', { reviewBy: april }, { reviewBy: 'april' }, `reviewBy: ${NO_DATE}`],
      [
        'a client certificate that is required',
        { clientCertificate: 'required' },
        { clientCertificate: 'none' },
        'clientCertificate',
      ],
      [
        'a client certificate that is optional',
        { clientCertificate: 'optional' },
        { clientCertificate: '' },
        'clientCertificate',
      ],
      ['a set of anchors', { trustAnchors: sets(1) }, { trustAnchors: [] }, 'trustAnchors'],
      ['32 sets of anchors', { trustAnchors: sets(32) }, { trustAnchors: sets(33) }, 'trustAnchors'],
      ...[
        'spiffe://example.org',
        'spiffe://example.org/',
        'spiffe:///api',
        'https://example.org/api',
        'x spiffe://example.org/api',
      ].map(
        (expectedUri): Limit => [
          `a SPIFFE ID, not ${JSON.stringify(expectedUri)}`,
          { expectedUri: 'spiffe://example.org/a' },
          { expectedUri },
          'expectedUri',
        ],
      ),
      ['a SPIFFE ID of 2,048 characters', { expectedUri: uri(2_048) }, { expectedUri: uri(2_049) }, 'expectedUri'],
      [
        'an address block',
        { allowedAddresses: ['10.0.0.0/32'] },
        { allowedAddresses: ['10.0.0.0/33'] },
        'allowedAddresses[0]: expected a CIDR block',
      ],
      ['some addresses', { allowedAddresses: blocks(1) }, { allowedAddresses: [] }, 'allowedAddresses'],
      [
        '256 address blocks',
        { allowedAddresses: blocks(256) },
        { allowedAddresses: [...blocks(256), '::/0'] },
        'allowedAddresses',
      ],
      ['an age of a second', { maxConnectionAge: 1 }, { maxConnectionAge: 0 }, 'maxConnectionAge'],
      [
        'the legacy profile with its sunset',
        { profile: 'legacy', sunset: april },
        { profile: 'legacy' },
        'payload: profile legacy needs a sunset',
      ],
      ['a profile that is one', { sunset: april }, { profile: '', sunset: april }, 'profile'],
      ['a sunset', { sunset: april }, { sunset: 'april' }, `sunset: ${NO_DATE}`],
      ['containment, said to be so', { contained: true }, { contained: false }, 'contained'],
      ['members of an entry', {}, { until: april }, 'payload: unknown member "until"'],
    ],
    inEntry,
  )
})

const MANIFEST = { ...COMMON, type: 'manifest', epoch: 1, staleGrace: 0, hosts: [] }
const inManifest = (members: Json): string => faultIn({ ...MANIFEST, ...members })

describe('manifest', () => {
  const MIB = 1024 * 1024
  const withBlobs = (...blobs: readonly Json[]) => ({ hosts: undefined, blobs })
  const blob = (members: Json = {}) => ({ sha256: hex(1), length: 1, ...members })
  const pins = (count: number) => many(count, pin)
  const ca = testCa({ intermediate: { serial: Uint8Array.of(0x11, 0x22, 0x33) } })
  const anchor = base64(ca.root.der)
  const sound = base64(ca.issuer.der)
  const flawed = Buffer.from(ca.issuer.der)
  Buffer.from('0203912233', 'hex').copy(flawed, flawed.indexOf(Buffer.from('0203112233', 'hex')))
  const NO_ANCHOR = 'expected the base64 of a certificate in DER'

  judge(
    [
      ['a grace from 0 s', { staleGrace: 0 }, { staleGrace: -1 }, 'staleGrace'],
      ['a grace of whole seconds', { staleGrace: 1 }, { staleGrace: 0.5 }, 'staleGrace'],
      ['hosts in one place', {}, { blobs: [blob()] }, 'payload: exactly one of hosts and blobs'],
      ['hosts in some place', withBlobs(blob()), { hosts: undefined }, 'payload: exactly one of hosts and blobs'],
      ['200,000 hosts', { hosts: many(200_000, () => 0) }, { hosts: many(200_001, () => 0) }, 'hosts'],
      ['a blob', withBlobs(blob()), withBlobs(), 'blobs'],
      ['4,096 blobs', withBlobs(...many(4_096, () => blob())), withBlobs(...many(4_097, () => blob())), 'blobs'],
      ['a blob by its hash', withBlobs(blob()), withBlobs(blob({ sha256: 'AA' })), `blobs[0].sha256: ${NO_DIGEST}`],
      ['a blob of a byte', withBlobs(blob({ length: 1 })), withBlobs(blob({ length: 0 })), 'blobs[0].length'],
      ['a blob of 1 MiB', withBlobs(blob({ length: MIB })), withBlobs(blob({ length: MIB + 1 })), 'blobs[0].length'],
      [
        'blobs of 64 MiB together',
        withBlobs(...many(64, () => blob({ length: MIB }))),
        withBlobs(...many(64, () => blob({ length: MIB })), blob()),
        'blobs: blobs are too long together',
      ],
      ['a shard', withBlobs(blob({ shard: [0, 1] })), withBlobs(blob({ shard: [] })), 'blobs[0].shard'],
      ['a shard from 0', withBlobs(blob({ shard: [1, 2] })), withBlobs(blob({ shard: [-1, 2] })), 'blobs[0].shard[0]'],
      ['a shard of some', withBlobs(blob({ shard: [0, 2] })), withBlobs(blob({ shard: [0, 0] })), 'blobs[0].shard[1]'],
      ['members of a blob', withBlobs(blob()), withBlobs(blob({ hosts: 1 })), 'blobs[0]: unknown member "hosts"'],
      ['10,000 keys that are denied no more', { undeny: pins(10_000) }, { undeny: pins(10_001) }, 'undeny'],
      ['10,000 interception keys', { interception: pins(10_000) }, { interception: pins(10_001) }, 'interception'],
      [
        'a set of anchors',
        { anchorSets: { partner: [anchor] } },
        { anchorSets: { partner: [] } },
        'anchorSets.partner',
      ],
      [
        '32 anchors in a set',
        { anchorSets: { partner: many(32, () => anchor) } },
        { anchorSets: { partner: many(33, () => anchor) } },
        'anchorSets.partner',
      ],
      ...['Partner', '-partner', 'partner_1', ''].map(
        (name): Limit => [
          `the name of a set, not ${JSON.stringify(name)}`,
          { anchorSets: { 'a-1': [anchor], 7: [anchor] } },
          { anchorSets: { [name]: [anchor] } },
          name === '' ? 'anchorSets.' : `anchorSets.${name}`,
        ],
      ),
      [
        'an anchor in base64',
        { anchorSets: { a: [anchor] } },
        { anchorSets: { a: [`${anchor} `] } },
        `anchorSets.a[0]: ${NO_ANCHOR}`,
      ],
      [
        'an anchor that is a certificate',
        { anchorSets: { a: [anchor] } },
        { anchorSets: { a: ['AAAA'] } },
        `anchorSets.a[0]: ${NO_ANCHOR}`,
      ],
      [
        'an anchor that a path may hold',
        { anchorSets: { a: [sound] } },
        { anchorSets: { a: [base64(flawed)] } },
        `anchorSets.a[0]: ${NO_ANCHOR}`,
      ],
      [
        'an anchor below 12 KiB',
        { anchorSets: { a: [anchor] } },
        { anchorSets: { a: [long(16_385, 'A')] } },
        'anchorSets.a[0]',
      ],
    ],
    inManifest,
  )
})

describe('revocations of a manifest', () => {
  const inRevocations = (revocations: Json): string => inManifest({ revocations })
  const why = { reason: 'found' }
  const spki = (members: Json = {}) => ({ sha256: pin('one'), since: march, reason: '', ...members })
  const distrusted = (members: Json = {}) => ({ spkiSha256: pin('ca'), notBefore: march, ...members })
  const issued = (count: number, members: Json = {}) => ({
    issuerSpkiSha256: pin('ca'),
    serials: many(count, (at) => at.toString(16).padStart(4, '0')),
    ...members,
  })
  const certificates = (count: number) => many(count, (at) => ({ sha256: hex(at) }))
  const hosts = (count: number) => many(count, (at) => `h${at}.example.com`)
  const TOO_MANY = 'revocations: more than 10,000 revocations'
  const TOO_MANY_BACK = 'revocations: more than 10,000 revocations are taken back'
  const NO_RECORD = 'revocations.unrevoked[0]: Invalid input'
  const unrevoked = (record: Json) => ({ unrevoked: [record] })

  judge(
    [
      ['members', {}, { keys: [] }, 'revocations: unknown member "keys"'],
      ['a key', { spki: [spki()] }, { spki: [spki({ sha256: hex(1) })] }, `revocations.spki[0].sha256: ${NO_PIN}`],
      ['a key since when', { spki: [spki()] }, { spki: [spki({ since: undefined })] }, 'revocations.spki[0].since'],
      ['a key and why', { spki: [spki()] }, { spki: [spki({ reason: undefined })] }, 'revocations.spki[0].reason'],
      [
        'a key and where',
        { spki: [spki({ hosts: hosts(1) })] },
        { spki: [spki({ hosts: [] })] },
        'revocations.spki[0].hosts',
      ],
      [
        'a key on 1,000 hosts',
        { spki: [spki({ hosts: hosts(1_000) })] },
        { spki: [spki({ hosts: hosts(1_001) })] },
        'revocations.spki[0].hosts',
      ],
      [
        'members of a key',
        { spki: [] },
        { spki: [spki({ until: april })] },
        'revocations.spki[0]: unknown member "until"',
      ],
      [
        'a certificate',
        { certificate: certificates(1) },
        { certificate: [{ sha256: pin('one') }] },
        `revocations.certificate[0].sha256: ${NO_DIGEST}`,
      ],
      [
        'members of a certificate',
        { certificate: [] },
        { certificate: [{ sha256: hex(1), reason: '' }] },
        'revocations.certificate[0]: unknown member "reason"',
      ],
      [
        'an issuer',
        { issuerSerial: [issued(1)] },
        { issuerSerial: [issued(1, { issuerSpkiSha256: '' })] },
        `revocations.issuerSerial[0].issuerSpkiSha256: ${NO_PIN}`,
      ],
      ...['1', 'AB', `0x12`, '12 ', long(65, '1')].map(
        (serial): Limit => [
          `a serial number in hexadecimal, not ${JSON.stringify(serial)}`,
          { issuerSerial: [issued(0, { serials: ['0f', long(64, 'a')] })] },
          { issuerSerial: [issued(0, { serials: [serial] })] },
          'revocations.issuerSerial[0].serials[0]',
        ],
      ),
      [
        'a CA from a date on',
        { distrustAfter: [distrusted()] },
        { distrustAfter: [distrusted({ spkiSha256: 'ca' })] },
        `revocations.distrustAfter[0].spkiSha256: ${NO_PIN}`,
      ],
      [
        'a CA by its timestamps',
        { distrustAfter: [distrusted({ notBefore: undefined, sctNotAfter: march })] },
        { distrustAfter: [distrusted({ notBefore: undefined })] },
        `revocations.distrustAfter[0]: ${ONE_INSTANT}`,
      ],
      [
        'a CA in one way',
        { distrustAfter: [distrusted()] },
        { distrustAfter: [distrusted({ sctNotAfter: march })] },
        `revocations.distrustAfter[0]: ${ONE_INSTANT}`,
      ],
      [
        '10,000 certificates',
        { certificate: certificates(10_000) },
        { certificate: certificates(10_000), spki: [spki()] },
        TOO_MANY,
      ],
      [
        '10,000 keys',
        { spki: many(10_000, () => spki()) },
        { spki: many(10_000, () => spki()), certificate: certificates(1) },
        TOO_MANY,
      ],
      [
        '10,000 CAs',
        { distrustAfter: many(10_000, () => distrusted()) },
        { distrustAfter: many(10_000, () => distrusted()), spki: [spki()] },
        TOO_MANY,
      ],
      [
        '10,000 serial numbers',
        { issuerSerial: [issued(10_000)] },
        { issuerSerial: [issued(10_000)], spki: [spki()] },
        TOO_MANY,
      ],
      [
        '10,000 of all kinds together',
        {
          certificate: certificates(4_998),
          issuerSerial: [issued(2_500), issued(2_500)],
          spki: [spki()],
          distrustAfter: [distrusted()],
        },
        {
          certificate: certificates(4_999),
          issuerSerial: [issued(2_500), issued(2_500)],
          spki: [spki()],
          distrustAfter: [distrusted()],
        },
        TOO_MANY,
      ],
      [
        'a key that is back',
        unrevoked({ sha256: pin('one'), since: march, hosts: hosts(1), ...why }),
        unrevoked({ sha256: pin('one'), reason: '' }),
        NO_RECORD,
      ],
      ['a certificate that is back', unrevoked({ sha256: hex(1), ...why }), unrevoked({ sha256: hex(1) }), NO_RECORD],
      ['serial numbers that are back', unrevoked(issued(1, why)), unrevoked(issued(1)), NO_RECORD],
      ['a CA that is back', unrevoked(distrusted(why)), unrevoked(distrusted()), NO_RECORD],
      [
        'members of a key that is back',
        unrevoked({ sha256: pin('one'), ...why }),
        unrevoked({ sha256: pin('one'), spki: 1, ...why }),
        NO_RECORD,
      ],
      [
        'a CA that is back from a date on',
        unrevoked(distrusted(why)),
        unrevoked(distrusted({ ...why, sctNotAfter: march })),
        `revocations.unrevoked[0]: ${ONE_INSTANT}`,
      ],
      [
        'a CA that is back by its timestamps',
        unrevoked({ spkiSha256: pin('ca'), sctNotAfter: march, ...why }),
        unrevoked({ spkiSha256: pin('ca'), ...why }),
        `revocations.unrevoked[0]: ${ONE_INSTANT}`,
      ],
      [
        '10,000 that are back',
        { unrevoked: [issued(9_999, why), { sha256: hex(1), ...why }] },
        { unrevoked: [issued(10_000, why), { sha256: hex(1), ...why }] },
        TOO_MANY_BACK,
      ],
    ],
    inRevocations,
  )
})

describe('transparency logs of a manifest', () => {
  const usable = { timestamp: march }
  const log = (at: number, members: Json = {}) => ({
    log_id: createHash('sha256').update(`key ${at}`).digest('base64'),
    key: base64(`key ${at}`),
    state: { usable },
    ...members,
  })
  const operator = (members: Json = {}) => ({ name: 'Example', ...members })
  const ct = (members: Json) => ({
    policy: 'enforce',
    logList: { timestamp: march, operators: [operator()], ...members },
  })
  const inLogs = (members: Json): string => inManifest({ ct: { ...ct({}), ...members } })
  const list = (...operators: readonly Json[]) => ct({ operators })
  const one = (members: Json) => list(operator({ logs: [log(1, members)] }))
  const PLACE = 'ct.logList.operators[0]'

  judge(
    [
      ...['off', 'report', 'enforce'].map(
        (policy): Limit => [`the policy ${policy}`, { policy }, { policy: '' }, 'ct.policy'],
      ),
      ['members', {}, { logs: [] }, 'ct: unknown member "logs"'],
      ['a list with its date', ct({}), ct({ timestamp: 'march' }), `ct.logList.timestamp: ${NO_DATE}`],
      ['an operator', ct({}), list(), 'ct.logList.operators'],
      [
        '64 operators',
        list(...many(64, () => operator())),
        list(...many(65, () => operator())),
        'ct.logList.operators',
      ],
      ['an operator with a name', list(operator({ name: 'x' })), list(operator({ name: '' })), `${PLACE}.name`],
      [
        '256 logs of an operator',
        list(operator({ logs: many(256, (at) => log(at)) })),
        list(operator({ logs: many(257, (at) => log(at)) })),
        `${PLACE}.logs`,
      ],
      [
        '256 tiled logs of an operator',
        list(operator({ tiled_logs: many(256, (at) => log(at)) })),
        list(operator({ tiled_logs: many(257, (at) => log(at)) })),
        `${PLACE}.tiled_logs`,
      ],
      [
        'operators with logs of one kind',
        list(operator({ logs: [log(1)] }), operator({ logs: [log(2)] })),
        list(operator({ logs: [log(1)] }), operator({ logs: [log(1)] })),
        'ct.logList: a log stands in the list twice',
      ],
      [
        'operators with logs of the other',
        list(operator({ tiled_logs: [log(1)] }), operator({ tiled_logs: [log(2)] })),
        list(operator({ logs: [log(1)], tiled_logs: [log(1)] })),
        'ct.logList: a log stands in the list twice',
      ],
      [
        'a log with a key',
        one({}),
        one({ log_id: base64(createHash('sha256').digest()), key: '' }),
        `${PLACE}.logs[0].key: expected base64`,
      ],
      ['a key in base64', one({}), one({ key: '*' }), `${PLACE}.logs[0].key: expected base64`],
      [
        'the id of the key',
        one({}),
        one({ key: base64('other') }),
        `${PLACE}.logs[0]: log_id is not the SHA-256 of the key`,
      ],
      ['a key of 2,048 characters', one({}), one({ key: long(2_052, 'A') }), `${PLACE}.logs[0].key`],
      ['a description', one({ description: 'x' }), one({ description: 1 }), `${PLACE}.logs[0].description`],
      ...['url', 'submission_url', 'monitoring_url'].map(
        (url): Limit => [
          `an ${url} of 2,048 characters`,
          one({ [url]: long(2_048) }),
          one({ [url]: long(2_049) }),
          `${PLACE}.logs[0].${url}`,
        ],
      ),
      ['a delay from 0 s', one({ mmd: 0 }), one({ mmd: -1 }), `${PLACE}.logs[0].mmd`],
      ...['pending', 'qualified', 'usable', 'readonly', 'retired', 'rejected'].flatMap((state): readonly Limit[] => [
        [
          `the state ${state} since when`,
          one({ state: { [state]: usable } }),
          one({ state: { [state]: {} } }),
          `${PLACE}.logs[0].state.${state}.timestamp`,
        ],
        [
          `the state ${state} alone`,
          one({}),
          one({ state: { [state]: usable, [state === 'usable' ? 'retired' : 'usable']: usable } }),
          `${PLACE}.logs[0].state: expected one state`,
        ],
      ]),
      ['some state', one({}), one({ state: {} }), `${PLACE}.logs[0].state: expected one state`],
      [
        'the time it is for',
        one({ temporal_interval: { start_inclusive: march, end_exclusive: april } }),
        one({ temporal_interval: { start_inclusive: march } }),
        `${PLACE}.logs[0].temporal_interval.end_exclusive`,
      ],
      ['members that nobody here reads', one({ log_type: 'prod' }), one({ mmd: 'a day' }), `${PLACE}.logs[0].mmd`],
    ],
    inLogs,
  )
})
