/** The rules about a document that is signed well, one by one and at their limits: what passes and what does not, a second apart. */
import { expect, test } from 'vitest'
import {
  acceptManifest,
  acceptSigned,
  acceptStatus,
  checkNamed,
  checkRootExpiry,
  type ManifestFloor,
  type StatusVerdict,
  verifyManifest,
} from '../../src/manifest/accept.ts'
import { parseAnchor, verifyAnchor } from '../../src/manifest/root.ts'
import { toUnixMs, type UnixMs } from '../../src/ports/runtime.ts'
import { createRepository } from '../../src/publisher/repository.ts'
import { DAY, forge, host, payloadOf, pin, refusalOf, text } from './world.ts'

const NOW = toUnixMs(Date.parse('2026-03-01T12:00:00Z'))
const SECOND = 1_000
const EXPECTED = { repo: 'acme/pins', env: 'prod' }

const repository = await createRepository({ ...EXPECTED, now: NOW, rootTtlMs: 400 * DAY })
await repository.publishManifest([host()], { now: NOW, ttlMs: 30 * DAY })
const root = await verifyAnchor(parseAnchor(repository.anchor, EXPECTED))
const { status: statusRole, manifest: manifestRole } = repository.roles()
const published = repository.files()
const at = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z')

type Payload = Record<string, unknown>
type Pointer = { readonly version: number; readonly length: number; readonly sha256: string }

const status = (change: Payload = {}): Uint8Array =>
  forge({ ...payloadOf(published.get('status.json')), ...change }, 'status', statusRole.keys)
const current = payloadOf(status())['manifest'] as Pointer
const issued = (payload: Payload): number => Date.parse(String(payload['issuedAt']))
const issuedAt = issued(payloadOf(status()))
const [, manifestBytes = new Uint8Array()] = [...published].find(([path]) => path.startsWith('manifests/')) ?? []

interface Known {
  readonly now?: number
  readonly floor?: ManifestFloor
  readonly trusted?: Uint8Array
  readonly mayDeny?: boolean
}

async function judge(
  bytes: Uint8Array,
  { now = NOW, floor, trusted, mayDeny = true }: Known = {},
): Promise<StatusVerdict> {
  const { roles } = root.payload
  const under = { ...root, payload: { ...root.payload, roles: { ...roles, status: { ...roles.status, mayDeny } } } }
  const first = trusted === undefined ? undefined : await acceptStatus(trusted, { root, now: NOW })
  const before = first?.kind === 'accepted' ? first.status : undefined
  return acceptStatus(bytes, {
    root: under,
    floor,
    trusted: before,
    now: toUnixMs(now),
    source: 'https://pins.example',
  })
}

const floorAt = (version: number, more: Partial<ManifestFloor> = {}): ManifestFloor => {
  const expires: UnixMs = toUnixMs(NOW + DAY)
  return { version, sha256: current.sha256, current: version, revocations: {}, expires, ...more }
}
const pointer = (version: number, sha256 = current.sha256): Pointer => ({ ...current, version, sha256 })
const canary = (version: number, sha256?: string) => ({
  canary: { manifest: pointer(version, sha256), percent: 5, salt: 's' },
})
const other = 'ab'.repeat(32)
const deny = [{ spki: pin('stolen'), reason: 'stolen' }]
const rolledBack = /^status 1: names manifest 4; version 5 was already accepted$/

test.each<[string, Payload, Known]>([
  ['as it was published', {}, {}],
  ['that expires in a second', { expires: at(NOW + SECOND) }, {}],
  ['that was issued five minutes ahead', { issuedAt: at(NOW + 300 * SECOND), expires: at(NOW + DAY) }, {}],
  ['that is valid for seven days', { expires: at(issuedAt + 7 * DAY) }, {}],
  ['with a denied key, under a root that lets its role deny', { deny }, {}],
  ['with an empty list of denied keys, under a root that does not', { deny: [] }, { mayDeny: false }],
  ['of a later version', { version: 3 }, { trusted: status({ version: 2 }) }],
  ['that names the newest manifest', { manifest: pointer(5) }, { floor: floorAt(5) }],
  ['that names a newer one', { manifest: pointer(6, other) }, { floor: floorAt(5) }],
  ['with the newest as canary beside an older one', { manifest: pointer(4), ...canary(5) }, { floor: floorAt(5) }],
  [
    'with an older one than a canary that was accepted, the newest that was current',
    { manifest: pointer(4) },
    { floor: floorAt(5, { current: 4 }) },
  ],
])('accepts a status %s', async (_, change, known) => {
  const bytes = status(change)
  const verdict = await judge(bytes, known)
  expect(verdict).toMatchObject({ kind: 'accepted', status: { version: change['version'] ?? 1, epoch: 1, bytes } })
})

