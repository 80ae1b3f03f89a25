import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { generateSigningKey, type SigningKey } from '../../src/publisher/keys.ts'
import { codeOf, createWorld, type Forgery, forge, payloadOf, refusalOf, text, type World } from './world.ts'

/** The anchor changed and signed again by its own root keys. */
async function withAnchor(change: (root: Root, world: World) => unknown, forgery?: Forgery) {
  const world = await createWorld()
  const root = payloadOf(world.repository.anchor) as unknown as Root
  const changed = await change(root, world)
  const anchor = forge((changed as object | undefined) ?? root, 'root', world.repository.roles().root.keys, forgery)
  return { world, anchor }
}

interface Root {
  [member: string]: unknown
  version?: unknown
  keys: Record<string, unknown>[]
  roles: Record<string, { keys: string[]; threshold: number; epoch?: number }>
}

async function constructionCode(change: (root: Root, world: World) => unknown, forgery?: Forgery): Promise<string> {
  const { world, anchor } = await withAnchor(change, forgery)
  const code = await codeOf(Promise.resolve().then(() => world.start({ root: anchor })))
  expect(world.requests).toEqual([])
  return code
}

test('refuses a root without version, before any network, with ERR_MANIFEST_PAYLOAD_SCHEMA (case 3)', async () => {
  const code = await constructionCode((root) => {
    delete root['version']
  })
  expect(code).toBe('ERR_MANIFEST_PAYLOAD_SCHEMA')
})

test('refuses a root that its own keys did not sign, before any network, with ERR_MANIFEST_SIG_THRESHOLD (case 4)', async () => {
  const world = await createWorld()
  const stranger = await generateSigningKey()
  const updater = world.start({ root: forge(payloadOf(world.repository.anchor), 'root', [stranger]) })
  expect(await codeOf(updater.ready())).toBe('ERR_MANIFEST_SIG_THRESHOLD')
  expect(await codeOf(updater.refresh())).toBe('ERR_MANIFEST_SIG_THRESHOLD')
  expect(world.requests).toEqual([])
  expect(updater.health().lastError?.code).toBe('ERR_MANIFEST_SIG_THRESHOLD')
  await updater.close()
})

test('refuses a root file above 64 KiB with ERR_MANIFEST_FETCH_TOO_LARGE', async () => {
  const world = await createWorld()
  const padded = Buffer.concat([world.repository.anchor, Buffer.alloc(64 * 1024, ' ')])
  expect(() => world.start({ root: padded })).toThrow(expect.objectContaining({ code: 'ERR_MANIFEST_FETCH_TOO_LARGE' }))
})

test('refuses a key listed twice with ERR_MANIFEST_ROOT_DUPLICATE_KEY (case 25)', async () => {
  expect(await constructionCode((root) => void root.keys.push({ ...root.keys[0] }))).toBe(
    'ERR_MANIFEST_ROOT_DUPLICATE_KEY',
  )
})

test('refuses a role that lists a key twice with ERR_MANIFEST_ROOT_DUPLICATE_KEY (case 26)', async () => {
  const code = await constructionCode(({ roles }) => {
    roles['manifest']?.keys.push(String(roles['manifest'].keys[0]))
  })
  expect(code).toBe('ERR_MANIFEST_ROOT_DUPLICATE_KEY')
})

test('refuses a declared kid that is not the thumbprint with ERR_MANIFEST_ROOT_KID_MISMATCH (case 27)', async () => {
  const code = await constructionCode(({ keys: [key = {}] }) => {
    key['kid'] = 'A'.repeat(43)
  })
  expect(code).toBe('ERR_MANIFEST_ROOT_KID_MISMATCH')
})

test('accepts further members of a key, which do not change its kid (case 28)', async () => {
  const { world, anchor } = await withAnchor(({ keys: [key = {}] }) => {
    Object.assign(key, { note: 'in the safe', holder: 'alice', 'x-serial': '17' })
  })
  await world.repository.publishManifest([], { now: world.now() })
  const updater = world.start({ root: anchor })
  await world.drive(updater.ready())
  await updater.close()
})

test('refuses a role that names an unknown key with ERR_MANIFEST_ROOT_KEY_UNKNOWN (case 29)', async () => {
  const code = await constructionCode(({ roles }) => void roles['status']?.keys.push('A'.repeat(43)))
  expect(code).toBe('ERR_MANIFEST_ROOT_KEY_UNKNOWN')
})

test('refuses a threshold above the keys with ERR_MANIFEST_ROOT_THRESHOLD_UNREACHABLE (case 30)', async () => {
  const code = await constructionCode(({ roles }) => {
    if (roles['manifest'] !== undefined) roles['manifest'].threshold = 2
  })
  expect(code).toBe('ERR_MANIFEST_ROOT_THRESHOLD_UNREACHABLE')
})

