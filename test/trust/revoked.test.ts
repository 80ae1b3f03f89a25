import { createHash } from 'node:crypto'
import { createTestRuntime, startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { parseHostPattern } from '../../src/encoding/host-pattern.ts'
import { clearDenies } from '../../src/manifest/denies.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { refresh, settled } from '../support/scene.ts'

const HOST = 'api.example.com'
const now = Date.now()
const ca = testCa({ now })
const serial = Uint8Array.of(0x12, 0x34)
const server = ca.issue({ names: [HOST], serial })
const sha256 = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex')
const instant = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`

describe('revocations of the manifest beat its pins', () => {
  test.each<[string, object, string]>([
    ['a certificate', { certificate: [{ sha256: sha256(server.der) }] }, 'ERR_TRUST_CERT_REVOKED'],
    ['an intermediate', { certificate: [{ sha256: sha256(ca.issuer.der) }] }, 'ERR_TRUST_CERT_REVOKED'],
    [
      'a serial number',
      { issuerSerial: [{ issuerSpkiSha256: ca.issuer.pin, serials: ['1234'] }] },
      'ERR_TRUST_CERT_REVOKED',
    ],
    [
      'a CA for new certificates',
      { distrustAfter: [{ spkiSha256: ca.root.pin, notBefore: instant(now - 3 * 86_400_000) }] },
      'ERR_TRUST_CA_DISTRUSTED',
    ],
    [
      'a CA by SCTs, of which there are none',
      { distrustAfter: [{ spkiSha256: ca.root.pin, sctNotAfter: instant(now + 86_400_000) }] },
      'ERR_TRUST_CA_DISTRUSTED',
    ],
    ['a key', { spki: [{ sha256: server.pin, since: instant(now), reason: 'leaked' }] }, 'ERR_TRUST_PIN_DENIED'],
  ])('%s', async (_, revocations, code) => {
    const peer = await until(startTlsServer({ identity: server }))
    const url = `https://${HOST}:${peer.port}/`
    const hosts = { [HOST]: [server.pin, ca.root.pin] }
    const { repository, manifest } = await startTestPins({ ca, name: 'pins.example.com', hosts })
    const runtime = createTestRuntime({ now })
    const client = testClient({ manifest, anchors: ca.anchorPem, runtime })
    await settled(client.ready(), runtime)
    expect((await client.fetch(url)).status).toBe(200)
    await repository.publish({ hosts, members: { revocations } })
    await runtime.advance(1_000) // the next refresh need not wait for the second between two
    await refresh(client, runtime)
    await refusalOf(client.fetch(url), code as 'ERR_TRUST_CERT_REVOKED')
    expect(peer.requests.length).toBe(1)
  })

  test('what they do not name goes on', async () => {
    const peer = await until(startTlsServer({ identity: server }))
    const hosts = { [HOST]: [server.pin, ca.root.pin] }
    const { repository, manifest } = await startTestPins({ ca, name: 'pins.example.com', hosts })
    const revocations = {
      certificate: [{ sha256: sha256(ca.issue().der) }],
      issuerSerial: [
        { issuerSpkiSha256: ca.issuer.pin, serials: ['1235'] },
        { issuerSpkiSha256: testCa().root.pin, serials: ['1234'] },
      ],
      distrustAfter: [
        { spkiSha256: ca.root.pin, notBefore: instant(now) },
        { spkiSha256: server.pin, notBefore: instant(0) },
      ],
    }
    await repository.publish({ hosts, members: { revocations } })
    const client = testClient({ manifest, anchors: ca.anchorPem })
    expect((await client.fetch(`https://${HOST}:${peer.port}/`)).status).toBe(200)
  })
})

test('a revocation ends a deny only where it refuses the key as widely', () => {
  const pattern = (text: string) => parseHostPattern(text) ?? expect.fail(text)
  const deny = { spki: server.pin, reason: 'leaked', manifestEpoch: 1, manifestVersion: 1 }
  const [here, elsewhere] = [pattern(HOST), pattern('other.example.com')]
  const after = (denied: object, hosts?: ReturnType<typeof pattern>[]) => {
    const revocation = {
      sha256: server.pin,
      since: toUnixMs(0),
      reason: 'x',
      ...(hosts === undefined ? {} : { hosts }),
    }
    const manifest = { epoch: 1, version: 2, payload: { revocations: { spki: [revocation] } } }
    return clearDenies([{ ...deny, ...denied }], manifest as unknown as Parameters<typeof clearDenies>[1]).length
  }
  expect(after({}, [elsewhere])).toBe(1)
  expect(after({ hosts: [here] }, [elsewhere])).toBe(1)
  expect(after({ hosts: [here, elsewhere] }, [elsewhere])).toBe(1)
  expect(after({ hosts: [here] }, [elsewhere, here])).toBe(0)
  expect(after({ hosts: [here] })).toBe(0)
  expect(after({})).toBe(0)
})
