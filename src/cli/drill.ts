import type { Command } from 'commander'
import { CODES } from '../errors/codes.ts'
import type { DrillConfig } from './drill-config.ts'
import type { Check } from './drill-run.ts'
import type { Io, Paint } from './io.ts'
import type { Outcome } from './outcome.ts'
import type { Run } from './program.ts'
import { counted } from './text.ts'

export function addDrill(program: Command, run: Run): void {
  program
    .command('drill')
    .summary('whether an interception would be refused, told and kept as it should; on this machine alone')
    .argument('[config]', 'a configuration file; default: what PINFETCH_CONFIG names')
    .option(
      '--host <name>',
      'whom to impersonate, with the port where the policy names one; default: the first with pins',
    )
    .option('--manifest <path>', 'the published directory or a bundle, in place of the URL in the configuration')
    .option('--contain', 'contain the host afterwards, and release it')
    .addHelpText('before', EXAMPLE)
    .action((config: string | undefined, options: DrillOptions) =>
      run((io, paint) => drill(config, options, io, paint)),
    )
}

interface DrillOptions {
  readonly host?: string
  readonly manifest?: string
  readonly contain?: true
}

async function drill(path: string | undefined, options: DrillOptions, io: Io, paint: Paint): Promise<Outcome> {
  const { readDrillConfig } = await import('./drill-config.ts')
  const { runDrill } = await import('./drill-run.ts') // with the servers of the test kit: other commands do without
  const config = await readDrillConfig(path, options, io)
  try {
    const checks = await runDrill(config.options, config.target, { contain: options.contain === true })
    return report(checks, config, paint)
  } finally {
    await config.close()
  }
}

function report(checks: readonly Check[], { target: { host }, setAside }: DrillConfig, paint: Paint): Outcome {
  const failed = checks.filter(({ passed }) => !passed)
  const [first] = failed
  return {
    data: { host, checks: checks.map(({ what, passed, seen }) => ({ what, passed, seen })), setAside },
    text: [
      paint.bold(`an interception of ${host}, on loopback`),
      ...checks.flatMap(({ what, passed, seen }) => [
        `  ${passed ? paint.green('passed') : paint.red('failed')}  ${what}`,
        `          ${paint.dim(seen)}`,
      ]),
      '',
      `${counted(checks.length - failed.length, 'check')} passed, ${failed.length} failed`,
    ],
    notes: [
      'Nothing left this machine: every name led to loopback, and your own outlets, proxy and services were not called.',
      ...(setAside.length === 0 ? [] : [`Set aside for the drill: ${setAside.join(', ')}.`]),
    ],
    next: first === undefined ? `pinfetch explain ERR_TRUST_PIN_MISMATCH` : `pinfetch explain ERR_POLICY_DRILL`,
    ...(first === undefined
      ? {}
      : {
          failure: {
            code: 'ERR_POLICY_DRILL',
            message: `${counted(failed.length, 'check')} failed; first: ${first.what} (${first.seen})`,
            hint: CODES.ERR_POLICY_DRILL.fix,
          },
        }),
  }
}

const EXAMPLE = `Example:
  pinfetch drill pinfetch.json --host api.example.com --contain
`
