import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestRepository, createTestRuntime, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { writeRepository } from '../../src/publisher/directory.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { settled } from '../support/scene.ts'

const HOST = 'api.example.com'
const DAY_MS = 86_400_000
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const spare = ca.issue({ names: [HOST] })

/** A repository beside the application, and a source that is not there. */
async function ship() {
  const directory = mkdtempSync(join(tmpdir(), 'pinfetch-bootstrap-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const runtime = createTestRuntime({ now: Date.now() })
  const repository = await createTestRepository({ clock: runtime.clock, hosts: { [HOST]: [server.pin, spare.pin] } })
  await writeRepository(directory, repository.files())
  const api = await until(startTlsServer({ identity: server }))
  const client = () =>
    testClient({
      manifest: { url: `${directory}-absent`, root: repository.root, bootstrap: directory, memoryOnly: true },
      anchors: ca.anchorPem,
      runtime,
    })
  return { directory, runtime, api, client, url: `https://${HOST}:${api.port}/` }
}

test('a client without network and cache serves from the manifest it ships, and enforces it (case 135)', async () => {
  const { runtime, api, client, url } = await ship()
  const shipped = client()
  await settled(shipped.ready(), runtime)
  expect(shipped.health().state).toBe('degraded')
  expect((await shipped.fetch(url)).status).toBe(200)
  api.setIdentity(ca.issue({ names: [HOST] }))
  const other = client()
  const refused = refusalOf(other.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
  await settled(refused, runtime)
  await settled(refusalOf(other.fetch('https://other.example.com/'), 'ERR_TRUST_HOST_NOT_COVERED'), runtime)
})

test('past its own expiry the shipped manifest no longer serves: ERR_TRUST_NO_TRUSTED_MANIFEST', async () => {
  const { runtime, client, url } = await ship()
  const shipped = client()
  await settled(shipped.ready(), runtime)
  expect((await shipped.fetch(url)).status).toBe(200)
  runtime.setWall(runtime.clock.now() + 91 * DAY_MS)
  await settled(refusalOf(shipped.fetch(url), 'ERR_TRUST_NO_TRUSTED_MANIFEST'), runtime)
})

test('a tampered one is refused, so nothing is requested: ERR_TRUST_NO_TRUSTED_MANIFEST (case 135)', async () => {
  const { directory, runtime, api, client, url } = await ship()
  writeFileSync(join(directory, 'status.json'), '{"payload":"e30","signatures":[]}')
  const tampered = client()
  await settled(refusalOf(tampered.fetch(url), 'ERR_TRUST_NO_TRUSTED_MANIFEST'), runtime)
  expect(api.requests.length).toBe(0)
  expect(tampered.health().state).toBe('unready')
})

test.each([
  ['another root', { rootFingerprint: '0'.repeat(64) }, 'ERR_MANIFEST_ROOT_FINGERPRINT'],
  ['a fingerprint that is none', { rootFingerprint: 'sha256/AAAA' }, 'ERR_CONFIG_INVALID'],
  ['a bootstrap that needs the network', { bootstrap: 'https://pins.example.com/' }, 'ERR_CONFIG_INVALID'],
])('createClient throws for %s', async (_, more, code) => {
  const { root } = await createTestRepository()
  const manifest = { url: 'https://pins.example.com/', root, memoryOnly: true }
  expect(() => testClient({ manifest: { ...manifest, ...more } })).toThrow(expect.objectContaining({ code }))
})
