/**
 * `npm run faults`: every fault that the client has to survive, injected by servers on loopback. Prints what came of each and
 * ends with 1 when one did not hold. `npm run faults -- F30 F33` runs these alone.
 */
import { faultCases } from './cases.ts'
import { runCase } from './fault-case.ts'

const wanted = process.argv.slice(2)
const rows: Record<string, string | number>[] = []
const broken: string[] = []

for (const one of faultCases) {
  if (wanted.length > 0 && !wanted.includes(one.id)) continue
  const { problems, ...report } = await runCase(one)
  const { id, fault, outcome, attempts, applicationBytes, elapsedMs, events, left } = report
  const verdict = problems.length === 0 ? 'held' : 'NOT HELD'
  rows.push({ id, fault, outcome, attempts, 'app bytes': applicationBytes, ms: elapsedMs, events, left, verdict })
  broken.push(...problems.map((problem) => `${id} ${fault}: ${problem}`))
}

console.table(rows)
for (const problem of broken) console.error(problem)
process.exitCode = broken.length === 0 ? 0 : 1
