/** The rules about a root, one by one and at their limits, in the words of their refusals. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { acceptRoot, MAX_ROOT_BYTES, parseAnchor, verifyAnchor } from '../../src/manifest/root.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { generateSigningKey, type SigningKey } from '../../src/publisher/keys.ts'
import { createRepository } from '../../src/publisher/repository.ts'
import { DAY, forge, payloadOf, refusalOf } from './world.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')
const EXPECTED = { repo: 'acme/pins', env: 'prod' }
const at = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z')

interface Root {
  [member: string]: unknown
  version: number
  issuedAt: string
  keys: Record<string, unknown>[]
  roles: Record<'root' | 'manifest' | 'status', { keys: string[]; threshold: number; epoch: number }>
}

const repository = await createRepository({ ...EXPECTED, now: NOW })
const rootKeys = repository.roles().root.keys
const stranger = await generateSigningKey()
const p256 = await generateSigningKey({ alg: 'ES256' })
const root = (): Root => payloadOf(repository.anchor) as unknown as Root

type Change = (root: Root) => unknown
const made = (change: Change, keys: readonly SigningKey[] = rootKeys): Uint8Array => {
  const changed = root()
  change(changed)
  return forge(changed, 'root', keys)
}
const first = root()
const kid = (role: 'root' | 'manifest' | 'status', index = 0): string => first.roles[role].keys[index] ?? ''
const keyOf = (name: string) => first.keys[[kid('root'), kid('root', 1), kid('manifest'), kid('status')].indexOf(name)]

const nobody = 'n'.repeat(60)
test.each<[string, string, string | RegExp, Change]>([
  [
    'a key twice',
    'DUPLICATE_KEY',
    /^key [\w-]{43} is listed twice$/,
    ({ keys }) => keys.push({ ...keys[0], note: 'again' }),
  ],
  [
    'a key twice in a role',
    'DUPLICATE_KEY',
    'role manifest lists a key twice',
    ({ roles }) => roles.manifest.keys.push(kid('manifest')),
  ],
  [
    'a role of a key that is not there',
    'KEY_UNKNOWN',
    `role status names the key "${'n'.repeat(50)}"`,
    ({ roles }) => roles.status.keys.push(nobody),
  ],
  [
    'a threshold above its keys',
    'THRESHOLD_UNREACHABLE',
    'role root has threshold 3 and 2 distinct holders',
    ({ roles }) => Object.assign(roles.root, { threshold: 3 }),
  ],
  [
    'a threshold above its holders',
    'THRESHOLD_UNREACHABLE',
    'role root has threshold 2 and 1 distinct holders',
    ({ keys, roles }) => {
      Object.assign(roles.root, { threshold: 2 })
      for (const key of keys.slice(0, 2)) key['holder'] = 'alice'
    },
  ],
  [
    'a key of root that is one of status, too',
    'ROLE_OVERLAP',
    `key ${kid('status')} serves root and status`,
    ({ roles }) => roles.root.keys.push(kid('status')),
  ],
  [
    'a kid that is not the key’s',
    'KID_MISMATCH',
    new RegExp(`^key [\\w-]{43} declares "${'n'.repeat(50)}"$`),
    ({ keys }) => Object.assign(keys[0] ?? {}, { kid: nobody }),
  ],
  ...(
    [
      ['another type', { kty: 'EC' }],
      ['another curve', { crv: 'P-256' }],
      ['another algorithm', { alg: 'ES256' }],
      ['a second coordinate', { y: Buffer.alloc(32).toString('base64url') }],
    ] as const
  ).map(([what, members]): [string, string, RegExp, Change] => [
    `an Ed25519 key of ${what}`,
    'KEY_ALG',
    /^key [\w-]{43}: (OKP|EC), (Ed25519|P-256) and (Ed25519|ES256) do not make a key$/,
    ({ keys }) => Object.assign(keys[0] ?? {}, members),
  ]),
  ...(
    [
      ['another type', { kty: 'OKP' }],
      ['another curve', { crv: 'Ed25519' }],
      ['another algorithm', { alg: 'Ed25519' }],
      ['a point off its curve', { y: Buffer.alloc(32, 1).toString('base64url') }],
      ['one coordinate', { y: undefined }],
    ] as const
  ).map(([what, members]): [string, string, RegExp, Change] => [
    `a P-256 key of ${what}`,
    'KEY_ALG',
    /^key [\w-]{43}: (OKP|EC), (Ed25519|P-256) and (Ed25519|ES256) do not make a key$/,
    ({ keys }) => keys.push({ ...p256.publicJwk, alg: 'ES256', ...members }),
  ]),
])('an anchor with %s is refused with ERR_MANIFEST_ROOT_%s', async (_, cause, message, change) => {
  const refused = await refusalOf(Promise.resolve().then(() => parseAnchor(made(change), EXPECTED)))
  expect(refused).toMatchObject({
    code: `ERR_MANIFEST_ROOT_${cause}`,
    document: 'root',
    version: 1,
    source: 'the trusted root',
  })
  expect(refused.message.slice(0, 8)).toBe('root 1: ')
  expect(refused.message.slice(8)).toMatch(message instanceof RegExp ? message : new RegExp(`^${message}$`))
})

test.each<[string, Change]>([
  ['its kid beside a key', ({ keys }) => Object.assign(keys[0] ?? {}, { kid: kid('root') })],
  ['P-256 keys', ({ keys }) => keys.push({ ...p256.publicJwk, alg: 'ES256' })],
  ['a key of root that is one of manifest, too', ({ roles }) => roles.manifest.keys.push(kid('root'))],
  ['a key of status that is one of manifest, too', ({ roles }) => roles.manifest.keys.push(kid('status'))],
  ['a threshold of all its keys', ({ roles }) => Object.assign(roles.root, { threshold: 2 })],
  [
    'a validity that is over',
    (changed) => Object.assign(changed, { expires: at(Date.parse(changed.issuedAt) + 1_000) }),
  ],
])('an anchor with %s is accepted', async (_, change) => {
  const anchor = made(change)
  const { root: parsed } = parseAnchor(anchor, EXPECTED)
  expect(parsed.version).toBe(1)
  expect(parsed.bytes).toEqual(anchor)
  await verifyAnchor(parseAnchor(anchor, EXPECTED))
})

test('an anchor holds its keys by role, with the kid that follows from the key', () => {
  const { roles } = parseAnchor(repository.anchor, EXPECTED).root
  expect(roles.status).toEqual({
    keys: [expect.objectContaining({ kid: kid('status'), alg: 'Ed25519' })],
    threshold: 1,
  })
  expect(roles.status.keys[0]?.jwk.x).toBe(keyOf(kid('status'))?.['x'])
  expect(roles.root.keys.map((key) => key.kid)).toEqual([kid('root'), kid('root', 1)])
  expect(roles.manifest.keys.map((key) => key.kid)).toEqual([kid('manifest')])
})

test('an anchor is a copy: what the application does to its bytes later changes nothing', () => {
  const bytes = new Uint8Array(repository.anchor)
  const { root: parsed } = parseAnchor(bytes, EXPECTED)
  bytes.fill(0)
  expect(parsed.bytes).toEqual(new Uint8Array(repository.anchor))
})

test('an anchor of 64 KiB is read, a longer one is not: ERR_MANIFEST_FETCH_TOO_LARGE', async () => {
  const sized = (length: number): Uint8Array =>
    Buffer.concat([repository.anchor, Buffer.alloc(length - repository.anchor.length, ' ')])
  expect(MAX_ROOT_BYTES).toBe(65_536)
  expect(parseAnchor(sized(65_536), EXPECTED).root.version).toBe(1)
  const refused = await refusalOf(Promise.resolve().then(() => parseAnchor(sized(65_537), EXPECTED, 'root.json')))
  expect(refused).toMatchObject({
    code: 'ERR_MANIFEST_FETCH_TOO_LARGE',
    message: 'root: expected at most 65536 bytes, saw 65537',
    source: 'root.json',
  })
})

test('a fingerprint is of the payload: ERR_MANIFEST_ROOT_FINGERPRINT says both', async () => {
  const { payload } = JSON.parse(Buffer.from(repository.anchor).toString()) as { payload: string }
  const rootFingerprint = createHash('sha256').update(payload, 'base64url').digest('hex')
  const signedAgain = forge(root(), 'root', [...rootKeys, stranger])
  expect(parseAnchor(repository.anchor, { ...EXPECTED, rootFingerprint }).root.version).toBe(1)
  expect(parseAnchor(signedAgain, EXPECTED).root.version).toBe(1)
  const wrong = { ...EXPECTED, rootFingerprint: 'ab'.repeat(32) }
  const refused = await refusalOf(Promise.resolve().then(() => parseAnchor(repository.anchor, wrong)))
  expect(refused).toMatchObject({
    code: 'ERR_MANIFEST_ROOT_FINGERPRINT',
    message: `root: expected SHA-256 ${'ab'.repeat(32)}, saw ${rootFingerprint}`,
    source: 'the trusted root',
  })
})

test('an anchor that its own threshold did not sign is refused with ERR_MANIFEST_SIG_THRESHOLD', async () => {
  const anchor = forge(root(), 'root', [stranger])
  expect((await refusalOf(verifyAnchor(parseAnchor(anchor, EXPECTED)))).code).toBe('ERR_MANIFEST_SIG_THRESHOLD')
})

const trusted = await verifyAnchor(
  parseAnchor(
    made((changed) => raise(changed, 3)),
    EXPECTED,
  ),
)
function raise({ roles }: Root, epoch: number): void {
  roles.manifest.epoch = epoch
  roles.status.epoch = epoch
}
/** Root 2, signed by the keys of root 1. */
const second = (change: Change, keys?: readonly SigningKey[]) =>
  made((changed) => {
    Object.assign(changed, { version: 2 })
    raise(changed, 3)
    change(changed)
  }, keys)
