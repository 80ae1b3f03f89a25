import { certSpotter, checkIssuances } from 'pinfetch/monitor'
import { createTestRepository, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { issuanceStage } from '../monitor/issuance/stage.ts'
import { testClient, until } from '../support/client.ts'

const HOST = 'api.example.com'
const ca = testCa()
const [own, backup, other] = [ca.issue({ names: [HOST] }), ca.issue(), ca.issue()]

test('the pins in force are those of the manifest, whatever the port: ERR_TRUST_HOST_NOT_COVERED for a host of none', async () => {
  const repository = await createTestRepository({ hosts: { [HOST]: [own.pin, backup.pin] } })
  const client = testClient({
    manifest: {
      root: repository.root,
      memoryOnly: true,
      custom: { get: async (path: string) => repository.files().get(path) },
    },
    anchors: ca.anchorPem,
  })
  await client.ready()
  expect(client.manifest.pins(HOST)).toEqual([own.pin, backup.pin])
  expect(client.manifest.pins(`${HOST}:8443`)).toEqual([own.pin, backup.pin])
  expect(() => client.manifest.pins('other.example.com')).toThrow(
    expect.objectContaining({ code: 'ERR_TRUST_HOST_NOT_COVERED' }),
  )
})

test.each(['', '*.example.com', 'https://api.example.com', 'api.example.com/x', 'a b'])(
  '%j is no host: ERR_CONFIG_INVALID',
  (host) => {
    const client = testClient({ pins: { [HOST]: [own.pin] }, anchors: ca.anchorPem })
    expect(client.manifest.pins(HOST)).toEqual([own.pin]) // the control
    expect(() => client.manifest.pins(host)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  },
)

test('what they are is no way to change what is in force, and a contained host has none: ERR_POLICY_CONTAINED', async () => {
  const server = await until(startTlsServer({ identity: own }))
  const client = testClient({ pins: { [HOST]: [own.pin, backup.pin] }, anchors: ca.anchorPem })
  ;(client.manifest.pins(HOST) as string[]).splice(0, 2, other.pin)
  expect((await client.fetch(`https://${HOST}:${server.port}/`)).status).toBe(200)
  client.contain(HOST, 'INC-8')
  expect(() => client.manifest.pins(HOST)).toThrow(expect.objectContaining({ code: 'ERR_POLICY_CONTAINED' }))
})

test('a watch of issued certificates takes them: what is pinned is expected, and nothing else', async () => {
  const { server, rogue, known } = await issuanceStage()
  const issued = rogue()
  server.issue(issued)
  const sources = [certSpotter({ baseUrl: server.url })]
  const unexpectedUnder = async (pin: string): Promise<number> => {
    const client = testClient({ pins: { [HOST]: [pin] }, anchors: ca.anchorPem })
    const report = await checkIssuances({ ...known, pins: () => client.manifest.pins(HOST), sources })
    expect(report.failures).toEqual([])
    return report.unexpected.length
  }
  expect([await unexpectedUnder(issued.pin), await unexpectedUnder(own.pin)]).toEqual([0, 1])
})
