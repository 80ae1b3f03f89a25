import { expect, test } from 'vitest'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import type { RevocationsInput } from '../../src/publisher/wire.ts'
import { codeOf, DAY, host, pin, startedWorld, type World } from './world.ts'

const DROPPED = 'ERR_MANIFEST_REVOCATION_DROPPED'
const hex = (digit: string) => digit.repeat(64)
const since = '2026-01-01T00:00:00Z'
const [march, april] = ['2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z']
const key = { sha256: pin('stolen'), since, reason: 'stolen' }
const reason = 'found to be safe'

async function publish(world: World, revocations?: RevocationsInput, ttlMs?: number): Promise<void> {
  const members = revocations === undefined ? {} : { revocations }
  await world.repository.publishManifest([host()], {
    now: world.now(),
    members,
    ...(ttlMs === undefined ? {} : { ttlMs }),
  })
}

/** What a client says to the second manifest, which came after the first. */
async function judge(before: RevocationsInput, after: RevocationsInput | undefined): Promise<string> {
  const { world, updater } = await startedWorld()
  await publish(world, before)
  await world.refresh(updater)
  const { version, revocations } = updater.current()
  expect(version).toBe(2)
  await publish(world, after)
  const outcome = await world.refresh(updater).then(
    () => 'accepted',
    (error: { code: string }) => error.code,
  )
  expect(updater.current()).toMatchObject({ kind: 'fresh', version: outcome === 'accepted' ? 3 : 2 })
  if (outcome === DROPPED) {
    expect(updater.current().revocations).toBe(revocations)
    expect(world.eventsOf('manifest.rejected').at(-1)).toMatchObject({ code: DROPPED, kind: 'security' })
  }
  await updater.close()
  return outcome
}

test.each<[string, RevocationsInput, RevocationsInput | undefined, RevocationsInput]>([
  ['of a key', { spki: [key] }, undefined, { unrevoked: [{ sha256: key.sha256, reason }] }],
  [
    'of one key of two',
    { spki: [key, { ...key, sha256: pin('other') }] },
    { spki: [key], unrevoked: [{ sha256: key.sha256, reason }] },
    { spki: [key], unrevoked: [{ sha256: pin('other'), reason }] },
  ],
  [
    'of a key on all but one host',
    { spki: [key] },
    { spki: [{ ...key, hosts: ['api.example.com'] }] },
    { spki: [{ ...key, hosts: ['api.example.com'] }], unrevoked: [{ ...key, reason }] },
  ],
  [
    'of a key on one of its hosts',
    { spki: [{ ...key, hosts: ['a.example.com', '*.b.example.com'] }] },
    {
      spki: [{ ...key, hosts: ['a.example.com'] }],
      unrevoked: [{ sha256: key.sha256, hosts: ['a.example.com'], reason }],
    },
    {
      spki: [{ ...key, hosts: ['a.example.com'] }],
      unrevoked: [{ sha256: key.sha256, hosts: ['*.b.example.com'], reason }],
    },
  ],
  [
    'of a serial number',
    { issuerSerial: [{ issuerSpkiSha256: pin('ca'), serials: ['04af', '0b'] }] },
    { issuerSerial: [{ issuerSpkiSha256: pin('ca'), serials: ['04af'] }] },
    {
      issuerSerial: [{ issuerSpkiSha256: pin('ca'), serials: ['4af'] }],
      unrevoked: [{ issuerSpkiSha256: pin('ca'), serials: ['0b'], reason }],
    },
  ],
  [
    'of a serial number, taken back for another issuer',
    { issuerSerial: [{ issuerSpkiSha256: pin('ca'), serials: ['0b'] }] },
    { unrevoked: [{ issuerSpkiSha256: pin('other ca'), serials: ['0b'], reason }] },
    { unrevoked: [{ issuerSpkiSha256: pin('ca'), serials: ['0b'], reason }] },
  ],
  [
    'of a certificate',
    { certificate: [{ sha256: hex('a') }] },
    { certificate: [{ sha256: hex('b') }] },
    { unrevoked: [{ sha256: hex('a'), reason }] },
  ],
  [
    'of a CA from a date on',
    { distrustAfter: [{ spkiSha256: pin('ca'), notBefore: march }] },
    { distrustAfter: [{ spkiSha256: pin('ca'), notBefore: april }] },
    {
      distrustAfter: [{ spkiSha256: pin('ca'), notBefore: april }],
      unrevoked: [{ spkiSha256: pin('ca'), notBefore: march, reason }],
    },
  ],
  [
    'of a CA by its timestamps',
    { distrustAfter: [{ spkiSha256: pin('ca'), sctNotAfter: march }] },
    { distrustAfter: [{ spkiSha256: pin('ca'), notBefore: march }] },
    { unrevoked: [{ spkiSha256: pin('ca'), sctNotAfter: march, reason }] },
  ],
])(
  'a manifest without the revocation %s is refused with ERR_MANIFEST_REVOCATION_DROPPED, unless `unrevoked` says so',
  async (_, before, without, taken) => {
    expect(await judge(before, without)).toBe(DROPPED)
    expect(await judge(before, taken)).toBe('accepted')
  },
)