test('a status that is the same again is unchanged', async () => {
  expect(await judge(status(), { trusted: status() })).toEqual({ kind: 'unchanged' })
})

test.each<[string, string, RegExp, Payload, Known]>([
  ['of another epoch', 'ERR_MANIFEST_STATUS_EPOCH', /^status 1: expected epoch 1, saw 2$/, { epoch: 2 }, {}],
  [
    'of an earlier version',
    'ERR_MANIFEST_STATUS_ROLLBACK',
    /^status 1: version 2 was already accepted$/,
    {},
    { trusted: status({ version: 2 }) },
  ],
  [
    'of the same version that says something else',
    'ERR_MANIFEST_STATUS_EQUIVOCATION',
    /^status 1: another document was accepted as this version$/,
    { expires: at(NOW + 2 * SECOND) },
    { trusted: status() },
  ],
  [
    'that is the same again and has expired',
    'ERR_MANIFEST_STATUS_EXPIRED',
    /^status 1: expired at \d{4}-\d\d-\d\dT/,
    {},
    { trusted: status(), now: NOW + 30 * DAY },
  ],
  [
    'that expires now',
    'ERR_MANIFEST_STATUS_EXPIRED',
    /^status 1: expired at 2026-03-01T12:00:10.000Z$/,
    { expires: at(NOW + 10 * SECOND) },
    { now: NOW + 10 * SECOND },
  ],
  [
    'that was issued later than five minutes ahead',
    'ERR_MANIFEST_CLOCK_SKEW',
    /^status 1: issued 301 s in the future/,
    { issuedAt: at(NOW + 301 * SECOND), expires: at(NOW + DAY) },
    {},
  ],
  [
    'that expires when it was issued',
    'ERR_MANIFEST_TIME_INVERTED',
    /^status 1: expires is not after issuedAt$/,
    { expires: at(issuedAt) },
    {},
  ],
  [
    'that is valid for seven days and a second',
    'ERR_MANIFEST_STATUS_TTL_TOO_LONG',
    /^status 1: valid for more than 7 days$/,
    { expires: at(issuedAt + 7 * DAY + SECOND) },
    {},
  ],
  [
    'with a denied key, under a root that does not let its role deny',
    'ERR_MANIFEST_STATUS_DENY_FORBIDDEN',
    /^status 1: the root does not let this role deny keys$/,
    { deny },
    { mayDeny: false },
  ],
  [
    'that names an older manifest',
    'ERR_MANIFEST_ROLLBACK',
    rolledBack,
    { manifest: pointer(4) },
    { floor: floorAt(5) },
  ],
  [
    'that names an older manifest, and an older one as canary',
    'ERR_MANIFEST_ROLLBACK',
    rolledBack,
    { manifest: pointer(4), ...canary(4) },
    { floor: floorAt(5) },
  ],
  [
    'that names another manifest of the newest version',
    'ERR_MANIFEST_EQUIVOCATION',
    /^status 1: names another manifest 5 than was accepted$/,
    { manifest: pointer(5, other) },
    { floor: floorAt(5) },
  ],
  [
    'that names another as canary',
    'ERR_MANIFEST_EQUIVOCATION',
    /^status 1: names another manifest 5 than was accepted$/,
    { manifest: pointer(4), ...canary(5, other) },
    { floor: floorAt(5) },
  ],
  [
    'that names another beside a canary',
    'ERR_MANIFEST_EQUIVOCATION',
    /^status 1: names another manifest 5 than was accepted$/,
    { manifest: pointer(5, other), ...canary(6) },
    { floor: floorAt(5) },
  ],
])('refuses a status %s with %s', async (_, code, message, change, known) => {
  const refusal = await refusalOf(judge(status(change), known))
  expect(refusal).toMatchObject({ code, document: 'status', version: 1, source: 'https://pins.example' })
  expect(refusal.message).toMatch(message)
})

const readBlob = () => Promise.reject(new Error('no hosts in blobs here'))
const manifest = (change: Payload) => forge({ ...payloadOf(manifestBytes), ...change }, 'manifest', manifestRole.keys)
const expires = Date.parse(String(payloadOf(manifestBytes)['expires']))
/** As a status names the bytes, but for what is said here. */
async function pointed(bytes: Uint8Array, more: Partial<Pointer> = {}): Promise<Pointer> {
  const payload = Buffer.from(JSON.parse(Buffer.from(bytes).toString()).payload, 'base64url')
  const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', payload)).toString('hex')
  return { version: 1, length: payload.length, sha256, ...more }
}

