/** Which of a payload's faults is said, and in which words. */
import { expect, test } from 'vitest'
import * as z from 'zod'
import { ManifestError } from '../../src/errors/errors.ts'
import { type Expected, readManifest, readRoot, readStatus, schemaFault } from '../../src/manifest/payload.ts'
import { payloadText } from '../../src/manifest/payload-text.ts'

type Json = Readonly<Record<string, unknown>>

const COMMON = {
  spec: '1.0',
  repo: 'acme/pins',
  env: 'prod',
  version: 7,
  issuedAt: '2026-03-01T00:00:00Z',
  expires: '2026-04-01T00:00:00Z',
}
const STATUS = {
  ...COMMON,
  type: 'status',
  epoch: 1,
  root: { version: 1 },
  manifest: { version: 1, length: 1, sha256: 'a'.repeat(64) },
  poll: { interval: 300, spread: 0.25 },
}
const MANIFEST = { ...COMMON, type: 'manifest', epoch: 1, staleGrace: 0, hosts: [] }
const role = { keys: ['kid'], threshold: 1, epoch: 1, mayDeny: true }
const key = { kty: 'OKP', crv: 'Ed25519', alg: 'Ed25519', x: Buffer.alloc(32).toString('base64url') }
const ROOT = { ...COMMON, type: 'root', keys: [key, key], roles: { root: role, manifest: role, status: role } }

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))

function refusalOf(run: () => unknown): ManifestError | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof ManifestError) return error
    throw error
  }
}
const statusOf = (bytes: Uint8Array, expected: Expected = {}) =>
  refusalOf(() => readStatus(bytes, expected, 'a mirror'))

test.each<[string, Uint8Array, string, string]>([
  ['no UTF-8', Uint8Array.of(0xff), 'PAYLOAD_UTF8', 'the payload is not UTF-8'],
  ['no JSON', Buffer.from('{'), 'PAYLOAD_JSON', 'the payload is not JSON'],
  ['a member twice', Buffer.from('{"a":1,"a":1}'), 'PAYLOAD_DUPLICATE_KEY', 'the payload has one member name twice'],
  [
    '13 levels',
    json(JSON.parse(`${'['.repeat(13)}${']'.repeat(13)}`)),
    'PAYLOAD_DEPTH',
    'the payload is nested more than 12 levels deep',
  ],
  ['a list', json([STATUS]), 'PAYLOAD_SCHEMA', 'the payload is not an object'],
  ['nothing', json(null), 'PAYLOAD_SCHEMA', 'the payload is not an object'],
  ['text', json('status'), 'PAYLOAD_SCHEMA', 'the payload is not an object'],
])('a payload that is %s is refused before its version is known', (_, bytes, cause, message) => {
  const refused = statusOf(bytes)
  expect(refused).toMatchObject({ code: `ERR_MANIFEST_${cause}`, document: 'status', source: 'a mirror' })
  expect(refused?.message).toBe(`status: ${message}`)
  expect(refused?.version).toBeUndefined()
})

const TYPE = 'PAYLOAD_TYPE'
const SPEC = 'SPEC_UNSUPPORTED'
const CRITICAL = 'UNKNOWN_CRITICAL_FIELD'
const SCHEMA = 'PAYLOAD_SCHEMA'
test.each<[string, Json, string, string]>([
  ['another type', { type: 'root' }, TYPE, 'expected type status, saw "root"'],
  ['a type that is long', { type: 't'.repeat(50) }, TYPE, `expected type status, saw "${'t'.repeat(40)}"`],
  ['a type that is no text', { type: 1 }, TYPE, 'expected type status, saw "number"'],
  ['another type and spec', { type: 'root', spec: '2.0' }, TYPE, 'expected type status, saw "root"'],
  ['spec 2.0', { spec: '2.0' }, SPEC, 'expected spec 1, saw "2.0"'],
  ['spec 21.0', { spec: '21.0' }, SPEC, 'expected spec 1, saw "21.0"'],
  ['spec 2.10', { spec: '2.10' }, SPEC, 'expected spec 1, saw "2.10"'],
  ['spec 1.100000', { spec: '1.100000' }, SPEC, 'expected spec 1, saw "1.100000"'],
  [
    'a spec that is no number of one',
    { spec: 'v2.0' },
    SCHEMA,
    'spec: Invalid string: must match pattern /^1\\.\\d{1,5}$/',
  ],
  ['a spec with more behind', { spec: '2.0.1' }, SCHEMA, 'spec: Invalid string: must match pattern /^1\\.\\d{1,5}$/'],
  ['a spec that is no text', { spec: 2.5 }, SCHEMA, 'spec: Invalid input: expected string, received number'],
  ['spec 2.0 and something critical', { spec: '2.0', critical: ['x'] }, SPEC, 'expected spec 1, saw "2.0"'],
  ['something critical', { critical: ['deny', 'x'] }, CRITICAL, 'member "x" is critical and not understood'],
  [
    'something long',
    { critical: ['x'.repeat(50)] },
    CRITICAL,
    `member "${'x'.repeat(40)}" is critical and not understood`,
  ],
  ['something critical that is no text', { critical: [1] }, CRITICAL, 'member "number" is critical and not understood'],
  [
    'something critical and no date',
    { critical: ['x'], expires: 1 },
    CRITICAL,
    'member "x" is critical and not understood',
  ],
  [
    'no list of what is critical',
    { critical: 'x' },
    SCHEMA,
    'critical: Invalid input: expected array, received string',
  ],
  [
    'a fault and another repository',
    { repo: 'acme/other', epoch: 0 },
    SCHEMA,
    'epoch: Too small: expected number to be >=1',
  ],
  [
    'another repository',
    { repo: 'acme/other', env: 'staging' },
    'WRONG_REPO',
    'expected repo acme/pins, saw acme/other',
  ],
  ['another environment', { env: 'staging' }, 'WRONG_ENV', 'expected env prod, saw staging'],
])('a payload with %s is refused, its version said', (_, members, cause, message) => {
  const expected = { repo: 'acme/pins', env: 'prod' }
  expect(statusOf(json(STATUS), expected)).toBeUndefined()
  const refused = statusOf(json({ ...STATUS, ...members }), expected)
  expect(refused).toMatchObject({ code: `ERR_MANIFEST_${cause}`, document: 'status', version: 7, source: 'a mirror' })
  expect(refused?.message).toBe(`status 7: ${message}`)
})

