/**
 * Mutation testing by Stryker: `npm run mutation`, or with folders or files of it. Prints the score of each file and each mutant
 * that no test notices, with its reason from `survivors/`. Exits 1 where one has none, where a listed one is noticed by now, and
 * where a target is missed.
 */
import { readFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import { Stryker } from '@stryker-mutator/core'
import { AREAS, type Area, TARGET, TARGETS } from './areas.ts'
import { SURVIVORS } from './survivors/index.ts'
import { type FileScore, percent, score } from './survivors.ts'

const asked = process.argv.slice(2).map((path) => path.replace(/\/$/, ''))
let clean = true
for (const folder of Object.keys(AREAS)) {
  const mutate =
    asked.includes(folder) || asked.length === 0
      ? [`${folder}/*.ts`]
      : asked.filter((path) => dirname(path) === folder && AREAS[path] === undefined)
  if (mutate.length > 0) await run(folder, mutate)
}
process.exitCode = clean ? 0 : 1

async function run(folder: string, mutate: string[]): Promise<void> {
  process.env['MUTATION_AREA'] = folder // for vitest.mutation.config.ts, in each process of Stryker
  const { runners } = AREAS[folder] as Area
  const mutants = await new Stryker({ mutate, ...(runners && { concurrency: runners }) }).runMutationTest()
  for (const file of [...new Set(mutants.map(({ fileName }) => relative(process.cwd(), fileName)))].sort()) {
    const own = mutants.filter(({ fileName }) => relative(process.cwd(), fileName) === file)
    print(file, score(readFileSync(file, 'utf8'), own, SURVIVORS[file] ?? []))
  }
}

function print(file: string, result: FileScore): void {
  const { killed, timedOut, reasoned, bare, stale } = result
  const missed = percent(result) < TARGET && TARGETS.some((target) => target.test(file))
  if (bare.length + stale.length > 0 || missed) clean = false
  const found = killed + timedOut
  console.log(
    `${file}: ${percent(result).toFixed(2)} %, ${found} of ${found + reasoned.length + bare.length}${timedOut > 0 ? `, ${timedOut} of them by time` : ''}${missed ? `, below ${TARGET}` : ''}`,
  )
  for (const { at, line, mutant, why = 'NO REASON LISTED' } of [...reasoned, ...bare])
    console.log(`  ${at}  ${line}\n    ${mutant}\n    ${why}`)
  for (const key of stale) console.log(`  listed, but noticed by a test, or gone: ${key}`)
}
