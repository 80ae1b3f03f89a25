/**
 * `npm run soak`: every kind of rotation under load, on loopback. Prints a table; ends with 1 when a request failed, was sent
 * on a connection that the manifest in force had ended more than a second before, or when the rate was not reached.
 *
 * Options: `--seconds 60 --rate 330`.
 */
import { parseArgs } from 'node:util'
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
const found = [...violations(phases), ...(reached < MIN_RATE ? [`fewer than ${MIN_RATE} requests a second`] : [])]
console.log(`${total} requests in ${elapsed.toFixed(1)} s: ${reached.toFixed(0)} a second`)
for (const violation of found) console.error(violation)
process.exitCode = found.length === 0 ? 0 : 1
