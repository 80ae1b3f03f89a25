import { networkInterfaces } from 'node:os'
import type { Command } from 'commander'
import { surroundings } from '../client/posture.ts'
import { CODES } from '../errors/codes.ts'
import { offeredGroups } from '../transport/groups.ts'
import { anchorsFrom } from './chain.ts'
import { type ExaminedConfig, examineConfig } from './doctor-config.ts'
import { examineServer } from './doctor-server.ts'
import { examineSurroundings } from './doctor-surroundings.ts'
import type { Io, Paint } from './io.ts'
import { type Outcome, UsageError } from './outcome.ts'
import type { Run } from './program.ts'
import { counted } from './text.ts'

/** One line of the answer. `fix`: what to do about it. */
export interface Diagnosis {
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
  const interfaces = outwardInterfaces()
  const local = interfaces.map(({ address }) => address)
  const sections: [string, readonly Diagnosis[]][] = [
    [
      'this machine',
      examineSurroundings({
        env: io.env,
        flags: surroundings().flags,
        node: process.versions.node,
        openssl: process.versions.openssl,
        hasHybrid: offeredGroups().includes('MLKEM'),
        interfaces,
        now: io.now(),
      }),
    ],
  ]
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
  return report(sections, strict === true, paint)
}

function report(sections: readonly [string, readonly Diagnosis[]][], strict: boolean, paint: Paint): Outcome {
  const all = sections.flatMap(([, found]) => found)
  const errors = all.filter(({ severity }) => severity === 'error')
  const warnings = all.filter(({ severity }) => severity === 'warning')
  const grade = gradeOf(errors.length, warnings.length)
  const [worst] = errors
  return {
    data: {
      grade,
      sections: sections.map(([subject, found]) => ({
        subject,
        findings: found.map(({ severity, subject, message, fix = null }) => ({ severity, subject, message, fix })),
      })),
    },
    text: [
      ...sections.flatMap(([title, found]) => [paint.bold(title), ...found.flatMap((one) => lines(one, paint)), '']),
      `grade ${paint.bold(grade)}  ${counted(errors.length, 'error')}, ${counted(warnings.length, 'warning')}`,
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

function lines({ severity, subject, message, fix }: Diagnosis, paint: Paint): readonly string[] {
  const painted = { ok: paint.green, info: paint.dim, warning: paint.yellow, error: paint.red }[severity]
  const line = `  ${painted(severity.padEnd(7))}  ${subject}: ${message}`
  return fix === undefined ? [line] : [line, `           ${fix}`]
}

/** Like a school's: one error is worse than any number of warnings. */
function gradeOf(errors: number, warnings: number): 'A' | 'B' | 'C' | 'D' | 'F' {
  if (errors > 0) return errors > 1 ? 'F' : 'D'
  if (warnings === 0) return 'A'
  return warnings > 2 ? 'C' : 'B'
}

/** `undefined` for what is a file. @throws UsageError for another scheme, or for a URL that carries credentials. */
function urlOf(text: string): URL | undefined {
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(text)) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' && url.username === '' && url.password === '') return url
  throw new UsageError('not an https URL without user name and password', 'Give https://api.example.com')
}

function outwardInterfaces() {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.filter(({ internal }) => !internal).map(({ address }) => ({ name, address })),
  )
}

const EXAMPLE = `Example:
  pinfetch doctor
  pinfetch doctor https://api.example.com pinfetch.json --strict
`