test.each<[string, number | undefined]>([
  ['as it was published', NOW],
  ['a second before it expires', expires - SECOND],
  ['from a cache, whose times were judged before', undefined],
])('accepts a manifest %s, and reads its hosts', async (_, now) => {
  const known = { root, readBlob, source: 'a', ...(now === undefined ? {} : { now: toUnixMs(now) }) }
  const accepted = await acceptManifest(manifestBytes, current, known)
  expect(accepted).toMatchObject({ version: 1, epoch: 1, rootVersion: 1, sha256: current.sha256, bytes: manifestBytes })
  expect(accepted.payload).not.toHaveProperty('hosts')
  expect(accepted.hosts.size).toBe(1)
})

test.each<[string, string, RegExp, Payload, Partial<Pointer>, number]>([
  ['of another length', 'ERR_MANIFEST_LENGTH_MISMATCH', /: expected 7 bytes, saw \d+$/, {}, { length: 7 }, NOW],
  [
    'of another hash',
    'ERR_MANIFEST_HASH_MISMATCH',
    /: expected SHA-256 (ab){32}, saw [0-9a-f]{64}$/,
    {},
    { sha256: other },
    NOW,
  ],
  ['of another version', 'ERR_MANIFEST_VERSION_MISMATCH', /^manifest 2: carries version 1$/, {}, { version: 2 }, NOW],
  ['of another epoch', 'ERR_MANIFEST_EPOCH', /^manifest 1: expected epoch 1, saw 2$/, { epoch: 2 }, {}, NOW],
  ['that expires now', 'ERR_MANIFEST_EXPIRED', /^manifest 1: expired at 20\d\d-\d\d-\d\dT/, {}, {}, expires],
  [
    'from the future',
    'ERR_MANIFEST_CLOCK_SKEW',
    /^manifest 1: issued 301 s in the future/,
    { issuedAt: at(NOW + 301 * SECOND) },
    {},
    NOW,
  ],
  [
    'whose payload is longer than 1 MiB',
    'ERR_MANIFEST_PAYLOAD_SCHEMA',
    /: a manifest is at most 1048576 bytes of payload$/,
    { more: 'x'.repeat(1024 * 1024) },
    {},
    NOW,
  ],
])('refuses a manifest %s with %s', async (_, code, message, change, more, now) => {
  const bytes = manifest(change)
  const known = { root, now: toUnixMs(now), source: 'https://pins.example' }
  const refusal = await refusalOf(acceptSigned(bytes, await pointed(bytes, more), known))
  expect(refusal).toMatchObject({ code, document: 'manifest', source: 'https://pins.example' })
  expect(refusal.message).toMatch(message)
})

test('accepts a manifest of exactly 1 MiB', async () => {
  const bare = JSON.stringify({ ...payloadOf(manifestBytes), more: '' }).length
  const bytes = manifest({ more: 'x'.repeat(1024 * 1024 - bare) })
  const named = await pointed(bytes)
  expect(named.length).toBe(1024 * 1024)
  expect(await acceptSigned(bytes, named, { root, now: NOW })).toMatchObject({ version: 1 })
})

test('a manifest that lists a host twice is ERR_MANIFEST_DUPLICATE_HOST, and is named', async () => {
  const [entry] = payloadOf(manifestBytes)['hosts'] as readonly object[]
  const bytes = manifest({ hosts: [entry, entry] })
  const refusal = await refusalOf(acceptManifest(bytes, await pointed(bytes), { root, readBlob, now: NOW }))
  expect(refusal).toMatchObject({ code: 'ERR_MANIFEST_DUPLICATE_HOST', document: 'manifest', version: 1 })
})

test('a cache reads a manifest by its signatures alone, and asks whether a status names it', async () => {
  const signed = await verifyManifest(manifestBytes, root, 'the cache')
  expect(checkNamed(signed, current, root)).toBeUndefined()
  const wrong = { code: 'ERR_MANIFEST_VERSION_MISMATCH', document: 'manifest', version: 1 }
  expect(() => checkNamed(signed, pointer(2), root)).toThrow(expect.objectContaining(wrong))
  const page = { code: 'ERR_MANIFEST_ENVELOPE_SHAPE', document: 'manifest', source: 'the cache' }
  expect(await refusalOf(verifyManifest(text('{}'), root, 'the cache'))).toMatchObject(page)
})

test('nothing is accepted under a root from the instant at which it expires: ERR_MANIFEST_ROOT_EXPIRED', async () => {
  const end = root.payload.expires
  expect(checkRootExpiry(root, toUnixMs(end - 1))).toBeUndefined()
  const late = { issuedAt: at(end - DAY), expires: at(end + DAY) }
  expect(await judge(status(late), { now: end - SECOND })).toMatchObject({ kind: 'accepted' })
  const refusal = await refusalOf(judge(status(late), { now: end }))
  expect(refusal).toMatchObject({ code: 'ERR_MANIFEST_ROOT_EXPIRED', document: 'root', version: 1 })
  expect(refusal.message).toMatch(/^root 1: the newest root expired at \d{4}-/)
})
