import { expect, test } from 'vitest'
import { MAX_STATUS_BYTES } from '../../src/manifest/sizes.ts'
import { codeOf, forge, host, payloadOf, startedWorld, text, type World } from './world.ts'

/** Version 2 is published, and instead of its manifest, or of its status, this is served. */
const asManifest = (spoil: (bytes: Uint8Array, world: World) => Uint8Array) => (world: World) => {
  const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/2.')) ?? ''
  world.serve(path, spoil(world.repository.files().get(path) ?? new Uint8Array(), world))
}
const asStatus = (spoil: (bytes: Uint8Array, world: World) => Uint8Array) => (world: World) =>
  world.serve('status.json', spoil(world.repository.files().get('status.json') ?? new Uint8Array(), world))

const broken = (bytes: Uint8Array): Uint8Array => {
  const { signatures, payload } = JSON.parse(Buffer.from(bytes).toString()) as Envelope
  const [entry] = signatures
  return text(JSON.stringify({ payload, signatures: [{ ...entry, signature: 'A'.repeat(86) }] }))
}
const claims = (bytes: Uint8Array, members: object, { repository }: World): Uint8Array =>
  forge({ ...payloadOf(bytes), ...members }, 'status', repository.roles().status.keys)
type Envelope = { readonly payload: string; readonly signatures: readonly object[] }

test.each<[string, string, (world: World) => void]>([
  ['F46: a status with a bad signature', 'ERR_MANIFEST_SIG_THRESHOLD', asStatus(broken)],
  ['F46: a manifest with a bad signature', 'ERR_MANIFEST_SIG_THRESHOLD', asManifest(broken)],
  [
    'F47: a status of a version long gone',
    'ERR_MANIFEST_STATUS_ROLLBACK',
    asStatus((bytes, world) => claims(bytes, { version: 1 }, world)),
  ],
  [
    'F48: a status that has expired',
    'ERR_MANIFEST_STATUS_EXPIRED',
    asStatus((bytes, world) =>
      claims(bytes, { issuedAt: '2025-12-31T00:00:00Z', expires: '2025-12-31T12:00:00Z' }, world),
    ),
  ],
  ['F49: a status cut in half', 'ERR_MANIFEST_ENVELOPE_JSON', asStatus((bytes) => bytes.slice(0, bytes.length >> 1))],
  ['F49: a manifest cut in half', 'ERR_MANIFEST_ENVELOPE_JSON', asManifest((bytes) => bytes.slice(0, 300))],
  ['F49: a status that is no JSON', 'ERR_MANIFEST_ENVELOPE_JSON', asStatus(() => text('{"payload":'))],
  ['F49: a manifest that is no JSON', 'ERR_MANIFEST_ENVELOPE_JSON', asManifest(() => text('<!doctype html>'))],
  ['F49: a huge status', 'ERR_MANIFEST_FETCH_TOO_LARGE', asStatus(() => new Uint8Array(MAX_STATUS_BYTES + 1))],
  ['F49: a huge manifest', 'ERR_MANIFEST_FETCH_TOO_LARGE', asManifest(() => new Uint8Array(1024 * 1024))],
])('%s is %s: what is in force stays, and an event says so', async (_, code, spoil) => {
  const { world, updater } = await startedWorld()
  await world.repository.publishStatus({ now: world.now() })
  await world.refresh(updater)
  const view = updater.current()
  await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
  spoil(world)
  expect(await codeOf(world.refresh(updater))).toBe(code)
  expect(updater.current()).toBe(view)
  expect(world.eventsOf('manifest.rejected')).toMatchObject([{ code }])
  world.answers.clear()
  await world.refresh(updater)
  expect(updater.current().version).toBe(2)
  await updater.close()
})

test('F49: an unknown member of a host entry is ERR_MANIFEST_PAYLOAD_SCHEMA: what is in force stays, and an event says so', async () => {
  const { world, updater } = await startedWorld()
  const view = updater.current()
  const entry = { ...host('two.example.com'), pinsToo: [] }
  await world.repository.publishManifest([entry], { now: world.now() })
  expect(await codeOf(world.refresh(updater))).toBe('ERR_MANIFEST_PAYLOAD_SCHEMA')
  expect(updater.current()).toBe(view)
  expect(world.eventsOf('manifest.rejected')).toMatchObject([{ code: 'ERR_MANIFEST_PAYLOAD_SCHEMA' }])
  await world.repository.publishManifest([host('two.example.com')], { now: world.now() })
  await world.refresh(updater)
  expect(updater.current().version).toBe(3)
  await updater.close()
})
