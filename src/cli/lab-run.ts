import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CODES } from '../errors/codes.ts'
import type { Lab } from '../testing/lab/lab.ts'
import type { LabReport, LabResult } from '../testing/lab/report.ts'
import type { Io, Paint } from './io.ts'
import { labPage } from './lab-page.ts'
import { type Failure, type Outcome, UsageError } from './outcome.ts'
import { counted, table } from './text.ts'

export interface LabOptions {
  readonly client?: string
  readonly attack?: string
  readonly html?: string
  readonly list?: true
}

export async function runLab(options: LabOptions, io: Io, paint: Paint): Promise<Outcome> {
  const client = options.client === undefined ? undefined : moduleOf(options.client)
  const { createLab } = await import('../testing/lab/lab.ts')
  const lab = createLab(client === undefined ? {} : { client })
  try {
    const attacks = idsOf(options.attack, lab)
    if (options.list === true) return listed(lab, attacks)
    const report = await lab.run({
      attacks,
      onResult: progress(io),
      ...(io.signal === undefined ? {} : { signal: io.signal }),
    })
    if (options.html !== undefined) await writeFile(options.html, labPage(report, io.now()))
    return answer(report, paint)
  } finally {
    await lab.close()
  }
}

function moduleOf(path: string): URL {
  const file = resolve(path)
  if (!existsSync(file))
    throw new UsageError(`${path}: no such file`, 'Give --client the path of a module: ./my-client.mjs')
  return pathToFileURL(file)
}

function idsOf(text: string | undefined, { attacks }: Lab): readonly string[] {
  const all = attacks.map(({ id }) => id)
  if (text === undefined) return all
  const asked = text.split(',').map((id) => id.trim())
  const unknown = asked.filter((id) => !all.includes(id))
  if (unknown.length > 0) throw new UsageError(`no attack ${unknown.join(', ')}`, 'pinfetch lab --list shows them all.')
  return asked
}

function listed({ attacks }: Lab, ids: readonly string[]): Outcome {
  const chosen = attacks.filter(({ id }) => ids.includes(id))
  return {
    data: { attacks: chosen.map(({ id, group, title, codes, needs = [] }) => ({ id, group, title, codes, needs })) },
    text: [...table(chosen.map(({ id, group, title }) => [id, group, title]))],
  }
}

/** One line for each attack that was run on everybody. */
function progress({ stderr }: Io): (result: LabResult) => void {
  const written = new Set<string>()
  return ({ attack, contender }) => {
    if (contender !== 'pinfetch' || written.has(attack)) return
    written.add(attack)
    stderr.write(`attacked  ${attack}\n`)
  }
}

function answer(report: LabReport, paint: Paint): Outcome {
  const { attacks, contenders, durationMs } = report
  const all = attacks.flatMap(({ results }) => results)
  const missing = [...new Set(all.flatMap(({ missing }) => missing ?? []))]
  const failure = failureOf(all)
  return {
    data: report,
    text: [
      ...table([
        ['attack', ...contenders, 'what the attacker does'],
        ...attacks.map(({ id, title, results }) => [id, ...results.map(({ outcome }) => WORDS[outcome]), title]),
      ]).map((line, row) => (row === 0 ? paint.bold(line) : line)),
      '',
      ...contenders.map((name) => totalOf(name, all)),
      ...reasons(all),
    ],
    notes: [`${counted(attacks.length, 'attack')} in ${(durationMs / 1_000).toFixed(1)} s`],
    warnings: missing.map((program) => `not run without ${program}: ${withoutIt(all, program)}`),
    ...(failure === undefined ? {} : { failure }),
  }
}

function totalOf(name: string, all: readonly LabResult[]): string {
  const own = all.filter(({ contender }) => contender === name)
  const lost = own.filter(({ outcome }) => outcome === 'lost').length
  const notRun = own.filter(({ outcome }) => outcome === 'not-run').length
  const skipped = notRun === 0 ? '' : `, ${notRun} not run`
  return `${name}: withstood ${own.length - lost - notRun} of ${own.length - notRun}${skipped}`
}

/** What went wrong for those whom the exit code is about. */
const reasons = (all: readonly LabResult[]): readonly string[] =>
  all.filter(isBad).map(({ attack, contender, reason }) => `${attack} ${contender}: ${reason}`)

function failureOf(all: readonly LabResult[]): Failure | undefined {
  const bad = all.filter(isBad)
  const [worst] = [...bad.filter(({ outcome }) => outcome === 'lost'), ...bad]
  if (worst === undefined) return undefined
  const code = worst.outcome === 'lost' ? 'ERR_POLICY_LAB' : 'ERR_POLICY_LAB_NOT_RUN'
  const message = `${worst.attack} ${worst.contender}: ${worst.reason}`
  return { code, message, hint: CODES[code].fix }
}

/** Nobody expects of Node's own fetch and of undici that they withstand everything. */
function isBad({ contender, outcome, missing }: LabResult): boolean {
  if (contender !== 'pinfetch' && contender !== 'yours') return false
  return outcome === 'lost' || (outcome === 'not-run' && missing === null)
}

const withoutIt = (all: readonly LabResult[], program: string): string =>
  [...new Set(all.filter(({ missing }) => missing === program).map(({ attack }) => attack))].join(', ')

const WORDS = {
  refused: 'refused',
  noticed: 'noticed',
  unharmed: 'unharmed',
  lost: 'LOST',
  'not-run': 'not run',
} as const
