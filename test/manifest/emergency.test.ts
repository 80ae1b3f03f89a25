import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { canonicalHost } from '../../src/encoding/host.ts'
import { shareOf } from '../../src/manifest/share.ts'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import { codeOf, createWorld, DAY, host, payloadOf, pin, startedWorld, type World } from './world.ts'

const BASE = `${createHash('sha256').update('acme/pins').digest('hex').slice(0, 16)}/prod/`

const stolen = { spki: pin('one'), reason: 'laptop stolen' }

const deniesOf = (updater: { current: () => { denies: readonly { spki: string }[] } }) =>
  updater.current().denies.map(({ spki }) => spki)

test('a deny acts although the manifest cannot be fetched (case 143)', async () => {
  const { world, updater } = await startedWorld()
  await world.repository.publishManifest([host('new.example.com')], { now: world.now(), status: false })
  await world.repository.publishStatus({ now: world.now(), deny: [stolen] })
  const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/2')) as string
  world.answers.set(path, { status: 404 })
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_UNAVAILABLE')
  expect(deniesOf(updater)).toEqual([stolen.spki])
  expect(world.eventsOf('manifest.deny')).toEqual([{ type: 'manifest.deny', added: [stolen.spki], cleared: [] }])
  await updater.close()
})

test('a deny acts even while no manifest was ever had', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now(), status: false })
  await world.repository.publishStatus({ now: world.now(), deny: [stolen] })
  const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/1')) as string
  world.answers.set(path, { status: 404 })
  const updater = world.start()
  await codeOf(world.drive(updater.refresh()))
  expect(updater.current()).toMatchObject({ kind: 'cold', denies: [stolen] })
  await updater.close()
})

test('a deny of a role that may not is refused with ERR_MANIFEST_STATUS_DENY_FORBIDDEN (case 144)', async () => {
  const { world, updater } = await startedWorld({ mayDeny: false })
  await world.repository.publishStatus({ now: world.now(), deny: [stolen] })
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_STATUS_DENY_FORBIDDEN')
  expect(deniesOf(updater)).toEqual([])
  await updater.close()
})

test('a later status that leaves a deny out does not end it (case 145)', async () => {
  const { world, updater } = await startedWorld()
  await deny(world)
  await world.refresh(updater)
  await world.repository.publishStatus({ now: world.now(), deny: [] })
  await world.refresh(updater)
  expect(updater.health().statusVersion).toBe(3)
  expect(deniesOf(updater)).toEqual([stolen.spki])
  await updater.close()
})

test('a newer manifest ends a deny only by `undeny` (case 146)', async () => {
  const { world, updater } = await startedWorld()
  await deny(world)
  await world.refresh(updater)
  await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
  await world.refresh(updater)
  expect(updater.current().version).toBe(2)
  expect(deniesOf(updater)).toEqual([stolen.spki])
  await world.repository.publishManifest([host()], { now: world.now(), members: { undeny: [stolen.spki] } })
  await world.refresh(updater)
  expect(deniesOf(updater)).toEqual([])
  expect(world.eventsOf('manifest.deny').at(-1)).toEqual({ type: 'manifest.deny', added: [], cleared: [stolen.spki] })
  await updater.close()
})

test('a deny that a manifest takes over into its revocations lasts until they take it back', async () => {
  const { world, updater } = await startedWorld()
  await deny(world)
  await world.refresh(updater)
  const revocations = { spki: [{ sha256: stolen.spki, since: '2026-01-01T00:00:00Z', reason: 'stolen' }] }
  await world.repository.publishManifest([host()], { now: world.now(), members: { revocations } })
  await world.repository.publishStatus({ now: world.now(), deny: [] })
  await world.refresh(updater)
  expect(updater.current().denies).toEqual([{ spki: stolen.spki, reason: 'stolen' }])
  const unrevoked = [{ sha256: stolen.spki, reason: 'found in a drawer' }]
  await world.repository.publishManifest([host()], { now: world.now(), members: { revocations: { unrevoked } } })
  await world.refresh(updater)
  expect(deniesOf(updater)).toEqual([])
  await updater.close()
})

