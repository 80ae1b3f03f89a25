import { createTestRuntime, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { testClient, until } from '../support/client.ts'

test('a connection older than limits.connectionAgeMs, give or take a tenth, gets no further request', async () => {
  const ca = testCa()
  const identity = ca.issue({ names: ['localhost'] })
  const peer = await until(startTlsServer({ identity }))
  const runtime = createTestRuntime({ now: Date.now() })
  const common = { pins: { localhost: [identity.pin] }, anchors: ca.anchorPem, runtime }
  const client = testClient({ ...common, limits: { connectionAgeMs: 20_000 } })
  const acceptedAfter = async (ms: number): Promise<number> => {
    await runtime.advance(ms)
    await (await client.fetch(peer.origin)).text()
    return peer.accepted
  }
  expect([await acceptedAfter(0), await acceptedAfter(17_000), await acceptedAfter(5_001)]).toEqual([1, 1, 2])
})