test.each([['7'], [1.5], [2 ** 53]])('the version %j is not said to be one', (version) => {
  const refused = statusOf(json({ ...STATUS, version }))
  expect(refused?.message).toMatch(/^status: version: /)
  expect(refused).not.toHaveProperty('version', version)
})

test('without a source none is named, and any repository and environment will do', () => {
  expect(refusalOf(() => readStatus(json({ ...STATUS, spec: '1.12345' }), {}))).toBeUndefined()
  expect(refusalOf(() => readStatus(json({}), {}))?.source).toBeUndefined()
})

const common = ['type', 'spec', 'repo', 'env', 'version', 'issuedAt', 'expires', 'critical']
test.each<[string, Json, (bytes: Uint8Array, expected: Expected) => unknown, readonly string[], readonly string[]]>([
  ['root', ROOT, readRoot, ['keys', 'roles'], ['epoch', 'hosts', 'deny']],
  ['status', STATUS, readStatus, ['epoch', 'root', 'manifest', 'canary', 'deny', 'poll'], ['keys', 'hosts', 'undeny']],
  [
    'manifest',
    MANIFEST,
    readManifest,
    ['epoch', 'staleGrace', 'hosts', 'blobs', 'undeny', 'anchorSets', 'revocations', 'ct'],
    ['interception', 'deny', 'roles', ''],
  ],
])('of a %s, what this version acts on may be critical, and nothing else', (_, document, read, understood, others) => {
  const codeWith = (name: string) => refusalOf(() => read(json({ ...document, critical: [name] }), {}))?.code
  for (const name of [...common, ...understood]) expect(codeWith(name), name).toBeUndefined()
  for (const name of others) expect(codeWith(name), name).toBe('ERR_MANIFEST_UNKNOWN_CRITICAL_FIELD')
})

test('a fault of a schema is told with its place', () => {
  const fault = (value: unknown, root?: string): string => {
    const Shape = z.strictObject({ list: z.array(z.strictObject({ n: z.string('no text') })) })
    return schemaFault(Shape.safeParse(value).error ?? new z.ZodError([]), root)
  }
  expect(fault({ list: [{ n: '' }, { n: 1 }] })).toBe('list[1].n: no text')
  expect(fault({ list: [{ n: 1 }] }, 'hosts[3]')).toBe('hosts[3].list[0].n: no text')
  expect(fault({ list: [], a: 1, b: 1, c: 1, d: 1 })).toBe('payload: unknown member "a", "b", "c"')
  expect(fault({ list: [], ['x'.repeat(50)]: 1 }, '[3]')).toBe(`[3]: unknown member "${'x'.repeat(40)}"`)
  expect(fault({ list: [] })).toBe('the payload does not follow its schema')
})

test('a search in stored documents sees the payload of one that looks like a document, and nothing in others', () => {
  const encoded = (value: string) => Buffer.from(value).toString('base64url')
  const search = (document: string) => payloadText(Buffer.from(document))
  expect(search(`{"payload":"${encoded('{"blobs":1}')}","signatures":[]}`)).toBe('{"blobs":1}')
  expect(search(`{ "payload" :\n "${encoded('ÿ?>')}" }`)).toBe(Buffer.from('ÿ?>').toString('latin1'))
  for (const none of ['', '{}', '{"payload":""}', '{"payload":"*"}']) expect(search(none)).toBe('')
  expect(payloadText(undefined)).toBe('')
})
