import { createHash } from 'node:crypto'
import type { PinfetchError } from 'pinfetch'
import { createTestRuntime, startTlsServer, type TestCertificate, type TestTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import type { HostInput, RevocationsInput } from '../../src/publisher/wire.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'
import { refresh, settled } from '../support/scene.ts'

const HOST = 'api.example.com'
const OTHER = 'other.example.com'
const names = [HOST, OTHER]
const DAY_MS = 86_400_000
const now = Date.now()
const daysAgo = (days: number): string => `${new Date(now - days * DAY_MS).toISOString().slice(0, 19)}Z`
const ca = testCa({ now })
const bad = ca.issue({ names, notBefore: now - DAY_MS })
const older = ca.issue({ names, notBefore: now - 10 * DAY_MS, key: bad.key })
const otherKey = ca.issue({ names, notBefore: now - DAY_MS })
const pins = [{ spki: ca.issuer.pin }, { spki: ca.root.pin }]
const hosts: readonly HostInput[] = names.map((host) => ({ host, mode: 'enforce', pins }))

const serialOf = ({ serial }: TestCertificate): string => Buffer.from(serial).toString('hex')
const sha256Of = ({ der }: TestCertificate): string => createHash('sha256').update(der).digest('hex')
const ofKey = { sha256: bad.pin, since: daysAgo(1), reason: 'stolen' }

/** A client that has a connection to each of two servers, and a manifest that then revokes. */
async function afterRevoking(
  spared: TestCertificate,
  more: { readonly revocations?: RevocationsInput; readonly denied?: readonly string[] },
) {
  const runtime = createTestRuntime({ now })
  const { clock } = runtime
  const published = { ca, name: 'pins.example.com', hosts, repository: { clock } }
  const { repository, manifest } = await startTestPins(published)
  const [refused, served] = [
    await until(startTlsServer({ identity: bad })),
    await until(startTlsServer({ identity: spared })),
  ]
  const client = testClient({ manifest, anchors: ca.anchorPem, runtime })
  await settled(client.ready(), runtime)
  const get = async (peer: TestTlsServer, host = HOST) => {
    const response = await client.fetch(`https://${host}:${peer.port}/`)
    await response.text()
    return response.status
  }
  expect([await get(refused), await get(served)]).toEqual([200, 200])
  const { revocations, denied } = more
  if (revocations !== undefined) await repository.publish({ members: { revocations } })
  else await repository.publishStatus({ deny: [{ spki: bad.pin, reason: 'stolen', hosts: denied ?? names }] })
  await refresh(client, runtime)
  return { get, refused, served }
}

test.each<[string, RevocationsInput, TestCertificate, PinfetchError['code']]>([
  ['a certificate', { certificate: [{ sha256: sha256Of(bad) }] }, older, 'ERR_TRUST_CERT_REVOKED'],
  [
    'a serial number of an issuer',
    { issuerSerial: [{ issuerSpkiSha256: ca.issuer.pin, serials: [serialOf(bad)] }] },
    older,
    'ERR_TRUST_CERT_REVOKED',
  ],
  [
    'what a CA issued from a day on',
    { distrustAfter: [{ spkiSha256: ca.root.pin, notBefore: daysAgo(5) }] },
    older,
    'ERR_TRUST_CA_DISTRUSTED',
  ],
  ['a key', { spki: [ofKey] }, otherKey, 'ERR_TRUST_PIN_DENIED'],
])(
  'a manifest that revokes %s ends the connection to it and refuses the next; another is served',
  async (_, revocations, spared, code) => {
    const { get, refused, served } = await afterRevoking(spared, { revocations })
    const before = refused.applicationBytes
    await refusalOf(get(refused), code)
    expect([refused.applicationBytes - before, refused.accepted]).toEqual([0, 2])
    expect([await get(served), served.accepted]).toEqual([200, 1])
  },
)

test.each([
  ['revokes', { revocations: { spki: [{ ...ofKey, hosts: [HOST] }] } }],
  ['denies', { denied: [HOST] }],
])('a key that a document %s for one host serves another: ERR_TRUST_PIN_DENIED', async (_, more) => {
  const { get, refused } = await afterRevoking(otherKey, more)
  await refusalOf(get(refused), 'ERR_TRUST_PIN_DENIED')
  expect(await get(refused, OTHER)).toBe(200)
})
