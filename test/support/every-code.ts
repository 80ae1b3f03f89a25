import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Reporter, TestModule, Vitest } from 'vitest/node'
import { isFull } from './tier.ts'

/**
 * Names, after a whole run, the codes that the sources make errors of and no test made them make: `test/support/produced-codes.ts`
 * observes it. Where nothing is skipped for want of a program, the run fails for them. Of a part of the tests nothing is said, nor of
 * the codes of findings and of evidence, which are no errors of the client: that a test names those is a rule of its own.
 */
export class EveryCode implements Reporter {
  #vitest: Vitest | undefined

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const { root = '', testNamePattern } = this.#vitest?.config ?? {}
    const ran = new Set(modules.map(({ moduleId }) => moduleId))
    if (testNamePattern !== undefined || testFiles(root).some((path) => !ran.has(path))) return
    const missing = missingFrom(
      root,
      modules.flatMap((module) => (module.meta() as Produced).produced ?? []),
    )
    if (missing.length === 0) return
    process.stderr.write(`\nCodes that no test of this run made the sources produce: ${missing.join(', ')}\n`)
    if (isFull || process.env['CI'] === 'true') process.exitCode = 1
  }
}

/** Those of `npm test`. */
function testFiles(root: string): readonly string[] {
  return filesOf(root, 'test', '.test.ts').filter((path) => !path.startsWith(join(root, 'test/external')))
}

/** Of the codes that the sources give to an error as they make it, those that are not among these. */
export function missingFrom(root: string, produced: readonly string[]): readonly string[] {
  const made = filesOf(root, 'src', '.ts').flatMap((path) => [...readFileSync(path, 'utf8').matchAll(MAKING)])
  const missing = new Set(made.map(([, code = '']) => code))
  for (const code of [...produced, ...IN_A_CHILD]) missing.delete(code)
  return [...missing].sort()
}

type Produced = { readonly produced?: readonly string[] }

const MAKING = /new (?!Evidence)[A-Z]\w*Error\(\s*'(ERR_[A-Z0-9_]+)'/g
const IN_A_CHILD = ['ERR_TRANSPORT_FETCH_PATCHED'] // the test replaces the fetch of a process of its own

const filesOf = (root: string, folder: string, ending: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending))
    .map((path) => join(root, folder, path))
