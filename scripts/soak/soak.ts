/**
 * `npm run soak`: every kind of rotation under load, on loopback; then rotations every 60 ms that leave the peer's key pinned, under
 * 64 callers. Prints tables; ends with 1 when a request failed, was sent on a connection that the manifest in force had ended
 * more than a second before, when the rate was not reached, or when fewer than 99 % of the requests reused a connection.
 *
 * Options: `--seconds 60 --rate 330`. The seconds are those of each part.
 */
import { parseArgs } from 'node:util'
import { reuseViolations, soakReuse } from './reuse.ts'
import { soak, violations } from './rotation.ts'

const MIN_RATE = 300

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, rate: { type: 'string', default: '330' } },
})
const [seconds, rate] = [Number(values.seconds), Number(values.rate)]
const begun = performance.now()
const phases = await soak({ seconds, rate })
const elapsed = (performance.now() - begun) / 1_000

const ms = (value: number | undefined): string => (value === undefined ? '-' : value.toFixed(1))
const rows = phases.map(({ name, requests, failures, late, connections, retired, activatedMs, medianMs, p99Ms }) => ({
  rotation: name,
  requests,
  failed: failures.length,
  late,
  handshakes: connections,
  retired,
  'in force after ms': ms(activatedMs),
  'median ms': ms(medianMs),
  'p99 ms': ms(p99Ms),
}))
console.table(rows)

const total = phases.reduce((sum, { requests }) => sum + requests, 0)
const reached = total / elapsed
console.log(`${total} requests in ${elapsed.toFixed(1)} s: ${reached.toFixed(0)} a second`)

const reuse = await soakReuse({ seconds })
console.table(
  reuse.map((phase) => ({ ...phase, failures: phase.failures.length, reuse: `${(phase.reuse * 100).toFixed(2)} %` })),
)

const tooSlow = reached < MIN_RATE ? [`fewer than ${MIN_RATE} requests a second`] : []
const found = [...violations(phases), ...tooSlow, ...reuseViolations(reuse)]
for (const violation of found) console.error(violation)
process.exitCode = found.length === 0 ? 0 : 1