test.each<[string, RevocationsInput, RevocationsInput]>([
  ['the same', { spki: [key] }, { spki: [key] }],
  ['on more hosts', { spki: [{ ...key, hosts: ['a.example.com'] }] }, { spki: [key] }],
  [
    'from an earlier date on',
    { distrustAfter: [{ spkiSha256: pin('ca'), notBefore: april }] },
    { distrustAfter: [{ spkiSha256: pin('ca'), notBefore: march }] },
  ],
])('a manifest that revokes %s is accepted', async (_, before, after) => {
  expect(await judge(before, after)).toBe('accepted')
})

test('the refusal names what is gone, not who took it', async () => {
  const { world, updater } = await startedWorld()
  await publish(world, { spki: [key], certificate: [{ sha256: hex('a') }] })
  await world.refresh(updater)
  await publish(world)
  await expect(world.refresh(updater)).rejects.toThrow(`here: ${key.sha256} and 1 others`)
  await publish(world, {
    unrevoked: [
      { sha256: key.sha256, reason },
      { sha256: hex('a'), reason },
    ],
  })
  await world.refresh(updater)
  expect(updater.current().version).toBe(4)
  await updater.close()
})

test('a client that never saw the revocation accepts a manifest without it', async () => {
  const { world, updater } = await startedWorld()
  await publish(world, { spki: [key] })
  await publish(world)
  await world.refresh(updater)
  expect(updater.current().version).toBe(3)
  await updater.close()
})

test.each([
  ['the manifest in force', false],
  ['a manifest whose key was rotated since', true],
])('a restart remembers what %s revoked: ERR_MANIFEST_REVOCATION_DROPPED', async (_, rotated) => {
  const { world, updater } = await startedWorld()
  await publish(world, { spki: [key] })
  await world.refresh(updater)
  await updater.close()
  const manifest = { keys: [await generateSigningKey()], threshold: 1 }
  if (rotated) await world.repository.rotateRoot({ now: world.now(), roles: { manifest } })
  await publish(world)
  const again = world.start()
  await world.drive(again.firstAttempt)
  expect(await codeOf(world.refresh(again))).toBe(DROPPED)
  await publish(world, { spki: [key] })
  await world.refresh(again)
  expect(again.current().version).toBe(4)
  await again.close()
})

test('a manifest that has expired holds nobody to its revocations: the record need not be kept for ever', async () => {
  const { world, updater } = await startedWorld()
  await publish(world, { spki: [key] }, DAY)
  await world.refresh(updater)
  await publish(world)
  expect(await codeOf(world.refresh(updater))).toBe(DROPPED)
  await world.runtime.advance(DAY)
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  expect(updater.current()).toMatchObject({ kind: 'fresh', version: 3 })
  await updater.close()
})

test('a risen epoch of the manifest role forgets what thieves of its keys revoked', async () => {
  const { world, updater } = await startedWorld()
  await publish(world, { spki: [{ ...key, sha256: pin('one') }] })
  await world.refresh(updater)
  await world.repository.rotateRoot({ now: world.now(), raiseEpoch: ['manifest'] })
  await publish(world)
  await world.pass(3_700_000)
  await world.refresh(updater)
  expect(updater.current()).toMatchObject({ kind: 'fresh', denies: [] })
  expect(updater.health()).toMatchObject({ rootVersion: 2, manifestEpoch: 2 })
  await updater.close()
})
