import { createTestRepository, createTestRuntime, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'

const pinOf = (name: string): ReturnType<typeof testCa>['root']['pin'] => testCa({ name }).root.pin
const [first, second] = [pinOf('First'), pinOf('Second')]

interface Document {
  readonly version: number
  readonly issuedAt: string
  readonly hosts?: readonly { readonly host: string; readonly pins: readonly { readonly spki: string }[] }[]
  readonly deny?: readonly { readonly spki: string }[]
  readonly root?: { readonly version: number }
  readonly manifest?: { readonly version: number; readonly sha256: string }
}

function read(files: ReadonlyMap<string, Uint8Array>, path: string): Document {
  const { payload } = JSON.parse(Buffer.from(files.get(path) ?? []).toString()) as { payload: string }
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Document
}

function newestManifest(files: ReadonlyMap<string, Uint8Array>): Document {
  const { manifest } = read(files, 'status.json')
  return read(files, `manifests/${manifest?.version}.${manifest?.sha256}.json`)
}

test('publishes hosts at once and again, each time under the next version and at the clock’s time', async () => {
  const { clock, advance } = createTestRuntime({ now: Date.UTC(2030, 0, 1) })
  const repository = await createTestRepository({ hosts: { 'api.example.com': [first, second] }, clock })
  expect(repository.files().get('roots/1.json')).toEqual(repository.root)
  expect(newestManifest(repository.files())).toMatchObject({ version: 1, issuedAt: '2030-01-01T00:00:00Z' })
  await advance(3_600_000)
  await repository.publish({ hosts: { 'api.example.com': [second] } })
  expect(newestManifest(repository.files())).toMatchObject({
    version: 2,
    issuedAt: '2030-01-01T01:00:00Z',
    hosts: [{ host: 'api.example.com', pins: [{ spki: second }], singlePin: true }],
  })
  await repository.publish()
  expect(newestManifest(repository.files())).toMatchObject({ version: 3, hosts: [{ pins: [{ spki: second }] }] })
})

test('denies keys and rotates the root in the next status', async () => {
  const repository = await createTestRepository({ hosts: { 'api.example.com': [first, second] } })
  await repository.deny([first])
  expect(read(repository.files(), 'status.json')).toMatchObject({ version: 2, deny: [{ spki: first }] })
  await repository.rotateRoot()
  expect(read(repository.files(), 'roots/2.json')).toMatchObject({ version: 2 })
  expect(read(repository.files(), 'status.json')).toMatchObject({ version: 3, root: { version: 2 } })
})
