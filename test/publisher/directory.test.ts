import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createManifestSource } from '../../src/manifest/sources.ts'
import { writeRepository } from '../../src/publisher/directory.ts'
import { fileStore } from '../../src/stores/file.ts'
import { createWorld, host } from '../manifest/world.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pinfetch-repository-'))
})
afterAll(() => rm(directory, { recursive: true }))

test('a repository in a directory serves a client with a cache in another, manifests before roots before the status', async () => {
  const [repository, cache] = [join(directory, 'repository'), join(directory, 'cache')]
  const world = await createWorld({ store: fileStore(cache) })
  await world.repository.publishManifest([host()], { now: world.now() })
  const first = await writeRepository(repository, world.repository.files())
  expect(first.map((path) => path.replace(/[0-9a-f]{64}/, 'HASH'))).toEqual([
    'manifests/1.HASH.json',
    'roots/1.json',
    'status.json',
  ])

  const source = createManifestSource([{ kind: 'directory', path: repository }], () =>
    Promise.reject(new Error('no network')),
  )
  const updater = world.start({ source })
  await world.drive(updater.ready())
  await world.repository.rotateRoot({ now: world.now() })
  await world.repository.publishManifest([host('new.example.com')], { now: world.now() })
  expect(await writeRepository(repository, world.repository.files())).toHaveLength(3)
  await world.refresh(updater)
  expect(updater.health()).toMatchObject({ manifestVersion: 2, rootVersion: 2 })
  await updater.close()

  const again = world.start({
    source: createManifestSource([{ kind: 'directory', path: join(directory, 'gone') }], () =>
      Promise.reject(new Error('no network')),
    ),
  })
  await again.ready()
  expect(again.health()).toMatchObject({ state: 'fresh', manifestVersion: 2, rootVersion: 2 })
  await again.close()
  expect(world.eventsOf('manifest.cacheError')).toEqual([])
})

test('a version is never published twice with other bytes', async () => {
  const path = join(directory, 'twice')
  await writeRepository(path, new Map([['roots/2.json', Buffer.from('one')]]))
  await expect(writeRepository(path, new Map([['roots/2.json', Buffer.from('two')]]))).rejects.toThrow(
    /already published/,
  )
})