const issued = Date.parse(first.issuedAt)

test.each<[string, Change, number]>([
  ['as it should be', () => {}, NOW],
  ['that raises an epoch', ({ roles }) => Object.assign(roles.status, { epoch: 4 }), NOW],
  ['issued five minutes ahead', (changed) => Object.assign(changed, { issuedAt: at(NOW + 300_000) }), NOW],
  ['valid for a second', (changed) => Object.assign(changed, { expires: at(issued + 1_000) }), NOW],
  ['that expired long ago', () => {}, NOW + 2_000 * DAY],
])('a next root %s is accepted', async (_, change, now) => {
  const bytes = second(change)
  const accepted = await acceptRoot(bytes, trusted, toUnixMs(now), 'a mirror')
  expect(accepted).toMatchObject({ version: 2, bytes, payload: { version: 2 } })
})

test.each<[string, string, string, Change]>([
  [
    'of the same version',
    'ROOT_ROLLBACK',
    'root 1: expected version 2',
    (changed) => Object.assign(changed, { version: 1 }),
  ],
  [
    'that skips one',
    'ROOT_VERSION_GAP',
    'root 3: expected version 2',
    (changed) => Object.assign(changed, { version: 3 }),
  ],
  [
    'that expires when it is issued',
    'TIME_INVERTED',
    'root 2: expires is not after issuedAt',
    (changed) => Object.assign(changed, { expires: changed.issuedAt }),
  ],
  [
    'issued more than five minutes ahead',
    'CLOCK_SKEW',
    'root 2: issued 301 s in the future; check this machine’s clock',
    (changed) => Object.assign(changed, { issuedAt: at(NOW + 301_000) }),
  ],
  [
    'that lowers the epoch of manifest',
    'ROOT_EPOCH_ROLLBACK',
    'root 2: epoch of manifest falls from 3 to 2',
    ({ roles }) => Object.assign(roles.manifest, { epoch: 2 }),
  ],
  [
    'that lowers the epoch of status',
    'ROOT_EPOCH_ROLLBACK',
    'root 2: epoch of status falls from 3 to 2',
    ({ roles }) => Object.assign(roles.status, { epoch: 2 }),
  ],
  [
    'of another environment',
    'WRONG_ENV',
    'root 2: expected env prod, saw staging',
    (changed) => Object.assign(changed, { env: 'staging' }),
  ],
])('a next root %s is refused with ERR_MANIFEST_%s', async (_, cause, message, change) => {
  const refused = await refusalOf(acceptRoot(second(change), trusted, toUnixMs(NOW), 'a mirror'))
  expect(refused).toMatchObject({ code: `ERR_MANIFEST_${cause}`, document: 'root', message, source: 'a mirror' })
})

test('a next root that strangers signed is refused before its payload is read: ERR_MANIFEST_SIG_THRESHOLD', async () => {
  const refused = await refusalOf(
    acceptRoot(
      second(({ roles }) => roles.status.keys.push(nobody), [stranger]),
      trusted,
      toUnixMs(NOW),
    ),
  )
  expect(refused.code).toBe('ERR_MANIFEST_SIG_THRESHOLD')
  expect(refused.source).toBeUndefined()
})

test('a next root needs its own threshold, too: ERR_MANIFEST_SIG_THRESHOLD', async () => {
  const other: Change = ({ keys, roles }) => {
    keys.push({ ...stranger.publicJwk, alg: 'Ed25519' })
    roles.root.keys = [stranger.kid]
  }
  const now = toUnixMs(NOW)
  expect((await refusalOf(acceptRoot(second(other), trusted, now))).code).toBe('ERR_MANIFEST_SIG_THRESHOLD')
  expect((await refusalOf(acceptRoot(second(other, [stranger]), trusted, now))).code).toBe('ERR_MANIFEST_SIG_THRESHOLD')
  expect(await acceptRoot(second(other, [...rootKeys, stranger]), trusted, now)).toMatchObject({ version: 2 })
})
