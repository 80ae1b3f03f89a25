import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { createEgress } from '../../src/client/egress.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { PinnedDispatcher } from '../../src/transport/dispatcher.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../../src/transport/limits.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { refusalOf, until } from '../support/client.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })

async function start() {
  const peer = await until(startTlsServer({ identity: server }))
  const origin = originOf(`https://${HOST}:${peer.port}`)
  const asked: string[] = []
  const dispatcher = new PinnedDispatcher({
    policyOf: () => policyFor(origin, [server.pin], { anchors: createAnchors(ca.anchorPem) }),
    runtime: systemRuntime,
    emit: () => undefined,
    resolver: async (host) => {
      asked.push(host)
      return ['127.0.0.1']
    },
    egress: createEgress([{ origins: [`${HOST}:*`], methods: ['GET'], paths: ['/v1/*'] }]),
    timeouts: DEFAULT_TIMEOUTS,
    limits: DEFAULT_LIMITS,
  })
  onTestFinished(() => dispatcher.destroy())
  const ask = async (path: string, method = 'GET', host = origin.text): Promise<number> => {
    const response = await dispatcher.request({ origin: `https://${host}`, path, method: method as 'GET' })
    await response.body.dump()
    return response.statusCode
  }
  return { peer, asked, ask }
}

test('what is dispatched without fetch meets the same rules, with its path as it would be sent', async () => {
  const { ask, asked, peer } = await start()
  await refusalOf(ask('/v1/a', 'GET', 'other.example.com'), 'ERR_POLICY_ORIGIN_DENIED')
  await refusalOf(ask('/v1/a', 'PUT'), 'ERR_POLICY_REQUEST_DENIED')
  await refusalOf(ask('/v1/a', 'get'), 'ERR_POLICY_REQUEST_DENIED')
  for (const path of ['/v1', '/v1/../admin', '/v1/%2e%2e/admin', '/v1/..%2fadmin', `https://${HOST}/v1/a`, '//v1/a']) {
    await refusalOf(ask(path), 'ERR_POLICY_REQUEST_DENIED')
  }
  expect([asked, peer.accepted]).toEqual([[], 0])
})

test('the control: what they allow is sent', async () => {
  const { ask, peer } = await start()
  expect(await ask('/v1/a?b=../c')).toBe(200)
  expect(peer.requests.map(({ path }) => path)).toEqual(['/v1/a?b=../c'])
})
