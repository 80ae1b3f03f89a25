import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { systemRuntime } from '../../src/ports/system.ts'
import type { Evidence } from '../../src/transport/connector.ts'
import { PinnedDispatcher } from '../../src/transport/dispatcher.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../../src/transport/limits.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { refusalOf, until } from '../support/client.ts'
import { originOf, policyFor } from '../support/policy.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })

/** Nothing is known when the certificates are judged; the turn after, while the server’s Finished is under way, something is. */
function lateEvidence(arrives: 'revoked' | 'good'): Evidence {
  let hasArrived = false
  return {
    source: {
      get version() {
        return hasArrived ? 2 : 1
      },
      crls: () => {
        const known = { thisUpdate: 0, validUntil: Number.POSITIVE_INFINITY }
        const answer = arrives === 'good' ? { status: arrives, ...known } : { status: arrives, revokedAt: 0, ...known }
        setImmediate(() => {
          hasArrived = true
        })
        return hasArrived ? [answer] : []
      },
      ocspResponses: () => [],
    },
    want: () => undefined,
    gather: async () => undefined,
  }
}

async function ask(evidence: Evidence) {
  const peer = await until(startTlsServer({ identity: server, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }))
  const origin = originOf(`https://${HOST}:${peer.port}`)
  const policy = policyFor(origin, [server.pin], {
    anchors: createAnchors(ca.anchorPem),
    minTlsVersion: '1.2',
  })
  const dispatcher = new PinnedDispatcher({
    policyOf: () => policy,
    runtime: systemRuntime,
    emit: () => undefined,
    resolver: async () => ['127.0.0.1'],
    timeouts: DEFAULT_TIMEOUTS,
    limits: DEFAULT_LIMITS,
    evidence,
  })
  onTestFinished(() => dispatcher.destroy())
  const answer = dispatcher.request({ origin: `https://${origin.text}`, path: '/', method: 'GET' })
  return { peer, answer }
}

test('a revocation that arrives while the handshake runs refuses the connection: ERR_TRUST_CERT_REVOKED', async () => {
  const { peer, answer } = await ask(lateEvidence('revoked'))
  await refusalOf(answer, 'ERR_TRUST_CERT_REVOKED')
  expect(peer.requests).toEqual([])
})

test('other news that arrive meanwhile let it through', async () => {
  const { answer } = await ask(lateEvidence('good'))
  const { statusCode, body } = await answer
  await body.dump()
  expect(statusCode).toBe(200)
})
