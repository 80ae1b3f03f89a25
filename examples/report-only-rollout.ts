/**
 * Pins for an API that is in use already, without the risk of an outage: report first, collect what the servers really show,
 * enforce when nothing is reported any more. Name, chain and denied keys are enforced from the start.
 * `npx tsx examples/report-only-rollout.ts`.
 */
import { type Client, createClient } from 'pinfetch'
import { startTlsServer, type TestCertificate, testCa } from 'pinfetch/testing'

const ca = testCa()
const [known, forgotten] = [ca.issue({ names: ['localhost'] }), ca.issue({ names: ['localhost'] })]
const api = await startTlsServer({ identity: known })
let reports = 0
const keys = new Set<string>()
const rollout = (pins: readonly string[], mode: 'report' | 'enforce') => {
  const client = createClient({ pins: { localhost: { pins, mode } }, anchors: ca.anchorPem })
  client.on('tls.reported', ({ chain }) => {
    reports += 1
    keys.add(chain.find(({ position }) => position === 'endEntity')?.spki ?? '')
  })
  return client
}

// Week 1: the one pin that everybody knows of. A second server behind the same name has another key, which nobody remembered.
const first = rollout([known.pin], 'report')
console.log('report:', await meet(first, known), await meet(first, forgotten))
console.log(`reports: ${reports}, with the key of the second server: ${keys.has(forgotten.pin)}`)
await first.close()

// Week 2: its owner says that the key is theirs. Now nothing is reported any more.
reports = 0
const second = rollout([known.pin, forgotten.pin], 'report')
console.log('report:', await meet(second, known), await meet(second, forgotten))
console.log(`reports: ${reports}`)
await second.close()

// Week 3: enforced, which is the default.
const third = rollout([known.pin, forgotten.pin], 'enforce')
console.log('enforce:', await meet(third, known), await meet(third, forgotten))
console.log('a stranger:', await meet(third, ca.issue({ names: ['localhost'] })))
await third.close()
await api.close()

/** One request, while this server answers: its status, or the code it is refused with. */
function meet(client: Client, server: TestCertificate): Promise<number | string> {
  api.setIdentity(server)
  api.destroyConnections()
  return client.fetch(api.origin).then(
    ({ status }) => status,
    ({ code }) => code,
  )
}
