import type { Command } from 'commander'
import { CODES } from '../errors/codes.ts'
import { anchorsFrom } from './chain.ts'
import { type CheckId, checklistOf, GRADE_RULE, gradeOf, type Lowered } from './doctor-checklist.ts'
import { type ExaminedConfig, examineConfig } from './doctor-config.ts'
import { outwardInterfaces, readMachine, watchClocks } from './doctor-machine.ts'
import { examineServer } from './doctor-server.ts'
import { examineSurroundings } from './doctor-surroundings.ts'
import type { Io, Paint } from './io.ts'
import { KNOWN_UNTIL } from './node-releases.ts'
import { type Outcome, UsageError } from './outcome.ts'
import type { Run } from './program.ts'
import { counted } from './text.ts'

/** One line of the answer. `id`: the check of the list that it belongs to. `fix`: what to do about it. */
export interface Diagnosis {
  readonly id: CheckId
  readonly severity: 'ok' | 'info' | 'warning' | 'error'
  readonly subject: string
  readonly message: string
  readonly fix?: string
}

export function addDoctor(program: Command, run: Run): void {
  program
    .command('doctor')
    .summary('what here, in a configuration or at a server is weaker than it should be')
    .argument('[sources...]', 'an https URL to look at, a configuration file, or both')
    .option('--ca <pem>', 'roots to verify with, in place of Node’s')
    .option('--strict', 'exit with 5 where there are warnings')
    .addHelpText('before', EXAMPLE)
    .addHelpText('after', `\nThe grade: ${GRADE_RULE}\n`)
    .action((sources: readonly string[], options: DoctorOptions) =>
      run((io, paint) => doctor(sources, options, io, paint)),
    )
}

interface DoctorOptions {
  readonly ca?: string
  readonly strict?: true
}

async function doctor(
  sources: readonly string[],
  { ca, strict }: DoctorOptions,
  io: Io,
  paint: Paint,
): Promise<Outcome> {
  const driftOfClocks = watchClocks(io)
  const local = outwardInterfaces().map(({ address }) => address)
  const sections: [string, readonly Diagnosis[]][] = []
  const anchors = ca === undefined ? undefined : await anchorsFrom(ca)
  const urls = new Map(sources.map((source) => [source, urlOf(source)]))
  const configs = new Map<string, ExaminedConfig>()
  for (const [source, url] of urls) {
    if (url === undefined)
      configs.set(source, await examineConfig(source, { ca, local: [...local, '127.0.0.1', '::1'] }, io))
  }
  for (const [source, url] of urls) {
    if (url === undefined) sections.push([source, configs.get(source)?.findings ?? []])
    else sections.push([url.origin, await examineServer(url, anchors, [...configs.values()], io)])
  }
  sections.unshift(['this machine', examineSurroundings(readMachine(io, driftOfClocks()))])
  return report(sections, strict === true, paint)
}

function report(sections: readonly [string, readonly Diagnosis[]][], strict: boolean, paint: Paint): Outcome {
  const all = sections.flatMap(([, found]) => found)
  const errors = all.filter(({ severity }) => severity === 'error')
  const warnings = all.filter(({ severity }) => severity === 'warning')
  const { grade, lowered } = gradeOf(all)
  const [worst] = errors
  return {
    data: {
      grade,
      rule: GRADE_RULE,
      lowered,
      knownUntil: KNOWN_UNTIL,
      checklist: checklistOf(all),
      sections: sections.map(([subject, found]) => ({
        subject,
        findings: found.map(({ id, severity, subject, message, fix = null }) => ({
          id,
          severity,
          subject,
          message,
          fix,
        })),
      })),
    },
    text: [
      ...sections.flatMap(([title, found]) => [paint.bold(title), ...found.flatMap((one) => lines(one, paint)), '']),
      `grade ${paint.bold(grade)}  ${counted(errors.length, 'error')}, ${counted(warnings.length, 'warning')}${because(lowered)}`,
    ],
    warnings: strict && warnings.length > 0 ? [counted(warnings.length, 'finding')] : [],
    failOnWarnings: strict,
    ...(worst === undefined
      ? {}
      : {
          failure: {
            code: 'ERR_POLICY_DOCTOR',
            message: `${worst.subject}: ${worst.message}`,
            hint: worst.fix ?? CODES.ERR_POLICY_DOCTOR.fix,
          },
        }),
  }
}

function lines({ id, severity, subject, message, fix }: Diagnosis, paint: Paint): readonly string[] {
  const painted = { ok: paint.green, info: paint.dim, warning: paint.yellow, error: paint.red }[severity]
  const line = `  ${painted(severity.padEnd(7))}  ${subject}: ${message}  ${paint.dim(id)}`
  return fix === undefined ? [line] : [line, `           ${fix}`]
}

/** What holds the grade down: the worst checks first, all that leave the same. */
function because(lowered: readonly Lowered[]): string {
  const worst = lowered.filter(({ grade }) => grade === lowered[0]?.grade)
  return worst.length === 0 ? '' : `; held down by ${worst.map(({ id }) => id).join(', ')}`
}

/** `undefined` for what is a file. @throws UsageError for another scheme, or for a URL that carries credentials. */
function urlOf(text: string): URL | undefined {
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(text)) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' && url.username === '' && url.password === '') return url
  throw new UsageError('not an https URL without user name and password', 'Give https://api.example.com')
}

const EXAMPLE = `Example:
  pinfetch doctor
  pinfetch doctor https://api.example.com pinfetch.json --strict
`