test('refuses a threshold above the distinct holders with ERR_MANIFEST_ROOT_THRESHOLD_UNREACHABLE', async () => {
  const code = await constructionCode(({ keys, roles }) => {
    for (const key of keys.slice(0, 2)) key['holder'] = 'alice'
    if (roles['root'] !== undefined) roles['root'].threshold = 2
  })
  expect(code).toBe('ERR_MANIFEST_ROOT_THRESHOLD_UNREACHABLE')
})

test('refuses a key of both root and status with ERR_MANIFEST_ROOT_ROLE_OVERLAP (case 32)', async () => {
  const code = await constructionCode(({ roles }) => void roles['root']?.keys.push(String(roles['status']?.keys[0])))
  expect(code).toBe('ERR_MANIFEST_ROOT_ROLE_OVERLAP')
})

test('refuses a private member of a key with ERR_MANIFEST_PAYLOAD_SCHEMA (case 33)', async () => {
  const code = await constructionCode(({ keys: [key = {}] }) => {
    key['d'] = 'AAAA'
  })
  expect(code).toBe('ERR_MANIFEST_PAYLOAD_SCHEMA')
})

test.each([
  ['alg of another type', { alg: 'ES256' }],
  ['a curve of another type', { crv: 'P-256' }],
  ['a second coordinate', { y: 'A'.repeat(43) }],
  ['a point off the curve', { kty: 'EC', crv: 'P-256', alg: 'ES256', x: 'A'.repeat(43), y: 'A'.repeat(43) }],
])('refuses a key with %s with ERR_MANIFEST_ROOT_KEY_ALG (case 34)', async (_, members) => {
  const code = await constructionCode(({ keys: [key = {}] }) => void Object.assign(key, members))
  expect(code).toBe('ERR_MANIFEST_ROOT_KEY_ALG')
})

test.each([
  ['repo', { repo: 'acme/other' }, 'ERR_MANIFEST_WRONG_REPO'],
  ['env', { env: 'staging' }, 'ERR_MANIFEST_WRONG_ENV'],
])(
  'refuses a configured %s that the root does not have, before any network, with its code',
  async (_, option, code) => {
    const world = await createWorld()
    expect(() => world.start(option)).toThrow(expect.objectContaining({ code, kind: 'config' }))
    expect(world.requests).toEqual([])
  },
)

test('counts two keys of one holder once: ERR_MANIFEST_SIG_THRESHOLD (case 31)', async () => {
  const keys = await holders('alice', 'alice', 'bob')
  const world = await createWorld({ roles: { root: { keys, threshold: 2 } } })
  const updater = world.start({ root: forge(payloadOf(world.repository.anchor), 'root', keys.slice(0, 2)) })
  expect(await codeOf(updater.ready())).toBe('ERR_MANIFEST_SIG_THRESHOLD')
  await updater.close()
  const both = world.start({ root: forge(payloadOf(world.repository.anchor), 'root', keys.slice(1)) })
  expect((await refusalOf(world.drive(both.refresh()))).code).toBe('ERR_MANIFEST_FETCH_HTTP') // the anchor is fine; nothing is published
  await both.close()
})

test('an anchor of text that is no document is refused at construction with ERR_MANIFEST_ENVELOPE_JSON', async () => {
  const world = await createWorld()
  expect(() => world.start({ root: text('<!doctype html>') })).toThrow(
    expect.objectContaining({ code: 'ERR_MANIFEST_ENVELOPE_JSON', document: 'root', source: 'the trusted root' }),
  )
})

async function holders(...names: readonly string[]): Promise<SigningKey[]> {
  return Promise.all(names.map((holder) => generateSigningKey({ holder })))
}

test('refuses another root than the fingerprint names, before any network, with ERR_MANIFEST_ROOT_FINGERPRINT', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([], { now: world.now() })
  const { payload } = JSON.parse(Buffer.from(world.repository.anchor).toString()) as { payload: string }
  const rootFingerprint = createHash('sha256').update(Buffer.from(payload, 'base64url')).digest('hex')
  const other = await createWorld()
  const code = await codeOf(
    Promise.resolve().then(() => world.start({ root: other.repository.anchor, rootFingerprint })),
  )
  expect(code).toBe('ERR_MANIFEST_ROOT_FINGERPRINT')
  expect(world.requests).toEqual([])
  const updater = world.start({ rootFingerprint })
  await world.drive(updater.ready())
  await updater.close()
})