test('a deny survives a restart, also when its status is long gone from the newest ones (case 147)', async () => {
  const { world, updater } = await startedWorld()
  await deny(world)
  await world.refresh(updater)
  await world.repository.publishStatus({ now: world.now(), deny: [] })
  for (let round = 0; round < 6; round += 1) {
    await world.refresh(updater)
    await world.repository.publishStatus({ now: world.now() })
  }
  await updater.close()
  const again = world.start()
  await again.ready()
  expect(deniesOf(again)).toEqual([stolen.spki])
  await again.close()
})

test('a deny that was ended stays ended after a restart', async () => {
  const { world, updater } = await startedWorld()
  await deny(world)
  await world.refresh(updater)
  await world.repository.publishManifest([host()], { now: world.now(), members: { undeny: [stolen.spki] } })
  await world.repository.publishStatus({ now: world.now(), deny: [] })
  await world.refresh(updater)
  await world.repository.publishManifest([host()], { now: world.now() })
  await world.refresh(updater)
  await updater.close()
  const again = world.start()
  await again.ready()
  expect(again.current().version).toBe(3)
  expect(deniesOf(again)).toEqual([])
  await again.close()
})

test('a deny survives an epoch that was raised because the status key was stolen', async () => {
  const { world, updater } = await startedWorld()
  await deny(world)
  await world.refresh(updater)
  await world.repository.rotateRoot({ now: world.now(), raiseEpoch: ['status'] })
  await world.repository.publishStatus({ now: world.now(), deny: [] })
  await world.pass(3_700_000)
  await world.refresh(updater)
  expect(updater.health()).toMatchObject({ rootVersion: 2, statusVersion: 1 })
  expect(deniesOf(updater)).toEqual([stolen.spki])
  await updater.close()
  const again = world.start()
  await again.ready()
  expect(deniesOf(again)).toEqual([stolen.spki])
  await again.close()
})

test('a deny for some hosts keeps them; the view changes in the tick of the status', async () => {
  const { world, updater } = await startedWorld()
  await updater.close()
  const seen: number[] = []
  const client = world.start({ onChange: () => seen.push(client.current().denies.length) })
  await client.ready()
  await world.repository.publishStatus({ now: world.now(), deny: [{ ...stolen, hosts: ['*.example.com'] }] })
  await world.refresh(client)
  expect(client.current().denies).toEqual([{ ...stolen, hosts: [{ kind: 'oneLabel', base: 'example.com' }] }])
  expect(seen).toEqual([0, 1])
  await client.close()
})

test('a pin that becomes active later is part of the entry with its instants, no network needed (cases 150, 151)', async () => {
  const world = await createWorld()
  const pins = [...host().pins, { spki: pin('next'), notBefore: '2026-03-01T00:00:00Z' }]
  const entry = { ...host(), pins, enforceFrom: '2026-02-01T00:00:00Z' }
  await world.repository.publishManifest([entry], { now: world.now() })
  const updater = world.start()
  await world.drive(updater.ready())
  const found = updater.current().lookup(canonicalHost('api.example.com') as never, 443)
  expect(found?.enforceFrom).toBe(Date.UTC(2026, 1, 1))
  expect(found?.pins[2]).toEqual({ spki: pin('next'), notBefore: Date.UTC(2026, 2, 1) })
  await updater.close()
})

test('a canary of 10 % takes in 8 to 12 % of 2,000 clients (case 152), and a higher percentage only adds (case 155)', () => {
  const shares = Array.from({ length: 2_000 }, (_, at) => shareOf('autumn', `client ${at}`))
  const within = shares.filter((share) => share < 10).length
  expect(within).toBeGreaterThanOrEqual(160)
  expect(within).toBeLessThanOrEqual(240)
  expect(shares.every((share) => share >= 0 && share < 100)).toBe(true)
  expect(shareOf('autumn', 'client 1')).not.toBe(shareOf('winter', 'client 1'))
})

