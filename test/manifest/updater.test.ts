import { expect, test } from 'vitest'
import { canonicalHost } from '../../src/encoding/host.ts'
import { createWorld, host, pin } from './world.ts'

const api = canonicalHost('api.example.com') as NonNullable<ReturnType<typeof canonicalHost>>

test('a first refresh asks for the next root, the status and the manifest, and nothing else (case 1)', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  await world.drive(updater.ready())
  const manifest = [...world.repository.files().keys()].find((path) => path.startsWith('manifests/'))
  expect(world.requests).toEqual(['roots/2.json', 'status.json', manifest])
  expect(updater.current()).toMatchObject({ kind: 'fresh', version: 1, everAccepted: true })
  expect(
    updater
      .current()
      .lookup(api, 443)
      ?.pins.map(({ spki }) => spki),
  ).toEqual([pin('one'), pin('two')])
  await updater.close()
  expect(world.runtime.pendingTimers).toBe(0)
})

test('a second refresh with nothing new makes one request and keeps the same view (case 2)', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host()], { now: world.now() })
  const updater = world.start()
  await world.drive(updater.ready())
  const view = updater.current()
  world.requests.length = 0
  await world.drive(updater.refresh())
  expect(world.requests).toEqual(['status.json'])
  expect(updater.current()).toBe(view)
})

test('a new manifest is in force after a refresh, with its difference as an event', async () => {
  const world = await createWorld()
  await world.repository.publishManifest([host(), host('old.example.com')], { now: world.now() })
  let changes = 0
  const updater = world.start({
    onChange: () => {
      changes += 1
    },
  })
  await world.drive(updater.ready())
  await world.repository.publishManifest([host('api.example.com', 'two', 'three'), host('new.example.com')], {
    now: world.now(),
  })
  await world.drive(updater.refresh())
  expect(updater.current().version).toBe(2)
  expect(changes).toBe(2)
  expect(world.eventsOf('manifest.activated').at(-1)).toMatchObject({
    from: 1,
    to: 2,
    added: ['new.example.com'],
    removed: ['old.example.com'],
    changed: ['api.example.com'],
    shrunk: ['old.example.com', 'api.example.com'],
  })
})
