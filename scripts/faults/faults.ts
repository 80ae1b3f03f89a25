/**
 * `npm run faults`: every fault that the client has to survive, injected by servers on loopback. Prints what came of each and
 * ends with 1 when one did not hold. `npm run faults -- F30 F33` runs these alone.
 */
import { faultCases } from './cases.ts'
import { runCase } from './fault-case.ts'
import { references } from './see.ts'

const wanted = process.argv.slice(2)
const isWanted = ({ id }: { readonly id: string }): boolean => wanted.length === 0 || wanted.includes(id)
const broken: string[] = []
const row = (...cells: readonly unknown[]): void => {
  console.log(cells.map((cell, column) => String(cell).padEnd(WIDTHS[column] ?? 0)).join('  '))
}

const WIDTHS = [4, 8, 8, 9, 6, 4, 82, 40]
row('id', 'verdict', 'attempts', 'app bytes', 'ms', 'left', 'fault', 'outcome; events')
for (const one of faultCases.filter(isWanted)) {
  const { problems, id, fault, outcome, attempts, applicationBytes, elapsedMs, events, left } = await runCase(one)
  const verdict = problems.length === 0 ? 'held' : 'NOT HELD'
  row(
    id,
    verdict,
    attempts,
    applicationBytes,
    elapsedMs,
    left,
    fault,
    events === '' ? outcome : `${outcome}; ${events}`,
  )
  broken.push(...problems.map((problem) => `${id} ${fault}: ${problem}`))
}
for (const { id, file, isThere } of references.filter(isWanted)) {
  row(id, isThere ? 'see' : 'LOST', '', '', '', '', file, '')
  if (!isThere) broken.push(`${id}: ${file} has no test of that name`)
}
for (const problem of broken) console.error(problem)
process.exitCode = broken.length === 0 ? 0 : 1