test.each([
  ['inside a canary gets version 2', 100, 2],
  ['outside of it stays at version 1', 0, 1],
])('a client %s (case 153)', async (_, canaryPercent, version) => {
  const { world, updater } = await startedWorld()
  await world.repository.publishManifest([host('new.example.com')], {
    now: world.now(),
    status: { canaryPercent, salt: 'x' },
  })
  await world.refresh(updater)
  expect(updater.current().version).toBe(version)
  await updater.close()
})

test.each([
  [
    'by leaving it out',
    (world: World) => world.repository.publishStatus({ now: world.now(), members: { canary: undefined } as never }),
  ],
  [
    'by 0 percent',
    async (world: World) => {
      const canary = payloadOf(world.repository.files().get('status.json'))['canary'] as { percent: number }
      await world.repository.publishStatus({
        now: world.now(),
        members: { canary: { ...canary, percent: 0 } as never },
      })
    },
  ],
])('a canary that ends %s leaves its clients where they are, with an event (case 154)', async (_, end) => {
  const { world, updater } = await startedWorld()
  await world.repository.publishManifest([host('new.example.com')], {
    now: world.now(),
    status: { canaryPercent: 100, salt: 'x' },
  })
  await world.refresh(updater)
  await end(world)
  await world.refresh(updater)
  expect(updater.current()).toMatchObject({ kind: 'fresh', version: 2 })
  expect(world.eventsOf('manifest.ahead')).toEqual([{ type: 'manifest.ahead', version: 2, named: 1 }])
  await updater.close()
  const again = world.start()
  await again.ready()
  await world.refresh(again)
  expect(again.current().version).toBe(2)
  await again.close()
})

test('a client ahead of an aborted canary that lost its manifest’s key refuses the older one with ERR_MANIFEST_ROLLBACK', async () => {
  const { world, updater } = await startedWorld()
  const canary = { canaryPercent: 100, salt: 'x' }
  await world.repository.publishManifest([host('new.example.com')], { now: world.now(), status: canary })
  await world.refresh(updater)
  await world.repository.publishStatus({ now: world.now(), members: { canary: undefined } as never })
  await world.refresh(updater)
  await updater.close()
  const keys = [await generateSigningKey()]
  await world.repository.rotateRoot({ now: world.now(), roles: { manifest: { keys, threshold: 1 } } })
  const [root] = await world.store.list(`${BASE}roots/`)
  expect(root).toBeUndefined()
  await world.store.put(`${BASE}roots/000002.json`, world.repository.root())
  const again = world.start()
  expect(await codeOf(world.drive(again.refresh()))).toBe('ERR_MANIFEST_ROLLBACK')
  expect(again.current()).toMatchObject({ kind: 'cold', everAccepted: true })
  await again.close()
})

test('a client is on the same side of a canary after a restart', async () => {
  const { world, updater } = await startedWorld()
  const status = { canaryPercent: 50, salt: 'restart' }
  await world.repository.publishManifest([host('new.example.com')], { now: world.now(), status })
  await world.refresh(updater)
  const { version } = updater.current()
  await updater.close()
  const again = world.start()
  await again.ready()
  await world.refresh(again)
  expect(again.current().version).toBe(version)
  await again.close()
})

async function deny(world: World): Promise<void> {
  await world.repository.publishStatus({ now: world.now(), deny: [stolen], ttlMs: 6 * DAY })
}

test('a status carries 256 denies, each with its reason', async () => {
  const { world, updater } = await startedWorld()
  const many = Array.from({ length: 256 }, (_, at) => ({
    spki: pin(`stolen ${at}`),
    reason: 'ticket SEC-1234, key on a lost laptop',
  }))
  await world.repository.publishStatus({ now: world.now(), deny: many })
  await world.refresh(updater)
  expect(deniesOf(updater).length).toBe(256)
  await world.repository.publishStatus({ now: world.now(), deny: [...many, stolen] })
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_PAYLOAD_SCHEMA')
  await updater.close()
})
