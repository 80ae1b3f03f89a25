import { generateKeyPairSync } from 'node:crypto'
import { oauth } from 'pinfetch/auth'
import { httpSignature, localSigner, memoryNonces, verificationKey, verifyRequests } from 'pinfetch/signing'
import type { TestRequest } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { answerJson, authStage, oauthAt } from '../support/auth-stage.ts'
import { refusalOf } from '../support/client.ts'
import { signingStage, testSigner } from '../support/signing-stage.ts'

const QUICK = { baseMs: 1, maxDelayMs: 5, idempotencyKey: 'auto' } as const
const pair = generateKeyPairSync('ed25519')
const ROADS: readonly (readonly [string, RequestInit])[] = [
  ['lean', {}],
  ['full', { window: null } as RequestInit],
]

/** Of all requests the values of a field, or of a parameter of their signatures. */
const fieldOf = (requests: readonly TestRequest[], name: string) => requests.map(({ headers }) => headers[name])
const parameterOf = (requests: readonly TestRequest[], name: string) =>
  fieldOf(requests, 'signature-input').map((field) => new RegExp(`;${name}="?([^";]+)`).exec(String(field))?.[1])

/** An API that is busy once, behind a redirect, for a client with a token that is bound to a key. */
async function busyStage() {
  let isBusy = true
  const { api, client, url } = await authStage({
    schemes: ({ server, api }) =>
      oauth(
        oauthAt(server, api, {
          senderConstraint: {
            dpop: { signer: localSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey) },
          },
        }),
      ),
    token: (_, response) => answerJson(response, { access_token: 'access-1', token_type: 'DPoP', expires_in: 3_600 }),
    judge: false,
    handler: ({ path }, response) => {
      if (path === '/pay') response.writeHead(307, { location: '/moved' }).end()
      else if (isBusy) {
        isBusy = false
        response.writeHead(503).end('busy')
      } else response.end('ok')
    },
    client: {
      retry: QUICK,
      redirect: 'same-origin',
      sign: httpSignature({ keys: localSigner(pair.privateKey, { keyId: 'k' }) }),
    },
  })
  const verify = verifyRequests({
    keys: verificationKey(pair.publicKey, { keyId: 'k' }),
    algorithms: ['ed25519'],
    maxAgeSec: 60,
    origin: new URL(url()).origin,
    nonces: memoryNonces(),
  })
  const verified = (request: TestRequest) => verify({ ...request, url: request.path }, request.body)
  return { api, client, url, verified }
}

describe.each(ROADS)('a retry on the %s road', (_, road) => {
  test('of what was redirected and signed has a signature, a nonce and a proof of its own each time (SIG-11)', async () => {
    const { api, client, url, verified } = await busyStage()
    const response = await client.fetch(url('/pay'), { ...road, method: 'POST', body: '{"amount":1}' })
    expect([response.status, await response.text()]).toEqual([200, 'ok'])
    const { requests } = api
    expect(requests.map(({ path }) => path)).toEqual(['/pay', '/moved', '/pay', '/moved'])
    for (const request of requests) {
      const { components } = await verified(request)
      expect(components).toEqual(expect.arrayContaining(['"content-digest"', '"authorization"', '"dpop"']))
    }
    for (const request of requests) await refusalOf(verified(request), 'ERR_VERIFY_REPLAY')
    for (const different of [
      parameterOf(requests, 'nonce'),
      fieldOf(requests, 'dpop'),
      fieldOf(requests, 'signature'),
    ]) {
      expect(new Set(different).size).toBe(4)
      expect(different).not.toContain(undefined)
    }
    for (const same of ['content-digest', 'idempotency-key', 'authorization']) {
      const values = fieldOf(requests, same)
      expect(values, same).toEqual(Array(4).fill(expect.stringMatching(/./)))
      expect(new Set(values).size, same).toBe(1)
    }
    for (const name of ['created', 'expires']) expect(parameterOf(requests, name)).not.toContain(undefined)
  })

  test.each([
    ['text', () => 'text'],
    ['bytes', () => new Uint8Array(10)],
  ])('hashes %s once', async (_, body) => {
    const signer = testSigner()
    let isBusy = true
    const { client, url, verified } = await signingStage(signer, {
      client: { retry: QUICK },
      api: {
        handler: (_, response) => {
          response.writeHead(isBusy ? 503 : 200).end()
          isBusy = false
        },
      },
    })
    expect((await client.fetch(url(), { ...road, method: 'POST', body: body() })).status).toBe(200)
    expect(verified()).toEqual([['test'], ['test']])
    expect(signer.digests).toHaveLength(2)
    expect(signer.digests[1]).toBe(signer.digests[0])
  })
})
