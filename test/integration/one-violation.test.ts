import { startInterceptor, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { testClient, until } from '../support/client.ts'
import { expectOneOfEach } from '../support/one-violation.ts'

const HOST = 'api.example.com'
const genuine = testCa({ name: 'Genuine' })
const rogue = testCa({ name: 'Rogue' })
const server = genuine.issue({ names: [HOST] })

test.each([
  ['trusts', [genuine.anchorPem, rogue.anchorPem], 'ERR_TRUST_PIN_MISMATCH'],
  ['does not trust', [genuine.anchorPem], 'ERR_TRUST_UNKNOWN_ISSUER'],
] as const)(
  'an interceptor whose CA the client %s: one of each, and each says the same code',
  async (_, anchors, code) => {
    const target = await until(startTlsServer({ identity: server }))
    const attacker = await until(startInterceptor({ target, ca: rogue }))
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: [...anchors] })
    expect((await client.fetch(`https://${HOST}:${target.port}/`)).status).toBe(200) // the control: the server itself
    const url = `https://${HOST}:${attacker.port}/`
    await expectOneOfEach(client, `${HOST}:${attacker.port}`, () => client.fetch(url), code)
    expect(attacker.plaintext).toBe('')
  },
  60_000,
)
