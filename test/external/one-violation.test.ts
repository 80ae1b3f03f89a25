/** What a client says of an attack by a program that others wrote: one of each, with the same code. */
import { startTlsServer, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { freePort } from '../../src/testing/lab/programs.ts'
import { testClient, until } from '../support/client.ts'
import { expectOneOfEach } from '../support/one-violation.ts'
import { installed, startMitmdump } from './tools.ts'

const HOST = 'api.example.com'
const genuine = testCa({ name: 'Genuine' })
const server = genuine.issue({ names: [HOST] })
const owned: TestCertificate = testCa({ name: 'Owned', intermediates: 0 }).root

describe.skipIf(!installed('mitmdump'))('mitmproxy', () => {
  test.each([
    ['trusts', [genuine.anchorPem, owned.pem], 'ERR_TRUST_PIN_MISMATCH'],
    ['does not trust', [genuine.anchorPem], 'ERR_TRUST_UNKNOWN_ISSUER'],
  ] as const)(
    'under a CA that the client %s: one of each, with the same code',
    async (_, anchors, code) => {
      const target = await until(startTlsServer({ identity: server }))
      const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: [...anchors] })
      expect((await client.fetch(`https://${HOST}:${target.port}/`)).status).toBe(200) // the control: the server itself
      const port = await freePort()
      const mode = ['--mode', `reverse:https://127.0.0.1:${target.port}`, '--set', 'keep_host_header=true']
      const mitm = await startMitmdump(port, owned, mode)
      await expectOneOfEach(client, `${HOST}:${port}`, () => client.fetch(`https://${HOST}:${port}/`), code)
      await expect.poll(() => mitm.seen().map(({ event }) => event), { timeout: 20_000 }).toContain('failed')
      expect(mitm.seen().some(({ event }) => event === 'request' || event === 'established')).toBe(false)
    },
    120_000,
  )
})
